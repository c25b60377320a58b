"""Blocking work, off the event loop: on the executor that a catalog owns, and that ends with it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from storage.endings import waited_out
from storage.errors import InvalidError, another

P = ParamSpec("P")
T = TypeVar("T")

Outcome = tuple[Any, BaseException | None]
Call = tuple[Callable[[], Any], "asyncio.Future[Any]"]
Told = tuple["asyncio.Future[Any]", Any, BaseException | None]
_Held = list["Future[Any]"]
"""The one future that is to be told: whoever tells it takes it out, so that no error's traceback leads to it."""

TURNS_MAX: Final = 8  # as many as a catalog has threads
CALLS_MAX: Final = 32
QUICK_S: Final = 0.001  # for each of these that a call takes, one more turn at the same time pays
SLOW_S: Final = 4 * QUICK_S  # what takes less is over before a turn of its own would have paid
HASHED_INLINE_BYTES: Final = 8 << 10
LATE_S: Final = 0.05  # what takes longer may never end: a file that is far away, and whose server is gone
ENDING_S: Final = 1.0  # a thread that waits for a caller's own pipe may never end


class Threads(ThreadPoolExecutor):
    """What they are given, and do not come to before they end, is refused: a cancellation is for the caller to ask for.

    The futures of an executor would be cancelled, and whoever awaits one of them would take it that he is.
    """

    def __init__(self, max_workers: int, thread_name_prefix: str = "") -> None:
        super().__init__(max_workers, thread_name_prefix)
        self._ended = False
        self._dropped: deque[Future[Any]] = deque()

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """See Executor. After `shutdown` this raises, and the futures hold, InvalidError of kind "invalid.closed"."""
        answer: Future[T] = Future()
        held: _Held = [answer]
        try:
            done = super().submit(_tell, held, partial(work, *args, **kwargs))
        except RuntimeError as exc:  # ended, or there can be no other thread, and one that is there may come to it yet
            if not answer.cancel():
                return answer
            if self._ended:
                raise _closed() from exc
            raise
        done.add_done_callback(partial(self._drop, held))
        if self._ended:  # since the line before, perhaps
            self._refuse()
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 — Executor's
        """See Executor."""
        self._ended = True
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self._refuse()
        if wait:
            super().shutdown()

    def _drop(self, held: "_Held", done: "Future[None]") -> None:
        if done.cancelled():  # by `shutdown`, which holds a lock now: nobody is told yet
            self._dropped.append(held.pop())

    def _refuse(self) -> None:
        with suppress(IndexError):  # that was the last
            while True:
                answer = self._dropped.popleft()
                if answer.set_running_or_notify_cancel():
                    answer.set_exception(_closed())


def _tell(held: "_Held", work: Callable[[], Any]) -> None:
    answer = held.pop()
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(work())
    except BaseException as exc:  # noqa: BLE001 — it is for whoever asked, not for the thread
        answer.set_exception(exc)
    finally:
        del answer  # an error's traceback holds this frame, and those below


def _closed() -> InvalidError:
    return InvalidError("the catalog was closed before this was begun", op="close", kind="invalid.closed")


