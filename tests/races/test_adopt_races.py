"""Interleavings of an adoption with the making of a volume where the blobs lie: no blob is two volumes'."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from catalog import Catalog, ConflictError
from storage import Always, Headers
from tests.faults.world import SETTINGS, World
from tests.harness import tally
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.races.gate import Gate, Pauses, Schedule, interleave, some_schedules
from tests.races.reduction import try_reduced

Call = Callable[[Catalog], Awaitable[object]]
PATIENT = replace(SETTINGS, request_timeout_s=60, timeout_s=80)
"""Nobody gives up on a request because its turn comes late."""
LIMIT, SPREAD = (1_500, 300) if NIGHTLY else (150, 100)


async def upload(cat: Catalog) -> object:
    return await cat._content.put("in/x", b"others'", when=Always(), headers=Headers())


async def adopt(cat: Catalog) -> object:
    return await (await cat.volume("v")).adopt()


async def create(cat: Catalog) -> object:
    return await cat.create_volume("inner", shards=1, root="in/")


async def upload_and_adopt(cat: Catalog) -> object:
    await upload(cat)
    return await adopt(cat)


async def create_and_upload(cat: Catalog) -> object:
    await create(cat)
    return await upload(cat)


PAIRS: dict[str, tuple[Call, Call, bool]] = {  # the two, and whether the blob is there before
    "there-before": (adopt, create, True),
    "uploaded-before-it-is-adopted": (upload_and_adopt, create, False),
    "uploaded-once-the-volume-is-made": (adopt, create_and_upload, False),
}


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("name", PAIRS)
async def test_no_blob_is_two_volumes(name: str, *, noted: bool) -> None:
    async def one(schedule: Schedule) -> None:
        tally.count("interleavings")
        try:
            await run(schedule, *PAIRS[name], noted=noted)
        except BaseException as error:
            error.add_note(f"replay: {name} {noted=} {schedule.choices}")
            raise

    complete = await try_reduced(one, limit=LIMIT)
    for schedule in () if complete else some_schedules(SPREAD):
        await one(schedule)
    tally.count("pairs with all interleavings", complete)
    tally.count("pairs with capped interleavings", not complete)


async def run(schedule: Schedule, one: Call, other: Call, there: bool, *, noted: bool) -> None:
    async with World(PATIENT) as world:
        client = world.client()
        volume = await client.create_volume("v", shards=1)
        if noted:
            await client._content.put("a", b"before", when=Always(), headers=Headers())
            await volume.adopt()
        await client._content.put("b", b"others'", when=Always(), headers=Headers())
        if there:
            await upload(client)

        def actor(name: str, each: Call) -> Callable[[Gate], Awaitable[object]]:
            async def act(gate: Gate) -> object:
                gate.shut = True
                return await each(world.client(gate, clock=Pauses(gate, PATIENT.timeout_s), name=name))

            return act

        adopted, made = await interleave(schedule, [actor("8", one), actor("9", other)])
        assert not isinstance(adopted, Exception), adopted
        assert not isinstance(made, Exception) or isinstance(made, ConflictError), made
        volumes = [info.name async for info in client.volumes()]
        files = [file.path async for file in volume.list(recursive=True)]
        assert "b" in files
        assert ("inner" in volumes) != isinstance(made, ConflictError)
        assert "inner" not in volumes or "in/x" not in files, (volumes, files)
