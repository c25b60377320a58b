"""Interleavings of two clients. A failure names the pair, what was lost, and the choices: its replay key.

Nothing is lost, or the answer of one request, which was applied or not. Each run ends in the invariants, and in what
the two were told being what some sequence of their calls would have told them.

Of orders that differ by swaps of requests that commute, one is tried (`reduction`): so those of a pair are all tried,
unless it is marked as one that has too many. Then some are tried, spread evenly over all, and the closing lines count
it among the capped. The same holds for each request whose answer is lost.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

import pytest

from catalog import Catalog
from catalog.table import ANY_ETAG, Insert, Operation, Replace, Written
from tests.faults.ports import Fault, FaultTable
from tests.faults.world import PAGE_ROWS, SETTINGS, World, writes
from tests.harness import tally
from tests.harness.history import check_history
from tests.harness.invariants import check, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.harness.recorder import Recorder
from tests.races.gate import ALWAYS, Actor, Gate, Pauses, Schedule, all_schedules, interleave, some_schedules
from tests.races.pairs import PAIRS, Call, Pair
from tests.races.reduction import reduced_schedules, try_reduced

LIMIT, LIMIT_OF_A_LOSS = (20_000, 1_000) if NIGHTLY else (600, 100)
"""So many schedules at most, without a loss, and for each request of each actor whose answer is lost."""
SPREAD, SPREAD_OF_A_LOSS = (2_000, 50) if NIGHTLY else (40, 1)
"""So many where they are capped, instead or beside; where it is one, it is another one for each loss."""
PAUSES = 2 if NIGHTLY else 1
"""After so many, one of two who may undo each other for ever lets the other pass."""
PATIENT = replace(SETTINGS, request_timeout_s=60, timeout_s=80)
"""Nobody gives up on a request because its turn comes late; those who stand in each other's way do, in virtual time."""

TableType = type[FaultTable]


@dataclass(slots=True)
class Loss:
    """The answer of one actor's nth request is lost."""

    actor: int
    at: int
    fault: Fault
    fired: bool = field(default=False, repr=False)
    write: bool = field(default=False, repr=False)
    """Whether it was a write, in some schedule."""

    def spread(self) -> Iterator[Schedule]:
        """Some schedules; the first of them is another one for each loss."""
        turn = (5 * self.at + 3 * self.actor + (self.fault is Fault.LOST_AFTER)) % 16
        n = SPREAD_OF_A_LOSS
        return some_schedules(n, first=Fraction(turn, 16) / n)


@dataclass(slots=True)
class Tried:
    """How much of a pair was tried."""

    ran: int = 0
    fired: int = 0
    capped: bool = False

    async def all(self, pair: Pair, loss: Loss | None = None, *, few: bool) -> None:
        """Try all schedules that differ in effect; where they are too many, some that are spread over all."""
        one = partial(self.one, pair, loss)
        if few or not await try_reduced(one, limit=LIMIT_OF_A_LOSS if loss else LIMIT):
            self.capped = True
            for schedule in loss.spread() if loss else some_schedules(SPREAD):
                await one(schedule)

    async def one(self, pair: Pair, loss: Loss | None, schedule: Schedule) -> None:
        """Try one schedule."""
        await replayable(pair, schedule, loss)
        self.ran += 1
        self.fired += bool(loss and loss.fired)

    def count(self, pair: Pair, what: str) -> None:
        """For the closing lines: all is all only where nobody was made to wait."""
        tally.count("interleavings", self.ran)
        tally.count("faults fired", self.fired)
        tally.count(f"pairs with all interleavings{what}", not self.capped and not pair.endless)
        tally.count(f"pairs with all interleavings{what} but for who waits", not self.capped and pair.endless)
        tally.count(f"pairs with capped interleavings{what}", self.capped)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_interleavings(pair: Pair) -> None:
    tried = Tried()
    await tried.all(pair, few=pair.many and not NIGHTLY)
    assert tried.ran > 1, "there was nothing to interleave"
    tried.count(pair, "")


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_interleavings_with_one_lost_answer(pair: Pair) -> None:
    tried = Tried()
    for actor in (0, 1):
        at = 1
        while await lose(tried, pair, actor, at):
            at += 1
        assert at > 1, "nothing was lost"
    tried.count(pair, " with a loss")


