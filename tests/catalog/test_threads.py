"""Blocking work: where it runs, and how the threads end."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from catalog.threads import (
    CALLS_MAX,
    ENDING_S,
    LATE_S,
    QUICK_S,
    SLOW_S,
    TURNS_MAX,
    ShortCalls,
    Threads,
    end,
    in_thread,
    to_the_end,
)
from storage.errors import InvalidError
from tests.harness.counted import Counted

NEVER_S = 600.0


def named(prefix: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


async def test_work_runs_elsewhere_and_no_thread_is_left() -> None:
    threads = ThreadPoolExecutor(2, "blobcat-test")
    assert await in_thread(threads, threading.current_thread) is not threading.current_thread()
    threads.submit(time.sleep, 0.1)  # nobody waits for it any more
    await end(threads)
    await end(threads)
    assert named("blobcat") == []


async def test_who_is_cancelled_while_threads_end_does_not_keep_them() -> None:
    threads, held = Threads(2, "blobcat-test"), threading.Event()
    threads.submit(held.wait)
    ending = asyncio.create_task(end(threads))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    with pytest.raises(InvalidError, match="closed"):
        threads.submit(print)
    held.set()
    threads.shutdown()
    for thread in threading.enumerate():
        if thread.name.startswith("blobcat-test"):
            thread.join()


async def test_what_is_dropped_at_the_end_is_refused_and_so_is_what_comes_later() -> None:
    threads, begun, held = Threads(1, "blobcat-test"), threading.Event(), threading.Event()
    short = ShortCalls(threads)

    def hold() -> bool:
        begun.set()
        return held.wait(NEVER_S)

    calls = [in_thread(threads, hold), in_thread(threads, print), short.run(print), short.run(print)]
    told = asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0)  # they have asked
    assert begun.wait(NEVER_S)
    late = asyncio.gather(short.run(print), in_thread(threads, print), return_exceptions=True)
    await end(threads)
    held.set()
    errors = [*(await told)[1:], *await late]
    assert [(type(error), getattr(error, "kind", "")) for error in errors] == [(InvalidError, "invalid.closed")] * 5
    assert (await told)[0] is True


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_whatever_is_raised_in_a_thread_is_for_who_asked(error: BaseException) -> None:
    def failing() -> None:
        raise error

    threads = Threads(1)
    done = threads.submit(failing)
    assert done.exception() is error
    await end(threads)
    with pytest.raises(InvalidError, match="closed"):
        threads.submit(print)


@pytest.mark.parametrize("give", ["submit", "in_thread", "to_the_end"])
async def test_an_error_from_a_thread_leads_to_no_future_and_so_is_gone_when_nobody_holds_it(give: str) -> None:
    """Else whatever its traceback holds, a file's content, stays until the next search for garbage."""

    def failing() -> None:
        raise WrongError

    threads = Threads(1)
    gc.disable()
    try:
        if give == "submit":
            alive = weakref.ref(threads.submit(failing).exception() or failing)
        else:
            alive = await held_by_nobody(in_thread if give == "in_thread" else to_the_end, threads, failing)
        await end(threads)
        assert alive() is None
    finally:
        gc.enable()


class WrongError(Exception):
    pass


async def held_by_nobody(
    give: Callable[[Threads, Callable[[], None]], Awaitable[None]], threads: Threads, work: Callable[[], None]
) -> "weakref.ref[Any]":
    try:
        await give(threads, work)
    except WrongError as exc:
        return weakref.ref(exc)
    raise AssertionError


async def test_who_is_told_that_his_work_was_dropped_may_ask_for_more() -> None:
    """No lock is held by then."""
    threads, held, answers = Threads(1), threading.Event(), list[str]()
    threads.submit(held.wait)

    def again(_: "Future[None]") -> None:
        try:
            threads.submit(print)
        except InvalidError as exc:
            answers.append(exc.kind)

    threads.submit(print).add_done_callback(again)
    threads.shutdown(wait=False, cancel_futures=True)
    held.set()
    threads.shutdown()
    assert answers == ["invalid.closed"]


