"""What a request touches, known before it is sent: whether two requests could tell which of them came first.

Rows of one partition of the table, or names of blobs, as ranges; and whether they are written. Two requests conflict
where one writes what the other reads or writes. All others commute: whichever comes first, both are answered the same
and leave the same behind, but for what nobody decides on. That is the service's stamps: an etag is only ever compared
with itself, and of times the code asks for two alone, those of an open intent and of a marker. Both are written
together with the gate of their partition, or are a write to it, so they conflict as gates do, and their order is tried.
An intent that is aborted gets a new time, too, of which it only matters whether it is a week old.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from catalog.keys import RowRange

END: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Touch:
    """Ranges of keys, in one place."""

    place: str
    keys: tuple[RowRange, ...]
    write: bool = False
    also: "Touch | None" = None
    """What arrives together with it: a request that was held back."""

    def conflicts(self, other: "Touch") -> bool:
        """Whether the order of the two can be told."""
        if self.also:
            return self.also.conflicts(other) or replace(self, also=None).conflicts(other)
        if other.also:
            return other.conflicts(self)
        if self.place != other.place or not (self.write or other.write):
            return False
        return any(mine.first < their.stop and their.first < mine.stop for mine in self.keys for their in other.keys)


NOTHING: Final = Touch("", ())
TABLE: Final = Touch("table", (RowRange("", END),), write=True)
"""All of it."""
CONTENT: Final = Touch("content", (RowRange("", END),), write=True)
"""The same."""


def rows_of(partition: str, rows: Iterable[str], *, write: bool = False) -> Touch:
    """Single rows of a partition."""
    return Touch("table", tuple(_one(f"{partition}\0{row}") for row in rows), write)


def range_of(partition: str, rows: RowRange) -> Touch:
    """The rows of a range that are there, and those that are not: who reads it sees that, too."""
    return Touch("table", (RowRange(f"{partition}\0{rows.first}", f"{partition}\0{rows.stop}"),))


def blob(name: str, *, write: bool = False) -> Touch:
    """A blob, and what was staged for it."""
    return Touch("content", (_one(name),), write)


def blobs_under(prefix: str) -> Touch:
    """The blobs of a prefix that are there, and those that are not."""
    return Touch("content", (RowRange(prefix, prefix + END),))


def _one(key: str) -> RowRange:
    return RowRange(key, key + "\0")
