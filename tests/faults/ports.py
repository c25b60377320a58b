"""A seam under both ports: it numbers their requests, and a plan says which of them go wrong, and how.

What a caller is told is what the real adapters would tell it: a lost write has an unknown outcome, a lost read is
unavailable, a refused connection proves that nothing was sent. A crash is no error: the request is never answered, and
from then on the ports are dead, so that no `finally` of the client reaches them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeVar

from catalog.errors import CatalogError, OutcomeUnknownError, UnavailableError
from catalog.filters import Condition
from catalog.keys import RowRange
from catalog.pushdown import Pushed
from catalog.rows import Entity
from catalog.table import LastPage, Merge, Operation, Table, Written
from storage import (
    WHOLE,
    Always,
    Blob,
    Blocks,
    Capabilities,
    ContentStore,
    Headers,
    IfMatch,
    Keeps,
    Opened,
    Precondition,
    Span,
    Touches,
)
from tests.faults.touch import CONTENT, NOTHING, TABLE, Touch, blob, blobs_under, range_of, rows_of

MANY = 1_000_000
TURNS = 50

T = TypeVar("T")
Send = Callable[[], Awaitable[T]]


class Fault(Enum):
    """What happens to a request."""

    LOST_BEFORE = auto()
    """It never arrives, and its sender cannot know."""
    LOST_AFTER = auto()
    """It is applied, and the answer is lost."""
    REFUSED = auto()
    """No connection: proven not to be applied."""
    BUSY = auto()
    """The service answers that it is too busy, and does nothing; its sender cannot know that it does nothing."""
    SLOW = auto()
    """The answer comes after much else has had its turn."""
    TWICE = auto()
    """It is applied twice, and the second answer comes back."""
    HANG_AFTER = auto()
    """It is applied, and no answer ever comes."""
    HELD = auto()
    """Its sender is told that nothing is known, and it arrives `Wire.delay` requests later."""
    ECHO = auto()
    """It is applied and answered, and a second copy of it arrives `Wire.delay` requests later."""
    CRASH_BEFORE = auto()
    """The client is killed before it is sent."""
    CRASH_AFTER = auto()
    """The client is killed after it was applied."""
    CRASH_HELD = auto()
    """The client is killed after it was sent, and it arrives at `Wire.settle`."""
    CANCEL = auto()
    """It arrives, but its sender was cancelled while it was under way."""


ONCE = (
    Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED, Fault.BUSY, Fault.SLOW, Fault.TWICE, Fault.HANG_AFTER,
)  # fmt: skip
PERSISTENT = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED, Fault.BUSY)
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)


@dataclass(slots=True)
class Wire:
    """Numbers the requests of both ports from 1, and carries out a plan: request `at`, and with `on` all later ones."""

    at: int = 0
    fault: Fault | None = None
    on: bool = False
    delay: int = 0
    cancels: "asyncio.Task[object] | None" = None
    """Whom `Fault.CANCEL` cancels."""
    sent: list[str] = field(default_factory=list)
    fired: int = 0
    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0
    _held: "dict[int, Send[object]]" = field(default_factory=dict)
    _arriving: "set[asyncio.Future[object]]" = field(default_factory=set)

    def heal(self) -> None:
        """No more faults; what is held stays held."""
        self.fault = None

    async def settle(self) -> None:
        """Let everything arrive that is still on its way."""
        for number in sorted(self._held):
            await _ignored(self._held.pop(number))
        await asyncio.gather(*self._arriving, return_exceptions=True)

    async def idle(self) -> None:
        """Return when no request is under way."""
        await self.settle()
        while self._under_way:  # noqa: ASYNC110 — counted, not signalled: what hangs may be cancelled at any time
            await asyncio.sleep(0)

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        """Carry out one request, or what the plan makes of it."""
        self._under_way += 1
        try:
            answer = await self._send(name, request, write=touch.write)
            await asyncio.sleep(0)  # nothing answers so fast that nobody else has a turn
            return answer
        finally:
            self._under_way -= 1

    async def _send(self, name: str, request: Send[T], *, write: bool) -> T:
        if self.crashed.is_set():
            return await _never()
        self.sent.append(name)
        number = len(self.sent)
        for due in [due for due in sorted(self._held) if due <= number]:
            await _ignored(self._held.pop(due))
        if self.fault is None or not (number >= self.at if self.on else number == self.at):
            return await request()
        self.fired += 1
        return await self._fail(self.fault, name, request, write=write)

    async def _fail(  # noqa: C901, PLR0911, PLR0912 — one case each
        self, fault: Fault, name: str, request: Send[T], *, write: bool
    ) -> T:
        match fault:
            case Fault.LOST_BEFORE:
                raise _lost(name, write=write)
            case Fault.LOST_AFTER:
                await _ignored(request)
                raise _lost(name, write=write)
            case Fault.REFUSED:
                raise UnavailableError("nothing answers", op=name, kind="unavailable.connect")
            case Fault.BUSY:
                kind = OutcomeUnknownError if write else UnavailableError
                raise kind("the service answered 503", op=name, kind=f"{kind.default_kind}.throttled")
            case Fault.SLOW:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                return await request()
            case Fault.TWICE:
                if write:  # a read changes nothing, the first time or the second
                    await _ignored(request)
                return await request()
            case Fault.HANG_AFTER:
                if write:
                    await asyncio.shield(self._arrives(request))
                return await _never()
            case Fault.HELD:
                self._held[len(self.sent) + self.delay] = request
                raise _lost(name, write=write)
            case Fault.ECHO:
                answer = await request()
                if write:
                    self._held[len(self.sent) + self.delay] = request
                return answer
            case Fault.CRASH_BEFORE:
                self.crashed.set()
                return await _never()
            case Fault.CRASH_AFTER:
                await _ignored(request)
                self.crashed.set()
                return await _never()
            case Fault.CRASH_HELD:
                self._held[len(self.sent) + MANY] = request
                self.crashed.set()
                return await _never()
            case Fault.CANCEL:
                assert self.cancels
                self.cancels.cancel()
                return await (asyncio.shield(self._arrives(request)) if write else request())

    def _arrives(self, request: Send[T]) -> "asyncio.Future[T]":
        arrival = asyncio.ensure_future(request())
        self._arriving.add(arrival)  # type: ignore[arg-type]
        arrival.add_done_callback(lambda done: done.cancelled() or done.exception())
        return arrival


def _lost(name: str, *, write: bool) -> CatalogError:
    kind = OutcomeUnknownError if write else UnavailableError
    return kind("the connection was lost", op=name)


async def _ignored(request: Send[object]) -> None:
    """Carry out a request of which nobody will hear."""
    try:
        await request()
    except CatalogError:
        return


async def _never() -> T:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


class FaultTable:
    """A table behind a wire."""

    def __init__(self, table: Table, wire: Wire) -> None:
        self._table = table
        self._wire = wire

    async def create(self) -> None:
        await self._wire.send("table.create", self._table.create, TABLE)

    async def drop(self) -> None:
        await self._wire.send("table.drop", self._table.drop, TABLE)

    async def get(self, partition: str, row: str) -> Entity | None:
        return await self._wire.send("table.get", lambda: self._table.get(partition, row), rows_of(partition, [row]))

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        name, touch = "table.query", range_of(partition, rows)
        async with aclosing(self._table.query(partition, rows, where=where, select=select)) as pages:
            while (page := await self._wire.send(name, lambda: anext(pages, None), touch)) is not None:
                yield page
                if isinstance(page, LastPage):
                    return  # no request is behind it
                name = "table.next"
                if page:
                    touch = range_of(partition, RowRange(page[-1].row, rows.stop))

    def pushed(self, partition: str, rows: RowRange, where: Condition | None) -> Pushed:
        return self._table.pushed(partition, rows, where)

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        name = "table.submit" if any(not isinstance(each, Merge) for each in operations) else "table.mark"
        touch = rows_of(partition, [each.row for each in operations], write=True)
        return await self._wire.send(name, lambda: self._table.submit(partition, operations), touch)

    async def close(self) -> None:
        """The table belongs to the test, and outlives its clients."""


class FaultContent:
    """A content store behind a wire."""

    def __init__(self, content: ContentStore, wire: Wire) -> None:
        self._content = content
        self._wire = wire

    @property
    def capabilities(self) -> Capabilities:
        return self._content.capabilities

    async def create(self) -> None:
        await self._wire.send("content.create", self._content.create, CONTENT)

    async def stage(self, name: str, block: str, data: bytes) -> None:
        stage = self._content.stage
        await self._wire.send("content.stage", lambda: stage(name, block, data), blob(name, write=True))

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        put, touch = self._content.put, blob(name, write=True)
        return await self._wire.send("content.put", lambda: put(name, content, when=when, headers=headers), touch)

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        context = self._content.open(name, span=span, when=when)
        opened = await self._wire.send("content.open", context.__aenter__, blob(name))
        try:
            yield Opened(opened.blob, self._chunks(opened.chunks))
        finally:
            await context.__aexit__(None, None, None)

    async def _chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while chunk := await self._wire.send("content.chunk", lambda: anext(chunks, b""), NOTHING):
            yield chunk

    async def stat(self, name: str) -> Blob:
        return await self._wire.send("content.stat", lambda: self._content.stat(name), blob(name))

    async def delete(self, name: str, *, when: Precondition) -> None:
        delete = self._content.delete
        await self._wire.send("content.delete", lambda: delete(name, when=when), blob(name, write=True))

    async def keep(self, name: str, *, when: IfMatch) -> str:
        store = self._content
        assert isinstance(store, Keeps)
        keep = store.keep
        return await self._wire.send("content.keep", lambda: keep(name, when=when), blob(name, write=True))

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        store = self._content
        assert isinstance(store, Touches)
        touch = store.touch
        return await self._wire.send(
            "content.touch", lambda: touch(name, headers=headers, when=when), blob(name, write=True)
        )

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        blobs, touch = aiter(self._content.list(prefix)), blobs_under(prefix)
        while (found := await self._wire.send("content.list", lambda: anext(blobs, None), touch)) is not None:
            yield found

    async def close(self) -> None:
        """The store belongs to the test, and outlives its clients."""


class VirtualClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """See Clock."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        self._now += seconds
        await asyncio.sleep(0)
