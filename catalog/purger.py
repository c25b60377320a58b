"""Purges contents: drives `purging` step by step against the table and the store. It decides nothing.

Many purges go together, as each has to read all rows of the volume: all of them raise their flags first; then each
shard is read once for all, its intents to the end and then its heads and versions, and every purge is told what was
found of its blob; then those that nobody held delete their content, and mark their rows. So a purge is answered
from a reading that began after it had asked, which is what its search rests on, and each takes its own steps in their
own order.
Flags and marks of many share transactions.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, TypeGuard, assert_never, cast

from storage import ContentStore, IfMatch

from .changes import NOTHING
from .columns import (
    IN_PART,
    parse_head,
    parse_in_part,
    parse_intent,
    parse_version,
    purged_values,
    purging_values,
)
from .commit import Committer, Unit
from .driving import drive, proven
from .entities import VersionRow, VolumeInfo
from .errors import CatalogError, NotFoundError, UnavailableError
from .exchange import OP, partition_of
from .filters import Comparison, Condition
from .flow import for_each
from .keys import INTENTS, RowRange, head_row, heads, partition, version_row, versions_under
from .kinds import NEWER, UNKNOWN, kind_of
from .listing import Lister
from .messages import Absent, Answer, Done, Expired, Failed, Foreign, Found, ReadHead, Stored
from .purging import (
    DeleteBlob,
    Flag,
    Heard,
    Kept,
    MarkPurged,
    Newer,
    Purge,
    Purged,
    PurgeRequest,
    PurgeResult,
    ReadVersion,
    Reference,
    SearchIntents,
    SearchVersions,
    StatBlob,
    fences,
    purge,
    purge_step,
    refers,
)
from .retention import Sharing
from .retry import Deadline
from .rows import Entity
from .table import Merge

READS: Final = (ReadHead, ReadVersion, SearchIntents, SearchVersions, StatBlob)
KEPT: Final = {
    "access-denied.policy": "a policy or a legal hold is on its blob {}: purge again when that has ended",
    "conflict.leased": "somebody has a lease on its blob {}: have it broken, or purge again when it has ended",
    "conflict.snapshots": "its blob {} has snapshots: delete those, then purge again",
}
"""What the service says of a blob that it does not delete, by the error's kind, and what to do about it."""
NO_BLOB: Final = "not-found.blob"  # where the container is gone, that is no proof of anything
ROWS_AT_A_TIME: Final = 2_048  # enough for full transactions in sixteen shards
IN_HEAD: Final = ("schema", "path", "version", "blob")
_WITH_CONTENT: Final = Comparison("kind", "!=", "delete") | NEWER

Asked = PurgeRequest | PurgeResult


@dataclass(slots=True)
class Attempt:
    """One purge among many: what it asks for next, or how it ended."""

    newest: Mapping[str, int]
    at: Purge
    request: Asked

    def hear(self, answer: Heard) -> None:
        """Take the step after an answer."""
        self.at, self.request = purge_step(self.at, answer)


