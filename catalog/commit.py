"""Group commit: many callers' changes, one transaction at a time per partition.

A caller brings a `Unit`: operations that are applied together or not at all. While one transaction of a partition is
under way the next one gathers, so a lone caller waits for nobody and a thousand callers fill batches. A caller that
knows of others to come may bring a *patient* unit: it waits for a full transaction as long as more are `expected`.

What a caller can rely on:

- A unit is never split, and two units that touch the same row never share a transaction.
- A refused transaction is taken apart until the unit that was refused is alone with its refusal; the others go on.
  The service's word about which one it was is a hint: a unit that was blamed wrongly looks at its rows and comes back.
  Where it does not say, halves are tried: some ten transactions more for a full one, and not one for each unit.
- After an unknown outcome every unit of the transaction hears of it, and each is judged by its own rows.
- Cancelling a caller takes its unit out if it still waits. If it is under way it may be applied; nobody else notices.
- Closing answers all: who waited was not applied (`invalid.closed`), what was under way has an unknown outcome.
- No more than `UNITS_MAX` units wait in a partition; further callers wait for a place.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from storage.errors import another

from .budget import Places
from .concurrency import Share
from .errors import CatalogError, InvalidError, OutcomeUnknownError
from .table import (
    BATCH_BYTES_MAX,
    OPERATIONS_MAX,
    Operation,
    RefusedError,
    Table,
    Written,
    total_bytes,
)

UNITS_MAX: Final = 512
LANES_MAX: Final = 64
"""Transactions of one account under way at the same time, at most: of so many partitions."""
LANES_KEPT: Final = 1024
"""Idle ones, for what they have learned of their partition: of a hundred volumes, or of four large ones."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Operations of one change. `shared` ones stand in a transaction once, however many units bring them."""

    operations: tuple[Operation, ...]
    shared: tuple[Operation, ...] = ()


class Ticket:
    """A unit in the queue, and the promise of its answer."""

    __slots__ = ("answer", "company", "rows", "size", "unit")

    def __init__(self, partition: str, unit: Unit, answer: "asyncio.Future[Sequence[Written]]") -> None:
        self.unit = unit
        self.answer = answer
        self.company: object = None
        """It goes with those of the same alone."""
        self.rows = {operation.row for operation in unit.operations}
        self.size = total_bytes(partition, unit.operations + unit.shared)

    def succeed(self, written: Sequence[Written]) -> None:
        """Tell who waits, if it still does."""
        if not self.answer.done():
            self.answer.set_result(written)

    def fail(self, error: Exception) -> None:
        """Tell who waits, if it still does. Each is told by an error of its own: raising one adds to its traceback."""
        if not self.answer.done():
            self.answer.set_exception(another(error))


def pack(waiting: Iterable[Ticket], operations_max: int = OPERATIONS_MAX) -> list[Ticket]:
    """The tickets of the next transaction: in order, as many as fit, and at least one."""
    batch: list[Ticket] = []
    rows: set[str] = set()
    shared: set[str] = set()
    own = size = 0
    for ticket in waiting:
        own += len(ticket.unit.operations)
        size += ticket.size
        more = shared.union(operation.row for operation in ticket.unit.shared)
        if batch and (own + len(more) > operations_max or size > BATCH_BYTES_MAX):
            break
        if batch and ticket.company is not batch[0].company:
            break
        if not rows.isdisjoint(ticket.rows):
            break  # the same path again: it goes with the next one, and keeps its place
        rows |= ticket.rows
        shared = more
        batch.append(ticket)
    return batch


