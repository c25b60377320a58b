"""The files of a local tree, in the order in which a catalog lists their paths.

So the two can be compared side by side, without holding either.

Links to files are read as files; links to folders are not followed. What cannot become a file of the catalog (no
permission, no regular file, a name that is no text, two names that are one path) is a `Failure`, not an error.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .errors import CatalogError, InvalidError, NotFoundError
from .keys import check_key_length, encode
from .paths import check_path


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk, and the path that it will have."""

    path: str
    source: Path
    size: int
    modified_us: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that did not get in, and why."""

    path: str
    source: str
    error: CatalogError


def walk(root: Path, prefix: str, exclude: Sequence[str] = ()) -> Iterator[LocalFile | Failure]:
    """All files under `root` (or `root` itself, if it is a file), in order of their encoded paths. Blocks.

    `exclude` are shell patterns, matched against names and against paths below `root`.
    """
    if root.is_dir():
        yield from _Walk(prefix, exclude).folder(root, "")
    else:
        yield _local_file(root, prefix + root.name)


class _Walk:
    def __init__(self, prefix: str, exclude: Sequence[str]) -> None:
        self._prefix = prefix
        self._exclude = exclude
        self._last = ""

    def folder(self, folder: Path, below: str) -> Iterator[LocalFile | Failure]:
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(
                    (entry for entry in entries if not self._excluded(entry.name, below + entry.name)), key=_order
                )
        except OSError as exc:
            yield _unreadable(folder, self._prefix + below, exc)
            return
        for entry in ordered:
            if entry.is_dir(follow_symlinks=False):
                yield from self.folder(Path(entry.path), f"{below}{entry.name}/")
            elif not (entry.is_symlink() and entry.is_dir()):
                yield self._once(_local_file(Path(entry.path), self._prefix + below + entry.name))

    def _excluded(self, name: str, path: str) -> bool:
        return any(fnmatchcase(name, pattern) or fnmatchcase(path, pattern) for pattern in self._exclude)

    def _once(self, found: LocalFile | Failure) -> LocalFile | Failure:
        """Two names on disk may be one path in NFC; they are neighbours here."""
        if isinstance(found, LocalFile):
            if found.path == self._last:
                message = f"another file here has the same path, {found.path!a}, once both are in NFC"
                return Failure(found.path, str(found.source), InvalidError(message, op="ingest", key=found.path))
            self._last = found.path
        return found


def _order(entry: os.DirEntry[str]) -> str:
    """A folder sorts as what is in it does: after its name comes `!`, the lowest of all that keys are made of."""
    try:
        encoded = encode(check_path(entry.name))
    except InvalidError:
        encoded = encode(entry.name.encode("utf-8", "replace").decode())
    return encoded + "!" if entry.is_dir(follow_symlinks=False) else encoded


def _local_file(source: Path, path: str) -> LocalFile | Failure:
    try:
        path = check_path(path)
        check_key_length(path)
    except InvalidError as exc:
        return Failure(path, str(source), exc)
    try:
        found = source.stat()
    except OSError as exc:
        return _unreadable(source, path, exc)
    if not stat.S_ISREG(found.st_mode):
        message = f"{source} is no regular file"
        return Failure(path, str(source), InvalidError(message, op="ingest", key=path, kind="invalid.source"))
    return LocalFile(path, source, found.st_size, found.st_mtime_ns // 1000)


def _unreadable(source: Path, path: str, exc: OSError) -> Failure:
    reason = exc.strerror or type(exc).__name__
    kind = NotFoundError if isinstance(exc, FileNotFoundError) else InvalidError
    return Failure(path, str(source), kind(f"cannot read {source}: {reason}", op="ingest", key=path))
