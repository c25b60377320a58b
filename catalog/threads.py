"""Blocking work, off the event loop: on the executor that a catalog owns, and that ends with it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

HASHED_INLINE_BYTES: Final = 8 << 10
ENDING_S: Final = 1.0  # a thread that waits for a caller's own pipe may never end


async def in_thread(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in one of the threads. Cancelled, it returns at once and the work ends by itself."""
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: work(*args, **kwargs))


async def end(threads: Executor) -> None:
    """Take no more work, drop what has not begun, and wait until no thread is left: off the loop, and not for ever."""
    waiting = ThreadPoolExecutor(1, thread_name_prefix="blobcat-end")
    done = asyncio.get_running_loop().run_in_executor(waiting, lambda: threads.shutdown(cancel_futures=True))
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
    return await waited_out(asyncio.ensure_future(in_thread(threads, work, *args, **kwargs)))


async def waited_out(running: "asyncio.Future[T]") -> T:
    """What comes of it. Cancelled, it waits for its end, and then is."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # the cancellation is what counts
        raise
