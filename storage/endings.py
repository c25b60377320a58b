"""Waiting for the end of what must not be left half done, also where whoever waits is cancelled meanwhile."""

import asyncio
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


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
    finally:
        del running  # an error's traceback holds this frame
