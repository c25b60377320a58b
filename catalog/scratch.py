"""Temporary folders that go with who made them; also with one who was killed, as soon as the next one comes.

Whoever makes a folder holds a lock on a file in it for as long as it is in use. The system lets go of that lock when
the process ends, however that happens: so whoever can take it has found what nobody uses any more. The file has its
name only once it is locked, and a folder without it is left alone; so are those of other users, and of machines that
call themselves otherwise, as locks may not reach from one to the other.
"""

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, Self

LOCK: Final = "in-use"


class Scratch:
    """A temporary folder, in use until it is closed. Raises: OSError."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_of_this_machine(prefix)))
        with ExitStack() as made:
            made.callback(shutil.rmtree, self.path, ignore_errors=True)
            self._lock = _locked(self.path)
            made.pop_all()

    def __repr__(self) -> str:
        return f"<Scratch {self.path}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove it, with all that is in it. May be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock:
            self._lock.close()


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a lock on a folder that stays; whether nobody else has it. Where there are no locks nobody is known to."""
    with (folder / LOCK).open("ab") as lock:
        yield _taken(lock) is not False


def sweep(prefix: str) -> None:
    """Remove the folders of that prefix that killed processes of this user have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_of_this_machine(prefix)}*"):
        with suppress(OSError):  # somebody else has removed it, or it may not be touched
            if _is_ours(folder):
                _remove_unused(folder)


def _of_this_machine(prefix: str) -> str:
    return f"{prefix}{blake2b(platform.node().encode(), digest_size=4).hexdigest()}-"


def _locked(folder: Path) -> IO[bytes] | None:
    """The lock that says that a folder is in use; None where there are no locks: then nobody removes it but we."""
    lock = (folder / f"{LOCK}.making").open("wb")
    if not _taken(lock):
        lock.close()
        return None
    Path(lock.name).rename(folder / LOCK)
    return lock


def _taken(lock: IO[bytes]) -> bool | None:
    """Whether a lock is ours by now; None where there are no locks."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock  # noqa: PLC0415 — where the system has it
    except ImportError:
        return None
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    return True


def _remove_unused(folder: Path) -> None:
    name = folder / LOCK
    with name.open("rb") as lock:
        if _taken(lock) and os.path.samestat(name.stat(), os.fstat(lock.fileno())):  # and nobody was faster
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder, and of this user: what others put there leads elsewhere, perhaps."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and hasattr(os, "geteuid") and found.st_uid == os.geteuid()
