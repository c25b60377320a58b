"""Reads what a scan has a suspicion of again, live, row and blob: what is found then is so.

No lock makes a blob and the rows of several shards one moment. Everything is read twice instead, until two readings in
a row are the same: no etag ever comes back, so there was a moment, between the two, at which all of it was so. Within a
reading, intents come before rows: the other way round a commit slips through between them, and is in neither.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from storage import Blob, ContentStore, Digester, Digests, IfMatch

from ..columns import parse_head, parse_intent, parse_version, parse_volume
from ..entities import Claim, Head, IntentRow, VersionRow, VolumeInfo
from ..errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from ..exchange import OP, partition_of
from ..filters import Comparison
from ..keys import (
    INTENTS,
    REGISTRY,
    head_row,
    heads,
    intent_row,
    partition,
    version_row,
    versions,
    versions_under,
    volume_row,
)
from ..kinds import UNKNOWN, kind_of
from ..listing import Lister
from ..rows import Entity
from .indexed import SeenIndexes, called_for, mended
from .names import may_be_of, name_of
from .seen import UNREADABLE, SeenBlob, SeenOp, SeenPath

READINGS_MAX: Final = 20
NO_BLOB: Final = "not-found.blob"

T = TypeVar("T")


@dataclass(slots=True)
class Looker:
    """Looks at one volume."""

    volume: VolumeInfo
    lister: Lister
    content: ContentStore

    async def blob(self, name: str, users: Sequence[tuple[str, int]]) -> SeenBlob:
        """A blob, and what refers to it. `users`: the versions that a scan has seen refer to it.

        Raises: UnavailableError (also where it changes all the time), AccessDeniedError, InvalidError, IntegrityError.
        """
        return await self._twice(name, lambda: self._blob(name, users))

    async def path(self, path: str) -> SeenPath:
        """A path's rows. Raises: as `blob`."""

        async def read() -> SeenPath:
            head = await self._head(path)
            rows = [
                parse_version(self.volume.name, row)
                async for row in self.lister.rows(partition_of(self.volume, path), versions(path))
            ]
            move = head is not None and head.claim is not None and await self._moves(path, head.claim)
            return SeenPath(path, head, tuple(reversed(rows)), move)

        return await self._twice(path, read)

    async def indexes(self, path: str, rows: Iterable[str]) -> SeenIndexes:
        """A path's head and its rows in indexes: those that the head calls for, or ought to, and these.

        Raises: as `blob`; NotFoundError where the volume is gone.
        """

        async def read() -> SeenIndexes:
            volume, raw = await self._settings(), await self._get(path, head_row(path))
            head = None if raw is None else parse_head(self.volume.name, raw)
            seen = SeenIndexes(path, volume, head, raw, {})
            there = [called_for(volume, values) for values in (raw and raw.values, mended(seen)) if values]
            names = sorted({*rows, *(name for each in there for name in each)})
            return replace(seen, rows={name: await self._get(path, name) for name in names})

        return await self._twice(path, read)

    async def _settings(self) -> VolumeInfo:
        """The volume as it is now. Raises: NotFoundError."""
        row = await self.lister.deadline().retried(
            lambda: self.lister.table.get(REGISTRY, volume_row(self.volume.name))
        )
        if row is None or (now := parse_volume(row, None)).epoch != self.volume.epoch:
            message = f"volume {self.volume.name!r} was deleted meanwhile"
            raise NotFoundError(message, op="reconcile", key=self.volume.name, kind="not-found.volume")
        return now

    async def _moves(self, path: str, claim: Claim) -> bool:
        """Whether anything is left of a move but its claim; intents before rows."""
        for at in (path, claim.target):
            row = await self._intent(at, claim.op)
            if row is not None and row.intent.state == "open":
                return True
        return bool(await self._made(claim.target, claim.op))

    async def op(self, op: str, paths: Sequence[str]) -> SeenOp:
        """A write's intents, in the shards of these paths. Raises: as `blob`."""

        async def read() -> SeenOp:
            found = [await self._intent(path, op) for path in paths]
            return SeenOp(op, tuple(row for row in found if row is not None))

        return await self._twice(op, read)

    async def digests(self, blob: Blob) -> Digests | str:
        """What a blob's bytes are, or why they cannot be read.

        Raises: UnavailableError, ConflictError, NotFoundError, AccessDeniedError (it is archived, perhaps).
        """
        digester = Digester()

        async def read() -> None:
            async with self.content.open(blob.name, when=IfMatch(blob.etag)) as opened:
                async for chunk in opened.chunks:
                    digester.update(chunk)

        deadline = self.lister.deadline()
        while True:
            try:
                await read()
            except IntegrityError as exc:
                return f"{UNREADABLE}: {exc.message}"
            except UnavailableError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
                digester = Digester()
                continue
            return digester.digests()

    async def whole(
        self, name: str, users: Sequence[tuple[str, int]], wanted: Callable[[SeenBlob], bool] | None = None
    ) -> SeenBlob:
        """As `blob`, with what its bytes are, where that is `wanted`. Raises: as `blob`."""
        for _ in range(READINGS_MAX):
            seen = await self.blob(name, users)
            if seen.blob is None or (wanted and not wanted(seen)):
                return seen
            try:
                return replace(seen, content=await self.digests(seen.blob))
            except (ConflictError, NotFoundError):  # it has changed: look again
                continue
        raise _busy(name)

    async def referred(self, names: AbstractSet[str]) -> frozenset[str]:
        """Which of these blobs a write under way, or a version, or a head refers to. Reads all shards.

        Raises: as `blob`; InvalidError where there is a row that this blobcat does not know.
        """
        found = set[str]()
        for shard in range(self.volume.shards):
            key = partition(self.volume.epoch, shard)
            # in this order: what is not an intent any more is a version
            for rows in (INTENTS, heads(""), versions_under(""), *UNKNOWN):
                async with aclosing(
                    self.lister.pages(key, rows, select=("schema", "blob", "state", "purged"))
                ) as pages:
                    async for page in pages:
                        found |= {
                            str(row.values.get("blob", ""))
                            for row in page
                            if kind_of(row) and row.values.get("state") != "aborted" and not row.values.get("purged")
                        } & names
        return frozenset(found)

    async def _twice(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        seen = await read()
        for _ in range(READINGS_MAX):
            seen, before = await read(), seen
            if seen == before:
                return seen
        raise _busy(key)

    async def _blob(self, name: str, users: Sequence[tuple[str, int]]) -> SeenBlob:
        blob = await self.stat(name)
        said = name_of(self.volume, name)
        op, path = said.op, said.path
        if blob is not None:
            op = blob.headers.metadata.get(OP, op)
            path = blob.headers.metadata.get("path", path) if blob.headers.metadata.get(OP) else path
        asked = may_be_of(path, op)
        intent = await self._intent(path, op) if asked else None
        rows = {(row.file.path, row.file.version): row for row in [await self._version(*user) for user in users] if row}
        if asked and not any(row.file.etag == op for row in rows.values()):
            rows |= {(row.file.path, row.file.version): row for row in await self._made(path, op)}
        heads = [await self._head(at) for at in sorted({path for path, _ in users} | {path for path, _ in rows})]
        return SeenBlob(
            name,
            blob,
            tuple(row for _, row in sorted(rows.items()) if row.file.blob == name),
            tuple(head for head in heads if head is not None and head.file.blob == name),
            intent,
        )

    async def stat(self, name: str) -> Blob | None:
        """A blob as it is; None where there is none. Raises: NotFoundError, where the container is gone, too."""
        try:
            return await self.lister.deadline().retried(lambda: self.content.stat(name))
        except NotFoundError as exc:
            if exc.kind == NO_BLOB:
                return None
            raise

    async def _made(self, path: str, op: str) -> list[VersionRow]:
        """The versions of a path that a write made."""
        key, named = partition_of(self.volume, path), Comparison(OP, "==", op)
        async with aclosing(self.lister.rows(key, versions(path), where=named)) as rows:
            return [parse_version(self.volume.name, row) async for row in rows]

    async def _version(self, path: str, version: int) -> VersionRow | None:
        entity = await self._get(path, version_row(path, version))
        return None if entity is None else parse_version(self.volume.name, entity)

    async def _head(self, path: str) -> Head | None:
        entity = await self._get(path, head_row(path))
        return None if entity is None else parse_head(self.volume.name, entity)

    async def _intent(self, path: str, op: str) -> IntentRow | None:
        entity = await self._get(path, intent_row(op))
        return None if entity is None else parse_intent(entity)

    async def _get(self, path: str, row: str) -> Entity | None:
        key = partition_of(self.volume, path)
        return await self.lister.deadline().retried(lambda: self.lister.table.get(key, row))


def _busy(key: str) -> UnavailableError:
    message = f"{key!r} changed each time it was looked at: try again when less is written"
    return UnavailableError(message, op="reconcile", key=key, kind="unavailable.busy")
