"""A query of a range of an index, and writes that move rows of it: who fits all the time is found.

Two clients are interleaved, request by request; and writes, or the halves of one, are done between any two requests of
the query, at all places that there are.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations_with_replacement
from typing import TypeVar

import pytest

from catalog import Catalog, Condition, F
from catalog.keys import RowRange
from catalog.rows import Entity
from tests.faults.ports import FaultTable, Send, Wire
from tests.faults.touch import Touch
from tests.faults.world import World
from tests.harness import tally
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.races.gate import Gate, Schedule, interleave
from tests.races.trying import PATIENT, caller, try_orders

LIMIT, SPREAD = (1_500, 300) if NIGHTLY else (80, 80)

N = F.meta["n"]
BEFORE = {f"{number}": 10 * number for number in range(7)}  # three pages
FEW = {"a": 10, "b": 20}
RANGE, VALUES = N.between(0, 99), N.isin([10, 20])

Moves = Sequence[tuple[str, int]]
T = TypeVar("T")
WAYS: dict[str, tuple[dict[str, int], Condition, Moves]] = {
    "the last to the front": (BEFORE, RANGE, [("6", 5)]),
    "and back again": (BEFORE, RANGE, [("6", 5), ("6", 95)]),
    "more than a page to the front": (BEFORE, RANGE, [("6", 1), ("5", 2), ("4", 3), ("3", 4)]),
    "from value to value": (FEW, VALUES, [("b", 10)]),
    "and back to its value": (FEW, VALUES, [("b", 10), ("b", 20)]),
}


async def make(world: World, files: dict[str, int]) -> None:
    volume = await world.client().create_volume("v", shards=1)
    for path, number in files.items():
        await volume.put(path, b"x", metadata={"n": number})
    await volume.create_index("meta.n")


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", WAYS)
async def test_a_file_that_fits_all_the_time_is_found_wherever_its_row_moves(name: str) -> None:
    seen = set[int]()

    async def one(schedule: Schedule) -> None:
        seen.add(await run(schedule, name))

    await try_orders(one, name, limit=LIMIT, spread=SPREAD)
    assert len(seen) > 1, "every schedule took as many requests"


async def run(schedule: Schedule, name: str) -> int:
    """How many requests the query took."""
    before, where, moves = WAYS[name]

    async def ask(cat: Catalog) -> object:
        return [file.path async for file in (await cat.volume("v")).query(where)]

    async def move(cat: Catalog) -> object:
        volume = await cat.volume("v")
        for path, number in moves:
            await volume.set_metadata(path, {"n": number})
        return volume

    async with World(PATIENT) as world:
        await world.begin_as(WAYS[name], partial(make, files=before))
        gates = [Gate(), Gate()]

        found, done = await interleave(schedule, [caller(world, "8", ask), caller(world, "9", move)], gates)
        assert not isinstance(done, BaseException), done
        assert found == sorted(before), found
        return len(gates[0].sent)


Act = Callable[["Halves"], Awaitable[object]]


@dataclass
class Halves(Wire):
    """The wire of who moves a row, and may be held up before the commit."""

    world: World | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_commit: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: "asyncio.Task[object] | None" = None

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        if self.under_way and name == "table.submit" and "table.submit" in self.sent:
            self.begun.set()
            await self.may_commit.wait()
        return await super().send(name, request, touch)


def moved(path: str, number: int) -> Act:
    """A write, from its beginning to its end."""

    async def act(halves: Halves) -> object:
        assert halves.world
        return await (await halves.world.client().volume("v")).set_metadata(path, {"n": number})

    return act


def begun(path: str, number: int) -> Act:
    """Its intent, and no more."""

    async def act(halves: Halves) -> None:
        assert halves.world
        volume = await halves.world.client(halves).volume("v")
        halves.under_way = asyncio.create_task(volume.set_metadata(path, {"n": number}))
        await halves.begun.wait()

    return act


def together(*acts: Act) -> Act:
    """One after the other, with nothing between them."""

    async def act(halves: Halves) -> None:
        for one in acts:
            await one(halves)

    return act


async def committed(halves: Halves) -> object:
    """Its commit."""
    assert halves.under_way
    halves.may_commit.set()
    return await halves.under_way


@dataclass
class Beside(Wire):
    """The wire of who asks: before some of its requests others do something."""

    places: Sequence[int] = ()
    acts: Sequence[Act] = ()
    halves: Halves = field(default_factory=Halves)
    asking: bool = False
    asked: int = 0
    done: int = 0

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        if self.asking:
            await self.do()
            self.asked += 1
        return await super().send(name, request, touch)

    async def do(self, *, rest: bool = False) -> None:
        while self.done < len(self.acts) and (rest or self.places[self.done] <= self.asked):
            act, self.done = self.acts[self.done], self.done + 1
            await act(self.halves)


ACTS: dict[str, Sequence[Act]] = {
    "one is moved, and while those are read that were, another": [moved("6", 5), moved("5", 6), moved("4", 7)],
    "one that is open all along, another meanwhile": [begun("6", 5), moved("0", 1), committed],
    "one that is open, and then is moved again": [begun("6", 5), committed, moved("6", 95)],
    "one that slips by twice, among so many that reading them takes two pages": [
        together(moved("0", 1), moved("1", 11), moved("2", 21), moved("6", 35)),
        moved("6", 5),
    ],
}
REQUESTS = 30
PLACES = 400
ALWAYS = {(0, 0, 5), (6, 10)}
"""At these an error was found once that others do not find."""


class Scanning(FaultTable):
    """A table that answers as Azure may: a page has what was found among some rows, be it nothing."""

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async with aclosing(super().query(partition, rows)) as pages:
            async for page in pages:
                yield [row for row in page if where is None or where.holds(row.values)]


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("table", [FaultTable, Scanning])
@pytest.mark.parametrize("name", ACTS)
async def test_a_file_is_found_wherever_between_two_requests_its_row_moves(name: str, table: type[FaultTable]) -> None:
    acts, most = ACTS[name], 0
    every = list(combinations_with_replacement(range(REQUESTS + 1), len(acts)))
    some = {*every[:: 1 + len(every) // PLACES], *ALWAYS.intersection(every)}
    for places in every if NIGHTLY else sorted(some):
        async with World(PATIENT) as world:
            await world.begin_as(RANGE, partial(make, files=BEFORE))
            wire = Beside(places=places, acts=acts, halves=Halves(world=world))
            volume = await world.client(wire, table=table(world.table, wire)).volume("v")
            wire.asking = True
            found = [file.path async for file in volume.query(RANGE)]
            most = max(most, wire.asked)
            await wire.do(rest=True)
            assert found == sorted(BEFORE), places
        tally.count("interleavings")
    assert most <= REQUESTS, "there are more places"
