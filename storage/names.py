"""Which names a blob, a block and a container may have.

The rules are the service's own ("Naming and referencing containers, blobs, and metadata") where it refuses, and
stricter where it would silently change a name: it strips a trailing dot or slash, resolves `.` and `..`, and on an
emulator turns a backslash into a slash. A name that passes here comes back from a listing exactly as it was given.

Every adapter checks before it does anything else, so that rejected input sends no request (S13). Foreign blobs may
carry names that break these rules; listings report them, but nothing here opens, writes or deletes one.
"""

import re
from typing import Final

from .errors import InvalidError

NAME_UNITS_MAX: Final = 1024
"""UTF-16 units, as the service counts characters."""
SEGMENTS_MAX: Final = 254
BLOCK_ID_BYTES_MAX: Final = 64
"""Before Base64; all ids of one blob have the same length ("Put Block")."""
BLOCKS_MAX: Final = 50_000
"""Of one blob ("Put Block List")."""
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""What is no character, and has no UTF-8: in a `str` every surrogate is a lone one."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_NOT_IN_XML: Final = re.compile("[\ufffe\uffff]")  # XML 1.0 cannot carry them, so no listing could
_CONTAINER: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")


def check_name(name: object, *, op: str = "") -> None:
    """Refuse a name that the service would reject or change. Raises: InvalidError, which names the rule."""
    name = _checked_text(name, "a blob name", op)
    if not name:
        raise _refused("a blob name is not empty", name, op)
    segments = name.split("/")
    if len(segments) > SEGMENTS_MAX:
        raise _refused(f"a blob name has at most {SEGMENTS_MAX} segments, not {len(segments)}", name, op)
    if "" in segments:
        raise _refused("a blob name has no empty segment: no slash at an end, no two in a row", name, op)
    if "./" in name or name.endswith("."):
        raise _refused("no segment of a blob name is '.' or '..' or ends with a dot", name, op)


def check_prefix(prefix: object, *, op: str = "list") -> None:
    """Refuse a prefix that no name could begin with for its characters or its length. Raises: InvalidError."""
    _checked_text(prefix, "a prefix", op)


def check_container(name: object, *, op: str = "") -> None:
    """Refuse what Azure does not take as the name of a container. Raises: InvalidError."""
    if not isinstance(name, str) or not _CONTAINER.fullmatch(name) or len(name) > 63:  # noqa: PLR2004
        rule = "a container name is 3 to 63 lower-case letters, digits and single hyphens between them"
        raise _refused(rule, name, op, kind="invalid.container")


def check_block(block: object, *, key: str, op: str = "stage") -> None:
    """Refuse what cannot be the id of a block. Raises: InvalidError."""
    if not isinstance(block, str) or LONE_SURROGATE.search(block) or not 0 < len(block.encode()) <= BLOCK_ID_BYTES_MAX:
        rule = f"a block id is text of 1 to {BLOCK_ID_BYTES_MAX} bytes"
        raise InvalidError(f"{rule}: {block!r}", op=op, key=key, kind="invalid.block")


def _checked_text(name: object, what: str, op: str) -> str:
    if not isinstance(name, str):
        raise _refused(f"{what} is text, not {type(name).__name__}", name, op)
    if LONE_SURROGATE.search(name):
        raise _refused(f"{what} has no lone surrogates", name, op)
    if len(name) > NAME_UNITS_MAX or (not name.isascii() and len(name.encode("utf-16-le")) > 2 * NAME_UNITS_MAX):
        raise _refused(f"{what} has at most {NAME_UNITS_MAX:,} characters", name, op)
    if _CONTROL.search(name):
        raise _refused(f"{what} has no control characters", name, op)
    if _NOT_IN_XML.search(name):
        raise _refused(f"{what} has no U+FFFE or U+FFFF", name, op)
    if "\\" in name:
        raise _refused(f"{what} has no backslash", name, op)
    return name


def _refused(rule: str, name: object, op: str, kind: str = "invalid.name") -> InvalidError:
    """An error of one line: the rule, and the name as far as it is readable."""
    shown = repr(name)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}…"  # noqa: PLR2004
    return InvalidError(f"{rule}: {shown}", op=op, key=name if isinstance(name, str) else "", kind=kind)
