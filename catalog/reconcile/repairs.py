"""What a plan's actions do, one by one. Each is conditional on what a look has just confirmed, and may be repeated.

`prepare` says, ahead of any change, what will be changed and how it was: that is what `undo` works from. A version's
row is written as the head said when that was read, wherever the head is by then: else a writer would bury it.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from storage import Blob, ContentStore, Digester, Headers, IfAbsent, IfMatch, Touches

from ..adoption import adopted_of, content_type
from ..changes import Change
from ..commit import Unit
from ..copying import Copier
from ..entities import SCHEMA, FileVersion, VersionRow, VolumeInfo, file_values
from ..errors import ConflictError, IntegrityError, NotFoundError, OutcomeUnknownError, UnavailableError
from ..exchange import OP, partition_of
from ..keys import head_row, version_row
from ..modes import Create
from ..purger import Purger
from ..purging import Held, PurgeResult, Unfinished
from ..retention import Sharing
from ..retry import Deadline
from ..rows import Entity, Values
from ..settings import Settings
from ..table import Insert, Operation, RefusedError, Replace
from ..writer import Writer
from .difference import Difference
from .judge import rows_of
from .look import Looker
from .names import QUARANTINE, name_of

CHANGES_MAX: Final = 50  # of a transaction: a hundred rows, and 4 MiB
MEANWHILE: Final = "a row was changed meanwhile"


class Changed(Exception):  # noqa: N818 — no error: it is what a plan expects to meet
    """It is not as the plan says any more, or cannot be done as it is."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row as it was, and as it will be; None for no row."""

    path: str
    row: str
    before: Values | None
    after: Values
    etag: str = ""

    def operation(self) -> Operation:
        """What makes the change, and nothing else does."""
        if self.before is None:
            return Insert(self.row, self.after)
        return Replace(self.row, self.after, self.etag)

    def record(self) -> dict[str, Any]:
        """For the journal."""
        before = None if self.before is None else dict(self.before)
        return {"path": self.path, "row": self.row, "before": before, "after": dict(self.after)}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is about to be changed."""

    record: Mapping[str, Any]
    """As it was, for the journal."""
    changes: Sequence[RowChange] = ()
    """The rows, where that is all: they are written as they were read, if they are still so."""


def _prepared(changes: Sequence[RowChange]) -> Prepared:
    return Prepared({"rows": [change.record() for change in changes]}, changes)


@dataclass(slots=True)
class Repairs:
    """Repairs one volume."""

    looker: Looker
    content: ContentStore
    writer: Writer
    settings: Settings
    new_id: Callable[[], str]
    deadline: Callable[[], Deadline]

    @property
    def volume(self) -> VolumeInfo:
        """Which."""
        return self.looker.volume

    async def prepare(self, found: Difference) -> "Prepared":
        """What will be changed, as it is. Raises: as `carry_out`."""
        match found.action:
            case "insert-head" | "insert-version":
                return _prepared(await self._history(found))
            case "refresh":
                return _prepared(await self._noted(found, found.blob_etag))
            case "rewrite-headers":
                return Prepared({"blob": await self._described(found.key), "headers": await self._meant(found)})
            case "heal":
                blob = await self._described(found.key)
                return Prepared({"blob": blob, "aside": self.aside(found) if blob else ""})
            case "quarantine" | "put-again":
                return Prepared({"blob": await self._described(found.key), "aside": self.aside(found)})
        return Prepared({})

    async def _meant(self, found: Difference) -> dict[str, Any]:
        """What a blob will be."""
        file = await self._file(found)
        headers = self._headers(found.key, file)
        metadata = dict(headers.metadata)
        return {"size": file.size, "digest": file.digest, "content_type": headers.content_type, "metadata": metadata}

    async def carry_out(self, found: Difference, prepared: "Prepared") -> None:
        """Do it. Raises: Changed, ConflictError; CatalogError where it failed."""
        match found.action:
            case "insert-head" | "insert-version" | "refresh":
                await self._write(prepared.changes)
            case "rewrite-headers":
                await self.note(found, await self._rewritten(found))
            case "heal":
                await self._heal(found)
            case "quarantine":
                await self._quarantine(found)
            case "adopt":
                await self._adopt(found)
            case "put-again":
                await self._put_again(found)
            case "finish-purge":
                await self._finish_purge(found)
            case _:
                raise Changed(f"this blobcat does not know how to {found.action}")

    def aside(self, found: Difference) -> str:
        """Where a blob is kept that is deleted: each of those that had its name by itself."""
        state = blake2b(found.blob_etag.encode(), digest_size=4).hexdigest()
        return f"{self.volume.root}{QUARANTINE}/{state}/{found.key.removeprefix(self.volume.root)}"

    # --- Rows --------------------------------------------------------------------------------------------------------

    async def _history(self, found: Difference) -> list[RowChange]:
        seen = await self.looker.path(found.key)
        if rows_of(seen.rows, [seen.head] if seen.head else []) != found.rows:
            raise Changed(MEANWHILE)
        if found.action == "insert-head":
            newest = seen.rows[-1].file
            return [await self._change(found, f"h {newest.path}", file_values(newest))]
        if seen.head is None:
            raise Changed("the head is gone")
        file = seen.head.file
        return [await self._change(found, f"v {file.path}@{file.version}", file_values(file))]

    async def _noted(self, found: Difference, etag: str) -> list[RowChange]:
        """All rows that refer to a blob, with its etag."""
        changes = [await self._change(found, name, {"blob_etag": etag}) for name in sorted(found.rows)]
        return [change for change in changes if change.before != change.after]

    async def _change(self, found: Difference, name: str, values: Values) -> RowChange:
        """A change of a row, which must be the one that was found, or as missing.

        What it has become since may speak of another version, and other content (S1). Raises: Changed.
        """
        path, row = _row_of(name)
        entity = await self.row(path, row)
        if (entity.etag if entity else "") != found.rows.get(name, ""):
            raise Changed(MEANWHILE)
        before: Mapping[str, Any] = entity.values if entity else {}
        kept = {} if "kind" in values else before  # a whole record replaces what is there
        after = {**kept, **values, "schema": SCHEMA}
        return RowChange(path, row, entity.values if entity else None, after, entity.etag if entity else "")

    async def note(self, found: Difference, etag: str) -> None:
        """Note the etag of a blob that is as it should be. Rows that are changed meanwhile are left to the next run."""
        with suppress(Changed):
            await self._write(await self._noted(found, etag))

    async def _write(self, changes: Sequence[RowChange]) -> None:
        """Make these changes, those of each path in one transaction. Raises: Changed."""
        for path in sorted({change.path for change in changes}):
            ours = [change for change in changes if change.path == path]
            for first in range(0, len(ours), CHANGES_MAX):  # each says what is so by itself
                await self._transact(path, ours[first : first + CHANGES_MAX])

    async def _transact(self, path: str, changes: Sequence[RowChange]) -> None:
        lane, deadline = self.writer.committer.lane(partition_of(self.volume, path)), self.deadline()
        while True:
            try:
                unit = Unit(tuple(change.operation() for change in changes))
                await deadline.wait(lambda unit=unit: lane.commit(unit))  # type: ignore[misc]
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                rows = [await self.row(change.path, change.row) for change in changes]
                if all(row and row.values == change.after for row, change in zip(rows, changes, strict=True)):
                    return
                if isinstance(exc, RefusedError):
                    raise Changed(MEANWHILE) from exc
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
            else:
                return

    async def row(self, path: str, row: str) -> Entity | None:
        """A row as it is now."""
        key = partition_of(self.volume, path)
        return await self.deadline().retried(lambda: self.looker.lister.table.get(key, row))

    # --- Blobs -------------------------------------------------------------------------------------------------------

    async def _described(self, name: str) -> dict[str, Any] | None:
        blob = await self.looker.stat(name)
        if blob is None:
            return None
        headers, md5 = blob.headers, blob.headers.md5
        return {
            "name": name,
            "etag": blob.etag,
            "size": blob.size,
            "content_type": headers.content_type,
            "md5": md5.hex() if md5 else "",
            "metadata": dict(headers.metadata),
        }

    async def _rewritten(self, found: Difference) -> str:
        """Write a blob's headers as they were; its new etag."""
        file = await self._file(found)
        headers = self._headers(found.key, file)
        return await self.touch(found.key, found.blob_etag, headers)

    async def touch(self, name: str, etag: str, headers: Headers) -> str:
        """Give a blob other headers, as it was looked at; its new etag. Raises: Changed."""
        store, deadline = self.content, self.deadline()
        if not isinstance(store, Touches):
            raise Changed("this store cannot change headers")
        while True:
            try:
                return await deadline.write(lambda: store.touch(name, headers=headers, when=IfMatch(etag)))
            except (ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError) as exc:
                blob = await self.looker.stat(name)
                if blob is not None and blob.etag != etag and shows(blob, headers):
                    return blob.etag  # an answer was lost, and this is what it was about
                if blob is None or blob.etag != etag:
                    raise Changed(f"{name!r} was changed meanwhile") from exc
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def _heal(self, found: Difference) -> None:
        """Write the bytes again; what is there instead is put aside first."""
        file, twin, there = await self._file(found), await self.looker.stat(found.twin), None
        if twin is None:
            raise Changed(f"the blob {found.twin!r}, which had the same bytes, is gone")
        if found.blob_etag:
            there = await self._present(found)
            with suppress(IntegrityError):  # what cannot be read cannot be kept, and nobody misses it
                await self._put_aside(there, self.aside(found))
        when = IfMatch(there.etag) if there else IfAbsent()
        copier, headers = Copier(self.writer.uploads), self._headers(found.key, file)
        etag = await copier.copy(
            twin, found.key, when=when, headers=headers, digest=file.digest, deadline=self.deadline()
        )
        seen = await self.looker.blob(found.key, found.users)
        if not seen.needed_by:  # what was written just now may go again; but for a copy that refers to it by now
            await self._purged(seen.rows)
            raise Changed("its versions were purged meanwhile")
        await self.note(found, etag)

    async def _quarantine(self, found: Difference) -> None:
        await self._put_aside(await self._present(found), self.aside(found))
        await self.delete(found.key, found.blob_etag)

    async def _put_again(self, found: Difference) -> None:
        """Make a file of the bytes of an orphan, where there is none; then put the orphan aside.

        It is not made to refer to the orphan itself: another run may be about to delete that.
        """
        blob = await self._present(found)
        change = Change(self.volume.name, found.path, "put", Create(), self.writer.name, {}, blob.headers.content_type)
        try:
            await self.writer.put(self.volume, change, self._bytes_of(blob))
        except ConflictError as exc:
            there = await self.looker.path(found.path)  # an earlier run has put it, perhaps
            if there.head is None or there.head.file.digest != f"sha256:{blob.headers.metadata.get('sha256')}":
                raise Changed(f"there is a file {found.path!r}: look at {blob.name!r} yourself") from exc
        await self._quarantine(found)

    async def _bytes_of(self, blob: Blob) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob; an error in place of the last, where they are not what its headers say."""
        digester, said = Digester(), blob.headers.metadata.get("sha256", "")
        async with self.content.open(blob.name, when=IfMatch(blob.etag)) as opened:
            async for chunk in opened.chunks:
                digester.update(chunk)
                yield chunk
        if said and digester.digests().sha256 != said:
            message = f"the bytes of {blob.name!r} are not those that its headers tell of"
            raise IntegrityError(message, op="adopt", key=blob.name, kind="integrity.digest")

    async def _adopt(self, found: Difference) -> None:
        """Make a file of another's blob, in place, where there is none."""
        blob, path = await self._present(found), found.path
        volume, writer = self.volume, self.writer
        kind = content_type(blob, path)
        change = Change(volume.name, path, "adopt", Create(), writer.name, {}, kind, adopted=adopted_of(blob))
        try:
            await writer.write(volume, writer.fresh(volume, change), deadline=self.deadline())
        except ConflictError as exc:
            raise Changed(f"there is, or was, a file {path!r}") from exc

    async def _put_aside(self, blob: Blob, name: str) -> None:
        """Copy a blob to the quarantine. What is there already is taken over: no undo may remove it any more."""
        copier = Copier(self.writer.uploads)
        while True:
            try:
                await copier.copy(
                    blob, name, when=IfAbsent(), headers=blob.headers, digest="", deadline=self.deadline()
                )
            except ConflictError as exc:
                there = await self.looker.stat(name)
                if there is None:
                    continue  # it was undone just now
                if await self.looker.digests(there) != await self.looker.digests(blob):
                    raise Changed(f"{name!r} is in the quarantine already, with other content") from exc
                await self.rotate(there)
            return

    async def rotate(self, blob: Blob) -> None:
        """Give a blob another etag: no DELETE that was sent before can reach it. Raises: Changed, CatalogError."""
        store = self.content
        if not isinstance(store, Touches):
            raise Changed(f"{blob.name!r} cannot be kept from those who may be deleting it")
        try:
            await self.deadline().write(lambda: store.touch(blob.name, headers=blob.headers, when=IfMatch(blob.etag)))
        except (ConflictError, OutcomeUnknownError) as exc:
            raise Changed(f"{blob.name!r} was changed meanwhile: the next run tells") from exc

    async def delete(self, name: str, etag: str) -> None:
        """Delete a blob as it was looked at. Raises: Changed."""
        deadline = self.deadline()
        while True:
            try:
                await deadline.write(lambda: self.content.delete(name, when=IfMatch(etag)))
            except NotFoundError:
                return
            except ConflictError as exc:
                raise Changed(f"{name!r} was changed meanwhile") from exc
            except (OutcomeUnknownError, UnavailableError) as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
            else:
                return

    async def _present(self, found: Difference) -> Blob:
        blob = await self.looker.stat(found.key)
        if blob is None or blob.etag != found.blob_etag:
            raise Changed("it was changed meanwhile")
        return blob

    async def _file(self, found: Difference) -> FileVersion:
        """One of the versions that refer to a blob."""
        seen = await self.looker.blob(found.key, found.users)
        if not seen.needed_by:
            raise Changed("no version refers to it any more")
        return seen.needed_by[0]

    def _headers(self, name: str, file: FileVersion) -> Headers:
        """As the put wrote them, as far as its version tells."""
        said, md5 = name_of(self.volume, name), file.md5 or ""
        metadata = {OP: said.op, "path": said.path, "sha256": file.digest.removeprefix("sha256:"), "md5": md5}
        return Headers(file.content_type, bytes.fromhex(md5) or None, {**metadata, "size": f"{file.size}"})

    async def _finish_purge(self, found: Difference) -> None:
        seen = await self.looker.blob(found.key, found.users)
        rows = [row for row in seen.rows if row.purging and not row.purged]
        if not rows:
            raise Changed("nothing is flagged any more")
        match await self._purged(rows):
            case Held(by):
                raise Changed(f"{by} refers to it")
            case Unfinished(error):
                raise error

    async def _purged(self, rows: Sequence[VersionRow]) -> PurgeResult | None:
        """Purge the content of these versions, unless another one needs it."""
        if not rows:
            return None
        committer, most = self.writer.committer, self.settings.transfers_max
        purger = Purger(committer, self.looker.lister, self.content, self.volume, self.deadline, most)
        return (await purger.purge(self.new_id(), [Sharing(rows, {})]))[0]


def shows(blob: Blob, headers: Headers) -> bool:
    """Whether a blob has these headers. Not asked of its MD5, which a store may fill in."""
    return (blob.headers.content_type, dict(blob.headers.metadata)) == (headers.content_type, dict(headers.metadata))


def _row_of(name: str) -> tuple[str, str]:
    """The path, and the row, that a plan calls `h path` or `v path@version`."""
    kind, _, rest = name.partition(" ")
    if kind == "h":
        return rest, head_row(rest)
    path, _, version = rest.rpartition("@")
    return path, version_row(path, int(version))