class Lane:
    """The queue of one partition."""

    def __init__(self, table: Table, partition: str, request_timeout_s: float, under_way: Places | None = None) -> None:
        self._table = table
        self._under_way = under_way or Places(LANES_MAX)  # the account's, for one of several lanes
        self._share = Share(OPERATIONS_MAX)
        self._request_timeout_s = request_timeout_s
        self._partition = partition
        self._prompt: deque[Ticket] = deque()
        self._patient: deque[Ticket] = deque()
        self._places = asyncio.Semaphore(UNITS_MAX)
        self._changed = asyncio.Event()
        self._expected = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        waiting = len(self._prompt) + len(self._patient)
        return f"<Lane {self._partition}: {waiting} waiting, {self._expected} expected>"

    def expect(self, units: int) -> None:
        """So many patient units will come, or will be taken back by `expect(-1)` each."""
        self._expected += units
        self._changed.set()

    async def commit(self, unit: Unit, *, patient: bool = False) -> Sequence[Written]:
        """Bring a unit, and wait for its answer: one `Written` for each of its own operations.

        Raises what `Table.submit` raises, for this unit.
        """
        try:
            await self._places.acquire()
        finally:
            self.expect(-1 if patient else 0)  # it is here now, or it will never be
        try:
            if self._closed:
                raise _closed(self._partition)
            ticket = Ticket(self._partition, unit, asyncio.get_running_loop().create_future())
            (self._patient if patient else self._prompt).append(ticket)
            self._changed.set()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run(), name=f"lane {self._partition}")
            return await ticket.answer
        finally:
            self._places.release()

    async def _run(self) -> None:
        while self._prompt or self._patient:
            if not self._ready():
                self._changed.clear()
                await self._changed.wait()
                continue
            await self._under_way.take(1)
            try:
                if batch := self._take():
                    await self._submit(batch)
            finally:
                self._under_way.give(1)

    def _ready(self) -> bool:
        """Whether the next transaction should go: someone is in a hurry, it is full, or nobody else will come."""
        if self._prompt or self._expected <= 0:
            return True
        full = sum(len(ticket.unit.operations) for ticket in self._patient) >= self._share.operations
        return full or sum(ticket.size for ticket in self._patient) >= BATCH_BYTES_MAX

    def _take(self) -> list[Ticket]:
        """Out of the queue: those who were cancelled, and the tickets of the next transaction."""
        waiting = [ticket for ticket in (*self._prompt, *self._patient) if not ticket.answer.done()]
        batch = pack(waiting, self._share.operations)
        left = set(waiting[len(batch) :])
        self._prompt = deque(ticket for ticket in self._prompt if ticket in left)
        self._patient = deque(ticket for ticket in self._patient if ticket in left)
        return batch

    async def _submit(self, batch: list[Ticket]) -> None:
        operations = [operation for ticket in batch for operation in ticket.unit.operations]
        shared = {operation.row: operation for ticket in batch for operation in ticket.unit.shared}
        try:
            written = await self._sent([*operations, *shared.values()])
        except RefusedError as exc:
            if exc.index is not None and exc.index >= len(operations):
                _answer(batch, exc)  # what all of them share
            else:
                self._take_apart(batch, exc, None if exc.index is None else _owner(batch, exc.index))
        except InvalidError as exc:
            self._take_apart(batch, exc, None)
        except asyncio.CancelledError:
            message = "the catalog was closed while the transaction was under way"
            _answer(batch, OutcomeUnknownError(message, op="submit", kind="outcome-unknown.closed"))
            raise
        except Exception as exc:  # noqa: BLE001 — whatever it is, it belongs to those who wait
            _answer(batch, exc)
        else:
            answers = iter(written)
            for ticket in batch:
                ticket.succeed([next(answers) for _ in ticket.unit.operations])

    async def _sent(self, operations: Sequence[Operation]) -> Sequence[Written]:
        began = _now()
        try:
            written = await self._answered(operations)
        except Exception as exc:
            self._share.failed(exc)
            self._under_way.failed(exc, began, _now())
            raise
        self._share.answered()
        self._under_way.answered(began, _now(), work=len(operations))
        if len(written) != len(operations):
            message = f"the service answered for {len(written)} of {len(operations)} operations"
            raise OutcomeUnknownError(message, op="submit", kind="outcome-unknown.answer")
        return written

    async def _answered(self, operations: Sequence[Operation]) -> Sequence[Written]:
        try:
            async with asyncio.timeout(self._request_timeout_s):
                return await self._table.submit(self._partition, operations)
        except TimeoutError as exc:
            message = f"no answer within {self._request_timeout_s:g} s"
            raise OutcomeUnknownError(message, op="submit", kind="outcome-unknown.timeout") from exc

    def _take_apart(self, batch: list[Ticket], error: CatalogError, blamed: Ticket | None) -> None:
        """Answer the one that was refused; where it is not known which one, try one half and then the other."""
        if blamed is None and len(batch) == 1:
            blamed = batch[0]
        rest = [ticket for ticket in batch if ticket is not blamed]
        if blamed is not None:
            blamed.fail(error)
        else:
            middle = len(rest) // 2
            for half in (rest[:middle], rest[middle:]):
                company = object()
                for ticket in half:
                    ticket.company = company
        self._prompt.extendleft(reversed(rest))

    def stop(self) -> None:
        """Send nothing more: `close` tells those who wait."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Stop; whoever still waits hears that it was not applied, and so does who comes later. Also if cancelled."""
        self.stop()
        try:
            if self._task is not None:
                await asyncio.gather(self._task, return_exceptions=True)
        finally:
            for ticket in (*self._prompt, *self._patient):
                ticket.fail(_closed(self._partition))
            self._prompt.clear()
            self._patient.clear()


