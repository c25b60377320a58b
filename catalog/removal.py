"""Deletes volumes, alters them, and ends what somebody began: recovery of a whole catalog. See `turnover` for how.

Whoever is stopped by a turnover that nobody finishes, helps it along: a writer whose gate is gone, `create_volume` of
the same name, recovery.
"""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Final, Literal

from .alterations import Alteration
from .entities import VolumeInfo
from .errors import (
    CatalogError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from .gates import Gates
from .listing import Lister
from .recovery import Recovered, RecoveredVolume, Recovery, RecoveryReport
from .registry import Volumes
from .retry import Deadline
from .turnover import Gone, Kept, Unfinished, alter, delete, help_along
from .wanted import check_volume_name

GRACE_S: Final = 5
"""For so long the writes of others are waited for that began under settings that are being replaced."""


@contextmanager
def _told(info: VolumeInfo, ended: list[RecoveredVolume]) -> Iterator[None]:
    """A volume that cannot be recovered keeps no other from it: its error is in the report."""
    try:
        yield
    except CatalogError as exc:
        ended.append(RecoveredVolume(info.name, info.epoch, "failed", exc))


class Removal:
    """Deletes and alters the volumes of one catalog."""

    def __init__(self, volumes: Volumes, recovery: Recovery, lister: Lister) -> None:
        self._volumes = volumes
        self._recovery = recovery
        self._lister = lister
        self._gates = Gates(volumes, recovery, lister)

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
        result, damage = await self._gates.turn(info, delete(), deadline)
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

    async def help_along(self, info: VolumeInfo, deadline: Deadline, *, grace_s: float = GRACE_S) -> bool:
        """Bring to its end what somebody began, a deletion or other settings; whether the volume is gone.

        Raises: AccessDeniedError, UnavailableError, IntegrityError (rows of it are lost).
        """
        result, _ = await self._gates.turn(info, help_along(), deadline, grace_s=grace_s)
        match result:
            case Unfinished(UnavailableError() | OutcomeUnknownError() as error):
                change = "its settings are being changed" if info.state == "turning" else "it is being deleted"
                message = f"volume {info.name!r}: {change}, and that could not be brought to its end ({error})"
                raise UnavailableError(message, op="recover", key=info.name, kind="unavailable.closing") from error
            case Unfinished(error):
                raise error
            case _:
                return isinstance(result, Gone)

    async def alter(self, info: VolumeInfo, wish: Alteration, deadline: Deadline, *, op: str) -> VolumeInfo:
        """Put other settings in force; the volume with them. Nobody with older ones can write any more.

        Raises: ConflictError (it cannot be altered so), NotFoundError (it is gone), AccessDeniedError,
        UnavailableError (it was not begun), OutcomeUnknownError (it was: whoever comes next brings it to its end),
        IntegrityError (rows of it are lost).
        """
        result, _ = await self._gates.turn(info, alter(wish), deadline, grace_s=GRACE_S)
        match result:
            case Gone():
                message = f"volume {info.name!r} was deleted"
                raise NotFoundError(message, op=op, key=info.name, kind="not-found.volume")
            case Unfinished(UnavailableError() | OutcomeUnknownError() as error, begun=True):
                message = f"{op} of volume {info.name!r} was begun, and not brought to its end ({error}): do it again"
                raise OutcomeUnknownError(message, op=op, key=info.name) from error
            case Unfinished(error):
                raise error
        return await self._volumes.reload(info, deadline)

    async def recover(self, patience_s: float | None) -> RecoveryReport:
        """Recover all volumes; end deletions that somebody began; remove what came late in volumes that are gone.

        Raises: NotFoundError (no catalog), AccessDeniedError, UnavailableError where the volumes cannot be listed.
        """
        items, ended = list[Recovered](), list[RecoveredVolume]()
        async with aclosing(self._volumes.all()) as volumes:
            async for info in volumes:
                with _told(info, ended):
                    if info.state == "open" or await self._stays(info, ended, patience_s):
                        items += await self._recovered(info, patience_s)
        async with aclosing(self._volumes.unswept()) as rows:
            async for row in rows:
                with _told(row.info, ended):
                    late = await self._recovery.run(row.info, patience_s=patience_s)
                    items += late
                    if not late:
                        await self._volumes.swept(row)
        return RecoveryReport(tuple(items), tuple(ended))

    async def _stays(self, info: VolumeInfo, ended: list[RecoveredVolume], patience_s: float | None) -> bool:
        """Bring to its end what is being done to a volume, and note how it went; whether it is there after that."""
        grace_s = GRACE_S if patience_s is None else min(patience_s, GRACE_S)
        gone = await self.help_along(info, self._lister.deadline(), grace_s=grace_s)
        stays: Literal["altered", "kept"] = "altered" if info.state == "turning" else "kept"
        ended.append(RecoveredVolume(info.name, info.epoch, "deleted" if gone else stays))
        return not gone

    async def _recovered(self, info: VolumeInfo, patience_s: float | None) -> list[Recovered]:
        try:
            return await self._recovery.run(info, patience_s=patience_s)
        except NotFoundError as exc:
            if exc.kind != "not-found.volume":
                raise
            return []  # deleted meanwhile; its record is among the unswept ones, and what is left comes up there
