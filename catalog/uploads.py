"""Content on its way to the store, in bounded memory.

Small content is read and hashed as a whole, and is one conditional put. Larger content is staged in blocks *before*
the intent of its op is written, under the op's own blob name; nobody can see a staged block, and the put that makes a
blob of them is as small and as atomic as the other. So an intent lives for a few requests, however long uploads take.

A `Payload` is content that is ready to be put for one op. Memory is a budget of bytes that all uploads share; a payload
holds its part of it until its op is over, because an op that was aborted by others starts over with the same content.
Who needs memory and a place among the transfers asks for memory first: the other order deadlocks.
"""

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from storage import Blocks, ContentStore, Digester, Digests, Headers, IfAbsent
from storage.names import BLOCKS_MAX

from .changes import (
    Facts,
)
from .errors import TooLargeError, UnavailableError
from .flow import first_of
from .retry import Clock, Deadline
from .settings import Settings
from .sources import Content, is_replayable, pieces, read_file
from .threads import hashed, in_thread

STAGED_AHEAD: Final = 3  # blocks of one content on their way at the same time


class Budget:
    """So many bytes of memory, shared by all who hold content. First come, first served."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    def __repr__(self) -> str:
        return f"<Budget: {self._free:,} of {self._size:,} bytes free>"

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait for so many bytes, or for all there are; give them back at the end."""
        size = min(size, self._size)
        await self._take(size)
        try:
            yield
        finally:
            self._free += size
            self._serve()

    async def _take(self, size: int) -> None:
        place = (size, asyncio.get_running_loop().create_future())
        self._queue.append(place)
        self._serve()
        try:
            await place[1]
        except asyncio.CancelledError:
            if place in self._queue:
                self._queue.remove(place)
            elif not place[1].cancelled():
                self._free += size
            self._serve()
            raise

    def _serve(self) -> None:
        while self._queue and (self._queue[0][0] <= self._free or self._queue[0][1].done()):
            size, turn = self._queue.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


class Payload(Protocol):
    """Content that is ready to be put, for one op."""

    @property
    def facts(self) -> Facts | None:
        """What the content is; None before it was read."""

    @property
    def bound(self) -> bool:
        """Whether it was staged for one op, and is of no use to another."""

    async def put(self, blob: str, headers: Headers, deadline: Deadline) -> str:
        """Make the blob of it, If-None-Match: *, in one request; return its etag. Raises as `ContentStore.put`."""


def facts_of(digests: Digests) -> Facts:
    """Digests as the catalog writes them."""
    return Facts(digests.size, digests.digest, digests.md5.hex())


@dataclass(slots=True)
class Ready:
    """Bytes in memory, or blocks that were staged."""

    uploads: "Uploads"
    content: bytes | Blocks
    facts: Facts

    @property
    def bound(self) -> bool:
        """See Payload."""
        return isinstance(self.content, Blocks)

    async def put(self, blob: str, headers: Headers, deadline: Deadline) -> str:
        """See Payload."""
        headers, store = with_facts(headers, self.facts), self.uploads.store
        with deadline.stopped():
            await self.uploads.slots.acquire()
        try:
            return await deadline.write(lambda: store.put(blob, self.content, when=IfAbsent(), headers=headers))
        finally:
            self.uploads.slots.release()


@dataclass(slots=True)
class SmallFile:
    """A file that is read only when it is its turn: thousands of these wait, and hold no content."""

    uploads: "Uploads"
    path: Path
    size: int
    facts: Facts | None = field(default=None)
    bound: bool = field(default=False, init=False)

    async def put(self, blob: str, headers: Headers, deadline: Deadline) -> str:
        """See Payload."""
        async with AsyncExitStack() as memory:
            with deadline.stopped():
                await memory.enter_async_context(self.uploads.budget.hold(self.size))
                data, digests = await in_thread(self.uploads.threads, _read_and_hash, self.path)
            self.facts = facts_of(digests)
            return await Ready(self.uploads, data, self.facts).put(blob, headers, deadline)


def _read_and_hash(path: Path) -> tuple[bytes, Digests]:
    data = read_file(path)
    return data, Digests.of(data)


def with_facts(headers: Headers, facts: Facts) -> Headers:
    """The headers of a blob, completed by what its content is."""
    facts_text = {"sha256": facts.digest.removeprefix("sha256:"), "md5": facts.md5, "size": str(facts.size)}
    return Headers(headers.content_type, bytes.fromhex(facts.md5), {**headers.metadata, **facts_text})


