"""stat, read, open, delete, history."""

import asyncio
import math
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from catalog import (
    Catalog,
    ConflictError,
    Create,
    IfMatch,
    IfVersion,
    IntegrityError,
    InvalidError,
    NotFoundError,
    Settings,
    Volume,
    connect,
)
from catalog.digesting import BATCH_BYTES
from catalog.reader import Readers
from catalog.retry import SystemClock
from catalog.sqlite_table import SqliteTable
from storage import WHOLE, Always, Headers, Opened, Precondition, Span
from storage.memory import MemoryContent

DATA = bytes(range(256)) * 5000  # more than a chunk


async def test_a_missing_file_is_not_found_by_every_verb(volume: Volume) -> None:
    with pytest.raises(NotFoundError, match="there is no file 'a' in volume 'raw'"):
        await volume.stat("a")
    with pytest.raises(NotFoundError):
        await volume.read("a")
    with pytest.raises(NotFoundError):
        async with volume.open("a"):
            pass
    with pytest.raises(NotFoundError):
        await volume.delete("a")
    with pytest.raises(NotFoundError, match="there never was a file 'a'"):
        [file async for file in volume.history("a")]
    with pytest.raises(NotFoundError, match="version 7 of 'a'"):
        await volume.stat("a", version=7)


async def test_not_found_is_a_key_error_with_a_readable_text(volume: Volume) -> None:
    with pytest.raises(KeyError) as caught:
        await volume.stat("a")
    assert str(caught.value) == "there is no file 'a' in volume 'raw'"


@pytest.mark.parametrize("version", [0, -1, True, 1.5, "1", 10**10])
async def test_a_version_that_cannot_be_is_refused(volume: Volume, version: int) -> None:
    with pytest.raises(InvalidError, match="whole number from 1 up"):
        await volume.stat("a", version=version)


async def test_a_deleted_file_is_gone_and_its_versions_are_not(volume: Volume) -> None:
    await volume.put("a", b"1", metadata={"k": 1})
    deleted = await volume.delete("a")
    assert deleted is not None
    assert (deleted.version, deleted.kind, deleted.size, deleted.digest, deleted.blob) == (2, "delete", 0, "", "")
    with pytest.raises(NotFoundError, match="was deleted") as caught:
        await volume.stat("a")
    assert caught.value.kind == "not-found.deleted"
    assert await volume.stat("a", version=2) == deleted
    with pytest.raises(NotFoundError, match="has no content"):
        await volume.read("a", version=2)
    assert await volume.read("a", version=1) == b"1"
    assert [(file.version, file.kind) async for file in volume.history("a")] == [(2, "delete"), (1, "put")]


async def test_delete_asks_for_what_its_mode_says(volume: Volume) -> None:
    written = await volume.put("a", b"1")
    with pytest.raises(ConflictError):
        await volume.delete("a", mode=IfVersion(2))
    with pytest.raises(ConflictError):
        await volume.delete("a", mode=IfMatch("another"))
    with pytest.raises(InvalidError, match="not Create"):
        await volume.delete("a", mode=Create())
    assert await volume.stat("a") == written
    assert await volume.delete("a", mode=IfMatch(written.etag)) is not None


async def test_deleting_what_is_not_there_may_be_fine(volume: Volume) -> None:
    assert await volume.delete("a", missing_ok=True) is None
    await volume.put("a", b"1")
    await volume.delete("a")
    assert await volume.delete("a", missing_ok=True) is None
    assert len([file async for file in volume.history("a")]) == 2


async def test_open_streams_the_whole_content_and_verifies_it(volume: Volume) -> None:
    await volume.put("a", DATA)
    async with volume.open("a") as reader:
        assert not reader.verified
        assert reader.file.path == "a"
        chunks = [chunk async for chunk in reader]
        assert reader.verified
    assert b"".join(chunks) == DATA


