"""Files as a tree to be shown: what is above the level that is shown, and sums of all that is below."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .. import FileVersion


@dataclass(slots=True)
class Branch:
    """A folder, with what is in it."""

    path: str
    files: int = 0
    bytes: int = 0
    newest: datetime | None = None
    twigs: "list[Branch | FileVersion]" = field(default_factory=list)
    """Files and folders in it, in order; none where it is the last level that is shown."""

    def add(self, file: "FileVersion", levels: int | None) -> None:
        """Take the next file in order of path, and keep it where it is within so many levels."""
        self.files += 1
        self.bytes += file.size
        self.newest = max(self.newest, file.created) if self.newest else file.created
        if levels == 0:
            return
        below = file.path.find("/", len(self.path))
        if below < 0:
            self.twigs.append(file)
            return
        self._inner(file.path[: below + 1]).add(file, None if levels is None else levels - 1)

    def _inner(self, path: str) -> "Branch":
        last = self.twigs[-1] if self.twigs else None
        if not isinstance(last, Branch) or last.path != path:
            last = Branch(path)
            self.twigs.append(last)
        return last

    def walk(self, guide: str = "") -> Iterator["tuple[str, Branch | FileVersion]"]:
        """Everything in it from top to bottom, each with the lines that lead to it."""
        for index, twig in enumerate(self.twigs):
            last = index == len(self.twigs) - 1
            yield guide + ("└── " if last else "├── "), twig
            if isinstance(twig, Branch):
                yield from twig.walk(guide + ("    " if last else "│   "))
