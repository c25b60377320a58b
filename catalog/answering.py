"""Answering a question: a plan is made of it, carried out, and made again where what it relied on is gone.

Rows come from heads, or from an index, which has all columns of the heads. What the service decides of the condition
only narrows what is read: every row is evaluated again here, in full.

**An index may be dropped while it is read.** A volume's row says `dropping` before the first write leaves the index
alone, and long before its first row is removed (A1 in `turnover`). So rows of an index, and that there are no more of
them, are believed once the volume's row was read *after* them and still says `ready`. If it does not, what was handed
on is right, and the answer goes on behind it by another plan; where the index gives the order there is none.

What an answer promises is what a listing does (N1): a file that fits all the time is in it, once. The rows of an index
move where a write changes what they are in order of: `index_reading` finds those that moved while a range was read.
Where the index itself gives the order there is no way back, and an exception: a file that is written meanwhile, and
fits before and after, may be missing, or come twice, if its shard's part of the answer is more than a page.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Protocol, Self

from .browse import Settled
from .columns import parse_volume
from .continuation import Place, token_of
from .entities import Index, VolumeInfo
from .errors import ConflictError, InvalidError
from .exchange import partition_of
from .explaining import explain
from .explanation import Explanation
from .flow import each, for_each, in_order
from .garbage import searched_seldom
from .index_ranges import whole_in
from .index_reading import IndexReading
from .keys import ABOVE, REGISTRY, RowRange, decode, encode, head_row, index_id, partition, volume_row
from .listing import Lister
from .path_ranges import POINT_END, is_point
from .planner import Plan, Question, plan
from .ranges import Ranges, beyond, within
from .rows import Entity
from .table import PAGE_ROWS, Table

_OWN: Final = ("schema", "path", "kind", "moving")
"""What has to be read of every head: whether it can be read, is a file, and is where it stands."""
_SELECTED_MAX: Final = 100
"""Of so many columns the names alone take much of a request: then all are read."""
_AT_A_TIME: Final = 256
"""Rows that are evaluated before they are handed on: few enough that a processor still has them at hand then."""
_POINTS_AT_A_TIME: Final = 16
_SHARDS_AT_A_TIME: Final = 32  # each has a page in hand: some 30 MB, of the largest rows that are usual
UNCONFIRMED_MAX: Final = 4_000

Runs = AsyncGenerator[Sequence[Entity], None]


class Informed(Protocol):
    """Who knows a volume, and learns what has become of it."""

    info: VolumeInfo


class _GoneError(Exception):
    """The index that was read is not ready any more."""


@dataclass(frozen=True, slots=True)
class Answering:
    """A source of a query (see `query.Source`): a question, asked of a volume."""

    volume: Informed
    lister: Lister
    settled: Settled
    threads: Executor
    question: Question
    place: Place | None = None
    """Behind which file the answer begins."""
    limit: int | None = None
    """How many files are wanted, if that is known: a hint."""
    asked: str = ""
    """The condition as it was given."""
    unconfirmed_max: int = UNCONFIRMED_MAX
    """Rows of an index that are held until it is known that it was ready."""

    def __repr__(self) -> str:
        under = f", under {self.question.prefix!r}" if self.question.prefix else ""
        return f"<Answering of {self.volume.info.name!r}: {self.question.where}{under}>"

    @property
    def info(self) -> VolumeInfo:
        """The volume that is asked, as far as is known."""
        return self.volume.info

    def over(self, table: Table) -> Self:
        """It, reading through another table."""
        return replace(self, lister=self.lister.over(table))

    async def explain(self, *, run: bool) -> Explanation:
        """See `query.Source`."""
        return await explain(self, condition=self.asked, limit=self.limit, run=run)

    def token(self, row: Entity) -> str:
        """See `query.Source`."""
        place = Place(row.row, index_id(row.row)) if self.question.order else Place(_path(row))
        return token_of(self.volume.info.epoch, self.question, place)

    async def runs(self, select: Sequence[str] | None = None) -> Runs:
        """What `query.Source` says. Raises: InvalidError, ConflictError (conflict.index), as well."""
        after = self.place
        while True:
            found = await self.plan()
            try:
                async with aclosing(_Run(self, found, after, _columns(found, select)).rows()) as runs:
                    async for run in runs:
                        yield run
                        after = Place(_path(run[-1]))
            except _GoneError as exc:
                if self.question.order:
                    message = f"the index in order of {', '.join(self.question.order)} was dropped meanwhile: ask again"
                    raise ConflictError(message, op="query", key=self.volume.info.name, kind="conflict.index") from exc
            else:
                return

    async def plan(self) -> Plan:
        """How it is answered. Where no index has the order, it is looked whether one was made since.

        Raises: InvalidError (invalid.order; invalid.token, where the token's order is another index's by now).
        """
        its = self.place.index if self.place else ""
        try:
            found = plan(self.question, self.volume.info, its)
        except InvalidError:
            await self.look_again()
            found = plan(self.question, self.volume.info, its)
        if its and not _reads(found, its):
            await self.look_again()
            found = plan(self.question, self.volume.info, its)
        if its and not _reads(found, its):
            message = "the index that gave the order is not there any more: ask anew, without the token"
            raise InvalidError(message, op="query", key=self.volume.info.name, kind="invalid.token")
        return found

    async def look_again(self) -> None:
        """Learn which indexes there are by now: of a volume that is gone, none."""
        info = self.volume.info
        get = self.lister.table.get
        row = await self.lister.deadline().retried(lambda: get(REGISTRY, volume_row(info.name)))
        now = None if row is None else parse_volume(row, None)
        gone = now is None or now.epoch != info.epoch
        self.volume.info = replace(info, indexes=()) if gone or now is None else replace(now, default=info.default)


class _Run:
    """One plan, carried out once."""

    def __init__(self, of: Answering, found: Plan, after: Place | None, select: Sequence[str] | None) -> None:
        self._of = of
        self._info = of.volume.info
        self._plan = found
        self._after = after
        self._select = select
        self._behind = "" if after is None or found.question.order else encode(after.after)
        self._where = found.condition

    def rows(self) -> Runs:
        """The rows that fit, in the order that is wanted. Raises: _GoneError."""
        if self._plan.index is None:
            return self._fitting(self._by_path(self._plan.paths))
        if self._plan.sorts:
            return self._sorted(self._plan.index)
        return self._confirmed(self._fitting(self._by_index()), self._plan.index)

    # --- From heads ---------------------------------------------------------------------------------------------------

    async def _by_path(self, paths: Ranges | None) -> Runs:
        if self._plan.access == "nothing":
            return
        anywhere = (RowRange("", ABOVE),)
        ranges = beyond(anywhere if paths is None else paths, self._behind and self._behind + POINT_END)
        for alone, group in groupby(ranges, key=is_point):
            some = tuple(group)
            read = self._points(some) if alone else self._ranges(within("h", some))
            async with aclosing(read) as runs:
                async for run in runs:
                    yield run

    async def _points(self, points: Ranges) -> Runs:
        paths = each(decode(point.first) for point in points)
        async with aclosing(in_order(paths, self._head, limit=_POINTS_AT_A_TIME)) as heads:
            async for head in heads:
                if head is not None:
                    yield [head]

    async def _head(self, path: str) -> Entity | None:
        deadline, table = self._of.lister.deadline(), self._of.lister.table
        return await deadline.retried(lambda: table.get(partition_of(self._info, path), head_row(path)))

    async def _ranges(self, ranges: Ranges) -> Runs:
        ahead = self._of.limit is None or self._of.limit > PAGE_ROWS
        for rows in ranges:
            read = self._of.lister.runs(self._info, rows, where=self._where, select=self._select, ahead=ahead)
            async with aclosing(read) as runs:
                async for run in runs:
                    yield run

    # --- From an index ------------------------------------------------------------------------------------------------

    def _by_index(self) -> Runs:
        reached = self._plan.reach
        assert reached  # noqa: S101 — that is what a plan with an index has
        if self._plan.question.order:
            return self._ranges(beyond(reached.ranges, self._after.after + " " if self._after else ""))
        assert reached.key is not None  # noqa: S101 — else rows are sorted
        whole = whole_in(reached.key)
        ranges = beyond(reached.ranges, reached.key + self._behind[:whole])
        return self._unread(_long_paths_in_order(self._ranges(ranges), whole))

    async def _unread(self, rows: Runs) -> Runs:
        """Those that come behind the place where the answer begins."""
        async with aclosing(rows) as runs:
            async for run in runs:
                if kept := [row for row in run if not self._behind or encode(_path(row)) > self._behind]:
                    yield kept

    async def _sorted(self, index: Index) -> Runs:
        from .in_path_order import InPathOrder  # noqa: PLC0415 — only who sorts pays for sqlite3

        async with InPathOrder(self._of.threads) as found:
            with searched_seldom():
                await self._every_shard(found.add)
            await self._confirm(index)
            async with aclosing(found.runs()) as runs:
                async for run in runs:
                    yield run

    async def _every_shard(self, add: Callable[[Sequence[Entity]], Awaitable[None]]) -> None:
        """All rows that fit, however they come: a path may come twice."""
        reached = self._plan.reach
        assert reached  # noqa: S101 — that is what a plan with an index has
        reading = IndexReading(self._of.lister, reached.ranges, self._where, self._select)

        async def read(shard: int) -> None:
            pages = reading.pages(partition(self._info.epoch, shard))
            async with aclosing(self._fitting(self._unread(pages))) as runs:
                async for run in runs:
                    await add(run)

        await for_each(range(self._info.shards), read, limit=_SHARDS_AT_A_TIME)

    async def _confirmed(self, rows: Runs, index: Index) -> Runs:
        held: list[Sequence[Entity]] = []
        most = min(self._of.unconfirmed_max, self._of.limit or UNCONFIRMED_MAX)
        async with aclosing(rows) as runs:
            async for run in runs:
                held.append(run)
                if sum(map(len, held)) >= most:
                    await self._confirm(index)
                    for confirmed in held:
                        yield confirmed
                    held = []
        await self._confirm(index)
        for confirmed in held:
            yield confirmed

    async def _confirm(self, index: Index) -> None:
        await self._of.look_again()
        if not any(now.id == index.id and now.state == "ready" for now in self._of.volume.info.indexes):
            raise _GoneError

    # --- From either --------------------------------------------------------------------------------------------------

    async def _fitting(self, rows: Runs) -> Runs:
        async with aclosing(rows) as runs:
            async for run in runs:
                for start in range(0, len(run), _AT_A_TIME):
                    async with aclosing(self._few(run[start : start + _AT_A_TIME])) as few:
                        async for fitting in few:
                            yield fitting

    async def _few(self, rows: Sequence[Entity]) -> Runs:
        holds, kept = self._where.holds, list[Entity]()
        for row in rows:
            values = row.values
            if "moving" not in values:
                if holds(values):
                    kept.append(row)
                continue
            if kept:  # first: whoever wants no more of them asks for nothing else
                yield kept
                kept = []
            head = await self._settled(row)
            if head is not None and holds(head.values):
                kept.append(replace(head, row=row.row))
        if kept:
            yield kept

    async def _settled(self, row: Entity) -> Entity | None:
        """What the head of a path is, once the move that claims it is settled."""
        if self._select is not None or self._plan.index is not None:
            head = await self._head(_path(row))
            return None if head is None else await self._of.settled(head)
        return await self._of.settled(row)


async def _long_paths_in_order(rows: Runs, whole: int | None) -> Runs:
    """Rows of one value of an index, in order of path: paths of which not all stands in the key, put right.

    Those are next to each other that begin with the same `whole` units; as many are held at a time.
    """
    held: list[Entity] = []
    begun = ""
    async with aclosing(rows) as runs:
        async for run in runs:
            if whole is None:
                yield run
                continue
            out: list[Entity] = []
            for row in run:
                path = _path(row)
                long = encode(path) if 2 * len(path) > whole else ""  # no character takes more than two units
                if held and long[:whole] != begun:
                    out += sorted(held, key=_encoded)
                    held = []
                if len(long) > whole:
                    begun = long[:whole]
                    held.append(row)
                else:
                    out.append(row)
            if out:
                yield out
    if held:
        yield sorted(held, key=_encoded)


def _columns(found: Plan, select: Sequence[str] | None) -> Sequence[str] | None:
    """All that has to be read of a head, so that it can be told whether it fits; None: everything."""
    if select is None:
        return None
    own = (*_OWN, "version") if found.sorts else _OWN  # of a path that comes twice, the newer one is kept
    read = sorted({*own, *found.condition.reads, *select})
    return read if len(read) <= _SELECTED_MAX else None


def _reads(found: Plan, index_id: str) -> bool:
    return found.index is not None and found.index.id == index_id


def _path(row: Entity) -> str:
    return str(row.values["path"])


def _encoded(row: Entity) -> str:
    return encode(_path(row))
