"""The files of a local store: written in staging, moved once to a place that people can read, removed for good.

    content.db                             which file is which blob: see `local_index`
    staging/<session>/<n>                  being made by a living process, or committed and not yet moved
    files/<the blob's name>~<session>-<n>  the bytes of a blob
    kept/<the end of such a name>          a damaged file that was replaced; for people, and never removed

The token `<session>-<n>` is the blob's etag, too, until it is touched, and is never used again. It ends the file's
name; so whatever else two names may share on a disk (case, normal form, a long beginning), their files differ.

A file moves one way: staging, its place, gone. Hence the order of looking: who removes one looks in staging first and
then at its place; who reads one looks at its place, in staging, and at its place again. Neither can miss a file that
is there. Who moves one and no longer finds it in staging has been overtaken, and is done.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, takewhile
from pathlib import Path, PurePosixPath
from typing import Final

from .local_sessions import Session, flush_folder

SEGMENT_BYTES_MAX: Final = 200
"""Of a file's name, without its token: disks take 255."""
PATH_BYTES_MAX: Final = 1500
"""Of a file's folders: Linux takes 4,096 with those above the store."""
MOVES_MAX: Final = 16
"""Tries to move a file into a folder that others remove whenever it is empty."""

_DISLIKED: Final = re.compile(r'[<>:"|?*]')
_NEW: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC


def place_of(name: str, token: str) -> str:
    """Where the bytes of a blob go, relative to the store's folder."""
    return f"files/{readable(name)}~{token}"


def token_of(file: str) -> str:
    """The token that a file was made with."""
    return file.rpartition("~")[2]


def readable(name: str) -> str:
    """A blob's name as a path that any disk takes: what disks dislike is %-encoded, what is too long is cut."""
    if len(name) <= SEGMENT_BYTES_MAX and name.isascii() and not _DISLIKED.search(name):
        return name
    *folders, leaf = (_segment(part) for part in name.split("/"))
    lengths = accumulate(len(folder.encode()) + 1 for folder in folders)
    short = sum(1 for _ in takewhile(lambda length: length <= PATH_BYTES_MAX, lengths))
    return "/".join([*folders[:short], leaf])


def _segment(text: str) -> str:
    liked = _DISLIKED.sub(lambda match: f"%{ord(match[0]):02X}", text)
    return liked.encode()[:SEGMENT_BYTES_MAX].decode(errors="ignore")


class Files:
    """The files under one folder. All methods block; any thread may call them. Raises: OSError."""

    def __init__(self, directory: Path, *, full: bool) -> None:
        self._root = directory
        self._staging = directory / "staging"
        self._staging_text = str(self._staging)
        self._full = full
        self._session: Session | None = None

    def __repr__(self) -> str:
        return f"<Files {self._root}>"

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Make the folders, and keep other processes from making anything else in them meanwhile."""
        for folder in (self._staging, self._root / "files"):
            folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
            if self._full:
                flush_folder(self._root)
        finally:
            os.close(descriptor)

    def begin(self) -> None:
        """Begin the session, if it is not begun; before all that follows but `opened` and `path_of`."""
        self._session = self._session or Session.begin(self._staging, full=self._full)

    def token(self) -> str:
        """A token that was never used before, for a blob whose file stays that of an older one."""
        return self._begun.token()

    def create(self) -> tuple[str, int]:
        """A new empty file in staging: its token, and an open descriptor."""
        token = self._begun.token()
        return token, os.open(self._staged(token), _NEW, 0o666)

    def finish(self, descriptor: int) -> None:
        """A file is complete. If need be, make it survive a loss of power, once `flush` was called."""
        if self._full:
            os.fsync(descriptor)

    def flush(self) -> None:
        """If need be, make the entries of the folder survive a loss of power, of all files made so far."""
        if self._full:
            self._begun.flush()

    def remove(self, token: str) -> None:
        """Remove a file that never became a blob."""
        Path(self._staged(token)).unlink(missing_ok=True)

    def settle(self, file: str) -> None:
        """Move a committed file from staging to its place, if it is still in staging."""
        staged, place = self._staged(token_of(file)), f"{self._root}/{file}"
        for _ in range(MOVES_MAX):
            try:
                os.rename(staged, place)  # noqa: PTH104 — see `_staged`
            except FileNotFoundError:
                if not os.path.lexists(staged):
                    return
                Path(place).parent.mkdir(parents=True, exist_ok=True)
            else:
                return

    def discard(self, file: str) -> None:
        """Remove the file of a former blob, and the folders that become empty."""
        for path in (self._staged(token_of(file)), f"{self._root}/{file}"):
            with suppress(FileNotFoundError, NotADirectoryError):
                Path(path).unlink()
        with suppress(OSError):  # one that is not empty, or that others have removed
            for folder in PurePosixPath(file).parents[:-2]:
                (self._root / folder).rmdir()

    def opened(self, file: str) -> int | None:
        """A descriptor for reading; None where the file is gone."""
        place = f"{self._root}/{file}"
        for path in (place, self._staged(token_of(file)), place):
            with suppress(FileNotFoundError, NotADirectoryError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return descriptor
                os.close(descriptor)
        return None

    def keep(self, file: str) -> Path | None:
        """Give a file a second name, which stays when the first one goes; None where the file is gone."""
        kept = self._root / "kept" / PurePosixPath(file).name
        kept.parent.mkdir(exist_ok=True)
        place = f"{self._root}/{file}"
        for path in (place, self._staged(token_of(file)), place):
            with suppress(FileNotFoundError, NotADirectoryError):
                with suppress(FileExistsError):  # by an earlier attempt: no two files have the same token
                    os.link(path, kept)
                if self._full:
                    flush_folder(kept.parent)
                return kept
        return None

    def path_of(self, file: str) -> Path:
        """Where a file is at the moment."""
        staged = Path(self._staged(token_of(file)))
        return staged if os.path.lexists(staged) else self._root / file

    def dead_sessions(self) -> Iterator[Session]:
        """The sessions of processes that are no more, locked. Whoever takes one ends it."""
        for path in sorted(self._staging.iterdir()):
            session = Session.taken_over(path)
            if session is not None:
                yield session

    def close(self) -> None:
        """End the session, if one was begun."""
        session, self._session = self._session, None
        if session is not None:
            session.end()

    @property
    def _begun(self) -> Session:
        if self._session is None:
            raise RuntimeError("no session was begun")
        return self._session

    def _staged(self, token: str) -> str:
        """Text, as handling a `Path` takes longer than making the file."""
        session, _, number = token.rpartition("-")
        return f"{self._staging_text}/{session}/{number}"
