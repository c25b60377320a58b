"""Calls that wait for each other: for a place among the transfers, or for memory. All of it in virtual time.

Who waits while the others get something through loses nothing of his limit; where nothing gets through, all end in it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catalog import Catalog, CatalogError, FileVersion, Settings, UnavailableError, Volume
from storage import Blocks, Headers, Precondition
from storage.memory import MemoryContent
from tests.faults.world import in_memory
from tests.harness.virtual_time import LoopClock, leaping

LIMIT_S = 60.0
SLACK_S = 0.25
MANY = 200
SETTINGS = Settings(one_shot_bytes=1_000, block_bytes=1_000, buffer_bytes=40_000, request_timeout_s=20)
PATIENT = Settings(one_shot_bytes=1_000, block_bytes=1_000, buffer_bytes=40_000, request_timeout_s=LIMIT_S)


@dataclass
class Link(MemoryContent):
    """A store at the end of a link: so slow that each transfer takes as long, and that lets through so many."""

    transfer_s: float = 0.0
    answers: float = float("inf")
    sent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()

    async def stage(self, name: str, block: str, data: bytes) -> None:
        """See ContentStore."""
        await self._through("stage")
        await super().stage(name, block, data)

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        """See ContentStore."""
        await self._through("put")
        return await super().put(name, content, when=when, headers=headers)

    async def _through(self, request: str) -> None:
        self.sent[request] += 1
        await asyncio.sleep(self.transfer_s)
        if self.answers <= 0:
            await asyncio.get_running_loop().create_future()
        self.answers -= 1


@asynccontextmanager
async def opened(link: Link, settings: Settings) -> AsyncIterator[Volume]:
    ids = iter(range(1_000_000))
    table = in_memory()
    catalog = Catalog(table, link, settings=settings, clock=LoopClock(), new_id=lambda: f"{next(ids):026d}")
    try:
        yield await catalog.create_volume("v", shards=1)
    finally:
        await catalog.close()


def now() -> float:
    return asyncio.get_running_loop().time()


async def outcome(call: Awaitable[FileVersion]) -> tuple[float, FileVersion | CatalogError]:
    """When a call ended, and with what."""
    try:
        got: FileVersion | CatalogError = await call
    except CatalogError as error:
        got = error
    return now(), got


async def small(volume: Volume, number: int, _: Path) -> FileVersion:
    return await volume.put(str(number), b"%d" % number, timeout_s=LIMIT_S)


async def of_disk(volume: Volume, number: int, folder: Path) -> FileVersion:
    """It waits for memory before it is anything else."""
    (folder / str(number)).write_bytes(bytes(900))
    return await volume.put(str(number), folder / str(number), timeout_s=LIMIT_S)


async def streamed(volume: Volume, number: int, _: Path) -> FileVersion:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"%d" % number

    return await volume.put(str(number), chunks(), timeout_s=LIMIT_S)


async def staged(volume: Volume, number: int, _: Path) -> FileVersion:
    return await volume.put(str(number), bytes(2_500), timeout_s=LIMIT_S)


KINDS: list[Callable[[Volume, int, Path], Awaitable[FileVersion]]] = [small, of_disk, streamed, staged]


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize("settings", [SETTINGS, PATIENT], ids=["hasty", "patient"])
def test_where_nothing_gets_through_all_end_within_their_limit(
    put: Callable[[Volume, int, Path], Awaitable[FileVersion]], settings: Settings, tmp_path: Path
) -> None:
    async def run() -> None:
        async with opened(Link(answers=0), settings) as volume:
            start = now()
            ends = await asyncio.gather(*(outcome(put(volume, number, tmp_path)) for number in range(MANY)))
            assert {type(error) for _, error in ends} == {UnavailableError}
            assert max(at for at, _ in ends) <= start + LIMIT_S + SLACK_S

    leaping(run())


@pytest.mark.parametrize("put", KINDS)
def test_on_a_slow_link_everybody_has_his_turn(
    put: Callable[[Volume, int, Path], Awaitable[FileVersion]], tmp_path: Path
) -> None:
    """Seven times the limit, for the last."""

    async def run() -> None:
        async with opened(Link(transfer_s=LIMIT_S / 2), PATIENT) as volume:
            ends = await asyncio.gather(*(outcome(put(volume, number, tmp_path)) for number in range(MANY)))
            assert [got for _, got in ends if isinstance(got, CatalogError)] == []
            assert max(at for at, _ in ends) > 3 * LIMIT_S

    leaping(run())


@pytest.mark.parametrize("put", KINDS)
def test_when_a_link_goes_dead_all_end_within_their_limit_of_what_it_last_let_through(
    put: Callable[[Volume, int, Path], Awaitable[FileVersion]], tmp_path: Path
) -> None:
    async def run() -> None:
        async with opened(Link(transfer_s=LIMIT_S / 2, answers=96), PATIENT) as volume:
            start = now()
            ends = await asyncio.gather(*(outcome(put(volume, number, tmp_path)) for number in range(MANY)))
            assert {type(got) for _, got in ends if isinstance(got, CatalogError)} <= {UnavailableError}
            dead = start + 3 * LIMIT_S / 2
            assert max(at for at, _ in ends) <= dead + LIMIT_S + SLACK_S

    leaping(run())


def test_a_source_that_takes_its_time_takes_none_of_the_limit() -> None:
    async def slow() -> AsyncGenerator[bytes, None]:
        for _ in range(5):
            await asyncio.sleep(100 * LIMIT_S)
            yield bytes(900)

    async def run() -> None:
        async with opened(Link(), SETTINGS) as volume:
            assert (await volume.put("a", slow(), timeout_s=LIMIT_S)).size == 4_500

    leaping(run())
