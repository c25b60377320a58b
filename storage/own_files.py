"""The files that this process has open by SQLite, and the folders of its local stores: nobody here reads them besides.

By POSIX, a process that closes a file loses all its locks on it, also those that SQLite took through another
descriptor. The next process to leave then takes itself for the last one and removes the log that is still written to:
what was acknowledged is lost ("How To Corrupt An SQLite Database File", 2.2). So such a file must not even be opened.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Final

Identity = tuple[int, int]
"""Of a file, whatever name leads to it: its device and its inode."""

_BESIDE: Final = ("", "-wal", "-shm", "-journal")


class _All:
    """What all stores of the process hold; several may hold the same."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.held = Counter[Identity]()
        self.inodes = frozenset[int]()

    def change(self, *, more: Iterable[Identity] = (), fewer: Iterable[Identity] = ()) -> None:
        with self._lock:
            held = self.held.copy()
            held.update(more)
            held.subtract(fewer)
            self.held = +held  # those that somebody holds
            self.inodes = frozenset(inode for _, inode in self.held)


_ALL: Final = _All()


class OwnFiles:
    """What one store holds. Any thread may call its methods."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._mine = set[Identity]()

    def __repr__(self) -> str:
        return f"<OwnFiles: {len(self._mine)}>"

    def hold(self, database: Path, *folders: Path) -> None:
        """Note a database that is open, with what SQLite has beside it so far; and folders."""
        names = (Path(f"{database}{suffix}") for suffix in _BESIDE)
        found = {(each.st_dev, each.st_ino) for path in (*names, *folders) if (each := _status(path))}
        with self._lock:
            _ALL.change(more=found - self._mine)
            self._mine |= found

    def let_go(self) -> None:
        """Nothing of it is open any more."""
        with self._lock:
            _ALL.change(fewer=self._mine)
            self._mine = set()


def is_own(path: Path) -> bool:
    """Whether it is one of those, by whatever name. Does not open it."""
    held = _ALL.held
    return bool(held) and (found := _status(path)) is not None and (found.st_dev, found.st_ino) in held


def is_own_entry(entry: "os.DirEntry[str]") -> bool:
    """The same of an entry of a folder, not of what it may be a link to; hardly ever at the cost of asking the disk."""
    return entry.inode() in _ALL.inodes and not entry.is_symlink() and is_own(Path(entry.path))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
