"""Rows of indexes that somebody has edited: a write mends them on its way, or ends at once and says what does."""

from collections.abc import Awaitable, Callable

import pytest

from catalog import Catalog, Index, IntegrityError, Volume
from catalog.columns import file_values
from catalog.exchange import partition_of
from catalog.indexes import index_row
from catalog.keys import head_row, shard_of
from catalog.table import Delete, Insert, Merge, Table
from tests.harness.index_rows import amiss_in, index_rows_of

Damage = Callable[[Catalog, Volume, str], Awaitable[None]]


@pytest.fixture
async def indexed(cat: Catalog) -> Volume:
    """A volume with two indexes, and a file."""
    volume = await cat.create_volume("raw", shards=2)
    await volume.create_index("meta.owner")
    await volume.create_index("-size", "created")
    await volume.put("a", b"old", metadata={"owner": "ada"})
    return volume


def table_of(cat: Catalog) -> Table:
    return cat._table


async def removed(cat: Catalog, volume: Volume, path: str) -> None:
    """All rows of a path, in every index."""
    rows = await index_rows_of(table_of(cat), volume.info, path)
    assert len(rows) == 2
    await table_of(cat).submit(partition_of(volume.info, path), [Delete(row) for row in rows])


async def one_removed(cat: Catalog, volume: Volume, path: str) -> None:
    row = min(await index_rows_of(table_of(cat), volume.info, path))
    await table_of(cat).submit(partition_of(volume.info, path), [Delete(row)])


async def in_the_way(cat: Catalog, volume: Volume, path: str) -> None:
    """The row that the file would have with another owner."""
    key, row = partition_of(volume.info, path), min(await index_rows_of(table_of(cat), volume.info, path))
    entity = await table_of(cat).get(key, row)
    assert entity
    await table_of(cat).submit(key, [Insert(row.replace("ada", "bob"), entity.values)])


def beside(volume: Volume, path: str, *, apart: bool) -> str:
    """A path in the same shard, or in the other one."""
    shards = volume.info.shards
    others = (f"{path}-{number}" for number in range(99))
    return next(other for other in others if (shard_of(other, shards) != shard_of(path, shards)) is apart)


WRITES: dict[str, Callable[[Volume], Awaitable[object]]] = {
    "put": lambda volume: volume.put("a", b"new", metadata={"owner": "bob"}),
    "put with a request id": lambda volume: volume.put("a", b"new", metadata={"owner": "bob"}, request_id="r"),
    "delete": lambda volume: volume.delete("a"),
    "set_metadata": lambda volume: volume.set_metadata("a", {"owner": "bob"}),
    "move": lambda volume: volume.move("a", beside(volume, "a", apart=False)),
    "move apart": lambda volume: volume.move("a", beside(volume, "a", apart=True)),
}


@pytest.mark.parametrize("damage", [removed, one_removed, in_the_way], ids=lambda each: each.__name__)
@pytest.mark.parametrize("write", WRITES)
async def test_a_write_mends_what_it_meets(cat: Catalog, indexed: Volume, write: str, damage: Damage) -> None:
    """S1: it is applied, within a few requests; what is left is what a write leaves, and what nobody has met."""
    await damage(cat, indexed, "a")
    await WRITES[write](indexed)
    wrong = await amiss_in(table_of(cat), indexed.info)
    met = damage is not in_the_way or write in ("put", "put with a request id", "set_metadata")
    assert bool(wrong) == (not met), wrong


async def test_a_mark_of_no_index_ends_a_write_at_once(cat: Catalog, indexed: Volume) -> None:
    """What it stands for is not known; `reconcile` takes it out, and the message says so."""
    await table_of(cat).submit(partition_of(indexed.info, "a"), [Merge(head_row("a"), {"indexed": "1 2 77"})])
    for write in WRITES.values():
        with pytest.raises(IntegrityError, match=r"'77'.*run blobcat reconcile") as caught:
            await write(indexed)
        assert caught.value.kind == "integrity.index"
    assert (await cat.recover(patience_s=0)).count("failed") == 0
    assert (await indexed.read("a"), (await indexed.stat("a")).version) == (b"old", 1)
    with pytest.raises(IntegrityError, match="run blobcat reconcile"):
        await indexed.create_index("writer")


async def test_an_index_is_dropped_whose_row_is_gone(cat: Catalog, indexed: Volume) -> None:
    await removed(cat, indexed, "a")
    await indexed.drop_index("meta.owner")
    await indexed.drop_index("-size", "created")
    assert await amiss_in(table_of(cat), indexed.info) == []


async def test_an_index_is_made_though_a_row_is_in_its_place(cat: Catalog) -> None:
    volume = await cat.create_volume("raw", shards=2)
    file = await volume.put("a", b"old", metadata={"owner": "ada"})
    row = index_row(Index("1", ("meta.owner",), "building"), file_values(file))
    await table_of(cat).submit(partition_of(volume.info, "a"), [Insert(row, {"schema": 1, "path": "a"})])
    await volume.create_index("meta.owner")
    assert await amiss_in(table_of(cat), volume.info) == []


async def test_rows_of_nobody_keep_no_volume(cat: Catalog, indexed: Volume) -> None:
    """No file is there by what an index says; and none of its rows is read for that."""
    rows = await index_rows_of(table_of(cat), indexed.info, "a")
    await indexed.delete("a")
    key = partition_of(indexed.info, "a")
    await table_of(cat).submit(key, [Insert(row, entity.values) for row, entity in rows.items()])
    await cat.delete_volume("raw")
    assert [info.name async for info in cat.volumes()] == []
    assert (await cat.create_volume("raw", shards=2)).info.indexes == ()
