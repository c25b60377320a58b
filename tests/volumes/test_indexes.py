"""Secondary indexes: made and dropped online, kept up by every change, whoever makes it and whatever he knows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from catalog import (
    AccessDeniedError,
    Catalog,
    ConflictError,
    F,
    Index,
    IntegrityError,
    Item,
    NotFoundError,
    Overwrite,
    Volume,
    connect,
)
from catalog.exchange import partition_of
from catalog.indexes import all_of
from catalog.keys import head_row, partition, shard_of
from catalog.retry import Clock, SystemClock
from catalog.rows import Entity
from catalog.table import Merge
from storage import Always, Headers
from tests.faults.meddler import Before, Meddler
from tests.faults.observer import look
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock
from tests.faults.world import outlived
from tests.harness.invariants import check, check_settled

MANY = 150


async def rows(volume: Volume, index: Index) -> list[Entity]:
    """An index as a query reads it."""
    lister = volume._tools.lister
    return [row async for row in lister.shards(volume.info, all_of(index))]


async def paths(volume: Volume, index: Index) -> list[str]:
    return [str(row.values["path"]) for row in await rows(volume, index)]


async def sound(cat: Catalog) -> None:
    """Index and heads agree, by whoever reads them from the side."""
    check_settled(await look(cat._table, cat._content))


@asynccontextmanager
async def meddled(
    cat: Catalog, *befores: Before, clock: Clock = SystemClock()
) -> AsyncIterator[tuple[Volume, Meddler]]:
    """The volume in another client, to which all that happens."""
    meddler = Meddler(*befores)
    client = Catalog(FaultTable(cat._table, meddler), FaultContent(cat._content, meddler), clock=clock)
    try:
        yield await client.volume("raw"), meddler
    finally:
        await client.close()


async def filled(volume: Volume, files: int = MANY) -> None:
    async def items() -> AsyncIterator[Item]:
        for number in range(files):
            yield Item(
                f"{number % 7}/{number:03}", b"x", metadata={"owner": ["ops", "dev", "qa"][number % 3], "n": number}
            )

    assert [outcome.error async for outcome in volume.put_many(items()) if outcome.error] == []


async def test_an_index_has_every_file_in_its_order(cat: Catalog, volume: Volume) -> None:
    await filled(volume)
    await volume.delete("0/000")
    heard: list[int] = []
    index = await volume.create_index("meta.owner", "-meta.n", progress=heard.append)
    assert index == Index("1", ("meta.owner", "-meta.n"), "ready")
    assert sum(heard) == MANY - 1
    found = [(row.values["m_owner"], row.values["m_n"]) for row in await rows(volume, index)]
    assert found == sorted(found, key=lambda each: (each[0], -int(each[1])))
    assert len(found) == MANY - 1
    await sound(cat)


async def test_every_change_keeps_it_up(cat: Catalog, volume: Volume) -> None:
    index = await volume.create_index("meta.owner")
    await volume.put("b", b"1", metadata={"owner": "x"})
    await volume.put("a", b"1", metadata={"owner": "y"})
    assert await paths(volume, index) == ["b", "a"]
    await volume.set_metadata("b", {"owner": "z"})
    assert await paths(volume, index) == ["a", "b"]
    await volume.copy("a", "c")
    for target in [f"d{number}" for number in range(8)]:  # some in the same shard, some in others
        await volume.move("c", target)
        await volume.copy(target, "c", mode=Overwrite())
        await volume.delete(target)
    assert await paths(volume, index) == ["a", "c", "b"]
    await volume.delete("a")
    assert await paths(volume, index) == ["c", "b"]
    await volume.restore("a", version=1)
    await volume.put("c", b"2")
    found = await rows(volume, index)
    assert [row.values["path"] for row in found] == ["c", "a", "b"]
    heads = {file.path: file.etag async for file in volume.query()}
    assert {row.values["path"]: row.values["op"] for row in found} == heads
    await sound(cat)


async def test_a_dropped_index_leaves_nothing(cat: Catalog, volume: Volume) -> None:
    await filled(volume, 20)
    kept = await volume.create_index("meta.owner")
    index = await volume.create_index("-created")
    heard: list[int] = []
    await volume.drop_index("-created", progress=heard.append)
    assert sum(heard) == 20
    assert await rows(volume, index) == []
    assert await volume.indexes() == (kept,)
    await volume.put("0/000", b"2")
    assert len(await rows(volume, kept)) == 20
    assert (await volume.create_index("-created")).id == "3"
    await sound(cat)


async def test_the_same_index_again_is_the_same_one(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    first = await volume.create_index("size")
    assert await volume.create_index("size") == first == await (await cat.volume("raw")).create_index("size")
    with pytest.raises(NotFoundError, match=r"volume 'raw' has no index \(kind\); it has \(size\)") as caught:
        await volume.drop_index("kind")
    assert caught.value.kind == "not-found.index"


async def test_there_are_so_many_and_no_more(volume: Volume) -> None:
    for number in range(8):
        await volume.create_index(f"meta.k{number}")
    with pytest.raises(ConflictError, match="has 8 indexes, which is as many as there can be"):
        await volume.create_index("size")
    await volume.drop_index("meta.k3")
    await volume.create_index("size")


async def test_who_has_old_settings_starts_over_with_those_in_force(cat: Catalog, url: str, volume: Volume) -> None:
    """He was never told: his gate is gone, so he looks, and his file is in the index."""
    await volume.put("a", b"1")
    async with meddled(cat) as (old, _):
        index = await volume.create_index("size")
        for path in ("a", "b", "c", "d"):
            await old.put(path, b"22")
        await old.move("b", "e")
        await old.delete("c")
        assert old.info.indexes == ()
    assert sorted(await paths(volume, index)) == ["a", "d", "e"]
    await sound(cat)
    await volume.drop_index("size")
    async with meddled(cat) as (other, _):
        await other.put("a", b"333")
        await volume.put("d", b"333")
    await sound(cat)


async def test_who_has_old_settings_ends_a_move_by_those_it_was_begun_under(cat: Catalog, volume: Volume) -> None:
    """The mover dies once it is decided; who comes by has never heard of the index that the source has a row in."""
    await volume.put("a", b"1")
    far = next(path for path in map(str, range(100)) if shard_of(path, 4) != shard_of("a", 4))
    async with meddled(cat) as (old, _):
        await volume.create_index("size")
        async with meddled(cat) as (mover, meddler):
            meddler.at, meddler.fault = len(meddler.sent) + 5, Fault.CRASH_AFTER  # T3
            assert await outlived(meddler, mover.move("a", far)) is None
        assert (await old.put("a", b"2", timeout_s=5)).version == 3
        assert (await old.stat(far)).kind == "move"
    await sound(cat)


async def denied(_: str) -> None:
    raise AccessDeniedError("not for you", op="get")


async def test_who_cannot_learn_the_settings_ends_no_move_and_says_so(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    far = next(path for path in map(str, range(100)) if shard_of(path, 4) != shard_of("a", 4))
    async with meddled(cat) as (old, meddler):
        await volume.create_index("size")
        async with meddled(cat) as (mover, mortal):
            mortal.at, mortal.fault = len(mortal.sent) + 5, Fault.CRASH_AFTER  # T3
            assert await outlived(mortal, mover.move("a", far)) is None
        meddler._befores.append(Before("table.get", denied, "~\0vraw"))
        with pytest.raises(AccessDeniedError):
            await old.put("a", b"2")
        assert meddler.over
    assert (await volume.put("a", b"2")).version == 3
    await sound(cat)


async def test_a_mark_that_nobody_knows_is_damage_once_the_settings_were_read(cat: Catalog, volume: Volume) -> None:
    """Reading them may fail first: that proves nothing of the write, and is tried again."""
    await volume.put("a", b"1")
    await cat._table.submit(partition_of(volume.info, "a"), [Merge(head_row("a"), {"indexed": "99"})])
    async with meddled(cat) as (other, meddler):
        meddler._befores.append(Before("table.get", Fault.REFUSED, "~\0vraw"))
        with pytest.raises(IntegrityError, match="blobcat reconcile"):
            await other.put("a", b"2")
        assert meddler.over


async def test_a_write_that_began_before_is_waited_for(cat: Catalog, volume: Volume) -> None:
    """It has its intent, under the old settings, as the index is asked for: it commits, and its file is added."""
    asked: list[asyncio.Task[Index]] = []

    async def create(_: str) -> None:
        asked.append(asyncio.create_task(volume.create_index("size")))
        while (await cat.volume("raw")).info.state != "turning":
            pass

    async with meddled(cat, Before("content.put", create)) as (writer, meddler):
        file = await writer.put("a", b"1")
        assert meddler.over
    assert file.version == 1
    assert await paths(volume, await asked[0]) == ["a"]
    await sound(cat)


async def test_a_write_whose_client_died_is_aborted(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    async with meddled(cat, Before("content.put", Fault.CRASH_AFTER)) as (writer, meddler):
        assert await outlived(meddler, writer.put("a", b"never seen")) is None
    async with meddled(cat, clock=VirtualClock()) as (other, _):
        index = await other.create_index("size")
    assert await paths(volume, index) == ["a"]
    assert (await volume.put("a", b"2")).version == 2
    await sound(cat)


async def test_heads_that_move_while_they_are_added_are_added_once(cat: Catalog, volume: Volume) -> None:
    """Just before the transaction that would add it, a file is replaced, or gone, or comes: by someone else."""
    await filled(volume, 12)

    async def change(_: str) -> None:
        await volume.put("0/000", b"another", metadata={"owner": "zz"})
        await volume.delete("1/001")
        await volume.move("2/002", "new")

    shard = partition(volume.info.epoch, shard_of("0/000", volume.info.shards))
    async with meddled(cat, Before("table.submit", change, f"{shard}\0h")) as (other, meddler):
        index = await other.create_index("meta.owner")
        assert meddler.over
    found = await paths(volume, index)
    assert sorted(found) == sorted([file.path async for file in volume.query()])
    assert found[-1] == "0/000"
    await sound(cat)


async def test_an_index_that_is_dropped_while_it_is_made_is_gone(cat: Catalog, volume: Volume) -> None:
    await filled(volume, 30)
    async with meddled(cat, Before("table.submit", lambda _: volume.drop_index("size"), "\0h")) as (other, meddler):
        with pytest.raises(NotFoundError, match="was dropped by others while it was made"):
            await other.create_index("size")
        assert meddler.over
    assert await volume.indexes() == ()
    await sound(cat)


@pytest.mark.parametrize("work", ["create", "drop"])
async def test_stopped_anywhere_the_same_call_goes_on(cat: Catalog, volume: Volume, work: str) -> None:
    """In another process, which sees what was done and does the rest; and writers go on meanwhile."""
    await filled(volume, 25)
    if work == "drop":
        await volume.create_index("size")
    for number in range(3, 60, 7):
        async with meddled(cat) as (other, meddler):
            meddler.at, meddler.fault = len(meddler.sent) + number, Fault.CRASH_AFTER
            call = other.create_index("size") if work == "create" else other.drop_index("size")
            try:
                if await outlived(meddler, call) is not None:
                    break
            except NotFoundError:  # it is dropped
                break
        assert (await volume.put(f"later/{number}", b"1")).version == 1
        check(await look(cat._table, cat._content))
    if work == "create":
        index = await volume.create_index("size")
        assert sorted(await paths(volume, index)) == sorted([file.path async for file in volume.query()])
    elif await volume.indexes():
        await volume.drop_index("size")
    await sound(cat)


async def test_two_who_make_it_make_one(cat: Catalog, volume: Volume) -> None:
    await filled(volume, 40)
    async with meddled(cat) as (other, _):
        made = await asyncio.gather(volume.create_index("size"), other.create_index("size"), filled(volume, 40))
    assert made[0] == made[1]
    assert len(await rows(volume, made[0])) == 40
    await sound(cat)


async def test_recovery_ends_a_change_of_settings_that_somebody_left(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    async with meddled(cat) as (other, meddler):
        meddler.at, meddler.fault = len(meddler.sent) + 3, Fault.CRASH_AFTER
        assert await outlived(meddler, other.create_index("size")) is None
    assert (await cat.volume("raw")).info.state == "turning"
    report = await cat.recover(patience_s=0)
    assert [(each.volume, each.action) for each in report.volumes] == [("raw", "altered")]
    assert [index.state for index in (await cat.volume("raw")).info.indexes] == ["building"]
    assert (await cat.recover()).quiet


async def test_a_volume_with_an_index_can_be_deleted(cat: Catalog, volume: Volume) -> None:
    await volume.create_index("size")
    await volume.put("a", b"1")
    with pytest.raises(ConflictError):
        await cat.delete_volume("raw")
    assert [index.state for index in await volume.indexes()] == ["ready"]
    await volume.delete("a")
    await cat.delete_volume("raw")
    assert (await (await cat.create_volume("raw", shards=1)).indexes()) == ()


async def test_an_index_costs_a_row_and_no_request(cat: Catalog, volume: Volume) -> None:
    """In the same transactions: as many requests as without."""
    counts = []
    for _ in range(2):
        async with meddled(cat) as (other, meddler):
            await other.put("a", b"1", mode=Overwrite(force=True))
            await other.delete("a")
            counts.append(len(meddler.sent))
        await volume.create_index("size")
    assert counts[0] == counts[1]


async def test_another_process_sees_it(url: str, volume: Volume) -> None:
    if url.startswith("memory:"):
        return
    await volume.create_index("size")
    async with connect(url) as other:
        opened = await other.volume("raw")
        assert [index.on for index in opened.info.indexes] == [("size",)]
        await opened.put("a", b"1")
        assert [file.path async for file in opened.query(F.size == 1)] == ["a"]


async def test_a_digest_that_is_learned_is_in_every_index(cat: Catalog, volume: Volume) -> None:
    """By the one that has settings of before the index, too: then it is learned by who reads next."""
    await cat._content.put("a", b"others'", when=Always(), headers=Headers())
    await volume.adopt(match="a")
    before = volume.info
    await volume.create_index("digest")
    await volume.create_index("size", "-digest")
    now, volume.info = volume.info, before
    assert await volume.read("a") == b"others'"
    await sound(cat)
    volume.info = now
    assert await volume.read("a") == b"others'"
    digest = (await volume.stat("a")).digest
    assert digest.startswith("sha256:")
    await sound(cat)
    assert [file.digest async for file in volume.query(F.digest == digest)] == [digest]
    assert [file.path async for file in volume.query((F.size == 7) & (F.digest == digest))] == ["a"]
    assert (await volume.put("a", b"ours")).version == 2
    await volume.delete("a")
    await sound(cat)
