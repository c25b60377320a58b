"""Calls that wait for each other: for a place among the transfers, or for memory. All of it in virtual time.

Who waits while the others get something through loses nothing of his limit; where nothing gets through, all end in it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from catalog import Catalog, CatalogError, FileVersion, Item, Settings, UnavailableError, Volume
from storage import WHOLE, Always, Blocks, Headers, Opened, Precondition, Span
from storage.memory import MemoryContent
from tests.faults.world import in_memory
from tests.harness.virtual_time import LoopClock, leaping

LIMIT_S = 60.0
SLACK_S = 0.25
MANY = 200
SETTINGS = Settings(
    one_shot_bytes=1_000, block_bytes=1_000, buffer_bytes=40_000, transfers_max=32, request_timeout_s=20
)
PATIENT = Settings(
    one_shot_bytes=1_000, block_bytes=1_000, buffer_bytes=40_000, transfers_max=32, request_timeout_s=LIMIT_S
)


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

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        """See ContentStore."""
        await self._through("open")
        async with super().open(name, span=span, when=when) as opened:
            yield opened

    async def _through(self, request: str) -> None:
        self.sent[request] += 1
        await asyncio.sleep(self.transfer_s)
        if self.answers <= 0:
            await asyncio.get_running_loop().create_future()
        self.answers -= 1


@asynccontextmanager
async def connected(link: Link, settings: Settings) -> AsyncIterator[Catalog]:
    """With rows that are stamped in virtual time, too."""
    ids = iter(range(1_000_000))
    table = in_memory()
    table._clock = lambda: int(now() * 1e9)
    catalog = Catalog(table, link, settings=settings, clock=LoopClock(), new_id=lambda: f"{next(ids):026d}")
    try:
        yield catalog
    finally:
        await catalog.close()


@asynccontextmanager
async def opened(link: Link, settings: Settings) -> AsyncIterator[Volume]:
    async with connected(link, settings) as catalog:
        yield await catalog.create_volume("v", shards=1)


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


def tree(folder: Path, count: int, size: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / str(number)).write_bytes(b"%d" % number + bytes(size))
    return folder


@pytest.mark.parametrize("size", [10, 2_500], ids=["small", "staged"])
@pytest.mark.parametrize("answers", [0, 150])
def test_an_ingest_into_a_hang_ends_within_the_limit_of_a_file(tmp_path: Path, answers: int, size: int) -> None:
    """What is stored by then is committed when no more of its shard is waited for: it has got through, that late."""
    folder = tree(tmp_path / "in", 2_000, size)

    async def run() -> None:
        async with opened(Link(answers=answers), SETTINGS) as volume:
            start = now()
            report = await volume.ingest(folder, timeout_s=LIMIT_S)
            assert report.written + len(report.failed) == 2_000
            assert now() <= start + (2 if report.written else 1) * LIMIT_S + SLACK_S

    leaping(run())


async def many(count: int) -> AsyncIterator[Item]:
    for number in range(count):
        yield Item(str(number), b"%d" % number)


@pytest.mark.parametrize("way", ["put", "ingest"])
def test_who_waits_longer_than_others_are_patient_sends_his_content_once(tmp_path: Path, way: str) -> None:
    """He starts over where he is, with his turn in hand, and not once more behind all others."""
    count, transfer_s = 60, 100.0
    settings = replace(SETTINGS, transfers_max=2, timeout_s=400, request_timeout_s=400)
    folder = tree(tmp_path / "in", count, 10)

    async def run() -> None:
        link, aborted = Link(transfer_s=transfer_s), 0
        async with connected(link, settings) as catalog:
            volume = await catalog.create_volume("v", shards=1)

            async def written() -> int:
                if way == "ingest":
                    return (await volume.ingest(folder)).written
                return len(await asyncio.gather(*(volume.put(str(n), b"%d" % n) for n in range(count))))

            writing = asyncio.create_task(written())
            while not writing.done():
                aborted += (await catalog.recover()).count("aborted")
                await asyncio.sleep(transfer_s)
            assert await writing == count
        assert aborted > count / 2
        assert link.sent["put"] == count

    leaping(run())


def test_many_puts_into_a_hang_end_within_the_limit_of_one() -> None:
    async def run() -> None:
        async with opened(Link(answers=0), SETTINGS) as volume:
            start = now()
            kinds = Counter([type(outcome.error) async for outcome in volume.put_many(many(2_000), timeout_s=LIMIT_S)])
            assert kinds == {UnavailableError: 2_000}
            assert now() <= start + LIMIT_S + SLACK_S

    leaping(run())


def test_a_run_over_a_queue_goes_on_after_a_hang() -> None:
    """What came meanwhile has failed, and says so; nothing was sent of it."""

    async def run() -> None:
        link = Link(answers=0)
        came = asyncio.Event()

        async def queue() -> AsyncIterator[Item]:
            async for item in many(500):
                yield item
            await came.wait()
            yield Item("late", b"")

        async with opened(link, SETTINGS) as volume:
            errors = dict[str, CatalogError | None]()
            async for outcome in volume.put_many(queue(), timeout_s=LIMIT_S):
                errors[outcome.item.path] = outcome.error
                if len(errors) == 500:
                    link.answers = 1
                    asyncio.get_running_loop().call_later(LIMIT_S, came.set)
            assert errors["late"] is None
            assert "was not tried" in str(errors["499"])

    leaping(run())


def test_many_reads_out_of_a_hang_end_within_the_limit_of_one(tmp_path: Path) -> None:
    async def run() -> None:
        link = Link()
        async with opened(link, SETTINGS) as volume:
            async for _ in volume.put_many(many(MANY)):
                pass
            link.answers, start = 0, now()
            report = await volume.download_tree("", tmp_path / "out", timeout_s=LIMIT_S)
            assert len(report.failed) == MANY
            assert now() <= start + LIMIT_S + SLACK_S
            start = now()
            assert len((await volume.verify(timeout_s=LIMIT_S)).findings) == MANY
            assert now() <= start + LIMIT_S + SLACK_S

    leaping(run())


def test_who_takes_his_time_over_a_listing_or_a_content_may_take_more_than_the_limit() -> None:
    async def run() -> None:
        async with opened(Link(), SETTINGS) as volume:
            for number in range(30):
                await volume.put(str(number), bytes(3 << 20 if number == 0 else 1))
            listed = 0
            async for _ in volume.list(timeout_s=LIMIT_S):
                await asyncio.sleep(2 * LIMIT_S)
                listed += 1
            assert listed == 30
            async with volume.open("0", timeout_s=LIMIT_S) as reader:
                read = 0
                async for chunk in reader:
                    await asyncio.sleep(2 * LIMIT_S)
                    read += len(chunk)
            assert read == 3 << 20

    leaping(run())


@dataclass
class Busy(Link):
    """A store that refuses, as Azure does, what comes while so many are under way."""

    at_a_time: int = 10
    under_way: int = 0
    refused: int = 0

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        """See ContentStore."""
        self.under_way += 1
        try:
            if self.under_way > self.at_a_time:
                self.refused += 1
                await asyncio.sleep(self.transfer_s)
                raise UnavailableError("too busy", kind="unavailable.throttled")
            return await super().put(name, content, when=when, headers=headers)
        finally:
            self.under_way -= 1


def test_a_store_that_is_too_busy_is_asked_less_until_it_is_not(tmp_path: Path) -> None:
    """With 64 at a time all along, it would refuse five of six, again and again."""
    folder = tree(tmp_path / "in", 2_000, 10)

    async def run() -> None:
        link = Busy(transfer_s=0.05)
        async with opened(link, Settings()) as volume:
            assert (await volume.ingest(folder)).written == 2_000
            assert link.refused < 400
            link.at_a_time = 1_000_000
            assert (await volume.ingest(folder, prefix="again/")).written == 2_000
            start = now()
            assert (await volume.ingest(folder, prefix="once-more/")).written == 2_000
            assert now() - start < 2_000 * link.transfer_s / 32  # by more than 32 at a time, on the average

    leaping(run())


def places(volume: Volume) -> int:
    return volume._tools.writer.uploads.places.size


def test_who_is_in_a_hurry_takes_no_place_from_the_others() -> None:
    async def run() -> None:
        async with opened(Link(transfer_s=10), SETTINGS) as volume:
            for number in range(5):
                with pytest.raises(CatalogError):
                    await volume.put(f"{number}", b"x", timeout_s=5)
            assert places(volume) == 32

    leaping(run())


@pytest.mark.parametrize("size", [10, 2_500], ids=["small", "staged"])
def test_a_store_that_answers_nothing_in_time_is_asked_less(size: int) -> None:
    async def run() -> None:
        async with opened(Link(transfer_s=100), SETTINGS) as volume:
            with pytest.raises(CatalogError):
                await volume.put("a", bytes(size), timeout_s=50)
            assert places(volume) < 32

    leaping(run())
