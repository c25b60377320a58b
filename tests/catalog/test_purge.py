"""A purge as a whole: how many requests it takes, how much at a time, and what it does where nothing can be purged."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import replace

import pytest

from catalog import (
    AccessDeniedError,
    Item,
    NotFoundError,
    PurgeCount,
    PurgeItem,
    UnavailableError,
    Volume,
    connect,
    purge_report,
)
from catalog import purge as purge_module
from catalog.flow import each
from catalog.kinds import UNKNOWN
from storage import Precondition
from storage.memory import MemoryContent
from tests.faults.ports import Fault, Wire
from tests.faults.scenarios import FAR
from tests.faults.world import World
from tests.harness.invariants import check


async def put_all(volume: Volume, paths: Sequence[str], *contents: bytes) -> None:
    for content in contents:
        async for outcome in volume.put_many(each([Item(path, content) for path in paths])):
            assert outcome.ok


async def test_many_share_readings_and_transactions() -> None:
    """Two requests per content; all else is shared: three readings of each shard, full transactions."""
    counts = Counter[str]()
    async with connect("memory:", on_event=lambda event: counts.update([event.op])) as cat:
        volume = await cat.create_volume("v", shards=4)
        await put_all(volume, [f"{number}" for number in range(400)], b"1", b"2")
        counts.clear()
        assert (await volume.purge(keep_versions=1)).purged == PurgeCount(400, 400, 400)
    assert (counts["stat"], counts["delete"]) == (400, 400)
    assert counts["query"] == (4 + len(UNKNOWN)) * 4
    assert counts["submit"] <= 40
    assert counts["get"] == 0


async def test_more_than_fit_at_a_time_go_one_lot_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge_module, "VERSIONS_AT_A_TIME", 3)
    async with World() as world:
        volume = await world.client().create_volume("v", shards=2)
        await put_all(volume, "abcdefgh", b"1", b"2")
        await volume.copy("a", "x")
        await volume.delete("a")
        report = await volume.purge(keep_versions=1)
        assert (report.purged, report.held) == (PurgeCount(8, 8, 8), PurgeCount())
        assert len((await world.look()).blobs) == 8


async def test_no_more_items_are_kept_than_a_thousand_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge_report, "ITEMS_MAX", 2)
    async with World() as world:
        volume = await world.client().create_volume("v", shards=1)
        await put_all(volume, "abc", b"1")
        for path in "abc":
            await volume.move(path, f"to/{path}")
        heard: list[PurgeItem] = []
        report = await volume.purge(keep_versions=0, progress=heard.append)
        assert report.held == PurgeCount(3, 3, 3)
        assert (len(report.items), len(heard)) == (2, 3)


class Refusing(MemoryContent):
    """Does not delete some contents, or any."""

    refused: Container[str] = ()
    refuses_all = False

    async def delete(self, name: str, *, when: Precondition) -> None:
        if self.refuses_all or name in self.refused:
            raise AccessDeniedError("you may not", kind="access-denied.role")
        await super().delete(name, when=when)


async def test_one_that_cannot_be_purged_keeps_no_other() -> None:
    content = Refusing()
    async with World(content=content) as world:
        volume = await world.client().create_volume("v", shards=1)
        await put_all(volume, "ab", b"1", b"2")
        content.refused = {(await volume.stat("a", version=1)).blob}
        report = await volume.purge(keep_versions=1)
        content.refused = set()
        assert (report.purged, report.unfinished, report.ok) == (PurgeCount(1, 1, 1), PurgeCount(1, 1, 1), False)
        (item,) = report.items
        assert (item.path, item.action, item.error and item.error.kind) == ("a", "unfinished", "access-denied.role")
        assert (await volume.purge(keep_versions=1)).purged == PurgeCount(1, 1, 1)


async def test_where_none_can_be_purged_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may not delete flags no more than the first lot."""
    monkeypatch.setattr(purge_module, "VERSIONS_AT_A_TIME", 1)
    content = Refusing()
    async with World(content=content) as world:
        volume = await world.client().create_volume("v", shards=1)
        await put_all(volume, "ab", b"1", b"2")
        content.refuses_all = True
        with pytest.raises(AccessDeniedError):
            await volume.purge(keep_versions=1)
        assert sum("purging" in row for row in (await world.look()).of("v")) == 1


async def test_a_shard_that_cannot_be_read_ends_it_and_nothing_is_deleted() -> None:
    async with World() as world:
        volume = await world.client().create_volume("v", shards=2)
        await put_all(volume, ["a", FAR], b"1", b"2")
        blobs = (await world.look()).blobs
        for at in (6, 8, 10, 12):
            wire = Wire(at, Fault.LOST_BEFORE, on=True)
            with pytest.raises(UnavailableError):
                await (await world.client(wire).volume("v")).purge(keep_versions=1)
            assert (await world.look()).blobs == blobs, wire
        check(await world.look())
        assert (await volume.purge(keep_versions=1)).purged == PurgeCount(2, 2, 2)


async def test_a_container_that_is_gone_purges_nothing() -> None:
    async with World() as world:
        volume = await world.client().create_volume("v", shards=1)
        await put_all(volume, "a", b"1", b"2")
        volume._tools = replace(volume._tools, content=MemoryContent())
        with pytest.raises(NotFoundError) as caught:
            await volume.purge(keep_versions=1)
        assert caught.value.kind == "not-found.container"
        assert not [row for row in (await world.look()).of("v") if row.get("purged")]
