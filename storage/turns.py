"""Turns: one thread does the work of many callers, and takes all that wait together.

To wake a thread, and to be woken by it, takes longer than writing a small file. So whoever asks while the thread works
waits for its next turn; a turn is one transaction where that is what the work is made of, and all of a loop who were
in it are woken at once. Someone who is alone waits for nobody.

The thread is given one piece of work for each turn, and never fewer turns than take all who wait: a caller who finds no
place in the turns to come asks for one more. So everyone has a turn, and other work of the thread comes in between.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from .errors import another

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
    """The calls of one thread, which may be given other work in between."""

    def __init__(self, work: Callable[[Sequence[Call[C, R]]], None], *, calls_max: int = CALLS_MAX) -> None:
        """`work` runs in the thread and answers each call; what it raises is the answer to those that have none."""
        self._work = work
        self._calls_max = calls_max
        self._waiting: deque[Call[C, R]] = deque()
        self._turns = 0  # to come
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Turns: {len(self._waiting)} waiting>"

    async def do(self, thread: Executor, request: C) -> R:
        """What comes of it. `thread` is always the same executor, of one worker.

        Cancelled, it is left out if the work on it has not begun, else it ends by itself.
        """
        loop = asyncio.get_running_loop()
        call: Call[C, R] = Call(request, loop)
        with self._lock:
            self._waiting.append(call)
            has_place = len(self._waiting) <= self._turns * self._calls_max
            if not has_place:
                self._turns += 1
        if not has_place:
            try:
                loop.run_in_executor(thread, self._turn, loop).add_done_callback(_tell_of)
            except RuntimeError as exc:  # the thread takes no more work
                self._give_back_a_turn(exc)
        return await call.answer()

    def _give_back_a_turn(self, error: RuntimeError) -> None:
        """That will not come: tell those who find no place in the others."""
        with self._lock:
            self._turns -= 1
            stranded = [self._waiting.pop() for _ in range(len(self._waiting) - self._turns * self._calls_max)]
        for call in stranded:
            call.fail(another(error))
            call.loop.call_soon_threadsafe(call.tell)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> Sequence[Call[C, R]]:
        """In the thread. Returns the calls of this loop, which it tells; the others are told of theirs at once."""
        with self._lock:
            self._turns -= 1
            calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._calls_max))]
        try:
            self._work(calls)
        except BaseException as exc:  # noqa: BLE001 — it is for whoever asked, not for the thread
            for call in calls:
                call.fail(another(exc))
        for other in {call.loop for call in calls} - {loop}:
            with suppress(RuntimeError):  # that loop was closed: nobody waits there any more
                other.call_soon_threadsafe(_tell, [call for call in calls if call.loop is other])
        return [call for call in calls if call.loop is loop]


def _tell_of(turn: "asyncio.Future[Sequence[Call[Any, Any]]]") -> None:
    if not turn.cancelled():
        _tell(turn.result())


def _tell(calls: Sequence[Call[Any, Any]]) -> None:
    for call in calls:
        call.tell()
