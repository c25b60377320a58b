"""What a query says in Arrow: the same as its files, in one schema, and read by those who read Arrow."""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from catalog import Catalog, F, IntegrityError, InvalidError, Volume, blocking, connect
from catalog.keys import heads, partition
from catalog.rows import Values
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert
from storage.memory import MemoryContent
from tests.volumes.generated import query_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
OWN = pa.schema(
    {
        "path": pa.string(), "version": pa.int64(), "kind": pa.string(), "etag": pa.string(), "size": pa.int64(),
        "digest": pa.string(), "md5": pa.string(), "content_type": pa.string(), "created": TIME, "modified": TIME,
        "writer": pa.string(), "metadata": pa.map_(pa.string(), pa.string()),
    }
)  # fmt: skip


async def filled(volume: Volume) -> Volume:
    await volume.put("a", b"1", metadata={"owner": "ops", "n": 1, "ok": True, "x": 0.5, "taken": NOON}, modified=NOON)
    await volume.put("b", b"22", metadata={"owner": "lab", "n": 2})
    await volume.put("c", b"333")
    return volume


async def test_a_table_says_what_the_files_say(volume: Volume) -> None:
    table = await (await filled(volume)).query(F.size > 0).to_table()
    assert table.schema == OWN
    found = table.to_pylist()
    files = [file async for file in volume.query()]
    for row, file in zip(found, files, strict=True):
        own = {name: row[name] for name in OWN.names if name != "metadata"}
        assert own == {name: getattr(file, name) for name in own}
    assert dict(found[0]["metadata"]) == {
        "owner": "ops", "n": "1", "ok": "true", "x": "0.5", "taken": "2026-11-20T12:00:00Z"
    }  # fmt: skip
    assert found[2]["metadata"] == []


async def test_a_key_of_metadata_is_a_column_of_its_type(volume: Volume) -> None:
    columns = ["size", "meta.owner", "meta.n", "meta.ok", "meta.x", "meta.taken", "meta.no"]
    table = await (await filled(volume)).query().to_table(columns)
    assert table.schema == pa.schema(
        {
            "size": pa.int64(), "meta_owner": pa.string(), "meta_n": pa.int64(), "meta_ok": pa.bool_(),
            "meta_x": pa.float64(), "meta_taken": TIME, "meta_no": pa.string(),
        }
    )  # fmt: skip
    assert table.to_pydict() == {
        "size": [1, 2, 3],
        "meta_owner": ["ops", "lab", None],
        "meta_n": [1, 2, None],
        "meta_ok": [True, None, None],
        "meta_x": [0.5, None, None],
        "meta_taken": [NOON, None, None],
        "meta_no": [None, None, None],
    }


MIXED: Mapping[str, Any] = {"a": 1, "b": 2.5, "c": None, "d": 2**53 + 1, "e": "5", "f": True, "g": NOON}


async def mixed(volume: Volume, paths: str) -> Volume:
    for path in paths:
        await volume.put(path, b"x", metadata={} if MIXED[path] is None else {"n": MIXED[path]})
    return volume


@pytest.mark.parametrize(
    ("paths", "kind", "expected"),
    [
        ("ad", int, [1, 2**53 + 1]),
        ("abc", float, [1.0, 2.5, None]),
        ("abc", None, [1.0, 2.5, None]),
        ("cba", None, [1.0, 2.5, None]),
        ("abcefg", str, ["1", "2.5", None, "5", "true", "2026-11-20T12:00:00Z"]),
        ("cg", datetime, [None, NOON]),
        ("cf", bool, [None, True]),
    ],
)
async def test_a_type_takes_what_fits(paths: str, kind: type | None, expected: list[Any]) -> None:
    async with connect("memory:") as cat:
        volume = await mixed(await cat.create_volume("raw", shards=1), paths)
        table = await volume.query().to_table(["meta.n"], types=None if kind is None else {"meta.n": kind})
        assert table["meta_n"].to_pylist() == expected


