"""Volume: the files of one named space. The API that people use; every verb is a few lines over one of its parts."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from os import PathLike

from .adopt import Adopt
from .adoption import AdoptListener, AdoptReport, Enrolled, check_where
from .arguments import check_callback, check_flags
from .changes import Change, taking
from .entities import (
    FileVersion,
    Kind,
    check_request_id,
)
from .errors import CatalogError, InvalidError, NotFoundError
from .flow import concurrently
from .ingest import Ingest
from .ingest_report import IngestReport, Progress
from .keys import check_version
from .media import check_content_type, content_type_of
from .metadata import Metadata, check_metadata
from .modes import Create, Mode, Overwrite, check_mode
from .paths import check_prefix
from .purge import Purging
from .purge_report import PurgeItem, PurgeReport, Tally
from .purger import Purger
from .readable import ReadableVolume
from .retention import check_retention
from .settings import check_timeout
from .sources import Content, check_content
from .times import in_calendar, microseconds


@dataclass(frozen=True, slots=True)
class Item:
    """One file of `put_many`."""

    path: str
    content: Content
    metadata: Metadata | None = None
    content_type: str | None = None
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: its version, or the error that its `put` would have raised."""

    item: Item
    file: FileVersion | None
    error: CatalogError | None

    @property
    def ok(self) -> bool:
        """Whether the item is in the catalog."""
        return self.error is None


