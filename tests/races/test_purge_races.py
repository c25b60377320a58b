"""Interleavings of a purge with all that may want the content that it purges; and with DELETEs that arrive late.

Whatever the order: nothing live loses its content (S5), history is only added to (S11), what was told is so, and one
who recovers and one more purge leave nothing half-done.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import pytest

from catalog import PurgeReport, Volume
from catalog.messages import Absent
from catalog.purger import Attempt, Purger
from catalog.purging import PurgeResult, Reference, SearchIntents, SearchVersions, purge
from catalog.retention import Sharing
from tests.faults.observer import State
from tests.faults.ports import Fault
from tests.faults.world import World
from tests.harness import tally
from tests.harness.history import check_history
from tests.harness.invariants import check, check_grown, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorder
from tests.races.gate import Actor, Gate, Schedule, interleave, some_schedules
from tests.races.pairs import Call, Pair
from tests.races.purge_pairs import PURGE_PAIRS, Purges
from tests.races.test_interleavings import PATIENT

SCHEDULES = 20_000 if NIGHTLY else 60
SCHEDULES_OF_A_FAULT = 100 if NIGHTLY else 1
FAULTS = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.HELD, Fault.ECHO)
DELAYS = (1, 4)


@dataclass(slots=True)
class Blow:
    """What becomes of one actor's nth request."""

    actor: int
    at: int
    fault: Fault
    delay: int
    fired: bool = False

    def schedules(self) -> Iterator[Schedule]:
        turn = (5 * self.at + 3 * self.actor + self.fault.value + self.delay) % 16
        return some_schedules(SCHEDULES_OF_A_FAULT, first=Fraction(turn, 16) / SCHEDULES_OF_A_FAULT)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PURGE_PAIRS, ids=str)
async def test_interleavings(pair: Pair) -> None:
    ran = 0
    for schedule in some_schedules(SCHEDULES):
        await replayable(pair, schedule)
        ran += 1
    assert ran > 1, "there was nothing to interleave"
    tally.count("interleavings", ran)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("pair", PURGE_PAIRS, ids=str)
async def test_interleavings_with_one_fault(pair: Pair, fault: Fault) -> None:
    ran = fired = 0
    for actor in (0, 1):
        for delay in DELAYS if fault in (Fault.HELD, Fault.ECHO) else (0,):
            for at in count(1):
                blow = Blow(actor, at, fault, delay)
                hit = 0
                for schedule in blow.schedules():
                    blow.fired = False
                    await replayable(pair, schedule, blow)
                    ran += 1
                    hit += blow.fired
                fired += hit
                if not hit:
                    assert at > 1, "the fault never fired"
                    break
    tally.count("interleavings", ran)
    tally.count("faults fired", fired)


async def replayable(pair: Pair, schedule: Schedule, blow: Blow | None = None) -> None:
    try:
        await run(pair, schedule, blow)
    except BaseException as error:
        error.add_note(f"replay: {pair} {schedule.choices} {blow}")
        raise


async def run(pair: Pair, schedule: Schedule, blow: Blow | None) -> None:
    async with begun(pair) as (world, given, before):
        recorder = Recorder()
        gates = [Gate() for _ in pair.calls]
        if blow:
            gates[blow.actor].at, gates[blow.actor].fault, gates[blow.actor].delay = blow.at, blow.fault, blow.delay
        actors = [actor(world, call, recorder, f"{at}") for at, call in enumerate(pair.calls)]
        said = await interleave(schedule, actors, gates)
        if blow:
            blow.fired = bool(gates[blow.actor].fired)
        for gate in gates:
            gate.heal()
            await gate.settle()
        after = await world.look()
        assert {type(item) for item in said} in pair.ends, said
        check(after)
        check_grown(before, after)
        check_history(recorder.calls, after.histories, given)
        told_the_truth(said, before, after)
        await brought_to_rest(world, pair, after)


def told_the_truth(said: Sequence[object], before: State, after: State) -> None:
    """So many contents are gone as were told to be; of two who purge the same, both may say so."""
    reports = [item for item in said if isinstance(item, PurgeReport)]
    assert all(report.ok for report in reports), reports
    purged = [row for row in after.of("v") if row.get("purged")]
    assert max(report.purged.versions for report in reports) <= len(purged)
    for row in purged:
        assert row["blob"] not in after.blobs, f"{row['path']}@{row['version']} is told purged, and is there"


