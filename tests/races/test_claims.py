"""A claim that somebody's move has left in the way: whoever wants to change that file settles it first (S1, S12)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.ports import Fault, Send, T, Wire
from tests.faults.scenarios import FAR
from tests.faults.touch import Touch
from tests.faults.world import World, outlived
from tests.harness.invariants import check, check_settled

CLAIM = 3
"""The request of a move between two shards that is its T2: after the source's head and T1."""
COMMIT = 4
"""The request of an overwrite that is its W3: after the head, W1 and W2."""


@dataclass(slots=True)
class Meanwhile(Wire):
    """A healthy wire, on which something happens just before one request."""

    before: Callable[[], Awaitable[None]] | None = None

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        """See Wire."""
        if self.before and len(self.sent) + 1 == self.at:
            await self.before()
        return await Wire.send(self, name, request, touch)


async def leave_claimed(world: World) -> None:
    """Begin to move `a`, and kill the client once it has claimed it."""
    wire = Wire()
    volume = await world.client(wire).volume("v")
    wire.at, wire.fault = len(wire.sent) + CLAIM, Fault.CRASH_AFTER
    assert await outlived(wire, volume.move("a", FAR)) is None
    assert {(path, target) for path, _, target in (await world.look()).claims} == {("a", FAR)}


async def check_put(world: World) -> None:
    """The put took effect, the move did not, and nothing is left of it."""
    state = await world.look()
    check(state)
    assert [row["kind"] for row in state.histories["a"]] == ["put", "put"]
    assert FAR not in state.histories
    assert not state.claims
    await world.client().recover(patience_s=0)
    check_settled(await world.look())


async def test_a_claimed_source_is_settled_before_it_is_changed() -> None:
    async with World() as world:
        volume = await world.client().create_volume("v", shards=2)
        await volume.put("a", b"old")
        await leave_claimed(world)
        assert (await volume.put("a", b"new")).version == 2
        await check_put(world)


async def test_a_claim_that_comes_meanwhile_is_settled_too() -> None:
    async with World() as world:
        wire = Meanwhile(before=lambda: leave_claimed(world))
        volume = await world.client(wire).create_volume("v", shards=2)
        await volume.put("a", b"old")
        wire.at = len(wire.sent) + COMMIT
        assert (await volume.put("a", b"new")).version == 2
        assert "table.submit" in wire.sent[wire.at :], "the commit did not meet the claim"
        await check_put(world)


async def test_a_move_that_returns_leaves_no_claim() -> None:
    async with World() as world:
        volume = await world.client().create_volume("v", shards=2)
        await volume.put("a", b"old")
        await volume.move("a", FAR)
        check_settled(await world.look())
