"""Writes of many files, packed: those of one shard go together, so that they share transactions.

Up to ninety-nine begin at once, and their intents are one transaction, with the gate; each commit then waits for a full
one. The first of a shard are thirty-three, while the services wait.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from .commit import Committer, Seat
from .entities import VolumeInfo
from .exchange import partition_of
from .flow import first_of
from .garbage import searched_seldom
from .op import Op
from .protocol import Known
from .table import OPERATIONS_MAX
from .uploads import Ready, SmallFile
from .walk import LocalFile

COHORT: Final = OPERATIONS_MAX - 1
"""Intents in a transaction, with the gate beside them."""
FIRST: Final = OPERATIONS_MAX // 3
"""Files whose commits fill a transaction: of three operations each, more where there are indexes or a change log."""
COHORTS_MAX: Final = 16


class Write(Protocol):
    """Something that will be written."""

    @property
    def op(self) -> Op:
        """As what."""


W = TypeVar("W", bound=Write)


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that will be written, on what is there now."""

    file: LocalFile
    op: Op
    known: Known
    payload: Ready | SmallFile


class Packer(Generic[W]):
    """Gathers what is to be written by shard, and lets it go in cohorts that fill transactions."""

    def __init__(self, volume: VolumeInfo, committer: Committer, write: Callable[[W, Seat], Awaitable[None]]) -> None:
        self._volume = volume
        self._committer = committer
        self._write = write
        self._waiting: dict[str, list[W]] = {}
        self._begun = set[str]()
        self._files_under_way = 0
        self._places = asyncio.Semaphore(COHORTS_MAX)
        self._cohorts = asyncio.TaskGroup()

    @asynccontextmanager
    async def packing(self) -> AsyncIterator[None]:
        """Take things in; at the end let go what is left, and wait for all. Whatever ends it early leaves no task."""
        try:
            with searched_seldom():
                async with self._cohorts:
                    yield
                    for shard in list(self._waiting):
                        await self._go(shard)
        except BaseExceptionGroup as group:
            raise first_of(group) from None

    async def add(self, pending: W) -> None:
        """Take one more; wait where enough are under way."""
        shard = partition_of(self._volume, pending.op.change.path)
        waiting = self._waiting.setdefault(shard, [])
        waiting.append(pending)
        if len(waiting) == COHORT or (len(waiting) >= FIRST and self._may_go_early(shard)):
            await self._go(shard)

    def _may_go_early(self, shard: str) -> bool:
        """Whether the services wait for us: then the first cohort of a shard need not be full."""
        return self._files_under_way < FIRST and shard not in self._begun

    async def _go(self, shard: str) -> None:
        cohort = self._waiting.pop(shard)
        self._begun.add(shard)
        self._files_under_way += len(cohort)
        await self._places.acquire()
        self._cohorts.create_task(self._run(shard, cohort))

    async def _run(self, shard: str, cohort: list[W]) -> None:
        """All of them begin at once, so that their intents are one transaction; each commit waits for a full one."""
        lane = self._committer.lane(shard)
        try:
            async with asyncio.TaskGroup() as writes:
                for pending in cohort:
                    writes.create_task(self._seated(pending, Seat(lane)))
        finally:
            self._places.release()
            self._files_under_way -= len(cohort)

    async def _seated(self, pending: W, seat: Seat) -> None:
        try:
            await self._write(pending, seat)
        finally:
            seat.leave()
