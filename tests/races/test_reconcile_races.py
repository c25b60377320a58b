"""Interleavings of one who repairs with all that others may do to the same file; with requests lost, and late.

Whatever the order: nothing that was acknowledged is lost (S1), nothing that a live version needs is deleted (S5), and
one who recovers and one more reconcile bring everything to rest: a second one writes nothing (S6).
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from catalog import Catalog
from catalog.keys import version_row
from catalog.reconcile.apply import ApplyReport
from catalog.reconcile.names import QUARANTINE
from catalog.table import Insert
from tests.faults.observer import State
from tests.faults.ports import Wire
from tests.faults.world import World, writes
from tests.harness.history import check_history
from tests.harness.invariants import check, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorder
from tests.races.actors import PATIENT, actor
from tests.races.exploring import Blow, Effort, Tried
from tests.races.gate import Gate, Schedule, interleave
from tests.races.pairs import Call
from tests.races.reconcile_pairs import BRAKE, BURIED, INJURIES, OTHERS, Applies, Reconciles, Repair
from tests.reconcile.scene import Scene

LIMIT, SPREAD = (5_000, 500) if NIGHTLY else (25, 3)


@pytest.fixture(autouse=True)
def quick_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plans and journals in memory, where there is such a place: they are written to disk many times otherwise."""
    shared = Path("/dev/shm")  # noqa: S108 — a place of our own in it
    folder = tempfile.mkdtemp(prefix="blobcat-races-", dir=shared if shared.is_dir() else None)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    yield
    shutil.rmtree(folder)


REPAIRS = [Repair(each, other, stale) for each in INJURIES for other in OTHERS for stale in (False, True)]


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("repair", REPAIRS, ids=str)
async def test_interleavings(repair: Repair) -> None:
    tried = Tried(repair, partial(run, repair))
    await tried.all(Effort(LIMIT, SPREAD))
    tried.count(" of repairs")


async def run(repair: Repair, schedule: Schedule, blow: Blow | None) -> None:
    async with begun(repair) as (world, before, plan):
        recorder = Recorder()
        gates = [Gate(), Gate()]
        reconciles = repair.reconciles
        calls: list[Call] = [Applies(plan, "journal-0") if repair.stale else reconciles, OTHERS[repair.other][0]]
        if repair.other == "reconcile":
            calls[1] = Applies(plan, "journal-1") if repair.stale else reconciles
        actors = [actor(world, f"{8 + at}", call, recorder) for at, call in enumerate(calls)]
        if blow:
            blow.arm(gates)
        said = await interleave(schedule, actors, gates)
        if blow:
            blow.note(gates)
        for gate in gates:
            gate.heal()
            await gate.settle()
        after = await world.look()
        judge(repair, said)
        nothing_live_is_gone(before, after)
        if repair.injury in BURIED:
            await dug_out(world, before, after)
        await brought_to_rest(world, reconciles)
        end = await world.look()
        check(end)
        given = {path: len(rows) for path, rows in healthy(before).items()}
        check_history(recorder.calls, end.histories, given)


def judge(repair: Repair, said: list[object]) -> None:
    applied, other = said
    assert isinstance(applied, ApplyReport), applied
    assert applied.ok, applied
    assert isinstance(other, tuple(repair.ends)), other
    if isinstance(other, ApplyReport):
        assert other.ok, other


def healthy(before: State) -> dict[str, range]:
    """How many versions each path has, counting those that head or version row alone speak of."""
    found: dict[str, int] = {}
    for row in (*before.of("v"), *before.of("h")):
        found[row["path"]] = max(found.get(row["path"], 0), int(row["version"]))
    return {path: range(n) for path, n in found.items()}


def nothing_live_is_gone(before: State, after: State) -> None:
    """S5: content that was there, and that a live version refers to, is there."""
    for row in after.of("v"):
        if row["kind"] != "delete" and "purging" not in row and row["blob"] not in after.blobs:
            assert row["blob"] not in before.blobs, f"S5: the content of {row['path']}@{row['version']} was deleted"
            assert any(each["blob"] == row["blob"] for each in before.of("v")), "S5: new content was deleted"


async def dug_out(world: World, before: State, after: State) -> None:
    """A version that a writer has buried before anybody looked comes back from elsewhere, say from a dump."""
    for head in before.of("h"):
        path, version = head["path"], head["version"]
        if version not in [row["version"] for row in after.histories[path]]:
            (shard,) = {key for key, row in after.rows if row[0] == "v" and key != "~"}
            plan = await Reconciles("report").plan(world.client())
            assert path in {found.key for found in plan.differences() if found.state == "history-broken"}
            await world.table.submit(shard, [Insert(version_row(path, version), head)])


async def brought_to_rest(world: World, reconciles: Reconciles) -> None:
    """One recovery, and one reconcile; a second one writes nothing."""
    client = world.client()
    await client.recover(patience_s=0)
    await once(client, reconciles)
    settled = await world.look()
    check_settled(without_quarantine(settled))
    wire = Wire()
    report = await once(world.client(wire), reconciles)
    assert set(writes(wire.sent)) <= {"table.mark"}, f"S6: it wrote {writes(wire.sent)}"
    assert not report.done, f"S6: it did {report.done}"
    assert await world.look() == settled, "S6: it changed something"


async def once(client: Catalog, reconciles: Reconciles) -> ApplyReport:
    plan = await reconciles.plan(client)
    report = await plan.apply(brake=BRAKE, force=plan.sha256, patience_s=0)
    assert report.ok, report
    return report


def without_quarantine(state: State) -> State:
    return State(state.rows, {name: blob for name, blob in state.blobs.items() if f"/{QUARANTINE}/" not in name})


@asynccontextmanager
async def begun(repair: Repair) -> AsyncIterator[tuple[World, State, Path]]:
    """A world with something to repair, how it looks, and a plan for it."""
    async with World(PATIENT) as world:
        steady = world.client()
        volume = await steady.create_volume("v", shards=repair.shards)
        await INJURIES[repair.injury](Scene(steady, volume), "a")
        if not repair.stale:
            yield world, await world.look(), Path()
            return
        plan = await repair.reconciles.plan(steady)
        assert plan.header.actions, plan
        yield world, await world.look(), plan.path
