"""The synchronous door, generic: one event loop in one thread, and stand-ins for what lives on it.

A `Blocking` stands for an object of the async API and knows nothing of it: a coroutine becomes a call that waits, an
async iterator an iterator, an async context manager a context manager; what is a plain value passes as it is. Any
thread may call, several at once.

Theory. Each call is a task of its own. An iteration and a `with` block are each *one* task from beginning to end (a
`Strand`), since time limits and task groups must be left by the task that entered them; so is all that is done with
what a `with` block gives. A caller who is interrupted (Ctrl-C) cancels its task, waits for its end, and is interrupted.
Errors are the very objects that were raised, and keep their tracebacks.

The thread is a daemon and belongs to the process that made it: in a fork there is no such thread, so calls are refused
there. So are calls on the thread itself, from a callback, which would wait for ever.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from inspect import isawaitable, signature
from types import TracebackType
from typing import Any, Final, Protocol, Self

from .errors import InvalidError, OutcomeUnknownError

Work = Callable[[], Awaitable[Any]]

_END: Final = object()
_ASYNC_ITERABLE: Final = "collections.abc.AsyncIterable["


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
        strand = Strand(self)
        strand.task = self._waited(lambda: _made(self._task(strand.serve)))
        return strand

    def end(self) -> None:
        """Cancel what is under way, and end the thread. In a fork there is nothing to end."""
        loop, self._loop = self._loop, None
        if loop is not None and os.getpid() == self._pid:
            loop.call_soon_threadsafe(self._over.set)
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
        loop = self._checked()
        done: Future[Any] = Future()
        cancel: list[Callable[[], object]] = []
        context = copy_context()
        loop.call_soon_threadsafe(lambda: cancel.append(context.run(begin, done)))
        try:
            return done.result()
        except asyncio.CancelledError as exc:
            message = "the catalog was closed while the call was under way"
            raise OutcomeUnknownError(message, op="blocking", kind="outcome-unknown.closed") from exc
        except BaseException:
            if not done.done():  # it is the caller who was interrupted, not the work
                loop.call_soon_threadsafe(lambda: [each() for each in cancel])
                wait([done])
            raise

    def _waited(self, task: Callable[[], "asyncio.Future[Any]"]) -> Any:
        def begin(done: "Future[Any]") -> Callable[[], object]:
            started = task()
            started.add_done_callback(lambda ended: _hand_over(ended, done))
            return started.cancel

        return self.wait(begin)

    def _task(self, work: Work) -> "asyncio.Task[Any]":
        return asyncio.get_running_loop().create_task(_awaited(work))

    def _checked(self) -> asyncio.AbstractEventLoop:
        if os.getpid() != self._pid:
            message = "this catalog was opened before a fork: connect anew in the child"
            raise InvalidError(message, op="blocking", kind="invalid.forked")
        if self.here:
            message = "a callback may not call the catalog that calls it: it would wait for itself"
            raise InvalidError(message, op="blocking", kind="invalid.callback")
        if self._loop is None:
            raise InvalidError("the catalog is closed", op="blocking", kind="invalid.closed")
        return self._loop

    def _serve(self) -> None:
        with asyncio.Runner() as runner:  # leaving it cancels all tasks, and ends all generators
            runner.run(self._open())

    async def _open(self) -> None:
        self._over = asyncio.Event()
        self._ready.set_result(asyncio.get_running_loop())
        await self._over.wait()


class Strand:
    """One task that does what it is given, in turn: what is entered in it is left in it."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._queue: asyncio.Queue[tuple[Work, Future[Any]] | None] = asyncio.Queue()
        self._current: Future[Any] | None = None
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
        self._portal.soon(lambda: self._queue.put_nowait(None))

    def last(self, work: Work) -> None:
        """Do it and end, and let nobody wait where nobody can."""
        if self._portal.here:
            self._portal.soon(lambda: self._given(work, Future()))
        else:
            with suppress(InvalidError):  # closed, or forked: it ended with the loop
                self.run(work)
        self.end()

    def _given(self, work: Work, done: "Future[Any]") -> Callable[[], object]:
        self._queue.put_nowait((work, done))

        def cancel() -> None:
            if self._current is done and self.task is not None:
                self.task.cancel()
            elif not done.done():
                done.cancel()

        return cancel

    async def serve(self) -> None:
        """Do what comes, until there is no more."""
        while (given := await self._queue.get()) is not None:
            await self._serve(*given)
            del given  # or what is iterated over would be held until there is more to do

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

    def end(self) -> None:
        """Nothing: the strand goes on."""

    def last(self, work: Work) -> None:
        with suppress(InvalidError):
            self.run(work)


