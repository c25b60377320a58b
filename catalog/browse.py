"""Looking around: folders and files, globs, and what folders hold. All are walks over heads, in order of path.

What need not be read is hopped over, where that costs nothing: a shard's page that is full would be followed by another
request anyway, and if it ends inside a folder that is already known to be shown (or under which no path can match), the
request goes on behind that folder. Shorter pages are read on, since most of them are a shard's last. So a top level of
few huge folders costs a page for each, and one of many small folders no more than reading them.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from .arguments import check_flags, check_whole
from .columns import parse_file
from .entities import FileVersion, Folder, VolumeInfo
from .exchange import partition_of
from .filters import Comparison
from .glob import Glob, parse_glob
from .keys import RowRange, head_row, heads
from .listing import Hop, Lister
from .paths import check_prefix
from .rows import Entity
from .usage import COLUMNS, FolderUsage, Totals

LIVE: Final = Comparison("kind", "!=", "delete")
DEPTH_MAX: Final = 250  # no path has more segments

Settled = Callable[[Entity], Awaitable[Entity | None]]
"""What a head is once the move that claims it, if any, is settled; None where it is gone."""


class Browser:
    """Walks over the heads of one volume."""

    def __init__(self, volume: VolumeInfo, lister: Lister, settled: Settled) -> None:
        self._volume = volume
        self._lister = lister
        self._settled = settled

    def __repr__(self) -> str:
        return f"<Browser of {self._volume.name!r}>"

    async def list(self, prefix: str, *, recursive: bool, deleted: bool) -> AsyncGenerator[FileVersion | Folder, None]:
        """What `Volume.list` says."""
        prefix = check_prefix(prefix)
        check_flags("list", recursive=recursive, deleted=deleted)
        folder = ""
        where = None if deleted else LIVE
        hop = None if recursive else _past_shown(prefix, deleted=deleted)
        async with aclosing(self._lister.shards(self._volume, heads(prefix), where=where, hop=hop)) as rows:
            async for row in rows:
                path = str(row.values["path"])
                if folder and path.startswith(folder):
                    continue
                if (head := await self._settled(row)) is None or not (deleted or LIVE.holds(head.values)):
                    continue
                below = path.find("/", len(prefix))
                if recursive or below < 0:
                    yield parse_file(self._volume.name, head)
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
                if (head := await self._settled(row)) is not None and LIVE.holds(head.values):
                    yield parse_file(self._volume.name, head)

    async def folders(self, prefix: str, depth: int) -> AsyncGenerator[FolderUsage, None]:
        """What `Volume.folders` says."""
        prefix = check_prefix(prefix)
        check_whole("folders", "depth", depth, most=DEPTH_MAX)
        totals = Totals(prefix, depth)
        shards = self._lister.shards(self._volume, heads(prefix), where=LIVE, select=COLUMNS)
        async with aclosing(shards) as rows:
            async for row in rows:
                head = row if "moving" not in row.values else await self._read_again(row)
                if head is not None and LIVE.holds(head.values):
                    for usage in totals.add(head):
                        yield usage
        for usage in totals.end():
            yield usage

    async def _candidates(self, glob: Glob) -> AsyncGenerator[Entity, None]:
        """The rows among which all are that match."""
        if glob.exact:
            row = head_row(glob.pattern)
            shard = partition_of(self._volume, glob.pattern)
            found = self._lister.rows(shard, RowRange(row, row + " "), where=LIVE)
        else:
            found = self._lister.shards(self._volume, heads(glob.literal), where=LIVE, hop=_past_barren(glob))
        async with aclosing(found):
            async for each in found:
                yield each

    async def _read_again(self, row: Entity) -> Entity | None:
        """A claimed head, of which only some columns were read: all of it, settled."""
        deadline = self._lister.deadline()
        whole = await deadline.retried(lambda: self._lister.table.get(row.partition, row.row))
        return None if whole is None else await self._settled(whole)


def _past_shown(prefix: str, *, deleted: bool) -> Hop:
    """Behind the folder of a row, where the row by itself is reason enough to show the folder."""

    def hop(row: Entity) -> str | None:
        path = str(row.values["path"])
        below = path.find("/", len(prefix))
        shown = "moving" not in row.values and (deleted or LIVE.holds(row.values))
        return heads(path[: below + 1]).stop if shown and below >= 0 else None

    return hop


def _past_barren(glob: Glob) -> Hop:
    """Behind the folder of a row under which nothing can match."""

    def hop(row: Entity) -> str | None:
        folder = glob.barren(str(row.values["path"]))
        return heads(folder).stop if folder else None

    return hop
