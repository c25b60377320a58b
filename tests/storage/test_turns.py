"""One thread that does the work of many callers, several in a turn."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from storage.turns import CALLS_MAX, Call, Turns

AnyTurns = Turns[Any, Any]


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


class Held:
    """A thread that is kept busy until `go_on`, so that those who come meanwhile wait together."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._gate = threading.Event()
        thread.submit(self._gate.wait)

    def go_on(self) -> None:
        """Let it go."""
        self._gate.set()


def noting(
    turns: list[list[Any]], answer: Callable[[Call[Any, Any]], None]
) -> Callable[[Sequence[Call[Any, Any]]], None]:
    """Work that notes what was in each turn."""

    def work(calls: Sequence[Call[Any, Any]]) -> None:
        turns.append([call.request for call in calls])
        for call in calls:
            answer(call)

    return work


def echoed(call: Call[Any, Any]) -> None:
    call.succeed(call.request)


async def asked(thread: ThreadPoolExecutor, turns: AnyTurns, requests: Sequence[Any]) -> list[asyncio.Task[Any]]:
    """Calls that are waiting by now."""
    tasks = [asyncio.create_task(turns.do(thread, request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_come_while_the_thread_works_share_a_turn(thread: ThreadPoolExecutor) -> None:
    taken: list[list[Any]] = []
    turns: AnyTurns = Turns(noting(taken, echoed))
    held = Held(thread)
    tasks = await asked(thread, turns, range(5))
    held.go_on()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]
    assert taken == [[0, 1, 2, 3, 4]]


async def test_a_turn_is_bounded_and_none_is_forgotten(thread: ThreadPoolExecutor) -> None:
    taken: list[list[Any]] = []
    turns: AnyTurns = Turns(noting(taken, echoed))
    held = Held(thread)
    tasks = await asked(thread, turns, range(2 * CALLS_MAX + 3))
    held.go_on()
    assert await asyncio.gather(*tasks) == [*range(2 * CALLS_MAX + 3)]
    assert [len(turn) for turn in taken] == [CALLS_MAX, CALLS_MAX, 3]


async def test_others_who_give_the_thread_work_come_in_between(thread: ThreadPoolExecutor) -> None:
    taken: list[list[Any]] = []
    turns: AnyTurns = Turns(noting(taken, echoed), calls_max=2)
    held = Held(thread)
    tasks = await asked(thread, turns, "ab")
    thread.submit(taken.append, ["another's"])
    tasks += await asked(thread, turns, "cd")
    held.go_on()
    await asyncio.gather(*tasks)
    assert taken == [["a", "b"], ["another's"], ["c", "d"]]


async def test_who_waits_when_the_thread_ends_is_answered_before(thread: ThreadPoolExecutor) -> None:
    taken: list[list[Any]] = []
    turns: AnyTurns = Turns(noting(taken, echoed), calls_max=2)
    held = Held(thread)
    tasks = await asked(thread, turns, "abcde")
    thread.shutdown(wait=False)
    held.go_on()
    assert await asyncio.gather(*tasks) == [*"abcde"]
    assert taken == [["a", "b"], ["c", "d"], ["e"]]


async def test_each_has_the_answer_to_his_own_call(thread: ThreadPoolExecutor) -> None:
    def odd_ones_fail(call: Call[Any, Any]) -> None:
        if call.request % 2:
            call.fail(ValueError(call.request))
        else:
            call.succeed(call.request)

    turns: AnyTurns = Turns(noting([], odd_ones_fail))
    held = Held(thread)
    tasks = await asked(thread, turns, range(4))
    held.go_on()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert list(map(repr, answers)) == ["0", "ValueError(1)", "2", "ValueError(3)"]


async def test_what_the_work_raises_goes_to_those_who_have_no_answer(thread: ThreadPoolExecutor) -> None:
    def breaks(calls: Sequence[Call[Any, Any]]) -> None:
        calls[0].succeed("done")
        raise ZeroDivisionError

    turns: AnyTurns = Turns(breaks)
    held = Held(thread)
    tasks = await asked(thread, turns, "abc")
    held.go_on()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == "done"
    assert [type(other) for other in others] == [ZeroDivisionError] * 2
    turns._work = noting([], echoed)
    assert await turns.do(thread, "afterwards") == "afterwards"


async def test_who_was_cancelled_before_his_turn_is_not_wanted(thread: ThreadPoolExecutor) -> None:
    wanted: list[tuple[Any, bool]] = []

    def notes(call: Call[Any, Any]) -> None:
        wanted.append((call.request, call.wanted))
        echoed(call)

    turns: AnyTurns = Turns(noting([], notes))
    held = Held(thread)
    first, second = await asked(thread, turns, "ab")
    first.cancel()
    await asyncio.wait([first])
    held.go_on()
    assert await second == "b"
    assert (first.cancelled(), wanted) == (True, [("a", False), ("b", True)])


def test_all_of_a_turn_are_woken_at_once(thread: ThreadPoolExecutor) -> None:
    woken: list[object] = []

    class Loop(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(  # type: ignore[override]
            self, callback: Any, *args: Any, **kwargs: Any
        ) -> asyncio.Handle:
            woken.append(callback)
            return super().call_soon_threadsafe(callback, *args, **kwargs)

    async def main() -> None:
        turns: AnyTurns = Turns(noting([], echoed))
        held = Held(thread)
        tasks = await asked(thread, turns, range(20))
        held.go_on()
        await asyncio.gather(*tasks)
        assert len(woken) == 1

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_a_loop_that_was_closed_keeps_no_other_from_its_answer(thread: ThreadPoolExecutor) -> None:
    turns: AnyTurns = Turns(noting([], echoed))
    held = Held(thread)

    async def gives_up() -> None:
        await asked(thread, turns, ["given up"])  # asyncio.run cancels it

    async def waits() -> object:
        (task,) = await asked(thread, turns, ["waited for"])
        held.go_on()
        return await task

    asyncio.run(gives_up())
    assert asyncio.run(waits()) == "waited for"


def test_many_loops_that_call_at_once_are_all_answered(thread: ThreadPoolExecutor) -> None:
    """Whoever finds a place in a turn to come relies on it: here many do, at any moment of the turn before."""
    turns: AnyTurns = Turns(noting([], echoed))

    async def one_after_the_other(name: int) -> int:
        async with asyncio.timeout(60):
            for number in range(300):
                assert await turns.do(thread, (name, number)) == (name, number)
        return name

    with ThreadPoolExecutor(4) as loops:
        assert list(loops.map(lambda name: asyncio.run(one_after_the_other(name)), range(8))) == [*range(8)]


async def test_a_thread_that_takes_no_more_work_is_an_error_for_each_who_comes(thread: ThreadPoolExecutor) -> None:
    taken: list[list[Any]] = []
    turns: AnyTurns = Turns(noting(taken, echoed), calls_max=2)
    held = Held(thread)
    before = await asked(thread, turns, "a")
    thread.shutdown(wait=False)
    after = await asked(thread, turns, "bcd")  # the first of them finds a place beside the one from before
    held.go_on()
    told = await asyncio.gather(*before, *after, return_exceptions=True)
    assert told[:2] == ["a", "b"]
    assert [type(each) for each in told[2:]] == [RuntimeError, RuntimeError]
    assert taken == [["a", "b"]]
