"""Rebuilding a volume while requests go wrong: it is there as a whole, or not at all, and can be had again."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from catalog import Catalog, CatalogError, NotFoundError, OutcomeUnknownError, UnavailableError
from tests.faults.observer import Bytes
from tests.faults.ports import CRASHES, ONCE, PERSISTENT, Fault, Wire
from tests.faults.test_every_fault import for_every_request
from tests.faults.world import World, outlived

CONTENTS: Mapping[str, list[bytes]] = {"a": [b"1", b"2"], "b/c": [b"3"], "d": [b"4"]}


@asynccontextmanager
async def lost() -> AsyncIterator[tuple[World, Mapping[str, Bytes]]]:
    """A service whose table was lost, and its blobs."""
    async with World() as world:
        volume = await world.client().create_volume("v", shards=2)
        for path, contents in CONTENTS.items():
            for content in contents:
                await volume.put(path, content)
        await world.table.drop()
        await world.table.create()
        yield world, (await world.look()).blobs


async def check_there(world: World, catalog: Catalog, blobs: Mapping[str, Bytes]) -> None:
    """All of it is there, and none of its blobs is another."""
    volume = await catalog.volume()
    found = [file.path async for file in volume.list(recursive=True)]
    assert sorted(found) == sorted(CONTENTS)
    for path, contents in CONTENTS.items():
        files = [file async for file in volume.history(path)]
        assert [await volume.read(path, version=file.version) for file in reversed(files)] == contents
    assert (await world.look()).blobs == blobs


async def check_all_or_nothing(world: World, blobs: Mapping[str, Bytes]) -> None:
    catalog = world.client()
    try:
        await catalog.volume("v")
    except NotFoundError:
        assert (await catalog.rebuild("v", shards=2)).versions == 4
    assert (await catalog.recover(patience_s=0)).quiet
    await check_there(world, catalog, blobs)


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name.lower())
async def test_one_transient_fault_is_invisible(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with lost() as (world, blobs):
            catalog = world.client(wire)
            report = await catalog.rebuild("v", shards=2)
            assert (report.files, report.versions, report.ok) == (3, 4, True), wire
            await check_there(world, catalog, blobs)


@pytest.mark.parametrize("fault", PERSISTENT, ids=lambda fault: fault.name.lower())
async def test_an_outage_leaves_all_or_nothing(fault: Fault) -> None:
    async for wire in for_every_request(fault, on=True):
        async with lost() as (world, blobs):
            try:
                await world.client(wire).rebuild("v", shards=2)
            except CatalogError as error:
                assert isinstance(error, UnavailableError | OutcomeUnknownError), wire  # noqa: PT017 — it may go well
            await check_all_or_nothing(world, blobs)


@pytest.mark.parametrize("fault", [*CRASHES, Fault.CRASH_HELD], ids=lambda fault: fault.name.lower())
async def test_a_killed_client_leaves_all_or_nothing(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with lost() as (world, blobs):
            await outlived(wire, world.client(wire).rebuild("v", shards=2))
            await check_all_or_nothing(world, blobs)
            await wire.settle()  # what was on its way comes late, and changes nothing that anybody sees
            await check_there(world, world.client(Wire()), blobs)