@pytest.mark.parametrize(
    ("paths", "kind", "said"),
    [
        (
            "ab",
            int,
            "meta.n of file 'b' is a number, but its column is of int, as types says: say types={'meta.n': str} or",
        ),
        ("ae", None, "meta.n of file 'e' is text, but its column is of int, as the first files"),
        ("ef", None, "meta.n of file 'f' is a truth value, but its column is of str"),
        ("af", None, "meta.n of file 'f' is a truth value, but its column is of int"),
        ("fa", bool, "meta.n of file 'a' is a whole number, but its column is of bool, as types says"),
        ("ga", float, "meta.n of file 'g' is a time, but its column is of float"),
    ],
)
async def test_a_value_of_another_type_is_an_error_that_says_what_would_do(
    paths: str, kind: type | None, said: str
) -> None:
    async with connect("memory:") as cat:
        volume = await mixed(await cat.create_volume("raw", shards=1), paths)
        with pytest.raises(InvalidError) as caught:
            await volume.query().to_table(["meta.n"], types=None if kind is None else {"meta.n": kind})
        assert said in str(caught.value)
        assert caught.value.kind == "invalid.type"


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
@pytest.mark.parametrize("kind", [None, float])
async def test_a_whole_number_is_never_rounded(volume: Volume, number: int, kind: type | None) -> None:
    types = None if kind is None else {"meta.n": kind}
    await volume.put("a", b"", metadata={"n": 1.5})
    await volume.put("b", b"", metadata={"n": number})
    with pytest.raises(InvalidError, match="file 'b' is a whole number that no floating one is equal to"):
        await volume.query().to_table(["meta.n"], types=types)
    table = await volume.query().to_table(["meta.n"], types={"meta.n": str})
    assert table["meta_n"].to_pylist() == ["1.5", f"{number}"]


async def test_all_batches_have_the_schema_of_the_first(volume: Volume) -> None:
    """Also where a later one would have another by itself; and then it is an error, or what the caller said."""
    await mixed(volume, "abc")
    batches = volume.query().to_arrow(["meta.n"], types={"meta.n": float}, batch_rows=1)
    assert [batch.to_pylist() async for batch in batches] == [[{"meta_n": 1.0}], [{"meta_n": 2.5}], [{"meta_n": None}]]
    with pytest.raises(InvalidError, match="as the first files have it"):
        [batch async for batch in volume.query().to_arrow(["meta.n"], batch_rows=1)]
    assert {batch.schema async for batch in volume.query().to_arrow(["path", "size"], batch_rows=2)} == {
        pa.schema({"path": pa.string(), "size": pa.int64()})
    }


async def test_a_key_that_the_first_batch_lacks_is_text_and_nothing_else_becomes_so_silently(volume: Volume) -> None:
    await mixed(volume, "cd")
    with pytest.raises(InvalidError, match="or none of them did"):
        [batch async for batch in volume.query().to_arrow(["meta.n"], batch_rows=1)]


async def test_an_empty_answer_has_a_schema(volume: Volume) -> None:
    (batch,) = [batch async for batch in volume.query().to_arrow(["path", "meta.n"], types={"meta.n": int})]
    assert batch.num_rows == 0
    assert batch.schema == pa.schema({"path": pa.string(), "meta_n": pa.int64()})
    assert (await volume.query(limit=0).to_table()).schema == OWN


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
async def test_batches_have_so_many_rows(volume: Volume, rows: int) -> None:
    query = (await filled(volume)).query()
    found = [batch.num_rows async for batch in query.to_arrow(["path"], batch_rows=rows)]
    assert found == {1: [1, 1, 1], 2: [2, 1], 3: [3], 4: [3]}[rows]


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"columns": value} for value in (5, "path", [], ["nope"], ["path", "path"])],
        *[{"batch_rows": value} for value in (0, -1, 1.5, True, None)],
        *[
            {"columns": ["meta.n"], "types": value}
            for value in (
                5,
                ["meta.n"],
                {"meta.n": bytes},
                {"meta.n": "int"},
                {"size": int},
                {5: int},
                {"meta.": int},
                {"meta.m": int},
            )
        ],
    ],
    ids=repr,
)
async def test_wrong_arguments_are_refused_at_once(wrong: dict[str, Any]) -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        with pytest.raises(InvalidError) as caught:
            volume.query().to_arrow(**wrong)
        assert "\n" not in str(caught.value)


async def test_a_row_that_is_damaged_is_told_apart() -> None:
    table = SqliteTable(":memory:")
    cat = Catalog(table, MemoryContent())
    volume = await cat.create_volume("raw", shards=1)
    values: Values = {"schema": 1, "path": "x", "kind": "put", "size": "much"}
    await table.submit(partition(volume.info.epoch, 0), [Insert(heads("x").first, values)])
    with pytest.raises(IntegrityError, match="can be no size"):
        await volume.query().to_table(["size"])
    await cat.close()
    await table.close()


# --- Who reads it ----------------------------------------------------------------------------------------------------


@pytest.fixture
def door(url: str) -> Any:
    with blocking.connect(url) as cat:
        volume = cat.create_volume("raw", shards=2)
        for number in range(20):
            metadata = {"owner": "ops" if number % 2 else "lab", "n": number, "taken": NOON}
            volume.put(f"d/{number:02}", bytes(number), metadata=metadata)
        yield volume


