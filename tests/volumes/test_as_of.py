"""What was there: `as_of` on everything that reads, on every kind of catalog."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog import (
    Catalog,
    FileVersion,
    Folder,
    InvalidError,
    NotFoundError,
    Overwrite,
    UnavailableError,
    Volume,
)
from catalog.changes import Change
from catalog.columns import intent_values
from catalog.commit import Unit
from catalog.exchange import partition_of
from catalog.keys import intent_row, shard_of
from catalog.marker import service_time
from catalog.op import intent_of
from catalog.table import Delete, Insert, RefusedError
from catalog.times import from_microseconds
from catalog.turnover import Advance

LEAST = timedelta(microseconds=1)


async def paths(volume: Volume, as_of: datetime, prefix: str = "", *, recursive: bool = True) -> list[str]:
    return [entry.path async for entry in volume.list(prefix, recursive=recursive, as_of=as_of)]


def apart(volume: Volume, path: str) -> str:
    """A path in another shard."""
    names = (f"to/{number}" for number in range(100))
    shards = volume.info.shards
    return next(name for name in names if shard_of(name, shards) != shard_of(path, shards))


async def test_each_version_is_what_was_there_until_the_next(volume: Volume) -> None:
    versions = [await volume.put("a", b"1"), await volume.put("a", b"2"), await volume.put("a", b"3")]
    for file, after in zip(versions, [*versions[1:], None], strict=True):
        moments = [file.created] if after is None else [file.created, after.created - LEAST]
        for moment in moments:
            assert await volume.stat("a", as_of=moment) == file
            assert await volume.read("a", as_of=moment) == str(file.version).encode()


async def test_before_its_first_version_there_is_no_file(volume: Volume) -> None:
    first = await volume.put("a", b"1")
    with pytest.raises(NotFoundError, match="there was no file 'a'") as caught:
        await volume.stat("a", as_of=first.created - LEAST)
    assert caught.value.kind == "not-found"
    assert await paths(volume, first.created - LEAST) == []
    assert await paths(volume, datetime(1970, 1, 1, tzinfo=UTC)) == []


async def test_a_deleted_file_is_there_before_and_not_after(volume: Volume) -> None:
    put, gone = await volume.put("a", b"1"), await volume.delete("a")
    assert gone is not None
    assert await volume.read("a", as_of=gone.created - LEAST) == b"1"
    with pytest.raises(NotFoundError, match="was deleted") as caught:
        await volume.read("a", as_of=gone.created)
    assert caught.value.kind == "not-found.deleted"
    assert await paths(volume, put.created) == ["a"]
    assert await paths(volume, gone.created) == []
    deleted = [file async for file in volume.list(deleted=True, recursive=True, as_of=gone.created)]
    assert deleted == [gone]


async def test_a_moved_file_is_at_one_place_at_every_moment(volume: Volume) -> None:
    for target in ("a2", apart(volume, "a")):
        put = await volume.put("a", b"1")
        moved = await volume.move("a", target)
        gone = await anext(aiter(volume.history("a")))
        assert gone.created == moved.created
        for moment in (put.created, moved.created - LEAST):
            assert await volume.read("a", as_of=moment) == b"1"
            assert target not in await paths(volume, moment)
        assert await volume.read(target, as_of=moved.created) == b"1"
        assert "a" not in await paths(volume, moved.created)


async def test_folders_files_globs_and_sums_are_those_of_the_moment(volume: Volume) -> None:
    await volume.put("a/b/1", b"12345")
    await volume.put("a/2.csv", b"12")
    then = await volume.put("top.csv", b"1")
    await volume.put("a/2.csv", b"12345678")
    await volume.delete("top.csv")
    await volume.delete("a/b/1")
    await volume.put("new/file", b"1")
    assert await paths(volume, then.created, recursive=False) == ["a/", "top.csv"]
    assert await paths(volume, then.created, "a/", recursive=False) == ["a/2.csv", "a/b/"]
    assert await paths(volume, then.created) == ["a/2.csv", "a/b/1", "top.csv"]
    assert [file.path async for file in volume.glob("**/*.csv", as_of=then.created)] == ["a/2.csv", "top.csv"]
    assert [file.path async for file in volume.glob("top.csv", as_of=then.created)] == ["top.csv"]
    sums = [(usage.path, usage.files, usage.bytes) async for usage in volume.folders(as_of=then.created)]
    assert sums == [("a/", 2, 7), ("", 3, 8)]


async def test_content_that_was_purged_since_says_so(volume: Volume) -> None:
    old = await volume.put("a", b"old")
    await volume.put("a", b"new")
    await volume.purge(keep_versions=1, older_than=timedelta())
    assert (await volume.stat("a", as_of=old.created)).purged
    (listed,) = [file async for file in volume.list(as_of=old.created)]
    assert isinstance(listed, FileVersion)
    assert listed.purged
    with pytest.raises(NotFoundError) as caught:
        await volume.read("a", as_of=old.created)
    assert caught.value.kind == "not-found.purged"


async def test_downloads_and_streams_are_those_of_the_moment(volume: Volume, tmp_path: Path) -> None:
    old = await volume.put("d/a", b"old")
    await volume.put("d/a", b"new")
    await volume.put("d/b", b"later")
    await volume.download("d/a", tmp_path / "a", as_of=old.created)
    assert (tmp_path / "a").read_bytes() == b"old"
    report = await volume.download_tree("d/", tmp_path / "tree", as_of=old.created)
    assert report.written == 1
    assert (tmp_path / "tree" / "a").read_bytes() == b"old"
    async with volume.open("d/a", as_of=old.created, start=1) as reader:
        assert await reader.read() == b"ld"
    async with volume.open_seekable("d/a", as_of=old.created) as seekable:
        assert await seekable.read() == b"old"


async def test_a_version_and_a_moment_exclude_each_other(volume: Volume) -> None:
    with pytest.raises(InvalidError, match="exclude each other"):
        await volume.stat("a", version=1, as_of=datetime.now(UTC))


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), "2026-01-01", 5])  # noqa: DTZ001 — the point
async def test_what_is_no_moment_is_refused(volume: Volume, moment: datetime) -> None:
    with pytest.raises(InvalidError, match="as_of is a datetime with a time zone"):
        await volume.stat("a", as_of=moment)
    with pytest.raises(InvalidError, match="as_of is a datetime with a time zone"):
        volume.list(as_of=moment)


async def test_a_moment_far_ahead_is_refused_at_once(volume: Volume) -> None:
    with pytest.raises(InvalidError, match="is still to come: the service's clock says") as caught:
        await volume.stat("a", as_of=datetime.now(UTC) + timedelta(hours=1))
    assert caught.value.kind == "invalid.future"


async def test_a_moment_that_is_about_to_come_is_waited_for(volume: Volume) -> None:
    file = await volume.put("a", b"1")
    soon = file.created + timedelta(seconds=0.3)
    assert await volume.stat("a", as_of=soon) == file
    assert (await volume.put("a", b"2")).created > soon


async def begun(cat: Catalog, volume: Volume, path: str) -> str:
    """A write that somebody has begun, and not ended: its op."""
    writer = cat._tools.writer
    op = writer.fresh(volume.info, Change("raw", path, "delete", Overwrite(), "somebody", {}, ""))
    lane = writer.committer.lane(partition_of(volume.info, path))
    await lane.commit(Unit((Insert(intent_row(op.id), intent_values(intent_of(op))),)))
    return op.id


async def test_a_write_under_way_that_began_before_is_waited_for(cat: Catalog, volume: Volume) -> None:
    file = await volume.put("a", b"1")
    op = await begun(cat, volume, "a")
    intent = await cat._tools.lister.table.get(partition_of(volume.info, "a"), intent_row(op))
    assert intent
    now = from_microseconds(intent.timestamp)  # ours may be less: what is below a millisecond is made up by Azurite
    with pytest.raises(UnavailableError, match=r"the delete of 'a' by somebody, begun .* is still open") as caught:
        await volume.stat("a", as_of=now, timeout_s=1)
    assert caught.value.kind == "unavailable.not-final"
    assert await volume.stat("a", as_of=file.created) == file
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(volume.stat("a", as_of=now))
        await cat.recover(patience_s=0)
    assert asked.result() == file


async def test_what_is_known_to_be_final_costs_one_request_and_no_marker(volume: Volume, cat: Catalog) -> None:
    file = await volume.put("a", b"1")
    await volume.stat("a", as_of=file.created)
    table = cat._tools.lister.table
    before = await table.get(partition_of(volume.info, "a"), f"g{volume.info.generation}")
    assert await volume.stat("a", as_of=file.created) == file
    after = await table.get(partition_of(volume.info, "a"), f"g{volume.info.generation}")
    assert before is not None
    assert after is not None
    assert after.timestamp == before.timestamp


async def test_folders_are_hopped_over_and_none_is_missed(cat: Catalog) -> None:
    """Also where the last row of a page belongs to a file that was deleted by then."""
    volume = await cat.create_volume("many", shards=1)
    for number in range(12):
        await volume.put(f"f{number % 3}/{number:02}", b"1")
        if number % 2:
            await volume.delete(f"f{number % 3}/{number:02}")
    last = await volume.put("z", b"1")
    expected = ["f0/", "f1/", "f2/", "z"]
    assert await paths(volume, last.created, recursive=False) == expected
    folders = [entry async for entry in volume.list(as_of=last.created) if isinstance(entry, Folder)]
    assert len(folders) == 3


async def test_pages_of_what_was_go_on_with_a_token(volume: Volume) -> None:
    for path in ("a", "a/b", "a-b", "b"):
        await volume.put(path, b"1")
    moment = (await volume.put("c", b"1")).created
    await volume.delete("b")
    whole = [file.path async for file in volume.query(as_of=moment)]
    assert whole == ["a", "a/b", "a-b", "b", "c"]
    for size in (1, 2, 4):
        page = await anext(aiter(volume.query(as_of=moment).pages(size)))
        assert [file.path for file in page.files] == whole[:size]
        assert [file.path async for file in volume.query(as_of=moment, after=page.token)] == whole[size:]
    token = (await anext(aiter(volume.query(as_of=moment).pages(1)))).token
    wrong: list[dict[str, Any]] = [{}, {"as_of": moment, "prefix": "a"}, {"as_of": moment + timedelta(microseconds=1)}]
    for each in wrong:
        with pytest.raises(InvalidError) as caught:
            volume.query(after=token, **each)
        assert caught.value.kind == "invalid.token"
    page = await anext(aiter(volume.query(as_of=moment, prefix="a").pages(2)))
    assert [file.path async for file in volume.query(as_of=moment, prefix="a", after=page.token)] == ["a-b"]


async def test_what_was_has_one_order_and_no_plan(volume: Volume) -> None:
    moment = (await volume.put("a", b"1")).created
    with pytest.raises(InvalidError, match="in order of path"):
        volume.query(as_of=moment, order_by="size")
    with pytest.raises(InvalidError) as caught:
        await volume.query(as_of=moment).explain()
    assert caught.value.kind == "invalid.unsupported"


async def test_counts_and_sql_are_of_a_moment_too(cat: Catalog, volume: Volume) -> None:
    first = await volume.put("a", b"1", metadata={"owner": "ops"})
    await volume.put("a", b"22", metadata={"owner": "dev"})
    await volume.put("b", b"3", metadata={"owner": "dev"})
    found = await volume.count(by="meta.owner", as_of=first.created)
    assert [(group.values, group.files, group.bytes) for group in found.groups] == [(("ops",), 1, 1)]
    rows = await cat.sql("select path, size from files", volume="raw", as_of=first.created)
    assert rows.to_pylist() == [{"path": "a", "size": 1}]


async def test_a_marker_waits_for_a_gate_that_others_are_turning(cat: Catalog, volume: Volume) -> None:
    """The volume's row is a generation further than the gate of this shard; nobody is told of a refusal."""
    registry, deadline, key = cat._volumes, cat._deadline(), partition_of(volume.info, "a")
    row = await registry.row(volume.info, deadline)
    assert row
    ahead = replace(row.info, generation=row.info.generation + 1)
    await registry.turn(row, ahead, deadline)
    asked = asyncio.create_task(service_time(ahead, key, cat._writer, cat._tools.lister))
    for _ in range(3):
        await cat.volume("raw")
    assert not asked.done()
    shard = shard_of("a", volume.info.shards)
    await cat._removal._gates._advance(key, Advance(shard, ahead.generation, shut=False), deadline)
    assert await asked > 0


async def test_a_marker_tells_of_a_gate_that_is_lost(cat: Catalog, volume: Volume) -> None:
    key = partition_of(volume.info, "a")
    await cat._table.submit(key, [Delete(f"g{volume.info.generation}")])
    with pytest.raises(RefusedError):
        await service_time(volume.info, key, cat._writer, cat._tools.lister)
