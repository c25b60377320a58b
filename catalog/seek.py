"""Reading anywhere in a content: positions, and a window of blocks that are fetched ahead, concurrently.

The content is cut into blocks. Those from the one that is read on, as many as the window holds, are here or on their
way; the others are let go. Only who reads on where the last read ended is read ahead for: after a jump, a read fetches
the blocks that it touches. So memory is the window, a block, and what the read itself returns.

All blocks come from one blob with one etag; where that changed, reading is an error. Bytes are given out as they come.
A digest follows the reads that go on from the beginning, whatever was read in between: where they reach the end, the
last bytes are given out only if all is what was written, and from then on the reader is `verified`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from storage import Digester, Span

from .arguments import check_whole, is_whole
from .entities import FileVersion
from .errors import CatalogError, InvalidError
from .reader import Pin, Readers, check_digests, check_readable, check_size, closed, is_verifiable
from .threads import HASHED_INLINE_BYTES, to_the_end

READ_AHEAD_BYTES: Final = 8 << 20
BLOCKS_AHEAD: Final = 8
BLOCK_BYTES_MAX: Final = 4 << 20
BLOCK_BYTES_ALONE: Final = 256 << 10  # without read-ahead

Fetch = Callable[[int, int], Awaitable[bytes]]


class Window:
    """The blocks of a content that are here or on their way."""

    def __init__(self, size: int, read_ahead_bytes: int, fetch: Fetch) -> None:
        ahead_bytes = -(-read_ahead_bytes // BLOCKS_AHEAD)
        self.block_bytes = min(BLOCK_BYTES_MAX, ahead_bytes or BLOCK_BYTES_ALONE)
        self._blocks_max = 1 + -(-read_ahead_bytes // self.block_bytes)  # the one that is read, and those ahead
        self._size = size
        self._fetch = fetch
        self._blocks: dict[int, asyncio.Task[bytes]] = {}
        self._running: set[asyncio.Task[bytes]] = set()

    def __repr__(self) -> str:
        return f"<Window: {len(self._blocks)} of {self._blocks_max} blocks of {self.block_bytes:,} bytes>"

    async def block(self, index: int, *, stop: int) -> bytes | None:
        """A block; those behind it, up to the byte `stop`, are on their way. None where it was closed meanwhile."""
        room = range(index, index + self._blocks_max)
        for old in [each for each in self._blocks if each not in room]:
            self._blocks.pop(old).cancel()
        for each in room:
            if each not in self._blocks and (each == index or each * self.block_bytes < stop):
                self._blocks[each] = self._begun(each * self.block_bytes)
        task = self._blocks[index]
        await asyncio.wait([task])  # other than to await it, this does not cancel it with its reader
        if task.cancelled():
            return None
        if task.exception() is not None:
            self._blocks.pop(index, None)  # another read tries again
        return task.result()

    async def close(self) -> None:
        """Let go of all blocks; what is on its way has ended when this returns."""
        self._blocks.clear()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begun(self, start: int) -> asyncio.Task[bytes]:
        async def fetched() -> bytes:
            return await self._fetch(start, min(self.block_bytes, self._size - start))

        task = asyncio.create_task(fetched())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[bytes]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # it is told to whoever reads that block, if anybody does


class SeekableReader:
    """A content that is read anywhere, like a binary file: `read`, `seek`, `tell`, `size`. One read at a time."""

    def __init__(self, file: FileVersion, readers: Readers, read_ahead_bytes: int) -> None:
        self.file = file
        self.read_ahead_bytes = read_ahead_bytes
        pin = Pin()
        self._window = Window(
            file.size, read_ahead_bytes, lambda start, length: readers.fetch(file, Span(start, length), pin)
        )
        self._threads = readers.threads
        self._position = 0
        self._expected = 0  # where the last read ended
        self._digester = Digester(md5=not file.digest)
        self._digested = 0
        self._followed = False
        self._readers = readers
        self._damage: CatalogError | None = None
        self._reading = False
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at {self._position:,} of {self.size:,}, verified={self.verified}"
        return f"<SeekableReader of {self.file.path!r} version {self.file.version}, {state}>"

    @property
    def size(self) -> int:
        """Of the whole content, in bytes."""
        return self.file.size

    @property
    def verified(self) -> bool:
        """Whether every byte was read, in order from the beginning, and the digest is the catalog's: see `Reader`."""
        return self._followed and is_verifiable(self.file)

    def tell(self) -> int:
        """The position, in bytes from the beginning. It may lie behind the end. Raises: InvalidError (closed)."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else, and return the new position; nothing is fetched before the next read.

        Raises: InvalidError (closed, before the beginning, no such `whence`); then the position is what it was.
        """
        self._check_open()
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        whole = is_whole(offset) and is_whole(whence)
        if not whole or whence not in bases:
            raise self._invalid(f"seek takes whole numbers, and 0, 1 or 2 as whence, not ({offset!r}, {whence!r})")
        if bases[whence] + offset < 0:
            raise self._invalid(f"there is no position {bases[whence] + offset}: a content begins at 0")
        self._position = bases[whence] + offset
        return self._position

    async def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all that is left where `size` is negative, or None.

        After an error, and when it is cancelled, the position is what it was, and it may be tried again.
        Raises: InvalidError (closed, no size, or another read is under way), IntegrityError, UnavailableError.
        """
        self._check_open()
        size = check_size(size)
        if self._reading:
            raise self._invalid("another read is under way: one reader per task")
        self._reading = True
        try:
            return await self._read(self._position, size)
        finally:
            self._reading = False

    async def close(self) -> None:
        """End what is under way; every use from now on is an error. The `async with` block does it."""
        self._closed = True
        await self._window.close()

    async def _read(self, start: int, size: int) -> bytes:
        end = max(start, self.size if size < 0 else min(self.size, start + size))
        stop = end + (self.read_ahead_bytes if start == self._expected else 0)
        at, parts = start, []
        while at < end:
            index, offset = divmod(at, self._window.block_bytes)
            block = await self._window.block(index, stop=min(stop, self.size))
            if block is None or self._closed:
                raise closed(self.file)
            parts.append(block[offset : offset + end - at])
            at += len(parts[-1])
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        await self._follow(start, content)
        self._position = self._expected = end
        return content

    async def _follow(self, start: int, content: bytes) -> None:
        """Digest what goes on from where the digest is; at the end, compare it."""
        if self._damage:
            raise self._damage
        if start <= self._digested < start + len(content):
            fresh = content[self._digested - start :]
            if len(fresh) <= HASHED_INLINE_BYTES:
                self._digest(fresh)
            else:
                await to_the_end(self._threads, self._digest, fresh)
        if self._digested == self.size and not self._followed:
            try:
                check_digests(self.file, self._digester.digests())
            except CatalogError as exc:
                self._damage = exc
                raise
            self._followed = True
            if not self.file.digest:
                await self._readers.learn(self.file, self._digester.digests())

    def _digest(self, fresh: bytes) -> None:
        self._digester.update(fresh)
        self._digested += len(fresh)

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.file)

    def _invalid(self, message: str) -> InvalidError:
        return InvalidError(f"{message} ({self.file.path!r})", op="read", key=self.file.path)


@asynccontextmanager
async def seekable(readers: Readers, file: FileVersion, read_ahead_bytes: int) -> AsyncIterator[SeekableReader]:
    """Read anywhere in a version's content. Raises: NotFoundError for a version that is a delete."""
    check_readable(file)
    reader = SeekableReader(file, readers, read_ahead_bytes)
    async with readers.held(reader):
        yield reader


def check_read_ahead(read_ahead_bytes: int) -> int:
    """Raises: InvalidError."""
    return check_whole("read", "read_ahead_bytes", read_ahead_bytes)