class Ends(ThreadPoolExecutor):
    """It ends as soon as it has something to do."""

    def submit(self, *args: Any, **kwargs: Any) -> "Future[Any]":
        done = super().submit(*args, **kwargs)
        self.shutdown(wait=False, cancel_futures=True)
        return done


class EndsMeanwhile(Threads, Ends):
    """Between the moment at which it takes something and the one at which that is known."""


async def test_what_is_dropped_at_the_moment_at_which_it_is_given_is_refused_too() -> None:
    threads, held = EndsMeanwhile(1), threading.Event()
    ThreadPoolExecutor.submit(threads, held.wait)
    dropped = threads.submit(print)
    assert isinstance(dropped.exception(NEVER_S), InvalidError)
    held.set()
    threads.shutdown()


def test_work_that_is_waited_for_is_so_where_a_loop_ends_and_cancels_all_tasks() -> None:
    threads, begun, going_on = Threads(1), threading.Event(), threading.Event()
    ended = list[bool]()

    def work() -> bool:
        begun.set()
        return going_on.wait(NEVER_S)

    async def waiting() -> None:
        try:
            await to_the_end(threads, work)
        finally:
            ended.append(going_on.is_set())

    async def main() -> None:
        tasks.append(asyncio.create_task(waiting()))
        tasks.append(asyncio.create_task(last()))
        await in_thread(others, begun.wait)

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # so is the other one
            asyncio.get_running_loop().call_soon(going_on.set)
            raise

    tasks = list[asyncio.Task[None]]()
    with Threads(1) as others:
        asyncio.run(main())
    threads.shutdown()
    assert ended == [True]


