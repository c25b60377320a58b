"""Ingest: make the catalog hold a tree of files. Walk, compare, upload and commit overlap; a few things are held back.

The tree is walked in the order of the catalog's own listing of the prefix, so both are read once, side by side. A file
is unchanged where size and digest are the head's (`trust_mtime`: size and time), and costs no write. The others are
packed: 99 of one shard go together, so that their intents are one transaction and their commits, as their contents
arrive, are three. What is held are records; the content of a small file is read when it is its turn.

Nothing is remembered between runs. An ingest that was killed and is started again finds what it committed in the
listing, and goes on. One bad file stops no other: every failure is in the report, with its path and its reason.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from storage import Digester

from .changes import (
    Change,
    same_metadata,
)
from .commit import Committer, Seat
from .entities import FileVersion, Head, VolumeInfo, parse_head
from .errors import CatalogError, NotFoundError
from .exchange import partition_of
from .flow import concurrently, first_of
from .keys import encode, heads
from .listing import Lister
from .media import content_type_of
from .metadata import Metadata
from .modes import Overwrite
from .op import (
    Op,
)
from .protocol import (
    Known,
)
from .settings import Settings
from .sources import file_chunks
from .threads import in_thread
from .times import microseconds
from .uploads import Payload, SmallFile
from .walk import Failure, LocalFile, walk
from .writer import Writer

COHORT: Final = 99  # intents in a transaction, with the gate beside them
COHORTS_MAX: Final = 16
WALKED_AT_A_TIME: Final = 256
COMPARED_AT_A_TIME: Final = 8


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest has come."""

    found: int = 0
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    bytes_written: int = 0
    walked: bool = False
    """Whether `found` is all there is."""


