"""LocalContent: a directory on disk, the embedded default. Several processes may use one at the same time.

Theory. The bytes of a blob are a file, written in staging and complete before anyone can know of it. One short
transaction on `content.db` then decides the precondition and names the file: that is the commit (`local_index`). Only
afterwards is the file moved to where people find it, and a file that it replaces removed (`local_files`); both can be
left undone, by a full disk or by a kill, and the next process that writes here does them (`local_disk`). So at any
instant a blob is all there or not at all, and a kill costs nothing that was acknowledged.

A reader takes the row, then opens the file. If it is gone, the blob was replaced or deleted in between, and the row is
read again. An open file stays readable whatever becomes of its name, so a read is pinned by the system itself.

With `sync="normal"` a loss of power may cost the last writes, since the system has not written them yet; the index
stays consistent, and digests tell what is missing. With `sync="full"` file, folder and index are flushed before the
answer.

All work is done in the store's own threads, which end with `close`. Short work is done by one thread for writing and
one for reading: more of them would pass the interpreter's lock around for longer than they work, and apart, no reader
waits for a writer. Short writes that wait are taken together: one transaction decides each of them by itself and
commits them all, and nobody is told before (`turns`, `local_disk`). Long content has threads of its own. A put whose
caller was cancelled ends by itself, the one way or the other, or has not begun.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeVar

from .content import WHOLE, Always, Blob, Blocks, Capabilities, Headers, IfMatch, Opened, Precondition, Span
from .endings import waited_out
from .errors import InvalidError
from .local_disk import Disk
from .local_errors import explaining, own_error
from .local_reading import Reading
from .local_writes import Delete, Put, Touch, Write
from .requests import (
    check_delete,
    check_discard,
    check_keep,
    check_list,
    check_open,
    check_put,
    check_stage,
    check_stat,
    check_touch,
)
from .turns import Call, Turns

THREADS: Final = 4
SHORT_BYTES: Final = 1 << 16
PAGE_ROWS: Final = 500

_P = ParamSpec("_P")
_T = TypeVar("_T")


class LocalContent:
    """The port `storage.content.ContentStore` over a directory. Constructing does no I/O.

    A relative directory is meant from the folder that this process is in at that moment.
    """

    def __init__(
        self,
        directory: Path,
        *,
        sync: Literal["normal", "full"] = "normal",
        busy_timeout_s: float = 30.0,
        threads: int = THREADS,
    ) -> None:
        self._directory = directory = directory.absolute()  # where it is now, wherever this process goes
        self._long = ThreadPoolExecutor(threads, "local-content-long")
        full = sync == "full"
        self._disk = Disk(directory, full=full, busy_timeout_s=busy_timeout_s, flushing=self._long if full else None)
        self._reader = ThreadPoolExecutor(1, "local-content-reader")
        self._writer = ThreadPoolExecutor(1, "local-content-writer")
        self._writes = Turns(self._write)
        self._closed = False

    def __repr__(self) -> str:
        return f"<LocalContent {self._directory}{' closed' if self._closed else ''}>"

    def unwrap(self) -> Path:
        """The folder of the files and of `content.db`."""
        return self._directory

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    async def create(self) -> None:
        await self._done(self._writer, "create", str(self._directory), self._disk.create)

    async def stage(self, name: str, block: str, data: bytes) -> None:
        check_stage(name, block, data)
        assembly, extent = self._disk.staged.promise(name, block, len(data))
        await self._done(self._long, "stage", name, self._disk.stage, assembly, block, extent, data)

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        check_put(name, content, when, headers)
        if isinstance(content, Blocks):
            return await self._done(self._long, "put", name, self._disk.put_blocks, name, content, when, headers)
        if len(content) <= SHORT_BYTES:
            return await self._written(Put(name, content, when, headers))
        return await self._done(self._long, "put", name, self._disk.put_bytes, name, content, when, headers)

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        check_open(name, span, when)
        reading = await self._opened(name, span, when)
        try:
            yield Opened(reading.blob, self._chunks(reading))
        finally:
            reading.close()

    async def stat(self, name: str) -> Blob:
        check_stat(name)
        return await self._done(self._reader, "stat", name, self._disk.stat, name)

    async def delete(self, name: str, *, when: Precondition) -> None:
        check_delete(name, when)
        await self._written(Delete(name, when))

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        """See `abilities.Touches`."""
        check_touch(name, when, headers)
        return await self._written(Touch(name, headers, when))

    async def keep(self, name: str, *, when: IfMatch) -> str:
        """See `abilities.Keeps`. It gets a second name in the folder `kept`, which nothing here ever removes."""
        check_keep(name, when)
        kept = await self._done(self._writer, "keep", name, self._disk.keep, name, when)
        return str(kept or "")

    async def discard(self, name: str) -> None:
        check_discard(name)
        await self._done(self._long, "discard", name, self._disk.staged.drop, name)

    async def sweep(self) -> None:
        await self._done(self._long, "sweep", "", self._disk.sweep)

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        check_list(prefix)
        after = ""
        while page := await self._done(self._reader, "list", prefix, self._disk.index.page, prefix, after, PAGE_ROWS):
            for blob in page:
                yield blob
            after = page[-1].name

    async def file_of(self, name: str) -> Path:
        """Where a blob's bytes are at the moment, for a person or a tool to look at. Raises: NotFoundError."""
        check_stat(name)
        return await self._done(self._reader, "stat", name, self._disk.file_of, name)

    async def close(self) -> None:
        """Finish what was begun, then let go of threads and files. May be called twice. Cancelled, it does so first."""
        if self._closed:
            return
        self._closed = True
        done = asyncio.wrap_future(self._writer.submit(self._let_go))  # after all that is to be written
        self._writer.shutdown(wait=False)  # takes no more work, and ends after what it has
        try:
            await waited_out(done)
        finally:
            self._writer.shutdown()

    def _let_go(self) -> None:
        """In the writing thread."""
        for threads in (self._reader, self._long):
            threads.shutdown()
        self._disk.close()

    async def _opened(self, name: str, span: Span, when: Precondition) -> Reading:
        work = self._begun(self._reader, "open", name, self._disk.open, name, span, when)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close_unused)
            raise

    async def _chunks(self, reading: Reading) -> AsyncIterator[bytes]:
        if reading.ready is not None:
            if reading.ready:
                yield reading.ready
            return
        while chunk := await self._done(self._long, "open", reading.blob.name, reading.next):
            yield chunk

    async def _written(self, write: Write) -> str:
        self._check_open(write.op, write.name)
        return await self._writes.do(self._writer, write)

    def _write(self, calls: Sequence[Call[Write, str]]) -> None:
        """In the writing thread."""
        wanted = [call for call in calls if call.wanted]
        try:
            outcomes = self._disk.write([call.request for call in wanted])
        except Exception as exc:  # noqa: BLE001 — no write has begun
            outcomes = [exc] * len(wanted)
        for call, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, str):
                call.succeed(outcome)
            else:
                call.fail(own_error(outcome, op=call.request.op, key=call.request.name))

    async def _done(
        self, threads: Executor, op: str, key: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return await asyncio.wrap_future(self._begun(threads, op, key, work, *args, **kwargs))

    def _begun(
        self, threads: Executor, op: str, key: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_T]:
        self._check_open(op, key)

        def explained() -> _T:
            with explaining(op, key):
                return work(*args, **kwargs)

        return threads.submit(explained)

    def _check_open(self, op: str, key: str) -> None:
        if self._closed:
            raise InvalidError(f"{op} {key}: the store is closed", op=op, key=key, kind="invalid.closed")


def _close_unused(work: Future[Reading]) -> None:
    """A read that was cancelled while its file was being opened."""
    if not work.cancelled() and work.exception() is None:
        work.result().close()
