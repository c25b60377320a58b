"""A dump that is to be loaded, as a local file: read twice, once to check all of it, and once to load it.

So whatever is wrong with a dump is found before the first request, and what is loaded is known by the sha256 of all of
it. Where it refers to content that was adopted, it is read in between as well: others may have that by now. A stream
is written to a temporary file first, which nobody else can see and which is gone with the load.

No more of a line is read than it may be long, so memory stays bounded whatever the file holds. Files are read and
parsed in threads, some hundred lines at a time.
"""

import gzip
import os
import zlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Executor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from .dumped import DUMP_FORMAT, LINE_BYTES_MAX, DumpedVersion, DumpEnd, DumpHeader, DumpRecord, parse_dump_line
from .entities import FileVersion, VolumeInfo
from .errors import CatalogError, ConflictError, IntegrityError, InvalidError
from .ledger import Ledger
from .sources import unreadable
from .threads import in_thread, to_the_end

DumpSource = os.PathLike[str] | AsyncIterable[str] | Iterable[str]
"""A dump: a file (`.gz` is unpacked), or its lines as `Catalog.dump` gives them."""

LINES_AT_A_TIME: Final = 256
SPOOLED_CHARACTERS: Final = 1 << 20  # of a stream, gathered before they are written

_NO_DUMP: Final = "invalid.no-dump"


@dataclass(slots=True)
class Counts:
    """What there is of a volume."""

    paths: int = 0
    versions: int = 0
    outside: int = 0
    """Versions whose content lies outside the volume's root: it was adopted."""


class DumpFile:
    """A dump on this disk, checked as a whole. Made by `opened_dump`."""

    def __init__(self, file: IO[bytes], name: str, threads: Executor) -> None:
        self._file = file
        self._name = name
        self._threads = threads
        self.header = DumpHeader(())
        self.end = DumpEnd(0, 0, 0, "")
        self.counts: Mapping[str, Counts] = {}

    def __repr__(self) -> str:
        return f"<DumpFile {self._name}>"

    async def check(self) -> None:
        """Read all of it. Raises: IntegrityError, which names the line; InvalidError for what is no dump."""
        roots: Mapping[str, str] = {}
        async for record in self._records():
            match record:
                case DumpHeader():
                    self.header = record
                    roots = {each.name: each.root for each in record.volumes}
                    self.counts = {each.name: Counts() for each in record.volumes}
                case DumpedVersion(file):
                    self.counts[file.volume].versions += 1
                    self.counts[file.volume].paths += file.version == 1
                    self.counts[file.volume].outside += bool(file.blob) and not file.blob.startswith(roots[file.volume])
                case DumpEnd():
                    self.end = record

    async def versions(self) -> AsyncGenerator[DumpedVersion, None]:
        """All versions, checked once more: a file can change. Raises: as `check`."""
        async with aclosing(self._records()) as records:
            async for record in records:
                if isinstance(record, DumpedVersion):
                    yield record
                elif isinstance(record, DumpEnd) and record != self.end:
                    raise _damaged(f"{self._name} changed while it was loaded")

    async def check_outside(self, volumes: Collection[str], there: Sequence[VolumeInfo]) -> None:
        """Look whether content of some of its volumes, adopted once, is that of volumes that are there already.

        Raises: ConflictError; and as `check`.
        """
        if not there or not any(self.counts[name].outside for name in volumes):
            return
        roots = {each.name: each.root for each in self.header.volumes}
        async with aclosing(self.versions()) as versions:
            async for version in versions:
                file = version.file
                if file.blob and file.volume in volumes and not file.blob.startswith(roots[file.volume]):
                    _check_free(file, there)

    async def _records(self) -> AsyncGenerator[DumpRecord, None]:
        records = _parsed(self._file, self._name)
        while batch := await to_the_end(self._threads, lambda: list(islice(records, LINES_AT_A_TIME))):
            for record in batch:
                yield record


@asynccontextmanager
async def opened_dump(source: DumpSource, threads: Executor) -> AsyncIterator[DumpFile]:
    """A dump, opened and checked. Raises: as `DumpFile.check`, and as reading a local file does."""
    if isinstance(source, os.PathLike):
        path = Path(source)
        file, name = await in_thread(threads, _opened, path), str(path)
    else:
        file, name = TemporaryFile(), "the dump"  # noqa: SIM115 — closed below
    try:
        if not isinstance(source, os.PathLike):
            await _spool(source, file, threads)
        dump = DumpFile(file, name, threads)
        await dump.check()
        yield dump
    finally:
        file.close()


