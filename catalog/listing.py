"""Rows of many shards, read at the same time and merged in order of path.

A page that fails is read again from behind the last row that was seen, so a fault in the middle of a listing is
invisible. A listing is not a snapshot across shards (N1); every path that was there all the time appears in it, once.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import Final

from .entities import VolumeInfo
from .errors import UnavailableError
from .filters import Condition
from .keys import RowRange, partition
from .retry import Clock, Deadline
from .rows import Entity
from .settings import Settings
from .table import PAGE_ROWS, LastPage, Table

_ROW: Final = attrgetter("row")

Hop = Callable[[Sequence[Entity]], str | None]
"""Told a full page: the row key to go on from, where what lies between that and its last row need not be read."""


class Lister:
    """Reads ranges of rows of one table."""

    def __init__(self, table: Table, settings: Settings, clock: Clock) -> None:
        self.table = table
        self._settings = settings
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Lister of {self.table!r}>"

    def within(self, timeout_s: float | None) -> "Lister":
        """It, for calls with a time limit of their own."""
        if timeout_s is None:
            return self
        return Lister(self.table, replace(self._settings, timeout_s=timeout_s), self._clock)

    def over(self, table: Table) -> "Lister":
        """It, reading another table, or this one in another way."""
        return Lister(table, self._settings, self._clock)

    async def pages(
        self,
        partition_key: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
        hop: Hop | None = None,
        empty: bool = False,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        """The pages of one partition; also those without a row, if `empty`. The time limit begins anew with each page.

        Raises: UnavailableError, NotFoundError (no table), AccessDeniedError.
        """
        first = rows.first
        deadline = self.deadline()
        while True:
            query = self.table.query(partition_key, RowRange(first, rows.stop), where=where, select=select)
            try:
                async with aclosing(query):
                    while (page := await deadline.read(lambda query=query: anext(query, None))) is not None:  # type: ignore[misc]
                        if page:
                            first = page[-1].row + " "  # U+0020 sorts below all that keys are made of
                        if page or empty:
                            yield page
                        if isinstance(page, LastPage):
                            return
                        deadline = self.deadline()  # not before: whoever reads may take his time
                        if page and hop and len(page) >= PAGE_ROWS and (further := hop(page)):
                            first = further
                            break
                    else:
                        return
            except UnavailableError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def rows(
        self,
        partition_key: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncGenerator[Entity, None]:
        """The rows of one partition for which `where` holds; what it asks for is to be among `select`.

        Raises: as `pages`.
        """
        async with aclosing(self.pages(partition_key, rows, where=where, select=select)) as pages:
            async for page in pages:
                for row in page:
                    if where is None or where.holds(row.values):
                        yield row

    async def shards(
        self,
        volume: VolumeInfo,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
        hop: Hop | None = None,
    ) -> AsyncGenerator[Entity, None]:
        """A range of rows of all shards of a volume, in order of row key."""
        async with aclosing(self.runs(volume, rows, where=where, select=select, hop=hop)) as runs:
            async for run in runs:
                for row in run:
                    yield row

    async def runs(
        self,
        volume: VolumeInfo,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
        hop: Hop | None = None,
        ahead: bool = True,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        """The same, as many rows at a time as can be put in order: with a page of each shard in hand, most of those.

        `ahead`: behind a page in hand the next one is fetched already; else when it is needed.
        """
        keys = [partition(volume.epoch, shard) for shard in range(volume.shards)]
        pages = [self.pages(key, rows, where=where, select=select, hop=hop) for key in keys]
        async with aclosing(merged(pages, ahead=ahead)) as runs:
            async for run in runs:
                yield run

    def deadline(self) -> Deadline:
        """The time limit of a request that begins now."""
        return Deadline(self._clock, self._settings)


async def merged(
    shards: Iterable[AsyncGenerator[Sequence[Entity], None]], *, ahead: bool = True
) -> AsyncGenerator[Sequence[Entity], None]:
    """The rows of the pages of many shards, in order of row key: each time most of what is in hand.

    No page may be empty: that is a shard's end.
    """
    left = [_Cursor(pages, ahead=ahead) for pages in shards]
    try:
        while left := await _turned(left):
            last = min(cursor.last for cursor in left)
            yield sorted(chain.from_iterable(cursor.until(last) for cursor in left), key=_ROW)
    finally:
        await _let_go(left)  # the others are at their end


class _Cursor:
    """One shard's rows: the page in hand, and perhaps the next one on its way."""

    def __init__(self, pages: AsyncGenerator[Sequence[Entity], None], *, ahead: bool) -> None:
        self._pages = pages
        self._ahead = ahead
        self._page: Sequence[Entity] = ()
        self._start = 0
        self.next: asyncio.Task[Sequence[Entity] | None] | None = self._fetched()
        """The page behind the one in hand, where it is on its way."""

    @property
    def used_up(self) -> bool:
        """Whether nothing of the page is left."""
        return self._start == len(self._page)

    @property
    def last(self) -> str:
        """The key of the page's last row."""
        return self._page[-1].row

    def until(self, row: str) -> Sequence[Entity]:
        """The page's rows up to this key, once."""
        end = bisect_right(self._page, row, lo=self._start, key=_ROW)
        taken, self._start = self._page[self._start : end], end
        return taken

    def fetching(self) -> "asyncio.Task[Sequence[Entity] | None]":
        """The next page, on its way."""
        self.next = self.next or self._fetched()
        return self.next

    def turn(self) -> None:
        """Take the page in hand that was fetched, an empty one behind the last. Raises: what fetching it raised."""
        assert self.next  # noqa: S101 — it was waited for
        self._page, self._start = self.next.result() or (), 0
        self.next = self._fetched() if self._page and self._ahead else None

    async def close(self) -> None:
        """Let go of the shard, once nothing is on its way."""
        await self._pages.aclose()

    def _fetched(self) -> "asyncio.Task[Sequence[Entity] | None]":
        async def fetch() -> Sequence[Entity] | None:
            return await anext(self._pages, None)

        return asyncio.create_task(fetch())


async def _turned(cursors: Sequence[_Cursor]) -> list[_Cursor]:
    """Those that have rows, each with a page in hand."""
    if due := [cursor for cursor in cursors if cursor.used_up]:
        await asyncio.wait([cursor.fetching() for cursor in due])  # for all: who closes a cursor must find it at rest
    for cursor in due:
        cursor.turn()
    return [cursor for cursor in cursors if not cursor.used_up]


async def _let_go(cursors: Sequence[_Cursor]) -> None:
    under_way = [cursor.next for cursor in cursors if cursor.next is not None]
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    for cursor in cursors:
        await cursor.close()
