"""The text of conditions, read: grammar, values, and what was wrong where. Pure; `query_text` is the way in.

    path ~ '2026/**/*.csv' and size > 1MB and (meta.owner = 'ops' or not meta.reviewed exists)

`or` binds weakest, then `and`, then `not`; words are in any case. Of a value its looks say its type, whatever field it
stands beside: so the condition is the one that `F` would make of it, and is refused where `F` refuses it.

- text is in quotes, single or double, and a quote within is doubled. A bare word is an error, not text.
- numbers are 5, -0.5, 1e6, 1_000_000; with a unit they are whole: 1kB, 1.5GiB, rounded to a byte.
- true and false
- times are 2026-11-01, 2026-11-01T10:00, 2026-11-01T10:00:30.5+01:00; where they name no zone, and of dates, it is UTC.

The parser is LALR(1): a table and a stack of its own. No input makes it recurse, or take more than linear time.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any as Anything
from typing import Final

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, UnexpectedToken

from .errors import InvalidError
from .fields import Field, field_named
from .filters import All, Any, Condition, joined
from .literals import printable

GRAMMAR: Final = r"""
?start: either
?either: both (OR both)*
?both: one (AND one)*
?one: NOT one -> complement
    | "(" either ")"
    | FIELD COMPARE _value -> comparison
    | FIELD METHOD _value -> method
    | FIELD GLOB _value -> method
    | FIELD _IN "(" (_value ("," _value)*)? ")" -> isin
    | FIELD _BETWEEN _value AND _value -> between
    | FIELD _EXISTS -> exists
_value: TEXT | BARE

