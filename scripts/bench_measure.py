"""Work measured side by side: rounds in turn, so that what else the machine does befalls all alike."""

import asyncio
import gc
import os
import resource
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MICRO: Final = 1e6
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one round of some work took."""

    items: float
    """So many of what is counted: entities, files, bytes."""
    wall_s: float
    cpu_s: float
    """Of this process, all of its threads, and of its children that have ended; not of the server."""

    @property
    def cpu_us(self) -> float:
        """For each item."""
        return self.cpu_s / self.items * MICRO

    @property
    def wall_us(self) -> float:
        """For each item."""
        return self.wall_s / self.items * MICRO

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / self.wall_s


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds found."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)


Measure = Callable[[Cost], float]
Work = Callable[[], Awaitable[float]]
"""Does some work once and says how many items that was."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """All rounds of all that were measured together, by name."""

    costs: Mapping[str, tuple[Cost, ...]]

    def __getitem__(self, key: tuple[str, Measure]) -> Spread:
        """One measure of one of them."""
        name, measure = key
        return Spread(tuple(map(measure, self.costs[name])))


def cpu_us(cost: Cost) -> float:
    """CPU for each item."""
    return cost.cpu_us


def wall_us(cost: Cost) -> float:
    """Time for each item."""
    return cost.wall_us


def wall_s(cost: Cost) -> float:
    """Time in all."""
    return cost.wall_s


def rate(cost: Cost) -> float:
    """Items per second."""
    return cost.rate


def mib_rate(cost: Cost) -> float:
    """MiB per second, where items are bytes."""
    return cost.rate / MIB


async def measured(work: Work) -> Cost:
    """What some work takes."""
    gc.collect()
    began, spent = time.perf_counter(), cpu_s()
    items = await work()
    return Cost(items, time.perf_counter() - began, cpu_s() - spent)


async def in_turn(rounds: int, works: Mapping[str, Work], *, warm: bool = False) -> Rounds:
    """Each of them once a round, every other round in reverse. With `warm`, one more before that does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for number in range(-1 if warm else 0, rounds):
        names = list(works) if number % 2 == 0 else list(works)[::-1]
        for name in names:
            cost = await measured(works[name])
            if number >= 0:
                costs[name].append(cost)
    return Rounds({name: tuple(found) for name, found in costs.items()})


def joined(parts: list[Rounds]) -> Rounds:
    """Rounds that were measured one by one, with something done in between. The first one has all names."""
    return Rounds({name: tuple(cost for part in parts for cost in part.costs.get(name, ())) for name in parts[0].costs})


def cpu_s() -> float:
    """CPU of this process so far, and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


async def at_a_time(count: int, jobs: list[Callable[[], Awaitable[object]]]) -> None:
    """Do all of them, so many at once: as a semaphore does it, without a task for each."""
    waiting = iter(jobs)

    async def worker() -> None:
        for job in waiting:
            await job()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(worker())


def resident_bytes() -> tuple[int, int]:
    """The memory that this process has, and the most that it has had. Linux tells both; elsewhere the most, twice."""
    status = Path("/proc/self/status")
    if not status.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most, most
    lines = dict(line.partition(":")[::2] for line in status.read_text("ascii").splitlines())
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def forget_peak() -> None:
    """Count the most memory from now on, where the system can."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5", "ascii")


@asynccontextmanager
async def closing(*things: object) -> AsyncIterator[None]:
    """Close clients, sync or async, in reverse."""
    try:
        yield
    finally:
        for thing in reversed(things):
            done = thing.close()  # type: ignore[attr-defined]
            if done is not None:
                await done
