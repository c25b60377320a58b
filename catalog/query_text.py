"""Conditions as text: the way in for people on a command line, and for programs that are given text. Pure.

`str` is the way back: `parse_expression(str(condition)) == condition` for all that `F` and `& | ~` make, up to
TEXT_CHARACTERS_MAX. The parser is imported when the first text comes, for it takes a while.
"""

from typing import Final
from unicodedata import combining, east_asian_width

from .errors import InvalidError
from .filters import Condition, Expression
from .literals import printable, shown

TEXT_CHARACTERS_MAX: Final = 100_000
_BEFORE, _AFTER = 50, 40  # how much of a long text is shown around what is wrong


def parse_expression(text: str) -> Expression:
    """The condition that a text says: `size > 1MB and meta.owner = 'ops' and path ~ '2026/**/*.csv'`.

    It is the very one that `F` makes of the same, and means the same (see the README's table of operators). Times
    without a zone are in UTC. Raises: InvalidError of kind `invalid.expression`, whose message says what is wrong in
    which column, and shows the place.
    """
    if not isinstance(text, str):
        raise InvalidError(f"an expression is a str, not {shown(text)}", op="query", kind="invalid.expression")
    if len(text) > TEXT_CHARACTERS_MAX:
        message = f"an expression is at most {TEXT_CHARACTERS_MAX:,} characters long, not {len(text):,}"
        raise InvalidError(message, op="query", kind="invalid.expression")
    from .query_grammar import WrongTextError, parsed

    try:
        return parsed(text)
    except WrongTextError as wrong:
        message = f"{wrong.message}, in column {wrong.offset + 1}:\n{_pointed_at(text, wrong.offset)}"
        raise InvalidError(message, op="query", key=text[:80], kind="invalid.expression") from wrong


Where = Condition | str | None
"""Which files: those for which a condition holds, or what its text says; None: all."""


def checked_where(where: Where) -> Condition | None:
    """What a query is given, as a condition. Raises: InvalidError."""
    if isinstance(where, str):
        return parse_expression(where)
    if where is not None and not isinstance(where, Condition):
        message = f"where is a condition, such as F.size > 1000, or its text, 'size > 1000', not {shown(where)}"
        raise InvalidError(message, op="query")
    return where


def _pointed_at(text: str, offset: int) -> str:
    """The text, on one line, cut to what is around the offset, and a caret below that."""
    start, stop = max(0, offset - _BEFORE), offset + _AFTER
    left, right = printable(text[start:offset]), printable(text[offset:stop])
    left = ("…" if start else "") + left
    return f"    {left}{right}{'…' if stop < len(text) else ''}\n    {' ' * sum(map(_width, left))}^"


def _width(character: str) -> int:
    return 0 if combining(character) else 1 + (east_asian_width(character) in "WF")
