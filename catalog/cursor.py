"""The cursor of a change log: how far somebody has read it, as text that can be kept and passed on.

Of each shard a moment, in microseconds, and how many of that very moment's changes were read: all before it were. No
name and no secret is in it. A damaged one would pass over changes; so a checksum stands in it, and a text is a cursor
only if it is written exactly as `str` writes it.
"""

import re
from dataclasses import dataclass
from typing import Final

from .arguments import is_whole
from .errors import InvalidError
from .keys import SHARDS_MAX
from .sealed import sealed, unsealed

_PREFIX: Final = "blobcat-changes1."
_ID: Final = re.compile(r"[0-9A-Za-z]{1,26}")
_TIME_MAX: Final = 10**16


@dataclass(frozen=True, slots=True)
class Position:
    """How far one shard was read."""

    time: int = 0
    seen: int = 0
    """Of the changes at that moment."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a volume's change log was read."""

    epoch: str
    positions: tuple[Position, ...]

    def __str__(self) -> str:
        first = min(position.time for position in self.positions)
        shards = [[each.time - first, each.seen] if each.seen else each.time - first for each in self.positions]
        return sealed(_PREFIX, [self.epoch, first, shards])

    @staticmethod
    def parse(text: str) -> "Cursor":
        """The cursor that a string holds. Raises: InvalidError."""
        try:
            cursor = _parsed(text)
            if str(cursor) != text:
                raise ValueError(text)
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            message = "this is no cursor of changes: pass one that `Changes.cursor` gave, whole"
            raise InvalidError(message, op="changes", kind="invalid.cursor") from exc
        return cursor


def _parsed(text: str) -> Cursor:
    epoch, first, shards = unsealed(_PREFIX, text)
    if not isinstance(epoch, str) or not _ID.fullmatch(epoch) or not 0 < len(shards) <= SHARDS_MAX:
        raise ValueError(text)
    pairs = [each if isinstance(each, list) else [each, 0] for each in shards]
    numbers = [first, *(number for pair in pairs for number in pair)]
    if not all(is_whole(number) and 0 <= number < _TIME_MAX for number in numbers):
        raise ValueError(text)
    return Cursor(epoch, tuple(Position(first + time, seen) for time, seen in pairs))
