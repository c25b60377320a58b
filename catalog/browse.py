"""Looking around: folders and files, globs, and what folders hold. All are walks over rows, in order of path.

Over which rows, its `Source` says: the heads, which are what is there now, or versions (see `past`).

What need not be read is hopped over, where that costs nothing: a shard's page that is full would be followed by another
request anyway, and if it ends inside a folder that is already known to be shown (or under which no path can match), the
request goes on behind that folder. Shorter pages are read on, since most of them are a shard's last. So a top level of
few huge folders costs a page for each, and one of many small folders no more than reading them.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from .arguments import check_flags, check_whole
from .columns import parse_told
from .entities import FileVersion, Folder, VolumeInfo
from .exchange import partition_of
from .glob import Glob, parse_glob
from .keys import RowRange, head_row, heads
from .kinds import LIVE
from .listing import Hop, Lister
from .paths import check_prefix
from .rows import Entity
from .usage import COLUMNS, FolderUsage, Totals

DEPTH_MAX: Final = 250  # no path has more segments

Settled = Callable[[Entity], Awaitable[Entity | None]]
"""What a head is once the move that claims it, if any, is settled; None where it is gone."""


class Source(Protocol):
    """The state of a volume that is walked over: one row for each path, in order of path."""

    def rows(
        self, prefix: str, *, deleted: bool = False, select: Sequence[str] | None = None, hop: Hop | None = None
    ) -> AsyncGenerator[Entity, None]:
        """The rows below a prefix; those of deleted files may be among them in any case."""

    async def at(self, path: str) -> Entity | None:
        """The row of a path; None where there is none."""

    async def settled(self, row: Entity) -> Entity | None:
        """What a row of `rows` is in truth, all of it; None where it is gone."""

    def under(self, prefix: str) -> RowRange:
        """Where the rows below a prefix are."""

    def shows(self, page: Sequence[Entity], folder: str, *, deleted: bool) -> bool:
        """Whether a page by itself is reason enough to show the folder that its last row is in."""


@dataclass(frozen=True, slots=True)
class Present:
    """The heads of a volume: what is there now."""

    volume: VolumeInfo
    lister: Lister
    settle: Settled

    def rows(
        self, prefix: str, *, deleted: bool = False, select: Sequence[str] | None = None, hop: Hop | None = None
    ) -> AsyncGenerator[Entity, None]:
        """See `Source`."""
        where = None if deleted else LIVE
        return self.lister.shards(self.volume, heads(prefix), where=where, select=select, hop=hop)

    async def at(self, path: str) -> Entity | None:
        """See `Source`."""
        row = head_row(path)
        rows = self.lister.rows(partition_of(self.volume, path), RowRange(row, row + " "), where=LIVE)
        async with aclosing(rows):
            return await anext(rows, None)

    async def settled(self, row: Entity) -> Entity | None:
        """See `Source`: where a move that takes a file away was decided, as it is after that."""
        if "moving" not in row.values:
            return row
        if "chain" not in row.values:  # of which only some columns were read
            return await read_again(self.lister, self.settle, row)
        return await self.settle(row)

    def under(self, prefix: str) -> RowRange:
        """See `Source`."""
        return heads(prefix)

    def shows(self, page: Sequence[Entity], folder: str, *, deleted: bool) -> bool:  # noqa: ARG002 — one row is enough
        """See `Source`."""
        return "moving" not in page[-1].values and (deleted or LIVE.holds(page[-1].values))


class Browser:
    """Walks over one state of a volume."""

    def __init__(self, volume: VolumeInfo, source: Source) -> None:
        self._volume = volume
        self._source = source

    def __repr__(self) -> str:
        return f"<Browser of {self._volume.name!r}>"

    async def list(self, prefix: str, *, recursive: bool, deleted: bool) -> AsyncGenerator[FileVersion | Folder, None]:
        """What `Volume.list` says."""
        prefix = check_prefix(prefix)
        check_flags("list", recursive=recursive, deleted=deleted)
        folder = ""
        hop = None if recursive else _past_shown(self._source, prefix, deleted=deleted)
        async with aclosing(self._source.rows(prefix, deleted=deleted, hop=hop)) as rows:
            async for row in rows:
                path = str(row.values["path"])
                if folder and path.startswith(folder):
                    continue
                if (head := await self._source.settled(row)) is None or not (deleted or LIVE.holds(head.values)):
                    continue
                below = path.find("/", len(prefix))
                if recursive or below < 0:
                    yield parse_told(self._volume.name, head)
                else:
                    folder = path[: below + 1]
                    yield Folder(folder)

    async def glob(self, pattern: str) -> AsyncGenerator[FileVersion, None]:
        """What `Volume.glob` says."""
        glob = parse_glob(pattern)
        async with aclosing(self._candidates(glob)) as rows:
            async for row in rows:
                if not glob.matches(str(row.values["path"])):
                    continue
                if (head := await self._source.settled(row)) is not None and LIVE.holds(head.values):
                    yield parse_told(self._volume.name, head)

    async def folders(self, prefix: str, depth: int) -> AsyncGenerator[FolderUsage, None]:
        """What `Volume.folders` says."""
        prefix = check_prefix(prefix)
        check_whole("folders", "depth", depth, most=DEPTH_MAX)
        totals = Totals(prefix, depth)
        async with aclosing(self._source.rows(prefix, select=COLUMNS)) as rows:
            async for row in rows:
                head = await self._source.settled(row)
                if head is not None and LIVE.holds(head.values):
                    for usage in totals.add(head):
                        yield usage
        for usage in totals.end():
            yield usage

    async def _candidates(self, glob: Glob) -> AsyncGenerator[Entity, None]:
        """The rows among which all are that match."""
        if glob.exact:
            if (row := await self._source.at(glob.pattern)) is not None:
                yield row
            return
        found = self._source.rows(glob.literal, hop=_past_barren(self._source, glob))
        async with aclosing(found):
            async for each in found:
                yield each


async def read_again(lister: Lister, settled: Settled, row: Entity) -> Entity | None:
    """A claimed head, of which only some columns were read: all of it, settled."""
    deadline = lister.deadline()
    whole = await deadline.retried(lambda: lister.table.get(row.partition, row.row))
    return None if whole is None else await settled(whole)


def _past_shown(source: Source, prefix: str, *, deleted: bool) -> Hop:
    """Behind the folder of the last row, where the page by itself is reason enough to show the folder."""

    def hop(page: Sequence[Entity]) -> str | None:
        path = str(page[-1].values["path"])
        below = path.find("/", len(prefix))
        folder = path[: below + 1]
        return source.under(folder).stop if below >= 0 and source.shows(page, folder, deleted=deleted) else None

    return hop


def _past_barren(source: Source, glob: Glob) -> Hop:
    """Behind the folder of the last row, under which nothing can match."""

    def hop(page: Sequence[Entity]) -> str | None:
        folder = glob.barren(str(page[-1].values["path"]))
        return source.under(folder).stop if folder else None

    return hop
