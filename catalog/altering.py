"""What it takes to alter a volume that is there, for those who do: `indexing` and `log_switch`."""

from dataclasses import dataclass

from .alterations import Alteration
from .entities import VolumeInfo
from .listing import Lister
from .registry import Volumes
from .removal import Removal
from .retry import Deadline
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Altering:
    """The registry, who turns gates, and who writes and reads rows: all with one time limit for each request."""

    volumes: Volumes
    removal: Removal
    writer: Writer
    lister: Lister

    def within(self, timeout_s: float | None) -> "Altering":
        """It, with another time limit. Raises: InvalidError."""
        return Altering(
            self.volumes.within(timeout_s),
            self.removal.within(timeout_s),
            self.writer.within(timeout_s),
            self.lister.within(timeout_s),
        )

    def deadline(self) -> Deadline:
        """The time limit of a request that begins now."""
        return self.writer.deadline()

    async def current(self, info: VolumeInfo) -> VolumeInfo:
        """The volume as it is by now, open for writes. Raises: NotFoundError, UnavailableError."""
        return await self.writer.current(info, self.deadline())

    async def altered(self, info: VolumeInfo, wish: Alteration, op: str) -> VolumeInfo:
        """The volume with other settings in force. Raises: as `Removal.alter`."""
        return await self.removal.alter(info, wish, self.deadline(), op=op)
