"""Turns the gates of volumes: drives `turnover` step by step against the registry and the shards. It decides nothing.

A survey meets a file where a head is none of a delete; and also where rows do not tell whether there is one: a version
that nothing has replaced and whose head is lost, or a row that this blobcat does not know. Then the volume stays, too,
and is open again: what can mend it is `reconcile`, which writes.
"""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeGuard

from .columns import IN_PART, SCHEMA, parse_file, parse_in_part
from .driving import drive, proven
from .entities import FileVersion, VolumeInfo
from .errors import CatalogError, IntegrityError, InvalidError, UnavailableError
from .keys import GATES, gate_generation, gate_row, head_row, heads, partition, shut_gate_row
from .kinds import BESIDE_HEADS, LIVE, NEWER, kind_of
from .listing import Lister
from .messages import Absent, Answer, Done, Failed, Found, Refused
from .recovery import Recovery, RecoveryReport
from .registry import Volumes
from .retry import Deadline
from .rows import Entity
from .table import Delete, Insert, Operation
from .turnover import (
    Advance,
    Met,
    ReadVolume,
    Remove,
    Settle,
    Survey,
    Turn,
    Turnover,
    TurnoverNext,
    TurnoverRequest,
    TurnoverResult,
    turnover_step,
)

DAMAGE: Final = (IntegrityError, InvalidError)
"""What is wrong with rows, and stays so until somebody mends them, or upgrades."""


@dataclass(frozen=True, slots=True)
class Damaged(Met):
    """Whether there is a file cannot be told: the volume stays, as with one."""

    error: CatalogError


def _is_over(request: TurnoverRequest | TurnoverResult) -> TypeGuard[TurnoverResult]:
    return isinstance(request, TurnoverResult)


class Gates:
    """Turns the gates of the volumes of one catalog."""

    def __init__(self, volumes: Volumes, recovery: Recovery, lister: Lister) -> None:
        self._volumes = volumes
        self._recovery = recovery
        self._lister = lister

    def __repr__(self) -> str:
        return f"<Gates by {self._recovery!r}>"

    def within(self, timeout_s: float | None) -> "Gates":
        """It, for a call with a time limit of its own. Raises: InvalidError."""
        return Gates(self._volumes.within(timeout_s), self._recovery.within(timeout_s), self._lister.within(timeout_s))

    async def turn(
        self, info: VolumeInfo, first: TurnoverNext, deadline: Deadline, *, grace_s: float = 0
    ) -> tuple[TurnoverResult, CatalogError | None]:
        """Drive a turnover to its end; where a volume was kept for its damage, that too.

        `grace_s`: for how long the writes under older settings are waited for, before they are aborted and start over.
        """
        damage: CatalogError | None = None
        grace_until = deadline.now() + grace_s

        async def send(_: Turnover, request: TurnoverRequest) -> Answer | Met:
            nonlocal damage
            answer = await self._send(info, request, deadline, grace_until)
            if isinstance(request, Survey):
                damage = answer.error if isinstance(answer, Damaged) else None
            if isinstance(answer, Refused):
                await deadline.pause()
            return answer

        result = (await drive(first, ends=_is_over, send=send, step=turnover_step, deadline=deadline))[1]
        return result, damage

    async def _send(
        self, info: VolumeInfo, request: TurnoverRequest, deadline: Deadline, grace_until: float
    ) -> Answer | Met:
        """Send a request once, and say what its answer proves."""
        try:
            match request:
                case ReadVolume():
                    row = await self._volumes.row(info, deadline)
                    return Absent() if row is None else Found(row)
                case Turn(row, to):
                    await self._volumes.turn(row, to, deadline)
                case Remove(row):
                    await self._volumes.remove(row, deadline)
                case Advance(shard):
                    return await self._advance(partition(info.epoch, shard), request, deadline)
                case Settle(row, shard, older):
                    return await self._settle(
                        row.info, shard, deadline, older=older, grace_until=grace_until if older else 0
                    )
                case Survey(shard):
                    return await self._survey(info, shard, deadline)
        except CatalogError as exc:
            return proven(exc, reading=isinstance(request, ReadVolume | Survey))
        return Done()

    async def _advance(self, shard: str, to: Advance, deadline: Deadline) -> Answer:
        rows = await deadline.read(lambda: self._rows(shard))
        gates = {gate_generation(row.row): row.row for row in rows}
        if not gates:
            message = f"shard {shard} has no gate: rows of the table are lost"
            return Failed(IntegrityError(message, op="turn", key=shard, kind="integrity.gate"))
        there = max(gates)
        if there >= to.generation:
            return Done() if there == to.generation else Refused()
        gate = (shut_gate_row if to.shut else gate_row)(to.generation)
        change: list[Operation] = [Delete(gates[there]), Insert(gate, {"schema": SCHEMA})]
        await deadline.write(lambda: self._lister.table.submit(shard, change))
        return Done()

    async def _rows(self, shard: str) -> list[Entity]:
        async with aclosing(self._lister.table.query(shard, GATES)) as pages:
            return [row async for page in pages for row in page]

    async def _settle(
        self, info: VolumeInfo, shard: int, deadline: Deadline, *, older: bool, grace_until: float
    ) -> Answer:
        """Recover until there is nothing to settle: what was settled may have been one half of a move."""
        while not deadline.passed:
            recovery, patience_s = self._recovery.within(deadline.left_s), None if deadline.now() < grace_until else 0
            items = await recovery.run(
                info, patience_s=patience_s, shards=[shard], older_than=info.generation if older else None
            )
            errors = [item.error for item in items if item.error]
            if errors:
                return Failed(errors[0])
            if RecoveryReport(tuple(items)).quiet:
                return Done()
            if patience_s is None:
                await deadline.pause()
        message = f"shard {shard} of volume {info.name!r} always had something to settle"
        return Failed(UnavailableError(message, op="turn", key=info.name, kind="unavailable.deadline"))

    async def _survey(self, info: VolumeInfo, shard: int, deadline: Deadline) -> Answer | Met:
        key, lister = partition(info.epoch, shard), self._lister.within(deadline.left_s)
        try:
            return await self._file(info.name, key, lister) or Absent()
        except DAMAGE as error:
            return Damaged(error.key or key, error)

    async def _file(self, name: str, shard: str, lister: Lister) -> Met | None:
        """A file of a shard, if there is one. Raises: IntegrityError, InvalidError, where that cannot be told."""
        async with aclosing(lister.rows(shard, heads(""), where=LIVE | NEWER)) as rows:
            async for row in rows:
                return Met(parse_file(name, row).path)
        path = ""
        for part in BESIDE_HEADS:
            async with aclosing(lister.rows(shard, part, select=IN_PART)) as rows:
                async for row in rows:
                    if kind_of(row, "delete_volume") != "v":
                        continue
                    version = parse_in_part(name, row)
                    if version.file.path == path or version.purged:
                        continue
                    path = version.file.path  # the newest comes first
                    if version.file.kind != "delete" and await self._is_live(version.file, shard, lister):
                        return Met(path)
        return None

    async def _is_live(self, file: FileVersion, shard: str, lister: Lister) -> bool:
        """Whether a path whose newest row is no delete has a file: else the row of the delete is lost, and no more."""
        head = await lister.deadline().retried(lambda: lister.table.get(shard, head_row(file.path)))
        if head is None:
            message = (
                f"{file.path!r} is a file, version {file.version}, but its head row is lost: run blobcat reconcile"
            )
            raise IntegrityError(message, op="delete_volume", key=file.path, kind="integrity.head")
        return LIVE.holds(head.values)
