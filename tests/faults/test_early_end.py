"""Iterations that are left early, and readers that are cancelled half-way: no task is left, and the client goes on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing
from typing import cast

import pytest

from catalog import Catalog, F, Volume
from tests.faults.ports import Fault, Wire
from tests.faults.scenarios import TREE
from tests.faults.test_every_fault import for_every_request
from tests.faults.test_reading import GIVEN, PATH
from tests.faults.world import World

WALKS: Mapping[str, Callable[[Volume], AsyncIterable[object]]] = {
    "list": lambda volume: volume.list(recursive=True),
    "glob": lambda volume: volume.glob("**/*"),
    "folders": lambda volume: volume.folders(depth=3),
    "query": lambda volume: volume.query(F.size > 0),
    "history": lambda volume: volume.history(PATH),
    "query by paths": lambda volume: volume.query(F.path.isin([*"abcdefghijklmnop", PATH])),
    "pages": lambda volume: volume.query().pages(1),
}


@pytest.mark.parametrize("name", WALKS)
async def test_a_walk_that_is_left_early_leaves_no_task(name: str) -> None:
    async with World() as world:
        await world.prepare(GIVEN)
        volume = await world.client().volume("v")
        tasks = asyncio.all_tasks()
        async with aclosing(cast("AsyncGenerator[object, None]", aiter(WALKS[name](volume)))) as items:
            await anext(items)
        assert asyncio.all_tasks() <= tasks
        assert [item async for item in WALKS[name](volume)]


@pytest.mark.parametrize("name", WALKS)
async def test_a_walk_that_is_cancelled_at_any_request_leaves_no_task(name: str) -> None:
    async for wire in for_every_request(Fault.CANCEL):
        async with World() as world:
            await world.prepare(GIVEN)
            client = world.client(wire)
            tasks = asyncio.all_tasks()
            wire.cancels = asyncio.create_task(walked(client, name))
            await asyncio.wait([wire.cancels])
            assert wire.cancels.cancelled() == bool(wire.fired)
            assert asyncio.all_tasks() <= tasks, wire
            wire.heal()
            assert await walked(client, name) > 0


async def walked(client: Catalog, name: str) -> int:
    volume = await client.volume("v")
    return len([item async for item in WALKS[name](volume)])


async def test_a_reader_that_is_left_at_any_request_leaves_no_task() -> None:
    """With blocks ahead of what is read, under way or here."""
    for at in range(1, 6):
        async with World() as world:
            await world.prepare(GIVEN)
            wire = Wire()
            volume = await world.client(wire).volume("v")
            tasks = asyncio.all_tasks()
            wire.at, wire.fault, wire.on = len(wire.sent) + 1 + at, Fault.HANG_AFTER, True
            async with volume.open_seekable(PATH, read_ahead_bytes=16) as reader:
                reading = asyncio.create_task(reader.read())
                while not wire.fired:  # noqa: ASYNC110 — counted, not signalled
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
                assert reading.cancelled()
            assert asyncio.all_tasks() <= tasks, wire
            wire.heal()
            assert await volume.read(PATH) == TREE[PATH]
