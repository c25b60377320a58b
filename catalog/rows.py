"""An entity as an Azure table keeps it: keys, typed values, and the limits of both. Pure.

The rules are the service's ("Understanding the Table service data model"). They are checked before the wire, so that
SQLite is as strict as Azure, and Azurite, which lacks most of them, too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Final

from storage.names import LONE_SURROGATE

from .errors import InvalidError, TooLargeError
from .keys import RowRange

Value = str | int | float | bool
Values = Mapping[str, Value]

ENTITY_BYTES_MAX = 1 << 20
PROPERTIES_MAX = 252
NAME_UNITS_MAX = 255
STRING_UNITS_MAX = 32_768
KEY_UNITS_MAX = 512
BOUND_UNITS_MAX = KEY_UNITS_MAX + 2  # a prefix of the longest key, and what closes it
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
RESERVED_NAMES = frozenset({"PartitionKey", "RowKey", "Timestamp", "etag"})

_BYTES: Final[Mapping[type, int]] = {bool: 1, str: 4, int: 8, float: 8}  # and for text, two for each of its units
_NOT_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entity:
    """A row as it was read."""

    partition: str
    row: str
    values: Values
    etag: str
    timestamp: int  # µs since 1970, by the service's clock, of the row's last change


def units(text: str) -> int:
    """The length of a string as Azure counts it, in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What rows with the same columns of the same types have in common: nearly all rows of a table have one of few.

    So what follows from names and types alone is found once, and not for each row.
    """

    bytes: int
    """What names and types take of the entity's size, by the service's own formula."""
    names: tuple[str, ...]
    """All columns, in order."""
    texts: tuple[str, ...]
    """The columns that hold text."""
    integers: tuple[str, ...]
    """The columns that hold whole numbers; those with truth values are not among them."""
    floats: tuple[str, ...]
    """The columns that hold floating numbers."""

    def text(self, values: Values) -> str:
        """All text of a row, in one."""
        return "".join([values[name] for name in self.texts])  # type: ignore[misc]


def shape(values: Values) -> Shape:
    """The shape of a row's values. Raises: InvalidError, TooLargeError, for names and types that no row has."""
    return _shape(tuple(values), tuple(map(type, values.values())))


@lru_cache(maxsize=1024)
def _shape(names: tuple[str, ...], types: tuple[type, ...]) -> Shape:
    if len(names) > PROPERTIES_MAX:
        message = f"an entity has at most {PROPERTIES_MAX} properties, not {len(names)}"
        raise TooLargeError(message, op="submit", key=names[0])
    columns: dict[type, list[str]] = {bool: [], str: [], int: [], float: []}
    size = 4
    for name, kind in zip(names, types, strict=True):
        if not name.isidentifier() or units(name) > NAME_UNITS_MAX or name in RESERVED_NAMES:
            raise InvalidError(f"{name!r} is no name for a property", op="submit", key=name)
        base = next((base for base in columns if issubclass(kind, base)), None)
        if base is None:
            message = f"{name} is text, a number or a truth value, not {kind.__name__}"
            raise InvalidError(message, op="submit", key=name)
        columns[base].append(name)
        size += 8 + 2 * units(name) + _BYTES[base]
    return Shape(size, names, tuple(columns[str]), tuple(columns[int]), tuple(columns[float]))


def entity_bytes(partition: str, row: str, values: Values, kinds: Shape | None = None) -> int:
    """The size of an entity by the service's own formula. Raises: InvalidError, TooLargeError, for a wrong value.

    `kinds`: its shape, where that is known already.
    """
    kinds = kinds or shape(values)
    for name in kinds.integers:
        if not INT64_MIN <= values[name] <= INT64_MAX:  # type: ignore[operator]
            raise InvalidError(f"{name} does not fit into 64 bits", op="submit", key=row)
    for name in kinds.floats:
        if not isfinite(values[name]):  # type: ignore[arg-type]
            raise InvalidError(f"{name} is not a finite number", op="submit", key=row)
    text = kinds.text(values)
    length = len(text)
    if not text.isascii() or length > STRING_UNITS_MAX:
        for name in kinds.texts:
            _check_text(row, name, values[name])  # type: ignore[arg-type]
        length = units(text)
    return kinds.bytes + 2 * (units(partition) + units(row) + length)


def _check_text(row: str, name: str, text: str) -> None:
    if LONE_SURROGATE.search(text):
        raise InvalidError(f"{name} contains a lone surrogate", op="submit", key=row)
    if units(text) > STRING_UNITS_MAX:
        raise TooLargeError(f"{name} is at most {STRING_UNITS_MAX:,} UTF-16 units long", op="submit", key=row)


def check_key(which: str, key: str, *, op: str = "submit") -> None:
    """Refuse a key that Azure does not take. Raises: InvalidError, TooLargeError."""
    if units(key) > KEY_UNITS_MAX:
        raise TooLargeError(f"{which} is at most {KEY_UNITS_MAX} UTF-16 units long", op=op, key=key)
    if wrong := _NOT_IN_KEYS.search(key):
        raise InvalidError(f"{which} may not contain {wrong[0]!r}", op=op, key=key)


def check_keys(which: str, keys: Sequence[str]) -> None:
    """Refuse keys of which Azure does not take one. Raises: InvalidError, TooLargeError."""
    together = "".join(keys)
    if len(max(keys, key=len)) > KEY_UNITS_MAX or not together.isascii() or _NOT_IN_KEYS.search(together):
        for key in keys:
            check_key(which, key)


def check_range(partition: str, rows: RowRange) -> None:
    """Refuse a range that no key could bound. Raises: InvalidError, TooLargeError."""
    check_key("PartitionKey", partition, op="query")
    for bound in (rows.first, rows.stop):
        if units(bound) > BOUND_UNITS_MAX:
            raise TooLargeError(f"a bound is at most {BOUND_UNITS_MAX} UTF-16 units long", op="query", key=partition)
        if wrong := _NOT_IN_KEYS.search(bound):
            raise InvalidError(f"a bound may not contain {wrong[0]!r}", op="query", key=partition)


def check_values(partition: str, row: str, values: Values, kinds: Shape | None = None) -> int:
    """Refuse values that Azure does not take, and return the entity's size. Raises: InvalidError, TooLargeError."""
    size = entity_bytes(partition, row, values, kinds)
    if size > ENTITY_BYTES_MAX:
        raise TooLargeError("an entity is at most 1 MiB large", op="submit", key=row)
    return size
