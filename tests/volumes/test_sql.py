"""SQL over the files of a query: what it says, what it reads, and what it cannot reach."""

import asyncio
import gc
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from catalog import Catalog, F, InvalidError, TooLargeError, UnavailableError, Volume, blocking, connect
from catalog.explanation import Explanation
from catalog.query import Query
from catalog.rows import Entity
from catalog.sql import MEMORY_BYTES, Sql
from catalog.sqlite_table import SqliteTable
from storage.memory import MemoryContent
from tests.volumes.generated import query_of
from tests.volumes.test_arrow import HIDDEN

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def filled(volume: Volume) -> Volume:
    for number in range(8):
        metadata = {"owner": "ops" if number % 2 else "lab", "n": number, "taken": NOON}
        await volume.put(f"d/{number}", bytes(number), metadata=metadata)
    await volume.put("e", b"x", metadata={"owner": "lab"})
    return volume


@pytest.fixture
async def files() -> AsyncIterator[Query]:
    """All files of a volume in memory."""
    async with connect("memory:") as cat:
        yield (await filled(await cat.create_volume("raw", shards=2))).query()


async def test_groups_of_metadata(cat: Catalog, volume: Volume) -> None:
    await filled(volume)
    sql = "select meta_owner, count(*) as files, sum(size) as bytes from files group by 1 order by 1"
    assert (await cat.sql(sql)).to_pylist() == [
        {"meta_owner": "lab", "files": 5, "bytes": 13},
        {"meta_owner": "ops", "files": 4, "bytes": 16},
    ]
    some = await cat.sql(sql, where=F.size > 5, prefix="d/", volume="raw")
    assert some.to_pylist() == [
        {"meta_owner": "lab", "files": 1, "bytes": 6},
        {"meta_owner": "ops", "files": 1, "bytes": 7},
    ]
    assert some.schema == pa.schema({"meta_owner": pa.string(), "files": pa.int64(), "bytes": pa.int64()})


async def test_all_columns_are_those_of_arrow(files: Query) -> None:
    everything = await files.sql("from files order by path")
    assert everything == await files.to_table()


SAID: dict[str, list[tuple[Any, ...]]] = {
    "select max(meta_taken) from files": [(NOON,)],
    "select path from files where meta_n > 5 order by meta_n desc": [("d/7",), ("d/6",)],
    "select path from files where meta_n is null": [("e",)],
    'select sum("meta_n") from files': [(28,)],
    "select avg(files.meta_n) from files;": [(3.5,)],
    "select upper(meta_owner) as meta_who, count(*) from files group by meta_who order by 1": [("LAB", 5), ("OPS", 4)],
    "select meta_n as meta_owner from files where meta_n = 3": [(3,)],
    "select one.path from files one join files two on one.meta_n = two.size and two.size = 5": [("d/5",)],
    "select count(*) from files where path in (select path from files where size > 6)": [(1,)],
    "with large as (select * from files where size > 5) select count(*) from large": [(2,)],
    "select metadata['owner'] from files where path = 'e'": [("lab",)],
    "select meta_no from files limit 1": [(None,)],
    "select 'meta_x' as \"it's\" -- meta_y": [("meta_x",)],
    "select 1": [(1,)],
    "select sum(size::hugeint) * 10000000000000000000::hugeint from files": [(29 * 10**19,)],
    "select created >= timestamptz '2020-01-01' from files limit 1": [(True,)],
    "select date_trunc('day', meta_taken) from files limit 1": [(NOON.replace(hour=0),)],
}


@pytest.mark.parametrize("sql", SAID)
async def test_what_a_statement_says(files: Query, sql: str) -> None:
    assert [tuple(row.values()) for row in (await files.sql(sql)).to_pylist()] == SAID[sql]


async def test_columns_of_one_name_get_several(files: Query) -> None:
    table = await files.sql("select size, size, version as size_1 from files where path = 'd/3'")
    assert table.to_pylist() == [{"size": 3, "size_1": 3, "size_1_1": 1}]


async def test_no_files_are_an_empty_table() -> None:
    async with connect("memory:") as cat:
        query = (await cat.create_volume("raw", shards=1)).query()
        assert (await query.sql("select path, meta_n from files")).to_pylist() == []
        (row,) = (await query.sql("select sum(meta_n) from files", types={"meta.n": int})).to_pylist()
        assert row == {"sum(meta_n)": None}


# --- Types -----------------------------------------------------------------------------------------------------------


async def test_a_type_is_what_the_caller_says(files: Query) -> None:
    table = await files.sql("select meta_n from files where path = 'd/3'", types={"meta.n": str})
    assert table.to_pylist() == [{"meta_n": "3"}]
    empty = await files.sql("select meta_n from files limit 0", types={"meta.n": float, "meta.m": int})
    assert empty.schema == pa.schema({"meta_n": pa.float64()})


