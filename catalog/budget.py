"""A stock that many share, of memory or of places: who wants some waits for his turn.

`uploads` says why nobody waits for ever.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from .concurrency import Concurrency

Turn = asyncio.Future[None]


async def _simply(turn: Turn) -> None:
    await turn


class Budget:
    """So many bytes of memory, or places, shared by all who transfer content. First come, first served."""

    def __init__(self, size: int, unit: str = "bytes") -> None:
        self._size = size
        self._free = size
        self._unit = unit
        self._queue: deque[tuple[int, Turn]] = deque()

    def __repr__(self) -> str:
        return f"<Budget: {self._free:,} of {self._size:,} {self._unit} free>"

    @property
    def size(self) -> int:
        """How much there is in all."""
        return self._size

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for some."""
        return bool(self._queue)

    def resize(self, size: int) -> None:
        """Have so much in all from now on; what was taken comes back in its own time."""
        self._free += size - self._size
        self._size = size
        self._serve()

    def give(self, size: int) -> None:
        """Give back what `take` gave."""
        self._free += size
        self._serve()

    async def take(self, size: int, waiting: Callable[[Turn], Awaitable[None]] = _simply) -> int:
        """Wait for so much, or for all there is; how much it is, to be given back.

        `waiting` is how to wait for a turn; whatever it raises gives the turn up. It is not called where nobody waits.
        """
        size = min(size, self._size)
        if not self._queue and size <= self._free:
            self._free -= size
            return size
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await waiting(turn)
        except BaseException:
            if not turn.cancel() and not turn.cancelled() and turn.exception() is None:  # it had come at that moment
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


class Places(Budget):
    """Places for requests that are under way at one service: as many as turn out to make it faster."""

    def __init__(self, most: int) -> None:
        self._concurrency = Concurrency(most)
        super().__init__(self._concurrency.places, "places")

    def answered(self, began: float, now: float, *, work: float = 1) -> None:
        """What was sent from a place was answered: see Concurrency."""
        self._concurrency.answered(began, now, work=work, waiting=self.wanted)
        self._follow()

    def failed(self, error: Exception, began: float, now: float) -> None:
        """What was sent from a place failed."""
        self._concurrency.failed(error, began, now)
        self._follow()

    def _follow(self) -> None:
        if self._size != self._concurrency.places:
            self.resize(self._concurrency.places)
