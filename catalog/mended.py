"""How a catalog is put right: what was left half-done, what does not agree, what was lost."""

from collections.abc import Callable
from functools import partial
from os import PathLike

from storage import Sweeps

from .diagnosis import DoctorReport
from .doctor import Doctor
from .events import RecoveredEvent
from .opened import OpenedCatalog
from .pace import Rate
from .rebuild import Rebuild, RebuildReport
from .reconcile.apply_report import Applied, ApplyReport
from .reconcile.brake import Brake
from .reconcile.plan import Depth, Foreign, Orphans, Policy
from .reconcile.undo import UndoReport
from .reconciling import Plan
from .recovery import RecoveryReport, check_patience
from .settings import check_timeout
from .wanted import check_new


class MendedCatalog(OpenedCatalog):
    """A catalog that is put right. `Catalog` adds to it its volumes."""

    async def recover(self, *, patience_s: float | None = None, timeout_s: float | None = None) -> RecoveryReport:
        """Settle what was left half-done, in all volumes: writes, and deletions of volumes themselves.

        Deletes nothing that it cannot prove dead. One volume that cannot be settled keeps no other from it.

        Safe at any time, from anywhere, as often as you like. Without `patience_s` a write is left alone while its
        writer may be alive: for as long as it asked, at least ten minutes. With 0 nothing is waited for; a writer that
        is alive after all starts over by itself. `timeout_s` is for each volume, and each of the writes.
        Raises: NotFoundError (no catalog here), UnavailableError, AccessDeniedError.
        """
        check_patience(patience_s)
        report = await self._removal.within(timeout_s).recover(patience_s)
        if isinstance(self._content, Sweeps):
            await self._deadline(timeout_s).retried(self._content.sweep)
        for item in report.items:
            self._listener(
                RecoveredEvent(op=item.kind, key=item.path, id=item.op, volume=item.volume, action=item.action)
            )
        return report

    async def reconcile(
        self,
        volume: str | None = None,
        *,
        prefix: str = "",
        depth: Depth = "etag",
        sample: float = 1.0,
        orphans: Orphans = "report",
        foreign: Foreign = "report",
        patience_s: float | None = None,
        work: PathLike[str] | str | None = None,
        counts: PathLike[str] | str | None = None,
        workers: int = 1,
        rate: Rate = Rate(),
        progress: Callable[[str, int], None] | None = None,
        timeout_s: float | None = None,
    ) -> Plan:
        """Compare a volume's rows with its blobs, and propose what makes them agree. Reads only; changes nothing.

        Lists every blob and reads every row once, then looks at each suspicion again, live: what is in the plan is so.
        Everybody may go on working meanwhile. `prefix`: only paths that begin with it. `depth`: "etag" compares names,
        sizes and etags; "headers" also digests in headers, and the chain of every history; "content" reads the bytes,
        all of them or a `sample` (a fraction; the same ones each time).

        `orphans` and `foreign` say what to propose about blobs of ours that nothing refers to ("report", "adopt",
        "quarantine"), and about those of others ("report", "adopt"). `patience_s`: after how many seconds a write under
        way is thought to be left behind; None: as each write asked for. With a folder `work`, a run that was stopped
        within the hour goes on from there; without, it works in a temporary one. In the folder `counts`, by default
        that of `work`, a complete run leaves how much it has read; where the next one misses much of that, its plan may
        delete nothing (see `Plan.refused` and `Plan.notes`), and the file stays as it is until catalog and content
        agree, or somebody removes it. `workers` is how many processes read
        rows and listings; the plan is the same.
        `rate` is how many requests a second it may take of the account and of a partition; it takes fewer where the
        service is too busy. `progress` hears of a stage, and how much more of it is done. `timeout_s` is for
        each request.

        Where a side could not be read to the end, the plan says so, finds nothing, and cannot be applied.
        Raises: InvalidError (rows that a newer blobcat has written), IntegrityError (rows that are none of ours),
        NotFoundError (also where nothing is below `prefix`), AccessDeniedError, UnavailableError.
        """
        return await self._reconciling.within(timeout_s).reconcile(
            volume,
            prefix=prefix,
            depth=depth,
            sample=sample,
            policy=Policy(orphans, foreign),
            patience_s=patience_s,
            work=work,
            counts=counts,
            workers=workers,
            rate=rate,
            progress=progress,
        )

    def plan(self, path: PathLike[str] | str) -> Plan:
        """A plan that was saved. Raises: InvalidError for what is none, is of a newer format, or was cut or edited."""
        return self._reconciling.plan(path)

    async def apply(
        self,
        plan: PathLike[str] | str,
        *,
        journal: PathLike[str] | str | None = None,
        brake: Brake = Brake(),
        force: str | None = None,
        patience_s: float | None = None,
        rate: Rate = Rate(),
        progress: Callable[[Applied], None] | None = None,
        timeout_s: float | None = None,
    ) -> ApplyReport:
        """Carry out what a saved plan proposes.

        Everything is looked at again first: what is not as the plan says any more is left alone and counted. Each step
        is conditional on the etags that were seen, so nothing live is deleted, whoever works at the same time. What is
        deleted on your word is copied to `<root>.quarantine/` first. Before each step a line is written to `journal`, a
        file. By default it lies beside the plan, with its name, the first 8 characters of its sha256 and `.journal`; of
        a plan that was not saved, in a temporary folder that stays. Stopped, the same call goes on from there, and
        `undo` takes back what can be. An error that ends it names the journal in a note.

        The `brake` refuses a plan that deletes more than a fraction of the blobs, or more than a number; and one that
        deletes anything where a listing was empty or collapsed. `force`, the first 8 or more characters of the plan's
        sha256, says that it is meant. `patience_s`: after how many seconds an open write may be aborted; None: as long
        as each asked for (600 or more); 0: at once. `rate` is how many requests a second it may take of the account and
        of a partition, reads and writes together; it takes fewer where the service is too busy. `progress` hears of the
        end of each action. `timeout_s` is for each request.
        Raises: InvalidError (`invalid.plan`, `invalid.other-volume`, `invalid.journal`, `invalid.incomplete-plan`,
        `invalid.brake`), NotFoundError, AccessDeniedError, UnavailableError (also where the journal cannot be written:
        the same call goes on). What fails is in the report.
        """
        return await self.plan(plan).apply(
            journal=journal,
            brake=brake,
            force=force,
            patience_s=patience_s,
            rate=rate,
            progress=progress,
            timeout_s=timeout_s,
        )

    async def undo(
        self, journal: PathLike[str] | str, *, rate: Rate = Rate(), timeout_s: float | None = None
    ) -> UndoReport:
        """Take back what an apply did, the last step first: rows as they were, blobs out of the quarantine.

        What was changed since stays as it is, and so does what cannot be taken back: writes that were settled, content
        that was purged, content that was healed, files that were adopted. The report says which and why. May be
        repeated. `rate` is as for `apply`.
        Raises: InvalidError (no journal, one that an apply is writing, or another catalog's), NotFoundError,
        UnavailableError.
        """
        return await self._reconciling.within(timeout_s).undo(journal, rate=rate)

    async def rebuild(
        self, name: str, *, root: str | None = None, shards: int = 16, timeout_s: float | None = None
    ) -> RebuildReport:
        """Make a volume again from its blobs, after the table was lost. For emergencies; nothing does it by itself.

        Every blob under the root that says of itself what it is becomes a version, in place; the last one of a path is
        its file. What blobs cannot tell is lost: `RebuildReport.lost` says what, above all that deleted files are back.
        Blobs that are not the volume's are reported, and left alone. `root` is where the lost volume had its blobs, by
        default `<name>/`; `shards` may be another number than it had. Stopped half-way, there is no volume: do it
        again. Whoever still writes to the lost volume must have stopped. `timeout_s` is for each request.

        Raises: ConflictError (a volume has that name, or that root: delete it first, if it is empty), NotFoundError
        (no such blobs), InvalidError, AccessDeniedError, UnavailableError, OutcomeUnknownError (`volumes()` tells).
        """
        wanted = check_new(name, "immutable", shards, root)
        check_timeout(timeout_s)
        await self._deadline(timeout_s).retried(self._create_table)
        run = Rebuild(
            wanted,
            volumes=self._volumes.within(timeout_s),
            lister=self._tools.lister.within(timeout_s),
            store=self._content,
            writer=self._writer.name,
        )
        return await run.run()

    async def doctor(self, *, timeout_s: float | None = None) -> DoctorReport:
        """Whether table and container are there, keep the promises that the protocol rests on, and are set up safely.

        Writes a few rows and blobs where no volume has any, and removes them. `timeout_s` is for each look. Raises
        nothing but cancellation: what is wrong is in the report.
        """
        check_timeout(timeout_s)
        return await Doctor(self._table, self._content, partial(self._deadline, timeout_s)).run()
