"""All interleavings that differ in effect: one of each class whose members differ by swaps of requests that commute.

Two requests next to each other, of two actors, that touch nothing in common (`faults/touch.py`) may be swapped: both
are answered the same, and what is there afterwards is the same. So everything that a test can see is the same for all
orders that such swaps make of one, and one of them stands for all.

How one of each is found is known as dynamic partial-order reduction, with sleep sets (Flanagan and Godefroid 2005;
Abdulla, Aronis, Jonsson and Sagonas 2014, "source sets"). After each run, whatever stands in it in the one order and
could stand in the other is a *race*: two conflicting requests with nothing between them that puts them in order. The
run is then to be tried with the other order, from the moment before the first of the two. An actor *sleeps* after it
was tried at some moment, until somebody does what conflicts with what it would do: before, nothing new comes of it.

It rests on the runs being repeatable: who makes the same choices meets the same requests. This is checked.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.touch import Touch
from tests.races.gate import Schedule, Step


@dataclass(slots=True)
class Moment:
    """Where somebody has to go on: who could, who does, and who need not."""

    steps: Sequence[Step]
    chosen: Step
    asleep: dict[int, Touch]
    wanted: set[int] = field(default_factory=set)

    def asleep_after(self) -> dict[int, Touch]:
        """Those who still sleep once the chosen one has gone on."""
        return {actor: touch for actor, touch in self.asleep.items() if not touch.conflicts(self.chosen.touch)}

    def turn(self) -> bool:
        """Choose another one, if one is left that is wanted."""
        self.asleep[self.chosen.actor] = self.chosen.touch
        left = [step for step in self.steps if step.actor in self.wanted - self.asleep.keys()]
        if left:
            self.chosen = left[0]
        return bool(left)


@dataclass(slots=True)
class Walk(Schedule):
    """A schedule that follows moments, and adds those that come after, until all who could go on sleep."""

    moments: list[Moment] = field(default_factory=list)
    redundant: bool = False
    """Whether it has turned out to be one that was tried already."""
    _taken: int = 0

    def choose(self, steps: Sequence[Step]) -> int:
        """See Schedule."""
        if self._taken == len(self.moments) and not self.redundant:
            self._add(steps)
        choice = 0
        if not self.redundant:
            moment = self.moments[self._taken]
            assert moment.steps == steps, f"not repeatable: {moment.steps} was {steps} at {self.choices}"
            choice = steps.index(moment.chosen)
            self._taken += 1
        if len(steps) > 1:
            self.choices.append(choice)
            self.widths.append(len(steps))
        return choice

    def _add(self, steps: Sequence[Step]) -> None:
        asleep = self.moments[-1].asleep_after() if self.moments else {}
        awake = [step for step in steps if step.actor not in asleep]
        if awake:
            self.moments.append(Moment(steps, awake[0], asleep))
        else:
            self.redundant = True


def reduced_schedules() -> Iterator[Schedule]:
    """Schedules, each to be run before the next is asked for, until one of each class was; few come twice."""
    moments: list[Moment] = []
    while True:
        yield Walk(moments=moments)
        for at, actor in races([moment.chosen for moment in moments]):
            moments[at].wanted.add(actor)
        while moments and not moments[-1].turn():
            moments.pop()
        if not moments:
            return


async def try_reduced(one: Callable[[Schedule], Awaitable[None]], *, limit: int) -> bool:
    """Run all schedules that differ in effect; False where there were more than the limit, and the others were not."""
    for ran, schedule in enumerate(reduced_schedules()):
        if ran == limit:
            return False
        await one(schedule)
    return True


def races(steps: Sequence[Step]) -> Iterator[tuple[int, int]]:
    """For each race of a run: where its first request stands, and who is to go on there for the other order."""
    before: list[set[int]] = []
    """For each request, those that come before it in every order of its class."""
    last: dict[int, set[int]] = {}
    for at, step in enumerate(steps):
        known = set(last.get(step.actor, ()))
        for earlier in range(at - 1, -1, -1):
            if earlier in known or not steps[earlier].touch.conflicts(step.touch):
                continue
            between = (each for each in range(earlier + 1, at) if earlier not in before[each])
            yield earlier, steps[next(between, at)].actor
            known |= before[earlier]
        before.append(known | {at})
        last[step.actor] = before[at]
