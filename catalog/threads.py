"""Blocking work, off the event loop: on the executor that a catalog owns, and that ends with it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in one of the threads. Cancelled, it returns at once and the work ends by itself."""
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: work(*args, **kwargs))
