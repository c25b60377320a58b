"""`blobcat sql`."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..columns import value
from ..conditions import WhereOption, condition_of
from ..moments import parsed_moment
from ..options import AsOfOption, PrefixArgument
from ..results import (
    Answer,
    FormatOption,
    OutputOption,
    OverwriteOption,
    TypeOption,
    deliver,
    form_of,
    parsed_types,
    plain,
)
from ..session import Session

if TYPE_CHECKING:
    import pyarrow as pa


async def sql(
    session: Session,
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT, in quotes, from the table files.")],
    prefix: PrefixArgument = "",
    where: WhereOption = None,
    as_of: AsOfOption = None,
    types: TypeOption = None,
    memory: Annotated[
        int | None,
        typer.Option("--memory", metavar="MB", help="What DuckDB may take, in megabytes. Default: 1 GiB.", min=64),
    ] = None,
    form: FormatOption = None,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Ask for files, or sums of them, in SQL.

        blobcat sql 'select meta_owner, count(*), sum(size) from files group by 1'
        blobcat sql "select * from files where path like '%.csv'" 2026/ --output files.parquet

    The table is called files. Its columns are path, version, kind, etag, size, digest, md5, content_type, created,
    modified, writer, meta_KEY for a key of metadata, and metadata, a map of all of them. Only the columns that the
    statement needs are read from the service. It reads these files and nothing else: no other file, no network.

    Needs DuckDB: pip install 'blobcat[sql]'.

    --json: a SqlRow per line; with --output one WrittenRows (target, format, rows). See docs/json.md.
    """
    condition, then = condition_of(where), parsed_moment("--as-of", as_of)
    wanted, kinds = form_of(session.output, form, output, overwrite=overwrite), parsed_types(types)
    async with session.catalog() as catalog:
        table = await catalog.sql(
            statement,
            where=condition,
            prefix=prefix,
            as_of=then,
            volume=session.options.volume,
            types=kinds,
            **({} if memory is None else {"memory_bytes": memory * 1_000_000}),
        )
    await deliver(session.output, wanted, _answer(table))


def _answer(table: "pa.Table") -> Answer:
    from pyarrow.types import is_nested

    kinds = {field.name: field.type for field in table.schema}
    if not any(map(is_nested, kinds.values())):
        kinds = {}

    async def rows() -> AsyncIterator[Mapping[str, Any]]:
        for batch in table.to_batches():
            for row in batch.to_pylist():
                yield {name: _mapped(item, kinds[name]) for name, item in row.items()} if kinds else row

    async def batches() -> "AsyncIterator[pa.RecordBatch]":
        from pyarrow import RecordBatch

        for batch in table.to_batches() or [RecordBatch.from_pylist([], schema=table.schema)]:
            yield batch

    return Answer(table.column_names, rows, batches, lambda _, item: value(plain(item)))


def _mapped(item: Any, kind: "pa.DataType") -> Any:
    """The same value, with a mapping for each map: Arrow gives pairs, and an empty map looks like an empty list."""
    from pyarrow.types import is_fixed_size_list, is_large_list, is_list, is_map, is_struct

    if item is None:
        return None
    if is_map(kind):
        return {str(key): _mapped(value, kind.item_type) for key, value in item}
    if is_list(kind) or is_large_list(kind) or is_fixed_size_list(kind):
        return [_mapped(each, kind.value_type) for each in item]
    if is_struct(kind):
        return {name: _mapped(value, kind.field(name).type) for name, value in item.items()}
    return item
