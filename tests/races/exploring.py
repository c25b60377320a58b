"""Tries the interleavings of two calls: all that differ in effect; where they are too many, some, spread evenly.

A test says what one run is, and what may happen to one request in it. Here is how many are run, and what is counted:
a pair whose interleavings were not all tried is among the capped in the closing lines.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from tests.faults.ports import Fault
from tests.faults.world import writes
from tests.harness import tally
from tests.races.gate import Gate, Schedule, some_schedules
from tests.races.reduction import try_reduced

T = TypeVar("T")

TURNS = 16
"""So many blows, one after the other, begin their schedules at other places."""


@dataclass(slots=True)
class Blow:
    """What becomes of one actor's nth request."""

    actor: int
    at: int
    fault: Fault
    delay: int = 0
    fired: bool = field(default=False, repr=False)
    write: bool = field(default=False, repr=False)
    """Whether it was a write, in some schedule."""

    @property
    def first(self) -> Fraction:
        """Where the schedules begin that are tried of many: somewhere else for each."""
        return Fraction((5 * self.at + 3 * self.actor + self.fault.value + self.delay) % TURNS, TURNS)

    def arm(self, gates: Sequence[Gate]) -> None:
        """Let it happen."""
        gate = gates[self.actor]
        gate.at, gate.fault, gate.delay = self.at, self.fault, self.delay

    def note(self, gates: Sequence[Gate]) -> None:
        """See what it has hit."""
        gate = gates[self.actor]
        self.fired = bool(gate.fired)
        if self.fired:
            self.write |= bool(writes([gate.sent[gate.at - 1]]))


Run = Callable[[Schedule, Blow | None], Awaitable[T]]


async def replayable(name: object, run: Run[T], schedule: Schedule, blow: Blow | None = None) -> T:
    """One run. Where it fails, its replay key says so."""
    try:
        return await run(schedule, blow)
    except BaseException as error:
        error.add_note(f"replay: {name} {schedule.choices} {blow}")
        raise


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried of one thing."""

    limit: int
    """So many schedules at most, of those that differ in effect; 0: none are tried, but for those that are spread."""
    spread: int
    """So many where there are more; where it is one, it is another one for each blow."""


@dataclass(slots=True)
class Tried:
    """How much of a pair was tried."""

    name: object
    run: Run[object]
    ran: int = 0
    fired: int = 0
    capped: bool = False

    async def all(self, effort: Effort, blow: Blow | None = None, *, first: Fraction = Fraction(0)) -> None:
        """Try all schedules that differ in effect; where they are too many, some that are spread over all."""

        async def one(schedule: Schedule) -> None:
            await self.one(schedule, blow)

        if not effort.limit or not await try_reduced(one, limit=effort.limit):
            self.capped = True
            first = blow.first if blow else first
            for schedule in some_schedules(effort.spread, first=first / effort.spread):
                await one(schedule)

    async def one(self, schedule: Schedule, blow: Blow | None) -> None:
        """Try one schedule."""
        if blow:
            blow.fired = False
        await replayable(self.name, self.run, schedule, blow)
        self.ran += 1
        self.fired += bool(blow and blow.fired)

    async def blows(self, faults: Sequence[tuple[Fault, int]], effort: Effort) -> None:
        """Try each of these, each with its delay, for each request of each of two actors.

        A read is only lost, and but once: what else can happen to it is the same.
        """
        for actor in (0, 1):
            at = 1
            while await self._hit(actor, at, faults, effort):
                at += 1
            assert at > 1, "nothing was hit"

    async def _hit(self, actor: int, at: int, faults: Sequence[tuple[Fault, int]], effort: Effort) -> bool:
        """False where no schedule has so many requests."""
        fired, write = self.fired, True
        for fault, delay in faults:
            if write or fault is Fault.LOST_BEFORE:
                blow = Blow(actor, at, fault, delay)
                await self.all(effort, blow)
                write = blow.write
        return self.fired > fired

    def count(self, what: str = "", *, endless: bool = False) -> None:
        """For the closing lines: all is all only where nobody was made to wait (`endless`)."""
        tally.count("interleavings", self.ran)
        tally.count("faults fired", self.fired)
        tally.count(f"pairs with all interleavings{what}", not self.capped and not endless)
        tally.count(f"pairs with all interleavings{what} but for who waits", not self.capped and endless)
        tally.count(f"pairs with capped interleavings{what}", self.capped)
