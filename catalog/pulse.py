"""Whether anything gets through of a run of many calls, each with a limit of its own.

Into a hang each of them would go for as long as its limit, some at a time: a run of ten thousand for an hour. So once
calls have failed for as long as one limit, and none succeeded meanwhile, those that have not begun fail at once, and
the run ends. That holds for one more limit, or until one that is still under way succeeds: a run that goes on for ever,
over a queue, tries again then.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ConflictError, OutcomeUnknownError, UnavailableError
from .retry import Clock


class Pulse:
    """The pulse of one run."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._failing_since: float | None = None
        self._dead_until = clock.now()

    def __repr__(self) -> str:
        return f"<Pulse, {'dead' if self._clock.now() < self._dead_until else 'alive'}>"

    @contextmanager
    def beat(self, op: str, key: str) -> Iterator[None]:
        """Make one of the calls. Raises: UnavailableError where nothing gets through; then nothing was sent."""
        began = self._clock.now()
        if began < self._dead_until:
            message = f"{op} {key!r} was not tried: nothing of its run got through for {self._timeout_s:g} s"
            raise UnavailableError(message, op=op, key=key, kind="unavailable.deadline")
        try:
            yield
        except (UnavailableError, OutcomeUnknownError):
            self._fail(began)
            raise
        except ConflictError:
            self._live()
            raise
        self._live()

    def _fail(self, began: float) -> None:
        now = self._clock.now()
        self._failing_since = min(began, now if self._failing_since is None else self._failing_since)
        if now - self._failing_since >= self._timeout_s:
            self._dead_until = now + self._timeout_s

    def _live(self) -> None:
        self._failing_since, self._dead_until = None, self._clock.now()