async def test_open_reads_in_portions(volume: Volume) -> None:
    await volume.put("a", DATA)
    async with volume.open("a") as reader:
        first = await reader.read(10)
        second = await reader.read(100_000)
        rest = await reader.read()
        assert (first, second, rest) == (DATA[:10], DATA[10:100_010], DATA[100_010:])
        assert await reader.read() == b""
        assert reader.verified


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 5, DATA[:5]),
        (3, 4, DATA[3:7]),
        (5, None, DATA[5:]),
        (len(DATA) - 2, 10, DATA[-2:]),
        (len(DATA), None, b""),
        (len(DATA) + 5, 3, b""),
        (7, 0, b""),
    ],
)
async def test_open_reads_ranges(volume: Volume, start: int, length: int | None, expected: bytes) -> None:
    await volume.put("a", DATA)
    async with volume.open("a", start=start, length=length) as reader:
        assert await reader.read() == expected
        assert not reader.verified


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
async def test_a_range_is_not_negative(volume: Volume, start: int, length: int | None) -> None:
    await volume.put("a", DATA)
    with pytest.raises(InvalidError, match="from 0 up"):
        async with volume.open("a", start=start, length=length):
            pass


async def test_a_reader_that_is_left_early_leaves_nothing_open(volume: Volume) -> None:
    await volume.put("a", DATA)
    async with volume.open("a") as reader:
        await reader.read(1)
    assert await volume.read("a") == DATA


@pytest.fixture
async def injured() -> tuple[Volume, MemoryContent]:
    """A volume with one file, and the store behind its back."""
    content = MemoryContent()
    cat = Catalog(SqliteTable(":memory:"), content, settings=Settings(timeout_s=5))
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", DATA)
    return volume, content


async def test_damaged_content_is_an_error_and_never_all_of_its_bytes(injured: tuple[Volume, MemoryContent]) -> None:
    """S4: the last chunk is given out only if the digest is right."""
    volume, content = injured
    there = await volume.stat("a")
    stat = await content.stat(there.blob)
    await content.put(there.blob, DATA[:-1] + b"!", when=Always(), headers=stat.headers)
    with pytest.raises(IntegrityError, match="is not what was written") as caught:
        await volume.read("a")
    assert caught.value.kind == "integrity.digest"
    received: list[bytes] = []
    with pytest.raises(IntegrityError):
        await collect(volume, received)
    assert sum(map(len, received)) < len(DATA)


async def collect(volume: Volume, received: list[bytes]) -> None:
    async with volume.open("a") as reader:
        async for chunk in reader:
            received.append(chunk)  # noqa: PERF401 — what came before the error counts


class Dripping(MemoryContent):
    """Gives its content in chunks of 64 KiB and counts them, until it breaks off or stalls; counts its listeners."""

    stalled: asyncio.Event

    given = listeners = 0
    breaks_after = stalls_after = math.inf

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        async with super().open(name, span=span, when=when) as opened:
            data = b"".join([chunk async for chunk in opened.chunks])
            self.listeners += 1
            try:
                yield Opened(opened.blob, self._dripping(data))
            finally:
                self.listeners -= 1

    async def _dripping(self, data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), DRIP_BYTES):
            if self.given >= self.breaks_after:
                raise IntegrityError("it breaks off", kind="integrity.size")
            if self.given >= self.stalls_after:
                self.stalled.set()
                await asyncio.get_running_loop().create_future()
            self.given += 1
            yield data[start : start + DRIP_BYTES]


class Counted(ThreadPoolExecutor):
    """Counts what it is given to do."""

    turns = 0

    def submit(self, *args: Any, **kwargs: Any) -> "Future[Any]":
        self.turns += 1
        return super().submit(*args, **kwargs)


DRIP_BYTES = 1 << 16
LARGE = DATA * 3  # several batches of what is digested at a time


@pytest.fixture
async def dripping() -> AsyncIterator[tuple[Volume, Dripping]]:
    content = Dripping()
    cat = Catalog(SqliteTable(":memory:"), content, settings=Settings(timeout_s=5))
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", LARGE)
    yield volume, content
    await cat.close()


async def test_whoever_reads_slowly_is_never_more_than_a_chunk_behind(dripping: tuple[Volume, Dripping]) -> None:
    volume, content = dripping
    received: list[bytes] = []
    async with volume.open("a") as reader:
        async for chunk in reader:
            received.append(chunk)
            assert len(received) <= content.given <= len(received) + 1
    assert b"".join(received) == LARGE


async def test_what_arrived_before_an_error_is_given_out_before_it(dripping: tuple[Volume, Dripping]) -> None:
    volume, content = dripping
    content.breaks_after = 40
    received: list[bytes] = []
    with pytest.raises(IntegrityError, match="it breaks off"):
        await collect(volume, received)
    assert b"".join(received) == LARGE[: 39 * DRIP_BYTES]  # the last one is held until there is another


