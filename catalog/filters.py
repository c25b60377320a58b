"""Conditions on rows: a tree that says of a row whether it satisfies it. Pure.

**What holds**, the same on every back end; others cite this place. A comparison holds only where the row has the
column, with a value of the literal's type (whole and floating numbers are one type and compare exactly; truth values
are another). So it is false for a missing field, `!=` too. `~` is the plain complement: `~(a == 1)` holds where `a` is
missing, or is text. Text is compared by code point, paths in NFC. The digest is the one that was learned, if any.

**The tree.** Leaves are about one field, named by its column; groups are flat: no `All` stands directly in an `All`.

    Comparison(column, operator, literal)   == != < <= > >=
    StartsWith(column, prefix)              text that begins so
    Contains(column, part)                  text that has this somewhere
    Matches(pattern)                        the path, by a glob with at least one wildcard; .glob.literal is its prefix
    In(column, values)                      equal to one of the values: sorted, none twice; perhaps none
    Exists(columns)                         one of the columns is there
    All(parts)  Any(parts)  Not(part)       and, or, the complement

They are what a planner matches on. All else is sugar, said with these: `between` is a `>=` and a `<=` in an `All`, a
glob without wildcards is `==`, `isin` with times and other values an `Any` of two. Equal conditions are equal objects,
and `str` is the text that `query_text` reads. People write them with `fields.F`, or as that text.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any as Anything
from typing import Final, Literal, NoReturn

from .errors import InvalidError
from .glob import Glob, parse_glob
from .literals import DIGEST, LEARNED_DIGEST, Literal_, checked_literal, kind_of, shown, spelled, spelled_column

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
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
    """What a row must satisfy. Immutable; combine with `&`, `|` and `~`. Its `str` is what `parse_expression` reads."""

    __slots__ = ()

    @abstractmethod
    def holds(self, row: Row) -> bool:
        """Whether a row satisfies the condition."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """How deeply conditions are nested in this one."""

    @property
    @abstractmethod
    def reads(self) -> frozenset[str]:
        """The columns that decide it: a row that was read with these alone is judged right."""

    def __and__(self, other: "Condition") -> "Condition":
        return joined(All, self, other)

    def __or__(self, other: "Condition") -> "Condition":
        return joined(Any, self, other)

    def __invert__(self) -> "Condition":
        return _checked(self.part if isinstance(self, Not) else Not(self))

    def __bool__(self) -> NoReturn:
        raise InvalidError("combine conditions with & | ~ and parentheses, not with and, or, not, ==", op="query")


Expression = Condition
"""What `Volume.query` takes: a condition, as it is spelt with `F` or parsed by `parse_expression`."""


@dataclass(frozen=True, slots=True)
class _Leaf(Condition):
    """About one column."""

    column: str

    depth = 1

    def __post_init__(self) -> None:
        """Refuse what would be more than a name where it is pushed down."""
        _check_column(self.column)

    @property
    def reads(self) -> frozenset[str]:
        return _read(self.column)

    @property
    def _name(self) -> str:
        return spelled_column(self.column)


@dataclass(frozen=True, slots=True)
class Comparison(_Leaf):
    """A column against a literal."""

    operator: Operator
    literal: Literal_
    _kind: type = field(init=False, repr=False)
    """Makes `True` another condition than 1."""
    _compare: Callable[[Anything, Anything], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what no row can be compared with."""
        _check_column(self.column)
        if self.operator not in _COMPARE:
            raise InvalidError(f"an operator is one of {' '.join(_COMPARE)}, not {self.operator!r}", op="query")
        literal = checked_literal(self.literal, self._name)
        _set(self, literal=literal, _kind=kind_of(literal), _compare=_COMPARE[self.operator])

    def holds(self, row: Row) -> bool:  # noqa: D102
        value = row.get(self.column)
        if not value and self.column == DIGEST:
            value = _digest(row)
        return value is not None and kind_of(value) is self._kind and self._compare(value, self.literal)

    def __str__(self) -> str:
        sign = "=" if self.operator == "==" else self.operator
        return f"{self._name} {sign} {spelled(self.column, self.literal)}"


@dataclass(frozen=True, slots=True)
class StartsWith(_Leaf):
    """A column's text begins so."""

    prefix: str

    def __post_init__(self) -> None:
        """Refuse what is no text."""
        _check_column(self.column)
        _set(self, prefix=_checked_text(self.prefix, f"{self._name} begins with"))

    def holds(self, row: Row) -> bool:  # noqa: D102
        value = row.get(self.column)
        if not value and self.column == DIGEST:
            value = _digest(row)
        return isinstance(value, str) and value.startswith(self.prefix)

    def __str__(self) -> str:
        return f"{self._name} startswith {spelled(self.column, self.prefix)}"


@dataclass(frozen=True, slots=True)
class Contains(_Leaf):
    """A column's text has this somewhere."""

    part: str

    def __post_init__(self) -> None:
        """Refuse what is no text."""
        _check_column(self.column)
        _set(self, part=_checked_text(self.part, f"{self._name} contains"))

    def holds(self, row: Row) -> bool:  # noqa: D102
        value = row.get(self.column)
        if not value and self.column == DIGEST:
            value = _digest(row)
        return isinstance(value, str) and self.part in value

    def __str__(self) -> str:
        return f"{self._name} contains {spelled(self.column, self.part)}"


