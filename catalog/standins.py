"""Stand-ins, for callers who wait, of what lives on an event loop: any object, iteration or context of the async API.

A `Blocking` stands for an object and knows nothing of it: a coroutine becomes a call that waits, an async iterator an
iterator, an async context manager a context manager; what is a plain value passes as it is. Where and in which task the
work is done is `portal`'s business.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import wraps
from inspect import isawaitable, signature
from types import TracebackType
from typing import Any, Final, Self

from .arrow import as_reader
from .errors import InvalidError
from .portal import Runs

_END: Final = object()
_ASYNC_ITERABLE: Final = "collections.abc.AsyncIterable["


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


class BlockingQuery(Blocking):
    """Stands for a query: its record batches come as what synchronous consumers of Arrow read."""

    __slots__ = ()

    def to_arrow(self, *args: Any, **kwargs: Any) -> Any:
        """As of the async API, a `pyarrow.RecordBatchReader`."""
        return as_reader(_method(self._inner.to_arrow, self._runs)(*args, **kwargs))


class Context:
    """An async context manager, for `with`: entered and left in one task, and left also where that is ended before."""

    def __init__(self, manager: Any, runs: Runs, *, apart: bool = True) -> None:
        self._manager = manager
        self._runs = runs
        self._apart = apart
        self._strand: Any = None
        self._left = False

    def __enter__(self) -> Any:
        self._strand = self._runs.strand()
        try:
            entered = self._strand.run(self._enter)
        except BaseException:
            self._strand.end()
            raise
        return wrapped(entered, self._strand if self._apart else self._runs)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = self._strand.run(lambda: self._leave(kind, exc, trace))
            return swallowed
        finally:
            self._strand.end()

    async def _enter(self) -> Any:
        entered = await self._manager.__aenter__()
        self._strand.at_end(self._leave)
        return entered

    async def _leave(self, *why: Any) -> Any:
        if self._left:
            return None
        self._left = True
        return await self._manager.__aexit__(*(why or (None, None, None)))


def iterate(items: Any, runs: Runs) -> Iterator[Any]:
    """An async iterator, for `for`. Left early, it is closed at once, or when nobody holds it any more."""
    return _Iteration(items, runs)


class _Iteration:
    """An iteration that threads may share: each item goes to one of them.

    There is no lock, since any thread may let go of it at any time. It begins, goes on and ends in its strand, in turn;
    what is kept here is only what was asked for.
    """

    def __init__(self, items: Any, runs: Runs) -> None:
        self._items = items
        self._strand: Any = runs.strand()
        self._iterator: Any = None
        self._asked = False
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        self._asked = True
        try:
            item = self._strand.run(self._next)
        except InvalidError as exc:
            closed_meanwhile = self._ended and exc.kind == "invalid.closed"
            self.close()
            if closed_meanwhile:
                raise StopIteration from None
            raise
        except BaseException:
            self.close()
            raise
        if item is _END:
            self.close()
            raise StopIteration
        return wrapped(item, self._strand)

    async def _next(self) -> Any:
        if self._iterator is None:
            self._iterator = aiter(self._items)
            self._strand.at_end(self._closing(self._iterator))
        return await anext(self._iterator, _END)

    def close(self) -> None:
        """End it, as `aclose` does. May be called twice."""
        if not self._ended:
            self._ended = True
            if self._asked:
                self._strand.last(self._close)
            else:  # who asks at this very moment has one item at most
                self._strand.end()

    async def _close(self) -> None:
        if self._iterator is not None:
            await self._closing(self._iterator)()

    @staticmethod
    def _closing(iterator: Any) -> Callable[[], Awaitable[None]]:
        """What closes it, holding nothing else: whoever lets go of the iteration ends it."""

        async def close() -> None:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

        return close

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
        return (BlockingQuery if hasattr(kind, "to_arrow") else Blocking)(value, runs)
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
