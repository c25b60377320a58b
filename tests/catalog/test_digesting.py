"""Digests taken in threads: the same as at one go, with little held, and a thread asked no more often than it pays."""

import asyncio
import gc
import threading
from collections.abc import Iterator, Sequence

import pytest

from catalog.digesting import BATCH_BYTES, Digesting
from catalog.threads import HASHED_INLINE_BYTES
from storage import Digests
from storage.errors import InvalidError
from tests.harness.counted import Counted

DATA = bytes(range(251)) * (3 * BATCH_BYTES // 251)


@pytest.fixture
def threads() -> Iterator[Counted]:
    with Counted(2) as threads:
        yield threads


async def spin() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def cut(data: bytes, size: int) -> Sequence[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("piece", [1 << 14, BATCH_BYTES - 1, BATCH_BYTES, BATCH_BYTES + 1, len(DATA)])
@pytest.mark.parametrize("md5", [False, True])
async def test_pieces_have_the_digests_of_the_whole(threads: Counted, piece: int, md5: bool) -> None:
    digesting = Digesting(threads, md5=md5)
    for each in cut(DATA, piece):
        await digesting.take(each)
    expected = Digests.of(DATA)
    assert await digesting.digests() == Digests(expected.sha256, expected.md5 if md5 else b"", expected.size)


@pytest.mark.parametrize("size", [0, 1, HASHED_INLINE_BYTES, HASHED_INLINE_BYTES + 1, BATCH_BYTES])
async def test_digests_can_be_asked_for_on_the_way(threads: Counted, size: int) -> None:
    digesting, data = Digesting(threads), DATA[:size]
    for times in (1, 2, 3):
        await digesting.take(data)
        assert await digesting.digests() == await digesting.digests() == Digests.of(data * times)


async def test_a_thread_is_asked_for_a_batch_and_for_little_not_at_all(threads: Counted) -> None:
    little = Digesting(threads)
    await little.take(DATA[:HASHED_INLINE_BYTES])
    await little.digests()
    assert threads.turns == 0
    for md5, turns in ((False, 3), (True, 6)):
        threads.turns = 0
        digesting = Digesting(threads, md5=md5)
        for each in cut(DATA[: 2 * BATCH_BYTES + HASHED_INLINE_BYTES + 1], 1 << 14):
            await digesting.take(each)
        await digesting.digests()
        assert threads.turns == turns


async def test_no_more_is_taken_than_the_threads_get_done(threads: Counted) -> None:
    """One batch is digested, and one is waiting: with that, whoever brings the content waits."""
    held = threading.Event()
    for _ in range(2):
        threads.submit(held.wait)
    digesting = Digesting(threads)
    first = await digesting.take(DATA[:BATCH_BYTES])
    more = await digesting.take(b"of the next batch")
    second = asyncio.create_task(digesting.take(DATA[:BATCH_BYTES]))
    await spin()
    done = [first is None or first.done(), more is not None, second.done()]
    held.set()
    await second
    assert done == [False, False, False]
    assert await digesting.digests() == Digests.of(DATA[:BATCH_BYTES] + b"of the next batch" + DATA[:BATCH_BYTES])


@pytest.mark.parametrize("waiting", [False, True])
async def test_of_a_batch_that_nobody_waits_for_any_more_nothing_is_said(threads: Counted, waiting: bool) -> None:
    """A catalog was closed under it, say. Who waits is told."""
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: said.append(context))
    held = threading.Event()
    for _ in range(2):
        threads.submit(held.wait)
    digesting = Digesting(threads)
    begun = await digesting.take(DATA[:BATCH_BYTES])
    threads.shutdown(wait=False, cancel_futures=True)
    held.set()
    await spin()
    assert begun is not None
    assert begun.done()
    if waiting:
        with pytest.raises(InvalidError, match="closed"):
            await digesting.digests()
    del begun, digesting
    gc.collect()
    assert said == []


async def test_a_batch_may_be_cancelled(threads: Counted) -> None:
    digesting = Digesting(threads)
    begun = await digesting.take(DATA[:BATCH_BYTES])
    assert begun is not None
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await digesting.digests()
