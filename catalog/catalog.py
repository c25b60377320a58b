"""Catalog: one table and one container, opened; and the volumes in them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from storage import Capabilities, ContentStore, sealed

from .arguments import check_callback, check_flags
from .arrow import Types
from .backends import backend
from .dump import dump
from .dump_file import DumpSource, check_dump_source, opened_dump
from .entities import FileVersion, VolumeInfo
from .events import OnEvent
from .finality import check_time
from .load import LoadListener, LoadReport, Wishes
from .locations import LocalLocation, parse_sealed_location
from .mended import MendedCatalog
from .opened import check_writer
from .origin import Origin
from .paths import check_prefix
from .query_text import Where, checked_where
from .settings import Settings, check_timeout
from .sql import MEMORY_BYTES, check_sql
from .token import Token
from .tracing import traced
from .unwrap import LocalPaths, unwrapped
from .volume import Volume
from .wanted import check_new, check_volume_name

if TYPE_CHECKING:
    import pyarrow as pa

    from .azure_clients import AzureClients


class Catalog(MendedCatalog):
    """A catalog that is open. Made by `connect`; constructed from its ports by tests and by those who bring their own.

    Belongs to one event loop. Closing it closes its ports, and a `credential` that was made for them, and ends its
    threads and tasks; what was under way then is as if it was cancelled. `threads` that are given stay the caller's.
    """

    async def create_volume(
        self,
        name: str,
        *,
        layout: Literal["immutable"] = "immutable",
        shards: int = 16,
        root: str | None = None,
        change_log: bool = False,
        exist_ok: bool = False,
        timeout_s: float | None = None,
    ) -> Volume:
        """Make a volume, and the table and container where they are not there yet. The first one becomes the default.

        `shards` (a power of two up to 256, fixed for ever) spread it over partitions, each good for 2,000 entities/s.
        `root` is the prefix of its blobs, by default `<name>/`; roots may not overlap, nor may there be blobs of others
        below one where a volume adopts them. With a `change_log`, `Volume.changes` gives every change once, and each
        write has one row more. With `exist_ok`, a volume that is there with the same settings is returned.

        Raises: InvalidError, ConflictError, AccessDeniedError, UnavailableError. OutcomeUnknownError: the services were
        lost while it was made; `volumes()` tells, or the same call again.
        """
        wanted = check_new(name, layout, shards, root, change_log=change_log)
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

    async def sql(
        self,
        sql: str,
        *,
        where: Where = None,
        prefix: str = "",
        as_of: datetime | None = None,
        volume: str | None = None,
        types: Types | None = None,
        memory_bytes: int = MEMORY_BYTES,
        timeout_s: float | None = None,
    ) -> "pa.Table":
        """What a SELECT over the files of a volume says: `select meta_owner, sum(size) from files group by 1`.

        `where`, `prefix` and `as_of` are the query's whose files those are, `volume` is the default one; the rest says
        `Query.sql`.
        Raises: as `Query.sql`; NotFoundError (no such volume).
        """
        check_sql(sql, types, memory_bytes)
        checked_where(where)
        check_prefix(prefix)
        if as_of is not None:
            check_time("sql", "as_of", as_of)
        opened = await self.volume(volume, timeout_s=timeout_s)
        files = opened.query(where, prefix=prefix, as_of=as_of, timeout_s=timeout_s)
        return await files.sql(sql, types=types, memory_bytes=memory_bytes)


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
    folder = location.folder.absolute() if isinstance(location, LocalLocation) else None
    catalog = traced(Catalog)(
        ports.table,
        ports.content,
        settings=settings,
        writer=writer,
        on_event=on_event,
        credential=ports.credential,
        origin=Origin(place, secret, container, table, folder),
    )
    try:
        yield catalog
    finally:
        await catalog.close()
