"""Interleavings of a few actors, at the boundaries of their requests.

Each actor has its own client, and stops before each of its requests. A schedule says who goes on next. The list of
choices is the replay key. Nobody goes on before all that the last one did has come to rest, so what an actor does next
depends on what it was answered and on nothing else. Requests that one actor sends at the same time go in the order in
which they came: orders of one actor's own requests are not tried.

Here are all schedules, depth first, and some, spread evenly over all. `reduction` has those that differ in effect.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import TypeVar

from catalog.keys import RowRange
from tests.faults.ports import Fault, Send, VirtualClock, Wire
from tests.faults.touch import END, NOTHING, Touch

T = TypeVar("T")

ALWAYS = 1_000_000
MOMENTS = RowRange("", END)


@dataclass(slots=True)
class Gate(Wire):
    """A wire on which each request waits until its actor is let go."""

    shut: bool = False
    waiting: "deque[tuple[Touch, asyncio.Event]]" = field(default_factory=deque)
    pauses: int = 0
    """How often its actor has waited before it tried again; `Pauses` counts."""
    _late: "tuple[int, Touch] | None" = None
    """With which request another one arrives that is held back, and what that touches."""

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        """Wait to be let go; then as any wire."""
        await self.stop(self._touched(touch))
        return await Wire.send(self, name, request, touch)

    def _touched(self, touch: Touch) -> Touch:
        """What the service sees when this request is sent: not one that is lost, and those that were held back."""
        number = len(self.sent) + len(self.waiting) + 1
        seen = touch
        if number == self.at:
            if self.fault in (Fault.LOST_BEFORE, Fault.HELD):
                seen = NOTHING
            if self.fault in (Fault.HELD, Fault.ECHO) and touch.write:
                self._late = (number + self.delay, touch)
        elif self._late and number >= self._late[0]:
            seen, self._late = replace(touch, also=self._late[1]), None
        return seen

    async def stop(self, touch: Touch) -> None:
        """Wait to be let go, as before a request that touches this."""
        if not self.shut:
            return
        turn = (touch, asyncio.Event())
        self.waiting.append(turn)
        try:
            await turn[1].wait()
        finally:
            self.waiting.remove(turn)

    async def begin(self) -> None:
        """Wait to be let go, where it matters whether a call of somebody else has ended before."""
        await self.stop(Touch("moments", (MOMENTS,), write=True))

    async def end(self) -> None:
        """Wait to be let go, where it matters whether a call of somebody else has begun before."""
        await self.stop(Touch("moments", (MOMENTS,)))

    @property
    def next(self) -> Touch | None:
        """What the actor touches next; None where it has ended."""
        return self.waiting[0][0] if self.waiting else None

    def let_go(self) -> None:
        """Let the first request go that waits."""
        self.waiting[0][1].set()


Actor = Callable[[Gate], Awaitable[object]]


class Pauses(VirtualClock):
    """Whoever pauses does so for a tenth of his time, and not by chance: so runs are repeatable."""

    def __init__(self, gate: Gate, timeout_s: float) -> None:
        super().__init__()
        self._gate = gate
        self._pause_s = timeout_s / 10

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        self._gate.pauses += self._gate.shut
        await super().sleep(self._pause_s)


@dataclass(frozen=True, slots=True)
class Step:
    """What an actor does next."""

    actor: int
    touch: Touch


@dataclass(slots=True)
class Schedule:
    """Choices made so far, and how many there were each time. Past the given ones, `point` makes them."""

    choices: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    point: Fraction = Fraction(0)
    """Which of what is left, from 0 (the first of all) to 1: each choice shares it out among those after it."""

    def choose(self, steps: Sequence[Step]) -> int:
        """Which of these is taken. Where there is but one, nothing is chosen."""
        return self._choice(len(steps)) if len(steps) > 1 else 0

    def _choice(self, width: int) -> int:
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


async def interleave(
    schedule: Schedule, actors: Sequence[Actor], gates: Sequence[Gate] | None = None, *, pauses: int = ALWAYS
) -> list[object]:
    """Run the actors as a schedule says, each at its gate; what each returned, or raised.

    Two who undo each other's work may do so for ever, if each goes on at the wrong moment; clients wait longer each
    time, so that one gets through. So whoever has paused `pauses` times goes on only where all others have paused more
    often, or have ended.
    """
    gates = gates or [Gate() for _ in actors]
    ends = [asyncio.ensure_future(actor(gate)) for actor, gate in zip(actors, gates, strict=True)]
    try:
        await _at_rest(ends, gates)
        while steps := [
            Step(at, gate.next) for at, gate in enumerate(gates) if gate.next and _may_go(gate, gates, pauses)
        ]:
            gates[steps[schedule.choose(steps)].actor].let_go()
            await _at_rest(ends, gates)
        return await asyncio.gather(*ends, return_exceptions=True)
    finally:
        for end in ends:
            end.cancel()


def _may_go(gate: Gate, gates: Sequence[Gate], pauses: int) -> bool:
    return gate.pauses < pauses or gate is min((each for each in gates if each.next), key=lambda each: each.pauses)


async def _at_rest(ends: Sequence["asyncio.Future[object]"], gates: Sequence[Gate]) -> None:
    """Return when each actor has ended or stands at its gate, and nothing moves any more."""
    await idle()
    while any(not end.done() and not gate.waiting for end, gate in zip(ends, gates, strict=True)):
        await idle()  # somebody waits for a thread


async def idle() -> None:
    """Return when nothing in this loop would go on by itself."""
    ready = vars(asyncio.get_running_loop())["_ready"]  # asyncio has no word for it
    await asyncio.sleep(0)
    while ready:  # noqa: ASYNC110 — nobody would set an event
        await asyncio.sleep(0)