COLUMNS = ["path", "size", "created", "meta.owner", "meta.n", "metadata"]


def test_the_synchronous_door_gives_a_reader(door: blocking.Volume) -> None:
    reader = door.query(F.size > 3).to_arrow(COLUMNS, batch_rows=7)
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.schema.names == ["path", "size", "created", "meta_owner", "meta_n", "metadata"]
    assert [batch.num_rows for batch in reader] == [7, 7, 2]
    assert door.query().to_table(["size"])["size"].to_pylist() == list(range(20))


def test_a_reader_may_be_left_early(door: blocking.Volume) -> None:
    reader = door.query().to_arrow(["path"], batch_rows=2)
    assert reader.read_next_batch().num_rows == 2
    del reader
    gc.collect()
    assert door.query().count().files == 20


def test_a_reader_tells_errors_of_ours(door: blocking.Volume) -> None:
    door.put("e", b"x", metadata={"n": "text"})
    reader = door.query().to_arrow(["meta.n"], batch_rows=5)
    with pytest.raises(InvalidError, match=r"meta\.n of file 'e'"):
        reader.read_all()


def test_polars_reads_it(door: blocking.Volume) -> None:
    frame = pl.DataFrame(door.query().to_arrow(COLUMNS, batch_rows=6))
    assert frame.group_by("meta_owner").agg(pl.col("size").sum()).sort("meta_owner").rows() == [
        ("lab", 90),
        ("ops", 100),
    ]
    assert frame.schema["created"] == pl.Datetime("us", "UTC")


def test_pandas_reads_it(door: blocking.Volume) -> None:
    frame = door.query().to_arrow(COLUMNS, batch_rows=6).read_pandas()
    assert frame.groupby("meta_owner")["size"].sum().to_dict() == {"lab": 90, "ops": 100}
    assert str(frame["created"].dtype) == "datetime64[us, UTC]"


def test_duckdb_reads_it(door: blocking.Volume) -> None:
    with duckdb.connect() as connection:
        files = connection.from_arrow(door.query().to_arrow(COLUMNS, batch_rows=6))
        found = files.aggregate("metadata['owner'] as owner, sum(size)").order("owner").fetchall()
    assert found == [("lab", 90), ("ops", 100)]


def test_parquet_keeps_it(door: blocking.Volume, tmp_path: Path) -> None:
    with pyarrow.parquet.ParquetWriter(
        tmp_path / "files.parquet", (reader := door.query().to_arrow(COLUMNS)).schema
    ) as writer:
        for batch in reader:
            writer.write_batch(batch)
    assert pyarrow.parquet.read_table(tmp_path / "files.parquet") == door.query().to_table(COLUMNS)


# --- What it costs ---------------------------------------------------------------------------------------------------

FEW, MANY = 20_000, 80_000
SLACK = 2 << 20
"""What caches and allocators may differ by; a batch of 10,000 takes twice this."""


async def peak(files: int) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        before, allocated = tracemalloc.get_traced_memory()[0], 0
        began, rows = pa.total_allocated_bytes(), 0
        async for batch in query_of(files).to_arrow():
            rows += batch.num_rows
            allocated = max(allocated, pa.total_allocated_bytes() - began)
        assert rows == files
        return tracemalloc.get_traced_memory()[1] - before + allocated
    finally:
        tracemalloc.stop()


async def test_memory_is_flat() -> None:
    await peak(FEW)
    assert await peak(MANY) < await peak(FEW) + SLACK


# --- Where it is not installed ---------------------------------------------------------------------------------------

HIDDEN = """
import asyncio, sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("pyarrow", "duckdb"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
from catalog import InvalidError, connect

async def main():
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("a", b"1")
        assert [each async for each in volume.query().select("path")] == [{"path": "a"}]
        for call in (volume.query().to_arrow, lambda: volume.query().to_table()):
            try:
                found = call()
                await found
            except InvalidError as exc:
                print(exc.kind, exc)

asyncio.run(main())
"""


def test_without_pyarrow_one_line_says_how_to_get_it() -> None:
    done = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, check=True)
    line = "invalid.missing-extra Arrow needs pyarrow, which is not installed: pip install 'blobcat[arrow]'"
    assert done.stdout.splitlines() == [line] * 2


async def test_a_missing_package_is_an_error_before_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidError) as caught:
        query_of(1).to_arrow()
    assert caught.value.kind == "invalid.missing-extra"
