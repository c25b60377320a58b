"""Catalog: one table and one container, opened; and the volumes in them."""

import getpass
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Literal

from ulid import ULID

from storage import Capabilities, ContentStore, Sweeps, sealed
from storage.observed import ObservedContent

from .arguments import check_callback, check_flags
from .backends import Backend, backend
from .blob_listing import first_foreign
from .diagnosis import DoctorReport
from .doctor import Doctor
from .dump import dump
from .dump_file import DumpSource, check_dump_source, opened_dump
from .entities import FileVersion, VolumeInfo
from .errors import InvalidError
from .events import Listener, OnEvent, RecoveredEvent
from .listing import Lister
from .load import Loading, LoadListener, LoadReport, Wishes
from .locations import parse_sealed_location
from .observed import ObservedTable
from .origin import Origin
from .pace import Rate
from .readable import Tools
from .reader import Readers
from .rebuild import Rebuild, RebuildReport
from .reconcile.apply_report import Applied, ApplyReport
from .reconcile.brake import Brake
from .reconcile.plan import Depth, Foreign, Orphans, Policy
from .reconcile.undo import UndoReport
from .reconciling import Plan, Reconciling
from .recovery import Recovery, RecoveryReport, check_patience
from .registry import Volumes
from .removal import Removal
from .retry import Clock, Deadline, SystemClock, ToldClock
from .settings import Settings, check_timeout
from .table import Table
from .threads import end
from .token import Token
from .tracing import traced
from .unwrap import LocalPaths, unwrapped
from .uploads import Uploads
from .volume import Volume
from .wanted import check_new, check_volume_name
from .writer import Writer

if TYPE_CHECKING:
    from .azure_clients import AzureClients

THREADS: Final = 8  # for digests and the caller's files; adapters bring their own
WRITER_CHARACTERS_MAX: Final = 200


