"""Sets of row ranges: what two have in common, what is in either, and what a tree of conditions makes of them. Pure.

A set is a tuple of ranges in order, none of which touches the next. It says where all rows are for which something
holds; others may be there as well. None stands for everywhere, the empty tuple for nowhere.
"""

from collections.abc import Callable, Iterable
from functools import reduce

from .filters import All, Any, Condition
from .keys import RowRange

Ranges = tuple[RowRange, ...]


def narrowed(condition: Condition, leaf: Callable[[Condition], Ranges | None]) -> Ranges | None:
    """Where a condition can hold, by where each of its leaves can: `leaf` says None of what it cannot tell.

    A complement is a leaf, too: of where something does not hold, where it holds tells nothing.
    """
    match condition:
        case All(parts):
            found = [each for each in (narrowed(part, leaf) for part in parts) if each is not None]
            return reduce(common, found) if found else None
        case Any(parts):
            each = [narrowed(part, leaf) for part in parts]
            return None if None in each else united(one for ranges in each for one in ranges or ())
    return leaf(condition)


def common(one: Ranges, other: Ranges) -> Ranges:
    """What is in both."""
    shared, at, beside = list[RowRange](), 0, 0
    while at < len(one) and beside < len(other):
        a, b = one[at], other[beside]
        both = RowRange(max(a.first, b.first), min(a.stop, b.stop))
        if both.first < both.stop:
            shared.append(both)
        if a.stop <= b.stop:
            at += 1
        else:
            beside += 1
    return tuple(shared)


def united(ranges: Iterable[RowRange]) -> Ranges:
    """What is in any of them."""
    joined: list[RowRange] = []
    for each in sorted(ranges, key=lambda each: each.first):
        if joined and each.first <= joined[-1].stop:
            joined[-1] = RowRange(joined[-1].first, max(joined[-1].stop, each.stop))
        else:
            joined.append(each)
    return tuple(each for each in joined if each.first < each.stop)


def hull(ranges: Ranges) -> Ranges:
    """One range that has all of them in it."""
    return (RowRange(ranges[0].first, ranges[-1].stop),) if ranges else ()


def beyond(ranges: Ranges, key: str) -> Ranges:
    """What comes from this key on."""
    return tuple(RowRange(max(each.first, key), each.stop) for each in ranges if key < each.stop)


def within(beginning: str, ranges: Ranges) -> Ranges:
    """They, of keys that all begin so."""
    return tuple(RowRange(beginning + each.first, beginning + each.stop) for each in ranges)