async def test_behind_an_error_a_reader_has_no_end(dripping: tuple[Volume, Dripping]) -> None:
    volume, content = dripping
    content.breaks_after = 40
    async with volume.open("a") as reader:
        for _ in range(3):
            with pytest.raises(IntegrityError, match="it breaks off") as caught:
                await reader.read()
            assert caught.value.kind == "integrity.size"
        with pytest.raises(IntegrityError):
            await reader.read(1)
        assert not reader.verified


@pytest.mark.parametrize("start", [0, 5])
async def test_behind_a_read_that_was_cancelled_a_reader_has_no_end(
    dripping: tuple[Volume, Dripping], start: int
) -> None:
    volume, content = dripping
    content.stalls_after, content.stalled = 20, asyncio.Event()
    async with volume.open("a", start=start) as reader:
        await reader.read(1)
        rest = asyncio.create_task(reader.read())
        await content.stalled.wait()
        with pytest.raises(InvalidError, match="one reader per task"):
            await reader.read(1 << 30)
        rest.cancel()
        assert isinstance((await asyncio.gather(rest, return_exceptions=True))[0], asyncio.CancelledError)
        for size in (1, -1):
            with pytest.raises(InvalidError, match=r"broken off: open it anew \('a'\)") as caught:
                await reader.read(size)
            assert caught.value.kind == "invalid.broken"
        assert not reader.verified


async def test_nothing_goes_on_behind_a_reader_that_is_left_early(dripping: tuple[Volume, Dripping]) -> None:
    volume, content = dripping
    before = asyncio.all_tasks()
    async with volume.open("a") as reader:
        await reader.read(20 * DRIP_BYTES)
        assert content.listeners == 1
    assert asyncio.all_tasks() == before
    assert (content.listeners, content.given) == (0, 21)


async def test_content_whose_sha256_is_known_is_digested_once(dripping: tuple[Volume, Dripping]) -> None:
    """An MD5 that nobody compares would cost more than all the rest of reading it."""
    volume, content = dripping
    threads = Counted(2)
    with threads:
        readers = Readers(content, threads, Settings(), SystemClock())
        async with readers.open(await volume.stat("a"), Span()) as reader:
            assert await reader.read() == LARGE
            assert reader.verified
    assert threads.turns == -(-len(LARGE) // BATCH_BYTES)


@pytest.mark.parametrize("at", [0, len(LARGE) // 2, len(LARGE) - 1])
async def test_damage_anywhere_is_found_before_the_last_chunk(dripping: tuple[Volume, Dripping], at: int) -> None:
    """S4: all but the last chunk may be given out."""
    volume, content = dripping
    there = await volume.stat("a")
    headers = (await content.stat(there.blob)).headers
    damaged = LARGE[:at] + bytes([LARGE[at] ^ 1]) + LARGE[at + 1 :]
    await content.put(there.blob, damaged, when=Always(), headers=headers)
    received: list[bytes] = []
    with pytest.raises(IntegrityError, match="is not what was written"):
        await collect(volume, received)
    assert sum(map(len, received)) == len(LARGE) // DRIP_BYTES * DRIP_BYTES


async def test_missing_content_is_an_integrity_error(injured: tuple[Volume, MemoryContent]) -> None:
    volume, content = injured
    await content.delete((await volume.stat("a")).blob, when=Always())
    with pytest.raises(IntegrityError, match="it is missing") as caught:
        await volume.read("a")
    assert caught.value.kind == "integrity.missing"


async def test_another_blob_in_its_place_is_found_out_even_by_a_range(injured: tuple[Volume, MemoryContent]) -> None:
    volume, content = injured
    await content.put((await volume.stat("a")).blob, DATA, when=Always(), headers=Headers())
    with pytest.raises(IntegrityError, match="another blob"):
        async with volume.open("a", start=1, length=1) as reader:
            await reader.read()


async def test_reading_a_catalog_that_is_not_there_says_so_and_makes_nothing(tmp_path: Path) -> None:
    async with connect(f"local:{tmp_path / 'none'}") as cat:
        with pytest.raises(NotFoundError):
            await cat.volume("raw")
    assert list(tmp_path.iterdir()) == []
