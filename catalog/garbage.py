"""Python's search for garbage, made less often while a run over many files is under way.

Only cycles need that search: all else goes at once when it is let go of. A run makes some hundred objects for a file
and no cycle, and yet Python searches the young ones for every 700 that are alive, and all of the process every now and
then: a fifth of the CPU of an ingest. So while any run lasts, the young are searched once there are `YOUNG` of them.
What an application has set higher, or switched off, stays as it is. What hands things out on its way is no such run: an
application's own loop may make cycles, and large ones.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

YOUNG: Final = 50_000


class _Runs:
    """Those that are under way, in all threads of the process; and what was set before the first of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way = 0
        self._before = gc.get_threshold()

    def begin(self) -> None:
        with self._lock:
            self._under_way += 1
            if self._under_way == 1:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < YOUNG:
                    gc.set_threshold(YOUNG, *self._before[1:])

    def end(self) -> None:
        with self._lock:
            self._under_way -= 1
            if not self._under_way and gc.get_threshold()[0] == YOUNG:  # else the application has set another
                gc.set_threshold(*self._before)


_RUNS: Final = _Runs()


@contextmanager
def searched_seldom() -> Iterator[None]:
    """While a run lasts. Runs may overlap, and be of several threads: what was set before holds again after all."""
    _RUNS.begin()
    try:
        yield
    finally:
        _RUNS.end()
