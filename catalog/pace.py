"""How fast one run may ask the services, so that those who serve people are not slowed down by it.

A run that reads everything, or repairs much, would take all that an account gives. So its requests are spread out: no
more than so many a second, of the account and of each partition (Azure limits both), and fewer wherever the service
says that it is too busy: half as many after each 503, and slowly more again.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Final

from storage import (
    WHOLE,
    Always,
    Blob,
    Blocks,
    Capabilities,
    ContentStore,
    Headers,
    IfMatch,
    Opened,
    Precondition,
    Span,
)
from storage.abilities import Keeps, Touches, unsupported

from .arguments import is_number
from .errors import InvalidError, OutcomeUnknownError, UnavailableError
from .filters import Condition
from .keys import RowRange
from .retry import Clock
from .rows import Entity
from .table import LastPage, Operation, Table, Written

ACCOUNT: Final = ""
FIRST_BRAKE_S: Final = 0.05
LONGEST_S: Final = 5.0
EASING: Final = 0.9
TURN_S: Final = 5.0
"""So long a request waits for its turn, at most, where no service is too busy: a quarter of the time that it has."""
LISTED_AT_A_TIME: Final = 5_000  # the blobs of a page: List Blobs, "maxresults"


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, at most: of the account, and of each partition of its table."""

    account: float = 5_000
    partition: float = 500

    @property
    def at_a_time(self) -> int:
        """How many may be under way, so that nobody's turn comes later than the time that a request has."""
        return max(1, int(TURN_S * self.account))

    def check(self) -> "Rate":
        """Raises: InvalidError."""
        for name in ("account", "partition"):
            value = getattr(self, name)
            if not is_number(value) or not isfinite(value) or value <= 0:
                raise InvalidError(f"a rate is a number of requests a second above 0, not {value!r}", op="rate")
        return self


def check_rate(rate: object) -> Rate:
    """Raises: InvalidError."""
    if not isinstance(rate, Rate):
        raise InvalidError(f"rate is a Rate, not {type(rate).__name__}", op="rate")
    return rate.check()


@dataclass(slots=True)
class _Lane:
    least_s: float
    interval_s: float
    free_at: float = 0.0


class Pace:
    """When the next request may go."""

    def __init__(self, clock: Clock, rate: Rate = Rate()) -> None:
        self._clock = clock
        self._rate = rate
        self._lanes = {ACCOUNT: _Lane(1 / rate.account, 1 / rate.account)}

    def __repr__(self) -> str:
        return f"<Pace of {self._rate}>"

    async def turn(self, partition: str = ACCOUNT) -> None:
        """Wait for one's turn; first come, first served."""
        now, wait = self._clock.now(), 0.0
        for key in {ACCOUNT, partition}:
            lane = self._lane(key)
            free_at = max(now, lane.free_at)
            lane.free_at = free_at + lane.interval_s
            wait = max(wait, free_at - now)
        if wait > 0:
            await self._clock.sleep(wait)

    def heard(self, partition: str = ACCOUNT, error: Exception | None = None) -> None:
        """An answer came, or an error: too busy is what slows everything down."""
        kind = getattr(error, "kind", "") if isinstance(error, UnavailableError | OutcomeUnknownError) else ""
        for key in {ACCOUNT, partition}:
            lane = self._lane(key)
            if kind.endswith(".throttled"):
                longer = min(LONGEST_S, max(FIRST_BRAKE_S, 2 * lane.interval_s))
                lane.interval_s = max(lane.interval_s, longer)
            elif error is None:
                lane.interval_s = max(lane.least_s, EASING * lane.interval_s)

    def interval_s(self, partition: str = ACCOUNT) -> float:
        """How far apart requests go by now."""
        return self._lane(partition).interval_s

    def _lane(self, key: str) -> _Lane:
        if key not in self._lanes:
            least = 1 / self._rate.partition
            self._lanes[key] = _Lane(least, least)
        return self._lanes[key]

    @asynccontextmanager
    async def request(self, partition: str = ACCOUNT) -> AsyncIterator[None]:
        """One request: its turn, and what is heard of it."""
        await self.turn(partition)
        try:
            yield
        except (UnavailableError, OutcomeUnknownError) as exc:
            self.heard(partition, exc)
            raise
        self.heard(partition)


class PacedTable:
    """A table whose requests wait for their turn."""

    def __init__(self, table: Table, pace: Pace) -> None:
        self._table = table
        self._pace = pace
        self.create, self.drop, self.close, self.pushed = table.create, table.drop, table.close, table.pushed

    def __repr__(self) -> str:
        return f"<PacedTable {self._table!r}>"

    async def get(self, partition: str, row: str) -> Entity | None:
        async with self._pace.request(partition):
            return await self._table.get(partition, row)

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async with aclosing(self._table.query(partition, rows, where=where, select=select)) as pages:
            while True:
                async with self._pace.request(partition):
                    page = await anext(pages, None)
                if page is None:
                    return
                yield page
                if isinstance(page, LastPage):
                    return  # and nobody's turn is taken by a request that is none

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        async with self._pace.request(partition):
            return await self._table.submit(partition, operations)


class PacedContent:
    """A store whose requests wait for their turn."""

    def __init__(self, content: ContentStore, pace: Pace) -> None:
        self._content = content
        self._pace = pace
        self.create, self.close = content.create, content.close

    def __repr__(self) -> str:
        return f"<PacedContent {self._content!r}>"

    @property
    def capabilities(self) -> Capabilities:
        return self._content.capabilities

    async def stage(self, name: str, block: str, data: bytes) -> None:
        async with self._pace.request():
            await self._content.stage(name, block, data)

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        async with self._pace.request():
            return await self._content.put(name, content, when=when, headers=headers)

    def open(
        self, name: str, *, span: Span = WHOLE, when: Precondition = Always()
    ) -> AbstractAsyncContextManager[Opened]:
        return self._open(name, span, when)

    @asynccontextmanager
    async def _open(self, name: str, span: Span, when: Precondition) -> AsyncIterator[Opened]:
        async with AsyncExitStack() as opening:
            async with self._pace.request():
                opened = await opening.enter_async_context(self._content.open(name, span=span, when=when))
            yield opened

    async def stat(self, name: str) -> Blob:
        async with self._pace.request():
            return await self._content.stat(name)

    async def delete(self, name: str, *, when: Precondition) -> None:
        async with self._pace.request():
            await self._content.delete(name, when=when)

    async def keep(self, name: str, *, when: IfMatch) -> str:
        """See `abilities.Keeps`. Raises: InvalidError (the store beneath is none)."""
        if not isinstance(self._content, Keeps):
            raise unsupported(self._content, "keep", name)
        async with self._pace.request():
            return await self._content.keep(name, when=when)

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        """See `abilities.Touches`. Raises: InvalidError (the store beneath is none)."""
        if not isinstance(self._content, Touches):
            raise unsupported(self._content, "touch", name)
        async with self._pace.request():
            return await self._content.touch(name, headers=headers, when=when)

    async def list(self, prefix: str = "") -> AsyncGenerator[Blob, None]:
        async with aclosing(self._content.list(prefix)) as blobs:  # type: ignore[type-var]
            while True:
                async with self._pace.request():
                    page = [blob async for blob in _some(blobs)]
                for blob in page:
                    yield blob
                if len(page) < LISTED_AT_A_TIME:
                    return


async def _some(blobs: AsyncIterator[Blob]) -> AsyncIterator[Blob]:
    """As many as a page has."""
    for _ in range(LISTED_AT_A_TIME):
        if (blob := await anext(blobs, None)) is None:
            return
        yield blob
