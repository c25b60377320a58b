"""What an error says, to who types commands: where the library speaks of Python, the options and commands for it.

By the error's kind: no path, value or name of anybody's is changed by it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .ordering import shown_fields

if TYPE_CHECKING:
    from ..errors import CatalogError

Words = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
_MAKE_IT: Final = r": make it: create_index\((.*)\)$"
_TYPES: Final = {"str": "text", "datetime": "time"}


def message_of(error: "CatalogError") -> str:
    """The error's message."""
    text = str(error)
    for pattern, instead in _WORDS.get(error.kind, ()):
        text = re.sub(pattern, instead, text)
    return text


def wanted_index(error: "CatalogError") -> str:
    """The fields of the index that an error says would answer; "" where it says of none."""
    found = re.search(_MAKE_IT, str(error))
    return shown_fields([each.strip("'\"") for each in found[1].split(", ")]) if found else ""


def _ordered(found: re.Match[str]) -> str:
    return "has no index in order of " + ", ".join(shown_fields([each]) for each in found[1].split(", "))


def _typed(found: re.Match[str]) -> str:
    why = "--type says" if found[2] == "types says" else found[2]
    return f" its column is of {_TYPES.get(found[1], found[1])}, as {why}"


_WORDS: Final[Mapping[str, Words]] = {
    "invalid": (
        (r"^version and as_of exclude each other", "--version and --as-of exclude each other"),
        (r": as_of takes no order_by$", ": --as-of takes no --order-by"),
        (r"^IfMatch takes the etag of a FileVersion", "--if-match takes the etag of a version"),
        (r"^types names ", "--type names "),
    ),
    "invalid.cursor": ((r": pass one that `Changes\.cursor` gave, whole$", ", or not all of it"),),
    "invalid.cursor-too-old": ((r": begin anew, with what list\(as_of=…\) shows.*$", ""),),
    "invalid.expires": ((r"^expires_in is .*$", "--expires-in is a time from 1s up"),),
    "invalid.no-change-log": ((r": set_change_log\(True\) switches it on, from now on$", ""),),
    "invalid.order": (
        (_MAKE_IT, ""),
        (r"has no index in order of ([^:]*)", _ordered),
        (r"^order_by: ", "--order-by: "),
    ),
    "invalid.token": (
        (r": pass the `token` of .*, whole$", ""),
        (r" is of another query: .* must be the same$", " is of another query"),
    ),
    "invalid.type": ((r" its column is of (\w+), as (types says|the first files .*): say types=.*$", _typed),),
    "invalid.unsupported": ((r": as_of has no plan to explain$", ": with --as-of there is no plan to explain"),),
    "invalid.url": ((r": allow it with Settings\(hosts_allowed=…\)$", ""),),
    "unavailable.change-log": ((r": set_change_log\(True\) goes on with that$", ""),),
}
