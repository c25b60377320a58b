"""Purges content: drives `purging` step by step against the table and the store. It decides nothing.

Nobody calls it yet but tests: what may be purged, and when, is for whoever offers that to people.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, assert_never

from storage import ContentStore, IfMatch

from .changes import NOTHING
from .commit import Committer, Unit
from .entities import (
    VersionRow,
    VolumeInfo,
    parse_head,
    parse_intent,
    parse_version,
    purged_values,
    purging_values,
)
from .errors import CatalogError, ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError
from .exchange import OP, partition_of
from .filters import Comparison, Condition
from .keys import INTENTS, RowRange, head_row, partition, version_row, versions_under
from .listing import Lister
from .messages import Absent, Answer, Done, Doubt, Expired, Failed, Foreign, Found, ReadHead, Refused, Stored
from .purging import (
    DeleteBlob,
    Flag,
    MarkPurged,
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
from .retry import Deadline
from .rows import Entity
from .table import Merge

READS: Final = (ReadHead, ReadVersion, SearchIntents, SearchVersions, StatBlob)
NO_BLOB: Final = "not-found.blob"  # where the container is gone, that is no proof of anything


@dataclass(slots=True)
class Purger:
    """Purges content of one volume."""

    committer: Committer
    lister: Lister
    content: ContentStore
    volume: VolumeInfo

    async def purge(self, run: str, rows: Sequence[VersionRow], deadline: Deadline) -> PurgeResult:
        """Purge the content that these rows share, as one run; its id must be fresh."""
        at, request = purge(run, rows, self.volume.shards)
        last: CatalogError | None = None
        while not isinstance(request, PurgeResult):
            if deadline.passed:
                at, request = purge_step(at, Expired(deadline.expired(last)))
                continue
            answer = await self.send(request, deadline)
            if isinstance(answer, Doubt | Failed):
                last = answer.error
                if isinstance(last, UnavailableError | OutcomeUnknownError):
                    await deadline.pause(last)
            at, request = purge_step(at, answer)
        return request

    async def send(self, request: PurgeRequest, deadline: Deadline) -> Answer | Reference:
        """Send a request once, and say what its answer proves."""
        try:
            return await self._send(request, deadline)
        except OutcomeUnknownError as exc:
            return Doubt(exc)
        except ConflictError as exc:
            if isinstance(request, READS):  # no word about what was to be read: the service has its own troubles
                return Failed(UnavailableError(f"{exc}", op=exc.op, key=exc.key))
            return Refused()
        except NotFoundError as exc:
            return Absent() if exc.kind == NO_BLOB else Failed(exc)
        except CatalogError as exc:
            return Failed(exc)

    async def _send(self, request: PurgeRequest, deadline: Deadline) -> Answer | Reference:  # noqa: PLR0911 — one line each
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
            case SearchIntents():
                return await self._search_intents(request)
            case SearchVersions():
                return await self._search_versions(request)
            case StatBlob(blob, op):
                found = await deadline.read(lambda: self.content.stat(blob))
                return Stored(found.etag, NOTHING) if found.headers.metadata.get(OP) == op else Foreign()
            case DeleteBlob(blob, etag):
                await deadline.write(lambda: self.content.delete(blob, when=IfMatch(etag)))
                return Done()
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

    async def _search_intents(self, search: SearchIntents) -> Answer | Reference:
        for entity in await self._rows(search.shard, INTENTS):
            intent = parse_intent(entity).intent
            if fences(intent, search.blob):
                return Reference(intent.op)
        return Absent()

    async def _search_versions(self, search: SearchVersions) -> Answer | Reference:
        named = Comparison("blob", "==", search.blob)
        for entity in await self._rows(search.shard, versions_under(""), named):
            row = parse_version(self.volume.name, entity)
            if refers(row, search.blob, search.run):
                return Reference(f"{row.file.path}@{row.file.version}")
        return Absent()

    async def _rows(self, shard: int, rows: RowRange, where: Condition | None = None) -> list[Entity]:
        """The rows of a shard; all of them, or an error."""
        key = partition(self.volume.epoch, shard)
        async with aclosing(self.lister.pages(key, rows, where=where)) as pages:
            return [row async for page in pages for row in page]
