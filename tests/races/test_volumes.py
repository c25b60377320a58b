"""Interleavings of a deletion of a volume with what others do to it. A failure names its choices: the replay key."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from catalog import Catalog, ConflictError, FileVersion, NotFoundError, Volume
from tests.faults.observer import State
from tests.faults.test_every_fault import volumes
from tests.faults.world import World
from tests.harness.invariants import check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.races.gate import Schedule, interleave
from tests.races.trying import PATIENT, Call, caller, try_orders


async def delete(cat: Catalog) -> object:
    await cat.delete_volume("v")
    return None


def on_volume(call: Callable[[Volume], Awaitable[object]]) -> Call:
    async def act(cat: Catalog) -> object:
        return await call(await cat.volume("v"))

    return act


PUT = on_volume(lambda volume: volume.put("a", b"new"))
REMOVE = on_volume(lambda volume: volume.delete("a"))


async def create(cat: Catalog) -> object:
    return (await cat.create_volume("v", shards=1, exist_ok=True)).info


async def recover(cat: Catalog) -> object:
    return await cat.recover(patience_s=0)


async def choose(cat: Catalog) -> object:
    await cat.set_default_volume("v")
    return None


PAIRS: dict[str, tuple[Call, Sequence[bytes]]] = {  # what the other does, and the file that there is before
    "put": (PUT, ()),
    "put-onto": (PUT, (b"old",)),
    "delete": (REMOVE, (b"old",)),
    "delete_volume": (delete, ()),
    "create_volume": (create, ()),
    "recover": (recover, ()),
    "set_default_volume": (choose, ()),
}
LIMIT, SPREAD = (1_500, 300) if NIGHTLY else (150, 100)
"""So many orders that differ in effect are tried at most; where there are more, so many beside, spread over all."""


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", PAIRS)
async def test_interleavings(name: str) -> None:
    call, given = PAIRS[name]

    async def one(schedule: Schedule) -> None:
        await run(schedule, call, given)

    await try_orders(one, name, limit=LIMIT, spread=SPREAD)


async def run(schedule: Schedule, call: Call, given: Sequence[bytes]) -> None:
    async with World(PATIENT) as world:
        volume = await world.client().create_volume("v", shards=1)
        for content in given:
            await volume.put("a", content)

        deleted, said = await interleave(schedule, [caller(world, "8", delete), caller(world, "9", call)])
        judge(await world.look(), deleted, said, call)
        await world.client().recover(patience_s=0)
        after = await world.look()
        check_settled(after)
        judge(after, deleted, said, call)


def judge(state: State, deleted: object, said: object, call: Call) -> None:
    """S1, S2, S8: what was told is what is there; and no file is in a volume that is gone."""
    there, default = volumes(state)
    live = [values for values in state.of("h") if values["kind"] != "delete"]
    assert deleted is None or isinstance(deleted, ConflictError | NotFoundError), deleted
    assert not isinstance(said, Exception) or isinstance(said, ConflictError | NotFoundError), said
    if call is not create:
        assert bool(there) == (deleted is not None and not isinstance(deleted, NotFoundError)), (there, deleted)
    assert default in (*there, None)
    if call is PUT:
        assert isinstance(said, FileVersion) == bool(live and there), said
        assert isinstance(said, NotFoundError) == (not there)
    if call is REMOVE:
        assert isinstance(said, FileVersion | NotFoundError), said
    if call is delete:
        assert sorted([deleted is None, said is None]) in ([False, True], [True, True])