class Uploads:
    """Prepares content for ops, within the limits that all uploads of a catalog share."""

    def __init__(self, store: ContentStore, threads: Executor, settings: Settings, clock: Clock) -> None:
        self.store = store
        self.threads = threads
        self._settings = settings
        self._clock = clock
        self.budget = Budget(settings.buffer_bytes)
        self.slots = asyncio.Semaphore(settings.transfers_max)

    def __repr__(self) -> str:
        return f"<Uploads to {self.store!r}>"

    @asynccontextmanager
    async def prepare(self, content: Content, blob: str) -> AsyncIterator[Ready]:
        """Read content; what is small is held, what is larger is staged for this blob.

        Raises: InvalidError (not readable as bytes, or changed while it was read), TooLargeError, UnavailableError.
        """
        if isinstance(content, bytes) and len(content) <= self._settings.one_shot_bytes:  # the caller holds it anyway
            yield Ready(self, content, facts_of(await hashed(self.threads, Digests.of, content)))
            return
        size = _known_size(content)
        if size is not None and size <= self._settings.one_shot_bytes and isinstance(content, os.PathLike):
            async with self.budget.hold(size):
                data, digests = await in_thread(self.threads, _read_and_hash, Path(content))
                yield Ready(self, data, facts_of(digests))
                return
        async with self._streamed(content, blob, size) as ready:
            yield ready

    async def staged(self, path: Path, blob: str) -> Ready:
        """Stage a file for this blob, whatever its size. Raises: as `prepare`."""
        block = max(self._settings.block_bytes, -(-(_known_size(path) or 0) // BLOCKS_MAX))
        window = self.budget.hold((STAGED_AHEAD + 1) * block)
        async with window, aclosing(pieces(path, block, self.threads)) as parts:
            return await self._staged(parts, blob)

    @asynccontextmanager
    async def _streamed(self, content: Content, blob: str, size: int | None) -> AsyncIterator[Ready]:
        """Read ahead until it is known whether the content is small."""
        block = max(self._settings.block_bytes, -(-(size or 0) // BLOCKS_MAX))
        ahead_bytes = max(self._settings.one_shot_bytes + block, (STAGED_AHEAD + 1) * block)
        async with self.budget.hold(ahead_bytes), aclosing(pieces(content, block, self.threads)) as parts:
            ahead, held = [], 0
            async for piece in parts:
                ahead.append(piece)
                held += len(piece)
                if held > self._settings.one_shot_bytes:
                    break
            else:
                data = b"".join(ahead)
                ahead.clear()
                yield Ready(self, data, facts_of(await hashed(self.threads, Digests.of, data)))
                return
            ready = await self._staged(_chained(ahead, parts), blob)
        yield ready

    async def _staged(self, parts: AsyncIterator[bytes], blob: str) -> Ready:
        digester = Digester()
        ids: list[str] = []
        window = asyncio.Semaphore(STAGED_AHEAD)
        try:
            async with asyncio.TaskGroup() as tasks:
                async for part in parts:
                    if len(ids) == BLOCKS_MAX:
                        message = f"content is longer than {BLOCKS_MAX:,} blocks: raise Settings.block_bytes"
                        raise TooLargeError(message, op="put", key=blob)
                    await in_thread(self.threads, digester.update, part)
                    ids.append(f"{len(ids):06d}")
                    await window.acquire()
                    tasks.create_task(self._stage(blob, ids[-1], part, window))
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        return Ready(self, Blocks(tuple(ids)), facts_of(digester.digests()))

    async def _stage(self, blob: str, block: str, part: bytes, window: asyncio.Semaphore) -> None:
        try:
            async with self.slots:
                deadline = Deadline(self._clock, self._settings)
                await deadline.retried(lambda: self.store.stage(blob, block, part))
        finally:
            window.release()


def must_replay(content: Content) -> None:
    """Raises: UnavailableError for content that was read and cannot be read again."""
    if not is_replayable(content):
        message = "the write was aborted by someone else, and its content is a stream that cannot be read again"
        raise UnavailableError(message, op="put", kind="unavailable.stream-consumed")


def _known_size(content: Content) -> int | None:
    if isinstance(content, bytes | bytearray | memoryview):
        return memoryview(content).nbytes
    if not isinstance(content, os.PathLike):
        return None
    try:
        found = Path(content).stat()
    except OSError:
        return None  # opening it will say why
    return found.st_size if stat.S_ISREG(found.st_mode) else None  # a pipe has no size


async def _chained(ahead: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while ahead:
        yield ahead.pop(0)
    async for piece in rest:
        yield piece