async def brought_to_rest(world: World, pair: Pair, after: State) -> None:
    """One recovery and one more purge, with nobody else about: what is flagged and not purged, something live needs."""
    client = world.client()
    await client.recover(patience_s=0)
    keep = min(call.keep for call in pair.calls if isinstance(call, Purges))
    volume: Volume = await client.volume("v")
    assert (await volume.purge(keep_versions=keep)).ok
    settled = await world.look()
    check_settled(settled)
    check_grown(after, settled)
    live = {row["blob"] for row in settled.of("v") if row["kind"] != "delete" and "purging" not in row}
    for row in settled.of("v"):
        if row.get("purging"):
            assert row.get("purged") != (row["blob"] in live), f"{row['path']}@{row['version']} was left half-done"


@asynccontextmanager
async def begun(pair: Pair) -> AsyncIterator[tuple[World, dict[str, int], State]]:
    """A world as the pair finds it, how many versions of each path there are, and how it looks."""
    async with World(PATIENT) as world:
        volume = await world.client().create_volume("v", shards=pair.shards)
        for path, contents in pair.given.items():
            for content in contents:
                await (volume.delete(path) if content is None else volume.put(path, content))
        if pair.half_done:
            await world.leave_half_done("a", requests=3)
        yield world, {path: len(contents) for path, contents in pair.given.items()}, await world.look()


def actor(world: World, call: Call, recorder: Recorder, name: str) -> Actor:
    async def act(gate: Gate) -> object:
        fault, gate.fault = gate.fault, None
        catalog = world.client(gate)
        volume = await catalog.volume("v")
        gate.shut = True
        gate.fault, gate.at = fault, len(gate.sent) + gate.at
        return await call(catalog, recorder.volume(name, volume))

    return act


# --- What a simpler driver gets wrong --------------------------------------------------------------------------------


async def from_an_early_reading(self: Purger, run: str, contents: Sequence[Sharing]) -> list[PurgeResult]:
    """Answers from a reading that began before anybody had asked: before the flags."""
    early = {
        shard: (await self._fenced(shard, runs), await self._referred(shard, runs))
        for runs in [{sharing.rows[0].file.blob: run for sharing in contents}]
        for shard in range(self.volume.shards)
    }
    attempts = [Attempt(sharing.newest, *purge(run, sharing.rows, self.volume.shards)) for sharing in contents]
    await self._drive(attempts, SearchIntents, limit=1)
    for attempt in attempts:
        while isinstance(request := attempt.request, SearchIntents | SearchVersions):
            found = early[request.shard][isinstance(request, SearchVersions)]
            by = found.get(request.blob, "a@1")
            attempt.hear(Absent() if by == "a@1" else Reference(by))  # the candidate was no flagged one yet
    await self._drive(attempts, limit=1)
    return [attempt.request for attempt in attempts]  # type: ignore[misc]


async def rows_before_intents(self: Purger, attempts: Sequence[Attempt], shard: int) -> None:
    """Reads the rows of a shard, and then its intents: a copy commits between the two."""
    runs = {attempt.at.blob: attempt.at.run for attempt in attempts}
    for read in (self._referred, self._fenced):
        found = await read(shard, runs)
        for attempt in attempts:
            if isinstance(attempt.request, SearchIntents | SearchVersions):
                by = found.get(attempt.at.blob)
                attempt.hear(Absent() if by is None else Reference(by))


@pytest.mark.parametrize(
    ("method", "wrong"),
    [("purge", from_an_early_reading), ("_search", rows_before_intents)],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_a_driver_that_reads_at_the_wrong_time_is_found(
    method: str, wrong: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (pair,) = [each for each in PURGE_PAIRS if each.name == "restore"]
    monkeypatch.setattr(Purger, method, wrong)

    async def try_all() -> None:
        for schedule in some_schedules(2_000):
            await replayable(pair, schedule)

    with pytest.raises(AssertionError, match="S5: the content of version 3 of a is gone"):
        await try_all()
