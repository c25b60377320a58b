"""Changes rows as a plan asks for it: as they were found, or not at all.

A version's row is written as the head said when that was read, wherever the head is by then: else a writer would bury
it. Rows of a path go together.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ..columns import SCHEMA, file_values
from ..commit import Unit
from ..errors import OutcomeUnknownError, UnavailableError
from ..exchange import partition_of
from ..keys import head_row, version_row
from ..rows import Entity, Values
from ..table import Insert, Operation, RefusedError, Replace
from ..writer import Writer
from .difference import Difference
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


@dataclass(slots=True)
class RowChanges:
    """Changes rows of one volume."""

    looker: Looker
    writer: Writer

    async def history(self, found: Difference) -> list[RowChange]:
        """The row that a path lacks, as the others prove it. Raises: Changed; as `Looker.path`."""
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

    async def noted(self, found: Difference, etag: str) -> list[RowChange]:
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
            await self.write(await self.noted(found, etag))

    async def write(self, changes: Sequence[RowChange]) -> None:
        """Make these changes, those of each path in one transaction. Raises: Changed."""
        for path in sorted({change.path for change in changes}):
            ours = [change for change in changes if change.path == path]
            for first in range(0, len(ours), CHANGES_MAX):  # each says what is so by itself
                await self._transact(path, ours[first : first + CHANGES_MAX])

    async def _transact(self, path: str, changes: Sequence[RowChange]) -> None:
        lane, deadline = self.writer.committer.lane(partition_of(self.looker.volume, path)), self.writer.deadline()
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
        key = partition_of(self.looker.volume, path)
        return await self.writer.deadline().retried(lambda: self.looker.lister.table.get(key, row))


def _row_of(name: str) -> tuple[str, str]:
    """The path, and the row, that a plan calls `h path` or `v path@version`."""
    kind, _, rest = name.partition(" ")
    if kind == "h":
        return rest, head_row(rest)
    path, _, version = rest.rpartition("@")
    return path, version_row(path, int(version))
