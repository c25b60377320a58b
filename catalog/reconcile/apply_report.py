"""What an apply tells: of each finding what became of it, and at the end how much. It is told to the journal first."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..errors import CatalogError
from .difference import Action, Difference
from .entry import Entry, Phase
from .journal import Journal

FAILED_MAX: Final = 1_000
"""So many failures are named in a report; all are counted."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a finding."""

    difference: Difference
    phase: Phase
    why: str = ""
    error: CatalogError | None = None


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What was done, and what was not."""

    done: Mapping[Action, int] = field(default_factory=dict)
    changed: int = 0
    """How many were no longer as the plan says."""
    waiting: int = 0
    """Writes whose writers may be alive."""
    failed: Sequence[Applied] = ()
    """What failed: the first thousand of it. The journal names all."""
    failures: int = 0
    """How many failed."""
    skipped: int = 0
    """Findings about which the plan proposes nothing."""
    journal: str = ""
    """The file that `undo` takes."""

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


class Tally:
    """The counts of a run; its journal, and who else wants to hear of each end."""

    def __init__(self, journal: Journal, listener: Callable[[Applied], None] | None) -> None:
        self._journal = journal
        self._listener = listener
        self._done = Counter[Action]()
        self._phases = Counter[Phase]()
        self._failed = list[Applied]()

    def __repr__(self) -> str:
        return f"<Tally {dict(self._phases)}>"

    def ended(self, applied: Applied) -> None:
        """That became of a finding."""
        found = applied.difference
        self._journal.add(Entry(found.key, found.state, found.action, applied.phase, applied.why))
        self._phases[applied.phase] += 1
        if applied.phase == "done":
            self._done[found.action] += 1
        if applied.phase == "failed" and len(self._failed) < FAILED_MAX:
            self._failed.append(applied)
        if self._listener:
            self._listener(applied)

    def report(self, *, skipped: int) -> ApplyReport:
        """What it comes to."""
        return ApplyReport(
            dict(sorted(self._done.items())),
            self._phases["changed"],
            self._phases["waiting"],
            tuple(sorted(self._failed, key=lambda one: one.difference.order)),
            self._phases["failed"],
            skipped,
            str(self._journal.path),
        )
