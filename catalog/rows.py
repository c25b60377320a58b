"""An entity as an Azure table keeps it: keys, typed values, and the limits of both. Pure.

The rules are the service's ("Understanding the Table service data model"). They are checked before the wire, so that
SQLite is as strict as Azure, and Azurite, which lacks most of them, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

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


def entity_bytes(partition: str, row: str, values: Values) -> int:
    """The size of an entity by the service's own formula. Raises: InvalidError, TooLargeError, for a wrong value."""
    size = 4 + 2 * (units(partition) + units(row))
    for name, value in values.items():
        size += _name_bytes(name)
        kind = type(value)
        if kind is str and value.isascii() and len(value) <= STRING_UNITS_MAX:  # type: ignore[union-attr, arg-type]
            size += 4 + 2 * len(value)  # type: ignore[arg-type]  # what most values are
        elif kind is bool:
            size += 1
        else:
            size += _value_bytes(row, name, value)
    return size


@lru_cache(maxsize=4096)
def _name_bytes(name: str) -> int:
    if not name.isidentifier() or units(name) > NAME_UNITS_MAX or name in RESERVED_NAMES:
        raise InvalidError(f"{name!r} is no name for a property", op="submit", key=name)
    return 8 + 2 * units(name)


def _value_bytes(row: str, name: str, value: object) -> int:
    match value:
        case str() if LONE_SURROGATE.search(value):
            raise InvalidError(f"{name} contains a lone surrogate", op="submit", key=row)
        case str() if units(value) > STRING_UNITS_MAX:
            raise TooLargeError(f"{name} is at most {STRING_UNITS_MAX:,} UTF-16 units long", op="submit", key=row)
        case str():
            return 4 + 2 * units(value)
        case int() if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidError(f"{name} does not fit into 64 bits", op="submit", key=row)
        case float() if not isfinite(value):
            raise InvalidError(f"{name} is not a finite number", op="submit", key=row)
        case int() | float():
            return 8
    raise InvalidError(f"{name} is text, a number or a truth value, not {type(value).__name__}", op="submit", key=row)


def check_key(which: str, key: str, *, op: str = "submit") -> None:
    """Refuse a key that Azure does not take. Raises: InvalidError, TooLargeError."""
    if units(key) > KEY_UNITS_MAX:
        raise TooLargeError(f"{which} is at most {KEY_UNITS_MAX} UTF-16 units long", op=op, key=key)
    if wrong := _NOT_IN_KEYS.search(key):
        raise InvalidError(f"{which} may not contain {wrong[0]!r}", op=op, key=key)


def check_range(partition: str, rows: RowRange) -> None:
    """Refuse a range that no key could bound. Raises: InvalidError, TooLargeError."""
    check_key("PartitionKey", partition, op="query")
    for bound in (rows.first, rows.stop):
        if units(bound) > BOUND_UNITS_MAX:
            raise TooLargeError(f"a bound is at most {BOUND_UNITS_MAX} UTF-16 units long", op="query", key=partition)
        if wrong := _NOT_IN_KEYS.search(bound):
            raise InvalidError(f"a bound may not contain {wrong[0]!r}", op="query", key=partition)


def check_values(partition: str, row: str, values: Values) -> int:
    """Refuse values that Azure does not take, and return the entity's size. Raises: InvalidError, TooLargeError."""
    if len(values) > PROPERTIES_MAX:
        message = f"an entity has at most {PROPERTIES_MAX} properties, not {len(values)}"
        raise TooLargeError(message, op="submit", key=row)
    size = entity_bytes(partition, row, values)
    if size > ENTITY_BYTES_MAX:
        raise TooLargeError("an entity is at most 1 MiB large", op="submit", key=row)
    return size
