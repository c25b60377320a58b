"""Content on its way to the store, in bounded memory.

Small content is read and hashed as a whole, and is one conditional put. Larger content is staged in blocks *before*
the intent of its op is written, under the op's own blob name; nobody can see a staged block, and the put that makes a
blob of them is as small and as atomic as the other. So an intent lives for a few requests, however long uploads take.

A `Payload` is content that is ready to be put for one op. Small content stays in memory until its op is over, because
an op that was aborted by others starts over with the same content.

Memory is a budget of bytes that all uploads share. What it rests on: *who holds memory waits for nothing but the
services and the places among the transfers*, and who holds a place waits for the services alone. So all that is held is
given back in time, and whoever waits gets his turn. Two orders follow from it:

- Memory first, then a place. The other order deadlocks.
- The caller's source first, then memory. A source may never end, or may wait for another put (one producer, teed into
  three); with memory in hand it would hold up everybody, itself included. So memory is taken for a piece once it was
  read, and given back once it was staged and digested, which go on side by side. What a source has given and memory
  was not taken for is one piece, and the chunk that completed it: the source is not asked for more until the piece has
  its memory. A regular file and bytes come without end of waiting, so for these memory is taken before a piece is read,
  and nothing is held beside it.

A call has one deadline. Reading and hashing stop it, and a block that arrives renews it: it measures how long the
services take without letting anything through, not how large the content is. Waiting for memory or a place is free up
to the last transfer that got through, anybody's; from then on it counts. So on a slow link the last of 10,000 has as
much time as the first, and where nothing gets through all end within their limit: those who hold a place by giving up
on the service, those who wait by giving up their turn, and who gets a turn late has as much less time for it.

A turn may come so late that others have aborted the op for it: an intent is written before the turn is waited for, so
that the intents of many share transactions. To send the content then would be in vain, and to queue again behind all
others might be so for ever. So after half of their patience the content is not sent; the op is given up, and the next
one is begun with the turn in hand. What was staged needs no turn to become a blob: it is a list of blocks by then.

Blocks of an op that came to nothing are discarded, where the store can. It is safe as soon as its writer is done with
the op: only that writer commits it, and never without an answer to the put that consumes the blocks.
"""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

from storage import Blocks, ContentStore, Digests, Discards, Headers, IfAbsent
from storage.endings import waited_out
from storage.names import BLOCKS_MAX

from .budget import Budget, Places
from .changes import Facts
from .concurrency import is_silence
from .digesting import Digested, Digesting
from .errors import CatalogError, InvalidError, TooLargeError, UnavailableError
from .flow import first_of
from .retry import Deadline, Progress
from .settings import Settings
from .sources import Content, Known, is_replayable, pieces, pieces_of_known, read_file
from .threads import ShortCalls, hashed

T = TypeVar("T")

WORK_BYTES: Final = 1 << 18  # so many bytes are as much work as a request of none
STAGED_AHEAD: Final = 3  # blocks of one content on their way at the same time
DISCARD_S: Final = 5


class Payload(Protocol):
    """Content that is ready to be put, for one op."""

    @property
    def facts(self) -> Facts | None:
        """What the content is; None before it was read."""

    @property
    def bound(self) -> bool:
        """Whether it was staged for one op, and is of no use to another."""

    async def put(self, blob: str, headers: Headers, deadline: Deadline, late_at: float) -> str | None:
        """Make the blob of it, If-None-Match: *, in one request; return its etag. Raises as `ContentStore.put`.

        None: its turn came after `late_at`, and it was not sent. It keeps its turn, for the next op.
        """

    def leave(self) -> None:
        """No op will put it any more: give back the turn that it may have kept."""


def facts_of(digests: Digests) -> Facts:
    """Digests as the catalog writes them."""
    return Facts(digests.size, digests.digest, digests.md5.hex())


