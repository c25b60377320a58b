"""A query: what was asked of a volume, and the forms in which its answer can be had.

Making one sends nothing. Each iteration asks anew, so one query can be answered many times, each time as the volume is
then. It knows forms; which rows are read, and how, its `Source` decides.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from .arguments import check_flags, check_whole
from .arrow import BATCH_ROWS, Batches, Types, imported, kind_of
from .columns import parse_fields, parse_told
from .counting import Counter, CountReport
from .entities import FileVersion
from .errors import InvalidError
from .explanation import Explanation
from .rows import Entity
from .selection import METADATA, NAMES, Selected, columns_with, selected
from .sql import MEMORY_BYTES, Sql

if TYPE_CHECKING:
    import pyarrow as pa

_GUESSED_FROM: Final = 1_000


class Source(Protocol):
    """Where the rows of a query come from."""

    def runs(self, select: Sequence[str] | None = None) -> AsyncGenerator[Sequence[Entity], None]:
        """The rows for which the query's condition holds, in its order, many at a time; no run is empty.

        `select` names the columns that are wanted beside `schema` and `path`, None: all of them. Others may come along,
        absent ones do not. A head that a move has claimed is settled first.
        Raises: NotFoundError (no catalog), AccessDeniedError, UnavailableError; what else the question may raise.
        """

    def token(self, row: Entity) -> str:
        """What a query goes on from, behind a row that `runs` gave."""

    async def explain(self, *, run: bool) -> Explanation:
        """What `Query.explain` says."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the files of an answer, one after the other."""

    files: Sequence[FileVersion]
    token: str | None
    """What a query of the same condition, prefix and order goes on from, `after=token`; None: there is no more."""


