"""A volume as it was at one moment, read from its version rows alone.

Of each path it is the newest version that was made up to then, if that is no delete. Versions of a path lie together,
newest first, so a walk over them in order of row key needs no memory. It is the same however often it is read, for the
moment is final before anything is read: see `finality`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import pairwise

from .continuation import Place, token_of
from .entities import VolumeInfo
from .errors import InvalidError
from .exchange import partition_of
from .explanation import Explanation
from .filters import Comparison, Condition
from .finality import Finality
from .keys import RowRange, shard_of, version_row, versions, versions_behind, versions_under
from .kinds import LIVE
from .listing import Hop, Lister
from .planner import Question
from .retry import Deadline
from .rows import Entity
from .times import from_microseconds
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Past:
    """The state of a volume at a moment, in microseconds since 1970."""

    volume: VolumeInfo
    time: int
    finality: Finality
    writer: Writer
    lister: Lister

    @property
    def _until(self) -> Condition:
        return Comparison("created", "<=", self.time)

    async def at(self, path: str, *, deadline: Deadline | None = None) -> Entity | None:
        """The newest version of a path, also one that is a delete; None where there was none yet.

        Raises: as `Finality.reach`.
        """
        limit = deadline or self.lister.deadline()
        await self.finality.reach(self.time, self.writer, self.lister, limit, [shard_of(path, self.volume.shards)])
        lister = self.lister if deadline is None else self.lister.within(deadline.left_s)
        rows = lister.rows(partition_of(self.volume, path), versions(path), where=self._until)
        async with aclosing(rows):
            return await anext(rows, None)

    async def runs(
        self,
        prefix: str = "",
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
        hop: Hop | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        """The newest version of every path below a prefix (and behind `after`), in order, if `where` holds for it.

        Raises: as `Finality.reach`; as `Lister.runs`.
        """
        await self.finality.reach(self.time, self.writer, self.lister, self.lister.deadline())
        until, last = self._until, None
        rows = versions_under(prefix) if after is None else versions_behind(after, prefix)
        async with aclosing(
            self.lister.runs(self.volume, rows, where=until, select=select, hop=hop or _past_path)
        ) as runs:
            async for run in runs:
                newest = []
                for row in run:
                    if row.values["path"] != last and until.holds(row.values):
                        last = row.values["path"]
                        if where is None or where.holds(row.values):
                            newest.append(row)
                if newest:
                    yield newest

    # --- What `browse` asks of what it walks over ---------------------------------------------------------------------

    async def rows(
        self, prefix: str, *, deleted: bool = False, select: Sequence[str] | None = None, hop: Hop | None = None
    ) -> AsyncGenerator[Entity, None]:
        """See `browse.Source`."""
        async with aclosing(self.runs(prefix, where=None if deleted else LIVE, select=select, hop=hop)) as runs:
            async for run in runs:
                for row in run:
                    yield row

    async def settled(self, row: Entity) -> Entity | None:
        """See `browse.Source`: what is past is settled."""
        return row

    def under(self, prefix: str) -> RowRange:
        """See `browse.Source`."""
        return versions_under(prefix)

    def shows(self, page: Sequence[Entity], folder: str, *, deleted: bool) -> bool:
        """See `browse.Source`. Whether a row is the newest of its path, only the row before it tells."""
        return any(
            row.values["path"] != before.values["path"]
            and str(row.values["path"]).startswith(folder)
            and (deleted or LIVE.holds(row.values))
            for before, row in pairwise(page)
        )


@dataclass(frozen=True, slots=True)
class PastScan:
    """A source of a query (see `query.Source`): all files as they were at a moment, and a condition."""

    past: Past
    question: Question
    place: Place | None = None
    """Behind which file the answer begins."""

    def __repr__(self) -> str:
        under = f", under {self.question.prefix!r}" if self.question.prefix else ""
        at = from_microseconds(self.past.time).isoformat()
        return f"<PastScan of {self.past.volume.name!r} at {at}: {self.question.where}{under}>"

    def runs(self, select: Sequence[str] | None = None) -> AsyncGenerator[Sequence[Entity], None]:
        """What `query.Source` says. The condition is not the service's to judge: it would find what was before."""
        where, after = self.question.where, self.place.after if self.place else None
        read = None if select is None else sorted({"schema", "path", "created", *where.reads, *select})
        return self.past.runs(self.question.prefix, where=where, select=read, after=after)

    def token(self, row: Entity) -> str:
        """See `query.Source`."""
        return token_of(self.past.volume.epoch, self.question, Place(str(row.values["path"])))

    async def explain(self, *, run: bool) -> Explanation:  # noqa: ARG002 — there is nothing to choose from
        """See `query.Source`."""
        message = "what was is read from all versions under the prefix, whatever is asked: as_of has no plan to explain"
        raise InvalidError(message, op="explain", kind="invalid.unsupported")


def _past_path(page: Sequence[Entity]) -> str:
    """Behind all versions of a path, the newest of which was read."""
    return version_row(str(page[-1].values["path"]), 0)
