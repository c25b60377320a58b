"""Loading: a dump becomes volumes again, here or anywhere else, with history and chains as they were.

    check     all of the dump, before any request
    begin     the load's row in the registry, which has a fresh epoch for each volume
    gates     of all shards of these epochs
    content   of each version: found under its name, or copied
    rows      of each version, into partitions that nobody reads
    publish   one transaction makes all volumes

Each step finds what is there already, so a load that was stopped anywhere is started again and goes on; until the last
step nobody sees anything of it. What is left of one that nobody starts again is rows that nothing reads.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self, cast

from storage import ContentStore, Secret

from .backends import backend
from .dump_file import DumpFile
from .dumped import DumpedVersion, DumpedVolume
from .entities import VolumeInfo
from .errors import CatalogError, InvalidError, TooLargeError
from .flow import in_order
from .garbage import searched_seldom
from .load_content import LoadContent, Origin, listed
from .load_registry import VOLUMES_MAX, LoadRegistry, LoadUnderWay
from .load_rows import LoadRows, inserting
from .locations import parse_sealed_location
from .reader import Readers
from .registry import Volumes
from .removal import Removal
from .retry import Clock, Deadline
from .settings import Settings
from .table import Table
from .uploads import Uploads
from .verify import Finding
from .writer import Writer

CONTENTS_AT_A_TIME: Final = 32
FINDINGS_MAX: Final = 1000
"""So many missing contents are named; all are counted."""

LoadListener = Callable[["LoadProgress"], None]


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a load is."""

    versions: int
    """Versions that were looked at."""
    total: int
    """Versions that there are."""
    bytes_copied: int
    """Content that was copied."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did, or found done by an earlier run, which then has counted what it copied and missed."""

    volumes: Sequence[str]
    """The volumes that are there now; empty where nothing became visible."""
    paths: int
    """Paths that the dump has of what was loaded, those of deleted files too."""
    versions: int
    """Versions that the dump has of what was loaded."""
    copied: int
    """Blobs that were copied."""
    bytes_copied: int
    """Bytes of the blobs that were copied."""
    missing: int
    """Versions whose content is not there, or is not theirs."""
    sha256: str
    """The dump's own."""
    findings: Sequence[Finding] = ()
    """What is missing: the first thousand of it."""

    @property
    def ok(self) -> bool:
        """Whether the volumes are there, with all of their content."""
        return bool(self.volumes) and not self.missing


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a caller wants a load to be."""

    origin: Origin | None
    allow_missing: bool
    progress: LoadListener | None


class Loading:
    """Loads dumps into one catalog."""

    def __init__(
        self,
        writer: Writer,
        volumes: Volumes,
        removal: Removal,
        *,
        threads: Executor,
        settings: Settings,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._volumes = volumes
        self._removal = removal
        self._threads = threads
        self._settings = settings
        self._clock = clock
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"<Loading by {self._writer!r}>"

    def within(self, timeout_s: float | None) -> Self:
        """It, for a call with a time limit of its own. Raises: InvalidError."""
        limited = copy(self)
        limited._writer = self._writer.within(timeout_s)  # noqa: SLF001 — it is one of our own
        limited._volumes = self._volumes.within(timeout_s)  # noqa: SLF001
        limited._removal = self._removal.within(timeout_s)  # noqa: SLF001
        return limited

    @asynccontextmanager
    async def origin(self, place: object, secret: Any, timeout_s: float | None) -> AsyncIterator[Origin | None]:
        """Where content is copied from: at a sealed url, or in a store, which stays open. Raises: InvalidError."""
        async with AsyncExitStack() as opened:
            store = place
            if isinstance(place, Secret):
                allowed = self._settings.hosts_allowed
                location = parse_sealed_location(place, hosts_allowed=allowed, keyless=secret is not None)
                ports = backend(location, secret, self._settings)
                opened.push_async_callback(ports.close)
                store = ports.content
            elif secret is not None:
                raise InvalidError("a credential for content goes with the url of its catalog", op="load")
            elif place is not None and not hasattr(place, "capabilities"):
                raise InvalidError(f"content comes from the url of a catalog, not from {place!r}", op="load")
            if store is None:
                yield None
                return
            readers = Readers(cast("ContentStore", store), self._threads, self._settings, self._clock)
            opened.push_async_callback(readers.close)
            yield Origin(cast("ContentStore", store), readers.within(timeout_s))

    async def load(self, dump: DumpFile, name: str | None, wishes: Wishes) -> LoadReport:
        """Load all volumes of a dump, or one. Raises: see `Catalog.load`."""
        wanted, finish = _wanted(dump, name), self._removal.help_along
        table, deadline = self._volumes.table, self._writer.deadline
        check_outside = partial(dump.check_outside, [each.name for each in wanted])
        registry = LoadRegistry(self._volumes, table, deadline, self._new_id, check_outside=check_outside)
        load = await registry.begin(_identity(dump, name), wanted, finish)
        run = _Run(dump, load, wishes)
        if not load.done:
            for info in load.volumes:
                await registry.open_gates(info)
            await run.fill(table, self._writer.uploads, deadline)
            if not run.missing or wishes.allow_missing:
                await registry.publish(load, _default(wanted), finish)
                load = replace(load, done=True)
        return run.report(load)


class _Run:
    """One run of a load: what was met so far."""

    def __init__(self, dump: DumpFile, load: LoadUnderWay, wishes: Wishes) -> None:
        self._dump = dump
        self._wishes = wishes
        self._volumes: Mapping[str, VolumeInfo] = {info.name: info for info in load.volumes}
        self._roots = [info.root for info in load.volumes]
        self._copied = self._bytes_copied = self._versions = 0
        self.missing = 0
        self._findings: list[Finding] = []

    async def fill(self, table: Table, uploads: Uploads, deadline: Callable[[], Deadline]) -> None:
        """Put content and rows where they belong."""
        total = sum(self._dump.counts[name].versions for name in self._volumes)
        with searched_seldom():
            async with (
                listed(uploads, self._wishes.origin, deadline, self._roots) as content,
                inserting(table, deadline) as rows,
                aclosing(self._versions_of()) as versions,
                aclosing(in_order(versions, _finding(content), limit=CONTENTS_AT_A_TIME)) as found,
            ):
                async for version, last, etag in found:
                    await self._take(rows, version, etag, last=last)
                    self._copied, self._bytes_copied = content.copied.blobs, content.copied.bytes
                    if self._wishes.progress:
                        self._wishes.progress(LoadProgress(self._versions, total, self._bytes_copied))

    async def _take(self, rows: LoadRows, version: DumpedVersion, etag: str | CatalogError, *, last: bool) -> None:
        self._versions += 1
        if isinstance(etag, CatalogError):
            self.missing += 1
            if len(self._findings) < FINDINGS_MAX:
                self._findings.append(Finding(version.file, etag))
            etag = version.file.blob_etag
        if not self.missing or self._wishes.allow_missing:  # else nothing of it will be seen by this run
            await rows.add(self._volumes[version.file.volume], _with_etag(version, etag), last=last)

    async def _versions_of(self) -> AsyncGenerator[tuple[DumpedVersion, bool], None]:
        """The versions that are loaded, and whether each is the last one of its path."""
        before: DumpedVersion | None = None
        async with aclosing(self._dump.versions()) as versions:
            async for version in versions:
                if before is not None:
                    yield before, _path(before) != _path(version)
                before = version if version.file.volume in self._volumes else None
        if before is not None:
            yield before, True

    def report(self, load: LoadUnderWay) -> LoadReport:
        """What came of it."""
        counts = [self._dump.counts[name] for name in self._volumes]
        return LoadReport(
            volumes=tuple(self._volumes) if load.done else (),
            paths=sum(each.paths for each in counts),
            versions=sum(each.versions for each in counts),
            copied=self._copied,
            bytes_copied=self._bytes_copied,
            missing=self.missing,
            sha256=self._dump.end.sha256,
            findings=tuple(self._findings),
        )


def _wanted(dump: DumpFile, name: str | None) -> Sequence[DumpedVolume]:
    """Raises: InvalidError."""
    volumes = dump.header.volumes
    wanted = [each for each in volumes if name in (None, each.name)]
    if not wanted:
        held = ", ".join(each.name for each in volumes) or "none"
        message = f"there is no volume {name!r} in the dump" if name else "there is no volume in the dump"
        raise InvalidError(f"{message}: it holds {held}", op="load", key=name or "", kind="invalid.volume")
    if len(wanted) > VOLUMES_MAX:
        message = f"one load makes at most {VOLUMES_MAX} volumes, not {len(wanted)}: load them one by one"
        raise TooLargeError(message, op="load")
    return wanted


def _identity(dump: DumpFile, name: str | None) -> str:
    return dump.end.sha256 if name is None else f"{dump.end.sha256}-{name}"


def _default(wanted: Sequence[DumpedVolume]) -> str:
    """The volume that becomes the default one, where there is none yet."""
    return next((each.name for each in wanted if each.default), wanted[0].name)


def _with_etag(version: DumpedVersion, etag: str) -> DumpedVersion:
    return replace(version, file=replace(version.file, blob_etag=etag))


def _path(version: DumpedVersion) -> tuple[str, str]:
    return version.file.volume, version.file.path


_Found = tuple[DumpedVersion, bool, str | CatalogError]


def _finding(content: LoadContent) -> Callable[[tuple[DumpedVersion, bool]], Awaitable[_Found]]:
    async def find(item: tuple[DumpedVersion, bool]) -> _Found:
        version, last = item
        return version, last, await content.find(version)

    return find