@dataclass(frozen=True, slots=True)
class Matches(Condition):
    """The path is one that a glob stands for: see `glob`."""

    pattern: str
    glob: Glob = field(init=False, repr=False, compare=False)

    depth = 1

    def __post_init__(self) -> None:
        """Refuse what is no glob."""
        glob = parse_glob(self.pattern)
        _set(self, pattern=glob.pattern, glob=glob)

    @property
    def reads(self) -> frozenset[str]:  # noqa: D102
        return frozenset({"path"})

    def holds(self, row: Row) -> bool:  # noqa: D102
        value = row.get("path")
        return isinstance(value, str) and self.glob.matches(value)

    def __str__(self) -> str:
        return f"path ~ {spelled('path', self.pattern)}"


@dataclass(frozen=True, slots=True)
class In(_Leaf):
    """A column equals one of the values."""

    values: tuple[Literal_, ...]
    _kinds: tuple[type, ...] = field(init=False, repr=False)
    """Makes `True` another value than 1."""
    _members: Mapping[type, frozenset[Literal_]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the values, so that lists with the same ones are equal, and refuse what no row can be compared with."""
        _check_column(self.column)
        each = {(kind_of(value), value): value for value in (checked_literal(v, self._name) for v in self.values)}
        ordered = sorted(each, key=lambda item: (item[0].__name__, item[1]))
        members = {kind: frozenset(value for of, value in each if of is kind) for kind, _ in each}
        kinds = tuple(kind for kind, _ in ordered)
        _set(self, values=tuple(each[item] for item in ordered), _kinds=kinds, _members=members)

    def holds(self, row: Row) -> bool:  # noqa: D102
        value = row.get(self.column)
        if not value and self.column == DIGEST:
            value = _digest(row)
        return value is not None and value in self._members.get(kind_of(value), ())

    def __str__(self) -> str:
        return f"{self._name} in ({', '.join(spelled(self.column, value) for value in self.values)})"


@dataclass(frozen=True, slots=True)
class Exists(Condition):
    """One of the columns that a field may be kept in is there, whatever it holds."""

    columns: tuple[str, ...]

    depth = 1

    def __post_init__(self) -> None:
        """Refuse what would be more than a name where it is pushed down."""
        for column in self.columns:
            _check_column(column)

    @property
    def reads(self) -> frozenset[str]:  # noqa: D102
        return frozenset(self.columns)

    def holds(self, row: Row) -> bool:  # noqa: D102
        for column in self.columns:  # noqa: SIM110 — see `All`
            if column in row:
                return True
        return False

    def __str__(self) -> str:
        return f"{spelled_column(self.columns[0])} exists"


@dataclass(frozen=True, slots=True)
class _Group(Condition):
    """Conditions together."""

    parts: tuple[Condition, ...]
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Say how deep it is, once."""
        _set(self, depth=1 + max(part.depth for part in self.parts))

    @property
    def reads(self) -> frozenset[str]:
        return frozenset().union(*(part.reads for part in self.parts))

    def _joined(self, word: str) -> str:
        return word.join(f"({part})" if isinstance(part, _Group) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class All(_Group):
    """All parts hold."""

    def holds(self, row: Row) -> bool:  # noqa: D102
        for part in self.parts:  # noqa: SIM110 — a generator would cost as much as a comparison
            if not part.holds(row):
                return False
        return True

    def __str__(self) -> str:
        return self._joined(" and ")


@dataclass(frozen=True, slots=True)
class Any(_Group):
    """At least one part holds."""

    def holds(self, row: Row) -> bool:  # noqa: D102
        for part in self.parts:  # noqa: SIM110 — see `All`
            if part.holds(row):
                return True
        return False

    def __str__(self) -> str:
        return self._joined(" or ")


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The part does not hold."""

    part: Condition

    @property
    def depth(self) -> int:  # noqa: D102
        return 1 + self.part.depth

    @property
    def reads(self) -> frozenset[str]:  # noqa: D102
        return self.part.reads

    def holds(self, row: Row) -> bool:  # noqa: D102
        return not self.part.holds(row)

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, _Group) else f"not {self.part}"


def joined(group: type[All | Any], *sides: Condition) -> Condition:
    """The sides as one group: `a & b & c` is one of three, not a tree as deep as it is long. Raises: InvalidError."""
    parts = list[Condition]()
    for side in sides:
        if not isinstance(side, Condition):
            raise InvalidError(f"a condition cannot be combined with {shown(side)}: missing parentheses?", op="query")
        parts += side.parts if isinstance(side, group) else (side,)
    return _checked(group(tuple(parts)))


def _checked(condition: Condition) -> Condition:
    if condition.depth > DEPTH_MAX:
        raise InvalidError(f"conditions may be nested {DEPTH_MAX} deep", op="query")
    return condition


def _check_column(column: str) -> None:
    if not column.isidentifier():
        raise InvalidError(f"a column is an identifier, not {column!r}", op="query")


def _checked_text(text: object, told: str) -> str:
    if not isinstance(text, str):
        raise InvalidError(f"{told} text, not {shown(text)}", op="query")
    return str(checked_literal(text, told))


def _digest(row: Row) -> Literal_ | None:
    """Of a file whose digest was not known when it was written: what was learned since, else ""."""
    return row.get(LEARNED_DIGEST, row.get(DIGEST))


def _read(column: str) -> frozenset[str]:
    return frozenset({DIGEST, LEARNED_DIGEST} if column == DIGEST else {column})


def _set(condition: Condition, **fields: object) -> None:
    for name, value in fields.items():
        object.__setattr__(condition, name, value)
