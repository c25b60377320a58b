"""The synchronous door: `with catalog.blocking.connect(url) as cat`, for those without asyncio.

The same catalog, with the same names, arguments and errors; waiting is all that it adds. See `standins`, which do
it for any object. The signatures that a type checker sees stand in `blocking.pyi`, made by `scripts/blocking-stubs`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
    call it back. Not across a fork.
    """
    portal = Portal()
    portal.start()
    try:
        with Context(_async.connect(url, **options), portal, apart=False) as cat:
            yield cat
    finally:
        portal.end()
