"""Conditions on entities: a tree that says of a row whether it satisfies it. Pure; `pushdown` says it to services.

The rule, the same on every back end: a comparison holds only where the row has the column, with a value of the
literal's type (whole and floating numbers are one type, booleans another). `~` is the plain complement, so `~(a == 1)`
holds where `a` is missing, and `a != 1` does not. Text is compared by code point. People spell it with `fields.F`.
"""

import json
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any as Anything
from typing import Final, Literal, NoReturn, TypeVar

from storage.names import LONE_SURROGATE

from .errors import InvalidError
from .rows import INT64_MAX, INT64_MIN

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Literal_ = str | int | float | bool
Row = Mapping[str, Literal_]

DEPTH_MAX: Final = 64

_COMPARE: Final[Mapping[str, Callable[[Anything, Anything], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


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


Expression = Condition
"""What `Volume.query` takes: a condition, as it is spelt with `F`."""


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
        checked_literal(self.literal, self.column)

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
        for part in self.parts:  # noqa: SIM110 — a generator would cost as much as a comparison
            if not part.holds(row):
                return False
        return True

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
        for part in self.parts:  # noqa: SIM110 — see `All`
            if part.holds(row):
                return True
        return False

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


def checked_literal(literal: object, name: str) -> Literal_:
    """Refuse what no row can be compared with. Raises: InvalidError, naming what it would be compared with."""
    match literal:
        case str() if LONE_SURROGATE.search(literal):
            wrong = "text with a lone surrogate"
        case float() if not math.isfinite(literal):
            wrong = f"{literal}, which is no finite number"
        case int() if not INT64_MIN <= literal <= INT64_MAX:
            wrong = f"{literal}, which does not fit into 64 bits"
        case str() | float() | int():
            return literal
        case _:
            wrong = f"{literal!r}, but with text, a number, a truth value or a datetime"
    raise InvalidError(f"{name} cannot be compared with {wrong}", op="query")
