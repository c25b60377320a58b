"""Turns: one thread does the work of many callers, and takes all that wait together.

To wake a thread, and to be woken by it, takes longer than writing a small file. So whoever asks while the thread works
waits for its next turn; a turn is one transaction where that is what the work is made of, and all of a loop who were
in it are woken at once. Someone who is alone waits for nobody.

Nothing is locked. The callers append to a queue, and the thread alone takes from it. Whoever appends calls the thread,
unless the note says that somebody has; the thread takes the note away before it looks into the queue, so that nobody
relies on a call that was answered before he came. A turn is one piece of work of the thread: what others give it to do
comes in between.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, Generic, TypeVar

CALLS_MAX: Final = 64

C = TypeVar("C")
R = TypeVar("R")


class Call(Generic[C, R]):
    """What somebody asks for. Whoever does the work says what came of it: `succeed` or `fail`."""

    __slots__ = ("_answer", "_error", "_result", "_told", "loop", "request")

    def __init__(self, request: C, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.loop = loop
        self._answer: asyncio.Future[R] = loop.create_future()
        self._error: BaseException | None = None
        self._told = False

    @property
    def wanted(self) -> bool:
        """False once its caller was cancelled. Work on it that has not begun by then is left out."""
        return not self._answer.cancelled()

    def succeed(self, result: R) -> None:
        """What the caller is to have."""
        self._result, self._told = result, True

    def fail(self, error: BaseException) -> None:
        """What the caller is to be raised, unless he has an answer already."""
        if not self._told:
            self._error, self._told = error, True

    def tell(self) -> None:
        """On the caller's loop: wake him, if he still waits."""
        if self._answer.done():
            return
        if self._error is None:
            self._answer.set_result(self._result)
        else:
            self._answer.set_exception(self._error)

    async def answer(self) -> R:
        """Wait for it."""
        return await self._answer


class Turns(Generic[C, R]):
    """The calls of one thread: an executor of one worker, which may do other things in between."""

    def __init__(
        self, thread: Executor, work: Callable[[Sequence[Call[C, R]]], None], *, calls_max: int = CALLS_MAX
    ) -> None:
        """`work` runs in the thread and answers each call; what it raises is the answer to those that have none."""
        self._thread = thread
        self._work = work
        self._waiting: deque[Call[C, R]] = deque()
        self._calls_max = calls_max
        self._called = False

    def __repr__(self) -> str:
        return f"<Turns: {len(self._waiting)} waiting>"

    async def do(self, request: C) -> R:
        """What comes of it. Cancelled, it is left out if the work on it has not begun, else it ends by itself."""
        call: Call[C, R] = Call(request, asyncio.get_running_loop())
        self._waiting.append(call)
        if not self._called:
            self._called = True
            self._thread.submit(self._run)
        return await call.answer()

    def finish(self) -> None:
        """In the thread: take turns until nobody waits. For its end, when nobody comes any more."""
        while self._waiting:
            self._turn()

    def _run(self) -> None:
        self._called = False  # whoever comes from now on calls again
        if self._waiting:
            self._turn()
        if self._waiting and not self._called:
            self._called = True
            with suppress(RuntimeError):  # the thread takes no more work, and ends with `finish`
                self._thread.submit(self._run)

    def _turn(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._calls_max))]
        try:
            self._work(calls)
        except BaseException as exc:  # noqa: BLE001 — it is for whoever asked, not for the thread
            for call in calls:
                call.fail(exc)
        for loop in {call.loop for call in calls}:
            with suppress(RuntimeError):  # that loop was closed: nobody waits there any more
                loop.call_soon_threadsafe(_tell, [call for call in calls if call.loop is loop])


def _tell(calls: Sequence[Call[C, R]]) -> None:
    for call in calls:
        call.tell()