Progress = Callable[[IngestProgress], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did. `failed` is empty where every file of the tree is in the catalog."""

    written: int
    unchanged: int
    bytes_written: int
    failed: Sequence[Failure] = ()

    @property
    def ok(self) -> bool:
        """Whether every file of the tree is in the catalog."""
        return not self.failed


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that will be written, on what is there now."""

    file: LocalFile
    op: Op
    known: Known
    payload: Payload


@dataclass(slots=True)
class Tally:
    """The counts of a run, and who wants to hear of them."""

    listener: Progress | None
    found: int = 0
    written: int = 0
    unchanged: int = 0
    bytes_written: int = 0
    walked: bool = False
    failed: list[Failure] = field(default_factory=list)

    def tell(self) -> None:
        """Say how far it has come."""
        if self.listener:
            self.listener(
                IngestProgress(
                    self.found, self.written, self.unchanged, len(self.failed), self.bytes_written, self.walked
                )
            )

    def fail(self, failure: Failure) -> None:
        """Count a file that did not get in."""
        self.failed.append(failure)
        self.tell()

    def report(self) -> IngestReport:
        """The end of it."""
        failed = tuple(sorted(self.failed, key=lambda failure: failure.path))
        return IngestReport(self.written, self.unchanged, self.bytes_written, failed)


class Ingest:
    """One run over one tree."""

    def __init__(
        self,
        volume: VolumeInfo,
        *,
        writer: Writer,
        lister: Lister,
        threads: Executor,
        settings: Settings,
        metadata: Metadata | None,
        trust_mtime: bool,
        progress: Progress | None,
    ) -> None:
        self._volume = volume
        self._writer = writer
        self._lister = lister
        self._threads = threads
        self._settings = settings
        self._metadata = metadata
        self._trust_mtime = trust_mtime
        self._tally = Tally(progress)

    async def run(self, root: Path, prefix: str, exclude: Sequence[str]) -> IngestReport:
        """Bring the tree in. Raises: NotFoundError (no such tree, no such catalog), UnavailableError (no listing)."""
        if not await in_thread(self._threads, root.exists):
            raise NotFoundError(
                f"there is no file or folder {root}", op="ingest", key=str(root), kind="not-found.source"
            )
        packer = _Packer(self._volume, self._writer.committer, self._write)
        async with (
            packer.packing(),
            aclosing(self._joined(walk(root, prefix, exclude), prefix)) as files,
            aclosing(concurrently(files, self._compare, limit=COMPARED_AT_A_TIME)) as compared,
        ):
            async for pending in compared:
                if pending is not None:
                    await packer.add(pending)
        return self._tally.report()

    async def _joined(
        self, found: Iterator[LocalFile | Failure], prefix: str
    ) -> AsyncGenerator[tuple[LocalFile, Known], None]:
        """The files of the tree, each with what the catalog has at its path."""
        async with aclosing(self._lister.shards(self._volume, heads(prefix))) as rows:
            listed = (parse_head(self._volume.name, row) async for row in rows)
            head = await anext(listed, None)
            while batch := await in_thread(self._threads, _batch, found):
                for file in batch:
                    self._tally.found += 1
                    if isinstance(file, Failure):
                        self._tally.fail(file)
                        continue
                    while head and encode(head.file.path) < encode(file.path):
                        head = await anext(listed, None)
                    yield file, Known(head if head and head.file.path == file.path else None)
                self._tally.tell()
            self._tally.walked = True
            self._tally.tell()

    async def _compare(self, found: tuple[LocalFile, Known]) -> Pending | None:
        """What is to be written, if anything; larger content is staged here, ahead of its intent."""
        file, known = found
        try:
            if known.head and await self._is_unchanged(file, known.head):
                self._tally.unchanged += 1
                self._tally.tell()
                return None
            op = self._writer.fresh(self._volume, self._change(file, known.head))
            payload: Payload = SmallFile(self._writer.uploads, file.source, file.size)
            if file.size > self._settings.one_shot_bytes:
                payload = await self._writer.uploads.staged(file.source, op.blob)
            return Pending(file, op, known, payload)
        except CatalogError as exc:
            self._tally.fail(Failure(file.path, str(file.source), exc))
            return None

    async def _is_unchanged(self, file: LocalFile, head: Head) -> bool:
        there = head.file
        if not head.live or there.size != file.size:
            return False
        if self._metadata is not None and not same_metadata(there.metadata, self._metadata):
            return False
        if self._trust_mtime:
            return there.modified is not None and microseconds(there.modified) == file.modified_us
        return there.digest == await in_thread(self._threads, _digest, file.source)

    def _change(self, file: LocalFile, head: Head | None) -> Change:
        kept = head.file.metadata if head and head.live else {}
        return Change(
            volume=self._volume.name,
            path=file.path,
            kind="put",
            mode=Overwrite(force=True),
            writer=self._writer.name,
            metadata=kept if self._metadata is None else self._metadata,
            content_type=content_type_of(file.path),
            modified=file.modified_us,
        )

    async def _write(self, pending: Pending, seat: Seat) -> None:
        file, op = pending.file, pending.op
        try:
            written: FileVersion | None = await self._writer.write(
                self._volume, op, pending.payload, deadline=self._writer.deadline(), known=pending.known, seat=seat
            )
            if written is None:
                written = await self._writer.put(self._volume, op.change, file.source)
            self._tally.written += 1
            self._tally.bytes_written += written.size
            self._tally.tell()
        except CatalogError as exc:
            self._tally.fail(Failure(file.path, str(file.source), exc))


class _Packer:
    """Gathers what is to be written by shard, and lets it go in cohorts that fill transactions."""

    def __init__(
        self, volume: VolumeInfo, committer: Committer, write: Callable[[Pending, Seat], Awaitable[None]]
    ) -> None:
        self._volume = volume
        self._committer = committer
        self._write = write
        self._waiting: dict[str, list[Pending]] = {}
        self._places = asyncio.Semaphore(COHORTS_MAX)
        self._cohorts = asyncio.TaskGroup()

    @asynccontextmanager
    async def packing(self) -> AsyncIterator[None]:
        """Take things in; at the end let go what is left, and wait for all. Whatever ends it early leaves no task."""
        try:
            async with self._cohorts:
                yield
                for shard in list(self._waiting):
                    await self._go(shard)
        except BaseExceptionGroup as group:
            raise first_of(group) from None

    async def add(self, pending: Pending) -> None:
        """Take one more; wait where enough are under way."""
        shard = partition_of(self._volume, pending.file.path)
        waiting = self._waiting.setdefault(shard, [])
        waiting.append(pending)
        if len(waiting) == COHORT:
            await self._go(shard)

    async def _go(self, shard: str) -> None:
        cohort = self._waiting.pop(shard)
        await self._places.acquire()
        self._cohorts.create_task(self._run(shard, cohort))

    async def _run(self, shard: str, cohort: list[Pending]) -> None:
        """All of them begin at once, so that their intents are one transaction; each commit waits for a full one."""
        lane = self._committer.lane(shard)
        try:
            async with asyncio.TaskGroup() as writes:
                for pending in cohort:
                    writes.create_task(self._seated(pending, Seat(lane)))
        finally:
            self._places.release()

    async def _seated(self, pending: Pending, seat: Seat) -> None:
        try:
            await self._write(pending, seat)
        finally:
            seat.leave()


def _batch(found: Iterator[LocalFile | Failure]) -> list[LocalFile | Failure]:
    return list(islice(found, WALKED_AT_A_TIME))


def _digest(source: Path) -> str:
    digester = Digester()
    for chunk in file_chunks(source):
        digester.update(chunk)
    return digester.digests().digest
