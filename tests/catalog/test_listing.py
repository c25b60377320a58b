"""How long a listing waits: until a row comes, however many pages without one the service answers with."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from catalog.errors import UnavailableError
from catalog.keys import RowRange
from catalog.listing import Lister
from catalog.retry import Clock
from catalog.rows import Entity
from catalog.settings import Settings
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert
from tests.harness.virtual_time import LoopClock, leaping

EVERYTHING = RowRange(" ", "~")
LIMIT_S = 10
PAGE_S = 1


class Sparse(SqliteTable):
    """Answers with pages that have no row before each that has one, as Azure may: so many, or for ever."""

    def __init__(self, empty: int | None, page_s: float) -> None:
        super().__init__(":memory:")
        self._empty = empty
        self._page_s = page_s

    async def query(self, partition: str, rows: RowRange, **options: Any) -> AsyncGenerator[Sequence[Entity], None]:
        async for page in super().query(partition, rows, **options):
            for row in page:
                async for nothing in self._pages():
                    yield nothing
                yield [row]
        async for nothing in self._pages():
            yield nothing

    async def _pages(self) -> AsyncIterator[Sequence[Entity]]:
        left = self._empty
        while left is None or left > 0:
            if self._page_s:
                await asyncio.sleep(self._page_s)
            yield []
            left = None if left is None else left - 1


class Ticking:
    """A clock by which each look takes a while."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """See Clock."""
        self._now += 0.25
        return self._now

    async def sleep(self, _seconds: float) -> None:
        """See Clock."""


async def read(empty: int | None, page_s: float, clock: Clock) -> list[str]:
    table = Sparse(empty, page_s)
    try:
        await table.create()
        for row in "abc":
            await table.submit("p", [Insert(row, {})])
        lister = Lister(table, replace(Settings(), timeout_s=LIMIT_S), clock)
        return [row.row async for row in lister.rows("p", EVERYTHING)]
    finally:
        await table.close()


def test_pages_without_rows_for_ever_end_in_time() -> None:
    async def main() -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError, match="pages without rows") as caught:
            await read(None, PAGE_S, LoopClock())
        assert caught.value.kind == "unavailable.empty-pages"
        assert LIMIT_S <= asyncio.get_running_loop().time() - began <= LIMIT_S + PAGE_S

    leaping(main())


async def test_they_end_also_where_they_cost_no_waiting() -> None:
    with pytest.raises(UnavailableError, match="pages without rows"):
        await read(None, 0, Ticking())


def test_each_row_that_comes_begins_the_limit_anew() -> None:
    assert leaping(read(LIMIT_S // PAGE_S - 1, PAGE_S, LoopClock())) == ["a", "b", "c"]
