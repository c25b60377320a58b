"""The reconciler as people use it: make a plan, look at it, apply it, undo that. How it works: see `reconcile`."""

import os
import tempfile
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from storage import ContentStore
from storage.disk_errors import meaning

from .arguments import check_callback, check_file, check_whole, is_number
from .entities import VolumeInfo
from .errors import InvalidError
from .listing import Lister
from .origin import Origin
from .pace import Pace, PacedContent, PacedTable, Rate, check_rate
from .paths import check_prefix
from .reconcile.apply import Applier
from .reconcile.apply_report import Applied, ApplyReport
from .reconcile.blob_changes import BlobChanges
from .reconcile.brake import Brake, halted, located
from .reconcile.difference import QUIET, Difference
from .reconcile.journal import Journal, begun, index, kept_still
from .reconcile.look import Looker
from .reconcile.plan import Depth, Header, PlanFile, Policy
from .reconcile.plan import read as read_plan
from .reconcile.repairs import Repairs
from .reconcile.row_changes import RowChanges
from .reconcile.undo import Undo, UndoReport
from .recovery import Recovery, check_patience
from .registry import Volumes
from .retry import Clock
from .scratch import Scratch, held, sweep
from .settings import Settings
from .threads import to_the_end
from .writer import Writer

if TYPE_CHECKING:
    from .reconcile.reconciler import Read
    from .reconcile.scan import Scope

HASH_CHARACTERS_MIN: Final = 8
UNSAVED: Final = "blobcat-plan-"
"""How the folder of a plan begins that nobody has saved, and that is gone with it."""
APPLYING: Final = "blobcat-apply-"
"""How the folder begins that has a copy of a plan for as long as that is carried out: others may replace the file."""


class Plan:
    """What a reconcile has found, and what it proposes. Made by `Catalog.reconcile` and `Catalog.plan`."""

    def __init__(self, file: PlanFile, reconciling: "Reconciling") -> None:
        self._file = file
        self._reconciling = reconciling
        self._journal: Path | None = None
        """Of a plan that was not saved when it was first applied: it outlives the plan, and is gone on with."""

    def __repr__(self) -> str:
        return f"<Plan for {self.header.volume!r}: {dict(self.header.states) or 'nothing to do'}>"

    @property
    def header(self) -> Header:
        """What was compared, how completely, and the sums of what was found."""
        return self._file.header

    @property
    def sha256(self) -> str:
        """Of the plan as a file: by this it is named where it is forced."""
        return self._file.sha256

    @property
    def path(self) -> Path:
        """Where it is on disk. Made without `work`, and not saved, it is a temporary file, gone with this object."""
        return self._file.path

    @property
    def complete(self) -> bool:
        """Whether both sides were read to the end. Where not, nothing is concluded, and it cannot be applied."""
        return not self.header.incomplete

    @property
    def findings(self) -> int:
        """How many differences there are, without writes that may be under way, and what purges leave for now."""
        quiet = sum(found.quiet for found in self.differences()) if QUIET & self.header.states.keys() else 0
        return sum(self.header.states.values()) - quiet

    @property
    def refused(self) -> list[str]:
        """Why nothing may be deleted by this plan; a file that is to be removed with its whole path, where known."""
        return _located(self._file, self.header.refused)

    @property
    def notes(self) -> list[str]:
        """What has collapsed since the last run, where this plan deletes nothing. Not in its file."""
        return [*self._file.notes]

    @property
    def clean(self) -> bool:
        """Whether catalog and content agree: both were read to the end, and there is no finding."""
        return self.complete and not self.findings

    def differences(self) -> Iterator[Difference]:
        """What was found, one by one, in order of state and path; read from disk."""
        yield from self._file.differences()  # a generator of its own, so that what it reads from stays there

    def save(self, path: PathLike[str] | str) -> Path:
        """Keep it as a file, that people can read and `blobcat apply` takes: whole, or not at all.

        Raises: InvalidError for what can be no file, and where the plan's own file is not what it was; OSError where it
        cannot be written.
        """
        target = check_file("save", "path", path)
        if not target.exists() or not target.samefile(self._file.path):
            copy = target.with_name(f"{target.name}.{os.getpid()}.part")
            try:
                self._file.copied(copy)
                copy.replace(target)
            finally:
                copy.unlink(missing_ok=True)
        self._file = replace(self._file, path=target)
        return target

    async def apply(
        self,
        *,
        journal: PathLike[str] | str | None = None,
        brake: Brake = Brake(),
        force: str | None = None,
        patience_s: float | None = None,
        rate: Rate = Rate(),
        progress: Callable[[Applied], None] | None = None,
        timeout_s: float | None = None,
    ) -> ApplyReport:
        """Carry it out: see `Catalog.apply`. Of a plan that was not saved, each call goes on with the same journal."""
        given = None if journal is None else check_file("apply", "journal", journal)
        return await self._reconciling.within(timeout_s).apply(
            self._file,
            journal=lambda: given or self._journal_of_its_own(),
            brake=brake,
            force=force,
            patience_s=patience_s,
            rate=rate,
            progress=progress,
        )

    def _journal_of_its_own(self) -> Path:
        """Where the journal goes if nobody says: named after the plan, so the next one of that name has its own."""
        folder, name = self.path.parent, f"{self.path.name}.{self.sha256[:HASH_CHARACTERS_MIN]}.journal"
        if self._journal is None and folder.name.startswith(UNSAVED):
            self._journal = Path(tempfile.mkdtemp(prefix="blobcat-journal-")) / name
        return self._journal or folder / name


