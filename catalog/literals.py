"""What conditions speak of: the fields of a file, the values they are compared with, and how text spells both. Pure.

`FIELDS` says which column a field is kept in and of which type it is. A digest is kept in one of two columns:
`digest`, which is "" where nobody knew it when the file was written, and then, once it was learned, `learned_digest`.
"""

import math
from collections.abc import Mapping
from typing import Final

from storage.names import LONE_SURROGATE

from .errors import InvalidError
from .rows import INT64_MAX, INT64_MIN
from .times import from_microseconds

Literal_ = str | int | float | bool

TEXT, WHOLE, TIME = "text", "a whole number", "a datetime"
FIELDS: Final[Mapping[str, tuple[str, str]]] = {  # name: (column, type)
    "path": ("path", TEXT),
    "version": ("version", WHOLE),
    "kind": ("kind", TEXT),
    "etag": ("op", TEXT),
    "size": ("size", WHOLE),
    "digest": ("digest", TEXT),
    "md5": ("md5", TEXT),
    "content_type": ("content_type", TEXT),
    "created": ("created", TIME),
    "modified": ("modified", TIME),
    "writer": ("writer", TEXT),
}
TYPES: Final[Mapping[str, str]] = dict(FIELDS.values())
"""By column."""
DIGEST, LEARNED_DIGEST = "digest", "learned_digest"
META: Final = "meta."
"""What the names of fields of a user's metadata begin with."""

_NAMES: Final = {column: name for name, (column, _) in FIELDS.items()}
_KINDS: Final[Mapping[type, type]] = {str: str, bool: bool, int: float, float: float}


def columns_of(field: str) -> tuple[str, ...]:
    """The columns of a field, by its name: `meta.KEY` has one for its times, and before it one for all other values."""
    key = field.removeprefix(META)
    return (FIELDS[field][0],) if key == field else (f"m_{key}", f"t_{key}")


def kind_of(value: Literal_) -> type:
    """`str`, `bool` or `float`: only values of one kind compare, and numbers are one, whole or floating."""
    return _KINDS.get(type(value)) or next(_KINDS[base] for base in type(value).__mro__ if base in _KINDS)


def checked_literal(literal: object, name: str) -> Literal_:
    """The literal, of its plain type. Raises: InvalidError for what no row can be compared with, naming the field."""
    match literal:
        case str() if LONE_SURROGATE.search(literal):
            wrong = "text with a lone surrogate"
        case float() if not math.isfinite(literal):
            wrong = f"{float(literal)}, which is no finite number"
        case int() if not INT64_MIN <= literal <= INT64_MAX:
            wrong = f"{shown(literal)}, which does not fit into 64 bits"
        case bool():
            return literal
        case str():
            return str.__str__(literal)
        case float():
            return float(literal)
        case int():
            return int(literal)
        case _:
            wrong = f"{shown(literal)}, but with text, a number, a truth value or a datetime"
    raise InvalidError(f"{name} cannot be compared with {wrong}", op="query")


def shown(value: object) -> str:
    """A value as messages show what was given: whatever it is, and however large."""
    if isinstance(value, int) and value.bit_length() > 256:  # noqa: PLR2004 — Python spells no number of any length
        return f"a whole number of {value.bit_length():,} bits"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"  # noqa: PLR2004 — a line of a terminal


def printable(text: str) -> str:
    """Text on one line, as long as it is: blanks for whatever separates, and a mark for what no terminal should get."""
    plain = (" " if character.isspace() else character for character in text)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in plain)


# Spelling: what `query_text` reads.


def spelled_column(column: str) -> str:
    """The field that is kept in a column, as text names it."""
    return META + column[2:] if column[:2] in ("m_", "t_") else _NAMES.get(column, column)


def is_time(column: str) -> bool:
    """Whether whole numbers in this column are times, in microseconds."""
    return column.startswith("t_") or TYPES.get(column) == TIME


def spelled(column: str, literal: Literal_) -> str:
    """A literal as text says it beside this column's field: times in UTC, text in single quotes."""
    match literal:
        case bool():
            return "true" if literal else "false"
        case str():
            return "'" + literal.replace("'", "''") + "'"
        case int() if is_time(column):
            try:
                return from_microseconds(literal).isoformat().replace("+00:00", "Z")
            except OverflowError:  # in no calendar: nobody can have given it as a datetime
                return str(literal)
    return repr(literal)
