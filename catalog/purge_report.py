"""What a purge tells: of each version what became of it, and at the end how much. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from .errors import CatalogError
from .retention import Sharing

ITEMS_MAX: Final = 1_000

PurgeAction = Literal["purged", "held", "unfinished"]


@dataclass(frozen=True, slots=True)
class PurgeItem:
    """A version whose content was to go, and what became of it."""

    path: str
    version: int
    size: int
    """Of the content, in bytes; versions that share one have the same."""
    action: PurgeAction
    """`purged`: gone for good · `held`: somebody needs it, see by · `unfinished`: see error; the next run goes on."""
    by: str = ""
    """Of what is held: the version that needs it, as `path@version`; the id of a write under way; the blob, where the
    service holds it, see why; or another reason."""
    why: str = ""
    """Of what the service holds: by what, and what to do about it."""
    error: CatalogError | None = None


@dataclass(frozen=True, slots=True)
class PurgeCount:
    """How much had one end."""

    versions: int = 0
    contents: int = 0
    """Blobs: versions may share one."""
    size: int = 0
    """Of the contents, in bytes."""


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a purge did, or with `dry_run` would do."""

    scanned: int
    """Versions that were looked at, deletes included."""
    purged: PurgeCount
    held: PurgeCount
    unfinished: PurgeCount
    purged_before: int
    """Versions whose content was gone already."""
    dry_run: bool = False
    """Whether nothing was done: what is `purged` would be, unless the service holds its blob, or others changed it."""
    items: Sequence[PurgeItem] = ()
    """What is held or unfinished, the first thousand of each; all of it is counted."""

    @property
    def ok(self) -> bool:
        """Whether all that could go is gone. What is held is as it should be."""
        return not self.unfinished.versions


Listener = Callable[[PurgeItem], None]


@dataclass(slots=True)
class Tally:
    """The counts of a run, and who wants to hear of each version."""

    listener: Listener | None
    scanned: int = 0
    purged_before: int = 0
    counts: dict[PurgeAction, PurgeCount] = field(default_factory=dict)
    items: list[PurgeItem] = field(default_factory=list)
    _listed: dict[PurgeAction, int] = field(default_factory=dict)

    def saw(self, scanned: int, purged_before: int) -> None:
        """So many version rows were read."""
        self.scanned += scanned
        self.purged_before += purged_before

    def ended(
        self, sharing: Sharing, action: PurgeAction, by: str = "", why: str = "", *, error: CatalogError | None = None
    ) -> None:
        """That became of all versions that share a content."""
        files = [row.file for row in sharing.rows]
        items = [PurgeItem(file.path, file.version, sharing.size, action, by, why, error) for file in files]
        before = self.counts.get(action, PurgeCount())
        self.counts[action] = PurgeCount(before.versions + len(items), before.contents + 1, before.size + sharing.size)
        if action != "purged":
            self._list(items, action)
        if self.listener:
            for item in items:
                self.listener(item)

    def report(self, *, dry_run: bool) -> PurgeReport:
        """What it comes to."""
        purged, held, unfinished = (self.counts.get(each, PurgeCount()) for each in ("purged", "held", "unfinished"))
        items = tuple(sorted(self.items, key=lambda item: (item.path, -item.version)))
        return PurgeReport(self.scanned, purged, held, unfinished, self.purged_before, dry_run, items)

    def _list(self, items: Iterable[PurgeItem], action: PurgeAction) -> None:
        for item in items:
            if self._listed.get(action, 0) < ITEMS_MAX:
                self._listed[action] = self._listed.get(action, 0) + 1
                self.items.append(item)
