"""What an ingest tells: how far it has come, and at the end what it did. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .entities import FileVersion
from .walk import Failure


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest has come."""

    found: int = 0
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    bytes_written: int = 0
    walked: bool = False
    """Whether `found` is all there is."""


Progress = Callable[[IngestProgress], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did. `failed` is empty where every file of the tree is in the catalog."""

    written: int
    unchanged: int
    """Also what another writer was faster to write, if it was the same."""
    bytes_written: int
    failed: Sequence[Failure] = ()
    links_skipped: int = 0
    """Links to folders: they are not followed."""

    @property
    def ok(self) -> bool:
        """Whether every file of the tree is in the catalog."""
        return not self.failed


@dataclass(slots=True)
class Tally:
    """The counts of a run, and who wants to hear of them."""

    listener: Progress | None
    found: int = 0
    written: int = 0
    unchanged: int = 0
    bytes_written: int = 0
    links_skipped: int = 0
    walked: bool = False
    failed: list[Failure] = field(default_factory=list)

    def tell(self) -> None:
        """Say how far it has come."""
        if self.listener:
            self.listener(
                IngestProgress(
                    self.found, self.written, self.unchanged, len(self.failed), self.bytes_written, self.walked
                )
            )

    def keep(self) -> None:
        """Count a file that is there already."""
        self.unchanged += 1
        self.tell()

    def write(self, file: FileVersion) -> None:
        """Count a file that was written."""
        self.written += 1
        self.bytes_written += file.size
        self.tell()

    def fail(self, failure: Failure) -> None:
        """Count a file that did not get in."""
        self.failed.append(failure)
        self.tell()

    def report(self) -> IngestReport:
        """The end of it."""
        failed = tuple(sorted(self.failed, key=lambda failure: failure.path))
        return IngestReport(self.written, self.unchanged, self.bytes_written, failed, self.links_skipped)
