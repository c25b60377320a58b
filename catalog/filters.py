"""Conditions on entities: a tree that says of a row whether it satisfies it. Pure; `pushdown` says it to services.

The rule, the same on every back end: a comparison holds only where the row has the column, with a value of the
literal's type (whole and floating numbers are one type, booleans another). `~` is the plain complement, so `~(a == 1)`
holds where `a` is missing, and `a != 1` does not. Text is compared by code point.

`F` is how people spell it: `(F.size > 1_000_000) & (F.meta["owner"] == "ops")`.
"""

import json
import math
import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any as Anything
from typing import Final, Literal, NoReturn, TypeVar

from .errors import InvalidError

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Literal_ = str | int | float | bool
Row = Mapping[str, Literal_]

DEPTH_MAX: Final = 64
INT64: Final = range(-(1 << 63), 1 << 63)

_COMPARE: Final[Mapping[str, Callable[[Anything, Anything], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Condition(ABC):
    """What a row must satisfy. Immutable; combine with `&`, `|` and `~`."""

    __slots__ = ()

    @abstractmethod
    def holds(self, row: Row) -> bool:
        """Whether a row satisfies the condition."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """How deeply conditions are nested in this one."""

    def __and__(self, other: "Condition") -> "Condition":
        return _joined(All, self, other)

    def __or__(self, other: "Condition") -> "Condition":
        return _joined(Any, self, other)

    def __invert__(self) -> "Condition":
        return _checked(self.part if isinstance(self, Not) else Not(self))

    def __bool__(self) -> NoReturn:
        raise InvalidError("combine conditions with & | ~ and parentheses, not with and, or, not, ==", op="query")


@dataclass(frozen=True, slots=True)
class Comparison(Condition):
    """A column against a literal."""

    column: str
    operator: Operator
    literal: Literal_

    depth = 1

    def __post_init__(self) -> None:
        """Refuse what no row can be compared with, or what would be more than a name where it is pushed down."""
        if not self.column.isidentifier():
            raise InvalidError(f"a column is an identifier, not {self.column!r}", op="query")
        if self.operator not in _COMPARE:
            raise InvalidError(f"an operator is one of {' '.join(_COMPARE)}, not {self.operator!r}", op="query")
        _checked_literal(self.literal, self.column)

    def holds(self, row: Row) -> bool:  # noqa: D102
        value = row.get(self.column)
        if value is None or _type(value) is not _type(self.literal):
            return False
        return _COMPARE[self.operator](value, self.literal)

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {json.dumps(self.literal, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class All(Condition):
    """All parts hold."""

    parts: tuple[Condition, ...]

    @property
    def depth(self) -> int:  # noqa: D102
        return 1 + max(part.depth for part in self.parts)

    def holds(self, row: Row) -> bool:  # noqa: D102
        return all(part.holds(row) for part in self.parts)

    def __str__(self) -> str:
        return "(" + " & ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True)
class Any(Condition):
    """At least one part holds."""

    parts: tuple[Condition, ...]

    @property
    def depth(self) -> int:  # noqa: D102
        return 1 + max(part.depth for part in self.parts)

    def holds(self, row: Row) -> bool:  # noqa: D102
        return any(part.holds(row) for part in self.parts)

    def __str__(self) -> str:
        return "(" + " | ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The part does not hold."""

    part: Condition

    @property
    def depth(self) -> int:  # noqa: D102
        return 1 + self.part.depth

    def holds(self, row: Row) -> bool:  # noqa: D102
        return not self.part.holds(row)

    def __str__(self) -> str:
        return f"~{self.part}"


_Group = TypeVar("_Group", All, Any)


def _joined(group: type[_Group], left: Condition, right: Condition) -> Condition:
    """`a & b & c` is one group of three, not a tree as deep as it is long."""
    if not isinstance(right, Condition):
        raise InvalidError(f"a condition cannot be combined with {right!r}: missing parentheses?", op="query")
    parts = [part for side in (left, right) for part in (side.parts if isinstance(side, group) else (side,))]
    return _checked(group(tuple(parts)))


def _checked(condition: Condition) -> Condition:
    if condition.depth > DEPTH_MAX:
        raise InvalidError(f"conditions may be nested {DEPTH_MAX} deep", op="query")
    return condition


def _type(value: Literal_) -> type:
    if isinstance(value, bool):
        return bool
    return str if isinstance(value, str) else float


def _checked_literal(literal: object, name: str) -> Literal_:
    match literal:
        case str() if _SURROGATES.search(literal):
            wrong = "text with a lone surrogate"
        case float() if not math.isfinite(literal):
            wrong = f"{literal}, which is no finite number"
        case int() if literal not in INT64:
            wrong = f"{literal}, which does not fit into 64 bits"
        case str() | float() | int():
            return literal
        case _:
            wrong = f"{literal!r}, but with text, a number, a truth value or a datetime"
    raise InvalidError(f"{name} cannot be compared with {wrong}", op="query")


# How people spell it.

_TEXT, _WHOLE, _TIME = "text", "a whole number", "a datetime"
FIELDS: Final[Mapping[str, tuple[str, str]]] = {  # name: (column, type)
    "path": ("path", _TEXT),
    "version": ("version", _WHOLE),
    "kind": ("kind", _TEXT),
    "etag": ("op", _TEXT),
    "size": ("size", _WHOLE),
    "digest": ("digest", _TEXT),
    "md5": ("md5", _TEXT),
    "content_type": ("content_type", _TEXT),
    "created": ("created", _TIME),
    "modified": ("modified", _TIME),
    "writer": ("writer", _TEXT),
}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a file, to be compared with a literal."""

    name: str
    column: str
    type: str | None  # None: whatever the literal is (user metadata)

    def __eq__(self, literal: object) -> Condition:  # type: ignore[override]
        return self._compare("==", literal)

    def __ne__(self, literal: object) -> Condition:  # type: ignore[override]
        return self._compare("!=", literal)

    def __lt__(self, literal: object) -> Condition:
        return self._compare("<", literal)

    def __le__(self, literal: object) -> Condition:
        return self._compare("<=", literal)

    def __gt__(self, literal: object) -> Condition:
        return self._compare(">", literal)

    def __ge__(self, literal: object) -> Condition:
        return self._compare(">=", literal)

    __hash__ = None  # type: ignore[assignment]  # `==` builds a condition

    def __and__(self, other: object) -> NoReturn:
        raise InvalidError(f"{self.name} is compared with nothing: missing parentheses beside & or |?", op="query")

    __rand__ = __or__ = __ror__ = __and__

    def _compare(self, operator: Operator, literal: object) -> Condition:
        if isinstance(literal, bool) and operator not in ("==", "!="):
            raise InvalidError(f"{self.name}: a truth value can be compared with == and != only", op="query")
        prefix, value = "", literal
        match self.type, literal:
            case None, datetime():
                prefix, value = "t_", to_microseconds(literal, self.name)
            case None, _:
                prefix = "m_"
            case "a datetime", datetime():
                value = to_microseconds(literal, self.name)
            case "a whole number", float() if literal.is_integer():
                value = int(literal)
            case ("text", str()) | ("a whole number", int()) if not isinstance(literal, bool):
                pass
            case _:
                raise InvalidError(f"{self.name} is compared with {self.type}, not with {literal!r}", op="query")
        return Comparison(prefix + self.column, operator, _checked_literal(value, self.name))


class _Meta:
    """`F.meta["owner"]`: a key of the user's metadata."""

    def __getitem__(self, key: str) -> Field:
        if not isinstance(key, str) or not key.isidentifier():
            raise InvalidError(f"a metadata key is an identifier, not {key!r}", op="query")
        return Field(f'meta["{key}"]', key, None)


class _Fields:
    """`F`: the fields of a file, by name."""

    meta: Final = _Meta()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise InvalidError(f"F.{name} is compared with a value, F.{name} == {value!r}, not set", op="query")

    def __getattr__(self, name: str) -> Field:
        if name.startswith("_"):  # what tools ask of any object
            raise AttributeError(name)
        if name not in FIELDS:
            raise InvalidError(f"there is no field {name!r}: use meta[...] or one of {', '.join(FIELDS)}", op="query")
        column, kind = FIELDS[name]
        return Field(name, column, kind)


F: Final = _Fields()


def to_microseconds(time: datetime, name: str) -> int:
    """A time as it is stored, in microseconds since 1970. Raises: InvalidError for one without a time zone."""
    if time.utcoffset() is None:
        raise InvalidError(f"{name}: a datetime needs a time zone, such as datetime.now(UTC)", op="query")
    span = time - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
