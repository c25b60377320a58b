"""The loop that drives state machines: it pauses after what may be otherwise soon, and names the cause when it ends."""

from collections.abc import Sequence
from typing import TypeGuard

import pytest

from catalog.driving import drive, proven
from catalog.errors import (
    AccessDeniedError,
    CatalogError,
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from catalog.messages import Done, Doubt, Expired, Failed, Refused
from catalog.retry import Deadline
from catalog.settings import Settings

Heard = Done | Doubt | Failed | Refused | Expired


class Clock:
    """Time passes only where somebody sleeps, or a request is sent."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept = 0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.time += seconds


async def driven(answers: Sequence[Heard], *, each_s: float = 0.0) -> tuple[Clock, list[Heard]]:
    """Drive a machine that asks until it was told that it is done, or that time is up."""
    clock, left, heard = Clock(), iter(answers), list[Heard]()
    deadline = Deadline(clock, Settings(timeout_s=10))

    async def send(_: None, request: str) -> Heard:
        clock.time += each_s
        return next(left)

    def step(at: None, answer: Heard) -> tuple[None, str | int]:
        heard.append(answer)
        return at, 1 if isinstance(answer, Done | Expired) else "again"

    def begin() -> tuple[None, str | int]:
        return None, "begin"

    def is_over(request: str | int) -> TypeGuard[int]:
        return isinstance(request, int)

    assert await drive(begin(), ends=is_over, send=send, step=step, deadline=deadline) == (None, 1)
    return clock, heard


@pytest.mark.parametrize(
    ("answer", "pauses"),
    [
        (Failed(UnavailableError("later")), 1),
        (Doubt(OutcomeUnknownError("perhaps")), 1),
        (Failed(AccessDeniedError("no")), 0),
        (Refused(), 0),
    ],
)
async def test_only_what_may_be_otherwise_soon_is_waited_for(answer: Heard, pauses: int) -> None:
    clock, _ = await driven([answer, Done()])
    assert clock.slept == pauses


async def test_when_time_is_up_the_last_trouble_is_the_cause() -> None:
    _, heard = await driven([Failed(UnavailableError("the disk is full")), Refused()], each_s=6)
    end = heard[-1]
    assert isinstance(end, Expired)
    assert "the disk is full (gave up after 12" in str(end.error)


@pytest.mark.parametrize(
    ("error", "reading", "answer"),
    [
        (OutcomeUnknownError("?"), False, Doubt),
        (UnavailableError("?"), False, Failed),
        (NotFoundError("?"), True, Failed),
        (ConflictError("?"), False, Refused),
        (ConflictError("?"), True, Failed),
    ],
)
def test_an_error_proves_one_thing(error: CatalogError, reading: bool, answer: type) -> None:
    assert type(proven(error, reading=reading)) is answer


def test_a_conflict_of_a_read_may_be_gone_next_time() -> None:
    failed = proven(ConflictError("busy", op="get", key="a"), reading=True)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UnavailableError)
