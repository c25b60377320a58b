"""Memory as a budget that many share: who wants some waits for his turn. `uploads` says why nobody waits for ever."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


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
        taken = await self.take(size)
        try:
            yield
        finally:
            self.give(taken)

    def give(self, size: int) -> None:
        """Give back what `take` gave."""
        self._free += size
        self._serve()

    async def take(self, size: int) -> int:
        """Wait for so many bytes, or for all there are; how many they are, to be given back."""
        size = min(size, self._size)
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
        return size

    def _serve(self) -> None:
        while self._queue and (self._queue[0][0] <= self._free or self._queue[0][1].done()):
            size, turn = self._queue.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)