class Blocking:
    """Stands for an object that lives on the loop. What it is and can do, its own class tells."""

    __slots__ = ("_inner", "_runs")

    def __init__(self, inner: Any, runs: Runs) -> None:
        self._inner = inner
        self._runs = runs

    def __repr__(self) -> str:
        return f"<blocking {self._inner!r}>"

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._inner) if not name.startswith("_")]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self._inner).__name__!r} gives no {name!r} to the outside")
        found = getattr(self._inner, name)
        return _method(found, self._runs) if callable(found) else found

    def __iter__(self) -> Iterator[Any]:
        if not hasattr(self._inner, "__aiter__"):
            raise TypeError(f"{type(self._inner).__name__!r} is not iterable")
        return iterate(self._inner, self._runs)


class Context:
    """An async context manager, for `with`: entered and left in one task."""

    def __init__(self, manager: Any, runs: Runs, *, apart: bool = True) -> None:
        self._manager = manager
        self._runs = runs
        self._apart = apart
        self._strand: Runs

    def __enter__(self) -> Any:
        self._strand = self._runs.strand()
        try:
            entered = self._strand.run(self._manager.__aenter__)
        except BaseException:
            self._strand.end()
            raise
        return wrapped(entered, self._strand if self._apart else self._runs)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = self._strand.run(lambda: self._manager.__aexit__(kind, exc, trace))
            return swallowed
        finally:
            self._strand.end()


def iterate(items: Any, runs: Runs) -> Iterator[Any]:
    """An async iterator, for `for`. Left early, it is closed at once, or when nobody holds it any more."""
    return _Iteration(items, runs)


class _Iteration:
    def __init__(self, items: Any, runs: Runs) -> None:
        self._items = items
        self._runs = runs
        self._strand: Any = None
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        if self._strand is None:
            self._strand = self._runs.strand()
            self._items = aiter(self._items)
        try:
            item = self._strand.run(self._next)
        except BaseException:
            self.close()
            raise
        if item is _END:
            self.close()
            raise StopIteration
        return wrapped(item, self._strand)

    async def _next(self) -> Any:
        return await anext(self._items, _END)

    def close(self) -> None:
        """End it, as `aclose` does. May be called twice."""
        if not self._ended:
            self._ended = True
            if self._strand is not None:
                self._strand.last(self._close)

    async def _close(self) -> None:
        if hasattr(self._items, "aclose"):
            await self._items.aclose()

    def __del__(self) -> None:
        self.close()


def wrapped(value: Any, runs: Runs) -> Any:
    """What a caller is given for a value of the async API."""
    kind = type(value)
    if hasattr(kind, "__aenter__"):
        return Context(value, runs)
    if hasattr(kind, "__anext__") and hasattr(kind, "aclose"):  # a generator; a Reader has more to it
        return iterate(value, runs)
    if kind.__module__.partition(".")[0] == "catalog" and _is_alive(kind):
        return Blocking(value, runs)
    return value


def _is_alive(kind: type) -> bool:
    """Whether objects of the class speak to a service: values do not."""
    public = (getattr(kind, name) for name in dir(kind) if not name.startswith("_"))
    return hasattr(kind, "__aiter__") or any(map(asyncio.iscoroutinefunction, public))


def _method(method: Callable[..., Any], runs: Runs) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        taken = _arguments(method, args, kwargs)

        async def work() -> Any:
            found = method(*taken[0], **taken[1])
            return await found if isawaitable(found) else found

        return wrapped(runs.run(work), runs)

    return call


def _arguments(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The arguments as the async API wants them: an iterable is fine where it asks for an async one."""
    parameters = signature(method).parameters
    wanted = {name for name, each in parameters.items() if str(each.annotation).startswith(_ASYNC_ITERABLE)}
    bound = dict(zip(parameters, args, strict=False))
    swapped = {
        name: _fed(value)
        for name, value in (bound | kwargs).items()
        if name in wanted and isinstance(value, Iterable) and "|" not in str(parameters[name].annotation)
    }
    positional = tuple(swapped.get(name, value) for name, value in bound.items())
    return positional + args[len(bound) :], {name: swapped.get(name, value) for name, value in kwargs.items()}


async def _fed(items: Iterable[Any]) -> AsyncIterator[Any]:
    """The items of an iterable that may take its time, each fetched in a thread."""
    source = iter(items)
    while (item := await asyncio.to_thread(next, source, _END)) is not _END:
        yield item


async def _awaited(work: Work) -> Any:
    return await work()


def _made(task: "asyncio.Task[Any]") -> "asyncio.Future[Any]":
    """A future that is done, and holds the task."""
    made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    made.set_result(task)
    return made


def _hand_over(ended: "asyncio.Future[Any]", done: "Future[Any]") -> None:
    if ended.cancelled():
        done.set_exception(asyncio.CancelledError())
    elif (error := ended.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(ended.result())