@dataclass(slots=True)
class Ready:
    """Bytes in memory, or blocks that were staged."""

    uploads: "Uploads"
    content: bytes | Blocks
    facts: Facts
    blob: str = field(default="", init=False)
    """What it was last put as."""
    placed: bool = field(default=False, init=False)
    """Whether it has a place among the transfers."""

    @property
    def bound(self) -> bool:
        """See Payload."""
        return isinstance(self.content, Blocks)

    async def put(self, blob: str, headers: Headers, deadline: Deadline, late_at: float) -> str | None:
        """See Payload. What was staged has had its turn: what is left of it is a list."""
        self.blob = blob
        if not self.bound and not self.placed:
            await self.uploads.place(deadline)
            self.placed = True
            if deadline.now() >= late_at:
                return None
        headers, store = with_facts(headers, self.facts), self.uploads.store
        size = 0 if isinstance(self.content, Blocks) else len(self.content)
        try:
            return await self.uploads.write(
                lambda: store.put(blob, self.content, when=IfAbsent(), headers=headers), size, deadline
            )
        finally:
            self.leave()

    def leave(self) -> None:
        """See Payload."""
        if self.placed:
            self.placed = False
            self.uploads.places.give(1)

    async def let_go(self, blob: str) -> None:
        """Its op, which meant this blob, is over: forget what was staged and not put."""
        if self.bound:
            await self.uploads.discard(blob)


@dataclass(slots=True)
class SmallFile:
    """A file that is read only when it is its turn: thousands of these wait, and hold no content."""

    uploads: "Uploads"
    path: Path
    size: int
    facts: Facts | None = field(default=None)
    bound: bool = field(default=False, init=False)
    blob: str = field(default="", init=False)
    """What it was last put as."""
    ready: Ready | None = field(default=None, init=False)
    """Its content, while it is its turn."""
    held: int = field(default=0, init=False)
    """The memory that it has."""

    async def put(self, blob: str, headers: Headers, deadline: Deadline, late_at: float) -> str | None:
        """See Payload."""
        self.blob = blob
        etag = None
        try:
            ready = self.ready = self.ready or await self._read(deadline)
            self.facts = ready.facts
            etag = await ready.put(blob, headers, deadline, late_at)
        finally:
            if self.ready is None or not self.ready.placed:
                self.leave()
        return etag

    async def _read(self, deadline: Deadline) -> Ready:
        ready, self.held = await self.uploads.small_file(self.path, self.size, deadline)
        return ready

    def leave(self) -> None:
        """See Payload."""
        if self.ready is not None:
            self.ready.leave()
        self.uploads.budget.give(self.held)
        self.ready, self.held = None, 0


def _read_and_hash(path: Path, bytes_max: int) -> tuple[bytes, Digests] | int:
    """What a file holds; how large it is, where that is more."""
    data = read_file(path, bytes_max)
    return data if isinstance(data, int) else (data, Digests.of(data))


def with_facts(headers: Headers, facts: Facts) -> Headers:
    """The headers of a blob, completed by what its content is."""
    facts_text = {"sha256": facts.digest.removeprefix("sha256:"), "md5": facts.md5, "size": str(facts.size)}
    return Headers(headers.content_type, bytes.fromhex(facts.md5), {**headers.metadata, **facts_text})


