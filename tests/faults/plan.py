"""Which request of a client fails, and how. Shared by the two ways that it has, to rows and to content."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

Kind = TypeVar("Kind", bound=Enum)


@dataclass(slots=True)
class Plan(Generic[Kind]):
    """Request `at` fails, counted from 1; with `on` all later ones too."""

    at: int = 0
    fault: Kind | None = None
    on: bool = False
    requests: list[str] = field(default_factory=list)
    fired: int = 0
    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    heard: Callable[[int, str], None] = lambda _number, _line: None
    """Told of each request, by its number, once it was applied."""

    def next(self, line: str) -> Kind | None:
        """Number a request; what is to happen to it."""
        self.requests.append(line)
        number = len(self.requests)
        if self.fault is None or not (number >= self.at if self.on else number == self.at):
            return None
        self.fired += 1
        return self.fault
