"""Blocking work, off the event loop: on the executor that a catalog owns, and that ends with it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in one of the threads. Cancelled, it returns at once and the work ends by itself."""
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: work(*args, **kwargs))


async def to_the_end(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in one of the threads. Cancelled, it waits for the end of the work, and then is.

    For work on what its caller cleans up: a descriptor must not be closed while a thread writes to it.
    """
    running = asyncio.ensure_future(in_thread(threads, work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # the cancellation is what counts
        raise
