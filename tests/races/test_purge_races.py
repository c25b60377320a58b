"""Interleavings of a purge with all that may want the content that it purges; and with DELETEs that arrive late.

Of orders that differ by swaps of requests that commute, one is tried (`reduction`): so all of a pair are, unless it is
marked as one that has too many. With a fault, some are in an ordinary run, another one for each fault.

Whatever the order: nothing live loses its content (S5), history is only added to (S11), what was told is so, and one
who recovers and one more purge leave nothing half-done.
"""

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from catalog import PurgeReport, Volume
from catalog.messages import Absent
from catalog.purger import Attempt, Purger
from catalog.purging import PurgeResult, Reference, SearchIntents, SearchVersions, purge
from catalog.retention import Sharing
from tests.faults.observer import State
from tests.faults.ports import Fault
from tests.faults.world import World
from tests.harness.history import check_history
from tests.harness.invariants import check, check_grown, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorder
from tests.races.actors import PAUSES, actor, begun
from tests.races.exploring import Blow, Effort, Tried, replayable
from tests.races.gate import ALWAYS, Gate, Schedule, interleave
from tests.races.pairs import Pair
from tests.races.purge_pairs import PURGE_PAIRS, Purges
from tests.races.reduction import reduced_schedules

LIMIT, LIMIT_OF_A_FAULT = (4_000, 100) if NIGHTLY else (600, 0)
"""So many schedules at most, without a fault, and for each fault of each request of each actor."""
SPREAD, SPREAD_OF_A_FAULT = (300, 5) if NIGHTLY else (40, 1)
"""So many where they are capped, instead or beside; where it is one, it is another one for each fault."""
DELAYS = (1, 4)
FAULTS = (
    (Fault.LOST_BEFORE, 0),
    (Fault.LOST_AFTER, 0),
    *((fault, delay) for fault in (Fault.HELD, Fault.ECHO) for delay in DELAYS),
)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PURGE_PAIRS, ids=str)
async def test_interleavings(pair: Pair) -> None:
    tried = Tried(pair, partial(run, pair))
    await tried.all(Effort(0 if pair.many and not NIGHTLY else LIMIT, SPREAD))
    assert tried.ran > 1, "there was nothing to interleave"
    tried.count(endless=pair.endless)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PURGE_PAIRS, ids=str)
async def test_interleavings_with_one_fault(pair: Pair) -> None:
    tried = Tried(pair, partial(run, pair))
    await tried.blows(FAULTS, Effort(LIMIT_OF_A_FAULT, SPREAD_OF_A_FAULT))
    tried.count(" with a fault", endless=pair.endless)


async def run(pair: Pair, schedule: Schedule, blow: Blow | None) -> None:
    async with begun(pair) as (world, _, given):
        before, recorder = await world.look(), Recorder()
        gates = [Gate() for _ in pair.calls]
        actors = [actor(world, f"{8 + at}", call, recorder) for at, call in enumerate(pair.calls)]
        if blow:
            blow.arm(gates)
        said = await interleave(schedule, actors, gates, pauses=PAUSES if pair.endless else ALWAYS)
        if blow:
            blow.note(gates)
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
        for schedule in reduced_schedules():
            await replayable(pair, partial(run, pair), schedule)

    with pytest.raises(AssertionError, match="S5: the content of version 3 of a is gone"):
        await try_all()
