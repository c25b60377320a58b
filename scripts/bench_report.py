"""What was found, against what was promised: rows, goals and ratios. Pure; it measures nothing and prints nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from scripts.bench_measure import Spread

Sense = Literal["≤", "≥"]
_DIGITS: Final = 100


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked of a row: of blobcat's own median, or of the ratio of both medians."""

    sense: Sense
    bound: float
    of: Literal["value", "ours / peer", "peer / ours"] = "value"
    word: str = ""
    """What the ratio is called: "× its time", "× less"."""

    def found(self, row: "Row") -> float | None:
        """What it is about; None without a peer."""
        if self.of == "value":
            return row.ours.median if row.ours else None
        if not row.ours or not row.peer:
            return None
        ratio = row.ours.median / row.peer.median
        return ratio if self.of == "ours / peer" else 1 / ratio

    def met(self, row: "Row") -> bool | None:
        """Whether it is reached; None where it was not measured."""
        found = self.found(row)
        if found is None:
            return None
        return found <= self.bound if self.sense == "≤" else found >= self.bound

    def headroom(self, row: "Row") -> float | None:
        """1 is just met, 2 twice as good as asked, 0.5 half as good."""
        found = self.found(row)
        if not found:
            return None
        return self.bound / found if self.sense == "≤" else found / self.bound

    def text(self, unit: str) -> str:
        """As people read it."""
        return f"{self.sense} {number(self.bound)} {unit if self.of == 'value' else self.word}".strip()


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured. Without goals it only informs."""

    target: str
    """As in "P1"."""
    what: str
    unit: str
    ours: Spread | None = None
    peer_name: str = ""
    peer: Spread | None = None
    goals: tuple[Goal, ...] = ()
    better: Literal["less", "more"] = "less"
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """For the JSON."""

    @property
    def result(self) -> Literal["met", "missed", "not measured", ""]:
        """All goals reached, or one missed; else one that could not be measured."""
        found = [goal.met(self) for goal in self.goals]
        if False in found:
            return "missed"
        if None in found or (self.ours is None):
            return "not measured"
        return "met" if found else ""

    @property
    def ratio(self) -> float | None:
        """How many times better than its peer blobcat is; less than 1 where it is worse."""
        if not self.ours or not self.peer:
            return None
        ratio = self.ours.median / self.peer.median
        return ratio if self.better == "more" else 1 / ratio

    def cells(self) -> tuple[str, ...]:
        """Target, what, ours, peer, ratio, asked and result, as text."""
        return (
            self.target,
            self.what,
            spread(self.ours, self.unit),
            f"{self.peer_name}: {spread(self.peer, self.unit)}" if self.peer_name else "",
            f"{number(self.ratio)} ×" if self.ratio else "",
            ", ".join(goal.text(self.unit) for goal in self.goals),
            self.result + (f" ({self.note})" if self.note else ""),
        )


COLUMNS: Final = ("", "what", "blobcat", "beside it", "better by", "asked", "")


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if abs(value) >= _DIGITS:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(found: Spread | None, unit: str) -> str:
    """The median, and in brackets the least and the most."""
    if found is None:
        return "–"
    text = f"{number(found.median)} {unit}"
    return text if len(found.values) == 1 else f"{text} ({number(found.least)}–{number(found.most)})"


def missed(rows: Iterable[Row]) -> list[Row]:
    """Those of which a goal was not reached."""
    return [row for row in rows if row.result == "missed"]


def markdown(rows: Sequence[Row], machine: str) -> str:
    """The table, as README has it."""
    return markdown_of([row.cells() for row in rows], machine)


def markdown_of(cells: Iterable[Sequence[str]], machine: str) -> str:
    """The same, of cells."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{machine}\n"


def as_json(rows: Sequence[Row], machine: Mapping[str, str], growth: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "machine": dict(machine),
        "rows": [
            {
                "target": row.target,
                "what": row.what,
                "unit": row.unit,
                "ours": _json(row.ours),
                "peer": _json(row.peer) and {"name": row.peer_name, **(_json(row.peer) or {})},
                "better_by": row.ratio,
                "goals": [
                    {"text": goal.text(row.unit), "found": goal.found(row), "met": goal.met(row)} for goal in row.goals
                ],
                "result": row.result,
                "note": row.note,
                "cells": row.cells(),
                **row.details,
            }
            for row in rows
        ],
        "growth": list(growth),
        "missed": [f"{row.target} {row.what}" for row in missed(rows)],
    }


def _json(found: Spread | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"median": found.median, "least": found.least, "most": found.most, "values": list(found.values)}
