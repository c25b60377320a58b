"""The one loop that carries out a state machine: send what it asks for, tell it what came back, until it ends.

A machine decides and does no I/O; whoever drives it sends. What the loop itself knows is when to pause (after what may
be otherwise soon, not after what is definite, unless it comes again and again) and when time is up; it then says so,
with the last trouble as the cause.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeGuard, TypeVar, cast

from .errors import CatalogError, ConflictError, OutcomeUnknownError, UnavailableError
from .messages import Doubt, Expired, Failed, Refused
from .retry import Deadline

REFUSED_MAX: Final = 4
"""From then on a refusal is followed by a pause: many want the same, or what is there is broken until it is mended."""

State = TypeVar("State")
Asked = TypeVar("Asked")  # Request | End: a union of two variables is more than mypy can solve
Request = TypeVar("Request")
Answer = TypeVar("Answer")
End = TypeVar("End")


async def drive(
    first: tuple[State, Asked],
    *,
    ends: Callable[[Asked], TypeGuard[End]],
    send: Callable[[State, Request], Awaitable[Answer]],
    step: Callable[[State, Answer | Expired], tuple[State, Asked]],
    deadline: Deadline,
) -> tuple[State, End]:
    """Take steps from the first one until the machine ends; its last state, and its end. Raises: as `send`."""
    at, request = first
    last: CatalogError | None = None
    refused = 0
    while not ends(request):
        if deadline.passed:
            at, request = step(at, Expired(deadline.expired(last)))
            continue
        answer = await send(at, cast("Request", request))
        if isinstance(answer, Doubt | Failed):
            last = answer.error
            if isinstance(last, UnavailableError | OutcomeUnknownError):
                await deadline.pause(last)
        refused += isinstance(answer, Refused)
        if refused > REFUSED_MAX and isinstance(answer, Refused):
            await deadline.pause()
        at, request = step(at, answer)
    return at, request


def proven(error: CatalogError, *, reading: bool) -> Doubt | Failed | Refused:
    """The answer that an error of a port is: what it proves of the request that met it."""
    if isinstance(error, OutcomeUnknownError):
        return Doubt(error)
    if not isinstance(error, ConflictError):
        return Failed(error)
    if reading:  # no word about what was to be read: the service has its own troubles
        return Failed(UnavailableError(f"{error}", op=error.op, key=error.key))
    return Refused()