@dataclass(slots=True)
class Purger:
    """Purges contents of one volume."""

    committer: Committer
    lister: Lister
    content: ContentStore
    volume: VolumeInfo
    deadline: Callable[[], Deadline]
    """Of what is done for one content before the search; of what is done after it; and of each page of the search."""
    transfers_max: int
    as_flagged: AbstractSet[tuple[str, int]] = frozenset()
    """Versions, by path, that are taken for flagged by this run: of who only wants to know."""

    async def foresee(self, run: str, contents: Sequence[Sharing]) -> list[PurgeResult]:
        """How `purge` would end for each, as far as rows tell: without a change, and without a look at any blob."""
        flagged = [replace(each, rows=[replace(row, purging=run) for row in each.rows]) for each in contents]
        rows = (row.file for each in flagged for row in each.rows)
        seeing = replace(self, as_flagged={(file.path, file.version) for file in rows})
        attempts = await seeing._searched(run, flagged)  # noqa: SLF001 — of its own kind
        return [each.request if isinstance(each.request, PurgeResult) else Purged() for each in attempts]

    async def purge(self, run: str, contents: Sequence[Sharing]) -> list[PurgeResult]:
        """Purge contents, in one run, whose id must be fresh; of each how it ended, in the same order."""
        attempts = await self._searched(run, contents)
        await self._drive(attempts, MarkPurged, limit=self.transfers_max)
        await self._drive(attempts, limit=ROWS_AT_A_TIME)
        return [cast("PurgeResult", attempt.request) for attempt in attempts]

    async def _searched(self, run: str, contents: Sequence[Sharing]) -> list[Attempt]:
        """Attempts at contents, each at its end, or past its search: at its blob."""
        shards = self.volume.shards
        attempts = [Attempt(sharing.newest, *purge(run, sharing.rows, shards)) for sharing in contents]
        await self._drive(attempts, SearchIntents, limit=ROWS_AT_A_TIME)  # all flags, before anything is read
        for shard in range(shards):
            await self._search(attempts, shard)
        return attempts

    async def _drive(self, attempts: Sequence[Attempt], *until: type, limit: int) -> None:
        """Bring each to its end, or to a request of that type."""

        def stops(request: Asked) -> TypeGuard[Asked]:
            return isinstance(request, (PurgeResult, *until))

        async def go(attempt: Attempt) -> None:
            deadline = self.deadline()

            async def send(_: Purge, request: PurgeRequest) -> Heard:
                if isinstance(request, ReadHead) and request.path in attempt.newest:
                    return Newer(attempt.newest[request.path])
                return await self.send(request, deadline)

            first = (attempt.at, attempt.request)
            attempt.at, attempt.request = await drive(first, ends=stops, send=send, step=purge_step, deadline=deadline)

        under_way = [attempt for attempt in attempts if not stops(attempt.request)]
        await for_each(under_way, go, limit=limit)

    # --- The search, of all at once ----------------------------------------------------------------------------------

    async def _search(self, attempts: Sequence[Attempt], shard: int) -> None:
        """Answer all who ask about a shard: from readings that begin now, after they have asked."""
        asked = [attempt for attempt in attempts if isinstance(attempt.request, SearchIntents)]
        await self._answer(asked, lambda runs: self._fenced(shard, runs))
        asked = [attempt for attempt in attempts if isinstance(attempt.request, SearchVersions)]
        await self._answer(asked, lambda runs: self._referred(shard, runs))

    async def _answer(
        self, asked: Sequence[Attempt], read: Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]]
    ) -> None:
        """Read once for all who ask, and tell each what was found of its blob."""
        if not asked:
            return
        try:
            found = await read({attempt.at.blob: attempt.at.run for attempt in asked})
        except CatalogError as exc:  # a reading that failed was repeated already, for as long as there was time
            for attempt in asked:
                attempt.hear(Expired(exc) if isinstance(exc, UnavailableError) else Failed(exc))
            return
        for attempt in asked:
            by = found.get(attempt.at.blob)
            attempt.hear(Absent() if by is None else Reference(by))

    async def _fenced(self, shard: int, runs: Mapping[str, str]) -> Mapping[str, str]:
        """Of the blobs that an open intent of a shard names, the op of one."""
        found = dict[str, str]()
        async with aclosing(self._rows(shard, INTENTS)) as rows:
            async for row in rows:
                intent = parse_intent(row).intent
                if intent.blob in runs and fences(intent, intent.blob):
                    found[intent.blob] = intent.op
        return found

    async def _referred(self, shard: int, runs: Mapping[str, str]) -> Mapping[str, str]:
        """Of the blobs that a version row of a shard refers to, such a version; or a head whose version row is lost.

        Heads come before versions: each was written together with its version, and that stays.

        Raises: InvalidError, where there is a row that this blobcat does not know: it may refer to any of them.
        """
        for unknown in UNKNOWN:
            async with aclosing(self._rows(shard, unknown)) as rows:
                async for row in rows:
                    kind_of(row, "purge")
        one = Comparison("blob", "==", next(iter(runs))) | NEWER if len(runs) == 1 else None
        found, at = dict[str, str](), dict[tuple[str, int], str]()
        async with aclosing(self._rows(shard, heads(""), one, IN_HEAD)) as rows:
            async for row in rows:
                kind_of(row, "purge")
                if (blob := str(row.values.get("blob", ""))) in runs:
                    at[str(row.values.get("path")), int(row.values.get("version", 0))] = blob
        async with aclosing(
            self._rows(shard, versions_under(""), _WITH_CONTENT if one is None else one, IN_PART)
        ) as rows:
            async for row in rows:
                kind_of(row, "purge")
                blob = str(row.values.get("blob", ""))
                if blob in runs:
                    version = parse_in_part(self.volume.name, row)
                    if at.get((version.file.path, version.file.version)) == blob:
                        del at[version.file.path, version.file.version]
                    ours = (version.file.path, version.file.version) in self.as_flagged
                    if blob not in found and not ours and refers(version, blob, runs[blob]):
                        found[blob] = f"{version.file.path}@{version.file.version}"
        return {blob: f"{path}@{version}" for (path, version), blob in at.items()} | found

    def _rows(
        self, shard: int, rows: RowRange, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Entity, None]:
        """The rows of a shard: all of them, or an error."""
        return self.lister.rows(partition(self.volume.epoch, shard), rows, where=where, select=select)

    # --- Requests ----------------------------------------------------------------------------------------------------

    async def send(self, request: PurgeRequest, deadline: Deadline) -> Heard:
        """Send a request once, and say what its answer proves. A search is not sent alone."""
        try:
            return await self._send(request, deadline)
        except NotFoundError as exc:
            return Absent() if exc.kind == NO_BLOB else Failed(exc)
        except CatalogError as exc:
            if isinstance(request, DeleteBlob) and exc.kind in KEPT:
                return Kept(KEPT[exc.kind].format(request.blob))
            return proven(exc, reading=isinstance(request, READS))

    async def _send(self, request: PurgeRequest, deadline: Deadline) -> Answer:
        match request:
            case ReadHead(path):
                entity = await self._get(path, head_row(path), deadline)
                return Absent() if entity is None else Found(parse_head(self.volume.name, entity))
            case ReadVersion(path, version):
                entity = await self._get(path, version_row(path, version), deadline)
                return Absent() if entity is None else Found(parse_version(self.volume.name, entity))
            case Flag(row, run):
                return await self._merge(row, replace(row, purging=run), deadline)
            case MarkPurged(row):
                return await self._merge(row, replace(row, purged=True), deadline)
            case StatBlob(blob, op):
                found = await deadline.read(lambda: self.content.stat(blob))
                return Stored(found.etag, NOTHING) if found.headers.metadata.get(OP) == op else Foreign()
            case DeleteBlob(blob, etag):
                await deadline.write(lambda: self.content.delete(blob, when=IfMatch(etag)))
                return Done()
            case SearchIntents() | SearchVersions():
                raise AssertionError(request)  # they are answered for all at once
        assert_never(request)

    async def _get(self, path: str, row: str, deadline: Deadline) -> Entity | None:
        shard = partition_of(self.volume, path)
        return await deadline.read(lambda: self.lister.table.get(shard, row))

    async def _merge(self, row: VersionRow, after: VersionRow, deadline: Deadline) -> Answer:
        file = row.file
        values = purged_values() if after.purged else purging_values(after.purging)
        unit = Unit((Merge(version_row(file.path, file.version), values, row.etag),))
        lane = self.committer.lane(partition_of(self.volume, file.path))
        written = (await deadline.wait(lambda: lane.commit(unit)))[0]
        return Found(replace(after, etag=written.etag)) if written.etag else Done()
