"""Interleavings of the making and dropping of an index with what others do. A failure names its replay key.

After each, index and heads agree, as after anything: see the invariants. Whoever comes later brings it to its end.
"""

from collections.abc import Awaitable, Callable

import pytest

from catalog import Catalog, CatalogError, ConflictError, NotFoundError, Volume
from tests.faults.world import World
from tests.harness.invariants import check, check_settled
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.races.gate import Schedule, interleave
from tests.races.trying import PATIENT, Call, caller, try_orders


def on(call: Callable[[Volume], Awaitable[object]]) -> Call:
    async def act(cat: Catalog) -> object:
        return await call(await cat.volume("v"))

    return act


CREATE = on(lambda volume: volume.create_index("size"))
DROP = on(lambda volume: volume.drop_index("size"))
PAIRS: dict[str, tuple[Call, Call, bool]] = {  # two calls, and whether the index is there before
    "create-put": (CREATE, on(lambda volume: volume.put("b", b"new")), False),
    "create-put-onto": (CREATE, on(lambda volume: volume.put("a", b"new")), False),
    "create-delete": (CREATE, on(lambda volume: volume.delete("a")), False),
    "create-move": (CREATE, on(lambda volume: volume.move("a", "b")), False),
    "create-set_metadata": (CREATE, on(lambda volume: volume.set_metadata("a", {"n": 1})), False),
    "create-create": (CREATE, CREATE, False),
    "create-create-another": (CREATE, on(lambda volume: volume.create_index("kind")), False),
    "create-recover": (CREATE, lambda cat: cat.recover(patience_s=0), False),
    "create-delete_volume": (CREATE, lambda cat: cat.delete_volume("v"), False),
    "create-drop": (CREATE, DROP, True),
    "drop-put": (DROP, on(lambda volume: volume.put("b", b"new")), True),
    "drop-put-onto": (DROP, on(lambda volume: volume.put("a", b"new")), True),
    "drop-delete": (DROP, on(lambda volume: volume.delete("a")), True),
    "drop-drop": (DROP, DROP, True),
}
LIMIT, SPREAD = (1_000, 300) if NIGHTLY else (40, 40)
"""So many orders that differ in effect are tried at most; where there are more, so many beside, spread over all."""


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", PAIRS)
async def test_interleavings(name: str) -> None:
    async def one(schedule: Schedule) -> None:
        await run(schedule, *PAIRS[name])

    await try_orders(one, name, limit=LIMIT, spread=SPREAD)


async def run(schedule: Schedule, first: Call, second: Call, indexed: bool) -> None:
    async with World(PATIENT) as world:
        volume = await world.client().create_volume("v", shards=1)
        for path in ("a", "c"):
            await volume.put(path, b"old")
        if indexed:
            await volume.create_index("size")

        said = await interleave(schedule, [caller(world, "8", first), caller(world, "9", second)])
        for each in said:
            assert not isinstance(each, Exception) or isinstance(each, NotFoundError | ConflictError), each
        check(await world.look())
        await world.client().recover(patience_s=0)
        check_settled(await world.look())
        await finished(await world.client().volume("v"))
        state = await world.look()
        check_settled(state)
        assert len(state.of("h")) >= 2


async def finished(volume: Volume) -> None:
    """What was left of indexes is brought to its end by the next who comes."""
    for index in await volume.indexes():
        if index.state == "building":
            assert (await volume.create_index(*index.on)).state == "ready"
        if index.state == "dropping":
            await volume.drop_index(*index.on)
    assert all(index.state == "ready" for index in await volume.indexes())
    assert not isinstance(await volume.put("later", b"1"), CatalogError)
