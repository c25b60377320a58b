"""A load whose requests fail, each in each way; that is killed at each, and started again; that is cancelled at each.

What is copied from stands behind the same wire. Nobody ever sees part of a volume, and the end is always the same.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

import pytest

from catalog import Catalog, CatalogError, LoadReport, NotFoundError, OutcomeUnknownError, UnavailableError
from catalog.keys import REGISTRY, RowRange
from storage import Always, Headers
from storage.memory import MemoryContent
from tests.faults.ports import CRASHES, ONCE, PERSISTENT, Fault, FaultContent, Wire
from tests.faults.world import World, outlived
from tests.harness.invariants import check_settled

MANY = 200
STAGED = b"0123456789" * 5
VOLUME = "w"


class Source:
    """A dump, and the store that has its content."""

    def __init__(self, lines: Sequence[str], store: MemoryContent) -> None:
        self.lines = lines
        self.store = store


@pytest.fixture
async def source() -> Source:
    store = MemoryContent()
    async with World(content=store) as world:
        world._ids = count(10**6)  # not those of the worlds that it is loaded into
        client = world.client()
        volume = await client.create_volume(VOLUME, shards=2)
        await volume.put("a", b"1", request_id="r")
        await volume.put("a", STAGED)
        await volume.put("b", b"3")
        await volume.delete("b")
        await volume.copy("a", "c")
        await store.put("in/x", b"others'", when=Always(), headers=Headers())
        await volume.adopt("in/")
        lines = [line async for line in client.dump()]
        kept = MemoryContent(store._container)
    return Source(lines, kept)


async def load(client: Catalog, source: Source, wire: Wire) -> LoadReport:
    """Takes its content from behind the client's own wire."""
    return await client.load(list(source.lines), content_from=FaultContent(source.store, wire))


async def for_every_request(fault: Fault, *, on: bool = False) -> AsyncIterator[Wire]:
    for number in count(1):
        wire = Wire(number, fault, on=on)
        yield wire
        if not wire.fired:
            assert number > 20, "a load makes more requests than that"
            return
        assert number < MANY, "the load never ends"


async def whole(world: World, source: Source) -> None:
    """The volume is there, as it was; and it is the only one, and nothing is left over."""
    client = world.client()
    assert [info.name async for info in client.volumes()] == [VOLUME]
    volume = await client.volume(VOLUME)
    assert volume.info.adopted == ("in/",)
    assert [(line.count('"version":'), line[:90]) for line in source.lines][1:-1] == [
        (line.count('"version":'), line[:90]) for line in [each async for each in client.dump()]
    ][1:-1]
    assert (await volume.verify()).ok
    assert await volume.read("c") == STAGED
    assert (await client.recover(patience_s=0)).quiet
    assert (await volume.put("a", b"later")).version == 3
    assert (await volume.put("a", b"other", request_id="r")).version == 1
    await client.recover(patience_s=0)
    check_settled(await world.look())


async def unseen(world: World) -> bool:
    """Whether there is no volume; there is none of which a part is there."""
    client = world.client()
    volumes = [info.name async for info in client.volumes()]
    if not volumes:
        return True
    assert (await (await client.volume(VOLUME)).verify()).ok
    assert isinstance([line async for line in client.dump()][-1], str)
    return False


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name.lower())
async def test_one_transient_fault_is_invisible(source: Source, fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            report = await load(world.client(wire), source, wire)
            assert report.ok, wire
            await whole(world, source)


@pytest.mark.parametrize("fault", PERSISTENT, ids=lambda fault: fault.name.lower())
async def test_an_outage_ends_in_an_error_and_the_same_load_goes_on(source: Source, fault: Fault) -> None:
    async for wire in for_every_request(fault, on=True):
        async with World() as world:
            try:
                await load(world.client(wire), source, wire)
            except (UnavailableError, OutcomeUnknownError) as error:
                wire.heal()
                if isinstance(error, UnavailableError):
                    assert await unseen(world), wire
            wire.heal()
            assert (await load(world.client(), source, Wire())).ok, wire
            await whole(world, source)


@pytest.mark.parametrize("fault", [*CRASHES, Fault.CRASH_HELD], ids=lambda fault: fault.name.lower())
async def test_killed_at_any_request_it_goes_on_when_it_is_started_again(source: Source, fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            await outlived(wire, load(world.client(wire), source, wire))
            done = not await unseen(world)
            epochs = await begun(world)
            again = Wire()
            assert (await load(world.client(again), source, again)).ok
            assert not done or "table.submit" not in again.sent, f"it was done already: {wire}"
            if epochs:
                assert await begun(world) == epochs, "it began anew, in place of going on"
            await wire.settle()
            await whole(world, source)


async def begun(world: World) -> list[Any]:
    """The epochs of the loads that somebody began."""
    found = [row async for page in world.table.query(REGISTRY, RowRange("l", "m")) for row in page]
    return [row.values["epochs"] for row in found]


@pytest.mark.parametrize("fault", [Fault.HELD, Fault.ECHO], ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("delay", [1, 3, 9])
async def test_a_request_that_arrives_late_changes_nothing(source: Source, fault: Fault, delay: int) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            wire.delay = delay
            assert (await load(world.client(wire), source, wire)).ok
            await wire.settle()
            await whole(world, source)


async def test_cancelled_anywhere_it_leaves_no_task_and_goes_on(source: Source) -> None:
    async for wire in for_every_request(Fault.CANCEL):
        async with World() as world:
            task = asyncio.ensure_future(load(world.client(wire), source, wire))
            wire.cancels = task
            await asyncio.gather(task, return_exceptions=True)
            await wire.settle()
            wire.heal()
            assert (await load(world.client(), source, Wire())).ok
            await whole(world, source)


async def test_a_load_meets_a_volume_of_its_name_that_is_being_deleted(source: Source) -> None:
    for number in count(1):
        wire = Wire(number, Fault.CRASH_AFTER)
        async with World() as world:
            await world.client().create_volume(VOLUME, shards=1)
            await outlived(wire, world.client(wire).delete_volume(VOLUME))
            try:
                assert (await load(world.client(), source, Wire())).ok
            except CatalogError as error:
                assert error.kind == "conflict.exists"  # noqa: PT017 — it was not begun
                await world.client().delete_volume(VOLUME)
                assert (await load(world.client(), source, Wire())).ok
            await world.client().recover(patience_s=0)
            await whole(world, source)
        if not wire.fired:
            return


async def test_a_store_without_a_container_has_no_content(source: Source) -> None:
    async with World() as world:
        with pytest.raises((NotFoundError, CatalogError), match="container"):
            await world.client().load(list(source.lines), content_from=MemoryContent())
