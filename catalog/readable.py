"""One file of a volume, by its path: what it is, its content, its history."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from os import PathLike

from storage import ContentStore, Span

from .adoption import Enrol
from .alterations import KeepsIndexes, SwitchesLog
from .arguments import check_flags
from .columns import parse_file, parse_head, parse_told, parse_version
from .download import Downloads, check_file_target
from .entities import FileVersion, VolumeInfo
from .errors import InvalidError, NotFoundError
from .exchange import partition_of
from .finality import Finality, check_time
from .keys import check_key_length, check_version, head_row, version_row, versions
from .learning import LEARNING_S, learn
from .listing import Lister
from .past import Past
from .paths import check_path
from .reader import Reader, Readers, check_span, was_purged
from .retry import Deadline
from .rows import Entity
from .seek import READ_AHEAD_BYTES, SeekableReader, check_read_ahead, seekable
from .settings import Settings, check_timeout
from .signing import expiry, signed_url
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Tools:
    """What the volumes of a catalog share."""

    writer: Writer
    readers: Readers
    lister: Lister
    threads: Executor
    settings: Settings
    content: ContentStore
    store: ContentStore
    """The same, unobserved: with the abilities that not every store has."""
    enrol: Enrol
    indexes: KeepsIndexes
    switch_log: SwitchesLog

    def within(self, timeout_s: float | None) -> "Tools":
        """They, for a call with a time limit of its own. Raises: InvalidError."""
        check_timeout(timeout_s)
        if timeout_s is None:
            return self
        return replace(
            self,
            writer=self.writer.within(timeout_s),
            readers=self.readers.within(timeout_s),
            lister=self.lister.within(timeout_s),
        )


class ReadableVolume:
    """The files of one named space, to be looked at and read.

    `timeout_s` is how long a call may wait for the services, by default `Settings.timeout_s`. Where content or a
    listing arrives piece by piece, each piece begins it anew: it is how long nothing may arrive.
    """

    def __init__(self, info: VolumeInfo, tools: Tools) -> None:
        self.info = info
        self._tools = replace(tools, readers=tools.readers.asking(self._is_purged, self._learn))
        self._finality = Finality(info)

    def __repr__(self) -> str:
        return f"<Volume {self.info.name!r}, {self.info.shards} shards, blobs under {self.info.root!r}>"

    @property
    def name(self) -> str:
        """The volume's name."""
        return self.info.name

    async def stat(
        self,
        path: str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Describe a file, or one of its versions (also one that is a delete). One request.

        With `as_of`, the file as it was at that moment of the service's clock, here and in all that reads: the newest
        version written up to then. The answer never changes: writes under way that began before the moment are waited
        for, and so is the moment itself, if it comes within the time limit. It costs three requests, then one.
        Raises: NotFoundError, InvalidError (`as_of` in the future, or beside `version`), AccessDeniedError (`as_of`
        writes a marker), UnavailableError (`unavailable.not-final`: such a write is still open).
        """
        return await self._described("stat", path, version, self._tools.writer.deadline(timeout_s), as_of)

    async def _described(
        self, op: str, path: str, version: int | None, deadline: Deadline, as_of: datetime | None = None
    ) -> FileVersion:
        if as_of is None:
            return parse_told(self.name, await self._row(op, path, version, deadline))
        if version is not None:
            raise InvalidError("version and as_of exclude each other: each says which version is meant", op=op)
        path, past = self._path(path), self._past(op, as_of, None)
        entity = await past.at(path, deadline=deadline)
        if entity is None:
            message = f"there was no file {path!r} in volume {self.name!r} at {as_of.isoformat()}"
            raise NotFoundError(message, op=op, key=path)
        file = parse_told(self.name, entity)
        if file.kind == "delete":
            message = f"file {path!r} was deleted at {as_of.isoformat()} (version {file.version})"
            raise NotFoundError(message, op=op, key=path, kind="not-found.deleted")
        return file

    def _past(self, op: str, as_of: datetime, timeout_s: float | None) -> Past:
        time, tools = check_time(op, "as_of", as_of), self._tools.within(timeout_s)
        return Past(self.info, time, self._finality, tools.writer, tools.lister)

    async def _row(self, op: str, path: str, version: int | None, deadline: Deadline) -> Entity:
        path = self._path(path)
        row = head_row(path) if version is None else version_row(path, check_version(version))
        entity = await self._settled(lambda: deadline, await self._get(path, row, deadline))
        if entity is None:
            what = f"file {path!r}" if version is None else f"version {version} of {path!r}"
            kind = None if version is None else "not-found.version"
            raise NotFoundError(f"there is no {what} in volume {self.name!r}", op=op, key=path, kind=kind)
        file = parse_file(self.name, entity)
        if version is None and file.kind == "delete":
            message = f"file {path!r} was deleted (version {file.version}); its older versions can still be read"
            raise NotFoundError(message, op=op, key=path, kind="not-found.deleted")
        return entity

    async def read(
        self,
        path: str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """The whole content of a file, verified against its digest.

        Raises: NotFoundError (also where that version's content was purged), IntegrityError (not what was written),
        AccessDeniedError, UnavailableError; with `as_of`, as `stat`.
        """
        deadline = self._tools.writer.deadline(timeout_s)
        file = await self._described("read", path, version, deadline, as_of)
        async with self._tools.readers.within(deadline.left_s).open(file, Span()) as reader:
            return await reader.read()

    @asynccontextmanager
    async def open(
        self,
        path: str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        start: int = 0,
        length: int | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Reader]:
        """Read a file as a stream of chunks, in bounded memory.

        The whole content is verified: where it is not what was written, an error comes in place of the last chunk. A
        range (`start`, `length`, in bytes) is pinned to the blob that the catalog means, and not verified.
        Raises: as `read`; a broken connection is picked up where it broke.
        """
        span = check_span(start, length)
        deadline = self._tools.writer.deadline(timeout_s)
        file = await self._described("open", path, version, deadline, as_of)
        async with self._tools.readers.within(deadline.left_s).open(file, span) as reader:
            yield reader

    @asynccontextmanager
    async def open_seekable(
        self,
        path: str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        read_ahead_bytes: int = READ_AHEAD_BYTES,
        timeout_s: float | None = None,
    ) -> AsyncIterator[SeekableReader]:
        """Read a file anywhere, as a binary file is read: `read`, `seek`, `tell`. Memory is bounded by the read-ahead.

        All of it comes from the one blob that the catalog means. Who reads on is read ahead for, in several requests at
        a time; after a jump only what is read is fetched. What is read in order from the beginning to the end is
        verified, as with `open`; other reads are not (`SeekableReader.verified`).
        Raises: as `read`; a broken connection is picked up where it broke.
        """
        check_read_ahead(read_ahead_bytes)
        deadline = self._tools.writer.deadline(timeout_s)
        file = await self._described("open_seekable", path, version, deadline, as_of)
        async with seekable(self._tools.readers.within(deadline.left_s), file, read_ahead_bytes) as reader:
            yield reader

    async def download(
        self,
        path: str,
        target: PathLike[str] | str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        overwrite: bool = False,
        timeout_s: float | None = None,
    ) -> FileVersion:
        """Write a file to the local disk; under its name it is whole and verified, or not there at all.

        `target` is the local file itself; its folder must be there. Its time becomes the version's `modified`. With
        `overwrite` it replaces a file; a link is replaced, too, and not followed. After an error, or cancelled, what
        was there is as it was.
        Raises: ConflictError (something is there, and no `overwrite`), InvalidError, NotFoundError (no such file, or no
        such folder), IntegrityError, AccessDeniedError and UnavailableError (of the services, or of the disk).
        """
        local = check_file_target(target)
        check_flags("download", overwrite=overwrite)
        deadline = self._tools.writer.deadline(timeout_s)
        file = await self._described("download", path, version, deadline, as_of)
        return await self._downloads(deadline.left_s).file(file, local, overwrite=overwrite)

    async def history(self, path: str, *, timeout_s: float | None = None) -> AsyncIterator[FileVersion]:
        """All versions of a file, newest first; deletes too. Raises: NotFoundError where there never was one."""
        path = self._path(path)
        found = False
        lister = self._tools.within(timeout_s).lister
        async with aclosing(lister.rows(partition_of(self.info, path), versions(path))) as rows:
            async for row in rows:
                found = True
                yield parse_told(self.name, row)
        if not found:
            raise NotFoundError(f"there never was a file {path!r} in volume {self.name!r}", op="history", key=path)

    async def sign(
        self, path: str, *, expires_in: timedelta | float, version: int | None = None, timeout_s: float | None = None
    ) -> str:
        """A url by which anyone reads one version's content, without a credential, for so long (seconds, from 1 up).

        It reads that version, also when the file has changed since; it is https, and does nothing but read. Where the
        catalog was opened with an identity it is signed by a user delegation key, for at most seven days, and the
        identity needs the role Storage Blob Delegator as well; else by the account's key. Who has the url has the
        content: hand it over as you would a password. Ask `Catalog.capabilities.signed_urls` first.
        Raises: InvalidError (a time that cannot be, or a catalog that signs none: of kind "invalid.unsupported"),
        NotFoundError (also where it was purged), AccessDeniedError, UnavailableError.
        """
        expires = expiry(expires_in)
        deadline = self._tools.writer.deadline(timeout_s)
        row = parse_version(self.name, await self._row("sign", path, version, deadline))
        if row.purged or (row.purging and not await self._is_there(row.file.blob, deadline)):
            raise was_purged(row.file, "sign")
        return await deadline.retried(lambda: signed_url(self._tools.store, row.file, expires))

    def _downloads(self, timeout_s: float | None) -> Downloads:
        tools = self._tools.within(timeout_s)
        return Downloads(tools.readers, tools.threads)

    def _path(self, path: str) -> str:
        path = check_path(path)
        check_key_length(path)
        return path

    async def _get(self, path: str, row: str, deadline: Deadline) -> Entity | None:
        table = self._tools.lister.table
        return await deadline.retried(lambda: table.get(partition_of(self.info, path), row))

    async def _learn(self, file: FileVersion, digest: str) -> None:
        writer, table = self._tools.writer, self._tools.lister.table
        deadline = writer.deadline(LEARNING_S)
        await learn(self.info, file, digest, table=table, committer=writer.committer, deadline=deadline)

    async def _is_there(self, blob: str, deadline: Deadline) -> bool:
        try:
            await deadline.retried(lambda: self._tools.content.stat(blob))
        except NotFoundError as exc:
            if exc.kind != "not-found.blob":
                raise
            return False
        return True

    async def _is_purged(self, file: FileVersion) -> bool:
        row = version_row(file.path, file.version)
        entity = await self._get(file.path, row, self._tools.writer.deadline())
        return entity is not None and not parse_version(self.name, entity).live

    async def _settled(self, begin: Callable[[], Deadline], row: Entity | None) -> Entity | None:
        """A head that a reader met: where a move that takes it away was decided, as it is after that."""
        if row is None or "moving" not in row.values:
            return row
        head, deadline = parse_head(self.name, row), begin()
        assert head.claim  # noqa: S101 — that is what `moving` says
        settle = self._tools.writer.settle_claim
        await settle(self.info, head.file.path, head.claim, gentle=True, deadline=deadline)
        return await self._get(head.file.path, row.row, deadline)
