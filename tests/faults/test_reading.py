"""Downloads and seekable readers while things go wrong: all of it, or an error; no part of a file under its name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from catalog import Catalog, CatalogError, UnavailableError
from tests.faults.ports import CRASHES, PERSISTENT, Fault
from tests.faults.scenarios import TREE, Scenario
from tests.faults.test_cancel import for_every_suspension
from tests.faults.test_every_fault import for_every_request
from tests.faults.world import World, outlived
from tests.harness.invariants import no_temporary_file_is_left

READ_FAULTS = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED, Fault.HANG_AFTER)
GIVEN = Scenario("reading", act=lambda _: asyncio.sleep(0, ()), given={path: [TREE[path]] for path in TREE})
PATH = "b/large.bin"

Act = Callable[[Catalog, Path], Awaitable[None]]


async def file(client: Catalog, folder: Path) -> None:
    volume = await client.volume("v")
    await volume.download(PATH, folder / "x", overwrite=True)


async def tree(client: Catalog, folder: Path) -> None:
    volume = await client.volume("v")
    report = await volume.download_tree("", folder, existing="skip")
    for failure in report.failed:
        raise failure.error


async def seek(client: Catalog, folder: Path) -> None:
    volume = await client.volume("v")
    async with volume.open_seekable(PATH, read_ahead_bytes=16) as reader:
        reader.seek(20)
        assert await reader.read(7) == TREE[PATH][20:27]
        reader.seek(0)
        assert await reader.read(5) + await reader.read() == TREE[PATH]
        assert reader.verified
    (folder / "read").touch()


THEN: Mapping[Act, Mapping[str, bytes]] = {file: {"x": TREE[PATH]}, tree: TREE, seek: {"read": b""}}


@pytest.fixture(params=THEN, ids=lambda act: act.__name__)
def act(request: pytest.FixtureRequest) -> Act:
    found: Act = request.param
    return found


def below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def whole(folder: Path, act: Act) -> bool:
    """Nothing but what is to be there, and all of that which is."""
    return below(folder).items() <= dict(THEN[act]).items()


def new(folder: Path, number: int) -> Path:
    made = folder / str(number)
    made.mkdir()
    return made


@pytest.mark.parametrize("fault", READ_FAULTS, ids=lambda fault: fault.name.lower())
async def test_one_transient_fault_is_invisible(act: Act, fault: Fault, tmp_path: Path) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            await world.prepare(GIVEN)
            folder = new(tmp_path, wire.at)
            await act(world.client(wire), folder)
            assert below(folder) == THEN[act]


@pytest.mark.parametrize("fault", PERSISTENT, ids=lambda fault: fault.name.lower())
async def test_an_outage_is_an_error_and_what_is_named_is_whole(act: Act, fault: Fault, tmp_path: Path) -> None:
    async for wire in for_every_request(fault, on=True):
        async with World() as world:
            await world.prepare(GIVEN)
            folder, client = new(tmp_path, wire.at), world.client(wire)
            try:
                await act(client, folder)
            except CatalogError as error:
                assert isinstance(error, UnavailableError)  # noqa: PT017 — it may also succeed
                assert wire.fired
            assert whole(folder, act)
            no_temporary_file_is_left(folder)
            wire.heal()
            await act(client, folder)
            assert below(folder) == THEN[act]


@pytest.mark.parametrize("fault", CRASHES, ids=lambda fault: fault.name.lower())
async def test_killed_it_leaves_nothing_partial_under_a_name(act: Act, fault: Fault, tmp_path: Path) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            await world.prepare(GIVEN)
            folder = new(tmp_path, wire.at)
            await outlived(wire, act(world.client(wire), folder))
            named = {name: content for name, content in below(folder).items() if not name.endswith(".part")}
            assert named.items() <= dict(THEN[act]).items()


async def test_cancelled_at_any_suspension_it_leaves_nothing_partial(act: Act, tmp_path: Path) -> None:
    for number, cancel_at in enumerate(for_every_suspension()):
        async with World() as world:
            await world.prepare(GIVEN)
            folder, client = new(tmp_path, number), world.client()
            await client.volume("v")
            tasks = asyncio.all_tasks()
            cancelled = cancel_at(act(client, folder))
            task = asyncio.create_task(cancelled.task())
            await asyncio.wait([task])
            assert task.cancelled() or not task.exception()
            assert whole(folder, act), below(folder)
            no_temporary_file_is_left(folder)
            assert asyncio.all_tasks() <= tasks, "a task is left"
            await act(client, folder)
            assert below(folder) == THEN[act]