class Catalog:
    """A catalog that is open. Made by `connect`; constructed from its ports by tests and by those who bring their own.

    Belongs to one event loop. Closing it closes its ports, and a `credential` that was made for them, and ends its
    threads and tasks; what was under way then is as if it was cancelled. `threads` that are given stay the caller's.
    """

    def __init__(
        self,
        table: Table,
        content: ContentStore,
        *,
        settings: Settings = Settings(),
        writer: str | None = None,
        clock: Clock = SystemClock(),
        new_id: Callable[[], str] = lambda: str(ULID()),
        credential: Any = None,
        on_event: OnEvent | None = None,
        origin: Origin | None = None,
        threads: Executor | None = None,
    ) -> None:
        self._table = table
        self._content = content
        self._credential = credential
        self._settings = settings
        self._listener = Listener(on_event)
        self._clock = clock = ToldClock(clock, self._listener)
        if self._listener.requests:  # nobody else pays for what nobody hears
            table, content = ObservedTable(table, self._listener), ObservedContent(content, self._listener)
        self._owns_threads = threads is None
        self._threads = threads or ThreadPoolExecutor(THREADS, thread_name_prefix="blobcat")
        lister = Lister(table, settings, clock)
        self._volumes = Volumes(lister, self._deadline, new_id, first_foreign=partial(first_foreign, content))
        self._writer = Writer(
            table=table,
            content=content,
            uploads=Uploads(content, self._threads, settings),
            settings=settings,
            clock=clock,
            new_id=new_id,
            name=check_writer(writer) if writer is not None else f"{_user()}@{socket.gethostname()}:{os.getpid()}",
            reload=self._reloaded,
        )
        self._recovery = Recovery(self._writer, lister)
        self._removal = Removal(self._volumes, self._recovery, lister)
        self._loading = Loading(
            self._writer,
            self._volumes,
            self._removal,
            threads=self._threads,
            settings=settings,
            clock=clock,
            new_id=new_id,
        )
        self._readers = readers = Readers(content, self._threads, settings, clock)
        self._tools = Tools(
            self._writer, readers, lister, self._threads, settings, content, self._content, self._volumes.enrol
        )
        self._reconciling = Reconciling(
            self._volumes, self._writer, self._recovery, lister, content, self._threads, settings, clock, origin
        )
        self._create_table, self._create_container = table.create, content.create
        self._volume_type = traced(Volume)

    def __repr__(self) -> str:
        return f"<Catalog of {self._table!r} and {self._content!r}>"

    async def create_volume(
        self,
        name: str,
        *,
        layout: Literal["immutable"] = "immutable",
        shards: int = 16,
        root: str | None = None,
        exist_ok: bool = False,
        timeout_s: float | None = None,
    ) -> Volume:
        """Make a volume, and the table and container where they are not there yet. The first one becomes the default.

        `shards` (a power of two up to 256, fixed for ever) spread it over partitions, each good for 2,000 entities/s.
        `root` is the prefix of its blobs, by default `<name>/`; roots may not overlap, nor may there be blobs of others
        below one where a volume adopts them. With `exist_ok`, a volume that is there with the same settings is
        returned.

        Raises: InvalidError, ConflictError, AccessDeniedError, UnavailableError. OutcomeUnknownError: the services were
        lost while it was made; `volumes()` tells, or the same call again.
        """
        wanted = check_new(name, layout, shards, root)
        check_flags("create_volume", exist_ok=exist_ok)
        deadline = self._writer.deadline(timeout_s)
        await deadline.retried(self._create_table)
        await deadline.retried(self._create_container)
        volumes = self._volumes.within(deadline.left_s)
        info = await volumes.create(wanted, exist_ok=exist_ok, finish=self._removal.help_along)
        return self._volume_type(info, self._tools)

    async def volume(self, name: str | None = None, *, timeout_s: float | None = None) -> Volume:
        """Open a volume; the default one where no name is given. Raises: NotFoundError, UnavailableError."""
        return self._volume_type(await self._volumes.within(timeout_s).get(name), self._tools)

    def volumes(self, *, timeout_s: float | None = None) -> AsyncGenerator[VolumeInfo, None]:
        """All volumes, in order of name. Raises: NotFoundError (no catalog here), UnavailableError."""
        return self._volumes.within(timeout_s).all()

    async def set_default_volume(self, name: str, *, timeout_s: float | None = None) -> None:
        """Choose the volume that `volume()` opens. Raises: NotFoundError, UnavailableError, OutcomeUnknownError."""
        await self._volumes.within(timeout_s).set_default(name)

    async def delete_volume(self, name: str, *, timeout_s: float | None = None) -> None:
        """Delete an empty volume. Its name can be used again; what it held can not be brought back.

        Refused while it has a file. One that is written at this moment stays, and the volume with it; or its writer is
        told NotFoundError. Versions of deleted files are no files: their rows and blobs stay where they are, out of
        reach of that name. Who has the volume open still sees it, empty, and may read those versions. Stopped half-way,
        it is brought to its end by whoever writes to the volume, makes one of that name, deletes it again, or recovers.
        Raises: NotFoundError, ConflictError (it has files), AccessDeniedError, UnavailableError. OutcomeUnknownError:
        it may be gone, or go; `volumes()` tells, or the same call again.
        """
        await self._removal.within(timeout_s).delete(name)

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

    async def dump(self, volume: str | None = None, *, timeout_s: float | None = None) -> AsyncIterator[str]:
        """All that is known of a volume, or of all of them, as lines of JSON that `load` takes: see docs/dump.md.

        Every version of every path, with its chain, and with the name of its blob; content is not in it. Lines end in a
        line feed. The last one says that there are no more; until it is there, a dump is not whole. The same catalog
        gives the same bytes. Each path is consistent by itself; what changes meanwhile may appear either way (N1, N2).
        Raises: NotFoundError, IntegrityError (a history that does not hold), AccessDeniedError, UnavailableError.
        """
        volumes, lister = self._volumes.within(timeout_s), self._tools.within(timeout_s).lister
        chosen = (
            [await volumes.get(volume, op="dump")] if volume is not None else [info async for info in volumes.all()]
        )
        async with aclosing(dump(chosen, lister, self._writer.within(timeout_s))) as lines:
            async for line in lines:
                yield line

    async def load(
        self,
        source: DumpSource,
        *,
        volume: str | None = None,
        content_from: str | ContentStore | None = None,
        content_credential: Any = None,
        allow_missing: bool = False,
        progress: LoadListener | None = None,
        timeout_s: float | None = None,
    ) -> LoadReport:
        """Make the volumes of a dump here, with all of their history, or one of them: under the names that they had.

        `source` is a file (`.gz` is unpacked), or the lines. All of it is checked first, chains too; what is wrong is
        told with the number of its line, and nothing was sent. Content is looked for under the names that it had, and
        copied from `content_from` where it is not there: the url of a catalog, or its store. With content missing no
        volume is made, unless `allow_missing`: then reading those versions fails. The report names them.

        Nobody sees a volume before all of it is there. Stopped anywhere, the same load goes on where it was.
        `timeout_s` is how long nothing may arrive. Table and container are made where there are none.
        Raises: IntegrityError (damaged, cut or changed), InvalidError (no dump, a newer one's, or of no such volume),
        ConflictError (a volume or its root is there already, or content lies in another's root, or in what another
        adopts), NotFoundError (no such file), AccessDeniedError, UnavailableError, OutcomeUnknownError (whether it was
        made `volumes()` tells, or the same load again).
        """
        place, secret = sealed(content_from), sealed(content_credential)
        del content_from, content_credential  # no frame of ours holds them open, whatever is raised
        check_dump_source(source)
        check_flags("load", allow_missing=allow_missing)
        check_callback("load", "progress", progress)
        check_timeout(timeout_s)
        if volume is not None:
            check_volume_name(volume)
        loading = self._loading.within(timeout_s)
        async with loading.origin(place, secret, timeout_s) as origin, opened_dump(source, self._threads) as dumped:
            for make in (self._create_table, self._create_container):
                await self._deadline(timeout_s).retried(make)
            wishes = Wishes(origin, allow_missing=allow_missing, progress=progress)
            return await loading.load(dumped, volume, wishes)

    async def resolve(self, token: str, *, timeout_s: float | None = None) -> FileVersion | None:
        """Settle a write that raised OutcomeUnknownError: the version it made; None where it made none, and never will.

        The answer never changes. Where the write was still undecided, it is aborted by this.
        It is the same after the volume was deleted.
        Raises: InvalidError (no token, or another catalog's), OutcomeUnknownError (try again).
        """
        parsed = Token.parse(token)
        deadline = self._writer.deadline(timeout_s)
        volume = await self._volumes.within(deadline.left_s).of_epoch(parsed.volume, parsed.epoch)
        return await self._writer.within(deadline.left_s).resolve(volume, parsed)

    @property
    def capabilities(self) -> Capabilities:
        """What this catalog's back end can do. Known without a request."""
        return self._content.capabilities

    def unwrap(self) -> "AzureClients | LocalPaths":
        """The SDK's clients of the table and the container, or the paths on disk: for what blobcat does not do.

        They stay the catalog's own, and are closed with it. What is changed with them behind the catalog's back is
        found by `verify`, not prevented. Raises: InvalidError (in memory there is nothing to hand out).
        """
        return unwrapped(self._table, self._content)

    async def doctor(self, *, timeout_s: float | None = None) -> DoctorReport:
        """Whether table and container are there, keep the promises that the protocol rests on, and are set up safely.

        Writes a few rows and blobs where no volume has any, and removes them. `timeout_s` is for each look. Raises
        nothing but cancellation: what is wrong is in the report.
        """
        check_timeout(timeout_s)
        return await Doctor(self._table, self._content, partial(self._deadline, timeout_s)).run()

    async def close(self) -> None:
        """Close connections, threads and files. May be called twice; `async with connect(…)` does it.

        One that cannot be closed keeps no other open. Afterwards no thread is left, except one that a file object of
        the caller's holds for more than a second. Raises: whatever the last one that could not be closed raises.
        """
        async with AsyncExitStack() as closing:
            if self._owns_threads:
                closing.push_async_callback(end, self._threads)
            closing.push_async_callback(Backend(self._table, self._content, self._credential).close)
            closing.push_async_callback(self._writer.close)
            closing.push_async_callback(self._readers.close)

    async def _reloaded(self, info: VolumeInfo, deadline: Deadline) -> VolumeInfo:
        """A volume as it is by now, open for writes. Raises: NotFoundError, UnavailableError."""
        now = await self._volumes.reload(info, deadline)
        if now.state == "open":
            return now
        await self._removal.help_along(now, deadline)
        return await self._volumes.reload(info, deadline)

    def _deadline(self, timeout_s: float | None = None) -> Deadline:
        return Deadline(self._clock, self._settings, timeout_s)


