"""A purge through faults at each of its requests: what it says is so, and what it leaves the next one ends."""

from datetime import timedelta

import pytest

from catalog import Catalog, CatalogError, PurgeCount, PurgeReport
from tests.faults.observer import State
from tests.faults.ports import ONCE, Fault
from tests.faults.scenarios import FAR
from tests.faults.test_every_fault import for_every_request
from tests.faults.world import World, outlived
from tests.harness.invariants import check, check_grown

A_YEAR = timedelta(days=365)
ALL = PurgeCount(5, 3, 8)
"""Two of a's contents, one of which has another's metadata, and one that two paths share."""


async def made(world: World) -> State:
    volume = await world.client().create_volume("v", shards=2)
    await volume.put("a", b"11")
    await volume.set_metadata("a", {"n": 1})
    await volume.put("a", b"222")
    await volume.put("a", b"4444")
    await volume.put("b", b"333")
    await volume.move("b", FAR)
    await volume.delete(FAR)
    return await world.look()


async def purged(catalog: Catalog, older_than: timedelta = timedelta()) -> PurgeReport:
    return await (await catalog.volume("v")).purge(older_than=older_than)


def gone(state: State) -> bool:
    """Whether only what is current has content, and all other rows say that theirs is gone."""
    old = [row for row in state.of("v") if row["kind"] != "delete" and (row["path"], row["version"]) != ("a", 4)]
    return len(state.blobs) == 1 and len(old) == 5 and all(row.get("purged") for row in old)


@pytest.mark.parametrize("fault", [*ONCE, Fault.HELD, Fault.ECHO], ids=lambda fault: fault.name.lower())
async def test_one_fault_is_invisible(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            before = await made(world)
            wire.delay = 2
            report = await purged(world.client(wire))
            assert (report.purged, report.held, report.unfinished) == (ALL, PurgeCount(), PurgeCount()), wire
            await wire.settle()
            after = await world.look()
            check_grown(before, after)
            assert gone(after), wire


@pytest.mark.parametrize(
    "fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_HELD], ids=lambda fault: fault.name.lower()
)
async def test_what_one_who_was_killed_has_flagged_the_next_one_ends_whatever_its_rule(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            await made(world)
            await outlived(wire, purged(world.client(wire)))
            check(await world.look())
            flagged = await purged(world.client(), A_YEAR)
            assert flagged.ok
            left = [row for row in (await world.look()).of("v") if row.get("purging") and not row.get("purged")]
            assert {(row["path"], row["version"]) for row in left} <= needed(flagged), wire
            assert (await purged(world.client())).ok
            assert gone(await world.look()), wire
            await wire.settle()
            assert gone(await world.look()), wire


def needed(report: PurgeReport) -> set[tuple[str, int]]:
    """Of what was flagged, what a version that was not flagged yet needs."""
    return {(item.path, item.version) for item in report.items}


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED, Fault.BUSY])
async def test_an_outage_ends_in_the_truth(fault: Fault) -> None:
    async for wire in for_every_request(fault, on=True):
        async with World() as world:
            before = await made(world)
            try:
                report = await purged(world.client(wire))
            except CatalogError as error:
                assert error.kind.startswith("unavailable"), wire  # noqa: PT017 — it may go well
            else:
                assert report.purged.versions <= sum(bool(row.get("purged")) for row in (await world.look()).of("v"))
            wire.heal()
            after = await world.look()
            check(after)
            check_grown(before, after)
            assert (await purged(world.client())).ok
            assert gone(await world.look()), wire
