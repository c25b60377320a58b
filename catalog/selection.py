"""Some of a file's fields: in which columns they are kept, and how they are read back. Pure.

Fields have the names that conditions have: `path`, `size`, `meta.owner`; and `metadata` is all of a user's keys. What a
file does not have is None, so that every file has every field that was asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .errors import InvalidError
from .literals import DIGEST, FIELDS, LEARNED_DIGEST, META, TIME, columns_of
from .metadata import KEY_RULE, is_key, parse_metadata
from .pushdown import ALWAYS_THERE
from .rows import Values
from .times import from_microseconds

METADATA: Final = "metadata"
NAMES: Final = (*FIELDS, METADATA)
"""The fields that every file has; those of a user's metadata are `meta.KEY`."""

Reading = Callable[[Values], Any]


@dataclass(frozen=True, slots=True)
class Selected:
    """A field that is wanted."""

    name: str
    columns: Sequence[str] | None
    """What it is kept in; None: in columns that nobody knows beforehand."""
    kind: str | None
    """TEXT, WHOLE or TIME of `literals`; None: each file may have another (user metadata)."""
    read: Reading
    """Its value, of the columns of a row. Raises: KeyError, for a row that lacks what every row has."""

    raw: Reading
    """The same, but a time of our own as it is kept, in microseconds."""


def selected(op: str, names: Sequence[str], *, least: int = 1) -> Sequence[Selected]:
    """The fields with these names. Raises: InvalidError, naming the one that is none, or stands there twice."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InvalidError(f"fields are named one by one, as in ['path', 'size'], not {names!r}", op=op)
    if len(names) < least:
        raise InvalidError(f"name at least one field: {', '.join(NAMES)} or meta.KEY", op=op)
    fields = [_field(op, name) for name in names]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidError(f"{name} is named twice", op=op)
    return fields


def columns_with(fields: Sequence[Selected]) -> Sequence[str] | None:
    """The columns that are to be read; None: all of them."""
    found: list[str] = []
    for field in fields:
        if field.columns is None:
            return None
        found += field.columns
    return found


def _field(op: str, name: str) -> Selected:
    if isinstance(name, str) and name.startswith(META):
        if not is_key(name.removeprefix(META)):
            raise InvalidError(f"there is no field {name!r}: a metadata key is {KEY_RULE}", op=op)
        return Selected(name, columns_of(name), None, read := _meta(*columns_of(name)), read)
    if name == METADATA:
        return Selected(name, None, None, parse_metadata, parse_metadata)
    if not isinstance(name, str) or name not in FIELDS:
        raise InvalidError(f"there is no field {name!r}: use {', '.join(NAMES)} or meta.KEY", op=op)
    column, kind = FIELDS[name]
    if name == DIGEST:  # of adopted content it is learned later, and kept beside
        return Selected(name, (DIGEST, LEARNED_DIGEST), kind, _digest, _digest)
    raw = _plain(column)
    return Selected(name, (column,), kind, _time(raw) if kind == TIME else raw, raw)


def _plain(column: str) -> Reading:
    return (lambda values: values[column]) if column in ALWAYS_THERE else (lambda values: values.get(column))


def _time(raw: Reading) -> Reading:
    def read(values: Values) -> Any:
        stamp = raw(values)
        return None if stamp is None else from_microseconds(stamp)

    return read


def _digest(values: Values) -> Any:
    return values[DIGEST] or values.get(LEARNED_DIGEST, "")


def _meta(plain: str, timed: str) -> Reading:
    def read(values: Values) -> Any:
        if (value := values.get(plain)) is not None:
            return value
        stamp: Any = values.get(timed)
        return None if stamp is None else from_microseconds(stamp)

    return read
