"""A caller's own iterables and file objects: asked in threads, and left as they should be."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import pytest

from catalog import InvalidError, Settings, Volume, connect
from catalog.feed import BATCH_BYTES, Feed
from catalog.sources import pieces
from catalog.threads import Threads

WAIT_S = 20
SMALL = Settings(one_shot_bytes=1 << 10, block_bytes=4 << 10)


@pytest.fixture
def threads() -> Iterator[Threads]:
    with Threads(2, thread_name_prefix="feed") as threads:
        yield threads


@pytest.fixture
async def volume() -> AsyncIterator[Volume]:
    async with connect("memory:", settings=SMALL) as cat:
        yield await cat.create_volume("raw", shards=1)


class Stuck:
    """An iterable that gives something and then waits, until it is let go."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.let_go = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield b"x"
            self.waiting.set()
            self.let_go.wait(WAIT_S)
            yield b"y"
            yield b"z"
        finally:
            self.closed.set()


async def happened(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, WAIT_S)


async def test_an_iterable_that_waits_holds_up_nobody_else(volume: Volume) -> None:
    stuck = Stuck()
    put = asyncio.create_task(volume.put("stuck", iter(stuck)))
    assert await happened(stuck.waiting)
    assert (await volume.put("other", b"1")).version == 1
    assert not put.done()
    stuck.let_go.set()
    assert (await put).size == 3
    assert await volume.read("stuck") == b"xyz"


async def test_a_cancelled_put_waits_for_no_iterable_and_its_generator_is_closed(volume: Volume) -> None:
    stuck = Stuck()
    put = asyncio.create_task(volume.put("stuck", iter(stuck)))
    assert await happened(stuck.waiting)
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert not stuck.closed.is_set()
    stuck.let_go.set()
    assert await happened(stuck.closed)


async def test_no_thread_is_left_of_an_iterable_that_was_cancelled() -> None:
    stuck = Stuck()
    before = set(threading.enumerate())
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        put = asyncio.create_task(volume.put("stuck", iter(stuck)))
        assert await happened(stuck.waiting)
        put.cancel()
        await asyncio.gather(put, return_exceptions=True)
        stuck.let_go.set()
    assert stuck.closed.is_set()
    assert [each.name for each in set(threading.enumerate()) - before if each.name.startswith("blobcat")] == []


async def test_a_generator_is_closed_even_where_no_thread_is_left() -> None:
    stuck = Stuck()
    threads = Threads(1)
    chunks = Feed(iter(stuck), threads, read_bytes=1).chunks(lambda: 1 << 10)
    step = asyncio.ensure_future(anext(chunks))
    assert await happened(stuck.waiting)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    threads.shutdown(wait=False)
    stuck.let_go.set()
    assert await happened(stuck.closed)


async def test_a_generator_is_closed_even_where_no_thread_can_be_started() -> None:
    loop, stuck, closed = asyncio.get_running_loop(), Stuck(), asyncio.Event()

    def chunks() -> Iterator[bytes]:
        try:
            yield from stuck
        finally:
            loop.call_soon_threadsafe(closed.set)

    threads = Threads(1)
    step = asyncio.ensure_future(anext(Feed(chunks(), threads, read_bytes=1).chunks(lambda: 1 << 10)))
    assert await happened(stuck.waiting)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    threads.shutdown(wait=False)
    usual = threading.stack_size(1 << 46)  # more than there are addresses
    try:
        with pytest.raises(RuntimeError, match="start new thread"):
            threading.Thread().start()
        stuck.let_go.set()
        async with asyncio.timeout(WAIT_S):
            await closed.wait()
    finally:
        threading.stack_size(usual)


async def test_a_generator_is_closed_where_its_put_fails(volume: Volume) -> None:
    closed = threading.Event()

    def chunks() -> Iterator[Any]:
        try:
            while True:
                yield "text"
        finally:
            closed.set()

    held = chunks()
    with pytest.raises(ValueError, match="bytes, not str"):
        await volume.put("a", held)
    assert await happened(closed)


