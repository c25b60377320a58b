"""Content as callers have it: bytes, a path, a file object, or something that yields bytes.

A `str` is never a file's name. A file must not change while it is read: its size and time are compared before and
after. Files and file objects are read in threads; an iterable is read where the caller's code runs, on the event loop.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import IO

from .errors import InvalidError, NotFoundError
from .threads import in_thread

Content = bytes | os.PathLike[str] | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]


def check_content(content: Content) -> Content:
    """Raises: InvalidError for what cannot be content."""
    match content:
        case str():
            raise InvalidError("content is a str: pass bytes, or a pathlib.Path to name a file", op="put")
        case bytes() | bytearray() | memoryview() | os.PathLike() | Iterable() | AsyncIterable():
            return content
    if callable(getattr(content, "read", None)):
        return content
    message = f"content is bytes, a path, a file object, or yields bytes; it is {type(content).__name__}"
    raise InvalidError(message, op="put")


def is_replayable(content: Content) -> bool:
    """Whether the content can be read a second time, from its beginning."""
    return isinstance(content, bytes | bytearray | memoryview | os.PathLike | list | tuple)


async def pieces(content: Content, size: int, threads: Executor) -> AsyncGenerator[bytes, None]:
    """The content in pieces of `size` bytes, the last one shorter; none where it is empty."""
    gathered = bytearray()
    async with aclosing(_chunks(content, size, threads)) as chunks:
        async for chunk in chunks:
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise InvalidError(f"content yields bytes, not {type(chunk).__name__}", op="put")
            if not gathered and len(chunk) == size:
                yield bytes(chunk)
                continue
            gathered += chunk
            while len(gathered) >= size:
                with memoryview(gathered) as view:
                    piece = bytes(view[:size])
                del gathered[:size]
                yield piece
    if gathered:
        yield bytes(gathered)


async def _chunks(content: Content, size: int, threads: Executor) -> AsyncGenerator[bytes, None]:
    if isinstance(content, bytes | bytearray | memoryview):
        with memoryview(content).cast("B") as view:
            for start in range(0, len(view), size):
                yield bytes(view[start : start + size])
    elif isinstance(content, os.PathLike):
        async with aclosing(_file_chunks(Path(content), size, threads)) as chunks:
            async for chunk in chunks:
                yield chunk
    elif callable(read := getattr(content, "read", None)):
        while chunk := await in_thread(threads, read, size):
            yield chunk
    elif isinstance(content, AsyncIterable):
        async for chunk in content:
            yield chunk
    else:
        for chunk in content:
            yield chunk


async def _file_chunks(path: Path, size: int, threads: Executor) -> AsyncGenerator[bytes, None]:
    file = await _opened_in_thread(path, threads)
    try:
        before = os.fstat(file.fileno())
        seen = 0
        while chunk := await in_thread(threads, _read, path, file, size):
            seen += len(chunk)
            yield chunk
        _check_unchanged(path, before, os.fstat(file.fileno()), seen)
    finally:
        file.close()


async def _opened_in_thread(path: Path, threads: Executor) -> IO[bytes]:
    """An open file; where nobody waits for it any more, it is closed as soon as it is open."""
    opening = asyncio.ensure_future(in_thread(threads, _opened, path))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: "asyncio.Future[IO[bytes]]") -> None:
    if not opening.cancelled() and not opening.exception():
        opening.result().close()


def file_chunks(path: Path, size: int = 1 << 20) -> Iterator[bytes]:
    """A whole file, in chunks. Blocks. Raises: NotFoundError, InvalidError (not readable, changed meanwhile)."""
    with _opened(path) as file:
        before, seen = os.fstat(file.fileno()), 0
        while chunk := _read(path, file, size):
            seen += len(chunk)
            yield chunk
        _check_unchanged(path, before, os.fstat(file.fileno()), seen)


def read_file(path: Path) -> bytes:
    """A whole small file. Blocks. Raises: as `file_chunks`."""
    return b"".join(file_chunks(path, 1 << 24))


def _opened(path: Path) -> IO[bytes]:
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
    except FileNotFoundError as exc:
        raise NotFoundError(f"there is no file {path}", op="read", key=str(path), kind="not-found.source") from exc
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise InvalidError(f"cannot read {path}: {reason}", op="read", key=str(path), kind="invalid.source") from exc


def _check_unchanged(path: Path, before: os.stat_result, after: os.stat_result, seen: int) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
        seen != before.st_size and os.path.isfile(path)  # noqa: PTH113 — pipes and devices have no size to compare
    ):
        message = f"{path} changed while it was read; nothing of it was written"
        raise InvalidError(message, op="read", key=str(path), kind="invalid.source-changed")
