"""Rebuild: a volume made again from its blobs, after its rows were lost. Never by itself: somebody has to ask for it.

A blob of ours says of itself its path, the op that wrote it, sha256, MD5 and size. So every blob under the root becomes
a version again, in place, and the last one of a path its head. Their order is that of their ops: ULIDs begin with the
time that their writer's clock showed, which is a hint and no more. What blobs cannot say is lost, see `LOST`. Versions
are of kind `adopt` and keep the op of the put that wrote the blob: so a token still finds its version, and no abort
takes the blob of a version for an orphan. No purge removes them.

The rows come first, in partitions of a fresh epoch, which nobody reads; then the volume's row, under the registry's
etag. Stopped in between, there is no volume, and some rows that nothing will ever read; the next run begins anew. Each
row is inserted once, and nobody else writes to that epoch, so "there already" is the answer to a request that was sent
before.

The listing holds the blobs of a path together, but for paths such as `a` and `a~b`, whose names begin alike: a path's
blobs are all seen once a name comes that does not begin with `<path>~`. What is held are such paths, and unsent rows.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Final

from ulid import ULID

from storage import Blob, ContentStore

from .blob_listing import listed
from .columns import file_values
from .entities import FileVersion, VolumeInfo, chain
from .errors import CatalogError, ConflictError, InvalidError, NotFoundError
from .flow import concurrently
from .keys import check_key_length, head_row, partition, shard_of, version_row
from .listing import Lister
from .paths import RESERVED, check_path
from .registry import Volumes
from .table import OPERATIONS_MAX, Insert, RefusedError
from .times import from_microseconds
from .wanted import Wanted

FINDINGS_MAX: Final = 1_000
"""Blobs that a report names; it counts all."""
BATCHES_AT_A_TIME: Final = 16
TIME_CHARACTERS: Final = 10  # of a ULID; the others are random
LOST: Final = (
    "deletes: files that were deleted are there again, with all of their versions",
    "moves, copies and restores: a file is where its content was first put; adopt again what was adopted",
    "users' metadata, modification times, writers and request ids",
    "which writes were never committed: a blob that one left behind is a version now",
    "the order of versions that were written within a millisecond, or by clocks that disagree",
    "the volume's settings: make its indexes again",
)

_LEAST: Final = timedelta(microseconds=1)
_OP: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MD5: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RebuildFinding:
    """A blob under the root that could not be made a version."""

    blob: str
    reason: str


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What was made, and of what. Each blob was made a version, or is counted as bad."""

    volume: str
    files: int
    versions: int
    bytes_found: int
    """Of all versions."""
    bad: int
    """Blobs that are not ours, or do not say what they are. They stay as they are."""
    guessed: int
    """Versions that were written in the same millisecond as the one before them, so that their order is a guess."""
    lost: Sequence[str] = LOST
    """What blobs cannot tell."""
    findings: Sequence[RebuildFinding] = ()
    """The bad blobs: the first 1,000, in order of name."""

    @property
    def ok(self) -> bool:
        """Whether every blob under the root became a version."""
        return not self.bad


@dataclass(slots=True)
class _Tally:
    files: int = 0
    versions: int = 0
    bytes_found: int = 0
    bad: int = 0
    guessed: int = 0

    def count(self, history: Sequence[FileVersion]) -> None:
        self.files += 1
        self.versions += len(history)
        self.bytes_found += sum(file.size for file in history)
        ops = [file.etag[:TIME_CHARACTERS] for file in history]
        self.guessed += sum(one == other for one, other in pairwise(ops))


