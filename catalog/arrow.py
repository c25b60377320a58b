"""Rows as Arrow's record batches: all batches of a stream have one schema, whatever the files have.

Our own fields have types of their own. A user's metadata have not: each file says its own, and nobody knows the keys
beforehand. So `metadata` is a map from text to text, in which `5` and `"5"` look alike; and `meta.KEY` is a column
`meta_KEY` with one type, the one that the caller names for it, or else the first batch's. A value that does not fit
into it is an error that says what would, not a null and not a number that it never was.

pyarrow is imported by whoever asks for a batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from .columns import parse_fields
from .errors import IntegrityError, InvalidError
from .literals import META, TEXT, TIME, WHOLE
from .metadata import KEY_RULE, Metadata, is_key
from .rows import Entity
from .selection import METADATA, Selected, columns_with

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS: Final = 10_000

Types = Mapping[str, type]
"""Of some `meta.KEY`: str, int, float, bool or datetime."""

_SAID: Final[Mapping[type, str]] = {
    str: "text", int: "a whole number", float: "a number", bool: "a truth value", datetime: "a time"
}  # fmt: skip
_TAKES: Final[Mapping[type, frozenset[type]]] = {kind: frozenset({kind}) for kind in _SAID} | {
    float: frozenset({float, int})
}


def imported(op: str) -> Any:
    """The package pyarrow. Raises: InvalidError, which says how to get it."""
    try:
        import pyarrow  # noqa: ICN001 — only who uses it pays for it
    except ImportError as exc:
        message = "Arrow needs pyarrow, which is not installed: pip install 'blobcat[arrow]'"
        raise InvalidError(message, op=op, kind="invalid.missing-extra") from exc
    return pyarrow


def column_name(field: str) -> str:
    """What a field's column is called: `meta_owner` for `meta.owner`."""
    return "meta_" + field.removeprefix(META) if field.startswith(META) else field


def checked_types(op: str, types: Types | None) -> Types:
    """Raises: InvalidError for what is no type of a key of metadata."""
    if types is not None and not isinstance(types, Mapping):
        raise InvalidError(f"types is a mapping, such as {{'meta.n': float}}, not {types!r}", op=op)
    for name, kind in (types or {}).items():
        if not isinstance(name, str) or not name.startswith(META):
            raise InvalidError(f"types are said of meta.KEY, not of {name!r}: other fields have their own", op=op)
        if not is_key(name.removeprefix(META)):
            raise InvalidError(f"types are said of meta.KEY, not of {name!r}: a metadata key is {KEY_RULE}", op=op)
        if kind not in _SAID:
            raise InvalidError(f"{name} is str, int, float, bool or datetime, not {kind!r}", op=op)
    return types or {}


class Batches:
    """Makes record batches of rows. The first one fixes the schema."""

    def __init__(
        self, op: str, fields: Sequence[Selected], types: Types | None, *, guessed: Types | None = None
    ) -> None:
        self._pa = imported(op)
        self._op = op
        self._fields = fields
        self._reads = [field.raw for field in fields]
        self._said = dict(checked_types(op, types))
        self._kinds = dict(guessed or {})
        for name in self._said:
            if name not in [field.name for field in fields]:
                raise InvalidError(f"types names {name}, which is not among the columns", op=op)

    def __repr__(self) -> str:
        return f"<Batches of {', '.join(field.name for field in self._fields)}>"

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns of rows that are needed; None: all."""
        return columns_with(self._fields)

    def of(self, rows: Sequence[Entity]) -> "pa.RecordBatch":
        """A batch of these rows. Raises: InvalidError (a value that fits in no column, or a newer schema)."""
        read = [parse_fields(row, self._reads) for row in rows]
        columns = zip(*read, strict=True) if read else [() for _ in self._fields]
        arrays = [self._array(field, values, rows) for field, values in zip(self._fields, columns, strict=True)]
        return self._pa.record_batch(arrays, names=[column_name(field.name) for field in self._fields])

    def _array(self, field: Selected, values: Sequence[Any], rows: Sequence[Entity]) -> "pa.Array":
        if field.name == METADATA:
            values = [[(key, _text(value)) for key, value in each.items()] for each in values]
        elif field.kind is None:
            values = self._fitting(field.name, values, rows)
        try:
            return self._pa.array(values, type=_type(self._pa, field, self._kinds))
        except (self._pa.ArrowInvalid, self._pa.ArrowTypeError, OverflowError) as exc:
            where = f"a row from {rows[0].row} to {rows[-1].row} holds what can be no {field.name}"
            raise IntegrityError(where, op=self._op, key=rows[0].row, kind="integrity.row") from exc

    def _fitting(self, name: str, values: Sequence[Any], rows: Sequence[Entity]) -> Sequence[Any]:
        """The values, all of the column's type. Raises: InvalidError, naming a file with one that does not fit."""
        if self._said.get(name) is str:
            self._kinds[name] = str
            return [value if value is None else _text(value) for value in values]
        found = set(map(type, values)) - {type(None)}
        if name not in self._kinds:
            self._kinds[name] = self._said.get(name) or kind_of(values)
        kind = self._kinds[name]
        if found <= {kind}:
            return values
        for value, row in zip(values, rows, strict=True):
            if value is not None and not _fits(value, kind):
                raise self._unfit(name, kind, value, str(row.values["path"]))
        return [value if value is None else kind(value) for value in values]

    def _unfit(self, name: str, kind: type, value: object, path: str) -> InvalidError:
        why = "as types says" if name in self._said else "as the first files have it, or none of them did"
        said, also = _SAID[type(value)], " or float" if {kind, type(value)} == {int, float} else ""
        if kind is float and type(value) is int:
            said, also = "a whole number that no floating one is equal to", ""
        message = (
            f"{name} of file {path!r} is {said}, but its column is of {kind.__name__}, {why}: "
            f"say types={{'{name}': str}}{also}, where all of them fit"
        )
        return InvalidError(message, op=self._op, key=path, kind="invalid.type")


def typed_schema(fields: Sequence[Selected], kinds: Types) -> "pa.Schema":
    """The schema of batches of these fields, with these types of those of metadata."""
    pa = imported("to_arrow")
    return pa.schema([(column_name(field.name), _type(pa, field, kinds)) for field in fields])


def _type(pa: Any, field: Selected, kinds: Types) -> "pa.DataType":
    time = pa.timestamp("us", "UTC")
    if field.name == METADATA:
        return pa.map_(pa.string(), pa.string())
    if field.kind is not None:
        return {TEXT: pa.string(), WHOLE: pa.int64(), TIME: time}[field.kind]
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: time}
    return types[kinds[field.name]]


def _fits(value: Any, kind: type) -> bool:
    """Whether a column of this kind holds this very value."""
    if type(value) is int and kind is float:
        return int(float(value)) == value
    return type(value) in _TAKES[kind]


def kind_of(values: Sequence[Any]) -> type:
    """The type of a column that is to hold these: the first one's, or floating where whole ones are mixed with it."""
    found = [type(value) for value in values if value is not None]
    if not found:
        return str
    return float if found[0] is int and float in found else found[0]


def as_reader(batches: "Iterator[pa.RecordBatch]") -> "pa.RecordBatchReader":
    """What synchronous consumers of Arrow read: of batches, of which there is at least one."""
    first = next(batches)
    return imported("to_arrow").RecordBatchReader.from_batches(first.schema, chain([first], batches))


def _text(value: Metadata | Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
