"""The synchronous door: `with catalog.blocking.connect(url) as cat`, for those without asyncio.

The same catalog, with the same names, arguments and errors; waiting is all that it adds. See `standins`, which do
it for any object. The signatures that a type checker sees stand in `blocking.pyi`, made by `scripts/blocking-stubs`.
"""

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

from . import catalog as _async
from .portal import Portal
from .standins import Blocking, BlockingQuery, Context

Catalog = Changes = Plan = Reader = SeekableReader = Volume = Blocking
Query = BlockingQuery


@contextmanager
def connect(url: str, **options: Any) -> Iterator[Any]:
    """Open the catalog at a url, for as long as the `with` block lasts. Options and errors: see `catalog.connect`.

    Any thread may use what it gives, several at once; callbacks are called on the catalog's own thread, and may not
    call it back. Not across a fork. Where the block is not left before the process ends, as in a notebook, it is left
    then; what needs threads for its end goes without.
    """
    portal = Portal()
    portal.start()
    with ExitStack() as stack:
        stack.callback(portal.end)
        cat = stack.enter_context(Context(_async.connect(url, **options), portal, apart=False))
        at_exit = partial(_left_at_exit, stack)
        atexit.register(at_exit)
        stack.callback(atexit.unregister, at_exit)
        yield cat


def _left_at_exit(stack: ExitStack) -> None:
    """Leave the block while other threads still run; in a moment the loop's own would not."""
    with suppress(Exception):  # executors are at their end by now, and nobody is left to be told
        stack.close()