async def test_a_value_of_another_type_than_the_first_files_have_is_an_error_that_names_it() -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        for number in range(1_001):
            await volume.put(f"{number:04}", b"", metadata={"n": number if number < 1_000 else "many"})
        said = r"meta\.n of file '1000' is text, but its column is of int, as the first"
        for sql in ("select sum(meta_n) from files", "select count(*) from files where meta_n > 5"):
            with pytest.raises(InvalidError, match=said):
                await volume.query().sql(sql)
        assert (await volume.query().sql("select max(meta_n) from files", types={"meta.n": str})).num_rows == 1
        assert (await volume.query(limit=1_000).sql("select sum(meta_n) from files")).num_rows == 1


# --- What is read ----------------------------------------------------------------------------------------------------


class Recording(SqliteTable):
    """Notes which columns it is asked for."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.asked: list[Sequence[str] | None] = []

    def query(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Sequence[Entity], None]:
        self.asked.append(kwargs.get("select"))
        return super().query(*args, **kwargs)


OWN = {"schema", "path", "kind", "moving"}
READ: dict[str, list[set[str] | None]] = {
    "select count(*) from files": [OWN],
    "select sum(size) from files": [OWN | {"size"}],
    "select path from files where size > 1 and writer = 'x'": [OWN | {"size", "writer"}],
    "select count(*) from files where digest in ('a', 'b') or etag is null": [OWN | {"digest", "learned_digest", "op"}],
    "select count(*) as meta_n from files order by meta_n": [OWN | {"m_n", "t_n"}, OWN],
    "select meta_n from files where meta_owner = 'ops'": [OWN | {"m_n", "t_n", "m_owner", "t_owner"}] * 2,
    "select * from files": [None],
    "select size from files union all select version from files": [OWN | {"size"}, OWN | {"version"}],
    "select 1": [],
    "select size from files where false": [],
}


@pytest.mark.parametrize("sql", READ)
async def test_only_what_is_needed_is_read(sql: str) -> None:
    """Of metadata that the text mentions, the types first."""
    table = Recording()
    cat = Catalog(table, MemoryContent())
    volume = await filled(await cat.create_volume("raw", shards=1))
    table.asked.clear()
    await volume.query().sql(sql)
    assert sorted(map(repr, ((each and sorted(each)) for each in table.asked))) == sorted(
        map(repr, ((each and sorted(each)) for each in READ[sql]))
    )
    await cat.close()
    await table.close()


# --- What it cannot do -----------------------------------------------------------------------------------------------

secret = pa.table({"secret": ["canary"]})
"""A variable of the program, such as DuckDB likes to find."""

REFUSED = [
    "select * from read_text('{file}')",
    "select * from read_csv('{file}')",
    "select * from '{file}'",
    "select * from read_blob('{file}')",
    "select * from parquet_scan('{file}')",
    "select * from sniff_csv('{file}')",
    "select * from glob('{folder}/*')",
    "from query('copy files to ''{folder}/out''')",
    "from query_table('{file}')",
    "copy files to '{folder}/out'",
    "copy (select 1) to '{folder}/out'",
    "export database '{folder}'",
    "attach '{folder}/out'",
    "install httpfs",
    "load httpfs",
    "select * from 'https://example.com/x.csv'",
    "select * from secret",
    "select * from pa",
    "set memory_limit = '64GB'",
    "set enable_external_access = true",
    "pragma enable_external_access",
    "reset memory_limit",
    "call pragma_version()",
    "create table t as from files",
    "create view v as from files",
    "drop view files",
    "insert into files select * from files",
    "update files set size = 0",
    "delete from files",
    "prepare p as select 1",
    "begin",
    "vacuum",
    "explain from files",
    "explain analyze from files",
    "analyze",
    "select 1; select 2",
    "select 1; copy files to '{folder}/out'",
    "from files; drop view files",
    "select getenv('HOME')",
    "select * from arrow_scan(1, 1, 1)",
    "select * from arrow_scan(1::pointer, 1::pointer, 1::pointer)",
    "select * from pandas_scan(1)",
    "-- nothing",
    ";",
]


@pytest.mark.parametrize("sql", REFUSED)
async def test_a_text_reaches_nothing_but_the_files(files: Query, tmp_path: Path, sql: str) -> None:
    (tmp_path / "file").write_text("canary")
    with pytest.raises(InvalidError) as caught:
        await files.sql(sql.format(file=tmp_path / "file", folder=tmp_path))
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.kind == "invalid.sql"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


async def test_where_the_text_is_wrong_is_said(files: Query) -> None:
    for sql, said in (
        ("select nope\nfrom files", r'Referenced column "nope" not found in FROM clause! \(line 1, column 8\)'),
        ("select meta_n,\n  é, nope from files", r'Referenced column "é" not found .* \(line 2, column 3\)'),
        ("select *\nfro files", r'syntax error at or near "files" \(line 2, column 5\)'),
        ("select path::int from files", r"Could not convert string 'd/.' to INT32 .* \(line 1, column 12\)"),
        ("select sum(meta_owner) from files", r"sum\(VARCHAR\)"),
        ("select 'a", r"unterminated string literal \(line 1, column 8\)"),
        ("select meta_n, meta_N from files", r"cannot tell meta_N from meta_n: use metadata\['N'\]"),
        ("select nope.meta_n from files", r"nope"),
    ):
        with pytest.raises(InvalidError, match=said):
            await files.sql(sql)


@pytest.mark.parametrize("told", ["Some Error: said plainly", "Some Error: 5", "said plainly"])
async def test_an_error_that_duckdb_tells_in_plain_text_is_told_too(told: str) -> None:
    query = query_of(1)
    sql = Sql("select 1", None, MEMORY_BYTES, lambda *_: query.to_arrow(), query._guessed)  # type: ignore[arg-type]
    await sql.answer()
    assert str(sql._refused(duckdb.Error(told))) == f"sql: {told}"


async def test_memory_is_bounded(files: Query) -> None:
    with pytest.raises(TooLargeError) as caught:
        await files.sql("select * from range(50000000) a, range(100) group by all order by 1", memory_bytes=64 << 20)
    assert caught.value.kind == "too-large.memory"
    assert "67,108,864 bytes" in str(caught.value)


# --- Beside the loop -------------------------------------------------------------------------------------------------

ENDLESS = "select count(*) from range(1000000000000) a where a.range % 7 = 3"


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("blobcat-sql")}


async def test_a_statement_that_is_cancelled_ends_and_the_loop_goes_on_meanwhile(files: Query) -> None:
    asking = asyncio.create_task(files.sql(ENDLESS))
    while not threads():  # noqa: ASYNC110 — counted, not signalled
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert not asking.done()
    asking.cancel()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert threads() == set()


class Held:
    """A source that gives one file ten thousand times, and then nothing until it is closed, or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.waits = asyncio.Event()
        self.closed = 0
        self.error = error

    async def runs(self, select: Sequence[str] | None = None) -> AsyncGenerator[Sequence[Entity], None]:
        try:
            yield [Entity("p", "h", {"schema": 1, "path": "a", "size": 5, "kind": "put"}, "1", 1)] * 10_000
            if self.error is not None:
                raise self.error
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.closed += 1

    def token(self, row: Entity) -> str:
        raise AssertionError(row)

    async def explain(self, *, run: bool) -> Explanation:
        raise AssertionError(run)


