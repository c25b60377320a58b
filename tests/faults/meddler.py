"""Somebody else who is faster: what he does comes just before a request of a client, which has no idea of it.

So a race of two is tried in one order of requests, the worst; `races` tries all orders of a few.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tests.faults.ports import Fault, Send, Wire
from tests.faults.touch import Touch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Before:
    """Just before the first request of this name that is about a blob, or a row of a partition, with `part` in it."""

    request: str
    act: Callable[[str], Awaitable[object]] | Fault
    """What somebody does, who is told what the request is about; or what becomes of the request."""
    part: str = ""


class Meddler(Wire):
    """A wire on which all that happens, one after the other. `met`: what those requests were about."""

    def __init__(self, *befores: Before) -> None:
        super().__init__()
        self._befores = [*befores]
        self.met = list[str]()

    @property
    def over(self) -> bool:
        """Whether all of it has happened: else a test has tried nothing."""
        return not self._befores

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        """See Wire."""
        about = touch.keys[0].first if touch.keys else ""
        if self._befores and name == self._befores[0].request and self._befores[0].part in about:
            act = self._befores.pop(0).act
            self.met.append(about)
            if isinstance(act, Fault):
                self.at, self.fault = len(self.sent) + 1, act
            else:
                await act(about)
        return await super().send(name, request, touch)
