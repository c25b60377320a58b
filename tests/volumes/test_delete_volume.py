"""`delete_volume`, on every back end: what it refuses, what it leaves, and who brings it to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from catalog import Catalog, ConflictError, FileVersion, IntegrityError, InvalidError, NotFoundError, Volume, connect
from catalog.entities import VolumeState
from catalog.exchange import partition_of
from catalog.keys import head_row, version_row
from catalog.retry import Deadline
from catalog.table import Delete, Insert, Merge
from catalog.token import Token
from catalog.turnover import Advance
from tests.faults.meddler import Before, Meddler
from tests.faults.ports import Fault, FaultContent, FaultTable
from tests.faults.world import outlived


async def names(cat: Catalog) -> list[str]:
    return [info.name async for info in cat.volumes()]


async def stopped(cat: Catalog, name: str, state: VolumeState = "closing") -> None:
    """Leave a volume as somebody does who stops right after D1, or after D6."""
    volumes = cat._volumes
    for turn in ("closing", "opening")[: 1 if state == "closing" else 2]:
        deadline = cat._deadline()
        row = await volumes.row(await volumes.get(name), deadline)
        assert row
        if turn == "opening":
            await shut(cat, name, deadline)
        await volumes.turn(row, replace(row.info, state=turn, generation=row.info.generation + 1), deadline)  # type: ignore[arg-type]


async def shut(cat: Catalog, name: str, deadline: Deadline) -> None:
    """D2, in every shard."""
    info = await cat._volumes.get(name)
    for shard in range(info.shards):
        gates = cat._removal._gates
        await gates._advance(f"{info.epoch}~{shard:02x}", Advance(shard, info.generation, shut=True), deadline)


async def test_an_empty_volume_is_deleted_and_its_name_is_free(cat: Catalog, volume: Volume) -> None:
    await cat.create_volume("beside", shards=1)
    await cat.delete_volume("raw")
    assert await names(cat) == ["beside"]
    with pytest.raises(NotFoundError, match="there is no volume 'raw'"):
        await cat.volume("raw")
    again = await cat.create_volume("raw", shards=1)
    assert again.info.epoch != volume.info.epoch
    assert (await again.put("a", b"new")).version == 1


async def test_a_volume_with_a_file_stays_and_works(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    with pytest.raises(ConflictError, match="volume 'raw' has files, 'a' for one") as caught:
        await cat.delete_volume("raw")
    assert (caught.value.found, caught.value.kind) == ("a", "conflict.not-empty")
    assert (await volume.put("b", b"2")).version == 1
    assert (await cat.volume("raw")).info == volume.info


async def test_deleted_files_do_not_keep_it(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    await volume.move("a", "b")
    await volume.delete("b")
    await cat.delete_volume("raw")
    assert await names(cat) == []


async def lost_head(cat: Catalog, volume: Volume, path: str) -> None:
    """What a service does that loses a row."""
    await cat._table.submit(partition_of(volume.info, path), [Delete(head_row(path))])


@pytest.mark.parametrize("begun", [False, True], ids=["fresh", "begun"])
async def test_a_file_that_lost_its_head_keeps_it_and_writers_go_on(cat: Catalog, volume: Volume, begun: bool) -> None:
    await volume.put("gone", b"1")
    await volume.delete("gone")
    await volume.put("a", b"1")
    await volume.put("a", b"2")
    await lost_head(cat, volume, "a")
    if begun:
        await stopped(cat, "raw")
    with pytest.raises(IntegrityError, match="'a' is a file, version 2, but its head row is lost: run blobcat recon"):
        await cat.delete_volume("raw")
    assert (await volume.put("b", b"new")).version == 1
    assert [info.state async for info in cat.volumes()] == ["open"]
    plan = await cat.reconcile("raw")
    await plan.apply()
    assert await volume.read("a") == b"2"


async def test_a_writer_goes_on_where_the_volume_was_half_deleted_over_a_lost_head(
    cat: Catalog, volume: Volume
) -> None:
    await volume.put("a", b"1")
    await lost_head(cat, volume, "a")
    await stopped(cat, "raw")
    await shut(cat, "raw", cat._deadline())
    assert (await volume.put("b", b"new")).version == 1


async def test_a_deleted_file_that_lost_its_head_does_not_keep_it(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    await volume.delete("a")
    await lost_head(cat, volume, "a")
    await cat.delete_volume("raw")
    assert await names(cat) == []


async def test_what_was_purged_does_not_keep_it(cat: Catalog, volume: Volume) -> None:
    """Of a deleted file, whose rows of the delete are lost."""
    await volume.put("a", b"1")
    await volume.delete("a")
    await volume.purge(keep_versions=0)
    await lost_head(cat, volume, "a")
    await cat._table.submit(partition_of(volume.info, "a"), [Delete(version_row("a", 2))])
    await cat.delete_volume("raw")
    assert await names(cat) == []


async def test_the_lost_row_of_a_delete_does_not_keep_it(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    await volume.delete("a")
    await cat._table.submit(partition_of(volume.info, "a"), [Delete(version_row("a", 2))])
    await cat.delete_volume("raw")
    assert await names(cat) == []


@pytest.mark.parametrize("begun", [False, True], ids=["fresh", "begun"])
@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (Insert("k-strange", {"schema": 1}), "invalid.unknown-row"),
        (Insert("a-strange", {"schema": 1}), "invalid.unknown-row"),
        (Insert("y-strange", {"colour": "green"}), "integrity.row"),
        (Merge(version_row("a", 1), {"schema": 1_000}), "invalid.newer-schema"),
        (Merge(head_row("a"), {"schema": 1_000}), "invalid.newer-schema"),
    ],
    ids=["unknown", "unknown-below", "not-ours", "newer-version", "newer-head"],
)
async def test_rows_that_are_not_understood_keep_it(
    cat: Catalog, volume: Volume, row: Insert | Merge, kind: str, begun: bool
) -> None:
    """They may be what tells of a file."""
    await volume.put("a", b"1")
    await volume.delete("a")
    await cat._table.submit(partition_of(volume.info, "a"), [row])
    if begun:
        await stopped(cat, "raw")
    with pytest.raises((IntegrityError, InvalidError)) as caught:
        await cat.delete_volume("raw")
    assert caught.value.kind == kind
    assert [info.state async for info in cat.volumes()] == ["open"]


async def test_what_is_not_there_cannot_be_deleted(cat: Catalog, volume: Volume) -> None:
    with pytest.raises(NotFoundError, match="there is no volume 'other'"):
        await cat.delete_volume("other")
    await cat.delete_volume("raw")
    with pytest.raises(NotFoundError):
        await cat.delete_volume("raw")


async def test_the_default_volume_leaves_no_default(cat: Catalog, volume: Volume) -> None:
    await cat.create_volume("beside", shards=1)
    await cat.delete_volume("raw")
    with pytest.raises(NotFoundError, match="no default volume"):
        await cat.volume()
    await cat.set_default_volume("beside")
    assert (await cat.volume()).name == "beside"


@pytest.mark.parametrize(
    "write",
    [
        lambda volume: volume.put("a", b"1"),
        lambda volume: volume.copy("gone", "b"),
        lambda volume: volume.restore("gone", version=1),
    ],
    ids=["put", "copy", "restore"],
)
async def test_who_has_it_open_still_writes_nothing(
    cat: Catalog, url: str, write: Callable[[Volume], Awaitable[FileVersion]]
) -> None:
    """Also in another client, which was never told; and also where the name has a volume again."""
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("gone", b"1")
    await volume.delete("gone")
    await cat.delete_volume("raw")
    with pytest.raises(NotFoundError):
        await write(volume)
    again = await cat.create_volume("raw", shards=1)
    with pytest.raises(NotFoundError):
        await write(volume)
    assert [file async for file in again.list()] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda volume: volume.delete("b", missing_ok=True),
        lambda volume: volume.delete("b"),
        lambda volume: volume.copy("b", "c"),
        lambda volume: volume.move("b", "c"),
        lambda volume: volume.set_metadata("b", {}),
    ],
    ids=["delete-if-there", "delete", "copy", "move", "set_metadata"],
)
async def test_nothing_there_is_not_said_of_another_volume(
    cat: Catalog, change: Callable[[Volume], Awaitable[object]]
) -> None:
    """Who has the old one open is told that, and not that there is no such file: there is, in the new one."""
    old = await cat.create_volume("raw", shards=1)
    await cat.delete_volume("raw")
    await (await cat.create_volume("raw", shards=1)).put("b", b"1")
    with pytest.raises(NotFoundError, match="was deleted"):
        await change(old)


async def test_recovery_goes_on_where_a_volume_is_deleted_under_it(cat: Catalog) -> None:
    """Just before the first write of what it found there is settled: it is gone, and the others are recovered."""
    alpha, beta = [await cat.create_volume(name, shards=1) for name in ("alpha", "beta")]
    for volume in (alpha, beta):
        await left_behind(cat, volume.name)
    deletion = Before("table.mark", lambda _: cat.delete_volume("alpha"), f"{alpha.info.epoch}~00")
    meddler = Meddler(deletion)
    client = Catalog(FaultTable(cat._table, meddler), FaultContent(cat._content, meddler))
    report = await client.recover(patience_s=0)
    await client.close()
    assert meddler.over
    assert [(item.volume, item.action, item.error) for item in report.items] == [
        ("beta", "aborted", None),
        ("alpha", "swept", None),
    ]
    assert report.volumes == ()
    assert await names(cat) == ["beta"]
    assert (await beta.put("a", b"1")).version == 1


async def left_behind(cat: Catalog, name: str) -> None:
    """A put whose client is killed once its intent is there."""
    wire = Meddler(Before("table.submit", Fault.CRASH_AFTER))
    client = Catalog(FaultTable(cat._table, wire), FaultContent(cat._content, wire))
    volume = await client.volume(name)
    assert await outlived(wire, volume.put("a", b"never seen")) is None
    await client.close()


@pytest.mark.parametrize("state", ["closing", "opening"])
async def test_a_writer_is_not_stopped_by_a_deletion_that_somebody_left(
    cat: Catalog, volume: Volume, state: VolumeState
) -> None:
    """A file keeps the volume: whoever is stopped at its gates ends the deletion, and goes on."""
    await volume.put("a", b"1")
    await stopped(cat, "raw", state)
    if state == "closing":
        await shut(cat, "raw", cat._deadline())
    assert (await volume.put("a", b"2")).version == 2
    info = (await cat.volume("raw")).info
    assert (info.state, info.generation) == ("open", 3)
    assert (await (await cat.volume("raw")).put("b", b"new")).version == 1


async def test_a_writer_finds_a_volume_that_is_gone(cat: Catalog, volume: Volume) -> None:
    await stopped(cat, "raw")
    await shut(cat, "raw", cat._deadline())
    with pytest.raises(NotFoundError):
        await volume.put("a", b"1")
    assert await names(cat) == []


async def test_recovery_ends_what_somebody_left(cat: Catalog, volume: Volume) -> None:
    kept = await cat.create_volume("kept", shards=2)
    await kept.put("a", b"1")
    for name in ("raw", "kept"):
        await stopped(cat, name)
    assert {info.state async for info in cat.volumes()} == {"closing"}
    report = await cat.recover()
    assert [(each.volume, each.action) for each in report.volumes] == [("kept", "kept"), ("raw", "deleted")]
    assert not report.quiet
    assert [(info.name, info.state) async for info in cat.volumes()] == [("kept", "open")]
    assert (await cat.recover()).quiet


async def test_a_volume_that_lost_its_gates_keeps_no_other_from_recovery(cat: Catalog, volume: Volume) -> None:
    """Rows that are gone are damage, and called that: to wait for them would be in vain."""
    await cat.create_volume("alpha", shards=1)
    for name in ("alpha", "raw"):
        await stopped(cat, name)
    info = await cat._volumes.get("alpha")
    await cat._table.submit(f"{info.epoch}~00", [Delete("g1")])
    report = await cat.recover()
    assert [(each.volume, each.action) for each in report.volumes] == [("alpha", "failed"), ("raw", "deleted")]
    assert isinstance(report.volumes[0].error, IntegrityError)
    with pytest.raises(IntegrityError, match="has no gate"):
        await cat.delete_volume("alpha")


async def test_the_name_is_free_for_who_finds_it_half_deleted(cat: Catalog, volume: Volume) -> None:
    await stopped(cat, "raw")
    made = await cat.create_volume("raw", shards=4, exist_ok=True)
    assert made.info.epoch != volume.info.epoch
    assert (await made.put("a", b"1")).version == 1


async def test_deleting_again_ends_it(cat: Catalog, volume: Volume) -> None:
    await stopped(cat, "raw")
    await cat.delete_volume("raw")
    assert await names(cat) == []


async def test_a_volume_that_is_being_deleted_can_be_read(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    await stopped(cat, "raw")
    assert await (await cat.volume("raw")).read("a") == b"1"


async def test_an_open_write_is_settled_first(cat: Catalog, volume: Volume) -> None:
    """A put that was left half-done: it never becomes a file, and its token says so for ever (S3)."""
    token = Token("raw", volume.info.epoch, "a", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, "put")
    made = await volume.put("b", b"1")
    there = Token("raw", volume.info.epoch, "b", made.etag, 0, "put")
    await volume.delete("b")
    before = await cat.resolve(str(there))
    assert before is not None
    await cat.delete_volume("raw")
    await cat.create_volume("raw", shards=1)
    assert await cat.resolve(str(token)) is None
    assert await cat.resolve(str(there)) == before


async def test_a_token_of_another_catalog_is_refused(cat: Catalog, volume: Volume) -> None:
    token = Token("raw", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, "put")
    with pytest.raises(InvalidError, match="belongs to another catalog"):
        await cat.resolve(str(token))


async def test_many_delete_it_while_many_write(url: str) -> None:
    """Whatever happens first: no acknowledged file is in a volume that is gone."""
    async with connect(url) as cat, connect(url) as other:
        clients = (cat, other) if not url.startswith("memory") else (cat, cat)
        volume = await cat.create_volume("raw", shards=2)
        calls = [client.delete_volume("raw") for client in clients]
        puts = [volume.put(f"{number}", b"x") for number in range(8)]
        ends = await asyncio.gather(*calls, *puts, return_exceptions=True)
        deleted, said = ends[: len(calls)], ends[len(calls) :]
        written = [each for each in said if isinstance(each, FileVersion)]
        assert all(isinstance(each, FileVersion | NotFoundError) for each in said), said
        assert all(isinstance(each, ConflictError | NotFoundError | None) for each in deleted), deleted
        assert bool(written) == ("raw" in await names(cat))
        for file in written:
            assert (await volume.stat(file.path)).etag == file.etag
