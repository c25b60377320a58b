"""Takes back what an apply has done, as far as that can be: rows as they were, blobs out of the quarantine.

It works from the journal, from its end to its beginning. A row or a blob that was changed since is left as it is, and
so is what cannot be taken back: what was aborted, and what was purged. Both are said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage import Blob, Headers, IfAbsent, IfMatch, Touches

from ..commit import Unit
from ..copying import Copier
from ..errors import CatalogError, ConflictError, NotFoundError, OutcomeUnknownError
from ..exchange import partition_of
from ..keys import head_row
from ..table import Delete, Insert, Operation, RefusedError, Replace
from .journal import Entry
from .repairs import Changed, Repairs

NOT_UNDONE = {
    "settle": "a write that was settled stays so",
    "finish-purge": "purged content is gone",
    "adopt": "the version that was made of it stays: delete it where it is not wanted",
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

    async def run(self, entries: Sequence[Entry]) -> UndoReport:
        """Take back what these entries of a journal have begun, the last first."""
        begun: dict[tuple[str, str, str], Entry] = {}
        made = dict[tuple[str, str, str], str]()
        for entry in entries:
            if entry.phase == "begun":
                begun.setdefault(entry.subject, entry)  # what it was before the first attempt
            elif entry.phase == "changed":
                begun.pop(entry.subject, None)
            elif entry.undo:
                made[entry.subject] = entry.undo["made"]
        return UndoReport(
            tuple([await self._undo(entry, made.get(entry.subject, "")) for entry in reversed(begun.values())])
        )

    async def _undo(self, entry: Entry, made: str) -> Undone:
        if entry.action in NOT_UNDONE:
            return Undone(entry.key, entry.action, undone=False, why=NOT_UNDONE[entry.action])
        try:
            await self._take_back(entry, made)
        except (Changed, ConflictError) as exc:
            return Undone(entry.key, entry.action, undone=False, why=str(exc))
        except CatalogError as exc:
            return Undone(entry.key, entry.action, undone=False, why=str(exc), error=exc)
        return Undone(entry.key, entry.action, undone=True)

    async def _take_back(self, entry: Entry, made: str) -> None:
        for row in reversed(entry.undo.get("rows", ())):
            await self._row(row)
        blob = entry.undo.get("blob")
        if blob is not None and entry.undo.get("headers"):
            await self._headers(blob)
        elif entry.undo.get("healed"):
            await self._unheal(entry.key, blob, entry.undo.get("aside", ""), made)
        elif blob is not None:
            await self._back(entry.undo["aside"], blob)

    async def _row(self, row: Mapping[str, Any]) -> None:
        """A row as it was. Raises: Changed."""
        repairs, path, name = self.repairs, row["path"], row["row"]
        lane, deadline = repairs.writer.committer.lane(partition_of(repairs.volume, path)), repairs.deadline()
        while True:
            there = await repairs.row(path, name)
            values = there.values if there else None
            if values == row["before"]:
                return
            if values != row["after"]:
                raise Changed(f"row {name!r} was changed since")
            operations = [_restored(name, row["before"], there.etag if there else "")]
            if row["before"] is None and name != head_row(path):
                operations.append(await self._said_by_the_head(path, row["after"]))
            unit = Unit(tuple(operations))
            try:
                await deadline.wait(lambda unit=unit: lane.commit(unit))  # type: ignore[misc]
            except RefusedError as exc:
                raise Changed(f"row {name!r} was changed since") from exc
            except OutcomeUnknownError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def _said_by_the_head(self, path: str, version: Mapping[str, Any]) -> Operation:
        """What keeps a version's row from being removed that nobody else speaks of (S11). Raises: Changed."""
        head = await self.repairs.row(path, head_row(path))
        if head is None or any(head.values.get(name) != version.get(name) for name in ("version", "op", "chain")):
            raise Changed(f"{path!r} has a newer version by now, which follows this one")
        return Replace(head_row(path), head.values, head.etag)

    async def _headers(self, was: Mapping[str, Any]) -> None:
        """A blob's headers as they were."""
        store, blob = self.repairs.content, await self.repairs.looker.stat(was["name"])
        if blob is None or not isinstance(store, Touches):
            raise Changed("the blob is gone")
        await self.repairs.deadline().write(
            lambda: store.touch(blob.name, headers=_headers(was), when=IfMatch(blob.etag))
        )

    async def _unheal(self, name: str, was: Mapping[str, Any] | None, aside: str, made: str) -> None:
        """What was there before: other bytes, or nothing. Only what that very apply has written is taken away (S5)."""
        blob = await self.repairs.looker.stat(name)
        if (blob.etag if blob else "") == (was["etag"] if was else ""):
            return  # it was not replaced, or is gone
        if blob is None or blob.etag != made:
            raise Changed("it was written by others, or nobody knows by whom")
        if was is None:
            await self.repairs.deadline().write(lambda: self.repairs.content.delete(name, when=IfMatch(made)))
        else:
            await self._back(aside, was, over=blob)

    async def _back(self, aside: str, was: Mapping[str, Any], over: Blob | None = None) -> None:
        """A blob out of the quarantine, under its own name."""
        repairs, kept = self.repairs, await self.repairs.looker.stat(aside)
        name = was["name"]
        if kept is None:
            if await repairs.looker.stat(name) is not None:
                return  # it never went, or is back
            raise Changed(f"{aside!r} is not in the quarantine")
        copier = Copier(repairs.writer.uploads)
        when = IfMatch(over.etag) if over else IfAbsent()
        try:
            await copier.copy(kept, name, when=when, headers=_headers(was), digest="", deadline=repairs.deadline())
        except ConflictError as exc:
            there = await repairs.looker.stat(name)
            if there is None or await repairs.looker.digests(there) != await repairs.looker.digests(kept):
                raise Changed(f"there is another blob {name!r} by now") from exc
        there = await repairs.looker.stat(name)
        if there is None:
            raise Changed(f"{name!r} was put aside again meanwhile")
        if there.etag == was["etag"]:  # it never went; whoever is about to delete it must not be able to any more
            await repairs.rotate(there)
        try:
            await repairs.deadline().write(lambda: repairs.content.delete(aside, when=IfMatch(kept.etag)))
        except (NotFoundError, ConflictError):
            return  # others have taken it out, or over


def _restored(row: str, before: Mapping[str, Any] | None, etag: str) -> Operation:
    if before is None:
        return Delete(row, etag)
    return Replace(row, before, etag) if etag else Insert(row, before)


def _headers(was: Mapping[str, Any]) -> Headers:
    return Headers(was["content_type"], bytes.fromhex(was["md5"]) or None, was["metadata"])