async def in_thread(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in one of the threads. Cancelled, it returns at once and the work ends by itself."""
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: work(*args, **kwargs))


class ShortCalls:
    """Short blocking calls that many make at once, several to a turn of a thread: a turn costs more than a small file.

    Those that come at the same moment share a turn, as long as calls are quick, and one turn goes at a time: several
    would only take the interpreter's lock from each other, and from the loop. Where calls take longer, as on a disk
    that is far away, a turn gives back those that it has not come to, more turns go at the same time, and in the end
    each call has one of its own, so that they wait side by side and not one behind the other; nobody waits behind one
    that may never end. Once nobody calls any more that is forgotten: the next may be quick again.
    """

    def __init__(
        self, threads: Executor, now: Callable[[], float] = time.perf_counter, *, late_s: float = LATE_S
    ) -> None:
        self._threads = threads
        self._now = now
        self._late_s = late_s
        self._waiting: deque[Call] = deque()
        self._taken = 0
        self._called = False
        self._turns_max, self._calls_max = 1, CALLS_MAX

    async def run(self, work: Callable[[], T]) -> T:
        """What a blocking function returns, or raises. Cancelled, it returns at once and the work ends by itself."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, answer))
        if not self._called:
            self._called = True
            loop.call_soon(self._go)
        return await answer

    def _go(self) -> None:
        """Begin as many turns as there may be."""
        self._called = False
        loop = asyncio.get_running_loop()
        while self._waiting and self._taken < self._turns_max:
            turn = _Turn(self._waiting.popleft() for _ in range(min(len(self._waiting), self._calls_max)))
            self._taken += 1
            try:
                over = loop.run_in_executor(self._threads, self._take, turn)
            except (InvalidError, RuntimeError) as exc:  # there is no thread for it, or none any more
                over = loop.create_future()
                over.set_exception(exc)
            turn.timer = loop.call_later(self._late_s, self._look, turn)
            over.add_done_callback(partial(self._told, turn))

    def _take(self, turn: "_Turn") -> tuple[list[Told], float]:
        """In a thread: what became of each call that it came to in good time, and how long one of them took."""
        turn.begun = True
        began = now = self._now()
        told = list[Told]()
        with suppress(IndexError):  # that was the last, or the others were given back
            while not told or now - began < SLOW_S:
                work, answer = turn.calls.popleft()
                if answer.cancelled():
                    continue
                told.append((answer, *_outcome(work)))
                now = self._now()
        return told, (now - began) / max(1, len(told))

    def _look(self, turn: "_Turn") -> None:
        """A turn takes so long that it may never end: it counts no more, and nobody waits behind it."""
        if not turn.begun:  # its thread has other work so far
            turn.timer = asyncio.get_running_loop().call_later(self._late_s, self._look, turn)
            return
        turn.late = True
        self._taken -= 1
        self._turns_max, self._calls_max = TURNS_MAX, 1
        self._give_back(turn)
        self._go()

    def _give_back(self, turn: "_Turn") -> None:
        with suppress(IndexError):
            while True:
                self._waiting.appendleft(turn.calls.pop())

    def _told(self, turn: "_Turn", over: "asyncio.Future[tuple[list[Told], float]]") -> None:
        """Tell each what became of his call, or of the whole turn."""
        turn.timer.cancel()
        self._taken -= not turn.late
        if failed := _closed() if over.cancelled() else over.exception():
            told: list[Told] = [(answer, None, another(failed)) for _, answer in turn.calls]
        else:
            told, each_s = over.result()
            self._turns_max = min(TURNS_MAX, 1 + int(each_s / QUICK_S))
            self._calls_max = CALLS_MAX if each_s < SLOW_S else 1
            self._give_back(turn)
        for answer, result, error in told:
            if answer.done():
                continue
            if isinstance(error, asyncio.CancelledError):
                answer.cancel()
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)
        if not self._waiting and not self._taken:
            self._turns_max, self._calls_max = 1, CALLS_MAX
        self._go()


class _Turn:
    """Calls on their way through a thread, which takes them one by one."""

    timer: asyncio.TimerHandle

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = deque(calls)
        self.begun = False
        self.late = False


def _outcome(work: Callable[[], Any]) -> Outcome:
    try:
        return work(), None
    except StopIteration as exc:  # no future takes one
        return None, RuntimeError(f"{type(exc).__name__} was raised by what was called").with_traceback(
            exc.__traceback__
        )
    except BaseException as exc:  # noqa: BLE001 — it is for whoever asked, not for the thread
        return None, exc


async def end(threads: Executor) -> None:
    """Take no more work, drop what has not begun, and wait until no thread is left: off the loop, and not for ever.

    Cancelled, it waits no longer: the threads end by themselves.
    """
    threads.shutdown(wait=False, cancel_futures=True)  # at once: what a thread is to do may be cancelled with us
    waiting = ThreadPoolExecutor(1, thread_name_prefix="blobcat-end")
    done = asyncio.get_running_loop().run_in_executor(waiting, threads.shutdown)
    waiting.shutdown(wait=False)  # takes no more work, and ends after what it has
    try:
        await asyncio.wait([done], timeout=ENDING_S)
        if done.done():
            waiting.shutdown()
    finally:
        done.cancel()


async def hashed(threads: Executor, work: Callable[[bytes], T], data: bytes) -> T:
    """Hash so much data: in a thread, unless asking one would take longer than the hash."""
    return work(data) if len(data) <= HASHED_INLINE_BYTES else await in_thread(threads, work, data)


async def to_the_end(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in one of the threads. Cancelled, it waits for the end of the work, and then is.

    For work on what its caller cleans up: a descriptor must not be closed while a thread writes to it.
    """
    loop = asyncio.get_running_loop()  # no task is made: whoever cancels all tasks does not end the wait by that
    return await waited_out(loop.run_in_executor(threads, lambda: work(*args, **kwargs)))
