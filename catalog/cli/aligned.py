"""Rows of values as a table for people: columns as wide as the first rows want them, numbers to the right.

Rows are shown as they come, so what is wider further down sticks out. A last column is never padded: paths go there.
"""

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from . import columns
from .output import Cell, Output

LOOKED_AT: Final = 200
NOTHING: Final = "-"

Shown = Callable[[str, Any], str]
"""How a value of a column looks."""


async def aligned(output: Output, names: Sequence[str], rows: AsyncIterable[Mapping[str, Any]], shown: Shown) -> int:
    """Show rows, with a heading on a terminal; how many there were."""
    first: list[Sequence[Any]] = []
    number = 0
    table = None
    async for row in rows:
        number += 1
        values = list(row.values())
        if table is not None:
            output.line(*table.line(values))
            continue
        first.append(values)
        if len(first) == LOOKED_AT:
            table = _shown_first(output, names, first, shown)
    if table is None and first:
        _shown_first(output, names, first, shown)
    return number


def _shown_first(output: Output, names: Sequence[str], rows: Sequence[Sequence[Any]], shown: Shown) -> "Table":
    table = Table(names, rows, shown)
    output.heading(*table.heading())
    for values in rows:
        output.line(*table.line(values))
    return table


class Table:
    """How wide each column is, and on which side its values stand."""

    def __init__(
        self, names: Sequence[str], rows: Sequence[Sequence[Any]], shown: Shown, *, nothing: str = NOTHING
    ) -> None:
        self._names = names
        self._shown = shown
        self._nothing = nothing
        each = [[values[index] for values in rows] for index in range(len(names))]
        self._right = [all(_is_number(value) for value in column) for column in each]
        texts = [
            [name.upper(), *(self._text(name, value) for value in column)]
            for name, column in zip(names, each, strict=True)
        ]
        self._widths = [max(map(len, column)) for column in texts]

    def __repr__(self) -> str:
        return f"<Table of {', '.join(self._names)}>"

    def heading(self) -> Sequence[Cell]:
        """What the columns are."""
        return [self._padded(index, name.upper()) for index, name in enumerate(self._names)]

    def line(self, values: Sequence[Any]) -> Sequence[Cell]:
        """A row."""
        cells: list[Cell] = []
        for index, (name, value) in enumerate(zip(self._names, values, strict=True)):
            text = self._padded(index, self._text(name, value))
            style = "dim" if value is None or isinstance(value, datetime) else "green" if self._right[index] else ""
            cells.append((text, style))
        return cells

    def _padded(self, index: int, text: str) -> str:
        last = index == len(self._names) - 1
        width = self._widths[index]
        text = f"{text:>{width}}" if self._right[index] else text if last else f"{text:{width}}"
        return text if last else text + columns.GAP

    def _text(self, name: str, value: Any) -> str:
        return self._nothing if value is None else self._shown(name, value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def of_a_file(name: str, value: Any) -> str:
    """A field of a file, as listings show it."""
    match name:
        case "size":
            return columns.size(value)
        case "created" | "modified":
            return columns.time(value)
        case "digest":
            return columns.digest(value)
        case "metadata":
            return columns.metadata(value) or NOTHING
    return columns.value(value)
