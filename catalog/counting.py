"""Files and bytes, counted by the values of some fields. Pure; memory is what the groups take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CountGroup:
    """The files that have the same values."""

    values: Sequence[Any]
    """One for each field that was counted by, in their order; None where a file has no such field."""
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CountReport:
    """How many files there are, and how large they are together."""

    files: int
    bytes: int
    """Of the current versions; older ones take room as well."""
    by: Sequence[str]
    """The fields that were counted by."""
    groups: Sequence[CountGroup]
    """One for each combination of values that a file has, the most files first; empty where nothing was counted by."""


class Counter:
    """Adds up files. Whole and floating numbers are the same value where they are equal, and no truth value is one."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = by
        self._groups: dict[Sequence[Any], tuple[Sequence[Any], list[int]]] = {}

    def add(self, values: Sequence[Any], size: int) -> None:
        """One more file, with these values."""
        key = tuple([(value, isinstance(value, bool)) for value in values])
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = (tuple(values), [0, 0])
        group[1][0] += 1
        group[1][1] += size

    def report(self) -> CountReport:
        """What it all came to."""
        groups = [CountGroup(values, files, bytes_) for values, (files, bytes_) in self._groups.values()]
        groups.sort(key=lambda group: (-group.files, tuple((value is None, str(value)) for value in group.values)))
        files, bytes_ = sum(group.files for group in groups), sum(group.bytes for group in groups)
        return CountReport(files, bytes_, tuple(self._by), tuple(groups) if self._by else ())
