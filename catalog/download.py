"""Downloads: a file of the catalog, or a tree of them, as local files. What gets a name is whole and verified.

A file is read, digest and all, into a temporary file beside its destination, and named when all of it was there and is
what was written (see `destination`). A tree is listed while its files arrive, some at a time; each has a place below
the folder that was named (see `placement`), or it is a `Failure`. One bad file stops no other. Started again after a
crash, with `existing="newer"` or `"skip"`, it carries on.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast, get_args

from storage import Span

from .destination import Existing, LocalFolder, Part, explaining
from .entities import FileVersion, Folder
from .errors import CatalogError, InvalidError
from .flow import concurrently
from .paths import nothing_below
from .placement import Places, parts_of
from .reader import Readers
from .threads import to_the_end
from .times import microseconds
from .walk import Failure


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far the download of a tree has come."""

    found: int = 0
    written: int = 0
    skipped: int = 0
    failed: int = 0
    bytes_read: int = 0
    """Of all files, also of those that are under way or failed."""
    listed: bool = False
    """Whether `found` is all there is."""


DownloadListener = Callable[[DownloadProgress], None]


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """What the download of a tree did. `failed` is empty where every file of it is there."""

    written: int
    skipped: int
    bytes_written: int
    failed: Sequence[Failure] = ()

    @property
    def ok(self) -> bool:
        """Whether every file of the tree is there, or was to be left alone."""
        return not self.failed


@dataclass(slots=True)
class Tally:
    """The counts of a run, and who wants to hear of them."""

    listener: DownloadListener | None
    found: int = 0
    written: int = 0
    skipped: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    listed: bool = False
    failed: list[Failure] = field(default_factory=list)
    raised: BaseException | None = None
    """By the listener: that is no file's failure, and ends the run."""

    def tell(self) -> None:
        """Say how far it has come. Raises: whatever the listener raises."""
        if self.listener:
            now = (self.found, self.written, self.skipped, len(self.failed), self.bytes_read, self.listed)
            try:
                self.listener(DownloadProgress(*now))
            except BaseException as exc:
                self.raised = exc
                raise

    def read(self, size: int) -> None:
        """Count bytes that arrived."""
        self.bytes_read += size
        self.tell()

    def report(self) -> DownloadReport:
        """The end of it."""
        failed = tuple(sorted(self.failed, key=lambda failure: failure.path))
        return DownloadReport(self.written, self.skipped, self.bytes_written, failed)


class Downloads:
    """Brings file versions to a local disk."""

    def __init__(self, readers: Readers, threads: Executor) -> None:
        self.pulse = readers.pulse()
        self._readers = readers
        self._threads = threads

    async def file(self, file: FileVersion, target: Path, *, overwrite: bool) -> FileVersion:
        """One file, under the name that its caller chose."""
        existing: Existing = "overwrite" if overwrite else "fail"
        part = _part(file, partial(LocalFolder.opened, target.parent), [target.name], existing)
        await self.written(file, part, target)
        return file

    async def tree(
        self,
        files: AsyncIterator[FileVersion | Folder],
        prefix: str,
        folder: Path,
        *,
        volume: str,
        existing: Existing,
        limit: int,
        listener: DownloadListener | None,
    ) -> DownloadReport:
        """Every file of a listing, below a folder that is made where there is none, and something to be put into it."""
        with ExitStack() as held:

            def opened() -> LocalFolder:
                root = LocalFolder.opened(folder, make=True)
                held.callback(root.close)
                return root

            async with aclosing(cast("AsyncGenerator[FileVersion | Folder, None]", files)) as listed:  # it is one
                first = await anext(listed, None)
                if first is None and prefix:
                    raise nothing_below(prefix, volume, op="download")
                with explaining(prefix, folder):
                    root = await to_the_end(self._threads, opened)
                run = Tree(self, prefix, folder, root, existing=existing, tally=Tally(listener))
                async with (
                    aclosing(run.placed(first, listed)) as placed,
                    aclosing(concurrently(placed, run.bring, limit=limit)) as brought,
                ):
                    async for _ in brought:
                        run.tally.tell()
                return run.tally.report()

    async def written(
        self, file: FileVersion, part: Part, target: Path, heard: Callable[[int], None] = lambda _: None
    ) -> bool:
        """Whether it was written; else what is there stays. Raises: CatalogError, and leaves nothing behind."""
        try:
            with explaining(file.path, target):
                if not await to_the_end(self._threads, part.begin):
                    return False
            async with self._readers.open(file, Span()) as reader:
                async for chunk in reader:
                    heard(len(chunk))
                    with explaining(file.path, target):
                        await to_the_end(self._threads, part.write, chunk)
            with explaining(file.path, target):
                await to_the_end(self._threads, part.finish)
            return True
        finally:
            await self._abandoned(part)

    async def _abandoned(self, part: Part) -> None:
        if part.ended:
            return
        try:
            with suppress(InvalidError, RuntimeError):  # the catalog is closed, and its threads are no more
                await to_the_end(self._threads, part.abandon)
        finally:
            part.abandon()