class Volume(ReadableVolume):
    """The files of one named space. Made by `Catalog.volume` and `Catalog.create_volume`."""

    async def put(
        self,
        path: str,
        content: Content,
        *,
        mode: Mode = Overwrite(),
        metadata: Metadata | None = None,
        content_type: str | None = None,
        modified: datetime | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Write a file: when this returns, content and catalog both have it, for good.

        `content` is bytes, a path, a binary file object, or something that yields bytes, of any size; a `str` is never
        a file's name. File objects and plain iterables are asked in the catalog's threads. Content and metadata that
        are there already make no new version (`Overwrite(force=True)` does); the version that is there is returned.
        `metadata` replaces what the file had. Without a `content_type` the path's extension tells it. `request_id` is
        an id of your own: the same id for the same path again, from anywhere, returns the version that it made instead
        of making another. A change that makes no version, because nothing changed, is not remembered; an id that
        another verb used is a conflict. `timeout_s` limits the time spent on the services, for larger content since its
        last block got through; reading content does not count.

        Raises: ConflictError (the mode's condition does not hold: says expected and found), InvalidError and
        TooLargeError (nothing was sent), AccessDeniedError, UnavailableError: not applied, and never will be.
        OutcomeUnknownError: may or may not be applied; `Catalog.resolve(error.token)` settles it. Cancelled, a put is
        in the same state, without a token: look at the path, or let `recover` settle it.
        """
        change = replace(
            self._put(path, mode, metadata, content_type, modified), request_id=check_request_id(request_id)
        )
        check_timeout(timeout_s)
        return await self._tools.writer.put(self.info, change, check_content(content), timeout_s=timeout_s)

    async def put_many(
        self, items: AsyncIterable[Item], *, mode: Mode = Overwrite(), timeout_s: float | None = None
    ) -> AsyncIterator[Outcome]:
        """Write many files, sharing transactions. One outcome per item, in order of completion; none is raised.

        What an item's own content raises is in its outcome too; an error of `items` itself ends the loop.

        Up to `Settings.concurrency_max` items are taken ahead of the outcomes that were asked for. Leaving the loop
        early cancels what is under way. `timeout_s` is for each item; once none has got through for so long, those
        that were not begun fail at once.
        """
        check_mode(mode)
        check_timeout(timeout_s)
        if not isinstance(items, AsyncIterable):
            raise InvalidError(f"items come from an async iterable, not from {type(items).__name__}", op="put_many")
        pulse = self._tools.writer.pulse(timeout_s)

        async def put(item: Item) -> Outcome:
            try:
                if not isinstance(item, Item):
                    raise TypeError(f"an item is an Item, not {type(item).__name__}")
                with pulse.beat("put_many", item.path):
                    file = await self.put(
                        item.path,
                        item.content,
                        mode=mode,
                        metadata=item.metadata,
                        content_type=item.content_type,
                        modified=item.modified,
                        timeout_s=timeout_s,
                    )
            except CatalogError as exc:
                return Outcome(item, None, exc)
            except Exception as exc:  # noqa: BLE001 — whatever its content raises, it stops no other item
                return Outcome(item, None, _unreadable(item, exc))
            return Outcome(item, file, None)

        async with aclosing(concurrently(items, put, limit=self._tools.settings.concurrency_max)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def ingest(
        self,
        source: PathLike[str] | str,
        *,
        prefix: str = "",
        exclude: Sequence[str] = (),
        metadata: Metadata | None = None,
        trust_mtime: bool = False,
        progress: Progress | None = None,
        timeout_s: float | None = None,
    ) -> IngestReport:
        """Make the volume hold a tree of local files, under a prefix. What is unchanged costs no write.

        Unchanged is what has the head's size and digest; with `trust_mtime`, its size and modification time, without
        reading it. `exclude` are shell patterns, matched against names and against paths in the tree. Files keep the
        metadata they have unless `metadata` is given. Nothing is deleted. Started again after a crash, it carries on.
        What `progress` raises ends the run and is raised, whatever it is; what was written stays, and what was under
        way is as if it was cancelled. `timeout_s` is for each file; once none has got through for so long, those that
        were not begun fail at once.

        One bad file stops no other: see `failed` of the report. Raises: InvalidError, NotFoundError (no such tree),
        UnavailableError and AccessDeniedError where the catalog cannot be listed.
        """
        check_flags("ingest", trust_mtime=trust_mtime)
        check_callback("ingest", "progress", progress)
        tools = self._tools.within(timeout_s)
        run = Ingest(
            self.info,
            writer=tools.writer,
            lister=tools.lister,
            threads=self._tools.threads,
            settings=self._tools.settings,
            metadata=None if metadata is None else check_metadata(metadata),
            trust_mtime=trust_mtime,
            progress=progress,
        )
        return await run.run(source, prefix, exclude)

    async def adopt(
        self,
        prefix: str = "",
        *,
        match: str | None = None,
        into: str | None = None,
        dry_run: bool = False,
        progress: AdoptListener | None = None,
        timeout_s: float | None = None,
    ) -> AdoptReport:
        """Take in blobs that the container has already, in place: by listing them, without copying or reading any.

        `prefix` is the beginning of blobs' names. A file's path is its blob's name, or with `into` that folder and what
        follows the prefix; `match` is a glob of paths. Size, type and MD5 are the blob's; its sha256 is learned when
        it is first read as a whole, or by `verify`; until then the MD5 verifies it, and where it has none, nothing can.

        Adopted blobs stay others': they are never written to and never removed, whatever becomes of their files. Who
        changes one makes it drift: reading it is an IntegrityError, and adopting again reports it. What is in the
        catalog is not touched: see the report. Blobs of volumes are left out. Started again after a crash, it carries
        on. The prefix is noted in the volume once there is a blob to adopt; no two volumes adopt the same blobs.
        `dry_run` changes nothing.
        What `progress` raises ends the run and is raised. `timeout_s` is for each file, and each piece of the listing.

        Raises: InvalidError (also for a prefix in a volume's root), ConflictError (another volume adopts some of
        these), NotFoundError, AccessDeniedError, UnavailableError (no listing), OutcomeUnknownError (of the note: try
        again).
        """
        where = check_where(prefix, into, match)
        check_flags("adopt", dry_run=dry_run)
        check_callback("adopt", "progress", progress)
        tools = self._tools.within(timeout_s)

        async def enrolled(*, record: bool) -> Enrolled:
            found = await tools.enrol(self.info, prefix, tools.writer.deadline(), record)
            self.info = found.info
            return found

        run = Adopt(
            await enrolled(record=False),
            where,
            note=partial(enrolled, record=True),
            writer=tools.writer,
            lister=tools.lister,
            store=tools.store,
            listener=progress,
        )
        return await run.run(dry_run=dry_run)

    async def set_metadata(
        self,
        path: str,
        metadata: Metadata,
        *,
        mode: Mode = Overwrite(),
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Replace the metadata of a file: a new version of the same content. No bytes move.

        Metadata that are there already make no new version. Raises: NotFoundError, and as `put`.
        """
        return await self._change(
            Change(
                self.name,
                self._path(path),
                "metadata",
                _of_live(mode, "set_metadata"),
                self._tools.writer.name,
                check_metadata(_replacing(metadata)),
                "",
                request_id=check_request_id(request_id),
            ),
            timeout_s,
        )

    async def copy(
        self,
        source: str,
        target: str,
        *,
        mode: Mode = Create(),
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Make a file of the content, type and metadata of another. No bytes move; never overwrites unasked.

        The copy is of the version that the source had when this looked; who changes it meanwhile does not stop it (N2).
        Raises: NotFoundError (no such source), InvalidError (a file onto itself), and as `put`.
        """
        source, target = self._two(source, target, "copy")
        return await self._change(self._taking("copy", source, target, mode, request_id), timeout_s)

    async def move(
        self,
        source: str,
        target: str,
        *,
        mode: Mode = Create(),
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Give a file another path. No bytes move; never overwrites unasked; history stays with each path.

        The target gets a new version, the source ends in a delete. A reader who looks at the source and then at the
        target finds the file; for a moment both may show it. Stopped half-way, it is settled by the next who looks.
        Raises: NotFoundError (no such source), InvalidError (a file onto itself), and as `put`.
        """
        source, target = self._two(source, target, "move")
        return await self._change(self._taking("move", source, target, mode, request_id), timeout_s)

    async def restore(
        self,
        path: str,
        *,
        version: int,
        mode: Mode = Overwrite(),
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Make an older version of a file the current one again, as a new version. No bytes move.

        Works on a deleted file too. A version that says what the current one says makes no new one.
        Raises: NotFoundError (no such version, or it is a delete), and as `put`.
        """
        path, version, mode = self._path(path), check_version(version), check_mode(mode)
        check_request_id(request_id)
        deadline = self._tools.writer.deadline(timeout_s)
        older = await self._described("restore", path, version, deadline)
        if older.kind == "delete":
            message = f"version {version} of {path!r} is a delete: restore the one before it"
            raise NotFoundError(message, op="restore", key=path, kind="not-found.deleted")
        change = self._taking("restore", "", older.path, mode, request_id)
        return await self._change(taking(change, older), deadline.left_s)

    async def delete(
        self,
        path: str,
        *,
        mode: Mode = Overwrite(),
        missing_ok: bool = False,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion | None:
        """Delete a file: its head becomes a tombstone, and the delete a version. Older versions stay readable.

        Returns the version that the delete is; None where there is no file and `missing_ok` is set.
        Raises: NotFoundError, and as `put`.
        """
        mode, path = _of_live(mode, "delete"), self._path(path)
        check_flags("delete", missing_ok=missing_ok)
        change = Change(self.name, path, "delete", mode, self._tools.writer.name, {}, "")
        try:
            return await self._change(replace(change, request_id=check_request_id(request_id)), timeout_s)
        except NotFoundError as exc:
            if missing_ok and exc.op == "delete":  # and not the table that is missing
                return None
            raise

    async def purge(
        self,
        *,
        keep_versions: int | None = None,
        older_than: timedelta | None = None,
        prefix: str = "",
        dry_run: bool = False,
        progress: Callable[[PurgeItem], None] | None = None,
        timeout_s: float | None = None,
    ) -> PurgeReport:
        """Delete the content of old versions, for good. Their rows stay, and so does the history; reading one raises.

        A version's content goes when it is not among the newest `keep_versions` of its path, and was replaced (or
        deleted) more than `older_than` ago, by the service's clock; give one of them, or both. What is at a path now
        never goes; of a deleted file, the delete itself does not count as one of the newest. Content that another
        version still needs, or a write under way, stays, as does adopted content: it is `held` in the report.

        A version that was chosen once is not spared later: where its content is held, or the run was killed, it can be
        read for now, but neither restored nor copied, and every later purge of that prefix goes on with it. `dry_run`
        searches as the run does, says what would go and writes nothing; it looks at no blob, so it does not know what
        the service holds (a lease, snapshots) or others have overwritten. `progress` hears of each version as it ends;
        what it raises ends the run and is raised. `timeout_s` is for each step of each content.

        Raises: InvalidError (no rule, or a wrong one; nothing was sent), NotFoundError, UnavailableError and
        AccessDeniedError where the versions cannot be listed, or none of some thousand contents can be purged. What
        was purged before that is gone; the same call goes on from there.
        """
        from .candidates import Candidates  # noqa: PLC0415 — only who purges pays for sqlite3

        retention = check_retention(keep_versions, older_than)
        check_flags("purge", dry_run=dry_run)
        check_callback("purge", "progress", progress)
        prefix, tools = check_prefix(prefix), self._tools.within(timeout_s)
        writer, lister = tools.writer, tools.lister
        purger = Purger(
            writer.committer, lister, tools.content, self.info, writer.deadline, tools.settings.transfers_max
        )
        run = Purging(self.info, retention, prefix, writer, lister, purger, Tally(progress))
        async with Candidates(self.name, tools.threads) as candidates:
            return await run.run(candidates, dry_run=dry_run)

    async def _change(self, change: Change, timeout_s: float | None) -> FileVersion:
        check_timeout(timeout_s)
        writer = self._tools.writer
        op, deadline = writer.fresh(self.info, change, timeout_s), writer.deadline(timeout_s)
        try:
            file = await writer.write(self.info, op, deadline=deadline)
        except NotFoundError:  # of the file, or of the whole volume: no gate was asked yet
            await writer.current(self.info, deadline)
            raise
        assert file  # noqa: S101 — None is for content that was staged
        return file

    def _two(self, source: str, target: str, op: str) -> tuple[str, str]:
        source, target = self._path(source), self._path(target)
        if source == target:
            raise InvalidError(
                f"{op} {source!r}: source and target are the same", op=op, key=source, kind="invalid.self"
            )
        return source, target

    def _taking(self, kind: Kind, source: str, target: str, mode: Mode, request_id: str | None) -> Change:
        return Change(
            self.name,
            target,
            kind,
            check_mode(mode),
            self._tools.writer.name,
            {},
            "",
            origin=source,
            request_id=check_request_id(request_id),
        )

    def _put(
        self, path: str, mode: Mode, metadata: Metadata | None, content_type: str | None, modified: datetime | None
    ) -> Change:
        path = self._path(path)
        if modified is not None and (not isinstance(modified, datetime) or not in_calendar(modified)):
            raise InvalidError(f"modified is a datetime with a time zone, not {modified!r}", op="put", key=path)
        return Change(
            volume=self.name,
            path=path,
            kind="put",
            mode=check_mode(mode),
            writer=self._tools.writer.name,
            metadata=check_metadata(metadata),
            content_type=content_type_of(path) if content_type is None else check_content_type(content_type),
            modified=None if modified is None else microseconds(modified),
        )


def _of_live(mode: Mode, op: str) -> Mode:
    if isinstance(check_mode(mode), Create):
        raise InvalidError(f"{op} takes Overwrite(), IfVersion(n) or IfMatch(etag), not Create()", op=op)
    return mode


def _replacing(metadata: Metadata) -> Metadata:
    if metadata is None:
        raise InvalidError("set_metadata takes a mapping: an empty one takes them all away", op="metadata")
    return metadata


def _unreadable(item: Item, error: Exception) -> InvalidError:
    path = str(getattr(item, "path", ""))
    message = f"put {path!r}: its content cannot be read: {type(error).__name__}: {error}"
    unreadable = InvalidError(message, op="put", key=path, kind="invalid.source")
    unreadable.__cause__ = error
    return unreadable
