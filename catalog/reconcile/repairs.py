"""What a plan's actions do, one by one. Each is conditional on what a look has just confirmed, and may be repeated.

`prepare` says, ahead of any change, what will be changed and how it was: that is what `undo` works from.
"""

from asyncio import Lock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage import IfAbsent, IfMatch

from ..adoption import Enrol, adopted_of, content_type
from ..changes import Change
from ..copying import Copier
from ..entities import VersionRow, VolumeInfo
from ..errors import ConflictError, IntegrityError
from ..modes import Create
from ..purger import Purger
from ..purging import PurgeResult
from ..retention import Sharing
from ..writer import Writer
from .blob_changes import BlobChanges
from .difference import Difference
from .look import Looker
from .row_changes import Changed, RowChanges, RowsToChange


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is about to be changed."""

    record: Mapping[str, Any]
    """As it was, for the journal."""
    changes: RowsToChange = RowsToChange()
    """The rows, where that is all: they are written as they were read, if they are still so."""


def _prepared(changes: RowsToChange) -> Prepared:
    return Prepared({"rows": [change.record() for change in changes.rows]}, changes)


@dataclass(slots=True)
class Repairs:
    """Repairs one volume."""

    looker: Looker
    writer: Writer
    rows: RowChanges
    blobs: BlobChanges
    transfers_max: int
    enrol: Enrol
    _roots: tuple[str, ...] | None = None
    """Of all volumes, as of the note that a run makes before it adopts anything."""
    _noting: Lock = field(default_factory=Lock)

    @property
    def volume(self) -> VolumeInfo:
        """Which."""
        return self.looker.volume

    async def prepare(self, found: Difference) -> Prepared:
        """What will be changed, as it is. Raises: as `carry_out`."""
        match found.action:
            case "insert-head" | "insert-version" | "mend-index" | "refresh":
                return _prepared(await self.rows.proposed(found))
            case "rewrite-headers":
                return Prepared({"blob": await self.blobs.described(found.key), "headers": await self._meant(found)})
            case "heal":
                blob = await self.blobs.described(found.key)
                return Prepared({"blob": blob, "aside": self.blobs.aside(found) if blob else ""})
            case "quarantine" | "put-again":
                return Prepared({"blob": await self.blobs.described(found.key), "aside": self.blobs.aside(found)})
            case "adopt":
                await self._check_is_adoptable(found.key)
        return Prepared({})

    async def _check_is_adoptable(self, name: str) -> None:
        """Whether a blob of others may become this volume's: it lies in its root, or in that of none.

        Else it would be two volumes'. As in `adopt`: who makes a volume there after the note meets the blob, which was
        there when the plan was made, and is refused; one that was made before is known from the note.

        Raises: Changed; InvalidError, ConflictError: all with that prefix is another volume's.
        """
        volume = self.volume
        if name.startswith(volume.root):
            return
        async with self._noting:
            if self._roots is None:
                prefix = next((each for each in volume.adopted if name.startswith(each)), name)
                noted = await self.enrol(volume, prefix, self.writer.deadline(), True)  # noqa: FBT003 — `adoption.Enrol`
                self._roots = noted.roots
        if name.startswith(self._roots):
            raise Changed("it lies in the root of another volume")

    async def _meant(self, found: Difference) -> dict[str, Any]:
        """What a blob will be."""
        file = await self.blobs.file(found)
        headers = self.blobs.headers(found.key, file, await self.blobs.present(found))
        metadata = dict(headers.metadata)
        return {"size": file.size, "digest": file.digest, "content_type": headers.content_type, "metadata": metadata}

    async def carry_out(self, found: Difference, prepared: Prepared) -> None:
        """Do it. Raises: Changed, ConflictError; CatalogError where it failed."""
        match found.action:
            case "insert-head" | "insert-version" | "mend-index" | "refresh":
                await self.rows.write(prepared.changes)
            case "rewrite-headers":
                await self.rows.note(found, await self._rewritten(found))
            case "heal":
                await self._heal(found)
            case "quarantine":
                await self._quarantine(found)
            case "adopt":
                await self._adopt(found)
            case "put-again":
                await self._put_again(found)
            case _:
                raise Changed(f"this blobcat does not know how to {found.action}")

    async def _rewritten(self, found: Difference) -> str:
        """Write a blob's headers as they were; its new etag."""
        file = await self.blobs.file(found)
        headers = self.blobs.headers(found.key, file, await self.blobs.present(found))
        return await self.blobs.touch(found.key, found.blob_etag, headers)

    async def _heal(self, found: Difference) -> None:
        """Write the bytes again; what is there instead is put aside first."""
        file, twin, there = await self.blobs.file(found), await self.looker.stat(found.twin), None
        if twin is None:
            raise Changed(f"the blob {found.twin!r}, which had the same bytes, is gone")
        if found.blob_etag:
            there = await self.blobs.present(found)
            try:
                await self.blobs.put_aside(there, self.blobs.aside(found))
            except IntegrityError:  # it cannot be read; what there is of it is kept all the same
                await self.blobs.keep(there)
        when = IfMatch(there.etag) if there else IfAbsent()
        copier, headers = Copier(self.writer.uploads), self.blobs.headers(found.key, file, there)
        etag = await copier.copy(
            twin, found.key, when=when, headers=headers, digest=file.digest, deadline=self.writer.deadline()
        )
        seen = await self.looker.blob(found.key, found.users)
        if not seen.needed_by:  # what was written just now may go again; but for a copy that refers to it by now
            await self.purge([seen.rows] if seen.rows else [])
            raise Changed("its versions were purged meanwhile")
        await self.rows.note(found, etag)

    async def _quarantine(self, found: Difference) -> None:
        await self.blobs.put_aside(await self.blobs.present(found), self.blobs.aside(found))
        await self.blobs.delete(found.key, found.blob_etag)

    async def _put_again(self, found: Difference) -> None:
        """Make a file of the bytes of an orphan, where there is none; then put the orphan aside.

        It is not made to refer to the orphan itself: another run may be about to delete that.
        """
        blob = await self.blobs.present(found)
        change = Change(self.volume.name, found.path, "put", Create(), self.writer.name, {}, blob.headers.content_type)
        try:
            await self.writer.put(self.volume, change, self.blobs.bytes_of(blob))
        except ConflictError as exc:
            there = await self.looker.path(found.path)  # an earlier run has put it, perhaps
            if there.head is None or there.head.file.digest != f"sha256:{blob.headers.metadata.get('sha256')}":
                raise Changed(f"there is a file {found.path!r}: look at {blob.name!r} yourself") from exc
        await self._quarantine(found)

    async def _adopt(self, found: Difference) -> None:
        """Make a file of another's blob, in place, where there is none."""
        blob, path = await self.blobs.present(found), found.path
        volume, writer = self.volume, self.writer
        kind = content_type(blob, path)
        change = Change(volume.name, path, "adopt", Create(), writer.name, {}, kind, adopted=adopted_of(blob))
        try:
            await writer.write(volume, writer.fresh(volume, change), deadline=self.writer.deadline())
        except ConflictError as exc:
            raise Changed(f"there is, or was, a file {path!r}") from exc

    async def purge(self, contents: Sequence[Sequence[VersionRow]]) -> list[PurgeResult]:
        """Purge contents, of each all versions that share it, unless another one needs it. One reading for all."""
        committer, content, most = self.writer.committer, self.blobs.content, self.transfers_max
        purger = Purger(committer, self.looker.lister, content, self.volume, self.writer.deadline, most)
        return await purger.purge(self.writer.new_id(), [Sharing(rows, {}) for rows in contents])