class Tree:
    """One run over one tree."""

    def __init__(
        self, downloads: Downloads, prefix: str, folder: Path, root: LocalFolder, *, existing: Existing, tally: Tally
    ) -> None:
        self.tally = tally
        self._downloads = downloads
        self._prefix = prefix
        self._folder = folder
        self._root = root
        self._existing = existing
        self._places = Places()

    async def placed(
        self, first: FileVersion | Folder | None, rest: AsyncIterator[FileVersion | Folder]
    ) -> AsyncGenerator[tuple[FileVersion, Sequence[str]], None]:
        """The files that have a place below the folder, with its parts; of two with one place, the first."""
        file = first
        while file is not None:
            if isinstance(file, FileVersion) and (parts := self._place(file)) is not None:
                yield file, parts
            file = await anext(rest, None)
        self.tally.listed = True
        self.tally.tell()

    def _place(self, file: FileVersion) -> Sequence[str] | None:
        """Its place, or None where it has none, which is a failure of its own."""
        self.tally.found += 1
        try:
            parts = parts_of(file.path, self._prefix)
            self._places.take(file.path, parts)
        except CatalogError as exc:
            self._fail(file, str(self._folder), exc)
            return None
        return parts

    async def bring(self, placed: tuple[FileVersion, Sequence[str]]) -> None:
        """Bring one file to its place, and count what became of it."""
        file, parts = placed
        target = self._folder.joinpath(*parts)
        part = _part(file, self._root.again, parts, self._existing)
        try:
            with self._downloads.pulse.beat("download", file.path):
                written = await self._downloads.written(file, part, target, self.tally.read)
        except CatalogError as exc:
            if exc is self.tally.raised:
                raise
            self._fail(file, str(target), exc)
            return
        if written:
            self.tally.written += 1
            self.tally.bytes_written += file.size
        else:
            self.tally.skipped += 1

    def _fail(self, file: FileVersion, target: str, error: CatalogError) -> None:
        self.tally.failed.append(Failure(str(file.path), target, error))
        self.tally.tell()


def _part(file: FileVersion, root: Callable[[], LocalFolder], parts: Sequence[str], existing: Existing) -> Part:
    modified_us = None if file.modified is None else microseconds(file.modified)
    time_us = microseconds(file.created) if modified_us is None else modified_us
    return Part(root, parts, existing=existing, time_us=time_us, modified_us=modified_us)


def check_target(target: os.PathLike[str] | str) -> Path:
    """A local path with a name. Raises: InvalidError."""
    if not isinstance(target, str | os.PathLike) or "\0" in os.fspath(target):
        raise InvalidError(f"a target is the path of a local file or folder, not {target!r}", op="download")
    return Path(target)


def check_file_target(target: os.PathLike[str] | str) -> Path:
    """A local path that can be a file's. Raises: InvalidError."""
    path = check_target(target)
    if path.name in ("", "..") or os.fspath(target).endswith(("/", os.sep)):
        message = f"a target names the local file itself, not its folder: {os.fspath(target)!r}"
        raise InvalidError(message, op="download", kind="invalid.target")
    return path


def check_existing(existing: Existing) -> Existing:
    """Raises: InvalidError."""
    if existing not in get_args(Existing):
        one_of = ", ".join(map(repr, get_args(Existing)))
        raise InvalidError(f"existing is one of {one_of}, not {existing!r}", op="download")
    return existing