class Committer:
    """The lanes of a table, made as they are needed: one of a partition at a time.

    Those used last are kept. Another one lives as long as somebody holds it, or its task has work: it is found again.
    """

    def __init__(self, table: Table, request_timeout_s: float) -> None:
        self._table = table
        self._request_timeout_s = request_timeout_s
        self._under_way = Places(LANES_MAX)
        self._lanes: WeakValueDictionary[str, Lane] = WeakValueDictionary()
        self._recent: dict[str, Lane] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Committer of {len(self._lanes)} lanes>"

    def lane(self, partition: str) -> Lane:
        """The lane of a partition. Raises: InvalidError once all are closed."""
        if self._closed:
            raise _closed(partition)
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(self._table, partition, self._request_timeout_s, self._under_way)
        self._recent.pop(partition, None)
        self._recent[partition] = lane
        if len(self._recent) > LANES_KEPT:
            del self._recent[next(iter(self._recent))]
        return lane

    async def close(self) -> None:
        """Stop all lanes. May be called twice. Cancelled, it stops them first, and all are told."""
        self._closed = True
        self._recent.clear()
        async with AsyncExitStack() as closing:
            for lane in list(self._lanes.values()):
                lane.stop()
                closing.push_async_callback(lane.close)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _owner(batch: list[Ticket], index: int) -> Ticket:
    for ticket in batch:
        index -= len(ticket.unit.operations)
        if index < 0:
            return ticket
    return batch[-1]


def _closed(partition: str) -> InvalidError:
    message = "the catalog was closed before this could be sent: nothing of it was applied"
    return InvalidError(message, op="submit", key=partition, kind="invalid.closed")


def _answer(batch: Iterable[Ticket], error: Exception) -> None:
    for ticket in batch:
        ticket.fail(error)


class Seat:
    """A promise to bring one patient unit to a lane: kept by the first `commit`, taken back by leaving without one."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._open = True
        lane.expect(1)

    @property
    def waits(self) -> bool:
        """Whether the next unit waits for others, and not only for the service."""
        return self._open

    async def commit(self, unit: Unit) -> Sequence[Written]:
        """Bring a unit: the first one waits for others, a later one (the first was refused, say) does not."""
        patient, self._open = self._open, False
        return await self._lane.commit(unit, patient=patient)

    def leave(self) -> None:
        """Nobody need wait for this one any more."""
        if self._open:
            self._open = False
            self._lane.expect(-1)