def check_dump_source(source: object) -> None:
    """Raises: InvalidError for what cannot be a dump."""
    if isinstance(source, str | bytes):
        raise InvalidError("a dump is named by a pathlib.Path, not by a str; or it is its lines", op="load")
    if isinstance(source, os.PathLike):
        if not isinstance(os.fspath(source), str) or "\0" in os.fspath(source):
            raise InvalidError(f"a dump's path is text without NUL, not {source!r}", op="load")
    elif not isinstance(source, AsyncIterable | Iterable):
        raise InvalidError(f"a dump is a path or lines, not {type(source).__name__}", op="load")


def _check_free(file: FileVersion, there: Sequence[VolumeInfo]) -> None:
    for other in there:
        if file.blob.startswith(other.root):
            raise _taken(file, f"lies in the root {other.root!r} of volume {other.name!r}", other.root, "conflict.root")
        for prefix in other.adopted:
            if file.blob.startswith(prefix):
                why = f"begins with {prefix!r}, which volume {other.name!r} has adopted"
                raise _taken(file, why, prefix, "conflict.adopted")


def _taken(file: FileVersion, why: str, found: str, kind: str) -> ConflictError:
    message = f"version {file.version} of {file.path!r} cannot be loaded here: blob {file.blob!r} {why}"
    return ConflictError(message, found=found, op="load", key=file.path, kind=kind)


def _opened(path: Path) -> IO[bytes]:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
    except OSError as exc:
        raise unreadable(path, exc, op="load", key=str(path)) from exc


async def _spool(lines: AsyncIterable[str] | Iterable[str], file: IO[bytes], threads: Executor) -> None:
    gathered, size, number = list[bytes](), 0, 0
    async for line in _each(lines, threads):
        number += 1
        if not isinstance(line, str):
            raise InvalidError(f"a dump is lines of text, not {type(line).__name__}", op="load")
        gathered.append(_encoded(line, number))
        size += len(line)
        if size > SPOOLED_CHARACTERS:
            await to_the_end(threads, file.writelines, gathered)
            gathered, size = [], 0
    await to_the_end(threads, file.writelines, gathered)


def _encoded(line: str, number: int) -> bytes:
    text = line.removesuffix("\n")
    if len(text) >= LINE_BYTES_MAX or "\n" in text or not text.isascii():
        raise _damaged(f"line {number} of the dump is no line of ASCII with at most {LINE_BYTES_MAX:,} bytes")
    return text.encode() + b"\n"


async def _each(lines: AsyncIterable[str] | Iterable[str], threads: Executor) -> AsyncGenerator[str, None]:
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            yield line
        return
    iterator = iter(lines)
    while batch := await in_thread(threads, lambda: list(islice(iterator, LINES_AT_A_TIME))):
        for line in batch:
            yield line


def _parsed(file: IO[bytes], name: str) -> Iterator[DumpRecord]:
    """All records. Raises: InvalidError, IntegrityError."""
    ledger, number = Ledger(), 0
    for number, line in enumerate(_lines(file, name), 1):
        if number == 1 and f'"{DUMP_FORMAT}"'.encode() not in line:
            break
        try:
            record = parse_dump_line(line)
            ledger.take(record, line)
        except IntegrityError as exc:
            raise _damaged(f"line {number} of {name}: {exc.message}") from exc
        yield record
    if not ledger.ended:
        if ledger.begun:
            raise _damaged(f"{name} was cut: it ends with line {number}, and that is not the last one of a dump")
        raise InvalidError(f"{name} is no dump of blobcat", op="load", key=name, kind=_NO_DUMP)


def _lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    number = 0
    try:
        file.seek(0)
        while line := file.readline(LINE_BYTES_MAX + 1):
            number += 1
            if len(line) > LINE_BYTES_MAX:
                raise _damaged(f"line {number} of {name} is longer than {LINE_BYTES_MAX:,} bytes, as no line of a dump")
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise _damaged(f"{name} was cut or damaged: it cannot be unpacked behind line {number}") from exc
    except OSError as exc:
        raise unreadable(Path(name), exc, op="load", key=name) from exc


def _damaged(message: str) -> CatalogError:
    return IntegrityError(message, op="load", kind="integrity.dump")
