"""An Arrow dataset, as far as DuckDB asks one: its schema, and batches of the columns and rows that a scan wants.

That is the one door by which a program tells DuckDB "not all of it is here yet": DuckDB passes on which columns a
statement needs, and a filter that it then takes for granted. So the filter is applied here, batch by batch, and what it
looks at is read as well.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .arrow import imported

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Callable[[Sequence[str]], "Iterable[pa.RecordBatch]"]
"""All batches, with just these columns."""


def scannable(schema: "pa.Schema", batches: Columns) -> Any:
    """The dataset. It may be scanned several times, also at once; each time its batches are asked for anew."""
    arrow = imported("sql")
    from pyarrow.dataset import Dataset

    class Scan:
        def __init__(self, columns: Sequence[str], only: Any) -> None:
            self._columns = columns
            self._only = only

        def to_reader(self) -> Any:
            """Its batches. They are asked for when the first one is."""
            read = [*self._columns, *(name for name in looked_at(schema, self._only) if name not in self._columns)]
            shown = arrow.schema([schema.field(name) for name in self._columns])
            return arrow.RecordBatchReader.from_batches(shown, (self._wanted(batch) for batch in batches(read)))

        def _wanted(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
            kept = batch if self._only is None else batch.filter(self._only)
            return kept.select(self._columns)

    class Files(Dataset):  # type: ignore[misc]
        def __init__(self) -> None:
            """Nothing of its parent's: that one is a handle of C++."""

        @property
        def schema(self) -> "pa.Schema":
            """All columns."""
            return schema

        def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> Scan:  # noqa: A002
            """A scan of some columns, None: all, and of the rows for which the filter holds."""
            return Scan(schema.names if columns is None else list(columns), filter)

    return Files()


def looked_at(schema: "pa.Schema", only: Any) -> Sequence[str]:
    """The columns that a filter of Arrow's looks at: those without which it cannot be told of a table."""
    if only is None:
        return ()
    arrow, empty = imported("sql"), schema.empty_table()

    def is_told_without(name: str) -> bool:
        try:
            empty.drop_columns([name]).filter(only)
        except arrow.ArrowInvalid:
            return False
        return True

    return [name for name in schema.names if not is_told_without(name)]
