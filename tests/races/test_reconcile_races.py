"""Interleavings of one who repairs with all that others may do to the same file; with requests lost, and late.

Whatever the order: nothing that was acknowledged is lost (S1), nothing that a live version needs is deleted (S5), and
one who recovers and one more reconcile bring everything to rest: a second one writes nothing (S6).
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from zlib import crc32

import pytest

from catalog import Catalog, NotFoundError
from catalog.exchange import partition_of
from catalog.keys import version_row
from catalog.reconcile.apply_report import ApplyReport
from catalog.reconcile.names import QUARANTINE
from catalog.reconcile.undo import UndoReport
from catalog.table import Insert
from storage import memory
from tests.faults.observer import State
from tests.faults.ports import Fault, Wire
from tests.faults.world import World, writes
from tests.harness.history import check_history
from tests.harness.invariants import check, check_settled, s1_acknowledged_is_there
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorder
from tests.races.actors import PATIENT, actor
from tests.races.exploring import Blow, Effort, Tried
from tests.races.gate import Gate, Schedule, interleave
from tests.races.pairs import Call
from tests.races.reconcile_pairs import (
    BLOCKING,
    BRAKE,
    BURIED,
    INDEXED,
    INJURIES,
    OTHERS,
    Applies,
    Reconciles,
    Repair,
    Undoes,
)
from tests.reconcile.scene import Scene

EVERY = Effort(400, 60)
"""Of a night."""
CHANGING = ("overwrite", "delete", "move", "copy", "purge", "reconcile")
FAULTS = (
    (Fault.LOST_BEFORE, 0),
    (Fault.LOST_AFTER, 0),
    *((fault, delay) for fault in (Fault.HELD, Fault.ECHO) for delay in (1, 4)),
)
FEW_FAULTS = ((Fault.LOST_BEFORE, 0), (Fault.HELD, 3))


@pytest.fixture(autouse=True)
def quick_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plans and journals in memory, where there is such a place: they are written to disk many times otherwise."""
    shared = Path("/dev/shm")  # noqa: S108 — a place of our own in it
    folder = tempfile.mkdtemp(prefix="blobcat-races-", dir=shared if shared.is_dir() else None)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    yield
    shutil.rmtree(folder)


def effort(repair: Repair) -> Effort:
    """All of those that change the same file, where the plan is given, unless they are many; of others a few."""
    if NIGHTLY:
        return EVERY
    if repair.stale:
        return Effort(10, 2) if repair.other in CHANGING else Effort(0, 2)
    return Effort(0, 1)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("stale", [True, False], ids=["stale", "whole"])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("injury", INJURIES)
async def test_interleavings(injury: str, other: str, stale: bool) -> None:
    repair = Repair(injury, other, stale)
    tried = Tried(repair, partial(run, repair))
    await tried.all(effort(repair), first=Fraction(crc32(f"{repair}".encode()) % 16, 16))
    tried.count(" of repairs")


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("other", CHANGING if NIGHTLY else ["overwrite"])
@pytest.mark.parametrize("injury", INJURIES)
async def test_interleavings_with_one_fault(injury: str, other: str) -> None:
    """A request that is lost, or that arrives late: above all a DELETE of what was put aside, or settled."""
    repair = Repair(injury, other, stale=True)
    tried = Tried(repair, partial(run, repair))
    await tried.blows(FAULTS if NIGHTLY else FEW_FAULTS, Effort(10 if NIGHTLY else 0, 2 if NIGHTLY else 1))
    tried.count(" of repairs with a fault")


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("other", ["overwrite", "delete", "reconcile", "purge", "undo"])
@pytest.mark.parametrize("injury", ["touched", "missing", "no-version", "orphan", "no-mark", "touched-in-index"])
async def test_undo_races(injury: str, other: str) -> None:
    repair = Repair(injury, other, stale=True)
    tried = Tried(f"undo-{repair}", partial(undone, repair))
    await tried.all(EVERY if NIGHTLY else Effort(12, 2))
    tried.count(" of undos")


