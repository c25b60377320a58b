"""Volume: the files of one named space. The API that people use; every verb is a few lines over one of its parts."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from os import PathLike

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
from .settings import check_timeout
from .sources import Content, check_content
from .tended import TendedVolume
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


class Volume(TendedVolume):
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
        last block got through; reading content does not count. What reading content raises is raised as it is; but a
        CancelledError of its own, where nobody cancelled the put, as InvalidError.

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
        Links to folders are not followed, and what catalogs on this disk that are open here are made of is left out.
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