OR.2: /or\b/i
AND.2: /and\b/i
NOT.2: /not\b/i
METHOD: /(startswith|contains)\b/i
_IN: /in\b/i
_BETWEEN: /between\b/i
_EXISTS: /exists\b/i
COMPARE: /==?|!=|[<>]=?/
GLOB: "~"
FIELD: /[^\W\d][\w.-]*/
TEXT: /'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*"/
BARE: /(?!(?:and|or|not|in|between|exists|startswith|contains)(?![^\s()',"=<>!~]))[^\s()',"=<>!~]+/i
%ignore /\s+/
"""

_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9]\d*(?:_\d+)*)(\.\d+)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_SIZE: Final = re.compile(r"(\d+(?:_\d+)*(?:\.\d+)?)(?:([kmgtp])(i?)b?|b)", re.ASCII | re.IGNORECASE)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
_LIKE_A_TIME: Final = re.compile(r"\d{4}-\d", re.ASCII)
_DIGITS_MAX: Final = 400  # of the largest float there are 309; Python itself refuses to read more than 4,300
_EXPECTED: Final = (  # by what may come next; the first that fits
    ("FIELD", "a field, such as size or meta.owner"),
    ("COMPARE", "one of = != < <= > >= ~ startswith contains in between exists"),
    ("BARE", "a value"),
    ("LPAR", '"(" and a list of values'),
    ("COMMA", '"," or ")"'),
)
_ENDS: Final = {"AND": '"and"', "OR": '"or"', "RPAR": '")"', "$END": "the end"}
_PIECE: Final = re.compile(r"""[^\s()',"]+|\S""")


class WrongTextError(Exception):
    """What is wrong with the text, and behind how many characters of it."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def parsed(text: str) -> Condition:
    """The condition that a text says. Raises: WrongTextError."""
    try:
        condition: Condition = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise WrongTextError(_unexpected(error, text), _offset(error, text)) from error
    return condition


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", transformer=_Builder(), maybe_placeholders=False)


class _Builder(Transformer[Token, Condition]):
    """Makes conditions of what the grammar finds, in the way of everybody: with the fields that `F` has."""

    def either(self, parts: Sequence[Condition | Token]) -> Condition:
        return _group(Any, parts)

    def both(self, parts: Sequence[Condition | Token]) -> Condition:
        return _group(All, parts)

    def complement(self, parts: Sequence[Anything]) -> Condition:
        word, part = parts
        return _built(lambda: ~part, word)

    def comparison(self, parts: Sequence[Token]) -> Condition:
        name, sign, token = parts
        field, value = _field(name), _value(token)
        compared: dict[str, Callable[[], Condition]] = {
            "!=": lambda: field != value,
            "<": lambda: field < value,
            "<=": lambda: field <= value,
            ">": lambda: field > value,
            ">=": lambda: field >= value,
        }
        return _built(compared.get(sign, lambda: field == value), token)

    def method(self, parts: Sequence[Token]) -> Condition:
        name, word, token = parts
        field, value = _field(name), _value(token)
        methods: dict[str, Callable[[Anything], Condition]] = {
            "~": field.glob,
            "startswith": field.startswith,
            "contains": field.contains,
        }
        return _built(lambda: methods[word.lower()](value), token)

    def isin(self, parts: Sequence[Token]) -> Condition:
        name, *tokens = parts
        field, values = _field(name), [_value(token) for token in tokens]
        for token, value in zip(tokens, values, strict=True):
            _built(lambda value=value: field.isin([value]), token)  # type: ignore[misc]
        return field.isin(values)

    def between(self, parts: Sequence[Token]) -> Condition:
        name, low, _, high = parts
        field, least, most = _field(name), _value(low), _value(high)
        _built(lambda: field >= least, low)
        return _built(lambda: field.between(least, most), high)

    def exists(self, parts: Sequence[Token]) -> Condition:
        return _field(parts[0]).exists()


def _group(group: type[All | Any], parts: Sequence[Condition | Token]) -> Condition:
    conditions = [part for part in parts if isinstance(part, Condition)]
    word = next(part for part in parts if isinstance(part, Token))
    return _built(lambda: joined(group, *conditions), word)


def _built(build: Callable[[], Condition], at: Token) -> Condition:
    try:
        return build()
    except InvalidError as error:
        raise _wrong(error.message + _advice(at), at) from error


def _advice(token: Token) -> str:
    """What to say beside the refusal of a quoted value that looks like another one."""
    bare = Token("BARE", str(token)[1:-1])
    looks = token.type == "TEXT" and (_NUMBER.fullmatch(bare) or _SIZE.fullmatch(bare) or _MOMENT.fullmatch(bare))
    return ": leave out the quotes" if looks else ""


def _field(token: Token) -> Field:
    try:
        return field_named(str(token))
    except InvalidError as error:
        raise _wrong(error.message, token) from error


# Values.


def _value(token: Token) -> Anything:
    text = str(token)
    if token.type == "TEXT":
        return text[1:-1].replace(text[0] * 2, text[0])
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if len(text) <= _DIGITS_MAX:
        if found := _NUMBER.fullmatch(text):
            return float(text) if found[1] or found[2] else int(text)
        if found := _SIZE.fullmatch(text):
            return _size(*found.groups(""))
    if _MOMENT.fullmatch(text):
        return _moment(text, token)
    raise _wrong(_refusal(text), token)


def _size(number: str, prefix: str, binary: str) -> int:
    factor: int = (1024 if binary else 1000) ** " KMGTP".index(prefix.upper() or " ")
    return round(Fraction(number.replace("_", "")) * factor)


def _moment(text: str, token: Token) -> datetime:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise _wrong(f"{text} is no time: {error}", token) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refusal(text: str) -> str:
    told = _cut(text)
    if _LIKE_A_TIME.match(text):
        return f"{told} is no time: a time is 2026-11-20, 2026-11-20T10:00 or 2026-11-20T10:00:00Z"
    return f"{told} is no number, time, true or false: put text in quotes, '{told}'"


# What is wrong.


def _wrong(message: str, at: Token) -> WrongTextError:
    return WrongTextError(message, at.start_pos or 0)


def _offset(error: UnexpectedInput, text: str) -> int:
    ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    return len(text.rstrip()) if ended else error.pos_in_stream or 0


def _unexpected(error: UnexpectedInput, text: str) -> str:
    allowed: set[str] = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]
    piece = _PIECE.search(text, _offset(error, text))
    found = f'"{_cut(piece[0])}"' if piece else "the end"
    if piece and piece[0] in ("'", '"') and "TEXT" in allowed:
        return "this quote is never closed; within text, a quote is doubled"
    expected = next((words for name, words in _EXPECTED if name in allowed), None)
    if expected is None:
        *others, last = [word for name, word in _ENDS.items() if name in allowed]
        expected = f"{', '.join(others)} or {last}" if others else last
    return f"expected {expected}, found {found}"


def _cut(text: str) -> str:
    """A part of the text as a message shows it."""
    plain = printable(text[:41])
    return plain if len(plain) <= 40 else plain[:40] + "…"  # noqa: PLR2004 — a part of a line
