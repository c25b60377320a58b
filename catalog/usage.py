"""What folders hold, added up in one pass over rows in order of path. Pure.

In that order all that lies under a folder is in one piece, so a folder is complete as soon as a path comes that does
not lie in it: no more is kept than the folders above the current path.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .columns import parse_summary
from .rows import Entity
from .times import from_microseconds

COLUMNS: Final = ("schema", "path", "kind", "size", "created", "moving")
"""All that has to be read of a head."""


@dataclass(frozen=True, slots=True)
class FolderUsage:
    """How much is under a folder, at any depth; or, as the sum of it all, under the prefix that was asked for."""

    path: str
    """Ends in `/`; of the sum, the prefix as it was given."""
    files: int
    bytes: int
    """Of the current versions; older ones take room as well."""
    newest: datetime | None
    """When the newest of the files was written; None without a file."""


@dataclass(slots=True)
class _Open:
    """A folder that is not complete yet."""

    path: str
    files: int = 0
    bytes: int = 0
    newest: int = 0

    def add(self, files: int, bytes_: int, newest: int) -> None:
        self.files += files
        self.bytes += bytes_
        self.newest = max(self.newest, newest)

    def usage(self) -> FolderUsage:
        return FolderUsage(self.path, self.files, self.bytes, from_microseconds(self.newest) if self.files else None)


class Totals:
    """Adds up folders, down to so many levels below a prefix."""

    def __init__(self, prefix: str, depth: int) -> None:
        self._prefix = prefix
        self._depth = depth
        self._open = [_Open(prefix)]

    def add(self, head: Entity) -> list[FolderUsage]:
        """Take the next head in order; the folders that are complete with that, inner ones first."""
        path, size, created = parse_summary(head)
        complete = self._closed(path)
        self._enter(path)
        self._open[-1].add(1, size, created)
        return complete

    def end(self) -> list[FolderUsage]:
        """What is complete when no more comes: last of all the sum."""
        return [*self._closed(None), self._open[0].usage()]

    def _closed(self, path: str | None) -> list[FolderUsage]:
        complete = []
        while len(self._open) > 1 and (path is None or not path.startswith(self._open[-1].path)):
            inner = self._open.pop()
            self._open[-1].add(inner.files, inner.bytes, inner.newest)
            complete.append(inner.usage())
        return complete

    def _enter(self, path: str) -> None:
        while len(self._open) <= self._depth:
            below = path.find("/", len(self._open[-1].path))
            if below < 0:
                return
            self._open.append(_Open(path[: below + 1]))
