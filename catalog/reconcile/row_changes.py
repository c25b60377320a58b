"""Changes rows as a plan asks for it: as they were found, or not at all.

A version's row is written as the head said when that was read, wherever the head is by then: else a writer would bury
it. Rows of a path go together. With a head go its rows in indexes, as everywhere: see `head_rows`. They are those of
the settings that were read, and the shard's gate is asked whether these are in force.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ..columns import SCHEMA, file_values, indexed_values, parse_indexed
from ..commit import Unit
from ..entities import VolumeInfo
from ..errors import OutcomeUnknownError, UnavailableError
from ..exchange import gate_merge, partition_of
from ..head_rows import kept_up
from ..keys import head_row, version_row
from ..rows import Entity, Values
from ..table import Delete, Insert, Operation, RefusedError, Replace
from ..writer import Writer
from .difference import Difference
from .indexed import called_for, judge_indexes, mended, without_mark
from .look import Looker
from .seen import rows_of

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
    after: Values | None
    etag: str = ""

    def operation(self) -> Operation:
        """What makes the change, and nothing else does."""
        if self.after is None:
            return Delete(self.row, self.etag)
        if self.before is None:
            return Insert(self.row, self.after)
        return Replace(self.row, self.after, self.etag)

    def record(self) -> dict[str, Any]:
        """For the journal."""
        before, after = (None if values is None else dict(values) for values in (self.before, self.after))
        return {"path": self.path, "row": self.row, "before": before, "after": after}


@dataclass(frozen=True, slots=True)
class RowsToChange:
    """Rows that are about to be changed."""

    rows: Sequence[RowChange] = ()
    settings: VolumeInfo | None = None
    """Those that a head's rows in indexes are of; None where no head is marked."""


@dataclass(slots=True)
class RowChanges:
    """Changes rows of one volume."""

    looker: Looker
    writer: Writer

    async def proposed(self, found: Difference) -> RowsToChange:
        """What an action on rows alone changes. Raises: Changed; as `Looker.path`."""
        match found.action:
            case "mend-index":
                return await self.indexes(found)
            case "refresh":
                return await self.noted(found, found.blob_etag)
            case _:
                return await self.history(found)

    async def history(self, found: Difference) -> RowsToChange:
        """The row that a path lacks, as the others prove it. Raises: Changed; as `Looker.path`."""
        seen = await self.looker.path(found.key)
        if rows_of(seen.rows, [seen.head] if seen.head else []) != found.rows:
            raise Changed(MEANWHILE)
        if found.action == "insert-head":
            newest, volume = seen.rows[-1].file, self.looker.volume
            values = file_values(newest) | indexed_values(kept_up(volume, newest))
            head = await self._change(found, f"h {newest.path}", values)
            return RowsToChange((head, *await self._rows_in_indexes(head)), volume)
        if seen.head is None:
            raise Changed("the head is gone")
        file = seen.head.file
        return RowsToChange([await self._change(found, f"v {file.path}@{file.version}", file_values(file))])

    async def noted(self, found: Difference, etag: str) -> RowsToChange:
        """All rows that refer to a blob, with its etag."""
        changes, settings = list[RowChange](), None
        for name in sorted(found.rows):
            change = await self._change(found, name, {"blob_etag": etag})
            if change.before == change.after:
                continue
            changes.append(change)
            if name.startswith("h ") and change.after and parse_indexed(change.after):
                changes += await self._rows_in_indexes(change)
                settings = self.looker.volume
        return RowsToChange(changes, settings)

    async def indexes(self, found: Difference) -> RowsToChange:
        """A head with the mark that it ought to have, and its rows in indexes. Raises: Changed; as `Looker.indexes`."""
        seen = await self.looker.indexes(found.key, found.index_rows)
        now = judge_indexes(seen)
        if now is None or now.rows != found.rows:
            raise Changed(MEANWHILE)
        values, rows = mended(seen), list[RowChange]()
        if seen.raw and values:  # also where it stays as it is: by its etag nobody else changes it, or these
            rows.append(RowChange(seen.path, seen.raw.row, seen.raw.values, values, seen.raw.etag))
        wanted = called_for(seen.volume, values) if values else {}
        for row, entity in seen.rows.items():
            rows += _index_change(seen.path, row, entity, without_mark(values) if values and row in wanted else None)
        return RowsToChange(rows, seen.volume)

    async def _rows_in_indexes(self, head: RowChange) -> list[RowChange]:
        """What becomes of a head's rows in indexes as it is changed. A mark of no index stands for none."""
        assert head.after is not None  # noqa: S101 — no repair removes a head
        volume, changes = self.looker.volume, list[RowChange]()
        before = called_for(volume, head.before) if head.before else {}
        after = called_for(volume, head.after)
        for row in sorted({*before, *after}):
            entity = await self.row(head.path, row)
            changes += _index_change(head.path, row, entity, without_mark(head.after) if row in after else None)
        return changes

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
            await self.write(await self.noted(found, etag))

    async def write(self, changes: RowsToChange) -> None:
        """Make these changes, those of each path in one transaction. Raises: Changed."""
        gate = (gate_merge(changes.settings),) if changes.settings else ()
        for path in sorted({change.path for change in changes.rows}):
            ours = [change for change in changes.rows if change.path == path]  # the head and its rows in indexes first
            for first in range(0, len(ours), CHANGES_MAX):  # each says what is so by itself
                await self._transact(path, ours[first : first + CHANGES_MAX], gate)

    async def _transact(self, path: str, changes: Sequence[RowChange], gate: tuple[Operation, ...]) -> None:
        lane, deadline = self.writer.committer.lane(partition_of(self.looker.volume, path)), self.writer.deadline()
        while True:
            try:
                unit = Unit(tuple(change.operation() for change in changes), shared=gate)
                await deadline.wait(lambda unit=unit: lane.commit(unit))  # type: ignore[misc]
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                rows = [await self.row(change.path, change.row) for change in changes]
                if all((row and row.values) == change.after for row, change in zip(rows, changes, strict=True)):
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
        key = partition_of(self.looker.volume, path)
        return await self.writer.deadline().retried(lambda: self.looker.lister.table.get(key, row))


def _index_change(path: str, row: str, entity: Entity | None, after: Values | None) -> list[RowChange]:
    """What makes of a row of an index what it ought to be; nothing where it is so."""
    before = entity.values if entity else None
    return [] if before == after else [RowChange(path, row, before, after, entity.etag if entity else "")]


def _row_of(name: str) -> tuple[str, str]:
    """The path, and the row, that a plan calls `h path` or `v path@version`."""
    kind, _, rest = name.partition(" ")
    if kind == "h":
        return rest, head_row(rest)
    path, _, version = rest.rpartition("@")
    return path, version_row(path, int(version))
