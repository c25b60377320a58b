"""What an async generator gives, for a thread that waits for each item: one at a time, so nothing piles up.

The thread asks, the loop makes the next item, the thread takes it. Whatever the generator raises is raised in the
thread, and kept: a library in between may make something else of it. Nobody waits for ever: `end` wakes the thread.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final, Generic, Self, TypeVar

T = TypeVar("T")
_END: Final = object()


class Outflow(Generic[T]):
    """An iterator for one thread, over a generator of the loop on which it is made."""

    def __init__(self, items: AsyncGenerator[T, None], loop: asyncio.AbstractEventLoop) -> None:
        self._items = items
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._ended = False
        self.error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Outflow, {'ended' if self._ended else 'open'}>"

    def __iter__(self) -> Self:
        """In the thread."""
        return self

    def __next__(self) -> T:
        """In the thread: the next item. Raises: what the generator does; `futures.CancelledError`, after `end`."""
        item: Any = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if item is _END:
            raise StopIteration
        return item  # type: ignore[no-any-return]

    async def _next(self) -> Any:
        if self._ended:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        try:
            return await anext(self._items, _END)
        except Exception as exc:
            self.error = exc
            raise

    async def end(self) -> None:
        """On the loop: no more items, and whoever waits for one is woken. May be called twice."""
        self._ended = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._items.aclose()
