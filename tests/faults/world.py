"""A service in this process, and the clients that use it, each behind a wire of its own."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from types import TracebackType
from typing import ParamSpec, Protocol, Self, TypeVar, cast

from catalog import Catalog, Settings
from catalog.retry import Clock
from catalog.sqlite_table import SqliteTable
from catalog.table import Table
from catalog.threads import ShortCalls
from storage import Blob, ContentStore
from storage.memory import Container, MemoryContent
from tests.faults.observer import State, look
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock, Wire
from tests.faults.scenarios import Scenario, prepare
from tests.harness.invariants import Running, check, no_task_is_left, no_thread_is_left

P = ParamSpec("P")
T = TypeVar("T")

SETTINGS = Settings(one_shot_bytes=24, block_bytes=8, request_timeout_s=0.05)
"""Content of some dozen bytes is staged in blocks; a request that hangs costs little."""
PAGE_ROWS = 3
"""So few that pages end in the middle of things."""


class Mortal(Protocol):
    """What a client sends through, that can die."""

    crashed: asyncio.Event


class Inline(ThreadPoolExecutor):
    """Does at once what a thread would do: quicker for little work, and always in the same order.

    What it returns is the event loop's own kind of future, so that nobody has to be woken for what is done.
    """

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """See Executor."""
        done = cast("Future[T]", asyncio.get_running_loop().create_future())
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 — whatever it is, it is for the caller
            done.set_exception(error)
        return done


INLINE = Inline(1)


@dataclass(frozen=True, slots=True)
class Beginning:
    """All that there is in a world, and the next id: other worlds may go on from there, which costs them nothing."""

    rows: bytes
    blobs: Mapping[str, tuple[Blob, bytes]]
    staged: Mapping[str, Mapping[str, bytes]]
    next_id: int


LAST: list[tuple[object, Beginning]] = []
"""What the last world began with, and how that was."""


class World:
    """A table and a container, in memory unless given, and whoever is connected. Ids are numbers, time is virtual.

    At its end, whatever was done in it, the invariants of any moment hold; no task or thread of its clients is left.
    """

    def __init__(
        self,
        settings: Settings = SETTINGS,
        *,
        table: Table | None = None,
        content: ContentStore | None = None,
    ) -> None:
        self._alone = not table and not content
        self._container = Container()
        self.table = table or in_memory()
        self.content = content or MemoryContent(self._container)
        self._settings = settings
        self._clients: list[tuple[Catalog, Wire]] = []
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        self._before = Running()
        await self.table.create()
        await self.content.create()
        return self

    async def begin_as(self, of: object, make: Callable[["World"], Awaitable[None]]) -> None:
        """Bring the service to where something begins: by making it so, or as it was made for the last world."""
        if LAST and LAST[0][0] is of and self._alone:
            self._go_on(LAST[0][1])
            return
        await make(self)
        if self._alone:
            rows, blobs = database_of(self.table).serialize(), dict(self._container.blobs)
            LAST[:] = [(of, Beginning(rows, blobs, deepcopy(self._container.staged), next(self._ids)))]
            self._go_on(LAST[0][1])

    def _go_on(self, beginning: Beginning) -> None:
        database_of(self.table).deserialize(beginning.rows)
        self._container.blobs.update(beginning.blobs)
        self._container.staged.update({name: dict(blocks) for name, blocks in beginning.staged.items()})
        self._ids = count(beginning.next_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client, wire in self._clients:
            await client.close()
            await wire.settle()
        state = await self.look()
        await self.table.close()
        await self.content.close()
        if exc is None:  # what a test has found already is the better news
            check(state)
            no_task_is_left(self._before)
            no_thread_is_left(self._before)

    def client(
        self,
        wire: Wire | None = None,
        *,
        table: Table | None = None,
        clock: Clock | None = None,
        name: str = "",
        settings: Settings | None = None,
    ) -> Catalog:
        """A client with a wire, healthy or not; or with a table of its own kind; or with ids of its own, by a name."""
        wire, ids = wire or Wire(), count(1) if name else self._ids
        catalog = Catalog(
            table or FaultTable(self.table, wire),
            FaultContent(self.content, wire),
            settings=settings or self._settings,
            writer="test",
            clock=clock or VirtualClock(),
            new_id=lambda: f"{name}{next(ids):0{26 - len(name)}d}",
            threads=INLINE,
        )
        self._clients.append((catalog, wire))
        return catalog

    async def prepare(self, scenario: Scenario) -> State:
        """Bring the service to where a scenario begins, and look at it."""

        async def make(world: World) -> None:
            await prepare(world.client(), scenario)
            for path, requests in scenario.half_done.items():
                await world.leave_half_done(path, requests)

        await self.begin_as(scenario, make)
        return await look(self.table, self.content)

    async def leave_half_done(self, path: str, requests: int) -> None:
        """Begin a put, and kill its client after so many requests of it."""
        wire = Wire()  # none of whose requests hangs: a slow disk is no fault
        volume = await self.client(wire, settings=replace(self._settings, request_timeout_s=60)).volume("v")
        wire.at, wire.fault = len(wire.sent) + requests, Fault.CRASH_AFTER
        assert await outlived(wire, volume.put(path, b"never seen")) is None

    async def look(self) -> State:
        """What there is."""
        return await look(self.table, self.content)


def in_memory() -> SqliteTable:
    """A table without threads, of small pages."""
    table = SqliteTable(":memory:", page_rows=PAGE_ROWS)
    table._writer = table._readers = INLINE
    table._reads = ShortCalls(INLINE)
    return table


def database_of(table: Table) -> sqlite3.Connection:
    """The one connection of a table in memory."""
    assert isinstance(table, SqliteTable)
    return table._connection()


async def outlived(wire: Mortal, call: Awaitable[object]) -> object:
    """What a call returned, or None where its client was killed first."""
    task = asyncio.ensure_future(call)
    death = asyncio.ensure_future(wire.crashed.wait())
    try:
        await asyncio.wait([task, death], return_when=asyncio.FIRST_COMPLETED)
        return None if wire.crashed.is_set() else await task
    finally:
        for each in (task, death):
            each.cancel()
        await asyncio.gather(task, death, return_exceptions=True)


def writes(sent: Sequence[str]) -> list[str]:
    """The requests that may have changed something."""
    reads = ("get", "query", "next", "stat", "open", "chunk", "list")
    return [name for name in sent if name.split(".")[1] not in reads]
