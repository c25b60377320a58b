"""One event loop in one thread, and how other threads have work done on it. Any thread may call, several at once.

Theory. Each call is a task of its own. An iteration and a `with` block are each *one* task from beginning to end (a
`Strand`), since time limits and task groups must be left by the task that entered them; so is all that is done with
what a `with` block gives. A caller who is interrupted (Ctrl-C) cancels its task, waits for its end, and is interrupted.
Errors are the very objects that were raised, and keep their tracebacks.

The thread is a daemon and belongs to the process that made it: in a fork there is no such thread, so calls are refused
there. So are calls on the thread itself, from a callback, which would wait for ever. Nobody waits for a thread that is
no more, or that runs no more because the interpreter is at its end.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Protocol, TypeVar

from .errors import InvalidError, OutcomeUnknownError

LOOKS_UP_S: Final = 0.5
T = TypeVar("T")
Work = Callable[[], Awaitable[Any]]


class Runs(Protocol):
    """Where work is done, for a caller who waits."""

    def run(self, work: Work) -> Any:
        """Do the work and return its result, or raise its error."""

    def strand(self) -> "Runs":
        """Where work that belongs together is done, one after the other; ends with `end`."""

    def end(self) -> None:
        """No more work will come."""


class Portal:
    """An event loop in a thread, from `start` to `end`."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event
        self._thread = threading.Thread(target=self._serve, name="blobcat-blocking", daemon=True)

    def __repr__(self) -> str:
        return f"<Portal, {'open' if self._loop else 'closed'}>"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._loop = self._ready.result()

    def run(self, work: Work) -> Any:
        """See Runs: as a task of its own, in the caller's context."""
        return self._waited(lambda: self._task(work))

    def strand(self) -> "Strand":
        """See Runs."""
        return Strand(self)

    def end(self) -> None:
        """Cancel what is under way, and end the thread. In a fork there is nothing to end."""
        loop, self._loop = self._loop, None
        if loop is not None and os.getpid() == self._pid:
            loop.call_soon_threadsafe(self._over.set)
            if not sys.is_finalizing():  # it would never end any more
                self._thread.join()

    def soon(self, work: Callable[[], Any]) -> None:
        """Do it on the loop, if there still is one, and wait for nothing."""
        if self._loop is not None and os.getpid() == self._pid:
            with suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(work)

    @property
    def open(self) -> bool:
        """Whether work is still taken."""
        return self._loop is not None

    @property
    def here(self) -> bool:
        """Whether this is the loop's own thread."""
        return threading.current_thread() is self._thread

    def wait(self, begin: Callable[["Future[Any]"], Callable[[], object]]) -> Any:
        """Begin something on the loop that ends in the future, and wait; interrupted, call what `begin` returned."""
        self._checked()
        done: Future[Any] = Future()
        cancel: list[Callable[[], object]] = []
        context = copy_context()

        def stop() -> None:
            """Runs behind the beginning, if that was asked for at all before the interruption."""
            for each in cancel:
                each()
            if not cancel:
                done.cancel()

        try:
            self.soon(lambda: cancel.append(context.run(begin, done)))
            if self._ends(done):
                return done.result()
        except asyncio.CancelledError as exc:
            raise _cut_off() from exc
        except BaseException:
            if not done.done():  # it is the caller who was interrupted, not the work
                self.soon(stop)
                self._ends(done)
            raise
        raise _cut_off() if cancel else _closed()

    def _ends(self, done: "Future[Any]") -> bool:
        """Wait for its end. False: nobody comes to it any more.

        Python may miss a Ctrl-C that comes just as a wait begins, so that none is long.
        """
        while not done.done():
            if not self._thread.is_alive() or sys.is_finalizing():
                return done.done()  # it may have been the last that the thread did
            with suppress(TimeoutError, CancelledError):
                done.exception(LOOKS_UP_S)
        return True

    def _waited(self, task: Callable[[], "asyncio.Future[Any]"]) -> Any:
        def begin(done: "Future[Any]") -> Callable[[], object]:
            started = task()
            started.add_done_callback(lambda ended: _hand_over(ended, done))
            return started.cancel

        return self.wait(begin)

    def _task(self, work: Work) -> "asyncio.Task[Any]":
        return asyncio.get_running_loop().create_task(_awaited(work))

    def _checked(self) -> None:
        if os.getpid() != self._pid:
            message = "this catalog was opened before a fork: connect anew in the child"
            raise InvalidError(message, op="blocking", kind="invalid.forked")
        if self.here:
            message = "a callback may not call the catalog that calls it: it would wait for itself"
            raise InvalidError(message, op="blocking", kind="invalid.callback")
        if self._loop is None:
            raise _closed()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:  # leaving it cancels all tasks, and ends all generators
            runner.run(self._open())

    async def _open(self) -> None:
        self._over = asyncio.Event()
        self._ready.set_result(asyncio.get_running_loop())
        await self._over.wait()


