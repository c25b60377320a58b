"""Interleavings of two clients. A failure names the pair, what was lost, and the choices: its replay key.

Nothing is lost, or the answer of one request, which was applied or not. Each run ends in the invariants, and in what
the two were told being what some sequence of their calls would have told them.

Of orders that differ by swaps of requests that commute, one is tried (`reduction`): so those of a pair are all tried,
unless it is marked as one that has too many. Then some are tried, spread evenly over all, and the closing lines count
it among the capped. The same holds for each request whose answer is lost.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from catalog.table import ANY_ETAG, Insert, Operation, Replace, Written
from tests.faults.ports import Fault, FaultTable
from tests.harness.history import check_history
from tests.harness.invariants import check, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorder
from tests.races.actors import PAUSES, TableType, actor, begun
from tests.races.exploring import Blow, Effort, Tried, replayable
from tests.races.gate import ALWAYS, Gate, Schedule, all_schedules, interleave
from tests.races.pairs import PAIRS, Pair
from tests.races.reduction import reduced_schedules

LIMIT, LIMIT_OF_A_LOSS = (4_000, 250) if NIGHTLY else (600, 100)
"""So many schedules at most, without a loss, and for each request of each actor whose answer is lost."""
SPREAD, SPREAD_OF_A_LOSS = (300, 10) if NIGHTLY else (40, 1)
"""So many where they are capped, instead or beside; where it is one, it is another one for each loss."""
LOSSES = ((Fault.LOST_BEFORE, 0), (Fault.LOST_AFTER, 0))


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_interleavings(pair: Pair) -> None:
    tried = Tried(pair, partial(run, pair))
    await tried.all(Effort(0 if pair.many and not NIGHTLY else LIMIT, SPREAD))
    assert tried.ran > 1, "there was nothing to interleave"
    tried.count(endless=pair.endless)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_interleavings_with_one_lost_answer(pair: Pair) -> None:
    tried = Tried(pair, partial(run, pair))
    limit = 0 if pair.many_with_a_loss and not NIGHTLY else LIMIT_OF_A_LOSS
    await tried.blows(LOSSES, Effort(limit, SPREAD_OF_A_LOSS))
    tried.count(" with a loss", endless=pair.endless)


@pytest.mark.parametrize("name", ["delete-delete", "if-version-delete"])
async def test_the_schedules_that_are_tried_have_every_effect_that_all_have(name: str) -> None:
    (pair,) = [each for each in PAIRS if each.name == name]
    everything = [await replayable(pair, partial(run, pair), schedule) for schedule in all_schedules()]
    reduced = [await replayable(pair, partial(run, pair), schedule) for schedule in reduced_schedules()]
    assert set(reduced) == set(everything)
    assert len(reduced) < len(everything) / 10


class IgnoresConditions(FaultTable):
    """Whoever inserts, replaces or deletes a row does, whatever is there by then."""

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        loose = [await self._loose(partition, each) for each in operations]
        return await super().submit(partition, loose)

    async def _loose(self, partition: str, operation: Operation) -> Operation:
        if not isinstance(operation, Insert):
            return replace(operation, etag=ANY_ETAG)
        there = await self._table.get(partition, operation.row)
        return Replace(operation.row, operation.values, ANY_ETAG) if there else operation


@pytest.mark.parametrize("name", ["if-version-if-version", "overwrite-overwrite", "move-put-on-source"])
async def test_a_table_that_ignores_conditions_is_found(name: str) -> None:
    (pair,) = [each for each in PAIRS if each.name == name]

    async def try_all() -> None:
        for schedule in reduced_schedules():
            await replayable(pair, partial(run, pair, table=IgnoresConditions), schedule)

    with pytest.raises(AssertionError) as caught:
        await try_all()
    assert caught.value.__notes__[0].startswith(f"replay: {name} [")


async def run(pair: Pair, schedule: Schedule, blow: Blow | None, *, table: TableType = FaultTable) -> str:
    """Run the two, and judge; what the two were told and what is there, but for the service's stamps."""
    async with begun(pair) as (world, steady, given):
        recorder = Recorder()
        gates = [Gate() for _ in pair.calls]
        actors = [actor(world, str(8 + at), call, recorder, table=table) for at, call in enumerate(pair.calls)]
        if blow:
            blow.arm(gates)
        said = await interleave(schedule, actors, gates, pauses=PAUSES if pair.endless else ALWAYS)
        if blow:
            blow.note(gates)
        state = await world.look()
        assert {type(item) for item in said} in pair.ends, said
        check(state)
        check_history(recorder.calls, state.histories, given)
        await steady.recover(patience_s=0)
        settled = await world.look()
        check_settled(settled)
        assert settled.ops == state.ops, "recovery changed what a reader sees"
        told = [f"{type(item).__name__} {getattr(item, 'etag', '')}" for item in said]
        return f"{told} {state.ops} {sorted(state.rows)} {sorted(state.blobs)}"
