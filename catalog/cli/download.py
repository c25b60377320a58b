"""Content on its way to a local file: under its final name it is whole and verified, or not there at all.

It is written under a temporary name in the same folder, made with O_EXCL; flushed to the disk when it is complete; and
given its name in one step, which fails where a file of that name appeared meanwhile, unless it may be replaced. A link
that stands there is replaced, and not followed. Whatever fails, the temporary file goes.
"""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .errors import UsageError

RESERVED: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³")]
)


def target_of(path: str, local: str | None) -> Path:
    """Where a file of the catalog goes: what was said, or in a folder, by default this one, its own name.

    Raises: UsageError for a name that is not a file's on every system.
    """
    name = path.rpartition("/")[2]
    if local is not None and not (local.endswith(("/", os.sep)) or Path(local).is_dir()):
        return Path(local)
    if name.partition(".")[0].rstrip().lower() in RESERVED or name.endswith((" ", ".")):
        raise UsageError(f"{name!r} is no file's name on every system", "say where to: blobcat get PATH LOCAL")
    return Path(local or "") / name


class Download:
    """A local file in the making: a context in which it is written, and at whose end it is there or not."""

    def __init__(self, target: Path, *, replace: bool) -> None:
        self._target = target
        self._replace = replace
        self._temporary = target.parent / f".blobcat-{secrets.token_hex(8)}.part"
        self._file = -1

    def __enter__(self) -> Self:
        if self._target.is_dir() and not self._target.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._target))
        if not self._replace and os.path.lexists(self._target):
            raise self._exists()
        try:
            self._file = os.open(
                self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
            )
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, str(self._target.parent)) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if exc is None:
                os.fsync(self._file)
            os.close(self._file)
            if exc is None:
                self._name()
        finally:
            with suppress(FileNotFoundError):
                self._temporary.unlink()
        _flush(self._target.parent)

    def write(self, chunk: bytes) -> None:
        """Add to it. Raises: OSError."""
        with memoryview(chunk) as left:
            written = 0
            while written < len(left):
                written += os.write(self._file, left[written:])

    def _name(self) -> None:
        if self._replace:
            self._temporary.replace(self._target)
            return
        try:
            os.link(self._temporary, self._target)  # other than rename, it refuses where something is
        except FileExistsError as exc:
            raise self._exists() from exc
        except OSError:  # a disk without links
            if os.path.lexists(self._target):
                raise self._exists() from None
            self._temporary.rename(self._target)

    def _exists(self) -> UsageError:
        return UsageError(f"{self._target} is there already", "--force replaces it; or name another file")


def _flush(folder: Path) -> None:
    """The new name as well, where folders can be flushed."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
