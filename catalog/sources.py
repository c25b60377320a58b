"""Content as callers have it: bytes, a path, a file object, or something that yields bytes.

A `str` is never a file's name. A file must not change while it is read: its size and time are compared before and
after. Files, file objects and iterables are read in threads, since they may take their time (`feed`); what yields bytes
asynchronously is read on the event loop.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from storage.disk_errors import DISK, meaning
from storage.own_files import is_own

from .errors import CatalogError, InvalidError, NotFoundError
from .feed import Feed, cancelled_itself
from .threads import in_thread

READ_BYTES: Final = 1 << 20  # at a time, of what is not known to be a regular file

Content = bytes | os.PathLike[str] | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]

Known = bytes | bytearray | memoryview | os.PathLike[str]
"""Content that is there already, of a size that can be told; as long as a path is that of a regular file."""


def check_content(content: Content) -> Content:
    """Raises: InvalidError for what cannot be content."""
    match content:
        case str():
            raise InvalidError("content is a str: pass bytes, or a pathlib.Path to name a file", op="put")
        case memoryview() if not content.c_contiguous:
            raise InvalidError("content is a memoryview with gaps: pass bytes(view)", op="put")
        case bytes() | bytearray() | memoryview() | os.PathLike() | Iterable() | AsyncIterable():
            return content
    if callable(getattr(content, "read", None)):
        return content
    message = f"content is bytes, a path, a file object, or yields bytes; it is {type(content).__name__}"
    raise InvalidError(message, op="put")


def is_replayable(content: Content) -> bool:
    """Whether the content can be read a second time, from its beginning."""
    return isinstance(content, bytes | bytearray | memoryview | os.PathLike | list | tuple)


async def pieces(
    content: Content, size: int, threads: Executor, *, first: int | None = None
) -> AsyncGenerator[bytes, None]:
    """The content in pieces of `size` bytes, the first one of `first`, the last one shorter; none where it is empty."""
    gathered = BytesIO()
    wanted = size if first is None else first

    def missing() -> int:
        """Of the piece, as it is then."""
        return wanted - gathered.tell()

    async with aclosing(_chunks(content, min(size, READ_BYTES), threads, missing)) as chunks:
        async for chunk in chunks:
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise InvalidError(f"content yields bytes, not {type(chunk).__name__}", op="put")
            data, at = bytes(chunk), 0  # the same, where it is bytes
            while len(data) - at >= (end := missing()):
                if end == len(data) and not gathered.tell():
                    yield data
                else:
                    gathered.write(memoryview(data)[at : at + end])
                    yield _emptied(gathered)
                at, wanted = at + end, size
            gathered.write(memoryview(data)[at:])
    if gathered.tell():
        yield _emptied(gathered)


def _emptied(gathered: BytesIO) -> bytes:
    """What it held. It is not copied: the buffer itself is given away."""
    held = gathered.getvalue()
    gathered.seek(0)
    gathered.truncate()
    return held


def pieces_of_known(content: Known, size: int, threads: Executor) -> AsyncGenerator[bytes, None]:
    """As `pieces`, of bytes and regular files. Nothing but the caller holds a piece once it was given out."""
    if isinstance(content, os.PathLike):
        return _file_chunks(Path(content), size, threads)
    return _slices(content, size)


async def _slices(content: bytes | bytearray | memoryview, size: int) -> AsyncGenerator[bytes, None]:
    with memoryview(content).cast("B") as view:
        for start in range(0, len(view), size):
            yield bytes(view[start : start + size])


def _chunks(content: Content, size: int, threads: Executor, missing: Callable[[], int]) -> AsyncGenerator[bytes, None]:
    if isinstance(content, bytes | bytearray | memoryview | os.PathLike):
        return pieces_of_known(content, size, threads)
    if isinstance(content, AsyncIterable):  # also where it has a `read`, which is asynchronous then
        return _as_it_comes(content)
    return Feed(content, threads, read_bytes=size).chunks(missing)


async def _as_it_comes(content: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in content:
            yield chunk
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise cancelled_itself() from exc  # of somebody else's task, for which it waited


async def _file_chunks(path: Path, size: int, threads: Executor) -> AsyncGenerator[bytes, None]:
    file = await _opened_in_thread(path, threads)
    try:
        before = os.fstat(file.fileno())
        seen = 0
        while (chunk := [await in_thread(threads, _read, path, file, size)])[0]:
            seen += len(chunk[0])
            yield chunk.pop()  # and keep no hold of it
        _check_unchanged(path, before, os.fstat(file.fileno()), seen)
    finally:
        file.close()


async def _opened_in_thread(path: Path, threads: Executor) -> IO[bytes]:
    """An open file; where nobody waits for it any more, it is closed as soon as it is open."""
    opening = asyncio.get_running_loop().run_in_executor(threads, _opened, path)  # a future: no task is left behind
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: "asyncio.Future[IO[bytes]]") -> None:
    if not opening.cancelled() and not opening.exception():
        opening.result().close()


def file_chunks(path: Path, size: int = 1 << 20) -> Iterator[bytes]:
    """A whole file, in chunks. Blocks.

    Raises: NotFoundError, AccessDeniedError, InvalidError (not readable, changed meanwhile), UnavailableError (too many
    open files).
    """
    with _opened(path) as file:
        before, seen = os.fstat(file.fileno()), 0
        while chunk := _read(path, file, size):
            seen += len(chunk)
            yield chunk
        _check_unchanged(path, before, os.fstat(file.fileno()), seen)


def read_file(path: Path, bytes_max: int) -> bytes | int:
    """A whole small file; how large it is, unread, where that is more than `bytes_max`. Blocks.

    It asks for one byte more than there should be, not for many: what is asked for is allocated.
    Raises: as `file_chunks`.
    """
    _check_not_own(path)
    with _readable(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_BINARY", 0))
    try:
        with _readable(path):
            before = os.fstat(descriptor)
            if before.st_size > bytes_max:
                return before.st_size
            data = os.read(descriptor, before.st_size + 1)
            while data and len(data) < before.st_size and (more := os.read(descriptor, before.st_size + 1 - len(data))):
                data += more
            after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    _check_unchanged(path, before, after, len(data))
    return data


def unreadable(path: Path, exc: OSError, *, op: str, key: str) -> CatalogError:
    """Why a local file cannot be read. Not raised, and without a cause.

    A disk that fails is no `UnavailableError` here: that would be asked again, and so would all files of a broken disk.
    """
    if isinstance(exc, FileNotFoundError):
        return NotFoundError(f"there is no file {path}", op=op, key=key, kind="not-found.source")
    error, kind, text = found = meaning(exc.errno, "source")
    if found is DISK:
        error, kind, text = InvalidError, "invalid.source", exc.strerror or type(exc).__name__
    return error(f"cannot read {path}: {text}", op=op, key=key, kind=kind)


def _opened(path: Path) -> IO[bytes]:
    _check_not_own(path)
    with _readable(path):
        return path.open("rb", buffering=0)


def _read(path: Path, file: IO[bytes], size: int) -> bytes:
    with _readable(path):
        return file.read(size)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one line what the operating system says."""
    try:
        yield
    except OSError as exc:
        raise unreadable(path, exc, op="read", key=str(path)) from exc


def _check_not_own(path: Path) -> None:
    """Before it is opened: to close it would be too much already."""
    if is_own(path):
        message = f"{path} belongs to a catalog that is open here: reading it would take SQLite's locks away"
        raise InvalidError(message, op="read", key=str(path), kind="invalid.own-file")


def _check_unchanged(path: Path, before: os.stat_result, after: os.stat_result, seen: int) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
        seen != before.st_size and os.path.isfile(path)  # noqa: PTH113 — pipes and devices have no size to compare
    ):
        message = f"{path} changed while it was read; nothing of it was written"
        raise InvalidError(message, op="read", key=str(path), kind="invalid.source-changed")
