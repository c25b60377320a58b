"""Where the paths are that a condition can hold for: ranges of encoded paths. Pure.

The codec of paths keeps prefixes exactly, so `startswith`, a glob and a path itself are ranges as they stand. It does
not keep the order in which text is compared: `a/b` is less than `a-b` as a key, and greater as text, for a slash is the
lowest of what keys are made of and comes behind `-` and `.` as a character. No other character is out of order. So
`path >= "2026-11"` may be true of paths that begin with `2026/`, which come before; a bound is good only up to there:

    path >= L    from L up to its first character below the slash: what is less than that, is less than L
    path <= L    up to all that begins with L up to its first slash
"""

import re
from typing import Final

from .filters import Comparison, Condition, In, Matches, StartsWith
from .keys import ABOVE, ENCODED_UNITS_MAX, RowRange, encode
from .literals import Literal_
from .ranges import Ranges, narrowed, united

POINT_END: Final = " "
"""Behind a whole path: sorts below all that paths are made of."""

_IN_NO_PATH: Final = r"\\\x00-\x1f\x7f-\x9f"
_UNFIT: Final = re.compile(f"[{_IN_NO_PATH}]")
_BELOW_THE_SLASH: Final = re.compile(f"[{_IN_NO_PATH}\x20-.]")
_SLASH: Final = re.compile(f"[{_IN_NO_PATH}/]")


def path_ranges(condition: Condition | None, prefix: str = "") -> Ranges | None:
    """Where all paths are that begin with `prefix` and for which a condition can hold; None: anywhere."""
    under = StartsWith("path", prefix)
    return narrowed(under if condition is None else under & condition, _leaf)


def point(path: str) -> RowRange:
    """A path, and no other."""
    encoded = encode(path)
    return RowRange(encoded, encoded + POINT_END)


def is_point(each: RowRange) -> bool:
    """Whether a range is of one path."""
    return each.stop == each.first + POINT_END


def _leaf(condition: Condition) -> Ranges | None:  # noqa: PLR0911 — one case per leaf
    match condition:
        case StartsWith("path", prefix):
            return _beginning(prefix)
        case Matches(glob=glob):
            return _beginning(glob.literal)
        case In("path", values):
            return united(each for value in values for each in _equal(value))
        case Comparison("path", "==", literal):
            return _equal(literal)
        case Comparison("path", ">" | ">=", str() as text):
            return (RowRange(_cut(_whole(text, _BELOW_THE_SLASH)), ABOVE),)
        case Comparison("path", "<" | "<=", str() as text):
            begun = _whole(text, _SLASH)
            exact = begun == text and len(encode(text)) <= ENCODED_UNITS_MAX
            return (RowRange("", encode(text) + POINT_END if exact else _cut(begun) + ABOVE),)
    return None


def _beginning(prefix: str) -> Ranges | None:
    if not prefix:
        return None
    encoded = encode(prefix)
    return (RowRange(encoded, encoded + ABOVE),) if _fits(prefix) else ()


def _equal(literal: Literal_) -> Ranges:
    return (point(literal),) if isinstance(literal, str) and literal and _fits(literal) else ()


def _fits(text: str) -> bool:
    """Whether a path can begin so."""
    return not _UNFIT.search(text) and len(encode(text)) <= ENCODED_UNITS_MAX


def _whole(text: str, up_to: re.Pattern[str]) -> str:
    found = up_to.search(text)
    return text[: found.start()] if found else text


def _cut(text: str) -> str:
    return encode(text)[:ENCODED_UNITS_MAX]
