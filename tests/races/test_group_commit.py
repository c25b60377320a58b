"""Group commit, from below: how many transactions many callers take, and what one caller's trouble is to the others."""

import asyncio
from collections.abc import Callable, Sequence
from math import ceil

import pytest

from catalog import ConflictError, Create, FileVersion, IfVersion, Overwrite, Settings
from catalog.commit import UNITS_MAX, Committer, Lane, Seat, Unit
from catalog.table import Insert, Operation, Written
from tests.faults.ports import FaultTable, Wire
from tests.faults.scenarios import told
from tests.faults.world import World

TURNS = 300
"""Of the event loop, that a slow transaction takes: all that can gather has gathered by then."""


class SlowTable(FaultTable):
    """A table whose transactions take their time, and are noted."""

    def __init__(self, world: World, turns: int = TURNS) -> None:
        super().__init__(world.table, Wire())
        self.sizes: list[int] = []
        self._turns = turns

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        self.sizes.append(len(operations))
        for _ in range(self._turns):
            await asyncio.sleep(0)
        return await super().submit(partition, operations)


class StuckTable(FaultTable):
    """A table whose transactions wait to be let go."""

    def __init__(self, world: World) -> None:
        super().__init__(world.table, Wire())
        self.go = asyncio.Event()

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        await self.go.wait()
        return await super().submit(partition, operations)


def units(count: int, rows: int = 1) -> list[Unit]:
    return [Unit(tuple(Insert(f"r{number}-{row}", {"n": number}) for row in range(rows))) for number in range(count)]


@pytest.mark.parametrize(("rows", "per_transaction"), [(1, 100), (3, 33)])
async def test_a_thousand_callers_fill_their_transactions(rows: int, per_transaction: int) -> None:
    async with World(Settings()) as world:
        table = SlowTable(world)
        committer = Committer(table, 60)
        await asyncio.gather(*(committer.lane("p").commit(unit) for unit in units(1_000, rows)))
        assert len(table.sizes) <= ceil(1_000 / per_transaction) + 1
        await committer.close()


async def test_a_thousand_puts_share_transactions() -> None:
    async with World(Settings(transfers_max=256)) as world:
        table = SlowTable(world)
        volume = await world.client(table=table).create_volume("v", shards=1)
        table.sizes.clear()
        files = await asyncio.gather(*(volume.put(f"f{number}", b"x", mode=Create()) for number in range(1_000)))
        assert {file.version for file in files} == {1}
        few = 4
        assert len(table.sizes) <= ceil(1_000 / 99) + ceil(1_000 / 33) + few
        assert max(table.sizes) == 100


async def test_a_lone_caller_waits_for_nobody_and_asks_no_more_than_it_must() -> None:
    async with World(Settings()) as world:
        wire = Wire()
        volume = await world.client(wire).create_volume("v", shards=1)
        await requests(wire, lambda: volume.put("a", b"1", mode=Create()), "table.submit content.put table.submit")
        await requests(wire, lambda: volume.put("a", b"2"), "table.get table.submit content.put table.submit")
        await requests(wire, lambda: volume.put("a", b"2"), "table.get")
        await requests(wire, lambda: volume.stat("a"), "table.get")
        await requests(wire, lambda: volume.delete("a"), "table.get table.submit table.submit")


async def requests(wire: Wire, call: Callable[[], object], expected: str) -> None:
    before = len(wire.sent)
    await call()  # type: ignore[misc]
    assert " ".join(wire.sent[before:]) == expected


async def test_a_poisoned_unit_fails_alone() -> None:
    """Thirty callers of one transaction; the path of one has moved on, and only that one hears of it."""
    async with World(Settings()) as world:
        volume = await world.client(table=SlowTable(world)).create_volume("v", shards=1)
        for number in range(30):
            await (await world.client().volume("v")).put(f"f{number}", b"1")
        await (await world.client().volume("v")).put("f7", b"2")
        said = await asyncio.gather(
            *(told(volume.put(f"f{number}", b"3", mode=IfVersion(1), timeout_s=60)) for number in range(30))
        )
        assert [number for number, item in enumerate(said) if isinstance(item, ConflictError)] == [7]
        assert sum(isinstance(item, FileVersion) and item.version == 2 for item in said) == 29


async def test_a_head_that_moves_under_a_group_is_rebased_or_refused_alone() -> None:
    """One W3 for all: the head of one path moved after it was read; `Overwrite` follows it, `IfVersion` gives up."""
    for mode, ends in ((Overwrite(), FileVersion), (IfVersion(1), ConflictError)):
        async with World(Settings()) as world:
            table = StuckTable(world)
            table.go.set()
            volume = await world.client(table=table).create_volume("v", shards=1)
            for name in "abc":
                await volume.put(name, b"1")
            table.go.clear()
            puts = [asyncio.ensure_future(told(volume.put(name, b"3", mode=mode))) for name in "abc"]
            await asyncio.sleep(0)
            await (await world.client().volume("v")).put("b", b"2")
            table.go.set()
            said = dict(zip("abc", await asyncio.gather(*puts), strict=True))
            assert isinstance(said["b"], ends)
            assert all(isinstance(said[name], FileVersion) for name in "ac")
            assert [len(ops) for ops in (await world.look()).ops.values()] == [2, 3 if ends is FileVersion else 2, 2]


async def test_no_more_callers_wait_than_there_are_places() -> None:
    async with World(Settings()) as world:
        table = StuckTable(world)
        lane = Lane(table, "p", 60)
        callers = [asyncio.create_task(lane.commit(unit)) for unit in units(UNITS_MAX + 88)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(lane._prompt) + len(lane._patient) <= UNITS_MAX
        table.go.set()
        await asyncio.gather(*callers)
        assert repr(lane) == "<Lane p: 0 waiting, 0 expected>"


async def test_a_patient_caller_cancelled_on_its_way_in_is_no_longer_waited_for() -> None:
    """It had promised to come; were it still expected, the next patient callers would wait for it for ever."""
    async with World(Settings()) as world:
        table = StuckTable(world)
        lane = Lane(table, "p", 60)
        *first, last = units(UNITS_MAX + 1)
        callers = [asyncio.create_task(lane.commit(unit)) for unit in first]
        await asyncio.sleep(0)
        late = asyncio.create_task(Seat(lane).commit(last))
        await asyncio.sleep(0)
        late.cancel()
        table.go.set()
        await asyncio.gather(*callers, late, return_exceptions=True)
        assert late.cancelled()
        assert repr(lane) == "<Lane p: 0 waiting, 0 expected>"


async def test_puts_outlive_a_recovery_without_patience() -> None:
    """Again and again their intents are aborted under them; once that ends, all of them have got through, once."""
    async with World(Settings()) as world:
        volume = await world.client(table=SlowTable(world, turns=30)).create_volume("v", shards=1)
        other = world.client()
        puts = asyncio.gather(*(volume.put(f"f{number}", b"x", mode=Create()) for number in range(20)))
        aborted = 0
        while aborted < 30 and not puts.done():
            aborted += (await other.recover(patience_s=0)).count("aborted")
        assert aborted, "recovery never met a put"
        assert {file.version for file in await puts} == {1}
        await other.recover(patience_s=0)
        assert len((await world.look()).blobs) == 20