async def test_of_many_small_chunks_a_thread_is_asked_seldom(threads: Threads) -> None:
    hops: list[int] = []

    def most() -> int:
        hops.append(1)
        return 1 << 20

    feed = Feed((b"%03d" % (number % 1000) for number in range(100_000)), threads, read_bytes=1)
    got = [chunk async for chunk in feed.chunks(most)]
    assert b"".join(got) == b"".join(b"%03d" % (number % 1000) for number in range(100_000))
    assert len(hops) <= 300_000 // BATCH_BYTES + 2
    assert max(map(len, got)) < BATCH_BYTES + 3


async def test_a_buffer_that_is_filled_again_may_be_yielded(threads: Threads) -> None:
    def chunks(size: int) -> Iterator[memoryview]:
        buffer = bytearray(size)
        for number in range(5):
            buffer[:] = bytes([number]) * size
            yield memoryview(buffer)

    for size in (3, BATCH_BYTES, BATCH_BYTES + 1):
        got = [piece async for piece in pieces(chunks(size), 1 << 20, threads)]  # type: ignore[arg-type]
        assert b"".join(got) == b"".join(bytes([number]) * size for number in range(5))


async def test_what_a_source_wants_of_its_context_is_there(volume: Volume) -> None:
    name = ContextVar("name", default=b"nobody's")

    def chunks() -> Iterator[bytes]:
        yield name.get()
        name.set(b", and its own")
        yield name.get()

    name.set(b"the caller's")
    await volume.put("a", chunks())
    assert await volume.read("a") == b"the caller's, and its own"


class Read:
    """A file object whose second read raises."""

    def __init__(self, error: BaseException) -> None:
        self.reads: list[BaseException | None] = [error, None]

    def read(self, _: int) -> bytes:
        if (error := self.reads.pop()) is not None:
            raise error
        return b"x" * 3000


class Refusing:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        raise self.error


def half_way(error: BaseException) -> Iterator[bytes]:
    yield b"x" * 3000
    raise error


@pytest.mark.parametrize("content", [half_way, Read, Refusing])
@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, LookupError])
async def test_what_a_source_raises_is_raised_as_it_is(
    volume: Volume, content: Callable[[BaseException], Any], kind: type[Exception]
) -> None:
    error = kind(7, "half-way")
    with pytest.raises(kind) as caught:
        await volume.put("a", content(error))
    assert caught.value is error


@pytest.mark.parametrize("content", [half_way, Read, Refusing])
async def test_a_cancellation_of_a_sources_own_is_an_error_of_content(
    volume: Volume, content: Callable[[BaseException], Any]
) -> None:
    """Of a task that it waits for in its thread, say: nobody cancelled the put."""
    with pytest.raises(InvalidError, match="raised CancelledError") as caught:
        await volume.put("a", content(asyncio.CancelledError()))
    assert caught.value.kind == "invalid.source"


@pytest.mark.parametrize("content", [Read, Refusing])
async def test_a_stray_stop_iteration_is_an_error_and_hangs_nobody(
    volume: Volume, content: Callable[[BaseException], Any]
) -> None:
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await volume.put("a", content(StopIteration()))


async def test_a_reader_is_content(volume: Volume) -> None:
    """It has a `read`, and an asynchronous one."""
    await volume.put("a", b"from one to the other")
    async with volume.open("a") as reader:
        await volume.put("b", reader)
    assert await volume.read("b") == b"from one to the other"


async def test_what_is_left_early_has_been_asked_for_no_more(threads: Threads) -> None:
    asked: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(9):
            asked.append(number)
            yield bytes(10)

    async with aclosing(pieces(chunks(), 10, threads)) as parts:
        await anext(parts)
        await anext(parts)
    assert asked == [0, 1]