async def test_a_statement_that_waits_for_files_can_be_cancelled() -> None:
    source = Held()
    before = asyncio.all_tasks()
    asking = asyncio.create_task(Query("raw", source).sql("select sum(size) from files"))
    await source.waits.wait()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert source.closed == 1
    assert threads() == set()
    assert asyncio.all_tasks() == before


async def test_one_that_needs_no_more_files_reads_no_more() -> None:
    source = Held()
    assert (await Query("raw", source).sql("select size from files limit 3")).num_rows == 3
    assert source.closed == 1
    assert threads() == set()


async def test_an_error_of_the_service_is_raised_as_it_is() -> None:
    error = UnavailableError("no answer", op="query")
    error.__cause__ = cause = ConnectionResetError()
    with pytest.raises(UnavailableError) as caught:
        await Query("raw", Held(error)).sql("select sum(size) from files")
    assert caught.value is error
    assert error.__cause__ is cause


async def test_an_error_that_is_none_of_ours_is_not_called_one_of_sql() -> None:
    with pytest.raises(ZeroDivisionError):
        await Query("raw", Held(ZeroDivisionError("a bug"))).sql("select sum(size) from files")


def test_the_synchronous_door(url: str) -> None:
    with blocking.connect(url) as cat:
        volume = cat.create_volume("raw", shards=2)
        volume.put("a", b"12", metadata={"owner": "ops"})
        assert cat.sql("select meta_owner, size from files").to_pylist() == [{"meta_owner": "ops", "size": 2}]
        assert volume.query(F.size > 2).sql("select path from files").to_pylist() == []


# --- What it costs ---------------------------------------------------------------------------------------------------

FEW, MANY = 30_000, 120_000
SLACK = 2 << 20
"""A batch of 10,000 files takes more than twice this."""


async def peak(files: int) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        table = await query_of(files).sql("select meta_owner, count(*), sum(meta_n) from files group by 1")
        assert table.num_rows == 7
        assert sum(table.column(1).to_pylist()) == files
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def test_memory_is_flat() -> None:
    await peak(FEW)
    assert await peak(MANY) < await peak(FEW) + SLACK


# --- Where it is not installed ---------------------------------------------------------------------------------------


def test_without_duckdb_one_line_says_how_to_get_it() -> None:
    program = HIDDEN.replace('in ("pyarrow", "duckdb")', '== "duckdb"').replace(
        "(volume.query().to_arrow, lambda: volume.query().to_table())", "(lambda: cat.sql('from files'),)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    line = "invalid.missing-extra SQL needs duckdb, which is not installed: pip install 'blobcat[sql]'"
    assert done.stdout.splitlines() == [line]


async def test_a_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InvalidError) as caught:
        await query_of(1).sql("from files")
    assert caught.value.kind == "invalid.missing-extra"
    assert threads() == set()
