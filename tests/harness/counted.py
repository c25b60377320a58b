"""Threads that count what they are given to do."""

from concurrent.futures import Future
from typing import Any

from catalog.threads import Threads


class Counted(Threads):
    """Each thing that it is given is a turn."""

    turns = 0

    def submit(self, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See Executor."""
        self.turns += 1
        return super().submit(*args, **kwargs)