async def test_what_is_cancelled_before_its_turn_is_not_done() -> None:
    threads, held, done = Threads(1), threading.Event(), threading.Event()
    threads.submit(held.wait)
    waiting = threads.submit(done.set)
    assert waiting.cancel()
    held.set()
    threads.shutdown()
    assert (waiting.cancelled(), done.is_set()) == (True, False)


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
    short = ShortCalls(threads, lambda: 0.0, late_s=NEVER_S)
    calls = [short.run(partial(tenth, each)) for each in range(number)]
    told = await asyncio.gather(*calls, return_exceptions=True)
    wanted = [f"{each}" if each % 10 == 3 else each for each in range(number)]
    assert [f"{each}" if isinstance(each, ValueError) else each for each in told] == wanted
    assert threads.turns == -(-number // CALLS_MAX)


class Clock:
    """Of which each call takes as long as is said."""

    def __init__(self, each_s: float) -> None:
        self._each_s = each_s
        self._s = 0.0

    def __call__(self) -> float:
        return self._s

    def call(self) -> None:
        self._s += self._each_s


async def test_where_calls_are_slow_each_has_a_turn_of_its_own(threads: Counted) -> None:
    clock = Clock(QUICK_S * CALLS_MAX)
    short = ShortCalls(threads, clock, late_s=NEVER_S)
    await asyncio.gather(*(short.run(clock.call) for _ in range(40)))
    assert threads.turns == 40


@pytest.mark.parametrize(
    ("each_s", "first_turn", "at_a_time"),
    [(0.0, CALLS_MAX, 1), (SLOW_S / 8, 8, 1), (SLOW_S / 1.5, 2, 3), (SLOW_S * 100, 1, TURNS_MAX)],
)
async def test_the_longer_calls_take_the_more_turns_go_at_a_time(
    each_s: float, first_turn: int, at_a_time: int
) -> None:
    """And those that the first turn did not come to in good time go with them."""
    go_on, clock = threading.Event(), Clock(each_s)
    with Counted(2 * TURNS_MAX) as threads:
        short = ShortCalls(threads, clock, late_s=NEVER_S)
        first = [asyncio.ensure_future(short.run(clock.call)) for _ in range(first_turn)]
        others = [asyncio.ensure_future(short.run(go_on.wait)) for _ in range(TURNS_MAX * CALLS_MAX)]
        await asyncio.gather(*first)
        assert threads.turns == 1 + at_a_time
        go_on.set()
        assert all(await asyncio.gather(*others))


async def test_no_more_turns_are_taken_than_there_may_be() -> None:
    """Else a thousand files would stand before everybody else's work."""
    go_on, running, clock = threading.Event(), threading.Semaphore(0), Clock(1.0)

    def work() -> None:
        running.release()
        go_on.wait()

    with Counted(4 * TURNS_MAX) as threads:
        short = ShortCalls(threads, clock, late_s=NEVER_S)
        calls = [asyncio.ensure_future(short.run(each)) for each in (clock.call, *[work] * (3 * TURNS_MAX))]
        await calls[0]
        threads.turns = 0
        for _ in range(TURNS_MAX):
            await in_thread(threads, running.acquire)
        assert threads.turns == TURNS_MAX  # this test's own alone
        go_on.set()
        await asyncio.gather(*calls)


async def test_once_nobody_calls_it_is_forgotten_that_calls_were_slow(threads: Counted) -> None:
    clock = Clock(1.0)
    short = ShortCalls(threads, clock, late_s=NEVER_S)
    await asyncio.gather(*(short.run(clock.call) for _ in range(CALLS_MAX)))
    threads.turns = 0
    await asyncio.gather(*(short.run(lambda: None) for _ in range(CALLS_MAX)))
    assert threads.turns == 1


async def test_calls_that_are_given_back_keep_their_places() -> None:
    clock, done = Clock(1.0), list[int]()

    def work(number: int) -> None:
        clock.call()
        done.append(number)

    with Counted(1) as threads:
        short = ShortCalls(threads, clock, late_s=NEVER_S)
        await asyncio.gather(*(short.run(partial(work, number)) for number in range(6)))
    assert done == [*range(6)]


async def test_nobody_waits_behind_a_call_that_hangs_also_where_all_were_quick_before() -> None:
    go_on = threading.Event()
    with Counted(TURNS_MAX) as threads:
        short, hung = ShortCalls(threads), list["asyncio.Future[bool]"]()
        for _ in range(2):
            assert await asyncio.gather(*(short.run(lambda: 1) for _ in range(CALLS_MAX))) == [1] * CALLS_MAX
            hung.append(asyncio.ensure_future(short.run(go_on.wait)))
            others = [asyncio.ensure_future(short.run(lambda: 2)) for _ in range(3 * CALLS_MAX)]
            assert await asyncio.gather(*others) == [2] * len(others)
            for _ in range(3):  # one after the other, each when nobody else is there
                assert await short.run(lambda: 3) == 3
        assert not any(each.done() for each in hung)
        go_on.set()
        assert all(await asyncio.gather(*hung))


async def test_a_turn_that_waits_for_a_thread_is_no_hung_one() -> None:
    held = threading.Event()
    with Counted(1) as threads:
        threads.submit(held.wait)
        short = ShortCalls(threads)
        calls = [asyncio.ensure_future(short.run(lambda: 1)) for _ in range(3)]
        await asyncio.wait(calls, timeout=3 * LATE_S)
        assert threads.turns == 2  # the one that holds the thread, and theirs
        held.set()
        assert await asyncio.gather(*calls) == [1] * 3


async def test_a_call_that_raises_what_no_future_takes_is_told_so(threads: Counted) -> None:
    short = ShortCalls(threads)
    told = await asyncio.gather(short.run(partial(next, iter(()))), short.run(lambda: 1), return_exceptions=True)
    assert isinstance(told[0], RuntimeError)
    assert told[1] == 1


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


async def test_a_turn_that_is_dropped_by_any_executor_refuses_who_waits_for_it() -> None:
    threads, held = ThreadPoolExecutor(1, "blobcat-test"), threading.Event()
    threads.submit(held.wait)
    short = ShortCalls(threads)
    waiting = [asyncio.ensure_future(short.run(lambda: 1)) for _ in range(3)]
    await asyncio.sleep(0)  # they ask
    await asyncio.sleep(0)  # and have their turn
    threads.shutdown(wait=False, cancel_futures=True)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    held.set()
    assert [type(each) for each in told] == [InvalidError] * 3
