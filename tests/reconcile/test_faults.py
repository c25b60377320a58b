"""Every repair, with every fault at every write: it is not noticed; or it is said, and the same call goes on.

Of reads: `test_every_fault`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from catalog import ApplyReport, Brake, Catalog, Plan, Settings
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock, Wire
from tests.faults.world import outlived, writes
from tests.harness.nightly import NIGHTLY
from tests.reconcile import injuries as injury
from tests.reconcile.cases import Injury
from tests.reconcile.scene import Raw, Scene, indexed

SETTINGS = Settings()
PATH = "d/a.txt"
REPAIRS = [
    injury.deleted,
    injury.overwritten,
    injury.touched,
    injury.headers_stripped,
    injury.head_removed,
    injury.all_rows_removed,
    injury.purge_begun,
    injury.index_row_left,
    injury.mark_removed,
]
LASTING = (injury.purge_begun, injury.deleted, injury.overwritten)
"""Whose repair is not taken back."""
FAULTS = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED, Fault.TWICE)


async def injured(
    small: Scene, make: Injury, fault: Fault, folder: Path, *, on: bool = False
) -> AsyncIterator[tuple[Scene, Raw, Plan, Path, Wire]]:
    """Volumes with one injury, each with its plan, a name for a journal, and a wire that fails at another write."""
    numbers = [0]
    for number in numbers:
        scene = await indexed(small.cat, f"v{number}", shards=1)
        await scene.subject("other/a")
        await make(scene, PATH)
        plan = await scene.cat.reconcile(scene.volume.name, orphans="quarantine", depth="headers")
        wire = Wire(number, fault if number else None, on=on)
        yield scene, await scene.look(), plan, folder / f"{number}", wire
        if not number:  # nothing went wrong: now it is known what is sent
            numbers += [at for at, name in enumerate(wire.sent, 1) if writes([name])]
            assert len(numbers) > 1
        else:
            assert wire.fired


def client(scene: Scene, wire: Wire) -> Catalog:
    """Another client, whose pauses take no time."""
    table, content = FaultTable(scene.table, wire), FaultContent(scene.content, wire)
    return Catalog(table, content, settings=SETTINGS, writer="somebody", clock=VirtualClock())


async def applied(catalog: Catalog, plan: Plan, journal: Path) -> ApplyReport:
    file = plan.save(journal.with_suffix(".plan"))
    return await catalog.apply(file, journal=journal, brake=Brake(fraction=1), force=plan.sha256)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name.lower())
@pytest.mark.parametrize("make", REPAIRS, ids=lambda each: each.__name__)
async def test_one_fault_is_not_noticed(small: Scene, make: Injury, fault: Fault, tmp_path: Path) -> None:
    """S9: neither by an apply nor by its undo."""
    async for scene, before, plan, journal, wire in injured(small, make, fault, tmp_path):
        catalog = client(scene, wire)
        report = await applied(catalog, plan, journal)
        assert (report.ok, report.changed, sum(report.done.values())) == (True, 0, 1), (wire.at, report)
        undone = await catalog.undo(journal)
        await catalog.close()
        if make not in LASTING:
            assert undone.ok, (wire.at, undone)
            assert (await scene.look()).lasting == before.lasting, wire.at


@pytest.mark.parametrize("make", REPAIRS, ids=lambda each: each.__name__)
async def test_an_outage_is_said_and_gone_on_from(small: Scene, make: Injury, tmp_path: Path) -> None:
    """What was not done is in the report; the same call does it once the service is back. So does undo."""
    async for scene, before, plan, journal, wire in injured(small, make, Fault.LOST_AFTER, tmp_path, on=True):
        catalog = client(scene, wire)
        report = await applied(catalog, plan, journal)
        assert report.ok == (not wire.fired)
        during_apply, undone = wire.fired, None if wire.fired else await catalog.undo(journal)
        wire.heal()
        if during_apply:
            again = await applied(catalog, plan, journal)
            assert (again.ok, again.changed) == (True, 0), (wire.at, again)
            name = scene.volume.name
            assert (await catalog.reconcile(name, orphans="quarantine", depth="headers")).clean, wire.at
        elif wire.at:
            assert undone is not None
            assert not undone.ok
        undone = await catalog.undo(journal)
        await catalog.close()
        if make not in LASTING:
            assert undone.ok, (wire.at, undone)
            assert (await scene.look()).lasting == before.lasting, wire.at


async def test_purges_that_were_stopped_half_way_are_gone_on_with(small: Scene, tmp_path: Path) -> None:
    """Killed at any of its requests: what is done is done, and the same call does the rest, none of it twice."""
    at, requests, killed = 0, 1, 0
    while at < requests:
        scene = await indexed(small.cat, f"v{at}", shards=2)
        for number in range(3):
            await injury.purge_begun(scene, f"{number}/a.txt")
        plan = await scene.cat.reconcile(scene.volume.name)
        journal, wire = tmp_path / f"{at}", Wire()
        catalog = client(scene, wire)
        file = plan.save(journal.with_suffix(".plan"))
        wire.at, wire.fault = at, Fault.CRASH_AFTER if at else None
        report = await outlived(wire, catalog.apply(file, journal=journal))
        await catalog.close()
        if not at:
            requests = len(wire.sent) + 1
        assert (report is None) == bool(wire.fired), at  # writes that share a transaction are fewer, at times
        killed += wire.fired
        again = await scene.cat.apply(file, journal=journal)
        lines = [line for line in journal.read_text().splitlines() if '"done"' in line]
        assert (again.ok, again.changed, len(lines)) == (True, 0, 3), (at, again)
        assert (await scene.cat.reconcile(scene.volume.name)).clean, at
        at += 1 if NIGHTLY else 4
    assert killed > requests / 8
