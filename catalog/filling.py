"""Adds a volume's files to an index that is new, or takes them out of one that is dropped: head by head.

Every write keeps a new index up by the time this begins, so what it looks for are the heads that have no row in it:
those of files that were there before. Each gets its row, and its mark, in one transaction, under the head's etag and by
the gate: a head that is changed meanwhile is in the index by that, and whoever was held up while the settings were
changed again is refused. Nothing is noted of how far it came. Stopped anywhere, it begins anew, reads all heads, and
writes only for those that are left. `tests/catalog/test_alterations.py` explores this.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Final

from .columns import parse_head
from .commit import Unit
from .entities import Head, Index, VolumeInfo
from .errors import OutcomeUnknownError, UnavailableError
from .exchange import gate_merge
from .filters import Comparison, Condition
from .flow import first_of, for_each
from .garbage import searched_seldom
from .head_rows import UnknownIndexError, rewritten
from .index_damage import amended
from .indexes import all_of
from .keys import head_row, heads, partition
from .kinds import LIVE
from .listing import Lister
from .retry import Deadline
from .rows import Entity
from .table import Delete, RefusedError
from .writer import Writer

SHARDS_AT_A_TIME: Final = 8
_IN_SOME: Final = Comparison("indexed", ">=", "")

Filled = Callable[[int], None]
"""Hears how many files more are in the index, or out of it."""


class StaleError(Exception):
    """The volume's settings were changed meanwhile."""


class Filling:
    """Brings the heads of a volume in line with one of its indexes, under the settings that are in force."""

    def __init__(self, volume: VolumeInfo, index: Index, writer: Writer, lister: Lister, progress: Filled) -> None:
        self._volume = volume
        self._index = index
        self._writer = writer
        self._lister = lister
        self._progress = progress
        self._fills = index.state == "building"

    def __repr__(self) -> str:
        return f"<Filling of index {self._index.id} of {self._volume.name!r}>"

    async def run(self) -> None:
        """All shards. Raises: StaleError, AccessDeniedError, UnavailableError, NotFoundError (the table is gone)."""
        with searched_seldom():
            await for_each(range(self._volume.shards), self._shard, limit=SHARDS_AT_A_TIME)

    async def _shard(self, shard: int) -> None:
        key = partition(self._volume.epoch, shard)
        where: Condition = LIVE if self._fills else _IN_SOME
        async with aclosing(self._lister.pages(key, heads(""), where=where)) as pages:
            async for page in pages:
                await self._all([head for row in page if (head := self._amiss(row))], key)
        if not self._fills:
            await self._sweep(key)

    def _amiss(self, row: Entity) -> Head | None:
        """The head, if it is not as it is to be."""
        head = parse_head(self._volume.name, row)
        there = self._index.id in head.indexed
        return head if there is not self._fills and (head.live or not self._fills) else None

    async def _all(self, amiss: list[Head], key: str) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for head in amiss:
                    tasks.create_task(self._one(head, key))
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        if amiss:
            self._progress(len(amiss))

    async def _one(self, head: Head, key: str) -> None:
        deadline, refused = self._writer.deadline(), False
        while True:
            try:
                await self._commit(head, key, deadline, amends=refused)
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                now = await self._again(head, key)
                if now is None:
                    return
                if isinstance(exc, RefusedError) and now.row_etag == head.row_etag:
                    if refused:  # it was the gate
                        raise StaleError from exc
                    refused = True  # or a row of the index is not as it should be
                    continue
                refused = False
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
                head = now
            else:
                return

    async def _commit(self, head: Head, key: str, deadline: Deadline, *, amends: bool) -> None:
        """Bring a head in line. `amends`: also where its rows in indexes are not as it says."""
        lane = self._writer.committer.lane(key)
        try:
            unit = Unit(rewritten(self._volume, head, self._mended(head)), shared=(gate_merge(self._volume),))
        except UnknownIndexError as exc:
            settings = await self._writer.current(self._volume, deadline)
            if settings.generation == self._volume.generation:
                raise exc.as_damage() from exc
            raise StaleError from exc
        if amends:
            unit = await amended(unit, self._lister.table, key, deadline) or unit
        await deadline.wait(lambda: lane.commit(unit))

    async def _again(self, head: Head, key: str) -> Head | None:
        row = head_row(head.file.path)
        entity = await self._writer.deadline().retried(lambda: self._lister.table.get(key, row))
        return None if entity is None else self._amiss(entity)

    def _mended(self, head: Head) -> Head:
        others = tuple(id_ for id_ in head.indexed if id_ != self._index.id)
        return replace(head, indexed=(*others, self._index.id) if self._fills else others)

    async def _sweep(self, key: str) -> None:
        """Rows that no head speaks of: there are none, unless something was damaged."""
        async with aclosing(self._lister.rows(key, all_of(self._index), select=("schema",))) as rows:
            async for row in rows:
                await self._removed(row, key)

    async def _removed(self, row: Entity, key: str) -> None:
        unit, lane = Unit((Delete(row.row, row.etag),)), self._writer.committer.lane(key)
        with suppress(RefusedError):  # others were faster
            await self._writer.deadline().retried(lambda: lane.commit(unit))
