"""A local file in the making: under its final name it is whole and verified, or not there at all.

It is written under a temporary name in the same folder, made with O_EXCL; flushed to the disk when it is complete; and
given its name in one step, which refuses where something of that name is there, unless it may be replaced. Then the
folder is flushed as well. A process that is killed leaves at most a file `.blobcat-….part`.

Nothing is ever written outside the folder that the caller named. Each folder below it is opened from the one above it,
by a descriptor and without following a link; the file is made and named in the descriptor of its folder. So it does not
help to put a link in the way, not even between a check and its use. Where a system has no such descriptors, every
folder is looked at before it is used; that leaves a moment to those who can write there anyway.
"""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, Self

from storage.disk_errors import DISK, Meaning, meaning

from .errors import ConflictError, NotFoundError

Existing = Literal["fail", "overwrite", "skip", "newer"]
"""What becomes of a local file that is there: it is an error, replaced, left alone, or replaced by a newer one."""

BY_DESCRIPTOR: Final = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_REPARSED: Final = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)

_OWN: Final[dict[int | None, Meaning]] = {
    errno.EEXIST: (ConflictError, "conflict.target", "it is there already"),
    errno.ENOENT: (NotFoundError, "not-found.target", "there is no such folder"),
}


@contextmanager
def explaining(path: str, target: Path) -> Iterator[None]:
    """Do something with a local file; raise what its failure means, in our own tree."""
    try:
        yield
    except OSError as exc:
        error, kind, text = found = meaning(exc.errno, "target", _OWN)
        detail = f" ({exc.strerror or type(exc).__name__})" if found is DISK else ""
        raise error(f"cannot write {target}: {text}{detail}", op="download", key=path, kind=kind) from exc


