"""Takes back what an apply has done, as far as that can be: rows as they were, blobs out of the quarantine.

It works from the journal, from its end to its beginning. A row or a blob that was changed since is left as it is, and
so is what cannot be taken back: writes that were settled, content that was purged or healed, files that were adopted.
All of that is said.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from storage import Blob, Headers, IfAbsent

from ..columns import parse_indexed
from ..commit import Unit
from ..copying import Copier
from ..errors import CatalogError, ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError
from ..exchange import gate_merge, partition_of
from ..keys import head_row, is_index_row
from ..table import Delete, Insert, Operation, RefusedError, Replace
from .blob_changes import shows
from .entry import Entry
from .names import is_aside
from .repairs import Repairs
from .row_changes import Changed

NOT_UNDONE = {
    "settle": "a write that was settled stays so",
    "finish-purge": "purged content is gone",
    "adopt": "the file that was made of it stays: delete it where it is not wanted",
    "heal": "versions refer to what was written again; what was there before is in the quarantine, or, where"
    " it could not be read, in the folder `kept` beside the store's files",
}


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one action."""

    key: str
    action: str
    undone: bool
    why: str = ""
    error: CatalogError | None = None


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What was taken back, and what was not."""

    items: Sequence[Undone] = ()

    @property
    def undone(self) -> int:
        """How many actions were taken back."""
        return sum(item.undone for item in self.items)

    @property
    def kept(self) -> Sequence[Undone]:
        """Those that were not."""
        return tuple(item for item in self.items if not item.undone)

    @property
    def ok(self) -> bool:
        """Whether all were."""
        return not self.kept


@dataclass(slots=True)
class Undo:
    """Takes back actions on one volume."""

    repairs: Repairs

    async def run(self, begun: Iterable[Entry]) -> UndoReport:
        """Take back what these entries of a journal tell of, in their order."""
        return UndoReport(tuple([await self._undo(entry) for entry in begun]))

    async def _undo(self, entry: Entry) -> Undone:
        if entry.action in NOT_UNDONE:
            return Undone(entry.key, entry.action, undone=False, why=NOT_UNDONE[entry.action])
        try:
            await self._take_back(entry)
        except (Changed, ConflictError) as exc:
            return Undone(entry.key, entry.action, undone=False, why=str(exc))
        except CatalogError as exc:
            return Undone(entry.key, entry.action, undone=False, why=str(exc), error=exc)
        return Undone(entry.key, entry.action, undone=True)

    async def _take_back(self, entry: Entry) -> None:
        for rows in reversed(_transactions(entry.undo.get("rows", ()))):
            await self._rows(rows)
        blob = entry.undo.get("blob")
        if blob is not None and entry.undo.get("headers"):
            await self._headers(blob, entry.undo["headers"])
        elif blob is not None:
            await self._back(entry.undo["aside"], blob)

    async def _rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of a path as they were, in one transaction. Raises: Changed."""
        repairs, path = self.repairs, rows[0]["path"]
        lane, deadline = repairs.writer.committer.lane(partition_of(repairs.volume, path)), repairs.writer.deadline()
        while True:
            there = [await repairs.rows.row(path, row["row"]) for row in rows]
            values = [entity.values if entity else None for entity in there]
            if values == [row["before"] for row in rows]:
                return
            for row, found in zip(rows, values, strict=True):
                if found != row["after"]:
                    raise Changed(f"row {row['row']!r} was changed since")
            operations = [
                change
                for row, entity in zip(rows, there, strict=True)
                for change in _restored(row["row"], row["before"], entity.etag if entity else "")
            ]
            if rows[0]["before"] is None and rows[0]["row"][0] == "v":
                operations.append(await self._said_by_the_head(path, rows[0]["after"]))
            unit = Unit(tuple(operations), shared=self._gate(rows[0]))
            try:
                await deadline.wait(lambda unit=unit: lane.commit(unit))  # type: ignore[misc]
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:  # look at it again
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    def _gate(self, row: Mapping[str, Any]) -> tuple[Operation, ...]:
        """What sees to it that no head comes to be in an index again whose rows are being removed. Raises: Changed."""
        again = {*parse_indexed(row["before"] or {})} - {*parse_indexed(row["after"] or {})}
        for index in self.repairs.volume.indexes:
            if index.id in again and index.state == "dropping":
                raise Changed(f"the index ({', '.join(index.on)}) is being dropped by now")
        return (gate_merge(self.repairs.volume),) if again else ()

    async def _headers(self, was: Mapping[str, Any], meant: Mapping[str, Any]) -> None:
        """A blob's headers as they were. Raises: Changed, where it has others by now than those that were written."""
        blob = await self.repairs.looker.stat(was["name"])
        if blob is None:
            raise Changed("the blob is gone")
        if shows(blob, _headers(was)):
            return
        if not _is(blob, meant):
            raise Changed(f"{blob.name!r} was changed since")
        await self.repairs.blobs.touch(blob.name, blob.etag, _headers(was))

    async def _said_by_the_head(self, path: str, version: Mapping[str, Any]) -> Operation:
        """What keeps a version's row from being removed that nobody else speaks of (S11). Raises: Changed."""
        head = await self.repairs.rows.row(path, head_row(path))
        if head is None or any(head.values.get(name) != version.get(name) for name in ("version", "op", "chain")):
            raise Changed(f"{path!r} has a newer version by now, which follows this one")
        return Replace(head_row(path), head.values, head.etag)

    async def _back(self, aside: str, was: Mapping[str, Any]) -> None:
        """A blob out of the quarantine, under its own name."""
        repairs, name = self.repairs, was["name"]
        if not is_aside(repairs.volume, aside) or not name.startswith(repairs.volume.root):
            raise Changed(f"{name!r} lies outside the volume")
        kept = await repairs.looker.stat(aside)
        if kept is None:
            if await repairs.looker.stat(name) is not None:
                return  # it never went, or is back
            raise Changed(f"{aside!r} is not in the quarantine")
        try:
            await self._copied(kept, was)
        except NotFoundError:  # another undo has taken it out just now: see where it is
            await self._back(aside, was)
            return
        there = await repairs.looker.stat(name)
        if there is None:
            raise Changed(f"{name!r} was put aside again meanwhile")
        if there.etag == was["etag"]:  # it never went; whoever is about to delete it must not be able to any more
            await repairs.blobs.rotate(there)
        with suppress(Changed):  # others have taken it out, or over
            await repairs.blobs.delete(aside, kept.etag)

    async def _copied(self, kept: Blob, was: Mapping[str, Any]) -> None:
        """A copy of what was kept, where it was. Raises: Changed; NotFoundError where it is not kept any more."""
        repairs, name = self.repairs, was["name"]
        copier, headers, deadline = Copier(repairs.writer.uploads), _headers(was), repairs.writer.deadline()
        try:
            await copier.copy(kept, name, when=IfAbsent(), headers=headers, digest="", deadline=deadline)
        except ConflictError as exc:
            there = await repairs.looker.stat(name)
            if there is None or await repairs.looker.digests(there) != await repairs.looker.digests(kept):
                raise Changed(f"there is another blob {name!r} by now") from exc


def _transactions(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows as they are taken back together: those of indexes with the head before them, each other one by itself."""
    together = list[list[Mapping[str, Any]]]()
    for row in rows:
        of_index = is_index_row(row["row"])
        if of_index and together and together[-1][0]["path"] == row["path"]:
            together[-1].append(row)
        else:
            together.append([row])
    return together


def _restored(row: str, before: Mapping[str, Any] | None, etag: str) -> list[Operation]:
    if before is None:
        return [Delete(row, etag)] if etag else []
    return [Replace(row, before, etag) if etag else Insert(row, before)]


def _headers(was: Mapping[str, Any]) -> Headers:
    return Headers(was["content_type"], bytes.fromhex(was["md5"]) or None, was["metadata"])


def _is(blob: Blob, meant: Mapping[str, Any]) -> bool:
    """Whether a blob is as a repair has written it, as far as its headers tell."""
    return blob.size == meant["size"] and shows(blob, Headers(meant["content_type"], None, meant["metadata"]))