class Strand:
    """One task that does what it is given, in turn: what is entered in it is left in it. The first work begins it."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._queue: asyncio.Queue[tuple[Work, Future[Any]] | None] = asyncio.Queue()
        self._current: Future[Any] | None = None
        self._at_end: list[Work] = []
        self._ended = False
        self.task: asyncio.Task[Any] | None = None

    def __repr__(self) -> str:
        return f"<Strand, {self._queue.qsize()} waiting>"

    def run(self, work: Work) -> Any:
        """See Runs."""
        return self._portal.wait(lambda done: self._given(work, done))

    def strand(self) -> "Strand":
        """See Runs: what begins inside stays inside."""
        return _Part(self)

    def end(self) -> None:
        """See Runs."""
        self._portal.soon(self._end)

    def at_end(self, work: Work) -> None:
        """Do it before the task ends, whoever ends it; what was asked for last comes first."""
        self._at_end.append(work)

    def _end(self) -> None:
        self._ended = True
        self._queue.put_nowait(None)

    def last(self, work: Work) -> None:
        """Do it and end, and let nobody wait where nobody can."""
        if self._portal.here:
            self._portal.soon(lambda: self._given(work, Future()))
        else:
            with suppress(InvalidError, OutcomeUnknownError):  # closed, or forked: it ended with the loop
                self.run(work)
        self.end()

    def _given(self, work: Work, done: "Future[Any]") -> Callable[[], object]:
        if self._ended:  # nobody would ever do it
            message = "this was closed with its `with` block, or its iteration: open it anew"
            done.set_exception(InvalidError(message, op="blocking", kind="invalid.closed"))
        else:
            self._queue.put_nowait((work, done))
            self.task = self.task or asyncio.get_running_loop().create_task(self.serve())

        def cancel() -> None:
            if self._current is done and self.task is not None:
                self.task.cancel()
            elif not done.done():
                done.cancel()

        return cancel

    async def serve(self) -> None:
        """Do what comes, until there is no more."""
        try:
            while (given := await self._queue.get()) is not None:
                await self._serve(*given)
                del given  # or what is iterated over would be held until there is more to do
        finally:
            while self._at_end:
                with suppress(Exception):  # nobody is left who could be told
                    await self._at_end.pop()()

    async def _serve(self, work: Work, done: "Future[Any]") -> None:
        if done.cancelled():
            return
        self._current = done
        try:
            done.set_result(await work())
        except asyncio.CancelledError as exc:
            done.set_exception(exc)
            if not self._portal.open:  # it is the end of all tasks
                raise
            if self.task is not None:
                self.task.uncancel()
        except BaseException as exc:  # noqa: BLE001 — whatever it is, it belongs to who waits
            done.set_exception(exc)
        finally:
            self._current = None


class _Part(Strand):
    """Work inside another strand: its end is not the strand's."""

    def __init__(self, whole: Strand) -> None:
        self._whole = whole
        self._portal = whole._portal  # noqa: SLF001 — of the same kind

    def run(self, work: Work) -> Any:
        return self._whole.run(work)

    def strand(self) -> Strand:
        return self

    def at_end(self, work: Work) -> None:
        self._whole.at_end(work)

    def end(self) -> None:
        """Nothing: the strand goes on."""

    def last(self, work: Work) -> None:
        with suppress(InvalidError, OutcomeUnknownError):
            self.run(work)


def _closed() -> InvalidError:
    return InvalidError("the catalog is closed", op="blocking", kind="invalid.closed")


def _cut_off() -> OutcomeUnknownError:
    message = "the catalog was closed while the call was under way"
    return OutcomeUnknownError(message, op="blocking", kind="outcome-unknown.closed")


async def _awaited(work: Work) -> Any:
    return await work()


def _hand_over(ended: "asyncio.Future[Any]", done: "Future[Any]") -> None:
    if ended.cancelled():
        done.set_exception(asyncio.CancelledError())
    elif (error := ended.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(ended.result())
