"""What a doctor says: item by item, and all of them. And where he works: in a scratch place with his own id in it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from ulid import ULID

ABANDONED_S: Final = 3600.0  # a doctor's rows and blobs of this age are nobody's

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class DoctorItem:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str
    hint: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All of them, in the order in which they were looked at."""

    items: tuple[DoctorItem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed. There may be warnings."""
        return all(item.status != "fail" for item in self.items)


class BrokenPromiseError(Exception):
    """A service does not do what the protocol rests on."""


def promise(kept: bool, broken: str) -> None:  # noqa: FBT001 — it is the thing that is asserted
    """Raises: BrokenPromiseError."""
    if not kept:
        raise BrokenPromiseError(broken)


class Scratch:
    """The names that one doctor gives to what he writes."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.id = str(ULID())
        self.now_s = now_s

    def is_rubbish(self, doctor: str) -> bool:
        """Whether it is ours, or of a doctor who is long gone."""
        if doctor == self.id:
            return True
        try:
            return ULID.from_str(doctor).timestamp < self.now_s() - ABANDONED_S
        except ValueError:
            return False  # not a doctor's


def answered(port: object, start: float) -> str:
    """Who answered, and how soon after `start`, by `time.perf_counter`."""
    spent = f"{(time.perf_counter() - start) * 1000:.0f} ms"
    return f"{repr(port).strip('<>')}, answered in {spent}"
