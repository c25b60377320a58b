"""A token of an unknown outcome: whatever happens to who resolves it, the answer is the truth, and stays it (S3)."""

import pytest

from catalog import FileVersion, OutcomeUnknownError
from tests.faults.ports import CRASHES, MANY, ONCE, Fault, Wire
from tests.faults.test_every_fault import for_every_request
from tests.faults.world import World, outlived
from tests.harness.invariants import check_settled, s3_resolve_tells_the_truth

COMMIT = 4
"""The request of an overwrite that is its W3: after the head, W1 and W2."""


async def leave_unknown(world: World, fault: Fault, wire: Wire | None = None) -> str:
    """An overwrite that was lost, and everything after it; the token of what became of it."""
    wire = wire or Wire()
    volume = await world.client(wire).create_volume("v", shards=1)
    await volume.put("a", b"old")
    wire.at, wire.fault, wire.on = len(wire.sent) + COMMIT, fault, True
    with pytest.raises(OutcomeUnknownError) as caught:
        await volume.put("a", b"new")
    assert caught.value.token
    return caught.value.token


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name.lower())
async def test_one_transient_fault_changes_no_answer(fault: Fault, applied: bool) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            token = await leave_unknown(world, Fault.LOST_AFTER if applied else Fault.LOST_BEFORE)
            answer = await world.client(wire).resolve(token)
            assert (answer is not None) == applied, wire
            await check_answer(world, token, answer)


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("fault", CRASHES, ids=lambda fault: fault.name.lower())
async def test_a_killed_resolver_changes_no_answer(fault: Fault, applied: bool) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            token = await leave_unknown(world, Fault.LOST_AFTER if applied else Fault.LOST_BEFORE)
            await outlived(wire, world.client(wire).resolve(token))
            answer = await world.client().resolve(token)
            assert (answer is not None) == applied, wire
            await check_answer(world, token, answer)


async def test_a_commit_that_arrives_after_the_answer_changes_nothing() -> None:
    async with World() as world:
        wire = Wire(delay=MANY)
        token = await leave_unknown(world, Fault.HELD, wire)
        assert await world.client().resolve(token) is None
        before = await world.look()
        await wire.settle()
        assert await world.look() == before, "S3: the commit was let in after all"
        await check_answer(world, token, None)


async def check_answer(world: World, token: str, answer: FileVersion | None) -> None:
    await world.client().recover(patience_s=0)
    state = await world.look()
    check_settled(state)
    assert [row["digest"] for row in state.histories["a"]][1:] == ([answer.digest] if answer else [])
    s3_resolve_tells_the_truth(state, token, [answer, await world.client().resolve(token)])
