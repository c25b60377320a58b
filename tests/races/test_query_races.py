"""Interleavings of a query through an index with the drop of that index, and with one that is made: no file is lost."""

from dataclasses import replace
from typing import Any

import pytest

from catalog import Catalog, ConflictError, F
from tests.faults.world import World
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.races.gate import Gate, Schedule, interleave
from tests.races.trying import PATIENT, Call, caller, try_orders

LIMIT, SPREAD = (1_500, 300) if NIGHTLY else (60, 60)

FILES = [f"{number}" for number in range(7)]  # three pages
OPS = F.meta["owner"] == "ops"
WAYS: dict[str, dict[str, Any]] = {
    "one value": {"where": OPS},
    "several": {"where": F.meta["owner"].isin(["ops", "lab"])},
    "in order": {"where": OPS, "order_by": ("meta.owner",)},
    "a page of it": {"where": OPS, "limit": 4},
    "bit by bit": {"where": OPS},
}


def query(name: str) -> Call:
    async def ask(cat: Catalog) -> object:
        volume = await cat.volume("v")
        query = volume.query(**WAYS[name])
        if name == "bit by bit":  # as a large answer is
            query._source = replace(query._source, unconfirmed_max=2)  # type: ignore[type-var]
        return [file.path async for file in query]

    return ask


async def drop(cat: Catalog) -> object:
    volume = await cat.volume("v")
    await volume.drop_index("meta.owner")
    return volume


async def drop_and_make(cat: Catalog) -> object:
    await drop(cat)
    return await (await cat.volume("v")).create_index("meta.owner")


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("meanwhile", [drop, drop_and_make], ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", WAYS)
async def test_a_query_finds_all_files_whatever_becomes_of_its_index(name: str, meanwhile: Call) -> None:
    seen = set[str]()

    async def one(schedule: Schedule) -> None:
        seen.add(await run(schedule, name, meanwhile))

    await try_orders(one, name, limit=LIMIT, spread=SPREAD)
    assert len(seen) > 1 or meanwhile is drop_and_make, "every schedule ended in the same way"


async def run(schedule: Schedule, name: str, meanwhile: Call) -> str:
    """Which way the query took in the end."""

    async def make(world: World) -> None:
        volume = await world.client().create_volume("v", shards=1)
        for path in FILES:
            await volume.put(path, b"x", metadata={"owner": "ops"})
        await volume.create_index("meta.owner")

    async with World(PATIENT) as world:
        await world.begin_as(test_a_query_finds_all_files_whatever_becomes_of_its_index, make)
        gates = [Gate(), Gate()]

        found, dropped = await interleave(
            schedule, [caller(world, "8", query(name)), caller(world, "9", meanwhile)], gates
        )
        assert not isinstance(dropped, BaseException), dropped
        if "order_by" in WAYS[name] and isinstance(found, Exception):
            assert getattr(found, "kind", "") in ("conflict.index", "invalid.order"), found
        else:
            assert found == FILES[: WAYS[name].get("limit", len(FILES))], found
        assert not isinstance(found, ConflictError) or found.kind == "conflict.index"
        return f"{len(gates[0].sent)} {type(found).__name__}"
