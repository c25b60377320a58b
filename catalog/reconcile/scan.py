"""Reads both sides of a volume once: the listing of its blobs, and every row of its shards.

Each part says in a certificate what it has read, and that it has read it to the end. A part that fails is not there,
and without all of them nothing is concluded (R1): half a listing makes garbage of everything that it lacks.
"""

import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from storage import Blob, ContentStore

from ..adoption import is_ours
from ..entities import VolumeInfo
from ..errors import CatalogError, UnavailableError
from ..flow import concurrently, each
from ..garbage import searched_seldom
from ..keys import INTENTS, RowRange, heads, partition, versions_under
from ..kinds import UNKNOWN, kind_of
from ..listing import Lister
from ..paths import RESERVED
from ..threads import to_the_end
from .facts import COLUMNS, FACTS, VERSIONS, Chains, Facts, damaged, facts_of_blob
from .index_facts import Entries
from .names import is_aside
from .plan import Depth
from .watermark import Watermark
from .workspace import Part, certificate_of

Progress = Callable[[str, int], None]
"""Told of a stage, and how much more of it is done."""

PARTS_AT_A_TIME: Final = 8
FRESH_S: Final = 3_600
"""How long the parts of a run that was stopped are good for."""
BLOBS_AT_A_TIME: Final = 1_000
EVERYTHING: Final = RowRange(" ", "\ufffd\ufffd")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared."""

    volume: VolumeInfo
    others: tuple[str, ...] = ()
    """The roots of other volumes: what lies below them is theirs."""
    prefix: str = ""
    """Of paths; with one, a part of the volume."""
    depth: Depth = "etag"

    @property
    def id(self) -> str:
        """A name for what such a scan reads: parts of another one are of no use."""
        volume = self.volume
        shape = (volume.epoch, volume.root, volume.shards, volume.adopted, volume.indexes)
        text = repr((*shape, self.others, self.prefix, self.depth, VERSIONS))
        return blake2b(text.encode(), digest_size=12).hexdigest()

    @property
    def listings(self) -> list[str]:
        """The prefixes of blobs that are listed, none within another."""
        root = self.volume.root
        if self.prefix:
            wanted = [f"{root}{RESERVED}/{self.prefix}", f"{root}{self.prefix}", *_within(self.volume, self.prefix)]
        else:
            wanted = [root, *self.volume.adopted]
        return [each for each in sorted(set(wanted)) if not any(each != one and each.startswith(one) for one in wanted)]

    @property
    def tasks(self) -> list[str]:
        """The parts, by name; each can be read by itself, anywhere."""
        blobs = [f"blobs-{number:02}" for number in range(len(self.listings))]
        return [*blobs, *(f"shard-{shard:02x}" for shard in range(self.volume.shards))]


def _within(volume: VolumeInfo, prefix: str) -> list[str]:
    """Adopted prefixes, as far as blobs of that name can be files of that prefix. Others are looked at one by one."""
    return [max(one, prefix, key=len) for one in volume.adopted if one.startswith(prefix) or prefix.startswith(one)]


class Scanner:
    """Reads the parts of a scan into files of a folder."""

    def __init__(  # noqa: PLR0917 — what it reads, and where to
        self,
        scope: Scope,
        lister: Lister,
        content: ContentStore,
        threads: Executor,
        folder: Path,
        progress: Progress = lambda _stage, _done: None,
    ) -> None:
        self._progress = progress
        self._scope = scope
        self._lister = lister
        self._content = content
        self._threads = threads
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Scanner of {self._scope.volume.name!r}>"

    def part(self, task: str) -> Path:
        """The file of a part, there or not."""
        return self._folder / f"{self._scope.id}-{task}.part"

    def has(self, task: str) -> bool:
        """Whether a part is there, complete, and no older than FRESH_S: any other one is read again."""
        return self._certificate(task) is not None

    def _certificate(self, task: str) -> dict[str, Any] | None:
        try:
            fresh = time.time() - self.part(task).stat().st_mtime < FRESH_S
        except FileNotFoundError:
            return None
        return certificate_of(self.part(task)) if fresh else None

    async def read(self, task: str) -> dict[str, Any]:
        """Read a part, unless it is there; its certificate. Raises: as `Lister.pages` and `ContentStore.list`."""
        certificate = self._certificate(task)
        if certificate is None:
            kind, _, number = task.partition("-")
            part = Part(self.part(task))
            try:
                with searched_seldom():
                    if kind == "blobs":
                        said = await self._listing(part, self._scope.listings[int(number)])
                    else:
                        said = await self._shard(part, int(number, 16))
                certificate = {"part": task, **said}
                await to_the_end(self._threads, part.complete, certificate)
            finally:
                part.close()
        return certificate

    async def _listing(self, part: Part, prefix: str) -> dict[str, Any]:
        """A listing that breaks off is begun again: where it broke off is not known."""
        deadline = self._lister.deadline()
        while True:
            try:
                counts = await self._list(part, prefix)
            except UnavailableError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
                await to_the_end(self._threads, part.clear)
                continue
            return {"prefix": prefix, **counts}

    async def _list(self, part: Part, prefix: str) -> dict[str, int]:
        listed, size, aside, theirs = 0, 0, 0, 0
        async with aclosing(_pages(self._content, prefix, self._lister)) as pages:
            async for page in pages:
                ours = [blob for blob in page if not self._is_theirs(blob)]
                kept = [blob for blob in ours if not is_aside(self._scope.volume, blob.name)]
                await to_the_end(self._threads, part.add, "blobs", [facts_of_blob(blob) for blob in kept])
                listed, size = listed + len(kept), size + sum(blob.size for blob in kept)
                self._progress("blobs", len(page))
                aside, theirs = aside + len(ours) - len(kept), theirs + len(page) - len(ours)
        return {"blobs": listed, "bytes": size, "quarantined": aside, "of other volumes": theirs}

    def _is_theirs(self, blob: Blob) -> bool:
        """Whether a blob is another volume's: also one of another catalog's, among what was adopted."""
        outside = not blob.name.startswith(self._scope.volume.root)
        return blob.name.startswith(self._scope.others) or (outside and is_ours(blob, ()))

    async def _shard(self, part: Part, shard: int) -> dict[str, Any]:
        key, counts = partition(self._scope.volume.epoch, shard), Counter[str]()
        prefix, depth = self._scope.prefix, self._scope.depth
        ranges = [EVERYTHING] if not prefix else [heads(prefix), INTENTS, versions_under(prefix), *UNKNOWN]
        chains = None if depth == "etag" else Chains(self._scope.volume.name)
        watermark = Watermark()
        entries = None if prefix else Entries(self._scope.volume)  # their rows are in another order than paths
        select = None if chains else sorted({*COLUMNS, *(entries.columns if entries else ())})
        for rows in ranges:
            async with aclosing(self._lister.pages(key, rows, select=select)) as pages:
                async for page in pages:
                    counts += await to_the_end(self._threads, _keep, part, page, chains, watermark, entries)
                    self._progress("rows", len(page))
        if chains and (path := chains.broken()):
            part.add("suspects", [(path,)])
        return {"shard": shard, "rows": dict(sorted(counts.items())), "until": watermark.time}


def _keep(
    part: Part, page: Sequence[Any], chains: Chains | None, watermark: Watermark, entries: Entries | None
) -> Counter[str]:
    """Keep what a page of rows says; how many there are of each kind."""
    counts, suspects, kept = Counter[str](), list[tuple[str]](), list[Facts]()
    found: dict[str, list[Any]] = {kind: [] for kind in FACTS}
    for row in page:
        kind = kind_of(row)
        counts[kind] += 1
        if entries:
            kept += entries.of(kind, row)
        if kind not in FACTS:
            continue
        watermark.passes(kind, row)
        record = path = ""
        if chains and kind == "v":
            record, path = chains.passes(row)
        elif chains and kind == "h":
            record = chains.record(row)
        try:
            found[kind].append(FACTS[kind](row.values, record))
        except KeyError as exc:
            raise damaged(row, exc) from exc
        if path:
            suspects.append((path,))
    for kind, table in (("v", "versions"), ("h", "heads"), ("i", "intents")):
        part.add(table, found[kind])
    part.add("suspects", suspects)
    part.add("entries", kept)
    return counts


async def _pages(content: ContentStore, prefix: str, lister: Lister) -> AsyncGenerator[list[Blob], None]:
    """A listing in pages. Each has its time."""
    blobs = content.list(prefix)

    async def take() -> list[Blob]:
        page = list[Blob]()
        async for blob in blobs:
            page.append(blob)
            if len(page) == BLOBS_AT_A_TIME:
                break
        return page

    try:
        while page := await lister.deadline().read(take):
            yield page
    finally:
        await blobs.aclose()  # type: ignore[attr-defined]


async def scan(
    scanner: Scanner, tasks: Sequence[str], *, at_a_time: int = PARTS_AT_A_TIME
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Read all parts; the certificates of those that are complete, and what is to be said of the others."""

    async def read(task: str) -> tuple[str, Mapping[str, Any] | CatalogError]:
        try:
            return task, await scanner.read(task)
        except UnavailableError as exc:
            return task, exc

    read_: Callable[[str], Awaitable[tuple[str, Mapping[str, Any] | CatalogError]]] = read
    complete, trouble = list[Mapping[str, Any]](), list[str]()
    async with aclosing(concurrently(each(tasks), read_, limit=at_a_time)) as parts:
        async for task, said in parts:
            if isinstance(said, CatalogError):
                trouble.append(f"{task}: {said}")
            else:
                complete.append(said)
    return sorted(complete, key=lambda each: str(each["part"])), sorted(trouble)
