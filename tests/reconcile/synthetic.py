"""A volume of any size that takes no memory: rows and blobs are made as they are asked for. And a reconcile of it.

As a program it is told how many files, and tells what that took, so that its memory is nobody else's.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog import Settings, VolumeInfo
from catalog.filters import Condition
from catalog.keys import RowRange, head_row, version_row
from catalog.listing import Lister
from catalog.pace import Pace, PacedContent, PacedTable, Rate
from catalog.reconcile.plan import Header, Policy
from catalog.reconcile.reconciler import Reconciler, Wanted
from catalog.reconcile.scan import Scope, scan
from catalog.retry import SystemClock
from catalog.rows import Entity, Values
from catalog.table import PAGE_ROWS
from catalog.times import EPOCH
from storage import Blob, Headers

SHARDS = 16
VOLUME = VolumeInfo("big", "01M7YDPMV7TEE4G67NGAFWCDA9", "immutable", SHARDS, "big/", 1, EPOCH, default=True)
FASTER = Rate(1e9, 1e9)


@dataclass(slots=True)
class Files:
    """So many files, each with one version: number i is in shard i modulo SHARDS."""

    count: int
    requests: int = 0
    md5: bytes = field(default=bytes(16))

    def path(self, number: int) -> str:
        return f"folder-{number % 100:02d}/file-{number:09d}.txt"

    def blob(self, number: int) -> str:
        return f"{VOLUME.root}.versions/{self.path(number)}~{number:026d}.txt"

    def paths(self, shard: int) -> Iterator[int]:
        """The numbers in a shard, in order of path."""
        for folder in range(100):
            first = next((each for each in range(folder, folder + 100 * SHARDS, 100) if each % SHARDS == shard), None)
            if first is not None:
                yield from range(first, self.count, 100 * SHARDS // _common(100, SHARDS))

    def values(self, number: int) -> Values:
        """As a head and a version row say it."""
        return {
            "schema": 1,
            "path": self.path(number),
            "version": 1,
            "kind": "put",
            "op": f"{number:026d}",
            "size": number,
            "digest": f"sha256:{number:064x}",
            "md5": self.md5.hex(),
            "content_type": "text/plain",
            "created": 1_795_000_000_000_000 + number,
            "writer": "synthetic",
            "chain": f"{number:064x}",
            "blob": self.blob(number),
            "blob_etag": f"etag-{number}",
        }


def _common(one: int, other: int) -> int:
    while other:
        one, other = other, one % other
    return one


class SyntheticTable:
    """The rows, in pages."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        page = list[Entity]()
        for entity in self._entities(partition, int(partition.rpartition("~")[2], 16)):
            page.append(entity)
            if len(page) == PAGE_ROWS:
                self._files.requests += 1
                yield page
                page = []
        self._files.requests += 1
        yield page

    def _entities(self, partition: str, shard: int) -> Iterator[Entity]:
        files = self._files
        for number in files.paths(shard):
            yield Entity(partition, head_row(files.path(number)), files.values(number), "1", 1)
        for number in files.paths(shard):
            yield Entity(partition, version_row(files.path(number), 1), files.values(number), "1", 1)

    def __getattr__(self, name: str) -> Any:
        """What a reconcile of a clean volume does not ask for is not there; `Pace` wants to hold it."""
        return None


class SyntheticContent:
    """The blobs, in order."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        files, listed = self._files, 0
        for folder in range(100):
            for number in range(folder, files.count, 100):
                listed += 1
                files.requests += listed % 5_000 == 1
                metadata = {"op": f"{number:026d}", "sha256": f"{number:064x}", "path": files.path(number)}
                yield Blob(files.blob(number), number, f"etag-{number}", Headers("text/plain", files.md5, metadata))

    def __getattr__(self, name: str) -> Any:
        """See SyntheticTable."""
        return None


async def reconcile(files: Files, folder: Path) -> Header:
    """At depth etag; the header of what came of it."""
    clock, threads = SystemClock(), ThreadPoolExecutor(8)
    pace = Pace(clock, FASTER)
    table: Any = SyntheticTable(files)
    content: Any = SyntheticContent(files)
    lister = Lister(PacedTable(table, pace), Settings(), clock)
    wanted = Wanted(Scope(VOLUME), Policy(), 1.0, None)
    try:
        reconciler = Reconciler(wanted, lister, PacedContent(content, pace), threads, now=time.time)
        return (await reconciler.run(folder, scan)).header
    finally:
        threads.shutdown()


def peak_kib() -> int:
    """The most memory that this process has had; Linux counts for others what it was started from, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Reconcile so many files, and tell what it took."""
    files = Files(int(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        header = asyncio.run(reconcile(files, Path(folder)))
    found = {"versions": header.versions, "blobs": header.blobs, "states": dict(header.states)}
    told = {"rss": peak_kib(), "requests": files.requests, "requests_read": header.requests_read}
    sys.stdout.write(json.dumps(found | told))


if __name__ == "__main__":
    main()
