"""Blocking work: where it runs, and how the threads end."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

import pytest

from catalog.threads import CALLS_MAX, ENDING_S, QUICK_S, TURNS_MAX, ShortCalls, end, in_thread
from tests.harness.counted import Counted


def named(prefix: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


async def test_work_runs_elsewhere_and_no_thread_is_left() -> None:
    threads = ThreadPoolExecutor(2, "blobcat-test")
    assert await in_thread(threads, threading.current_thread) is not threading.current_thread()
    threads.submit(time.sleep, 0.1)  # nobody waits for it any more
    await end(threads)
    await end(threads)
    assert named("blobcat") == []


async def test_a_thread_that_is_held_for_ever_holds_nobody_else() -> None:
    threads, held = ThreadPoolExecutor(1, "blobcat-test"), threading.Event()
    stuck = threads.submit(held.wait)
    dropped = threads.submit(time.sleep, 60)
    before = time.monotonic()
    await end(threads)
    assert ENDING_S <= time.monotonic() - before < ENDING_S + 5
    assert (stuck.done(), dropped.cancelled()) == (False, True)
    held.set()
    threads.shutdown()
    assert stuck.result()


@pytest.fixture
def threads() -> Iterator[Counted]:
    with Counted(2) as threads:
        yield threads


def tenth(number: int) -> int:
    if number % 10 == 3:
        raise ValueError(f"{number}")
    return number


@pytest.mark.parametrize("number", [1, CALLS_MAX, CALLS_MAX + 1, 20 * CALLS_MAX])
async def test_calls_that_come_at_once_share_turns_and_each_is_told_of_his_own(threads: Counted, number: int) -> None:
    short = ShortCalls(threads, lambda: 0.0)
    calls = [short.run(partial(tenth, each)) for each in range(number)]
    told = await asyncio.gather(*calls, return_exceptions=True)
    wanted = [f"{each}" if each % 10 == 3 else each for each in range(number)]
    assert [f"{each}" if isinstance(each, ValueError) else each for each in told] == wanted
    assert threads.turns == -(-number // CALLS_MAX)


async def test_where_calls_are_slow_each_has_a_turn_of_its_own(threads: Counted) -> None:
    clock = count()
    short = ShortCalls(threads, lambda: next(clock) * QUICK_S * CALLS_MAX)
    assert await short.run(lambda: 1) == 1
    threads.turns = 0
    assert await asyncio.gather(*(short.run(lambda each=each: each) for each in range(40))) == [*range(40)]  # type: ignore[misc]
    assert threads.turns == 40


@pytest.mark.parametrize(
    ("each_s", "at_a_time"), [(0.0, 1), (QUICK_S / 2, 1), (QUICK_S * 2.5, 3), (QUICK_S * 100, TURNS_MAX)]
)
async def test_the_longer_calls_take_the_more_turns_go_at_a_time(each_s: float, at_a_time: int) -> None:
    go_on, clock = threading.Event(), count()
    with Counted(2 * TURNS_MAX) as threads:
        short = ShortCalls(threads, lambda: next(clock) * each_s)
        await short.run(lambda: None)
        threads.turns = 0
        calls = [asyncio.ensure_future(short.run(go_on.wait)) for _ in range(TURNS_MAX * CALLS_MAX)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert threads.turns == at_a_time
        go_on.set()
        await asyncio.gather(*calls)


async def test_no_more_turns_are_taken_than_there_may_be() -> None:
    """Else a thousand files would stand before everybody else's work."""
    go_on, running = threading.Event(), threading.Semaphore(0)
    clock = count()

    def work() -> None:
        running.release()
        go_on.wait()

    with Counted(4 * TURNS_MAX) as threads:
        short = ShortCalls(threads, lambda: float(next(clock)))
        await short.run(lambda: None)
        threads.turns = 0
        calls = [asyncio.ensure_future(short.run(work)) for _ in range(3 * TURNS_MAX)]
        for _ in range(TURNS_MAX):
            await in_thread(threads, running.acquire)
        assert threads.turns == 2 * TURNS_MAX  # this test's own among them
        go_on.set()
        await asyncio.gather(*calls)


async def test_who_is_cancelled_takes_nobody_along(threads: Counted) -> None:
    short, go_on = ShortCalls(threads), threading.Event()
    first = asyncio.ensure_future(short.run(go_on.wait))
    second = asyncio.ensure_future(short.run(lambda: 2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    assert await second == 2
    assert await short.run(lambda: 3) == 3


async def test_threads_that_are_gone_are_an_error_for_each() -> None:
    threads = ThreadPoolExecutor(1)
    threads.shutdown()
    short = ShortCalls(threads)
    told = await asyncio.gather(*(short.run(lambda: 1) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in told] == [RuntimeError] * 3


async def test_a_turn_that_is_dropped_cancels_who_waits_for_it() -> None:
    threads, held = ThreadPoolExecutor(1, "blobcat-test"), threading.Event()
    threads.submit(held.wait)
    short = ShortCalls(threads)
    waiting = [asyncio.ensure_future(short.run(lambda: 1)) for _ in range(3)]
    await asyncio.sleep(0)  # they ask
    await asyncio.sleep(0)  # and have their turn
    threads.shutdown(wait=False, cancel_futures=True)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    held.set()
    assert [type(each) for each in told] == [asyncio.CancelledError] * 3
