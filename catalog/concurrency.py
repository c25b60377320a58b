"""How many requests to have under way at one service: found by trying, since nobody tells. Pure; it is told the time.

More at a time is faster, up to what the service can do; from there on, each only waits longer for the others. So the
number grows by half as long as that makes the service answer more, and where it does not, it goes back to what it was
and stays there for a while. Then it tries less, down to what it began with, and stays there if that is as good; and
then more again. It is halved where the service says that it is too busy, or answers nothing in time; and where answers
come to take twice as long, and fewer come, it shrinks by a quarter.

It looks at windows of several answers per place. A window in which nobody waited for a place tells nothing: it is the
work that limits then, and not the service.
"""

from dataclasses import dataclass
from typing import Final, TypeGuard

from .errors import OutcomeUnknownError, UnavailableError

FIRST: Final = 32
"""So many to begin with: no account is too small for that."""
ANSWERS_PER_PLACE: Final = 10
"""In a window: what fewer say is an accident."""
GAIN: Final = 1.15
"""From so many times the answers on, half as many places more pay."""
SLOWER: Final = 2.0
"""So many times as long as it was, for an answer, is more than an accident."""
FEWER: Final = 0.9
"""And so many times the answers."""
ALIKE: Final = 1.5
"""Answers whose work differs by more, on the average, are not compared."""
STAY_WINDOWS: Final = 10
"""For so long it stays, before it tries again."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a number of places turned out to be good for."""

    places: int
    rate: float
    """Work that was answered, per second."""
    took_s: float
    """For an answer, on the average."""
    each: float
    """Work of an answer, on the average."""

    def compares(self, other: "Level") -> bool:
        """Whether both were about answers of the same kind: large contents are not slower, they are larger."""
        return max(self.each, other.each) <= ALIKE * min(self.each, other.each)


@dataclass(slots=True)
class _Window:
    opened: float = float("-inf")
    since: float | None = None
    """When the first of its answers was begun, if it was open by then."""
    settling: bool = False
    """Whether the number has only just changed: what was under way then is among the answers."""

    def level(self, places: int, passed_s: float) -> Level:
        return Level(places, self.work / passed_s, self.took_s / self.answers, self.work / self.answers)

    answers: int = 0
    work: float = 0
    took_s: float = 0
    full: bool = True
    """Whether somebody had no place, all the time."""


class Concurrency:
    """The number of requests to have under way, between 1 and `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._first = min(FIRST, most)
        self.places = self._first
        self._tried_from: Level | None = None
        """Where it was before it tried what it has now."""
        self._level: Level | None = None
        """Where it stays."""
        self._stay = 0
        self._less_next = False
        self._cut_at = float("-inf")
        self._window = _Window()

    def __repr__(self) -> str:
        return f"<Concurrency of {self.places}, {self._most} at most>"

    def answered(self, began: float, now: float, *, work: float = 1, waiting: bool = True) -> None:
        """A request was answered. `work`: what it brought, by any measure; `waiting`: whether somebody had no place."""
        window = self._window
        if window.since is None:
            window.since = max(window.opened, began)
        window.answers += 1
        window.work += work
        window.took_s += now - began
        window.full = window.full and waiting
        places = self.places
        if window.answers >= ANSWERS_PER_PLACE * places and now > window.since:
            if window.full and not window.settling:
                self._judge(window.level(places, now - window.since))
            self._window = _Window(now, settling=self.places != places)

    def failed(self, error: Exception, began: float, now: float) -> None:
        """A request failed; only that the service is too busy says anything about how many are too many."""
        if began <= self._cut_at or not is_busy(error):
            return  # one of those that were under way when it was cut already
        self._cut_at = now
        self.places = max(1, self.places // 2)
        self._stay_here(None)
        self._window = _Window(now, settling=True)

    def _judge(self, level: Level) -> None:
        before, was = self._tried_from, self._level
        if (known := before or was) and not level.compares(known):
            self._stay_here(level)  # what is known is about others
        elif before is None and self._stay:
            self._stay -= 1
            self._level = was = was or level
            if level.took_s > SLOWER * was.took_s and level.rate < FEWER * was.rate:
                self.places = max(1, self.places * 3 // 4)
                self._stay_here(None)
        elif before is None:
            self._try(level, more=not self._less_next)
        elif level.places > before.places and level.rate >= GAIN * before.rate:
            self._try(level, more=True)
        elif level.places < before.places and level.rate * GAIN >= before.rate:
            self._stay_here(level)
        else:
            self.places = before.places
            self._stay_here(before)

    def _try(self, level: Level, *, more: bool) -> None:
        """Another number, by half of it more or by a third less; the other way the next time."""
        self._less_next = more
        grown = min(self._most, self.places + max(1, self.places // 2))
        self.places = grown if more else min(self.places, max(self._first, self.places * 2 // 3))
        if self.places == level.places:
            self._stay_here(level)
        else:
            self._tried_from = level

    def _stay_here(self, level: Level | None) -> None:
        self._tried_from, self._level, self._stay = None, level, STAY_WINDOWS


class Share:
    """How much of a full transaction to send to one shard: all of it, unless the shard says that it is too much.

    A shard takes one transaction at a time, so what it has under way are the operations in that: half of them after
    each time that it is too busy, or answers nothing in time, and half as many again after each that it takes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.operations = most

    def __repr__(self) -> str:
        return f"<Share of {self.operations}, {self._most} at most>"

    def answered(self) -> None:
        """A transaction was answered."""
        self.operations = min(self._most, self.operations + max(1, self.operations // 2))

    def failed(self, error: Exception) -> None:
        """A transaction failed."""
        if is_busy(error):
            self.operations = max(1, self.operations // 2)


def is_busy(error: Exception) -> bool:
    """Whether an error says that a service has too much to do: by its own word, or by its silence."""
    return is_silence(error) or (_may_help(error) and error.kind.endswith(".throttled"))


def is_silence(error: Exception) -> bool:
    """Whether an error says that no answer came in time."""
    return _may_help(error) and error.kind.endswith(".timeout")


def _may_help(error: Exception) -> TypeGuard[UnavailableError | OutcomeUnknownError]:
    return isinstance(error, UnavailableError | OutcomeUnknownError)
