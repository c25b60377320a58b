"""`F`, the fields of a file: how people write conditions. `(F.size > 1_000_000) & (F.meta["owner"] == "ops")`.

It knows of which type a field's literals are, and refuses others: a condition that could hold nowhere is a mistake.
What conditions mean is written down in `filters`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn
from unicodedata import normalize

from .errors import InvalidError
from .filters import Any, Comparison, Condition, Contains, Exists, In, Matches, Operator, StartsWith
from .literals import FIELDS, META, TEXT, TIME, WHOLE, Literal_, checked_literal, columns_of, kind_of, shown
from .metadata import KEY_RULE, is_key
from .times import in_calendar, microseconds


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a file. Compared with a value, by an operator or a method, it makes a condition.

    Each raises InvalidError for a value of a type that the field does not have.
    """

    name: str
    columns: tuple[str, ...]
    """As `columns_of` has them."""
    type: str | None
    """None: whatever the literal is. So it is with user metadata, whose datetimes are in a column of their own."""

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

    def startswith(self, prefix: str) -> Condition:
        """Text that begins with `prefix`."""
        return StartsWith(self._column, self._text(prefix, "begins with"))

    def contains(self, part: str) -> Condition:
        """Text that has `part` somewhere."""
        return Contains(self._column, self._text(part, "contains"))

    def glob(self, pattern: str) -> Condition:
        """Paths that a pattern stands for: `*`, `?` and `[a-z]` within a segment, `**` for any number of segments."""
        if self.name != "path":
            raise InvalidError(f"{self.name} has no glob: only path is matched by patterns", op="query")
        matches = Matches(self._text(pattern, "is matched by a glob, which is"))
        return Comparison(self._column, "==", matches.pattern) if matches.glob.exact else matches

    def isin(self, values: Iterable[str | float | bool | datetime]) -> Condition:
        """Equal to one of the values; to none where there are none."""
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise InvalidError(f"{self.name}.isin takes a list of values, not {shown(values)}", op="query")
        found: dict[str, list[Literal_]] = {}
        for value in values:
            column, literal = self._stored(value)
            found.setdefault(column, []).append(literal)
        parts = tuple(In(column, tuple(found[column])) for column in sorted(found))
        if len(parts) > 1:
            return Any(parts)
        return parts[0] if parts else In(self._column, ())

    def between(self, low: str | float | datetime, high: str | float | datetime) -> Condition:
        """From `low` to `high`, both included."""
        (first, least), (second, most) = self._stored(low), self._stored(high)
        if first != second or kind_of(least) is not kind_of(most):
            given = f"{shown(low)} and {shown(high)}"
            raise InvalidError(f"{self.name} is between two values of one type, not {given}", op="query")
        return self._compare(">=", low) & self._compare("<=", high)

    def exists(self) -> Condition:
        """Files that have it. Only `md5`, `modified` and metadata may be missing."""
        return Exists(self.columns)

    @property
    def _column(self) -> str:
        """Its only column, or that of metadata's text."""
        return self.columns[0]

    def _text(self, text: object, told: str) -> str:
        if self.type not in (None, TEXT):
            raise InvalidError(f"{self.name} is {self.type}: it has no text that {told} {shown(text)}", op="query")
        if not isinstance(text, str):
            raise InvalidError(f"{self.name} {told} text, not {shown(text)}", op="query")
        return self._normal(text)

    def _normal(self, text: str) -> str:
        return normalize("NFC", text) if self.name == "path" else text  # as paths are kept

    def _compare(self, operator: Operator, literal: object) -> Condition:
        if isinstance(literal, bool) and operator not in ("==", "!="):
            raise InvalidError(f"{self.name}: a truth value can be compared with == and != only", op="query")
        column, stored = self._stored(literal)
        return Comparison(column, operator, stored)

    def _stored(self, literal: object) -> tuple[str, Literal_]:
        """The column that a value of this type is kept in, and the value as it is kept."""
        match self.type, literal:
            case None, datetime():
                return self.columns[1], self._moment(literal)
            case None, _:
                return self._column, checked_literal(literal, self.name)
            case _, bool():
                pass
            case (type_, datetime()) if type_ == TIME:
                return self._column, self._moment(literal)
            case (type_, str()) if type_ == TEXT:
                return self._column, self._normal(checked_literal(literal, self.name))  # type: ignore[arg-type]
            case (type_, int()) if type_ == WHOLE:
                return self._column, checked_literal(literal, self.name)
            case (type_, float()) if type_ == WHOLE and literal.is_integer():
                return self._column, checked_literal(int(literal), self.name)
        raise InvalidError(f"{self.name} is compared with {self.type}, not with {shown(literal)}", op="query")

    def _moment(self, time: datetime) -> int:
        if time.utcoffset() is None:
            message = f"{self.name}: a datetime needs a time zone, such as datetime.now(UTC), not {shown(time)}"
            raise InvalidError(message, op="query")
        if not in_calendar(time):
            raise InvalidError(f"{self.name}: {time} is outside the calendar in UTC", op="query")
        return microseconds(time)


class _Meta:
    """`F.meta["owner"]`: a key of the user's metadata."""

    def __getitem__(self, key: str) -> Field:
        if not is_key(key):
            raise InvalidError(f"a metadata key is {KEY_RULE}, not {shown(key)}", op="query")
        return Field(name := META + key, columns_of(name), None)


class _Fields:
    """`F`: the fields of a file, by name."""

    meta: Final = _Meta()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise InvalidError(f"F.{name} is compared with a value, F.{name} == {value!r}, not set", op="query")

    def __getattr__(self, name: str) -> Field:
        if name.startswith("_"):  # what tools ask of any object
            raise AttributeError(name)
        return field_named(name)


F: Final = _Fields()


def field_named(name: str) -> Field:
    """The field of this name: one of FIELDS, or `meta.KEY`. Raises: InvalidError."""
    if name.startswith(META):
        return F.meta[name.removeprefix(META)]
    if name not in FIELDS:
        raise InvalidError(f"there is no field {name!r}: use meta.KEY or one of {', '.join(FIELDS)}", op="query")
    _, type_ = FIELDS[name]
    return Field(name, columns_of(name), type_)
