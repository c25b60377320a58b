"""Interleavings of two clients. A failure names the pair, what was lost, and the choices: its replay key.

Nothing is lost, or the answer of one request, which was applied or not. Each run ends in the invariants, and in what
the two were told being what some sequence of their calls would have told them.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import count

import pytest

from catalog import Catalog, Volume
from catalog.table import ANY_ETAG, Insert, Operation, Replace, Table, Written
from tests.faults.ports import Fault, FaultTable, Wire
from tests.faults.world import SETTINGS, World
from tests.harness import tally
from tests.harness.history import check_history
from tests.harness.invariants import check, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorded, Recorder
from tests.races.gate import Actor, Gate, Schedule, all_schedules, interleave, some_schedules
from tests.races.pairs import PAIRS, Call, Pair, recover

SCHEDULES = 20_000 if NIGHTLY else 40
"""Of a pair that has too many for all of them."""
SCHEDULES_OF_A_LOSS = 200 if NIGHTLY else 1
"""Of each request of each actor whose answer is lost; where it is one, it is another one for each."""
PATIENT = replace(SETTINGS, request_timeout_s=60, timeout_s=8)
"""Nobody gives up on a request because its turn comes late; those who stand in each other's way do, in virtual time."""

TableType = Callable[[Table, Wire], Table]

PASSES = frozenset({"table.next", "table.mark", "content.open", "content.chunk"})
OWN = frozenset({"content.put", "content.stat", "content.delete"})
"""Nobody but recovery touches the content of another's op."""


@dataclass(slots=True)
class Loss:
    """The answer of one actor's nth request is lost."""

    actor: int
    at: int
    fault: Fault
    fired: bool = False

    def schedules(self) -> Iterator[Schedule]:
        """Some; the first of them is another one for each loss."""
        turn = (5 * self.at + 3 * self.actor + (self.fault is Fault.LOST_AFTER)) % 16
        n = SCHEDULES_OF_A_LOSS
        return some_schedules(n, first=Fraction(turn, 16) / n)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_interleavings(pair: Pair) -> None:
    ran = 0
    for schedule in all_schedules() if pair.every else some_schedules(SCHEDULES):
        await replayable(pair, schedule)
        ran += 1
    assert ran > 1, "there was nothing to interleave"
    tally.count("interleavings", ran)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_interleavings_with_one_lost_answer(pair: Pair) -> None:
    ran = fired = 0
    for actor in (0, 1):
        for fault in (Fault.LOST_BEFORE, Fault.LOST_AFTER):
            for at in count(1):
                loss = Loss(actor, at, fault)
                lost = 0
                for schedule in loss.schedules():
                    loss.fired = False
                    await replayable(pair, schedule, loss)
                    ran += 1
                    lost += loss.fired
                fired += lost
                if not lost:
                    assert at > 1, "nothing was lost"
                    break
    tally.count("interleavings", ran)
    tally.count("faults fired", fired)


async def replayable(
    pair: Pair, schedule: Schedule, loss: Loss | None = None, *, table: TableType = FaultTable
) -> None:
    try:
        await run(pair, schedule, loss, table)
    except BaseException as error:
        error.add_note(f"replay: {pair} {schedule.choices} {loss}")
        raise


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
        for schedule in all_schedules():
            await replayable(pair, schedule, table=IgnoresConditions)

    with pytest.raises(AssertionError) as caught:
        await try_all()
    assert caught.value.__notes__[0].startswith(f"replay: {name} [")


async def run(pair: Pair, schedule: Schedule, loss: Loss | None, table: TableType) -> None:
    async with begun(pair) as (world, given):
        recorder = Recorder()
        passes = PASSES if recover in pair.calls else PASSES | OWN
        gates = [Gate() for _ in pair.calls]
        actors = [
            actor(
                lambda gate: world.client(gate, table=table(world.table, gate)),
                call,
                passes,
                partial(recorder.volume, f"{at}"),
            )
            for at, call in enumerate(pair.calls)
        ]
        if loss:
            gates[loss.actor].at, gates[loss.actor].fault = loss.at, loss.fault
        said = await interleave(schedule, actors, gates)
        if loss:
            loss.fired = bool(gates[loss.actor].fired)
        state = await world.look()
        assert {type(item) for item in said} in pair.ends, said
        check(state)
        check_history(recorder.calls, state.histories, given)
        await world.client().recover(patience_s=0)
        settled = await world.look()
        check_settled(settled)
        assert settled.ops == state.ops, "recovery changed what a reader sees"


@asynccontextmanager
async def begun(pair: Pair) -> AsyncIterator[tuple[World, dict[str, int]]]:
    """A world as the pair finds it, and how many versions of each path there are."""
    async with World(PATIENT) as world:
        volume = await world.client().create_volume("v", shards=pair.shards)
        for path, contents in pair.given.items():
            for content in contents:
                await (volume.delete(path) if content is None else volume.put(path, content))
        if pair.half_done:
            await world.leave_half_done("a", requests=3)
        yield world, {path: len(contents) for path, contents in pair.given.items()}


def actor(
    connected: Callable[[Gate], Catalog], call: Call, passes: frozenset[str], recorded: Callable[[Volume], Recorded]
) -> Actor:
    async def act(gate: Gate) -> object:
        fault, gate.fault = gate.fault, None
        catalog = connected(gate)
        volume = await catalog.volume("v")
        gate.passes, gate.shut = passes, True
        gate.fault, gate.at = fault, len(gate.sent) + gate.at
        return await call(catalog, recorded(volume))

    return act