class LocalFolder:
    """A folder on disk, held open. All methods block. Raises: OSError."""

    def __init__(self, path: str, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    def __repr__(self) -> str:
        return f"<LocalFolder {self._path!r}>"

    @classmethod
    def opened(cls, path: Path, *, make: bool = False, by_descriptor: bool = BY_DESCRIPTOR) -> Self:
        """The folder that the caller named; links in it are the caller's own. With `make`, made where there is none."""
        if make:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except FileExistsError as exc:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from exc
        if by_descriptor:
            return cls(str(path), os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR if path.exists() else errno.ENOENT, "", str(path))
        return cls(str(path), None)

    def again(self) -> "LocalFolder":
        """The same folder, held a second time."""
        return LocalFolder(self._path, None if self._descriptor is None else os.dup(self._descriptor))

    def below(self, name: str) -> "LocalFolder":
        """A folder in this one, made where there is none. No link is followed."""
        try:
            return self._below(name)
        except FileNotFoundError:
            with suppress(FileExistsError):  # another worker was faster
                os.mkdir(self._at(name), **self._in())  # noqa: PTH102 — in a descriptor
                self.flush()
            return self._below(name)

    def look(self, name: str) -> os.stat_result | None:
        """What is at a name, be it a link; None where nothing is."""
        try:
            return os.lstat(self._at(name), **self._in())
        except FileNotFoundError:
            return None

    def create(self, name: str) -> int:
        """A new, empty file: a descriptor for writing."""
        return os.open(self._at(name), _NEW, 0o666, **self._in())

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, and replace what has it; a link that has it is replaced, too, and not followed."""
        os.replace(self._at(name), self._at(to), **self._in("src_dir_fd", "dst_dir_fd"))  # noqa: PTH105 — in a descriptor

    def rename_new(self, name: str, to: str) -> None:
        """Give a file another name, or fail where something has it."""
        try:  # other than a rename, a link is refused where something is
            self._link(name, to)
        except FileExistsError:
            raise
        except OSError:  # a disk without links: what appears at this very moment is lost, and nowhere else
            if self.look(to) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to) from None
            self.rename(name, to)
        else:
            self.remove(name)

    def set_time(self, name: str, time_ns: int) -> None:
        """Say when the content of a file was modified."""
        os.utime(self._at(name), ns=(time_ns, time_ns), **self._in())

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), **self._in())

    def flush(self) -> None:
        """Make new names survive a loss of power, where folders can be flushed."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of it. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _below(self, name: str) -> "LocalFolder":
        path = os.path.join(self._path, name)  # noqa: PTH118 — a name, not yet checked to be one folder
        if (found := self.look(name)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if stat.S_ISLNK(found.st_mode) or getattr(found, "st_file_attributes", 0) & _REPARSED:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if self._descriptor is None:
            return LocalFolder(path, None)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return LocalFolder(path, os.open(name, flags, dir_fd=self._descriptor))

    def _link(self, name: str, to: str) -> None:
        os.link(self._at(name), self._at(to), follow_symlinks=False, **self._in("src_dir_fd", "dst_dir_fd"))

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else os.path.join(self._path, name)  # noqa: PTH118

    def _in(self, *names: str) -> dict[str, Any]:
        return {} if self._descriptor is None else dict.fromkeys(names or ("dir_fd",), self._descriptor)


class Part:
    """A file in the making. Constructing it does nothing; after `begin`, `finish` or `abandon` ends it. Blocks.

    Raises: OSError.
    """

    def __init__(
        self,
        root: Callable[[], LocalFolder],
        parts: Sequence[str],
        *,
        existing: Existing,
        time_us: int,
        modified_us: int | None,
    ) -> None:
        self._root = root
        self._folders, self._name = parts[:-1], parts[-1]
        self._existing = existing
        self._time_us = time_us
        self._modified_us = modified_us
        self._temporary = f".blobcat-{secrets.token_hex(8)}.part"
        self._replace = existing == "overwrite"
        self._folder: LocalFolder | None = None
        self._file = -1
        self._made = False

    def __repr__(self) -> str:
        return f"<Part of {self._name!r} in {self._folder!r}>"

    def begin(self) -> bool:
        """Open its folder and make the temporary file. False where what is there stays, and there is nothing to do."""
        self._folder = self._root()
        for name in self._folders:
            below = self._folder.below(name)
            self._folder.close()
            self._folder = below
        there = self._folder.look(self._name)
        if there is not None and not self._is_wanted(there):
            return False
        self._file = self._folder.create(self._temporary)
        self._made = True
        return True

    def write(self, chunk: bytes) -> None:
        """Add to it."""
        with memoryview(chunk) as left:
            written = 0
            while written < len(left):
                written += os.write(self._file, left[written:])

    def finish(self) -> None:
        """Flush it, and give it its name. Raises: FileExistsError where the name was taken meanwhile."""
        folder = self._folder
        assert folder is not None  # noqa: S101 — `begin` was called
        if self._modified_us is not None:
            folder.set_time(self._temporary, self._modified_us * 1000)
        os.fsync(self._file)
        self._shut()
        if self._replace:
            folder.rename(self._temporary, self._name)
        else:
            folder.rename_new(self._temporary, self._name)
        self._made = False
        folder.flush()
        folder.close()
        self._folder = None

    def abandon(self) -> None:
        """Leave nothing behind. May be called at any time, and twice."""
        self._shut()
        folder, self._folder = self._folder, None
        if folder is not None:
            if self._made:
                with suppress(OSError):  # what brought us here is the error to tell of
                    folder.remove(self._temporary)
            folder.close()

    @property
    def ended(self) -> bool:
        """Whether nothing of it is open."""
        return self._folder is None

    def _shut(self) -> None:
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _is_wanted(self, there: os.stat_result) -> bool:
        if stat.S_ISDIR(there.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._name)
        if self._existing == "overwrite":
            return True
        if self._existing == "fail" or not stat.S_ISREG(there.st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._name)
        self._replace = self._existing == "newer"
        return self._existing == "newer" and self._time_us > there.st_mtime_ns // 1000