class Query:
    """The files for which a condition holds, in order of path or of an index. `async for file in query` gives them.

    Nothing is asked before somebody iterates, and every iteration asks anew. Not a snapshot: see N1 in the guarantees.
    """

    def __init__(self, volume: str, source: Source, *, limit: int | None = None) -> None:
        self.volume = volume
        self._source = source
        self._limit = limit if limit is None else check_whole("query", "limit", limit)

    def __repr__(self) -> str:
        most = "" if self._limit is None else f", at most {self._limit}"
        return f"<Query of {self.volume!r}: {self._source!r}{most}>"

    async def __aiter__(self) -> AsyncGenerator[FileVersion, None]:
        """The files, one by one, from the first on.

        Raises: NotFoundError (no catalog), AccessDeniedError, UnavailableError.
        """
        async with aclosing(self._runs()) as runs:
            async for run in runs:
                for row in run:
                    yield parse_told(self.volume, row)

    async def pages(self, size: int = 1000) -> AsyncIterator[Page]:
        """The files, so many at a time, each page with a token by which another process goes on behind it.

        Where there is a `limit`, the last page has a token if there are files beyond it. None is empty.
        Raises: InvalidError (of the size), and as iterating.
        """
        check_whole("pages", "size", size, least=1)
        left, rows = self._limit, list[Entity]()
        if left == 0:
            return
        async with aclosing(self._source.runs()) as runs:
            async for run in runs:
                for row in run:
                    if len(rows) == size or left == 0:
                        yield self._page(rows, self._source.token(rows[-1]))
                        rows = []
                        if left == 0:
                            return
                    rows.append(row)
                    left = None if left is None else left - 1
        if rows:
            yield self._page(rows, None)

    async def explain(self, *, run: bool = True) -> Explanation:
        """How the query is answered, and what that costs: what is read, what the service decides, estimated, actual.

        With `run` the query is run to its end and its requests are counted; without, it is only estimated, for which
        one page of one shard is read. Requests that settle a move are not counted, nor are those that are tried again
        beneath the table's client. Raises: InvalidError, and as iterating.
        """
        check_flags("explain", run=run)
        return await self._source.explain(run=run)

    def select(self, *names: str) -> AsyncIterator[dict[str, Any]]:
        """Some fields of the files, each file a dict: `query.select("path", "size", "meta.owner")`.

        Only these are read from the service, and what tells whether a file fits. Names are those of conditions,
        `meta.KEY`, and `metadata` for all of it, which reads everything. Times are datetimes; what a file does not have
        is None. Raises: InvalidError (at once, for what is no field), and as iterating.
        """
        return self._selected(names, selected("select", names))

    async def count(self, *, by: str | Sequence[str] = ()) -> CountReport:
        """How many files there are, and how large they are together; by the values of fields, if any are named.

        Only these fields are read. Memory is what the groups take: count by what has few values.
        Raises: InvalidError, and as iterating.
        """
        fields = selected("count", (by,) if isinstance(by, str) else by, least=0)
        if any(field.name == METADATA for field in fields):
            raise InvalidError("files cannot be counted by all metadata: name a key, as in meta.owner", op="count")
        counter = Counter([field.name for field in fields])
        sized = [*fields, *selected("count", ["size"])]
        reads = [field.read for field in sized]
        async with aclosing(self._runs(columns_with(sized))) as runs:
            async for run in runs:
                for row in run:
                    *values, size = parse_fields(row, reads)
                    counter.add(values, size)
        return counter.report()

    def to_arrow(
        self, columns: Sequence[str] | None = None, *, types: Types | None = None, batch_rows: int = BATCH_ROWS
    ) -> "AsyncIterator[pa.RecordBatch]":
        """The files as Arrow's record batches of one schema, in bounded memory; at least one, be it empty.

        `columns` are fields as for `select`; by default all that every file has, with `metadata` as a map of text to
        text. `meta.owner` becomes a column `meta_owner`. Its type is what `types` says, `{"meta.owner": str}`, where
        str takes any value; else that of the first batch. A file whose value does not fit is an error.
        Raises: InvalidError (at once, also where pyarrow is not installed: `blobcat[arrow]`), and as iterating.
        """
        fields = selected("to_arrow", NAMES if columns is None else columns)
        check_whole("to_arrow", "batch_rows", batch_rows, least=1)
        return self._batches(Batches("to_arrow", fields, types), batch_rows)

    async def to_table(self, columns: Sequence[str] | None = None, *, types: Types | None = None) -> "pa.Table":
        """All of `to_arrow` as one `pyarrow.Table`, in memory. Raises: as `to_arrow`."""
        batches = [batch async for batch in self.to_arrow(columns, types=types)]
        return imported("to_table").Table.from_batches(batches)

    async def sql(self, sql: str, *, types: Types | None = None, memory_bytes: int = MEMORY_BYTES) -> "pa.Table":
        """What a SELECT over these files says: `select meta_owner, sum(size) from files group by 1`, by DuckDB.

        The table `files` has the columns of `to_arrow`, and `meta_KEY` for each key that the text mentions; only those
        that are needed are read. The text can reach nothing else: no file, no network. The answer is in memory.
        `memory_bytes` is what DuckDB may take to find it.
        Raises: InvalidError (with what DuckDB says of the text; also where it is not installed: `blobcat[sql]`),
        TooLargeError (more memory than that), and as `to_arrow`.
        """

        def batches(names: Sequence[str], kinds: Types) -> "AsyncGenerator[pa.RecordBatch, None]":
            said = {name: kind for name, kind in kinds.items() if name in (types or {})}
            return self._batches(Batches("sql", selected("sql", names), said, guessed=kinds), BATCH_ROWS)

        return await Sql(sql, types, memory_bytes, batches, self._guessed).answer()

    async def _guessed(self, names: Sequence[str]) -> Types:
        """The types that these fields have, by what the first files say."""
        most = _GUESSED_FROM if self._limit is None else min(self._limit, _GUESSED_FROM)
        first = [each async for each in Query(self.volume, self._source, limit=most).select(*names)]
        return {name: kind_of([each[name] for each in first]) for name in names}

    async def _batches(self, batches: Batches, rows_max: int) -> "AsyncGenerator[pa.RecordBatch, None]":
        waiting: list[Entity] = []
        made = False
        async with aclosing(self._runs(batches.columns)) as runs:
            async for run in runs:
                waiting += run
                while len(waiting) >= rows_max:
                    made = True
                    yield batches.of(waiting[:rows_max])
                    del waiting[:rows_max]
        if waiting or not made:
            yield batches.of(waiting)

    async def _selected(self, names: Sequence[str], fields: Sequence[Selected]) -> AsyncGenerator[dict[str, Any], None]:
        reads = [field.read for field in fields]
        async with aclosing(self._runs(columns_with(fields))) as runs:
            async for run in runs:
                for row in run:
                    yield dict(zip(names, parse_fields(row, reads), strict=True))

    def _page(self, rows: Sequence[Entity], token: str | None) -> Page:
        return Page([parse_told(self.volume, row) for row in rows], token)

    async def _runs(self, select: Sequence[str] | None = None) -> AsyncGenerator[Sequence[Entity], None]:
        """The rows of the answer, as many at a time as there are, up to the limit."""
        left = self._limit
        if left == 0:
            return
        async with aclosing(self._source.runs(select)) as runs:
            async for run in runs:
                yield run if left is None else run[:left]
                if left is not None and (left := left - len(run)) <= 0:
                    return
