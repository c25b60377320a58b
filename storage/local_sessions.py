"""Sessions: who is writing in a local store, and whether that process still lives.

A session is a folder in staging, locked (flock on the folder itself) from its making to its end. The system lets go of
the lock when the process dies, however it dies; so a session whose lock can be taken is dead, and belongs to who took
it. Tokens `<session>-<n>` name the files of a session and are never used again.
"""

import fcntl
import os
import secrets
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self


class Session:
    """A folder in staging and the lock on it. All methods block. Raises: OSError."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._numbers = count(1)

    def __repr__(self) -> str:
        return f"<Session {self.path.name}>"

    @classmethod
    def begin(cls, staging: Path, *, full: bool) -> Self:
        """Begin one of a new name. Who sweeps between its making and its locking removes it: then another."""
        while True:
            path = staging / secrets.token_hex(8)
            path.mkdir()
            session = cls.taken_over(path)
            if session is not None:
                break
        if full:
            flush_folder(staging)
        return session

    @classmethod
    def taken_over(cls, path: Path) -> Self | None:
        """Lock a session; None where its process lives, or where it has ended meanwhile."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            still = os.path.samestat(os.fstat(descriptor), path.stat())
        except (BlockingIOError, FileNotFoundError):
            still = False
        if still:
            return cls(path, descriptor)
        os.close(descriptor)
        return None

    def token(self) -> str:
        """A token that was never used before."""
        return f"{self.path.name}-{next(self._numbers)}"

    def tokens(self) -> list[str]:
        """The tokens of the files that are here now. What else there is, is nobody's of ours: it stays."""
        with os.scandir(self.path) as found:
            return [f"{self.path.name}-{file.name}" for file in found if not file.is_dir(follow_symlinks=False)]

    def flush(self) -> None:
        """Make what was made here survive a loss of power."""
        os.fsync(self._descriptor)

    def end(self) -> None:
        """Remove the folder if it is empty, and let go of the lock. What is still in it, the next sweep settles."""
        with suppress(OSError):
            self.path.rmdir()
        os.close(self._descriptor)


def flush_folder(path: Path) -> None:
    """Make a folder's entries survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
