"""One request of the protocol, sent once, and what came back as an answer.

What an error of a port proves stands in `driving`: a refusal is an answer of its own; what is proven not to be applied
has `Failed`; whatever may have been applied, or may yet be, is in `Doubt`.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from storage import ContentStore, Headers, IfMatch

from .changes import NOTHING
from .columns import (
    SCHEMA,
    intent_values,
    parse_file,
    parse_head,
    parse_intent,
    parse_request,
    parse_version,
    parse_volume,
    request_values,
)
from .commit import Committer, Seat, Unit
from .driving import proven
from .entities import Claim, FileVersion, Head, Intent, IntentRow, VolumeInfo
from .errors import CatalogError, NotFoundError, OutcomeUnknownError
from .filters import Comparison
from .head_rows import UnknownIndexError, changed, rewritten
from .index_damage import amended
from .keys import (
    REGISTRY,
    gate_row,
    head_row,
    intent_row,
    partition,
    request_row,
    shard_of,
    shut_gate_row,
    version_row,
    versions,
    volume_row,
)
from .messages import (
    AbortIntent,
    Absent,
    Answer,
    ClaimSource,
    Commit,
    CommitMove,
    DeleteContent,
    Done,
    DropIntent,
    Failed,
    FindVersion,
    Finish,
    Foreign,
    Found,
    InsertIntent,
    Late,
    PutContent,
    ReadHead,
    ReadIntent,
    ReadRequest,
    ReadSource,
    Refused,
    Release,
    Request,
    SettleClaim,
    StatContent,
    Stored,
)
from .op import Op
from .retry import Deadline
from .rows import Entity
from .table import Delete, Insert, Merge, Operation, RefusedError, Replace, Table, Written
from .uploads import Payload

READS: Final = (FindVersion, ReadHead, ReadIntent, ReadRequest, ReadSource, StatContent)
OP: Final = "op"  # the metadata of a blob that says whose it is


def partition_of(volume: VolumeInfo, path: str) -> str:
    """Where the rows of a path are."""
    return partition(volume.epoch, shard_of(path, volume.shards))


def gate_of(volume: VolumeInfo) -> str:
    """The gate that stands in each shard of a volume."""
    return (shut_gate_row if volume.state == "closing" else gate_row)(volume.generation)


@dataclass(slots=True)
class Exchange:
    """The requests of one op: where they go, and with what content."""

    table: Table
    content: ContentStore
    committer: Committer
    volume: VolumeInfo
    deadline: Deadline
    payload: Payload | None = None
    seat: Seat | None = None
    late_at: float | None = field(default=None, init=False)
    """From then on content is not sent any more: half of what others are patient for has passed in waiting for it."""

    async def send(self, op: Op, request: Request) -> Answer:
        """Send a request once. `op` says whose content is meant."""
        try:
            return await self._send(op, request)
        except UnknownIndexError as exc:
            return await self._strange(exc)
        except CatalogError as exc:
            return proven(exc, reading=isinstance(request, READS))

    async def _send(self, op: Op, request: Request) -> Answer:  # noqa: C901, PLR0911, PLR0912 — one case each
        match request:  # the requests of a put first: they are the most
            case InsertIntent(intent):
                unit = Unit((_inserted(intent),), shared=(_gate(intent),))
                return await self._write_intent(intent, unit)
            case PutContent():
                return await self._put(op)
            case Commit(etag, base, file):
                unit = Unit((Delete(intent_row(op.id), etag), *changed(self.volume, file, base), *_recorded(file)))
                await self._commit(file.path, unit, self.seat)
                return Found(file)
            case ReadRequest(request_id):
                return await self._read_request(op.change.path, request_id)
            case ReadHead(path):
                entity = await self._get(path, head_row(path))
                return Absent() if entity is None else Found(parse_head(self.volume.name, entity))
            case ReadSource(file):
                entity = await self._get(file.path, version_row(file.path, file.version))
                row = None if entity is None else parse_version(self.volume.name, entity)
                return Found(row.file) if row and row.live else Absent()
            case ReadIntent(path, id_):
                entity = await self._get(path, intent_row(id_))
                return Absent() if entity is None else Found(parse_intent(entity))
            case FindVersion(path, id_, above):
                return await self._find(path, id_, above)
            case AbortIntent(row):
                aborted = replace(row.intent, state="aborted")
                return await self._write_intent(
                    aborted, Unit((Replace(intent_row(row.intent.op), intent_values(aborted), row.etag),))
                )
            case DropIntent(row):
                await self._commit(row.intent.path, Unit((Delete(intent_row(row.intent.op), row.etag),)))
                return Done()
            case StatContent():
                return await self._stat(op)
            case DeleteContent(etag):
                return await self._delete(op, etag)
            case CommitMove(etag, base, file, source, tombstone):
                both = (*changed(self.volume, file, base), *changed(self.volume, tombstone, source))
                await self._commit(file.path, Unit((Delete(intent_row(op.id), etag), *both, *_recorded(file))))
                return Found(file)
            case ClaimSource(head, intent):
                return await self._claim(head, intent)
            case Finish(head, tombstone):
                unit = Unit((*changed(self.volume, tombstone, head), Delete(intent_row(tombstone.etag))))
                await self._commit(head.file.path, unit)
                return Done()
            case Release(head):
                assert head.claim  # noqa: S101 — only a claimed head is released
                back = rewritten(self.volume, head, replace(head, claim=None))
                await self._commit(head.file.path, Unit((*back, Delete(intent_row(head.claim.op)))))
                return Done()
            case SettleClaim():
                raise AssertionError(request)  # it is many requests: the writer sends them
        assert_never(request)

    async def _strange(self, unknown: UnknownIndexError) -> Answer:
        """What a mark that is not known proves: settings that are old, whose ops will be aborted; or damage."""
        try:
            row = await self.deadline.read(lambda: self.table.get(REGISTRY, volume_row(self.volume.name)))
            now = None if row is None else parse_volume(row, None)
        except CatalogError as exc:
            return proven(exc, reading=True)
        current = now and (now.epoch, now.generation) == (self.volume.epoch, self.volume.generation)
        return Failed(unknown.as_damage()) if current else Refused()

    async def _get(self, path: str, row: str) -> Entity | None:
        shard = partition_of(self.volume, path)
        return await self.deadline.read(lambda: self.table.get(shard, row))

    async def _commit(self, path: str, unit: Unit, seat: Seat | None = None) -> Sequence[Written]:
        shard = partition_of(self.volume, path)
        lane = self.committer.lane(shard)
        try:
            if seat and seat.waits:
                with self.deadline.stopped():  # for others to fill the transaction
                    return await seat.commit(unit)
            return await self.deadline.wait(lambda: lane.commit(unit))
        except RefusedError as refused:
            try:
                if other := await amended(unit, self.table, shard, self.deadline):
                    return await self.deadline.wait(lambda: lane.commit(other))
            except OutcomeUnknownError:
                raise
            except CatalogError as exc:  # what this proves, it proves of the second one alone
                raise refused from exc
            raise

    async def _write_intent(self, intent: Intent, unit: Unit) -> Answer:
        written = (await self._commit(intent.path, unit))[0]
        if written.etag is None or written.timestamp is None:
            return Done()
        return Found(IntentRow(intent, written.etag, written.timestamp))

    async def _claim(self, head: Head, intent: Intent) -> Answer:
        claim = Claim(intent.op, intent.target, intent.generation)
        claimed = replace(head, claim=claim)
        unit = Unit((_inserted(intent), *rewritten(self.volume, head, claimed)), shared=(_gate(intent),))
        return await self._write_intent(intent, unit)

    async def _read_request(self, path: str, request_id: str) -> Answer:
        entity = await self._get(path, request_row(path, request_id))
        if entity is None:
            return Absent()
        made = await self._get(path, version_row(*parse_request(entity)))
        return Absent() if made is None else Found(parse_file(self.volume.name, made))

    async def _find(self, path: str, id_: str, above: int) -> Answer:
        shard = partition_of(self.volume, path)

        async def find() -> FileVersion | None:
            pages = self.table.query(shard, versions(path, above=above), where=Comparison(OP, "==", id_))
            async with aclosing(pages):
                async for page in pages:
                    for entity in page:
                        if entity.values.get(OP) == id_:
                            return parse_file(self.volume.name, entity)
            return None

        file = await self.deadline.read(find)
        return Absent() if file is None else Found(file)

    async def _put(self, op: Op) -> Answer:
        assert self.payload  # noqa: S101 — an op with a blob is begun with its payload
        headers = Headers(
            op.change.content_type,
            None,
            {OP: op.id, "path": op.change.path, "writer": op.change.writer, "epoch": self.volume.epoch},
        )
        if self.late_at is None:
            self.late_at = self.deadline.now() + op.patience_s / 2
        try:
            etag = await self.payload.put(op.blob, headers, self.deadline, self.late_at)
        except NotFoundError as exc:  # the container, or the source: nothing that a look at the blob would clear up
            return Failed(exc)
        if etag is None:
            return Late()
        assert self.payload.facts  # noqa: S101 — known once the content was read
        return Stored(etag, self.payload.facts)

    async def _stat(self, op: Op) -> Answer:
        try:
            blob = await self.deadline.read(lambda: self.content.stat(op.blob))
        except NotFoundError:
            return Absent()
        found = blob.headers.metadata
        if found.get(OP) != op.id:
            return Foreign()
        facts = self.payload.facts if self.payload else None
        if facts and (found.get("sha256") != facts.digest.removeprefix("sha256:") or blob.size != facts.size):
            return Foreign()
        return Stored(blob.etag, facts or NOTHING)

    async def _delete(self, op: Op, etag: str) -> Answer:
        try:
            await self.deadline.write(lambda: self.content.delete(op.blob, when=IfMatch(etag)))
        except NotFoundError:
            return Absent()
        return Done()


def _inserted(intent: Intent) -> Operation:
    return Insert(intent_row(intent.op), intent_values(intent))


def gate_merge(volume: VolumeInfo) -> Operation:
    """What a transaction has in it that only the settings in force may allow. It changes nothing."""
    return Merge(gate_of(volume), {"schema": SCHEMA})


def _gate(intent: Intent) -> Operation:
    """Only writers with the settings in force get in: the gate of others is gone."""
    return Merge(gate_row(intent.generation), {"schema": SCHEMA})


def _recorded(file: FileVersion) -> tuple[Operation, ...]:
    return () if file.request_id is None else (Insert(request_row(file.path, file.request_id), request_values(file)),)
