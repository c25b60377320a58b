"""One request of the protocol, sent once, and what came back as an answer.

Here stands what an error of a port proves. A refusal is an answer of its own; what is proven not to be applied has
`Failed`; whatever may have been applied, or may yet be, is in `Doubt`.
"""

from dataclasses import dataclass, replace
from typing import Final, assert_never

from storage import ContentStore, Headers, IfMatch

from .changes import (
    NOTHING,
)
from .commit import Committer, Seat, Unit
from .entities import (
    SCHEMA,
    FileVersion,
    IntentRow,
    VolumeInfo,
    file_values,
    intent_values,
    parse_file,
    parse_head,
    parse_intent,
    parse_request,
    request_values,
)
from .errors import CatalogError, ConflictError, NotFoundError, OutcomeUnknownError
from .filters import Comparison
from .keys import gate_row, head_row, intent_row, partition, request_row, shard_of, version_row, versions
from .messages import (
    AbortIntent,
    Absent,
    Answer,
    Commit,
    DeleteContent,
    Done,
    Doubt,
    DropIntent,
    Failed,
    FindVersion,
    Foreign,
    Found,
    InsertIntent,
    PutContent,
    ReadHead,
    ReadIntent,
    ReadRequest,
    ReadSource,
    Refused,
    Request,
    StatContent,
    Stored,
)
from .op import (
    Op,
)
from .retry import Deadline
from .table import (
    Delete,
    Insert,
    Merge,
    Replace,
    Table,
)
from .uploads import Payload

OP: Final = "op"  # the metadata of a blob that says whose it is


def partition_of(volume: VolumeInfo, path: str) -> str:
    """Where the rows of a path are."""
    return partition(volume.epoch, shard_of(path, volume.shards))


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

    async def send(self, op: Op, request: Request) -> Answer:
        """Send a request of this op once."""
        try:
            return await self._send(op, request, partition_of(self.volume, op.change.path))
        except OutcomeUnknownError as exc:
            return Doubt(exc)
        except ConflictError:
            return Refused()
        except CatalogError as exc:
            return Failed(exc)

    async def _send(self, op: Op, request: Request, shard: str) -> Answer:  # noqa: C901, PLR0911 — one case each
        match request:
            case ReadHead():
                return await self._read_head(op, shard)
            case InsertIntent(intent):
                gate = Merge(gate_row(intent.generation), {"schema": SCHEMA})
                unit = Unit((Insert(intent_row(op.id), intent_values(intent)),), shared=(gate,))
                return await self._write_intent(IntentRow(intent, "", 0), unit, shard)
            case ReadRequest(request_id):
                return await self._read_request(request_id, shard)
            case ReadSource(file):
                row = version_row(file.path, file.version)
                entity = await self.deadline.read(lambda: self.table.get(partition_of(self.volume, file.path), row))
                return Absent() if entity is None else Found(parse_file(self.volume.name, entity))
            case ReadIntent():
                entity = await self.deadline.read(lambda: self.table.get(shard, intent_row(op.id)))
                return Absent() if entity is None else Found(parse_intent(entity))
            case PutContent():
                return await self._put(op)
            case StatContent():
                return await self._stat(op)
            case Commit(etag, base, file):
                head = head_row(file.path)
                values = file_values(file)
                replaced = Replace(head, values, base.row_etag) if base else Insert(head, values)
                version = Insert(version_row(file.path, file.version), values)
                recorded = (
                    () if file.request_id is None else (Insert(request_row(file.request_id), request_values(file)),)
                )
                unit = Unit((Delete(intent_row(op.id), etag), replaced, version, *recorded))
                await self._commit(unit, shard, self.seat)
                return Found(file)
            case FindVersion(above):
                return await self._find(op, above, shard)
            case AbortIntent(row):
                aborted = replace(row.intent, state="aborted")
                unit = Unit((Replace(intent_row(op.id), intent_values(aborted), row.etag),))
                return await self._write_intent(IntentRow(aborted, "", 0), unit, shard)
            case DropIntent(row):
                await self._commit(Unit((Delete(intent_row(op.id), row.etag),)), shard)
                return Done()
            case DeleteContent(etag):
                return await self._delete(op, etag)
        assert_never(request)

    async def _commit(self, unit: Unit, shard: str, seat: Seat | None = None) -> tuple[str | None, int | None]:
        if seat:
            with self.deadline.stopped():  # for others to fill the transaction
                written = await seat.commit(unit)
        else:
            written = await self.deadline.wait(lambda: self.committer.lane(shard).commit(unit))
        return written[0].etag, written[0].timestamp

    async def _write_intent(self, row: IntentRow, unit: Unit, shard: str) -> Answer:
        etag, timestamp = await self._commit(unit, shard)
        if etag is None or timestamp is None:
            return Done()
        return Found(IntentRow(row.intent, etag, timestamp))

    async def _read_head(self, op: Op, shard: str) -> Answer:
        entity = await self.deadline.read(lambda: self.table.get(shard, head_row(op.change.path)))
        return Absent() if entity is None else Found(parse_head(self.volume.name, entity))

    async def _read_request(self, request_id: str, shard: str) -> Answer:
        entity = await self.deadline.read(lambda: self.table.get(shard, request_row(request_id)))
        if entity is None:
            return Absent()
        path, version = parse_request(entity)
        made = await self.deadline.read(lambda: self.table.get(shard, version_row(path, version)))
        return Absent() if made is None else Found(parse_file(self.volume.name, made))

    async def _find(self, op: Op, above: int, shard: str) -> Answer:
        async def find() -> FileVersion | None:
            rows = versions(op.change.path, above=above)
            async for page in self.table.query(shard, rows, where=Comparison(OP, "==", op.id)):
                for entity in page:
                    if entity.values.get(OP) == op.id:
                        return parse_file(self.volume.name, entity)
            return None

        file = await self.deadline.read(find)
        return Absent() if file is None else Found(file)

    async def _put(self, op: Op) -> Answer:
        assert self.payload  # noqa: S101 — an op with a blob is begun with its payload
        headers = Headers(op.change.content_type, None, {OP: op.id, "path": op.change.path})
        try:
            etag = await self.payload.put(op.blob, headers, self.deadline)
        except NotFoundError as exc:  # the container, or the source: nothing that a look at the blob would clear up
            return Failed(exc)
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
