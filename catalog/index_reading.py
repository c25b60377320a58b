"""A shard's ranges of an index, read so that no file is missed whose row moves within them meanwhile.

Rows of an index move where a write changes what they are in order of, and may do so from what is still to be read to
what was read. One page is read at one moment; so only where there are more, and files are written beside, somebody may
have slipped by. Who did was committed between two **marks**, one before and one after. A mark is the time of the
shard's gate, which every beginning write touches, and then the intents that are open: so who was committed between two
was open at the first and is not at the second, or began after the gate was touched last. A version is as old as its
write's intent, or younger (see `finality`, which rests on the same): so all of them are younger than a known time. So:

1. Read a page. If it is all there is, that was one moment, and it is done.
2. Make a mark, and read all from the beginning.
3. Make another. If nobody was committed between the two, nothing has moved: done.
4. Read what is younger than that time, mostly one page: one moment, in which each who slipped by has a row, and is
   younger. Where it is more, the same again, from 3 on, with the second mark for the first. It costs the service a walk
   from the first range to the last, and us a page.

A path may come twice; its newer version is the one that stays (`in_path_order`). What a row is in order of changes in
one other way: the digest of adopted content is noted once it was read, by no write. Such a file may be missed.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from .filters import All, Comparison, Condition
from .finality import OPEN
from .keys import GATES, INTENTS, RowRange
from .listing import Lister
from .ranges import Ranges, hull
from .rows import Entity

PASSES_MAX: Final = 8
"""Each reads what was written during the one before: more would only chase somebody who writes faster than we read.
Then it ends, and who slipped by during the last one may be missed (N1)."""

Pages = AsyncGenerator[Sequence[Entity], None]


def beside_pages(ranges: int, *, full: bool) -> int:
    """How many requests a shard takes beside its pages, where nobody writes."""
    marks = 3  # the gate and the intents, and the gate once more
    if ranges > 1:
        return marks
    return marks + 2 if full else 0  # it takes two pages to see that one is not all, and they are read again


@dataclass(frozen=True, slots=True)
class Mark:
    """The writes of a shard, as far as one has to know to find those again that end meanwhile."""

    gates: frozenset[str]
    """The etags of its gates: of the one that all writes go through, or, while settings are altered, of none."""
    touched: int
    """When a gate was touched last: writes that begin later are no older."""
    open: Mapping[str, int]
    """The writes that are open, and when they began."""

    def oldest_since(self, later: "Mark") -> int | None:
        """No version that was committed between the two is older than that; None: none was committed."""
        ended = [began for op, began in self.open.items() if op not in later.open]
        if self.gates and self.gates == later.gates and not ended:
            return None
        return min([self.touched, *ended])


@dataclass(frozen=True, slots=True)
class IndexReading:
    """What is read of an index, of any shard."""

    lister: Lister
    ranges: Ranges
    where: Condition
    select: Sequence[str] | None

    async def pages(self, shard: str) -> Pages:
        """Those of a shard, by its partition. Raises: as `Lister.pages`."""
        if len(self.ranges) == 1:
            async with aclosing(self._range(shard, self.ranges[0], self.where)) as pages:
                page = await anext(pages, ())
                if await anext(pages, None) is None:
                    yield page
                    return
        before = await self._mark(shard)
        for each in self.ranges:
            async with aclosing(self._range(shard, each, self.where)) as pages:
                async for page in pages:
                    yield page
        parts = self.where.parts if isinstance(self.where, All) else (self.where,)
        for _ in range(PASSES_MAX):
            now = await self._mark(shard, before)
            since = before.oldest_since(now)
            if since is None:
                return
            moments = 0
            younger = All((Comparison("created", ">=", since), *parts))  # first: what is too long loses the last ones
            async with aclosing(self._range(shard, hull(self.ranges)[0], younger)) as pages:
                async for page in pages:
                    moments += 1
                    yield page
            if moments <= 1:
                return
            before = now

    def _range(self, shard: str, rows: RowRange, where: Condition) -> Pages:
        """Each page of it, be it empty: a moment of its own."""
        return self.lister.pages(shard, rows, where=where, select=self.select, empty=True)

    async def _mark(self, shard: str, before: Mark | None = None) -> Mark:
        async with aclosing(self.lister.rows(shard, GATES)) as rows:
            gates = [row async for row in rows]
        etags = frozenset(gate.etag for gate in gates)
        if before and not before.open and etags == before.gates:
            return before  # nobody was open, and nobody has begun
        async with aclosing(self.lister.rows(shard, INTENTS, where=OPEN, select=("state",))) as rows:
            begun = {row.row: row.timestamp async for row in rows}
        return Mark(etags, max((gate.timestamp for gate in gates), default=0), begun)
