"""How many requests to have under way at one service: found by trying, since nobody tells. Pure; it is told the time.

More at a time is faster, up to what the service can do; from there on, each only waits longer for the others. So the
number grows by half as long as that makes the service answer more, and where it does not, it goes back to what it was
and stays there for a while, before it tries again. It is halved where the service says that it is too busy, or answers
nothing in time; and where answers come to take twice as long, and fewer come, it shrinks by a quarter.

It looks at windows of a few answers per place. A window in which nobody waited for a place tells nothing: it is the
work that limits then, and not the service.
"""

from dataclasses import dataclass
from typing import Final

from .errors import OutcomeUnknownError, UnavailableError

FIRST: Final = 32
"""So many to begin with: no account is too small for that."""
ANSWERS_PER_PLACE: Final = 3
"""In a window: fewer would be an accident."""
GAIN: Final = 1.05
"""From so many times the answers on, a larger number pays."""
SLOWER: Final = 2.0
"""So many times as long as it was, for an answer, is more than an accident."""
FEWER: Final = 0.9
"""And so many times the answers."""
STAY_WINDOWS: Final = 20
"""For so long it stays, before it tries again."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a number of places turned out to be good for."""

    places: int
    rate: float
    """Work that was answered, per second."""
    took_s: float
    """For an answer, on the average."""


@dataclass(slots=True)
class _Window:
    since: float | None = None
    settling: bool = False
    """Whether the number has only just changed: what was under way then is among the answers."""
    answers: int = 0
    work: float = 0
    took_s: float = 0
    full: bool = True
    """Whether somebody had no place, all the time."""


class Concurrency:
    """The number of requests to have under way, between 1 and `most`."""

    def __init__(self, most: int, *, first: int = FIRST) -> None:
        self._most = most
        self.places = min(first, most)
        self._tried_from: Level | None = None
        """Where it was before it grew to where it is."""
        self._level: Level | None = None
        """Where it stays."""
        self._stay = 0
        self._cut_at = float("-inf")
        self._window = _Window()

    def __repr__(self) -> str:
        return f"<Concurrency of {self.places}, {self._most} at most>"

    def answered(self, began: float, now: float, *, work: float = 1, waiting: bool = True) -> None:
        """A request was answered. `work`: what it brought, by any measure; `waiting`: whether somebody had no place."""
        window = self._window
        if window.since is None:
            window.since = began
        window.answers += 1
        window.work += work
        window.took_s += now - began
        window.full = window.full and waiting
        places = self.places
        if window.answers >= ANSWERS_PER_PLACE * places and now > window.since:
            if window.full and not window.settling:
                took_s = window.took_s / window.answers
                self._judge(Level(places, window.work / (now - window.since), took_s))
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
        before = self._tried_from
        if before is not None and level.rate < GAIN * before.rate:
            self.places = before.places
            self._stay_here(before)
        elif before is None and self._stay:
            self._stay -= 1
            was = self._level or level
            if level.took_s > SLOWER * was.took_s and level.rate < FEWER * was.rate:
                self.places = max(1, self.places * 3 // 4)
                self._stay_here(None)
            else:
                self._level = was
        else:
            self._grow(level)

    def _grow(self, level: Level) -> None:
        self.places = min(self._most, self.places + max(1, self.places // 2))
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
    return isinstance(error, UnavailableError | OutcomeUnknownError) and error.kind.endswith((".throttled", ".timeout"))
