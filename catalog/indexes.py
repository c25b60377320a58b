"""Secondary indexes: the rows of a volume's files once more, in order of other fields than the path. Pure.

An index has one row for each file of a shard, beside its head, with all of the head's columns: whoever finds it there
need not read the head. Its key is `x`, the index's id, a part for each field (`index_keys`) and the path, so the rows
are in order of the first field, then of the second, and in the end of the path. A file that lacks a field has a row as
well. Of a path that is too long for a key only the beginning stands in it, and a hash.

Rows change in the transaction that changes the head, never by themselves, so index and head never disagree. What keeps
that true while indexes come and go is a mark in each head, `indexed`: the ids of the indexes that have a row of it.
Whoever replaces a head removes the rows that its mark names, these and no others, and adds those of the indexes that
its own settings know. Settings turn one generation at a time, with gates (`turnover`), so:

- Once the gates are turned, every write adds to a new index. Files that were there before are added one by one, each
  under its head's etag, by `filling`. When none is left, the index is `ready`, and queries may use it.
- Once they are turned for a drop, no write adds to it. Heads are unmarked one by one, their rows removed. When none is
  left, its definition goes. Its id is never used again.
- Whoever meets a mark that it does not know has old settings, and is refused, as its gate will be.
"""

from collections.abc import Sequence
from typing import Final

from .entities import Index
from .errors import InvalidError
from .index_keys import part
from .keys import RowRange, fitted, index_beginning, index_rows
from .literals import DIGEST, FIELDS, LEARNED_DIGEST, META, columns_of, is_time
from .metadata import KEY_RULE, is_key
from .rows import KEY_UNITS_MAX, Value, Values

INDEXES_MAX: Final = 8
"""Of a volume: a commit writes a head once more for each, and a transaction holds a hundred rows and 4 MiB."""
FIELDS_MAX: Final = 3
"""Of an index: each takes up to 129 of the 512 units of a key."""


def check_index(on: Sequence[object]) -> tuple[str, ...]:
    """The fields of an index, as they are kept. Raises: InvalidError, naming what is no field."""
    fields = tuple(_field(each) for each in on)
    if not 1 <= len(fields) <= FIELDS_MAX:
        raise InvalidError(f"an index is on one to {FIELDS_MAX} fields, not on {len(fields)}", op="create_index")
    names = [plain(field) for field in fields]
    if len(set(names)) < len(names):
        raise InvalidError(f"an index names a field once: {', '.join(fields)}", op="create_index")
    return fields


def _field(given: object) -> str:
    if not isinstance(given, str):
        message = f"a field of an index is its name, such as 'meta.owner' or '-created', not {given!r}"
        raise InvalidError(message, op="create_index")
    name = plain(given)
    if name.startswith(META):
        if is_key(name.removeprefix(META)):
            return given
        raise InvalidError(f"{name!r} is no metadata key: it must be {KEY_RULE}", op="create_index")
    if name == "path":
        message = "files are in order of path already: an index is on other fields, such as 'meta.owner'"
        raise InvalidError(message, op="create_index")
    if name not in FIELDS:
        known = ", ".join(field for field in FIELDS if field != "path")
        raise InvalidError(f"there is no field {name!r}: use meta.KEY or one of {known}", op="create_index")
    return given


def plain(field: str) -> str:
    """A field of an index, without its direction."""
    return field.removeprefix("-")


def descends(field: str) -> bool:
    """Whether an index has a field's highest values first."""
    return field.startswith("-")


def index_row(index: Index, values: Values) -> str:
    """The key of the row that a file has in an index. `values`: the columns of its head, or of its version."""
    key = index_beginning(index.id) + "".join(
        part(value, time=time, descending=descends(field))
        for field in index.on
        for value, time in [_value(plain(field), values)]
    )
    return key + fitted(str(values["path"]), KEY_UNITS_MAX - len(key))


def all_of(index: Index) -> RowRange:
    """All rows of an index in a shard."""
    return index_rows(index.id)


def columns_read(indexes: Sequence[Index]) -> tuple[str, ...]:
    """The columns that `index_row` asks of a row."""
    found = {"path", DIGEST, LEARNED_DIGEST}
    for index in indexes:
        for field in index.on:
            found.update(columns_of(plain(field)))
    return tuple(sorted(found))


def _value(field: str, values: Values) -> tuple[Value | None, bool]:
    """A field's value in a row, and whether it is a time."""
    if field == DIGEST:
        return values[DIGEST] or values.get(LEARNED_DIGEST, ""), False
    for column in reversed(columns_of(field)):
        if (value := values.get(column)) is not None:
            return value, is_time(column)
    return None, False
