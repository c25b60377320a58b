"""The rows of a volume that is being loaded: packed into transactions of the partitions of its fresh epoch.

Nothing but inserts is sent, and nobody reads these partitions before the volume has its row. So any of it may be sent
twice, by two who load the same dump too, and a copy that comes late is refused: a row that was inserted stays for ever.
A version, its request's row and, with the last version of a path, the head and its rows in indexes go together, in one
transaction: the version's row tells whether all of them are there. So the indexes are ready when the volume is.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from .columns import file_values, purged_values, purging_values, request_values
from .dumped import DumpedVersion
from .entities import VolumeInfo
from .errors import IntegrityError, OutcomeUnknownError, UnavailableError
from .flow import first_of
from .head_rows import head_inserts
from .keys import RowRange, partition, request_row, shard_of, version_row
from .retry import Deadline
from .table import OPERATIONS_MAX, Insert, RefusedError, Table, total_bytes

TRANSACTIONS_AT_A_TIME: Final = 8
TRANSACTION_BYTES_MAX: Final = 1 << 20
"""Of a transaction of more than one version: less than the service takes, and what a request sends without a pause."""
HELD_BYTES_MAX: Final = 16 << 20
"""Of rows that wait for their transaction to fill, of all partitions together."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The rows of one version."""

    row: str
    chain: str
    inserts: tuple[Insert, ...]
    bytes: int


@dataclass(slots=True)
class _Waiting:
    """What a partition's next transaction has so far."""

    units: list[Unit]
    operations: int = 0
    bytes: int = 0


class LoadRows:
    """Takes versions, and inserts their rows. Made by `inserting`."""

    def __init__(self, table: Table, deadline: Callable[[], Deadline], tasks: asyncio.TaskGroup) -> None:
        self._table = table
        self._deadline = deadline
        self._tasks = tasks
        self._waiting: dict[str, _Waiting] = defaultdict(lambda: _Waiting([]))
        self._held = 0
        self._places = asyncio.Semaphore(TRANSACTIONS_AT_A_TIME)

    def __repr__(self) -> str:
        return f"<LoadRows into {self._table!r}, {self._held:,} bytes wait>"

    async def add(self, info: VolumeInfo, version: DumpedVersion, *, last: bool) -> None:
        """Take a version; `last` is the current one of its path. May wait for others to be inserted.

        Raises: UnavailableError, AccessDeniedError, IntegrityError (something else is there).
        """
        key = partition(info.epoch, shard_of(version.file.path, info.shards))
        unit = _unit(info, key, version, last=last)
        waiting = self._waiting[key]
        if (
            waiting.operations + len(unit.inserts) > OPERATIONS_MAX
            or waiting.bytes + unit.bytes > TRANSACTION_BYTES_MAX
        ):
            await self._send(key)
            waiting = self._waiting[key]
        waiting.units.append(unit)
        waiting.operations += len(unit.inserts)
        waiting.bytes += unit.bytes
        self._held += unit.bytes
        while self._held > HELD_BYTES_MAX:
            await self._send(max(self._waiting, key=lambda each: self._waiting[each].bytes))

    async def flush(self) -> None:
        """Send all that waits."""
        for key in list(self._waiting):
            await self._send(key)

    async def _send(self, key: str) -> None:
        waiting = self._waiting.pop(key)
        await self._places.acquire()
        self._held -= waiting.bytes
        task = self._tasks.create_task(self._insert(key, waiting.units))
        task.add_done_callback(lambda _: self._places.release())

    async def _insert(self, key: str, units: Sequence[Unit]) -> None:
        """Insert all of them. Raises: UnavailableError, AccessDeniedError, IntegrityError (another row is there)."""
        deadline = self._deadline()
        while units:
            try:
                inserts = [insert for unit in units for insert in unit.inserts]
                await deadline.write(lambda inserts=inserts: self._table.submit(key, inserts))  # type: ignore[misc]
                return
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
            units = await deadline.retried(lambda units=units: self._missing(key, units))  # type: ignore[misc]

    async def _missing(self, key: str, units: Sequence[Unit]) -> Sequence[Unit]:
        """Those that are not there yet. Of one partition, all between the first and the last of them are among them."""
        rows = sorted(unit.row for unit in units)
        there: dict[str, object] = {}
        async with aclosing(
            self._table.query(key, RowRange(rows[0], rows[-1] + " "), select=["schema", "chain"])
        ) as pages:
            async for page in pages:
                there.update({entity.row: entity.values.get("chain") for entity in page})
        for unit in units:
            if unit.row in there and there[unit.row] != unit.chain:
                message = f"row {unit.row} of {key} holds another version: this partition is not the load's alone"
                raise IntegrityError(message, op="load", key=unit.row, kind="integrity.row")
        return [unit for unit in units if unit.row not in there]


@asynccontextmanager
async def inserting(table: Table, deadline: Callable[[], Deadline]) -> AsyncIterator[LoadRows]:
    """What takes versions. At the end of the block the rows of all of them are there. Raises: as `LoadRows.add`."""
    try:
        async with asyncio.TaskGroup() as tasks:
            rows = LoadRows(table, deadline, tasks)
            yield rows
            await rows.flush()
    except BaseExceptionGroup as group:
        raise first_of(group) from None


def _unit(info: VolumeInfo, key: str, version: DumpedVersion, *, last: bool) -> Unit:
    file = version.file
    inserts = [Insert(version_row(file.path, file.version), _version_values(version))]
    if file.request_id is not None:
        inserts.append(Insert(request_row(file.path, file.request_id), request_values(file)))
    if last:
        inserts += head_inserts(info, file)
    return Unit(inserts[0].row, file.chain, tuple(inserts), total_bytes(key, inserts))


def _version_values(version: DumpedVersion) -> dict[str, str | int | float | bool]:
    flagged = purging_values(version.purging) if version.purging else {}
    return file_values(version.file) | flagged | (purged_values() if version.purged else {})
