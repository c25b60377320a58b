"""Interleavings of an adoption with the making of a volume where the blobs lie: no blob is two volumes'."""

import pytest

from catalog import Catalog, ConflictError
from storage import Always, Headers
from tests.faults.world import World
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.races.gate import Schedule, interleave
from tests.races.trying import PATIENT, Call, caller, try_orders

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
        await run(schedule, *PAIRS[name], noted=noted)

    await try_orders(one, f"{name} {noted=}", limit=LIMIT, spread=SPREAD)


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

        adopted, made = await interleave(schedule, [caller(world, "8", one), caller(world, "9", other)])
        assert not isinstance(adopted, Exception), adopted
        assert not isinstance(made, Exception) or isinstance(made, ConflictError), made
        volumes = [info.name async for info in client.volumes()]
        files = [file.path async for file in volume.list(recursive=True)]
        assert "b" in files
        assert ("inner" in volumes) != isinstance(made, ConflictError)
        assert "inner" not in volumes or "in/x" not in files, (volumes, files)
