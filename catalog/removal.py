"""Deletes volumes: drives `deletion` step by step against the registry and the shards. It decides nothing.

Whoever is stopped by a deletion that nobody finishes, helps it along: a writer whose gate is gone, `create_volume` of
the same name, recovery.

A survey meets a file where a head is none of a delete; and also where rows do not tell whether there is one: a version
that nothing has replaced and whose head is lost, or a row that this blobcat does not know. Then the volume stays, too,
and is open again: what can mend it is `reconcile`, which writes.
"""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final, TypeGuard

from .browse import LIVE
from .columns import IN_PART, SCHEMA, parse_file, parse_in_part
from .deletion import (
    Advance,
    Deletion,
    DeletionNext,
    DeletionRequest,
    DeletionResult,
    Gone,
    Kept,
    Met,
    ReadVolume,
    Remove,
    Settle,
    Survey,
    Turn,
    Unfinished,
    delete,
    deletion_step,
    help_along,
)
from .driving import drive, proven
from .entities import FileVersion, VolumeInfo
from .errors import (
    CatalogError,
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from .keys import GATES, gate_generation, gate_row, head_row, heads, partition, shut_gate_row
from .kinds import BESIDE_HEADS, NEWER, kind_of
from .listing import Lister
from .messages import Absent, Answer, Done, Failed, Found, Refused
from .recovery import Recovered, RecoveredVolume, Recovery, RecoveryReport
from .registry import Volumes
from .retry import Deadline
from .rows import Entity
from .table import Delete, Insert, Operation
from .wanted import check_volume_name

DAMAGE: Final = (IntegrityError, InvalidError)
"""What is wrong with rows, and stays so until somebody mends them, or upgrades."""


@dataclass(frozen=True, slots=True)
class Damaged(Met):
    """Whether there is a file cannot be told: the volume stays, as with one."""

    error: CatalogError


def _is_over(request: DeletionRequest | DeletionResult) -> TypeGuard[DeletionResult]:
    return isinstance(request, DeletionResult)


@contextmanager
def _told(info: VolumeInfo, ended: list[RecoveredVolume]) -> Iterator[None]:
    """A volume that cannot be recovered keeps no other from it: its error is in the report."""
    try:
        yield
    except CatalogError as exc:
        ended.append(RecoveredVolume(info.name, info.epoch, "failed", exc))


class Removal:
    """Deletes the volumes of one catalog."""

    def __init__(self, volumes: Volumes, recovery: Recovery, lister: Lister) -> None:
        self._volumes = volumes
        self._recovery = recovery
        self._lister = lister

    def __repr__(self) -> str:
        return f"<Removal by {self._recovery!r}>"

    def within(self, timeout_s: float | None) -> "Removal":
        """It, for a call with a time limit of its own. Raises: InvalidError."""
        return Removal(
            self._volumes.within(timeout_s), self._recovery.within(timeout_s), self._lister.within(timeout_s)
        )

    async def delete(self, name: str) -> None:
        """Delete a volume.

        Raises: NotFoundError, ConflictError (it has a file, and stays), AccessDeniedError, UnavailableError (it was
        not begun), OutcomeUnknownError (it was: whoever comes next brings it to its end), IntegrityError (rows of it
        are lost), InvalidError (rows of it are not understood). With one of the last two, too, it stays.
        """
        deadline = self._lister.deadline()
        info = await self._volumes.get(check_volume_name(name), deadline, op="delete_volume")  # None: the default one
        result, damage = await self._drive(info, delete(), deadline)
        match result:
            case Kept() if damage:
                raise damage
            case Kept(path):
                message = f"volume {name!r} has files, {path!r} for one: only an empty volume can be deleted"
                raise ConflictError(message, found=path, op="delete_volume", key=name, kind="conflict.not-empty")
            case Unfinished(IntegrityError() as error):  # nobody can bring it to its end
                raise error
            case Unfinished(error, begun=True):
                message = f"volume {name!r} may or may not be deleted ({error}): do it again, or recover"
                raise OutcomeUnknownError(message, op="delete_volume", key=name) from error
            case Unfinished(error):
                raise error

    async def help_along(self, info: VolumeInfo, deadline: Deadline) -> bool:
        """Bring a deletion to its end that somebody began; whether the volume is gone.

        Raises: AccessDeniedError, UnavailableError, IntegrityError (rows of it are lost).
        """
        result, _ = await self._drive(info, help_along(), deadline)
        match result:
            case Unfinished(UnavailableError() | OutcomeUnknownError() as error):
                message = f"volume {info.name!r} is being deleted, and that could not be brought to its end ({error})"
                raise UnavailableError(message, op="recover", key=info.name, kind="unavailable.closing") from error
            case Unfinished(error):
                raise error
            case _:
                return isinstance(result, Gone)

    async def recover(self, patience_s: float | None) -> RecoveryReport:
        """Recover all volumes; end deletions that somebody began; remove what came late in volumes that are gone.

        Raises: NotFoundError (no catalog), AccessDeniedError, UnavailableError where the volumes cannot be listed.
        """
        items, ended = list[Recovered](), list[RecoveredVolume]()
        async with aclosing(self._volumes.all()) as volumes:
            async for info in volumes:
                with _told(info, ended):
                    if info.state == "open" or await self._stays(info, ended):
                        items += await self._recovered(info, patience_s)
        async with aclosing(self._volumes.unswept()) as rows:
            async for row in rows:
                with _told(row.info, ended):
                    late = await self._recovery.run(row.info, patience_s=patience_s)
                    items += late
                    if not late:
                        await self._volumes.swept(row)
        return RecoveryReport(tuple(items), tuple(ended))

    async def _stays(self, info: VolumeInfo, ended: list[RecoveredVolume]) -> bool:
        """Bring the deletion of a volume to its end, and note how it went; whether the volume is there after that."""
        gone = await self.help_along(info, self._lister.deadline())
        ended.append(RecoveredVolume(info.name, info.epoch, "deleted" if gone else "kept"))
        return not gone

    async def _recovered(self, info: VolumeInfo, patience_s: float | None) -> list[Recovered]:
        try:
            return await self._recovery.run(info, patience_s=patience_s)
        except NotFoundError as exc:
            if exc.kind != "not-found.volume":
                raise
            return []  # deleted meanwhile; its record is among the unswept ones, and what is left comes up there

    async def _drive(
        self, info: VolumeInfo, first: DeletionNext, deadline: Deadline
    ) -> tuple[DeletionResult, CatalogError | None]:
        """Drive it to its end; where a volume was kept for its damage, that too."""
        damage: CatalogError | None = None

        async def send(_: Deletion, request: DeletionRequest) -> Answer | Met:
            nonlocal damage
            answer = await self._send(info, request, deadline)
            if isinstance(request, Survey):
                damage = answer.error if isinstance(answer, Damaged) else None
            if isinstance(answer, Refused):
                await deadline.pause()
            return answer

        result = (await drive(first, ends=_is_over, send=send, step=deletion_step, deadline=deadline))[1]
        return result, damage

    async def _send(self, info: VolumeInfo, request: DeletionRequest, deadline: Deadline) -> Answer | Met:
        """Send a request once, and say what its answer proves."""
        try:
            match request:
                case ReadVolume():
                    row = await self._volumes.row(info, deadline)
                    return Absent() if row is None else Found(row)
                case Turn(row, state, generation):
                    await self._volumes.turn(row, state, generation, deadline)
                case Remove(row):
                    await self._volumes.remove(row, deadline)
                case Advance(shard):
                    return await self._advance(partition(info.epoch, shard), request, deadline)
                case Settle(row, shard):
                    return await self._settle(row.info, shard, deadline)
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
            return Failed(IntegrityError(message, op="delete_volume", key=shard, kind="integrity.gate"))
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

    async def _settle(self, info: VolumeInfo, shard: int, deadline: Deadline) -> Answer:
        """Recover until there is nothing to settle: what was settled may have been one half of a move."""
        while not deadline.passed:
            recovery = self._recovery.within(deadline.left_s)
            items = await recovery.run(info, patience_s=0, shards=[shard])
            errors = [item.error for item in items if item.error]
            if errors:
                return Failed(errors[0])
            if RecoveryReport(tuple(items)).quiet:
                return Done()
        message = f"shard {shard} of volume {info.name!r} always had something to settle"
        return Failed(UnavailableError(message, op="delete_volume", key=info.name, kind="unavailable.deadline"))

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
