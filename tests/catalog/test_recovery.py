"""How long recovery leaves an intent alone, and how long it keeps one, by the table's clock."""

import time
from dataclasses import dataclass, field

import pytest

from catalog.recovery import KEPT_US, Recovered
from catalog.sqlite_table import SqliteTable
from catalog.threads import ShortCalls
from tests.faults.world import INLINE, World

SECOND_NS = 1_000_000_000
TWO_WEEKS_S = 14 * 86_400


@dataclass(slots=True)
class Time:
    """The table's own clock, which goes as far as it is told to."""

    now_ns: int = field(default_factory=time.time_ns)

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * SECOND_NS)

    def world(self) -> World:
        """A world whose table has this clock."""
        table = SqliteTable(":memory:", page_rows=3, clock=lambda: self.now_ns)
        table._writer = table._readers = INLINE
        table._reads = ShortCalls(INLINE)
        return World(table=table)


async def actions(world: World, patience_s: float | None = None) -> list[tuple[str, str]]:
    """What became of which path."""
    return [(item.path, item.action) for item in await recovered(world, patience_s)]


async def recovered(world: World, patience_s: float | None) -> tuple[Recovered, ...]:
    return (await world.client().recover(patience_s=patience_s)).items


async def test_an_open_intent_is_left_alone_for_as_long_as_it_asks() -> None:
    clock = Time()
    async with clock.world() as world:
        await world.client().create_volume("v", shards=1)
        await world.leave_half_done("a", 3)
        [intent] = (await world.look()).open_intents
        assert await actions(world) == [("a", "waiting")]
        clock.passes(intent["patience_s"] - 1)
        assert await actions(world) == [("a", "waiting")]
        assert (await world.look()).open_intents == [intent]
        clock.passes(2)
        assert await actions(world) == [("a", "aborted")]
        assert (await world.look()).open_intents == []


@pytest.mark.parametrize(("patience_s", "action"), [(0, "aborted"), (5, "aborted"), (20, "waiting")])
async def test_whoever_recovers_may_ask_for_another_patience(patience_s: float, action: str) -> None:
    clock = Time()
    async with clock.world() as world:
        await world.client().create_volume("v", shards=1)
        await world.leave_half_done("a", 3)
        clock.passes(10)
        assert await actions(world, patience_s) == [("a", action)]


async def test_an_aborted_intent_is_kept_for_a_week() -> None:
    """As long as it is there, a put that arrives late is recognised."""
    clock = Time()
    async with clock.world() as world:
        await world.client().create_volume("v", shards=1)
        await world.leave_half_done("a", 3)
        assert await actions(world, 0) == [("a", "aborted")]
        clock.passes(KEPT_US / 1_000_000 - 1)
        for _ in range(2):
            assert await actions(world) == [("a", "swept")]
        assert [row["state"] for row in (await world.look()).of("i")] == ["aborted"]
        clock.passes(2)
        assert await actions(world) == [("a", "dropped")]
        assert (await world.look()).of("i") == []
        assert await actions(world) == []


async def test_an_open_intent_is_aborted_first_however_old_it_is() -> None:
    clock = Time()
    async with clock.world() as world:
        await world.client().create_volume("v", shards=1)
        await world.leave_half_done("a", 3)
        clock.passes(TWO_WEEKS_S)
        assert await actions(world) == [("a", "aborted")]
        assert await actions(world) == [("a", "swept")]
