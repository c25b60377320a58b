"""Where the rows of an index are for which a condition can hold: ranges of its keys. Pure.

Each field gives ranges of its parts (`index_keys`): one part for each value that it may equal, else a range of them. As
long as fields are fixed by equality their parts are put one behind the other; the first that is not ends it. Where all
fields are fixed, what is known of the path narrows it further. A row for which the condition holds is always in them;
others may be, as values may be cut, and conditions say more than ranges can.

A value that is missing has a part of its own, which no comparison is true of. `!=` and `contains` tell nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .entities import Index
from .filters import Comparison, Condition, Exists, In, Not, StartsWith
from .index_keys import PART_END, PART_UNITS_MAX, TURNED_END, kind_of_part, part, text_beginning
from .indexes import all_of, descends, plain
from .keys import ABOVE, ENCODED_UNITS_MAX, RowRange, index_beginning, whole_units
from .literals import Literal_, columns_of, is_time
from .pushdown import ALWAYS_THERE
from .ranges import Ranges, hull, narrowed, united, within
from .rows import KEY_UNITS_MAX

RANGES_MAX: Final = 20
"""Each is at least a request to every shard: of more values, all that lies between the first and the last is read."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What of an index has to be read."""

    ranges: Ranges
    """Of row keys, in order."""
    equal: int
    """How many fields are fixed by equality, from the first on."""
    bounded: bool
    """Whether the one behind them is bounded, or, where all are fixed, the path."""
    key: str | None = None
    """What all those keys begin with, where they differ in the path alone, and so are in its order."""


def reach(index: Index, condition: Condition, paths: Ranges | None = None) -> Reach:
    """What has to be read of an index for a condition, on files whose encoded paths are in `paths` (None: any)."""
    keys, equal = [index_beginning(index.id)], 0
    for field in index.on:
        found = field_ranges(field, condition)
        if found is None:
            break
        few = len(keys) * len(found) <= RANGES_MAX
        if not (few and all(is_value(field, each) for each in found)):
            kept = found if few else hull(found)
            return Reach(tuple(each for key in keys for each in within(key, kept)), equal, bounded=True)
        keys, equal = [key + each.first for key in keys for each in found], equal + 1
    if not equal:
        return Reach((all_of(index),), 0, bounded=False)
    only = keys[0] if equal == len(index.on) and len(keys) == 1 else None
    if equal < len(index.on) or paths is None:
        return Reach(tuple(RowRange(key, key + ABOVE) for key in keys), equal, bounded=False, key=only)
    kept = paths if len(keys) * len(paths) <= RANGES_MAX else hull(paths)
    ranges = (each for key in keys for each in _of_paths(key, kept))
    return Reach(united(ranges), equal, bounded=True, key=only)


def in_order(index: Index, condition: Condition, order: Sequence[str]) -> bool:
    """Whether an index has the rows for which a condition holds in this order.

    A field that has to equal one value may be missing in either: it puts nothing before anything.
    """
    if not order:
        return True
    fixed = {plain(field) for field in (*index.on, *order) if is_fixed(field, condition)}
    wanted = [field for field in order if plain(field) not in fixed]
    there = [field for field in index.on if plain(field) not in fixed]
    return there[: len(wanted)] == wanted


def is_fixed(field: str, condition: Condition) -> bool:
    """Whether a condition holds only where a field has one certain value, or is missing."""
    found = field_ranges(field, condition)
    return found is not None and len(found) == 1 and is_value(field, found[0])


def field_ranges(field: str, condition: Condition) -> Ranges | None:
    """The parts that a field can have where a condition holds; None: any."""
    return narrowed(condition, _Field(field).parts)


def is_value(field: str, each: RowRange) -> bool:
    """Whether a range of parts is that of one value."""
    ends = each.first[-1:] == PART_END or (descends(field) and each.first[-1:] == TURNED_END)
    return ends and each.stop == each.first + ABOVE


def whole_in(key: str) -> int | None:
    """Of a key that ends in these parts: up to how many units paths stand in it whole; None: all of any path."""
    room = KEY_UNITS_MAX - len(key)
    return None if room >= ENCODED_UNITS_MAX else whole_units(room)


class _Field:
    """What conditions say of one field of an index, as ranges of its parts."""

    def __init__(self, field: str) -> None:
        self._descending = descends(field)
        self._columns = columns_of(plain(field))

    def parts(self, condition: Condition) -> Ranges | None:
        """The parts for which a leaf of a condition can hold; None: it tells nothing of this field."""
        match condition:
            case Comparison(column, operator, literal) if column in self._columns:
                return self._compared(column, operator, literal)
            case In(column, values) if column in self._columns:
                each = [self._compared(column, "==", value) for value in values]
                return None if None in each else united(one for ranges in each for one in ranges or ())
            case StartsWith(column, prefix) if column in self._columns:
                return (self._beginning(prefix),)
            case Exists(columns) if set(columns) <= set(self._columns) and ALWAYS_THERE.isdisjoint(columns):
                return (self._there(),)
            case Not(Exists(columns)) if set(columns) >= set(self._columns) and ALWAYS_THERE.isdisjoint(columns):
                return (_whole(part(None, descending=self._descending)),)
        return None

    def _compared(self, column: str, operator: str, literal: Literal_) -> Ranges | None:
        time = is_time(column)
        if operator == "!=" or (time and type(literal) is not int):
            return None
        value = part(literal, time=time, descending=self._descending)
        if operator == "==":
            return (_whole(value),)
        kind = self._kind(literal, time=time)
        cut = len(value) > PART_UNITS_MAX  # others that are greater, or less, may have the same part
        included = operator in ("<=", ">=") or cut
        if (operator in (">", ">=")) is not self._descending:
            return (RowRange(value if included else value + ABOVE, kind.stop),)
        return (RowRange(kind.first, value + ABOVE if included else value),)

    def _kind(self, literal: Literal_, *, time: bool) -> RowRange:
        """All values of a type."""
        begun = kind_of_part(literal, time=time, descending=self._descending)
        return RowRange(begun, _next(begun))

    def _beginning(self, prefix: str) -> RowRange:
        begun = text_beginning(prefix, descending=self._descending)
        return RowRange(begun, _next(begun) if self._descending else begun + ABOVE)

    def _there(self) -> RowRange:
        """All values, of any type: all but what is missing."""
        missing = part(None, descending=self._descending)
        return RowRange("", missing) if self._descending else RowRange(missing + ABOVE, ABOVE)


def _whole(value: str) -> RowRange:
    return RowRange(value, value + ABOVE)


def _next(begun: str) -> str:
    """What comes behind all that begins so, where it ends in a digit or in a unit that is turned."""
    return begun[:-1] + chr(ord(begun[-1]) + 1)


def _of_paths(key: str, paths: Ranges) -> Iterable[RowRange]:
    """Ranges of paths behind a key's parts. Behind so many units there may be a hash in the place of a path's end."""
    whole = whole_in(key)
    for each in paths:
        stop = each.stop if whole is None or len(each.stop) <= whole else each.stop[:whole] + ABOVE
        yield RowRange(key + each.first[:whole], key + stop)
