"""The files of a local tree, in the order in which a catalog lists their paths.

So the two can be compared side by side, without holding either: of a folder that is being walked, its names are held.

Links to files are read as files. Links to folders are not followed, since they may lead round in a circle; each is a
`FolderLink`, so that it can be counted. What cannot become a file of the catalog (no permission, no regular file, a
name that is no text or too long) is a `Failure`, not an error; a folder of which this is true is one, with all that is
in it. So is the second of two names that are one path in NFC: of these the one that is in NFC itself gets in, else the
lowest, on every walk the same. What catalogs are made of that are open in this process is left out (`own_files`).
"""

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from storage.own_files import is_own_entry

from .errors import CatalogError, InvalidError
from .keys import check_key_length, encode
from .paths import check_path
from .sources import unreadable
from .times import microseconds

MODIFIED_MIN_US: Final = microseconds(datetime.min.replace(tzinfo=UTC))
MODIFIED_MAX_US: Final = microseconds(datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk, and the path that it will have."""

    path: str
    source: Path
    size: int
    modified_us: int | None
    """None where the disk says a time outside the years 1 to 9999, which is damage or a joke."""


@dataclass(frozen=True, slots=True)
class FolderLink:
    """A link to a folder, which was left out."""

    path: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that did not get in, or one folder with all that is in it, and why."""

    path: str
    source: str
    error: CatalogError


Found = LocalFile | FolderLink | Failure


def walk(root: Path, prefix: str, exclude: Sequence[str] = ()) -> Iterator[Found]:
    """All files under `root` (or `root` itself, if it is a file), in order of their encoded paths. Blocks.

    `exclude` are shell patterns, matched against names and against paths below `root`.
    """
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except OSError as exc:
        yield _unreadable(root, prefix + root.name, exc)
        return
    if is_folder:
        yield from _Walk(prefix, exclude).tree(root)
    else:
        yield _local_file(root, prefix + root.name)


class _Walk:
    def __init__(self, prefix: str, exclude: Sequence[str]) -> None:
        self._prefix = prefix
        self._exclude = exclude

    def tree(self, root: Path) -> Iterator[Found]:
        """Folder after folder; a stack of our own, because folders can be nested deeper than calls."""
        stack = [self._folder(root, "")]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
            elif isinstance(found, _Folder):
                stack.append(self._folder(found.source, found.below))
            else:
                yield found

    def _folder(self, folder: Path, below: str) -> "Iterator[Found | _Folder]":
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(
                    (_Entry(entry) for entry in entries if not self._left_out(entry, below + entry.name)),
                    key=lambda entry: entry.order,
                )
        except OSError as exc:
            yield _unreadable(folder, self._prefix + below, exc)
            return
        last = ""
        for entry in ordered:
            path = self._prefix + below + entry.name
            if entry.normal == last:  # such names are neighbours here
                message = f"another name here is the same path, {path!a}, once both are in NFC"
                error = InvalidError(message, op="ingest", key=path)
                yield Failure(unicodedata.normalize("NFC", path), str(entry.source), error)
                continue
            last = entry.normal
            if entry.is_folder:
                yield _checked(path, entry.source) or _Folder(entry.source, f"{below}{entry.name}/")
            else:
                yield _linked_folder(entry.source, path) if entry.is_link else _local_file(entry.source, path)

    def _left_out(self, entry: "os.DirEntry[str]", path: str) -> bool:
        if is_own_entry(entry):
            return True
        return any(fnmatchcase(entry.name, pattern) or fnmatchcase(path, pattern) for pattern in self._exclude)


@dataclass(frozen=True, slots=True)
class _Folder:
    source: Path
    below: str


class _Entry:
    """A name in a folder. Where the disk does not say what it is, it is taken for a file, and reading it says why."""

    __slots__ = ("_at", "is_folder", "is_link", "name", "normal")

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name = entry.name
        self.normal = unicodedata.normalize("NFC", entry.name)
        self._at = entry.path
        try:
            self.is_link = entry.is_symlink()
            self.is_folder = entry.is_dir(follow_symlinks=False)
        except OSError:
            self.is_link = self.is_folder = False

    @property
    def source(self) -> Path:
        return Path(self._at)

    @property
    def order(self) -> tuple[str, bool, str]:
        """A folder sorts as what is in it does: after its name comes `!`, the lowest of all that keys are made of."""
        encoded = encode(self.normal.encode("utf-8", "replace").decode())
        return encoded + "!" * self.is_folder, self.name != self.normal, self.name


def _checked(path: str, source: Path) -> Failure | None:
    try:
        check_key_length(check_path(path))
    except InvalidError as exc:
        return Failure(path, str(source), exc)
    return None


def _linked_folder(source: Path, path: str) -> Found:
    """What a link is a link to."""
    try:
        if stat.S_ISDIR(source.stat().st_mode):
            return FolderLink(path)
    except OSError as exc:
        return _unreadable(source, path, exc)
    return _local_file(source, path)


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
    modified = found.st_mtime_ns // 1000
    known = MODIFIED_MIN_US <= modified <= MODIFIED_MAX_US
    return LocalFile(path, source, found.st_size, modified if known else None)


def _unreadable(source: Path, path: str, exc: OSError) -> Failure:
    return Failure(path, str(source), unreadable(source, exc, op="ingest", key=path))
