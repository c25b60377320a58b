"""Adopt: make files of the blobs that a container has already, by listing it. No content moves, and none is read.

The listing is taken in windows. For each, the heads in its range of paths are read once, and say what is there already;
the rest is written as `ingest` writes, packed by shard: 99 intents in a transaction, and 33 commits. So a hundred
thousand blobs are 20 pages of a listing and some 4,000 transactions, and what is held is a window and what is packed.

An adoption is a write like any other, without content of its own: W1 and W3 of `protocol`. One transaction would do in
its place, since a head is inserted once and never removed, and so is every version 1; but nothing would give it a time
of the service that a reader of changes could rely on, and nobody could settle it. With an intent, both are as ever.

- It makes the first version of a path, or none: what is there, be it a tombstone, is left as it is, and reported.
- Its intent carries the blob's name, so no purge takes the blob for unused meanwhile. Aborted, it leaves the blob
  alone: only the content of a put is ever removed, and only where it carries the put's op id.
- Nothing is remembered between runs but the prefix, and that only once there is something to adopt. A run that was
  killed and is started again meets in the heads what was adopted, and goes on; each blob is counted once in each run.
- Each window is noted in the registry before any of it is written. Whoever makes a volume there afterwards has to look
  after that note, so he meets the window's blobs and is refused; a volume that was made before is known from the note
  on, and what lies in its root is left out. So no blob is two volumes'.

A window in order of blobs' names may lie apart in order of paths (`a-b` before `a/b` in the one, after it in the
other), and then rows between are read as well: each at most once per level of its folder, over all windows.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from storage import Blob, ContentStore

from .adoption import (
    AdoptListener,
    AdoptReport,
    AdoptTally,
    Enrolled,
    Where,
    adopted_of,
    content_type,
    is_ours,
)
from .blob_listing import listed
from .changes import Change
from .cohorts import Packer
from .columns import parse_head
from .commit import Seat
from .errors import CatalogError, ConflictError, NotFoundError
from .exchange import partition_of
from .keys import RowRange, head_row
from .listing import Lister
from .modes import Create
from .op import Op
from .protocol import Known
from .writer import Writer

WINDOW: Final = 5_000


@dataclass(frozen=True, slots=True)
class Adopting:
    """A blob that becomes a file."""

    blob: Blob
    op: Op


class Adopt:
    """One run over the blobs with a prefix."""

    def __init__(
        self,
        enrolled: Enrolled,
        where: Where,
        *,
        note: Callable[[], Awaitable[Enrolled]],
        writer: Writer,
        lister: Lister,
        store: ContentStore,
        listener: AdoptListener | None,
    ) -> None:
        self._volume = enrolled.info
        self._roots = enrolled.roots
        self._where = where
        self._note = note
        self._writer = writer
        self._lister = lister
        self._store = store
        self._tally = AdoptTally(listener)

    async def run(self, *, dry_run: bool) -> AdoptReport:
        """Adopt what is new.

        Raises: UnavailableError, AccessDeniedError, NotFoundError (no container, or volume); and as `note`.
        """
        packer = Packer(self._volume, self._writer.committer, self._write)
        async with packer.packing(), aclosing(self._windows()) as windows:
            async for window in windows:
                await self._meet(window)
                if window and not dry_run:
                    self._roots = (await self._note()).roots
                for path, blob in window.items():
                    if is_ours(blob, self._roots):  # a volume was made there meanwhile
                        self._tally.left_out += 1
                    elif dry_run:
                        self._tally.adopt(blob)
                    else:
                        await packer.add(self._adopting(path, blob))
        self._tally.done = True
        self._tally.tell()
        return self._tally.report()

    async def _windows(self) -> AsyncGenerator[dict[str, Blob], None]:
        """The blobs that are wanted and can be files, by path, a window at a time."""
        window: dict[str, Blob] = {}
        async with aclosing(listed(self._store, self._where.prefix, self._lister.deadline)) as blobs:
            async for blob in blobs:
                self._tally.listed += 1
                path = self._path(blob)
                if path is None:
                    continue
                if other := window.get(path):  # names that are the same in NFC
                    self._tally.find(blob, "conflict", f"the path is another file's: blob {other.name!a}")
                    continue
                window[path] = blob
                if len(window) == WINDOW:
                    yield window
                    window = {}
                    self._tally.tell()
        if window:
            yield window

    def _path(self, blob: Blob) -> str | None:
        """Where a blob goes; None where it is left out, or can be no file."""
        try:
            path = None if is_ours(blob, self._roots) else self._where.path_of(blob)
        except CatalogError as exc:
            self._tally.find(blob, "invalid-name", exc.message)
            return None
        if path is None:
            self._tally.left_out += 1
        return path

    async def _meet(self, window: dict[str, Blob]) -> None:
        """Take out of a window what has a head."""
        rows = sorted(head_row(path) for path in window)
        between = RowRange(rows[0], rows[-1] + " ")  # U+0020 sorts below all that keys are made of
        async with aclosing(self._lister.shards(self._volume, between)) as entities:
            async for entity in entities:
                head = parse_head(self._volume.name, entity)
                if blob := window.pop(head.file.path, None):
                    self._tally.meet(head, blob)

    def _adopting(self, path: str, blob: Blob) -> Adopting:
        change = Change(
            volume=self._volume.name,
            path=path,
            kind="adopt",
            mode=Create(),
            writer=self._writer.name,
            metadata={},
            content_type=content_type(blob, path),
            adopted=adopted_of(blob),
        )
        return Adopting(blob, self._writer.fresh(self._volume, change))

    async def _write(self, adopting: Adopting, seat: Seat) -> None:
        blob, op = adopting.blob, adopting.op
        try:
            deadline = self._writer.deadline()
            await self._writer.write(self._volume, op, deadline=deadline, known=Known(None), seat=seat)
        except ConflictError:
            await self._met(op.change.path, blob)
        except NotFoundError:  # the volume, or the table
            raise
        except CatalogError as exc:
            self._tally.find(blob, "failed", f"{exc}", exc)
        else:
            self._tally.adopt(blob)

    async def _met(self, path: str, blob: Blob) -> None:
        """Somebody made a file there since the heads were read: another run of this, perhaps."""
        shard = partition_of(self._volume, path)
        try:
            entity = await self._lister.deadline().retried(lambda: self._lister.table.get(shard, head_row(path)))
            assert entity is not None  # noqa: S101 — a head is never removed
            self._tally.meet(parse_head(self._volume.name, entity), blob)
        except CatalogError as exc:
            self._tally.find(blob, "failed", f"{exc}", exc)
