"""What a doctor tries with a table: with real requests, in a partition that holds nothing else.

Raises everywhere: BrokenPromiseError, and what the table raises.
"""

import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from .diagnosis import BrokenPromiseError, Scratch, answered, promise
from .keys import RowRange
from .retry import Deadline
from .table import Delete, Insert, RefusedError, Replace, Table

PARTITION: Final = "~doctor"
CLOCK_OFF_S: Final = 300.0

_ALL: Final = RowRange("0", "~")


class TableChecks:
    """The checks of one table. Each returns what it found."""

    def __init__(self, table: Table, deadline: Callable[[], Deadline], scratch: Scratch) -> None:
        self._table = table
        self._deadline = deadline
        self._scratch = scratch

    async def reach(self) -> str:
        """Whether it answers at all."""
        start = time.perf_counter()
        await self._deadline().retried(lambda: self._table.get(PARTITION, self._row("none")))
        return answered(self._table, start)

    async def writes(self) -> str:
        """What is written is read again."""
        row = self._row("a")
        await self._deadline().write(lambda: self._table.submit(PARTITION, [Insert(row, {"number": 1 << 40})]))
        found = await self._table.get(PARTITION, row)
        promise(found is not None and found.values.get("number") == 1 << 40, "a row is not read as it was written")
        return "a row is read as it was written"

    async def clock(self) -> str:
        """How far apart its clock is from ours."""
        row = self._row("clock")
        before = self._scratch.now_s()
        await self._table.submit(PARTITION, [Insert(row, {"number": 1})])
        after = self._scratch.now_s()
        found = await self._table.get(PARTITION, row)
        if found is None:
            raise BrokenPromiseError("a row that was written is not there")
        return _clock(found.timestamp / 1e6, before, after)

    async def conditions(self) -> str:
        """Preconditions are heeded."""
        row = self._row("b")
        (first,) = await self._table.submit(PARTITION, [Insert(row, {"number": 1})])
        await self._refused([Insert(row, {"number": 2})], "a second insert of a row is not refused")
        (second,) = await self._table.submit(PARTITION, [Replace(row, {"number": 2}, first.etag or "")])
        promise(first.etag != second.etag, "a changed row keeps its etag")
        await self._refused([Replace(row, {"number": 3}, first.etag or "")], "a change with an old etag is not refused")
        await self._refused([Delete(row, first.etag or "")], "a delete with an old etag is not refused")
        return "a second insert and old etags are refused"

    async def batches(self) -> str:
        """A batch is all or nothing."""
        there, new = self._row("a"), self._row("c")
        await self._refused(
            [Insert(new, {"number": 1}), Insert(there, {"number": 1})], "a batch with a wrong insert is not refused"
        )
        promise(await self._table.get(PARTITION, new) is None, "a batch that was refused has left a row")
        return "a batch is all or nothing"

    async def listings(self) -> str:
        """What is there is listed, in order."""
        rows = [self._row(f"l{number}") for number in range(3)]
        await self._table.submit(PARTITION, [Insert(row, {"number": 1}) for row in reversed(rows)])
        listed = [row for row in await self._rows() if row in rows]
        promise(listed == rows, "a query misses rows, or has them in another order than that of their keys")
        return "rows are there at once, in order"

    async def _refused(self, operations: list[Insert | Replace | Delete], broken: str) -> None:
        try:
            await self._table.submit(PARTITION, operations)
        except RefusedError:
            return
        raise BrokenPromiseError(broken)

    async def _rows(self) -> list[str]:
        async with aclosing(self._table.query(PARTITION, _ALL)) as pages:
            return [row.row async for page in pages for row in page]

    async def clean(self) -> str:
        """Remove what is ours, and what is nobody's."""
        for row in await self._rows():
            if self._scratch.is_rubbish(row.partition(".")[0]):
                await self._deadline().write(lambda row=row: self._table.submit(PARTITION, [Delete(row)]))  # type: ignore[misc]
        return ""

    def _row(self, name: str) -> str:
        return f"{self._scratch.id}.{name}"


def _clock(service_s: float, before_s: float, after_s: float) -> str:
    """How far apart two clocks are: nothing is known of the time that the request took."""
    off = service_s - min(max(service_s, before_s), after_s)
    if abs(off) > CLOCK_OFF_S:
        way = "behind" if off > 0 else "ahead of"
        apart = timedelta(seconds=round(abs(off)))
        raise BrokenPromiseError(f"this machine's clock is {apart} {way} the service's")
    return f"{abs(off):.1f} s apart from the service's"