@asynccontextmanager
async def connect(
    url: str,
    *,
    credential: Any = None,
    container: str | None = None,
    table: str | None = None,
    settings: Settings = Settings(),
    writer: str | None = None,
    on_event: OnEvent | None = None,
) -> AsyncIterator[Catalog]:
    """Open the catalog at a url, for as long as the `async with` block lasts.

    Urls: `local:DIR`, `memory:`, `azurite:`, `azurite://HOST:BLOBPORT:TABLEPORT`, `azure://ACCOUNT/CONTAINER`, or a
    connection string. `credential`: an object of azure-identity or azure-core, or a str (SAS or account key); without
    one the url's own, else `DefaultAzureCredential`. `writer` names in each version who wrote it, by default
    `user@host:pid`. `on_event` is called with each `Event`, on the loop, and must return at once; see `catalog.events`.

    Opening sends nothing and makes nothing; `create_volume` makes the table, the container or the folder.
    Raises: InvalidError for a url, credential or setting that cannot work.
    """
    place, secret = sealed(url), sealed(credential)
    keyless = credential is not None
    del url, credential  # no frame of ours holds them open, whatever is raised
    location = parse_sealed_location(
        place, container=container, table=table, hosts_allowed=settings.hosts_allowed, keyless=keyless
    )
    if writer is not None:
        check_writer(writer)
    ports = backend(location, secret, settings)
    catalog = traced(Catalog)(
        ports.table,
        ports.content,
        settings=settings,
        writer=writer,
        on_event=on_event,
        credential=ports.credential,
        origin=Origin(place, secret, container, table),
    )
    try:
        yield catalog
    finally:
        await catalog.close()


def check_writer(writer: str) -> str:
    """Raises: InvalidError for what is no name."""
    if not isinstance(writer, str) or not writer.isprintable() or not 0 < len(writer) <= WRITER_CHARACTERS_MAX:
        rule = f"1 to {WRITER_CHARACTERS_MAX} printable characters"
        raise InvalidError(f"a writer's name is {rule}, not {writer!r}", op="connect")
    return writer


def _user(asked: Callable[[], str] = getpass.getuser) -> str:
    try:
        return asked()
    except (KeyError, OSError):  # no entry for this uid, as in many containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