async def lose(tried: Tried, pair: Pair, actor: int, at: int) -> bool:
    """Lose an answer, applied or not; False where no schedule has so many requests. A read is lost but once."""
    fired = tried.fired
    before, after = Loss(actor, at, Fault.LOST_BEFORE), Loss(actor, at, Fault.LOST_AFTER)
    for loss in (before, after):
        if loss is before or before.write:
            await tried.all(pair, loss, few=pair.many_with_a_loss and not NIGHTLY)
    return tried.fired > fired


async def replayable(pair: Pair, schedule: Schedule, loss: Loss | None = None, *, table: TableType = FaultTable) -> str:
    try:
        return await run(pair, schedule, loss, table)
    except BaseException as error:
        error.add_note(f"replay: {pair} {schedule.choices} {loss}")
        raise


@pytest.mark.parametrize("name", ["delete-delete", "if-version-delete"])
async def test_the_schedules_that_are_tried_have_every_effect_that_all_have(name: str) -> None:
    (pair,) = [each for each in PAIRS if each.name == name]
    everything = [await replayable(pair, schedule) for schedule in all_schedules()]
    reduced = [await replayable(pair, schedule) for schedule in reduced_schedules()]
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
            await replayable(pair, schedule, table=IgnoresConditions)

    with pytest.raises(AssertionError) as caught:
        await try_all()
    assert caught.value.__notes__[0].startswith(f"replay: {name} [")


async def run(pair: Pair, schedule: Schedule, loss: Loss | None, table: TableType) -> str:
    """Run the two, and judge; what the two were told and what is there, but for the service's stamps."""
    async with begun(pair) as (world, steady, given):
        recorder = Recorder()
        gates = [Gate() for _ in pair.calls]
        actors = [actor(world, str(8 + at), call, table, recorder) for at, call in enumerate(pair.calls)]
        if loss:
            gates[loss.actor].at, gates[loss.actor].fault = loss.at, loss.fault
        said = await interleave(schedule, actors, gates, pauses=PAUSES if pair.endless else ALWAYS)
        if loss:
            note(loss, gates[loss.actor])
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


def note(loss: Loss, gate: Gate) -> None:
    loss.fired = bool(gate.fired)
    if loss.fired:
        loss.write |= bool(writes([gate.sent[gate.at - 1]]))


@asynccontextmanager
async def begun(pair: Pair) -> AsyncIterator[tuple[World, Catalog, dict[str, int]]]:
    """A world as the pair finds it, who made it so, and how many versions of each path there are."""
    async with World(PATIENT) as world:
        steady = world.client()
        volume = await steady.create_volume("v", shards=pair.shards)
        for path, contents in pair.given.items():
            for content in contents:
                await (volume.delete(path) if content is None else volume.put(path, content))
        if pair.half_done:
            await world.leave_half_done("a", requests=3)
        yield world, steady, {path: len(contents) for path, contents in pair.given.items()}


def actor(world: World, name: str, call: Call, table: TableType, recorder: Recorder) -> Actor:
    """Who makes a call, with a client whose ids begin with a name, so that no order of requests changes them."""

    async def act(gate: Gate) -> object:
        fault, gate.fault = gate.fault, None
        clock = Pauses(gate, PATIENT.timeout_s)
        catalog = world.client(gate, table=table(world.table, gate, page_rows=PAGE_ROWS), clock=clock, name=name)
        volume = await catalog.volume("v")
        gate.shut = True
        gate.fault, gate.at = fault, len(gate.sent) + gate.at
        return await call(catalog, recorder.volume(name, volume, begin=gate.begin, end=gate.end))

    return act
