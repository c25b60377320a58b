"""Who reconciles, what there is to be repaired, and what others do to the very same file at the same time."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from catalog import (
    Brake,
    Catalog,
    ConflictError,
    Create,
    FileVersion,
    IfVersion,
    IntegrityError,
    NotFoundError,
    Plan,
    PurgeReport,
    UnavailableError,
)
from catalog.reconcile.apply_report import ApplyReport
from catalog.reconcile.plan import Orphans
from catalog.reconcile.undo import UndoReport
from storage import Digests, Headers, IfAbsent
from tests.faults.scenarios import FAR
from tests.harness.recorder import Recorded
from tests.races.pairs import Call, delete, move, put, recover, set_metadata
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene

BRAKE = Brake(1.0, 1_000)
"""Lets everything pass: what is tried here is what others do, not how much is deleted."""


@dataclass(frozen=True, slots=True)
class Reconciles:
    """Compares, and carries out what comes of it."""

    orphans: Orphans = "quarantine"

    async def __call__(self, catalog: Catalog, _: Recorded) -> ApplyReport:
        plan = await self.plan(catalog)
        return await plan.apply(brake=BRAKE, force=plan.sha256, patience_s=0)

    async def plan(self, catalog: Catalog) -> Plan:
        """What there is to do."""
        return await catalog.reconcile("v", orphans=self.orphans, patience_s=0, work=mkdtemp())


@dataclass(frozen=True, slots=True)
class Applies:
    """Carries out a plan that was made before: nothing need be as it says. Each has a journal of its own."""

    plan: Path = Path()
    journal: str = ""

    async def __call__(self, catalog: Catalog, _: Recorded) -> object:
        plan = catalog.plan(self.plan)
        journal = self.plan.with_name(self.journal)
        return await plan.apply(journal=journal, brake=BRAKE, force=plan.sha256, patience_s=0)


@dataclass(frozen=True, slots=True)
class Undoes:
    """Takes back what was applied before."""

    journal: Path = Path()

    async def __call__(self, catalog: Catalog, _: Recorded) -> object:
        return await catalog.undo(self.journal)


async def purge(_: Catalog, volume: Recorded) -> object:
    return await volume.volume.purge(keep_versions=1)


async def read(_: Catalog, volume: Recorded) -> object:
    """Read it twice. What is broken is an error, and never anything else."""
    for _once in range(2):
        try:
            await volume.read("a")
        except (IntegrityError, NotFoundError):
            continue
    return []


async def copy(_: Catalog, volume: Recorded) -> object:
    return await volume.copy("a", "b")


async def restore(_: Catalog, volume: Recorded) -> object:
    return await volume.restore("a", 1)


# --- What there is to be repaired ------------------------------------------------------------------------------------


async def orphan(scene: Scene, path: str) -> None:
    """Content of ours, whole, that no row speaks of; the file is there, made by others."""
    await scene.subject(path)
    data = b"of nobody"
    digests = Digests.of(data)
    metadata = {"op": injury.op_of(path), "path": path, "sha256": digests.sha256, "size": f"{len(data)}"}
    headers = Headers("text/plain", digests.md5, metadata)
    await scene.content.put(injury.blob_of(scene, path), data, when=IfAbsent(), headers=headers)


async def aborted(scene: Scene, path: str) -> None:
    """Content of a put that was given up; the file is there."""
    await scene.subject(path)
    await injury.aborted_and_late(scene, path)


async def in_flight(scene: Scene, path: str) -> None:
    """An intent whose writer is gone; the file is there."""
    await scene.subject(path)
    await injury.begun(scene, path, "put")


INJURIES: Mapping[str, Callable[[Scene, str], Awaitable[None]]] = {
    "touched": injury.touched,
    "stripped": injury.headers_stripped,
    "missing": injury.deleted,
    "overwritten": injury.overwritten,
    "no-head": injury.head_removed,
    "old-head": injury.head_rolled_back,
    "no-version": injury.newest_version_removed,
    "orphan": orphan,
    "aborted": aborted,
    "in-flight": in_flight,
    "flagged": injury.purge_begun,
    "half-purged": injury.purge_half_done,
    "touched-in-index": injury.touched,
    "no-head-in-index": injury.head_removed,
    "no-index-row": injury.index_rows_removed,
    "old-index-row": injury.index_row_left,
    "no-mark": injury.mark_removed,
}
INDEXED = ("touched-in-index", "no-head-in-index", "no-index-row", "old-index-row", "no-mark")
"""In a volume with indexes."""
BLOCKING = ("no-head", "old-head", "no-head-in-index")
"""Whoever writes waits until they are repaired, or gives up."""
BURIED = ("no-version",)
"""Whoever writes first buries what only the head said: then it is reported, and stays lost."""

FILE, CONFLICT, GONE = FileVersion, ConflictError, NotFoundError

OTHERS: Mapping[str, tuple[Call, set[type]]] = {
    "create": (put(b"1", Create()), {CONFLICT}),
    "create-elsewhere": (put(b"1", Create(), "c"), {FILE}),
    "overwrite": (put(b"1"), {FILE}),
    "if-version": (put(b"1", IfVersion(2)), {FILE}),
    "delete": (delete, {FILE}),
    "set_metadata": (set_metadata, {FILE}),
    "restore": (restore, {FILE, GONE}),
    "copy": (copy, {FILE}),
    "move": (move("a", "b"), {FILE}),
    "move-apart": (move("a", FAR), {FILE}),
    "recover": (recover, {list}),
    "read": (read, {list}),
    "purge": (purge, {PurgeReport}),
    "reconcile": (Reconciles(), {ApplyReport}),
}
"""What others do, and how it may end where nothing keeps it from its end."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A thing to be repaired, somebody who repairs it, and somebody else."""

    injury: str
    other: str
    stale: bool = False
    """Whether the plan was made before the two begin."""

    def __str__(self) -> str:
        return f"{self.injury}-{self.other}{'-stale' if self.stale else ''}"

    @property
    def shards(self) -> int:
        """Of the volume: two where a file goes from one to the other."""
        return 2 if self.other == "move-apart" else 1

    @property
    def reconciles(self) -> Reconciles:
        """Who repairs; what can be lost for good is not put aside, too."""
        return Reconciles("report" if self.injury in BURIED else "quarantine")

    @property
    def ends(self) -> set[type]:
        """How the other call may end."""
        if self.other == "undo":
            return {UndoReport}
        ends = OTHERS[self.other][1]
        if self.injury in BLOCKING and self.other not in ("recover", "read", "purge", "reconcile"):
            return {*ends, UnavailableError, GONE, FILE, CONFLICT}
        if self.injury in BURIED and self.other == "copy":
            return {*ends, UnavailableError}
        return ends
