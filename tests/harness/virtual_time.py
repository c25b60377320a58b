"""An event loop whose time leaps: where all wait for it, it is later at once. An hour's hang takes a millisecond.

Everything in it goes by one time: sleeps, time-outs, and a catalog that was given `LoopClock`. While a thread works no
time passes, so what is computed or read from a disk takes none.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class LoopClock:
    """See catalog.retry.Clock: the running loop's own time."""

    def now(self) -> float:
        """See Clock."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


class LeapingLoop(asyncio.SelectorEventLoop):
    """It leaps to the next moment that somebody waits for, unless a thread of its executors works."""

    def __init__(self) -> None:
        self._now = 0.0
        self._working = 0
        super().__init__(_Leaping(self._waited))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Count what is under way."""
        running = super().run_in_executor(executor, func, *args)
        self._working += 1
        running.add_done_callback(self._done)
        return running

    def _done(self, _: "asyncio.Future[Any]") -> None:
        self._working -= 1

    def _waited(self, seconds: float | None) -> float | None:
        """How long to wait in earnest, where nobody has anything to do for so many seconds: for a thread, or a leap."""
        if self._working or seconds is None:
            return None
        self._now += max(0.0, seconds)
        return 0


class _Leaping(selectors.SelectSelector):
    def __init__(self, waited: Callable[[float | None], float | None]) -> None:
        super().__init__()
        self._waited = waited

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(0):
            return ready
        return super().select(0 if timeout == 0 else self._waited(timeout))


def leaping(main: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own, in virtual time."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main)