async def undone(repair: Repair, schedule: Schedule, _: Blow | None) -> None:
    """One who takes a repair back, and somebody else. Another reconcile repairs it anew."""
    async with begun(repair) as (world, before, plan):
        await Applies(plan, "journal")(world.client(), Recorder().volume("", await world.client().volume("v")))
        recorder, gates = Recorder(), [Gate(), Gate()]
        undoes = Undoes(plan.with_name("journal"))
        others: dict[str, Call] = {"reconcile": repair.reconciles, "undo": undoes}
        calls: list[Call] = [undoes, others.get(repair.other) or OTHERS[repair.other][0]]
        said = await interleave(
            schedule, [actor(world, f"{8 + at}", call, recorder) for at, call in enumerate(calls)], gates
        )
        assert isinstance(said[0], UndoReport), said
        assert not any(item.error for item in said[0].items), said
        assert isinstance(said[1], tuple({*repair.ends, NotFoundError})), said
        after = await world.look()
        kept = {blob.digest for blob in after.blobs.values()}
        purged = {row["blob"] for row in after.of("v") if "purged" in row}
        lost = [name for name, blob in before.blobs.items() if blob.digest not in kept and name not in purged]
        assert not lost, "what was put aside is nowhere"
        if repair.other == "undo":
            assert isinstance(said[1], UndoReport)
            assert not any(item.error for item in said[1].items), said
            if repair.injury != "missing":  # what was healed stays
                assert lasting(after) == lasting(before)
        if repair.injury in BURIED:
            await dug_out(world, before, after)
        await brought_to_rest(world, repair.reconciles)
        end = await world.look()
        check(end)
        s1_acknowledged_is_there(end, said)


async def test_undo_leaves_a_version_that_a_newer_one_follows() -> None:
    """S11: nobody else speaks of it by then."""
    async with begun(Repair("no-version", "overwrite", stale=True)) as (world, _, plan):
        client = world.client()
        await client.plan(plan).apply(journal=plan.with_name("journal"))
        volume = await client.volume("v")
        await volume.put("a", b"newer")
        report = await client.undo(plan.with_name("journal"))
        assert (report.undone, len(report.kept)) == (0, 1)
        assert [file.version async for file in volume.history("a")] == [3, 2, 1]


async def test_undo_leaves_a_blob_of_which_it_is_not_known_who_wrote_it() -> None:
    """S5: an apply that was killed before it had healed it, and another one that did."""
    async with begun(Repair("missing", "reconcile", stale=True)) as (world, _, plan):
        client, journal = world.client(), plan.with_name("journal")
        await client.plan(plan).apply(journal=journal)
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(line for line in lines if '"phase": "done"' not in line))
        report = await client.undo(journal)
        assert (report.undone, len(report.kept)) == (0, 1)
        after = await world.look()
        assert {row["blob"] for row in after.of("v")} <= after.blobs.keys()


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
        s1_acknowledged_is_there(end, said)
        if repair.injury not in BLOCKING:  # there, what everybody sees is wrong until it is repaired
            check_history(recorder.calls, end.histories, known(before))


def lasting(state: State) -> tuple[object, object]:
    """What an undo brings back: values and bytes, under other etags, perhaps."""
    rows = {
        key: {name: value for name, value in values.items() if name != "blob_etag"}
        for key, values in state.rows.items()
        if key[1][0] != "g"
    }
    return rows, {name: blob.digest for name, blob in state.blobs.items()}


def judge(repair: Repair, said: list[object]) -> None:
    applied, other = said
    assert isinstance(applied, ApplyReport), applied
    assert applied.ok, applied
    assert isinstance(other, tuple(repair.ends)), other
    if isinstance(other, ApplyReport):
        assert other.ok, other


def known(before: State) -> dict[str, int]:
    """How many versions each path has, with those of which the head alone speaks, or the version's row."""
    found: dict[str, int] = {}
    for row in (*before.of("v"), *before.of("h")):
        found[row["path"]] = max(found.get(row["path"], 0), int(row["version"]))
    return found


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
            shard = partition_of((await world.client().volume("v")).info, path)
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
    memory._ETAGS = count(1)  # a name in the quarantine tells of an etag: the same in each run
    async with World(PATIENT) as world:
        steady = world.client()
        volume = await steady.create_volume("v", shards=repair.shards)
        if repair.injury in INDEXED:
            await volume.create_index("digest")
        await INJURIES[repair.injury](Scene(steady, volume), "a")
        if not repair.stale:
            yield world, await world.look(), Path()
            return
        plan = await repair.reconciles.plan(steady)
        assert plan.header.actions, plan
        yield world, await world.look(), plan.path
