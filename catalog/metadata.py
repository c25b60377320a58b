"""A user's metadata: what they may be, and the columns that they are kept in. Pure.

Columns are `m_<key>`, and `t_<key>` for datetimes, which are kept as whole microseconds: a row alone says its types.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeGuard, cast

from storage.names import LONE_SURROGATE

from .errors import InvalidError, TooLargeError
from .rows import INT64_MAX, INT64_MIN, STRING_UNITS_MAX, Value, Values, units
from .times import from_microseconds, in_calendar, microseconds

METADATA_KEYS_MAX: Final = 200
METADATA_BYTES_MAX: Final = 512 << 10  # a commit holds it twice, in the head and in the version
KEY_CHARACTERS_MAX: Final = 128
KEY_RULE: Final = f"an ASCII identifier of at most {KEY_CHARACTERS_MAX} characters"
"""What a key is, as messages say it."""

Metadata = Mapping[str, str | int | float | bool | datetime]


def is_key(key: object) -> TypeGuard[str]:
    """Whether it can be a key of metadata."""
    return isinstance(key, str) and key.isidentifier() and key.isascii() and len(key) <= KEY_CHARACTERS_MAX


def check_metadata(metadata: Metadata | None) -> Metadata:
    """A private copy of the metadata, datetimes in UTC. Raises: InvalidError, TooLargeError, naming key and rule."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidError(f"metadata is a mapping, not {type(metadata).__name__}", op="metadata")
    if len(metadata) > METADATA_KEYS_MAX:
        message = f"metadata has at most {METADATA_KEYS_MAX} keys, not {len(metadata)}"
        raise TooLargeError(message, op="metadata")
    checked = {key: _check_item(key, value) for key, value in metadata.items()}
    if sum(len(json.dumps(value, default=str)) + len(key) for key, value in checked.items()) > METADATA_BYTES_MAX:
        raise TooLargeError(f"metadata takes at most {METADATA_BYTES_MAX >> 10} KiB as JSON", op="metadata")
    return checked


def _check_item(key: str, value: object) -> str | int | float | bool | datetime:  # noqa: C901 — one case per type
    if not is_key(key):
        raise InvalidError(f"metadata key {key!r} is no identifier: it must be {KEY_RULE}", op="metadata")
    match value:
        case bool():
            return value
        case str():
            if units(value) > STRING_UNITS_MAX:
                message = f"metadata {key!r} is at most {STRING_UNITS_MAX:,} UTF-16 units long, not {units(value):,}"
                raise TooLargeError(message, op="metadata")
            if LONE_SURROGATE.search(value):
                raise InvalidError(f"metadata {key!r} contains a lone surrogate", op="metadata")
            return value
        case int():
            if not INT64_MIN <= value <= INT64_MAX:
                raise InvalidError(f"metadata {key!r} does not fit into 64 bits", op="metadata")
            return value
        case float():
            if not math.isfinite(value):
                raise InvalidError(f"metadata {key!r} is {value}, not a finite number", op="metadata")
            return value
        case datetime():
            if not in_calendar(value):
                raise InvalidError(f"metadata {key!r} is a datetime without a time zone, or too far", op="metadata")
            return value.astimezone(UTC)
    kinds = "str, int, float, bool or datetime"
    raise InvalidError(f"metadata {key!r} is {type(value).__name__}; it must be {kinds}", op="metadata")


def metadata_values(metadata: Metadata) -> dict[str, Value]:
    """Metadata as columns."""
    return {
        ("t_" + key if isinstance(value, datetime) else "m_" + key): (
            microseconds(value) if isinstance(value, datetime) else value
        )
        for key, value in metadata.items()
    }


def parse_metadata(values: Values) -> Metadata:
    """The metadata among the columns of a row."""
    return {
        key: from_microseconds(cast("int", values[name])) if timed else values[name]
        for name, key, timed in _metadata_columns(tuple(values))
    }


@lru_cache(maxsize=1024)
def _metadata_columns(names: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    """Of a row's columns, those with metadata: the key, and whether its value is a time."""
    return [(name, name[2:], name[0] == "t") for name in names if name[1:2] == "_" and name[0] in "mt"]