@dataclass(frozen=True, slots=True)
class Reconciling:
    """What it takes to reconcile the volumes of a catalog."""

    volumes: Volumes
    writer: Writer
    recovery: Recovery
    lister: Lister
    content: ContentStore
    threads: Executor
    settings: Settings
    clock: Clock
    origin: Origin | None = None
    """How the catalog was opened, for other processes; None where somebody else has opened its ports."""
    now: Callable[[], float] = time.time
    """This machine's clock: whether a write looks left behind. Before it is settled, the service's is asked."""

    def within(self, timeout_s: float | None) -> "Reconciling":
        """It, for a call with a time limit of its own. Raises: InvalidError."""
        return replace(
            self,
            volumes=self.volumes.within(timeout_s),
            writer=self.writer.within(timeout_s),
            recovery=self.recovery.within(timeout_s),
            lister=self.lister.within(timeout_s),
        )

    async def reconcile(
        self,
        name: str | None,
        *,
        prefix: str,
        depth: Depth,
        sample: float,
        policy: Policy,
        patience_s: float | None,
        work: PathLike[str] | str | None,
        counts: PathLike[str] | str | None,
        workers: int,
        rate: Rate,
        progress: Callable[[str, int], None] | None,
    ) -> Plan:
        """See `Catalog.reconcile`."""
        import sqlite3

        from .reconcile.reconciler import Reconciler, Wanted  # with its database: nobody else pays for it
        from .reconcile.scan import Scope
        from .sqlite_errors import translated

        prefix = check_prefix(prefix)
        if depth not in get_args(Depth):
            raise InvalidError(f"depth is one of {', '.join(get_args(Depth))}, not {depth!r}", op="reconcile")
        if not is_number(sample) or not 0 < sample <= 1:
            raise InvalidError(f"sample is a fraction above 0, up to 1, not {sample!r}", op="reconcile")
        check_patience(patience_s)
        check_callback("reconcile", "progress", progress)
        check_whole("reconcile", "workers", workers, least=1)
        policy.check()
        folder = check_file("reconcile", "work", work) if work is not None else None
        kept = check_file("reconcile", "counts", counts) if counts is not None else folder
        scratch: Scratch | None = None
        check_rate(rate)
        lister, content = self._paced(rate)
        volume = await self.volumes.get(name, op="reconcile")
        scope = Scope(volume, await self._roots_of_others(volume), prefix, depth)
        wanted = Wanted(scope, policy, sample, patience_s, kept)
        reconciler = Reconciler(wanted, lister, content, self.threads, now=self.now, progress=progress)
        try:
            if folder is None:
                await to_the_end(self.threads, sweep, UNSAVED)
                scratch = Scratch(UNSAVED)
                folder = scratch.path
            folder.mkdir(parents=True, exist_ok=True)
            if kept:
                kept.mkdir(parents=True, exist_ok=True)
            read = self._alone() if workers == 1 else self._workers(workers, rate, scope, folder)
            with ExitStack() as working:
                if not scratch and not working.enter_context(held(folder)):
                    message = f"another reconcile works in {str(folder)!r}: wait for its end, or name another folder"
                    raise InvalidError(message, op="reconcile", key=str(folder), kind="invalid.work-in-use")
                plan = Plan(await reconciler.run(folder, read), self)
        except BaseException as exc:
            if scratch:
                scratch.close()
            if isinstance(exc, sqlite3.Error | OSError):
                place = str(folder or tempfile.gettempdir())
                raise translated(exc, place, "reconcile", volume.name) from exc
            raise
        if scratch:
            weakref.finalize(plan, scratch.close)
        return plan

    def plan(self, path: PathLike[str] | str) -> Plan:
        """A plan that was saved. Raises: InvalidError."""
        return Plan(read_plan(check_file("plan", "path", path)), self)

    async def apply(
        self,
        plan: PlanFile,
        *,
        journal: Callable[[], Path],
        brake: Brake,
        force: str | None,
        patience_s: float | None,
        rate: Rate,
        progress: Callable[[Applied], None] | None,
    ) -> ApplyReport:
        """See `Catalog.apply`. `journal` is asked once all is checked: a plan that is refused leaves nothing behind."""
        check_patience(patience_s)
        check_callback("apply", "progress", progress)
        check_rate(rate)
        self._check_brake(plan, brake, force)
        volume = await self._volume_of(plan.header.volume, plan.header.epoch, "apply")
        await to_the_end(self.threads, sweep, APPLYING)
        place, what = tempfile.gettempdir(), "folder"
        try:
            with Scratch(APPLYING) as scratch:
                copy = await to_the_end(self.threads, plan.copied, scratch.path / "plan.jsonl")
                what = "journal"
                path = journal()
                place = str(path)
                opened = Journal.open(path, plan=plan.sha256, volume=volume.name, epoch=volume.epoch)
                with closing(opened) as written, _named_in_errors(path):
                    async with self._repairs(volume, rate) as repairs:
                        recovery = Recovery(repairs.writer, repairs.looker.lister)
                        at = rate.at_a_time
                        applier = Applier(recovery, repairs, patience_s=patience_s, at_a_time=at, listener=progress)
                        return await applier.run(copy, written)
        except OSError as exc:  # without the journal, nothing more may be done
            kind_of_error, kind, text = meaning(exc.errno, what)
            raise kind_of_error(f"apply: {place}: {text} ({exc})", op="apply", key=place, kind=kind) from exc

    async def undo(self, journal: PathLike[str] | str, *, rate: Rate) -> UndoReport:
        """See `Catalog.undo`."""
        check_rate(rate)
        path = check_file("undo", "journal", journal)
        from .reconcile.subjects import Subjects

        with kept_still(path), closing(Subjects()) as subjects:
            header, _ = await to_the_end(self.threads, index, path, subjects)
            volume = await self._volume_of(header["volume"], header["epoch"], "undo")
            async with self._repairs(volume, rate) as repairs:
                return await Undo(repairs).run(begun(path, subjects))

    @asynccontextmanager
    async def _repairs(self, volume: VolumeInfo, rate: Rate) -> AsyncIterator[Repairs]:
        """What looks and changes, together at no more than a rate."""
        lister, content = self._paced(rate)
        looker, most = Looker(volume, lister, content), self.settings.transfers_max
        async with self.writer.over(lister.table, content) as writer:
            rows, blobs = RowChanges(looker, writer), BlobChanges(looker, content, writer)
            yield Repairs(looker, writer, rows, blobs, most, self.volumes.enrol)

    def _paced(self, rate: Rate) -> tuple[Lister, ContentStore]:
        """Both ports, at no more than a rate."""
        pace = Pace(self.clock, rate)
        return self.lister.over(PacedTable(self.lister.table, pace)), PacedContent(self.content, pace)

    def _alone(self) -> "Read":
        """What reads, in this process: many parts at a time where answers are waited for.

        A database in this process answers at once, and its threads would wait for each other: at twice the CPU.
        """
        from .reconcile.scan import PARTS_AT_A_TIME, scan
        from .sqlite_table import SqliteTable

        here = isinstance(self.lister.table, SqliteTable)
        return partial(scan, at_a_time=1 if here else PARTS_AT_A_TIME)

    def _workers(self, count: int, rate: Rate, scope: "Scope", folder: Path) -> "Read":
        """What reads, in so many processes."""
        from .reconcile.workers import Workers

        if self.origin is None:
            raise InvalidError("only a catalog that `connect` opened can be read by several processes", op="reconcile")
        self.origin.opening()
        workers = Workers(self.origin, self.settings, rate, count)
        return lambda scanner, tasks: workers.scan(scanner, tasks, scope, folder)

    async def _volume_of(self, name: str, epoch: str, op: str) -> VolumeInfo:
        """The volume that a file was made of. Raises: InvalidError where that is gone, or this is another catalog."""
        volume = await self.volumes.get(name, op=op)
        if volume.epoch != epoch:
            message = f"it was made of another volume {name!r} than the one here: another catalog, or made anew since"
            raise InvalidError(message, op=op, key=name, kind="invalid.other-volume")
        return volume

    async def _roots_of_others(self, volume: VolumeInfo) -> tuple[str, ...]:
        """Also of those that were deleted, whose blobs are still theirs; but for what a root took over from them."""
        roots = {other.root async for other in self.volumes.all() if other.epoch != volume.epoch}
        gone = {other.root async for other in self.volumes.deleted()}
        own = volume.root
        roots |= {root for root in gone if not (root.startswith(own) or own.startswith(root))}
        return tuple(sorted(roots))

    def _check_brake(self, plan: PlanFile, brake: Brake, force: str | None) -> None:
        if not isinstance(brake, Brake):
            raise InvalidError(f"brake is a Brake, not {type(brake).__name__}", op="apply")
        if force is not None and not isinstance(force, str):
            raise InvalidError(f"force is the beginning of the plan's sha256, not {force!r}", op="apply")
        reasons = brake.check().refuses(plan.header)
        if not reasons:
            return
        if plan.header.incomplete:
            raise InvalidError("; ".join(reasons), op="apply", kind="invalid.incomplete-plan")
        forced = isinstance(force, str) and len(force) >= HASH_CHARACTERS_MIN and plan.sha256.startswith(force)
        if not forced:
            raise InvalidError(halted(_located(plan, reasons), plan.sha256), op="apply", kind="invalid.brake")


def _located(plan: PlanFile, reasons: Sequence[str]) -> list[str]:
    """Reasons why a plan is refused, with the whole path of the file to remove."""
    return [located(reason, plan.counts or plan.path.parent) for reason in reasons]


@contextmanager
def _named_in_errors(journal: Path) -> Iterator[None]:
    """Whatever ends an apply says what it has noted, and where: by that it goes on, and is undone."""
    try:
        yield
    except BaseException as exc:
        exc.add_note(f"what was done is in the journal {journal}")
        raise