class Uploads:
    """Prepares content for ops, within the limits that all uploads of a catalog share."""

    def __init__(self, store: ContentStore, threads: Executor, settings: Settings) -> None:
        self.store = store
        self._discards = store if isinstance(store, Discards) else None
        self.threads = threads
        self.short_calls = ShortCalls(threads)
        self._settings = settings
        self.budget = Budget(settings.buffer_bytes)
        self.places = Places(settings.transfers_max)
        self.progress = Progress()

    def __repr__(self) -> str:
        return f"<Uploads to {self.store!r}>"

    def over(self, store: ContentStore) -> "Uploads":
        """It, to this store in another way: within the same limits. What is staged is discarded as ever."""
        other = Uploads(store, self.threads, self._settings)
        other._discards = self._discards
        other.budget, other.places, other.progress = self.budget, self.places, self.progress
        return other

    async def place(self, deadline: Deadline) -> None:
        """Take a place among the transfers, to be given back. Raises: UnavailableError."""
        await self.places.take(1, partial(deadline.turn, progress=self.progress, what="a place among the transfers"))

    async def memory(self, size: int, deadline: Deadline) -> int:
        """Take memory: how much it is, to be given back. Raises: UnavailableError."""
        return await self.budget.take(size, partial(deadline.turn, progress=self.progress, what="memory"))

    async def write(self, request: Callable[[], Awaitable[T]], size: int, deadline: Deadline) -> T:
        """Send content of this size once, or a list of what was staged. Raises: as `Deadline.write`."""
        return await self._told(lambda: deadline.write(request), size, deadline)

    async def _told(self, request: Callable[[], Awaitable[T]], size: int, deadline: Deadline) -> T:
        """Send content; what becomes of it says how many to send at the same time."""
        began = deadline.now()
        try:
            answer = await request()
        except Exception as exc:
            now = deadline.now()
            if now - began >= self._settings.request_timeout_s or not is_silence(exc):  # else the caller was in a hurry
                self.places.failed(exc, began, now)
            raise
        self.places.answered(began, deadline.now(), work=1 + size / WORK_BYTES)
        deadline.mark(self.progress)
        return answer

    @asynccontextmanager
    async def prepare(self, content: Content, blob: str, deadline: Deadline) -> AsyncIterator[Ready]:
        """Read content; what is small is held until the end, what is larger is staged for this blob.

        Raises: NotFoundError, AccessDeniedError, InvalidError (not readable as bytes, or changed while it was read),
        TooLargeError, UnavailableError.
        """
        async with AsyncExitStack() as memory:
            size = _known_size(content)
            if size is None:
                ready = await self._streamed(content, blob, deadline, memory)
            elif size <= self._settings.one_shot_bytes:
                ready = await self._small(cast("Known", content), size, deadline, memory)
            else:
                ready = await self.staged(cast("Known", content), blob, deadline)
            try:
                yield ready
            finally:
                await ready.let_go(blob)

    async def staged(self, content: Known, blob: str, deadline: Deadline) -> Ready:
        """Stage bytes or a regular file for this blob, whatever its size; `let_go` of it. Raises: as `prepare`."""
        size = _known_size(content) or 0
        block = max(self._settings.block_bytes, -(-size // BLOCKS_MAX))
        async with aclosing(pieces_of_known(content, block, self.threads)) as parts:
            return await self._staged(parts, blob, deadline, ahead=min(size, block))

    async def small_file(self, path: Path, size: int, deadline: Deadline) -> tuple[Ready, int]:
        """A file of about this size, and the memory that was taken for what it is by now: to be given back.

        Raises: as `prepare`; InvalidError where it is no small file any more.
        """
        while True:
            held = await self.memory(size, deadline)
            try:
                with deadline.stopped():
                    found = await self.short_calls.run(partial(_read_and_hash, path, size))
                if not isinstance(found, int):
                    return Ready(self, found[0], facts_of(found[1])), held
            except BaseException:
                self.budget.give(held)
                raise
            self.budget.give(held)
            size = found
            if size > self._settings.one_shot_bytes:
                message = f"{path} has grown since it was looked at; nothing of it was written"
                raise InvalidError(message, op="read", key=str(path), kind="invalid.source-changed")

    async def discard(self, blob: str) -> None:
        """Forget the blocks that were staged for a blob; done, or soon given up, also where the caller is cancelled."""
        if self._discards:
            await waited_out(asyncio.create_task(_discarded(self._discards, blob)))

    async def _small(self, content: Known, size: int, deadline: Deadline, memory: AsyncExitStack) -> Ready:
        if isinstance(content, bytes):  # the caller holds it anyway
            return await self._hashed(content, deadline)
        if isinstance(content, os.PathLike):
            ready, held = await self.small_file(Path(content), size, deadline)
            memory.callback(self.budget.give, held)
            return ready
        memory.callback(self.budget.give, await self.memory(size, deadline))
        return await self._hashed(bytes(content), deadline)

    async def _streamed(self, content: Content, blob: str, deadline: Deadline, memory: AsyncExitStack) -> Ready:
        """The first piece tells whether the content is small."""
        small, block = self._settings.one_shot_bytes, self._settings.block_bytes
        async with aclosing(pieces(content, block, self.threads, first=small + 1)) as parts:
            with deadline.stopped():
                ahead = [await anext(parts, b"")]
            if len(ahead[0]) <= small:
                memory.callback(self.budget.give, await self.memory(len(ahead[0]), deadline))
                return await self._hashed(ahead[0], deadline)
            return await self._staged(_chained(ahead, parts), blob, deadline)

    async def _hashed(self, content: bytes, deadline: Deadline) -> Ready:
        with deadline.stopped():
            return Ready(self, content, facts_of(await hashed(self.threads, Digests.of, content)))

    async def _staged(
        self, parts: AsyncIterator[bytes], blob: str, deadline: Deadline, *, ahead: int | None = None
    ) -> Ready:
        """Stage as it comes. `ahead`: what a piece takes at most, where memory is to be taken before it is read."""
        try:
            return await self._staging(parts, blob, deadline, ahead)
        except BaseException:
            await self.discard(blob)
            raise

    async def _staging(self, parts: AsyncIterator[bytes], blob: str, deadline: Deadline, ahead: int | None) -> Ready:
        digesting, ids = Digesting(self.threads, batch_bytes=1), list[str]()
        window = asyncio.Semaphore(STAGED_AHEAD)
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await window.acquire()
                    part, held = await self._taken(parts, deadline, ahead)
                    try:
                        if not part:
                            break
                        with deadline.stopped():
                            digested = await digesting.take(part)
                        task = tasks.create_task(self._stage(blob, _next_id(ids, blob), part, digested, deadline))
                        task.add_done_callback(partial(self._staging_over, held, window))
                        held = 0  # it is the task's by now, however that ends
                        del part
                    finally:
                        self.budget.give(held)
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        with deadline.stopped():
            return Ready(self, Blocks(tuple(ids)), facts_of(await digesting.digests()))

    async def _taken(self, parts: AsyncIterator[bytes], deadline: Deadline, ahead: int | None) -> tuple[bytes, int]:
        """The next piece, empty at the end, and how much memory was taken for it."""
        held = 0 if ahead is None else await self.memory(ahead, deadline)
        try:
            with deadline.stopped():
                part = await anext(parts, b"")
        except BaseException:
            self.budget.give(held)
            raise
        return part, held if ahead is not None else await self.memory(len(part), deadline)

    async def _stage(self, blob: str, block: str, part: bytes, digested: Digested | None, deadline: Deadline) -> None:
        await self.place(deadline)
        try:
            await deadline.retried(
                lambda: self.store.stage(blob, block, part),
                attempt=lambda request: self._told(lambda: deadline.read(request), len(part), deadline),
            )
            deadline.renew()
        finally:
            self.places.give(1)
        if digested:  # until then its memory is not free
            await asyncio.wait([digested])

    def _staging_over(self, held: int, window: asyncio.Semaphore, _: "asyncio.Task[None]") -> None:
        """Called also where the task was cancelled before it began."""
        self.budget.give(held)
        window.release()


def _next_id(ids: list[str], blob: str) -> str:
    if len(ids) == BLOCKS_MAX:
        message = f"content is longer than {BLOCKS_MAX:,} blocks: raise Settings.block_bytes"
        raise TooLargeError(message, op="put", key=blob)
    ids.append(f"{len(ids):06d}")
    return ids[-1]


async def _discarded(store: Discards, blob: str) -> None:
    """Where the store does not manage it, it does so when it is closed: no reason to trouble a caller."""
    with suppress(CatalogError, TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            await store.discard(blob)


def must_replay(content: Content) -> None:
    """Raises: UnavailableError for content that was read and cannot be read again."""
    if not is_replayable(content):
        message = "the write was aborted by someone else, and its content is a stream that cannot be read again"
        raise UnavailableError(message, op="put", kind="unavailable.stream-consumed")


def _known_size(content: object) -> int | None:
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
