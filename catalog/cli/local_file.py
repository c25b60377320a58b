"""A file on this disk that a command makes: whole under its name, or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..destination import Part


class LocalFile:
    """The file in the making, as those want one who write to a file object."""

    closed = False
    """It is not theirs to close."""

    def __init__(self, path: Path, part: "Part") -> None:
        self._path = path
        self._part = part

    def __repr__(self) -> str:
        return f"<LocalFile {str(self._path)!r}>"

    def write(self, data: Any) -> int:
        """Add to it: bytes, or what holds them. Raises: an error of ours, for what the disk says."""
        from ..destination import explaining

        with explaining("", self._path):
            self._part.write(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Nothing is held back."""

    def writable(self) -> bool:
        """It is."""
        return True


@contextmanager
def local_file(path: Path, *, overwrite: bool) -> Iterator[LocalFile]:
    """Make a file; it has its name when the block has ended, and after an error what was there is as it was.

    Raises: ConflictError (something is there, and no `overwrite`), NotFoundError (no such folder), AccessDeniedError,
    UnavailableError.
    """
    from ..destination import Existing, LocalFolder, Part, explaining

    existing: Existing = "overwrite" if overwrite else "fail"
    part = Part(
        lambda: LocalFolder.opened(path.parent), [path.name or "."], existing=existing, time_us=0, modified_us=None
    )
    try:
        with explaining("", path):
            part.begin()
        yield LocalFile(path, part)
        with explaining("", path):
            part.finish()
    finally:
        part.abandon()
