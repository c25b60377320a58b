"""Every interleaving of a few actors, at the boundaries of their requests.

Each actor has its own client, and stops before each of its requests. A schedule says who goes on next; all schedules
are tried, depth first. The list of choices is the replay key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any, TypeVar

from tests.faults.ports import Send, Wire

T = TypeVar("T")


@dataclass(slots=True)
class Gate(Wire):
    """A wire on which each request waits until its actor is let go."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    shut: bool = False
    passes: frozenset[str] = frozenset()
    """Requests that commute with all that others do, so that no order of them is worth a schedule."""

    async def send(self, name: str, request: Send[T], *, write: bool = False) -> T:
        """Wait to be let go; then as any wire."""
        if self.shut and name not in self.passes:
            self.let_go.clear()
            self.arrived.set()
            await self.let_go.wait()
        return await Wire.send(self, name, request, write=write)


Actor = Callable[[Gate], Awaitable[object]]


@dataclass(slots=True)
class Schedule:
    """Choices made so far, and how many there were each time. Past the given ones, `point` makes them."""

    choices: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    point: Fraction = Fraction(0)
    """Which of what is left, from 0 (the first of all) to 1: each choice shares it out among those after it."""

    def choose(self, width: int) -> int:
        """One of so many."""
        at = len(self.widths)
        self.widths.append(width)
        if at == len(self.choices):
            self.choices.append(int(self.point * width))
            self.point = self.point * width % 1
        return self.choices[at]

    @property
    def after(self) -> Fraction:
        """Where the schedules end that begin with the choices that were made."""
        low, span = Fraction(0), Fraction(1)
        for choice, width in zip(self.choices, self.widths, strict=True):
            span /= width
            low += span * choice
        return low + span

    def following(self) -> "Schedule | None":
        """The next one, depth first; None after the last."""
        for at in range(len(self.widths) - 1, -1, -1):
            if self.choices[at] + 1 < self.widths[at]:
                return Schedule([*self.choices[:at], self.choices[at] + 1])
        return None


def all_schedules() -> Iterator[Schedule]:
    """Schedules, each to be run before the next is asked for, until all were."""
    schedule: Schedule | None = Schedule()
    while schedule is not None:
        yield schedule
        schedule = schedule.following()


def some_schedules(n: int, *, first: Fraction = Fraction(0)) -> Iterator[Schedule]:
    """At most so many schedules, evenly spread over all, and always the same ones; all of them where they are few.

    None comes twice: after each, the next point is one behind everything that would have been the same schedule. With a
    `first` point those before it are left out.
    """
    point = first
    while point < 1:
        schedule = Schedule(point=point)
        yield schedule
        point = max(point + Fraction(1, n), Fraction(ceil(schedule.after * n), n))


async def interleave(schedule: Schedule, actors: Sequence[Actor], gates: Sequence[Gate] | None = None) -> list[object]:
    """Run the actors as a schedule says, each at its gate; what each returned, or raised."""
    gates = gates or [Gate() for _ in actors]
    tasks = [asyncio.ensure_future(actor(gate)) for actor, gate in zip(actors, gates, strict=True)]
    for task, gate in zip(tasks, gates, strict=True):
        await _stopped(task, gate)
    while waiting := [pair for pair in zip(tasks, gates, strict=True) if not pair[0].done()]:
        task, gate = waiting[schedule.choose(len(waiting)) if len(waiting) > 1 else 0]
        gate.arrived.clear()
        gate.let_go.set()
        await _stopped(task, gate)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def _stopped(task: "asyncio.Future[Any]", gate: Gate) -> None:
    """Return when an actor stands at its gate again, or has ended."""
    arrival = asyncio.ensure_future(gate.arrived.wait())
    await asyncio.wait({task, arrival}, return_when=asyncio.FIRST_COMPLETED)
    arrival.cancel()
