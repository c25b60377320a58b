"""Ingest: make the catalog hold a tree of files. Walk, compare, upload and commit overlap; a few things are held back.

The tree is walked in the order of the catalog's own listing of the prefix, so both are read once, side by side. A file
is unchanged where size and digest are the head's (`trust_mtime`: size and time), and costs no write; where the head is
adopted, and nobody has read it, its MD5 stands for the digest. The others are packed: 99 of one shard go together, so
that their intents are one transaction and their commits, as their contents arrive, are three; more where the volume has
indexes or a change log. What is held are records; the content of a small file is read when it is its turn.

Nothing is remembered between runs. An ingest that was killed and is started again finds what it committed in the
listing, and goes on. Where two ingests meet, who comes second finds the same content and makes no version of it. One
bad file stops no other: every failure is in the report, with its path and its reason, also one that nobody expected;
links to folders are counted there, and not followed.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Final

from storage import Digester, Digests

from .changes import (
    Change,
    same_metadata,
)
from .cohorts import Packer, Pending
from .columns import parse_head
from .commit import Seat
from .entities import Head, VolumeInfo
from .errors import CatalogError, InvalidError, NotFoundError
from .flow import concurrently
from .ingest_report import IngestReport, Progress, Tally
from .keys import encode, heads
from .listing import Lister
from .media import content_type_of
from .metadata import Metadata
from .modes import Overwrite
from .paths import check_folder
from .protocol import Known
from .settings import Settings
from .sources import file_chunks
from .threads import in_thread
from .times import microseconds
from .uploads import Ready, SmallFile
from .walk import Failure, FolderLink, Found, LocalFile, walk
from .writer import Writer

WALKED_AT_A_TIME: Final = 256
COMPARED_AT_A_TIME: Final = 8


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
        self._staged: dict[str, Ready] = {}
        self._pulse = writer.pulse()

    async def run(self, source: os.PathLike[str] | str, prefix: str, exclude: Sequence[str]) -> IngestReport:
        """Bring the tree in.

        Raises: InvalidError, NotFoundError (no such tree, no such catalog), UnavailableError (no listing).
        """
        root, prefix, exclude = _checked_source(source), check_folder(prefix), _checked_patterns(exclude)
        if not await in_thread(self._threads, _is_there, root):
            raise NotFoundError(
                f"there is no file or folder {root}", op="ingest", key=str(root), kind="not-found.source"
            )
        packer = Packer(self._volume, self._writer.committer, self._write)
        try:
            async with (
                packer.packing(),
                aclosing(self._joined(walk(root, prefix, exclude), prefix)) as files,
                aclosing(self._told_apart(files, packer)) as unclear,
                aclosing(concurrently(unclear, self._compare, limit=COMPARED_AT_A_TIME)) as compared,
            ):
                async for pending in compared:
                    if pending is not None:
                        await packer.add(pending)
        finally:
            for blob, staged in self._staged.items():
                await staged.let_go(blob)
        return self._tally.report()

    async def _joined(self, found: Iterator[Found], prefix: str) -> AsyncGenerator[tuple[LocalFile, Known], None]:
        """The files of the tree, each with what the catalog has at its path."""
        async with aclosing(self._lister.shards(self._volume, heads(prefix))) as rows:
            listed = (parse_head(self._volume.name, row) async for row in rows)
            head = await anext(listed, None)
            while batch := await in_thread(self._threads, _batch, found):
                for file in batch:
                    if isinstance(file, FolderLink):
                        self._tally.links_skipped += 1
                        continue
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

    async def _told_apart(
        self, files: AsyncIterator[tuple[LocalFile, Known]], packer: Packer[Pending]
    ) -> AsyncGenerator[tuple[LocalFile, Known], None]:
        """Those that have to be read before it is known what to do: others need no task of their own for that."""
        async for file, known in files:
            if known.head or file.size > self._settings.one_shot_bytes:
                yield file, known
            elif pending := self._small(file, known):
                await packer.add(pending)

    def _small(self, file: LocalFile, known: Known) -> Pending | None:
        """A small file that is to be written, unless it can have no name."""
        try:
            op = self._writer.fresh(self._volume, self._change(file, known.head))
        except Exception as exc:  # noqa: BLE001 — whatever it is, it is this file's
            self._tally.fail(_failure(file, exc))
            return None
        return Pending(file, op, known, SmallFile(self._writer.uploads, file.source, file.size))

    async def _compare(self, found: tuple[LocalFile, Known]) -> Pending | None:
        """What is to be written, if anything; larger content is staged here, ahead of its intent."""
        file, known = found
        try:
            unchanged = known.head is not None and await self._is_unchanged(file, known.head)
            if not unchanged and file.size > self._settings.one_shot_bytes:
                return await self._large(file, known)
        except Exception as exc:  # noqa: BLE001 — whatever it is, it is this file's
            self._tally.fail(_failure(file, exc))
            return None
        if unchanged:
            self._tally.keep()
            return None
        return self._small(file, known)

    async def _large(self, file: LocalFile, known: Known) -> Pending:
        op = self._writer.fresh(self._volume, self._change(file, known.head))
        with self._pulse.beat("ingest", file.path):
            payload = await self._writer.uploads.staged(file.source, op.blob, self._writer.deadline())
        self._staged[op.blob] = payload
        return Pending(file, op, known, payload)

    async def _is_unchanged(self, file: LocalFile, head: Head) -> bool:
        there = head.file
        if not head.live or there.size != file.size:
            return False
        if self._metadata is not None and not same_metadata(there.metadata, self._metadata):
            return False
        if self._trust_mtime and file.modified_us is not None:
            return there.modified is not None and microseconds(there.modified) == file.modified_us
        found = await in_thread(self._threads, _digests, file.source)
        return found.digest == there.digest if there.digest else found.md5.hex() == there.md5

    def _change(self, file: LocalFile, head: Head | None) -> Change:
        kept = head.file.metadata if head and head.live else {}
        return Change(
            volume=self._volume.name,
            path=file.path,
            kind="put",
            mode=Overwrite(force=self._trust_mtime and head is not None),  # then the time alone is a change
            writer=self._writer.name,
            metadata=kept if self._metadata is None else self._metadata,
            content_type=content_type_of(file.path),
            modified=file.modified_us,
        )

    async def _write(self, pending: Pending, seat: Seat) -> None:
        file, op, payload = pending.file, pending.op, pending.payload
        try:
            with self._pulse.beat("ingest", file.path):
                written = await self._writer.write(
                    self._volume, op, payload, deadline=self._writer.deadline(), known=pending.known, seat=seat
                )
                ours = written is None or written.blob == payload.blob
                if written is None:  # aborted by others, after its content was staged
                    written = await self._writer.put(self._volume, op.change, file.source)
        except Exception as exc:  # noqa: BLE001 — whatever it is, it is this file's
            self._tally.fail(_failure(file, exc))
        else:
            if ours:
                self._tally.write(written)
            else:
                self._tally.keep()
        finally:
            if staged := self._staged.pop(op.blob, None):
                await staged.let_go(op.blob)


def _checked_source(source: os.PathLike[str] | str) -> Path:
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if isinstance(path, str) and "\0" not in path:
        return Path(path)
    raise InvalidError(f"a source is a path on disk, not {source!r}", op="ingest", kind="invalid.source")


def _checked_patterns(exclude: Sequence[str]) -> Sequence[str]:
    """A str is a sequence of patterns too, and `*` is one of them: nobody means that."""
    several = isinstance(exclude, Sequence) and not isinstance(exclude, str)
    if several and all(isinstance(pattern, str) for pattern in exclude):
        return exclude
    raise InvalidError(f"exclude is a sequence of patterns, such as ['*.tmp'], not {exclude!r}", op="ingest")


def _is_there(root: Path) -> bool:
    """Whether there is anything, be it unreadable."""
    try:
        root.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # the walk will say what it is
    return True


def _failure(file: LocalFile, exc: Exception) -> Failure:
    if not isinstance(exc, CatalogError):
        message = " ".join(f"{type(exc).__name__}: {exc}".split())
        error = CatalogError(message, op="ingest", key=file.path, kind="error.unexpected")
        error.__cause__ = exc
        exc = error
    return Failure(file.path, str(file.source), exc)


def _batch(found: Iterator[Found]) -> list[Found]:
    return list(islice(found, WALKED_AT_A_TIME))


def _digests(source: Path) -> Digests:
    digester = Digester()
    for chunk in file_chunks(source):
        digester.update(chunk)
    return digester.digests()