class Rebuild:
    """One run."""

    def __init__(self, wanted: Wanted, *, volumes: Volumes, lister: Lister, store: ContentStore, writer: str) -> None:
        self._wanted = wanted
        self._volumes = volumes
        self._lister = lister
        self._store = store
        self._writer = writer
        self._tally = _Tally()
        self._findings: list[RebuildFinding] = []

    async def run(self) -> RebuildReport:
        """Make the volume. Raises: ConflictError (it is there), NotFoundError (nothing is under its root)."""
        try:
            info = await self._volumes.prepare(self._wanted, op="rebuild")
        except ConflictError as exc:
            message = f"{exc.message}: rebuild makes a volume anew, so delete that one first, if it has no files"
            raise ConflictError(
                message, expected=exc.expected, found=exc.found, op="rebuild", key=self._wanted.name, kind=exc.kind
            ) from exc
        async with (
            aclosing(self._batches(info)) as batches,
            aclosing(concurrently(batches, self._insert, limit=BATCHES_AT_A_TIME)) as inserted,
        ):
            async for _ in inserted:
                pass
        if not self._tally.versions:
            message = f"no blob under {self._prefix!r} says that a catalog wrote it: there is nothing to rebuild"
            raise NotFoundError(message, op="rebuild", key=info.name)
        await self._volumes.register(info, self._wanted, op="rebuild")
        tally = self._tally
        return RebuildReport(
            volume=info.name,
            files=tally.files,
            versions=tally.versions,
            bytes_found=tally.bytes_found,
            bad=tally.bad,
            guessed=tally.guessed,
            findings=tuple(self._findings),
        )

    @property
    def _prefix(self) -> str:
        return f"{self._wanted.root}{RESERVED}/"

    async def _batches(self, info: VolumeInfo) -> AsyncGenerator[tuple[str, Sequence[Insert]], None]:
        """Rows by partition, as many as a transaction takes."""
        waiting: dict[str, list[Insert]] = {}
        async with aclosing(self._histories()) as histories:
            async for history in histories:
                self._tally.count(history)
                key = partition(info.epoch, shard_of(history[0].path, info.shards))
                rows = waiting.setdefault(key, [])
                rows += _rows(history)
                while len(rows) >= OPERATIONS_MAX:
                    yield key, rows[:OPERATIONS_MAX]
                    del rows[:OPERATIONS_MAX]
        for key, rows in waiting.items():
            if rows:
                yield key, rows

    async def _insert(self, batch: tuple[str, Sequence[Insert]]) -> None:
        key, rows = batch
        try:
            await self._lister.deadline().retried(lambda: self._lister.table.submit(key, rows))
        except RefusedError:  # an earlier copy of it was applied, and its answer was lost
            return

    async def _histories(self) -> AsyncGenerator[Sequence[FileVersion], None]:
        """The versions of each path, in order."""
        growing: dict[str, list[FileVersion]] = {}
        async with aclosing(listed(self._store, self._prefix, self._lister.deadline)) as blobs:
            async for blob in blobs:
                name = blob.name.removeprefix(self._prefix)
                for path in [path for path in growing if not name.startswith(f"{path}~")]:
                    yield _chained(growing.pop(path))
                try:
                    file = self._version(blob)
                except CatalogError as exc:
                    self._tally.bad += 1
                    if len(self._findings) < FINDINGS_MAX:
                        self._findings.append(RebuildFinding(blob.name, exc.message))
                else:
                    growing.setdefault(file.path, []).append(file)
        for history in growing.values():
            yield _chained(history)

    def _version(self, blob: Blob) -> FileVersion:
        """What a blob says it is; not yet where in its path's history. Raises: InvalidError, TooLargeError."""
        said, headers = blob.headers.metadata, blob.headers
        op, path, sha256, md5 = (said.get(key, "") for key in ("op", "path", "sha256", "md5"))
        if not _OP.fullmatch(op) or not _SHA256.fullmatch(sha256) or not _MD5.fullmatch(md5):
            raise InvalidError("its metadata lacks op, sha256 or md5 of a catalog's blob", op="rebuild", key=blob.name)
        if check_path(path) != path or not blob.name.startswith(f"{self._prefix}{path}~{op}"):
            raise InvalidError(f"its name does not belong to its path, {path!r}", op="rebuild", key=blob.name)
        check_key_length(path)
        if said.get("size") != f"{blob.size}":
            message = f"it has {blob.size:,} bytes, and says that it has {said.get('size')}"
            raise InvalidError(message, op="rebuild", key=blob.name)
        return FileVersion(
            volume=self._wanted.name,
            path=path,
            version=1,
            kind="adopt",
            etag=op,
            size=blob.size,
            digest=f"sha256:{sha256}",
            md5=md5,
            content_type=headers.content_type,
            metadata={},
            created=from_microseconds(ULID.from_str(op).milliseconds * 1000),
            modified=None,
            writer=self._writer,
            request_id=None,
            chain="",
            blob=blob.name,
            blob_etag=blob.etag,
            blob_version=None,
        )


def _chained(found: Sequence[FileVersion]) -> Sequence[FileVersion]:
    """Versions of a path as its history: numbered and linked, each labelled later than the one before."""
    history: list[FileVersion] = []
    for version, file in enumerate(sorted(found, key=lambda file: file.etag), 1):
        last = history[-1] if history else None
        created = max(file.created, last.created + _LEAST) if last else file.created
        numbered = replace(file, version=version, created=created)
        history.append(replace(numbered, chain=chain(last.chain if last else "", numbered)))
    return history


def _rows(history: Sequence[FileVersion]) -> Iterator[Insert]:
    for file in history:
        yield Insert(version_row(file.path, file.version), file_values(file))
    yield Insert(head_row(history[-1].path), file_values(history[-1]))
