"""Retries, in this one place: when to send again, how long to wait before it, and when to stop.

The SDKs' own retries are off, because they report a write that was applied as a conflict. Here a *request* is sent
once, under its own time limit; reads and idempotent uploads go through `retried`; changes go through `protocol`, which
says what a failed request leaves to be done. Both stop at a `Deadline`, and neither lets a service's `Retry-After`
stretch it.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from .errors import CatalogError, OutcomeUnknownError, UnavailableError
from .events import Listener
from .settings import Settings

FIRST_PAUSE_S: Final = 0.02
LEAST_S: Final = 0.001
LONGEST_PAUSE_S: Final = 2.0
NOTHING_ANSWERS: Final = frozenset({"unavailable.azurite", "unavailable.connect", "unavailable.dns", "unavailable.tls"})

T = TypeVar("T")


class Clock(Protocol):
    """Monotonic time and sleep, in seconds. No safety rests on it: only when to give up does."""

    def now(self) -> float:
        """Seconds since some moment; never runs backwards."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class SystemClock:
    """The machine's own."""

    def now(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)


class ToldClock:
    """A clock that tells a listener why somebody waits. Time itself is the other clock's, at no cost."""

    def __init__(self, clock: Clock, listener: Listener) -> None:
        self.now = clock.now
        self.sleep = clock.sleep
        self.paused = listener.paused


class Progress:
    """When something last got through, of all that a catalog has on its way."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = -math.inf


class Deadline:
    """The moment at which a call gives up.

    Time that the call spends on its caller's content is free: the end is put off by it. Time that it waits for its
    turn is free as far as something got through meanwhile, whosesoever it was: a slow link gives everybody his turn,
    and a dead one nobody more than his limit. Tasks of one call may do both at once; what is free counts once.
    """

    def __init__(self, clock: Clock, settings: Settings, timeout_s: float | None = None) -> None:
        self._clock = clock
        self._settings = settings
        self._start = clock.now()
        self._timeout_s = timeout_s or settings.timeout_s
        self._end = self._start + self._timeout_s
        self._failures = 0
        self._silent_since: float | None = None
        self._stops = self._turns = 0
        self._settled = self._start
        """Up to here the end is put off by what was free."""
        self._progress = Progress()

    def __repr__(self) -> str:
        return f"<Deadline in {self.remaining:.3f} s>"

    def now(self) -> float:
        """What time it is, by its clock."""
        return self._clock.now()

    @property
    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self._end - self._clock.now())

    @property
    def left_s(self) -> float:
        """What is left for a stage that has a time limit of its own; a moment, where nothing is: it then says so."""
        return max(LEAST_S, self.remaining)

    @property
    def passed(self) -> bool:
        """Whether it is time to give up."""
        return self._clock.now() >= self._end

    def expired(self, last: Exception | None) -> UnavailableError:
        """What to say at the end: the last trouble, and how long it was tried."""
        spent = f"gave up after {self._clock.now() - self._start:.3g} s"
        if not isinstance(last, CatalogError):
            return UnavailableError(spent, kind="unavailable.deadline")
        kind = last.kind if isinstance(last, UnavailableError) else "unavailable.deadline"
        return UnavailableError(f"{last} ({spent})", op=last.op, key=last.key, kind=kind)

    async def pause(self, error: CatalogError | None = None) -> None:
        """Wait before the next attempt, longer after each failure, and never past the deadline.

        Where nothing answers at all, nobody waits for the whole of it: a service that is restarted comes back sooner.
        """
        self._failures += 1
        if error is not None and error.kind == "unavailable.disk-full":
            self._end = self._clock.now()  # nobody makes room meanwhile
        if error is not None and error.kind in NOTHING_ANSWERS:
            now = self._clock.now()
            self._silent_since = now if self._silent_since is None else self._silent_since
            if now - self._silent_since >= self._settings.silence_timeout_s:
                self._end = now
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 16))
        pause = min(pause * random.random(), self.remaining)  # noqa: S311 — two who block each other part ways
        if isinstance(self._clock, ToldClock):
            self._clock.paused(error, pause, self._failures)
        await self._clock.sleep(pause)

    async def _answered(self, request: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(min(self.remaining, self._settings.request_timeout_s)):
            answer = await request()
        self._silent_since = None
        return answer

    async def read(self, request: Callable[[], Awaitable[T]]) -> T:
        """Send a read once. Raises: UnavailableError when it takes too long."""
        try:
            return await self._answered(request)
        except TimeoutError as exc:
            raise UnavailableError("no answer in time", kind="unavailable.timeout") from exc

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Time spent in here does not count: it is the caller's own content that is waited for."""
        self._settled = self._settle()
        self._stops += 1
        try:
            yield
        finally:
            self._settle()
            self._stops -= 1

    async def turn(self, turn: "asyncio.Future[None]", progress: Progress, what: str) -> None:
        """Wait for a turn, and give it up once nothing got through for all that is left.

        Raises: UnavailableError; the turn is then done, with this error.
        """
        since, loop = self._settle(), asyncio.get_running_loop()
        self._turns += 1
        self._progress = progress
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            now = self._clock.now()
            left = self._end + max(0.0, progress.at - self._settled) - now
            if left > 0:
                timer = loop.call_later(max(LEAST_S, left), look)
            elif not turn.done():
                silent = f"nothing got through while it waited {now - since:.3g} s for {what}"
                turn.set_exception(UnavailableError(silent, kind="unavailable.deadline"))

        timer = loop.call_later(max(LEAST_S, self._end - since), look)
        try:
            await turn
        finally:
            timer.cancel()
            self._settle()
            self._turns -= 1

    def _settle(self) -> float:
        """Put off the end by what was free; what time it is."""
        now = until = self._clock.now()
        if self._turns and not self._stops:  # what comes after the last progress may yet turn out to be free
            until = max(self._settled, self._progress.at)
        if self._turns or self._stops:
            self._end += until - self._settled
        self._settled = until
        return now

    def mark(self, progress: Progress) -> None:
        """Something got through."""
        progress.at = self._clock.now()

    def renew(self) -> None:
        """A part of the content has arrived: the transfer of more may take as long again."""
        self._settled = self._clock.now()
        self._end = self._settled + self._timeout_s
        self._failures = 0

    async def write(self, request: Callable[[], Awaitable[T]]) -> T:
        """Send a write once. Raises: OutcomeUnknownError when it takes too long."""
        try:
            return await self._answered(request)
        except TimeoutError as exc:
            raise OutcomeUnknownError("no answer in time", kind="outcome-unknown.timeout") from exc

    async def wait(self, request: Callable[[], Awaitable[T]]) -> T:
        """Wait for a write that someone else sends, and limits. Raises: OutcomeUnknownError at the deadline."""
        try:
            async with asyncio.timeout(self.remaining):
                return await request()
        except TimeoutError as exc:
            raise OutcomeUnknownError("no answer in time", kind="outcome-unknown.timeout") from exc

    async def retried(
        self,
        request: Callable[[], Awaitable[T]],
        *,
        attempt: Callable[[Callable[[], Awaitable[T]]], Awaitable[T]] | None = None,
    ) -> T:
        """Send a request that may be sent twice, until it is answered. `attempt`: how to send it once; else, as a read.

        Raises: UnavailableError at the deadline, and at once whatever else the request raises.
        """
        while True:
            try:
                return await (attempt or self.read)(request)
            except (UnavailableError, OutcomeUnknownError) as exc:
                await self.pause(exc)
                if self.passed:
                    raise self.expired(exc) from exc
