"""Reading content: streamed, picked up again where a connection broke, and verified at the end.

A whole content is verified: at its end its digest is the catalog's, or an error is raised instead of the last chunk
(S4). A range is pinned to the blob that the catalog means, and not verified; `Reader.verified` says which. Content that
is not there was purged, or is damage: the version's row tells, read once more. What is open when its catalog is closed
is closed with it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import Protocol, Self

from storage import Always, ContentStore, Digests, IfMatch, Opened, Span
from storage.errors import another

from .arguments import check_whole, is_whole
from .digesting import Digesting
from .entities import FileVersion
from .errors import CatalogError, ConflictError, IntegrityError, InvalidError, NotFoundError, UnavailableError
from .paths import RESERVED
from .pulse import Pulse
from .retry import Clock, Deadline
from .settings import Settings


class Closable(Protocol):
    """What a catalog closes when it is closed."""

    async def close(self) -> None:
        """End what is under way; from now on every use is an error. May be called twice."""


class Pin:
    """The one etag that all requests of a reader are answered from: the first one's."""

    def __init__(self) -> None:
        self.etag = ""

    def hold(self, etag: str) -> None:
        """Raises: ConflictError for another one."""
        self.etag = self.etag or etag
        if etag != self.etag:
            raise ConflictError("it was changed while it was read", expected=self.etag, found=etag, op="read")


