"""The digests of content on its way: taken in threads, a batch behind, while whoever moves the content goes on."""

import asyncio
from concurrent.futures import Executor
from typing import Final

from storage import Digester, Digests

from .threads import HASHED_INLINE_BYTES

BATCH_BYTES: Final = 2 << 20
"""So much is digested at a time: to ask a thread for less would cost too much of what it does."""
Digested = asyncio.Future[list[None]]
"""Done when a batch is digested."""


class Digesting:
    """Takes pieces, in order, and digests a batch of them while the next one is gathered; sha256 beside MD5.

    Without `md5`, there is none (see `Digester`). It holds two batches, each with the piece that completed it. Where it
    is left in the middle, its threads end with their batch.
    """

    def __init__(self, threads: Executor, *, md5: bool = True, batch_bytes: int = BATCH_BYTES) -> None:
        self._threads = threads
        self._digester = Digester(md5=md5)
        self._batch_bytes = batch_bytes
        self._batch: list[bytes] = []
        self._bytes = 0
        self._under_way: Digested | None = None

    def __repr__(self) -> str:
        return f"<Digesting: {self._digester!r}, {self._bytes} more>"

    async def take(self, piece: bytes) -> Digested | None:
        """Take the next piece. Where that completes a batch, wait for the one before; what is done when this one is."""
        self._batch.append(piece)
        self._bytes += len(piece)
        if self._bytes < self._batch_bytes:
            return None
        await self._settled()
        return self._begin()

    async def digests(self) -> Digests:
        """What all pieces together are."""
        await self._settled()
        if self._bytes > HASHED_INLINE_BYTES:
            self._begin()
            await self._settled()
        for step in self._digester.steps(*self._emptied()):
            step()
        return self._digester.digests()

    def _begin(self) -> Digested:
        loop = asyncio.get_running_loop()
        steps = self._digester.steps(*self._emptied())
        begun: Digested = asyncio.gather(*(loop.run_in_executor(self._threads, step) for step in steps))
        begun.add_done_callback(_looked_at)
        self._under_way = begun
        return begun

    def _emptied(self) -> list[bytes]:
        batch, self._batch, self._bytes = self._batch, [], 0
        return batch

    async def _settled(self) -> None:
        if self._under_way:
            await self._under_way
            self._under_way = None


def _looked_at(batch: Digested) -> None:
    """Whoever awaits it is told of its error; where nobody does any more, asyncio is not to say that nobody did."""
    if not batch.cancelled():
        batch.exception()
