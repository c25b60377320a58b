"""Bounded concurrency over an async iterator: many at a time, none lost, none left running."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def concurrently(
    source: AsyncIterable[T], work: Callable[[T], Awaitable[R]], *, limit: int
) -> AsyncGenerator[R, None]:
    """The results of `work` on every item, in order of completion; up to `limit` under way or not yet taken.

    An error of the source or of `work` ends it all. Whoever stops early, or is cancelled, leaves no task behind.
    """
    places = asyncio.Semaphore(limit)
    finished: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    running: set[asyncio.Task[R]] = set()

    async def feed() -> None:
        try:
            async for item in source:
                await places.acquire()
                task = asyncio.create_task(_done(work, item))
                running.add(task)
                task.add_done_callback(finished.put_nowait)
        finally:
            finished.put_nowait(None)

    feeder = asyncio.create_task(feed())
    fed = False
    try:
        while running or not fed:
            done = await finished.get()
            if done is None:
                fed = True
                await feeder
                continue
            running.discard(done)
            places.release()
            yield done.result()
    finally:
        feeder.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(feeder, *running, return_exceptions=True)


async def in_order(
    source: AsyncIterable[T], work: Callable[[T], Awaitable[R]], *, limit: int
) -> AsyncGenerator[R, None]:
    """As `concurrently`, in the order of the source: one that takes long is waited for, others go on behind it."""
    waiting: deque[asyncio.Task[R]] = deque()
    try:
        async for item in source:
            waiting.append(asyncio.create_task(_done(work, item)))
            if len(waiting) >= limit:
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[object]], *, limit: int) -> None:
    """Do `work` on every item, up to `limit` at a time. As `concurrently`, where nobody wants the results."""
    async with aclosing(concurrently(each(items), work, limit=limit)) as done:
        async for _ in done:
            pass


async def each(items: Iterable[T]) -> AsyncGenerator[T, None]:
    """Items, one after the other, for those who want an async iterator."""
    for item in items:
        yield item


async def _done(work: Callable[[T], Awaitable[R]], item: T) -> R:
    return await work(item)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group: the others are what it brought down."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