class Reader:
    """A file that is being read: iterate over it for chunks, or `read()` it. Once, from its beginning, by one task.

    A read that was broken off, by an error or a cancellation, may have lost bytes: so every later one is an error.
    """

    def __init__(self, file: FileVersion, chunks: AsyncIterator[bytes], *, whole: bool) -> None:
        self.file = file
        self._chunks = chunks
        self._whole = whole
        self._ended = False
        self._rest = b""
        self._reading = False
        self._broken: CatalogError | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Reader of {self.file.path!r} version {self.file.version}, verified={self.verified}>"

    @property
    def verified(self) -> bool:
        """Whether all of the content was read, and its digest is the catalog's. Never true of a range.

        Of adopted content whose sha256 nobody knows yet, the MD5 is the digest; where there is none, this is not true.
        """
        return self._whole and self._ended and is_verifiable(self.file)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next chunk. Raises: IntegrityError in place of the last one where the content is not what was written."""
        if self._closed:
            raise closed(self.file)
        if self._reading:
            raise self._invalid("another read is under way: one reader per task", "invalid")
        if self._broken is not None:
            raise another(self._broken)
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        self._reading = True
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._ended = True
            raise
        except CatalogError as exc:
            self._broken = another(exc)
            raise
        except BaseException:
            self._broken = self._invalid("a read was broken off: open it anew", "invalid.broken")
            raise
        finally:
            self._reading = False

    async def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all that is left where `size` is negative, or None.

        Raises: InvalidError (closed, or no size), IntegrityError, UnavailableError.
        """
        size = check_size(size)
        parts, left = [], size
        while size < 0 or left > 0:
            chunk = await anext(self, b"")
            if not chunk:
                break
            if size >= 0 and len(chunk) > left:
                chunk, self._rest = chunk[:left], chunk[left:]
            parts.append(chunk)
            left -= len(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        """Every use from now on is an error. The `async with` block does it."""
        self._closed = True

    def _invalid(self, message: str, kind: str) -> InvalidError:
        return InvalidError(f"{message} ({self.file.path!r})", op="read", key=self.file.path, kind=kind)


IsPurged = Callable[[FileVersion], Awaitable[bool]]
"""Reads a version's row, to see whether its content is purged, or about to be. Raises: UnavailableError."""
Learn = Callable[[FileVersion, str], Awaitable[None]]
"""Notes the digest of a version that has none. It need not succeed, and raises nothing."""


class Readers:
    """Opens the content of file versions."""

    def __init__(self, store: ContentStore, threads: Executor, settings: Settings, clock: Clock) -> None:
        self.threads = threads
        self._store = store
        self._settings = settings
        self._clock = clock
        self._open: set[Closable] = set()
        self._is_purged: IsPurged | None = None
        self._learn: Learn | None = None

    def asking(self, is_purged: IsPurged, learn: Learn) -> Self:
        """It, for the versions of one volume: who asks their rows, and who notes what was learned of them."""
        asking = copy(self)
        asking._is_purged, asking._learn = is_purged, learn  # noqa: SLF001 — it is one of our own
        return asking

    def within(self, timeout_s: float | None) -> Self:
        """It, for calls with a time limit of their own."""
        if timeout_s is None:
            return self
        limited = copy(self)
        limited._settings = replace(self._settings, timeout_s=timeout_s)  # noqa: SLF001 — it is one of our own
        return limited

    def pulse(self) -> Pulse:
        """The pulse of a run over many files that begins now."""
        return Pulse(self._clock, self._settings.timeout_s)

    @asynccontextmanager
    async def held(self, reader: Closable) -> AsyncIterator[None]:
        """Close a reader when its block ends, or the catalog."""
        self._open.add(reader)
        try:
            yield
        finally:
            self._open.discard(reader)
            await reader.close()

    async def close(self) -> None:
        """Close all that is still open, whatever becomes of one of them."""
        async with AsyncExitStack() as closing:
            for reader in self._open:
                closing.push_async_callback(reader.close)

    @asynccontextmanager
    async def open(self, file: FileVersion, span: Span) -> AsyncIterator[Reader]:
        """Read a version's content, or a span of it. Raises: NotFoundError for a version that is a delete."""
        check_readable(file)
        whole = span.start == 0 and span.length is None
        async with aclosing(self._stream(file, span)) as stream, aclosing(self._verified(file, stream)) as verified:
            reader = Reader(file, verified if whole else stream, whole=whole)
            async with self.held(reader):
                yield reader

    async def fetch(self, file: FileVersion, span: Span, pin: Pin) -> bytes:
        """All bytes of a span that lies within the content, not verified, from the pinned blob."""
        async with aclosing(self._stream(file, span, pin)) as stream:
            content = b"".join([chunk async for chunk in stream])
        if len(content) != span.length:
            raise damaged(file, "it is shorter", "integrity.size")
        return content

    async def _verified(self, file: FileVersion, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The chunks, each given out when the next one is there: so the last one is given out verified.

        They are digested while the next ones arrive, and only as far behind as `Digesting` lets them be.
        """
        digesting = Digesting(self.threads, md5=not file.digest)
        held: bytes | None = None
        async for chunk in chunks:
            await digesting.take(chunk)
            if held is not None:
                yield held
            held = chunk
        found = await digesting.digests()
        check_digests(file, found)
        if held is not None:
            yield held
        if not file.digest:
            await self.learn(file, found)

    async def learn(self, file: FileVersion, found: Digests) -> None:
        """Note what adopted content is, now that all of it was read. Raises nothing: who reads it next learns it."""
        if self._learn:
            await self._learn(file, found.digest)

    async def _stream(self, file: FileVersion, span: Span, pin: Pin | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of a span, over as many connections as it takes, all of one blob's one etag."""
        start, pin = span.start, pin or Pin()
        end = file.size if span.length is None else min(file.size, span.start + span.length)
        deadline, empty = self._deadline(), 0
        while True:
            left, before = None if span.length is None else max(0, end - start), start
            when = IfMatch(pin.etag) if pin.etag else Always()
            try:
                async with AsyncExitStack() as stack:
                    source = self._store.open(file.blob, span=Span(start, left), when=when)
                    opened = await deadline.read(lambda: stack.enter_async_context(source))  # noqa: B023 — awaited at once
                    _check_identity(file, opened)
                    pin.hold(opened.blob.etag)
                    while chunk := await deadline.read(lambda: anext(opened.chunks, b"")):  # noqa: B023
                        start += len(chunk)
                        yield chunk
                        deadline = self._deadline()  # not before: whoever reads may take his time
                if not left or start >= end:  # of a whole content the digest tells
                    return
                empty += start == before
                if empty > 1:  # it was cut short, and what is left is asked for, unless there is no more
                    raise damaged(file, f"it ends after {start:,} bytes", "integrity.size")
            except UnavailableError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
            except NotFoundError as exc:
                raise await self._missing(file) from exc
            except IntegrityError as exc:
                raise damaged(file, exc.message, exc.kind) from exc
            except ConflictError as exc:
                raise damaged(file, "it was changed while it was read", "integrity.changed") from exc

    async def _missing(self, file: FileVersion) -> CatalogError:
        if self._is_purged and await self._is_purged(file):
            return was_purged(file, "read")
        if is_adopted(file):
            return damaged(file, f"others removed blob {file.blob!r} since it was adopted", "integrity.missing")
        return damaged(file, "it is missing", "integrity.missing")

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._settings)


def was_purged(file: FileVersion, op: str) -> NotFoundError:
    """What is said to whoever wants the content of such a version."""
    message = f"the content of version {file.version} of {file.path!r} was purged"
    return NotFoundError(message, op=op, key=file.path, kind="not-found.purged")


def check_span(start: int, length: int | None) -> Span:
    """The bytes of a content that are wanted. Raises: InvalidError."""
    for name, value in (("start", start), ("length", 0 if length is None else length)):
        check_whole("read", name, value, kind="invalid.span")
    return Span(start, length)


def check_size(size: int | None) -> int:
    """How much is to be read, as the io module has it: negative is all that is left. Raises: InvalidError."""
    if size is None:
        return -1
    if not is_whole(size):
        message = f"size is a whole number of bytes, or None for all that is left, not {size!r}"
        raise InvalidError(message, op="read", kind="invalid.size")
    return size


def check_digests(file: FileVersion, found: Digests) -> None:
    """Raises: IntegrityError where content is not what the catalog knows of it."""
    same = found.digest == file.digest if file.digest else file.md5 in (None, found.md5.hex())
    if not same or found.size != file.size:
        known = file.digest or (f"md5:{file.md5}" if file.md5 else "no digest")
        told = found.digest if file.digest else f"md5:{found.md5.hex()}"
        raise damaged(file, f"it has {found.size:,} bytes, {told}; written were {file.size:,}, {known}")


def is_verifiable(file: FileVersion) -> bool:
    """Whether the catalog knows a digest of the content: of adopted content it may be that nobody knows any."""
    return bool(file.digest or file.md5)


def is_adopted(file: FileVersion) -> bool:
    """Whether the content is a blob of others: what we wrote is all in one folder of the volume's root."""
    return f"/{RESERVED}/" not in f"/{file.blob}"


def _check_identity(file: FileVersion, opened: Opened) -> None:
    """A blob whose etag moved may have been touched by others; it must still say that it is this content.

    A blob that was adopted says nothing of the kind, so its etag alone tells.
    """
    there = opened.blob.etag
    if there == file.blob_etag:
        return
    if is_adopted(file):
        message = f"others changed blob {file.blob!r} since it was adopted: its etag is {there}, not {file.blob_etag}"
        raise IntegrityError(message, kind="integrity.drift")
    found = opened.blob.headers.metadata.get("sha256", "")
    if f"sha256:{found}" != file.digest or opened.blob.size != file.size:
        raise IntegrityError("another blob is in its place", kind="integrity.foreign")


def check_readable(file: FileVersion) -> None:
    """Raises: NotFoundError for a version that is a delete."""
    if file.kind == "delete":
        message = f"version {file.version} of {file.path!r} is a delete: it has no content"
        raise NotFoundError(message, op="read", key=file.path, kind="not-found.deleted")


def closed(file: FileVersion) -> CatalogError:
    """What every use of a closed reader raises."""
    message = f"the reader of {file.path!r} is closed: its `async with` block, or its catalog's, has ended"
    return InvalidError(message, op="read", key=file.path, kind="invalid.closed")


def damaged(file: FileVersion, what: str, kind: str = "integrity.digest") -> CatalogError:
    """What reading raises in place of bytes that are not what was written."""
    message = f"content of {file.path!r} version {file.version} is not what was written: {what}"
    return IntegrityError(message, op="read", key=file.path, kind=kind)
