"""No apply and no undo sends more than it may: what reads and what writes wait for their turn, one by one."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from catalog import Brake, Catalog, Rate, Settings
from catalog.errors import UnavailableError
from catalog.pace import Pace
from tests.faults.ports import Fault, FaultContent, FaultTable, Send, VirtualClock, Wire
from tests.faults.touch import Touch
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene

EACH_S = 10.0
SLOWLY = Rate(account=1 / EACH_S, partition=1 / EACH_S)
PATIENT = Settings(timeout_s=1e6, silence_timeout_s=1e6)
FREE = {"content.chunk"}
"""More of what a request has answered."""
OUTSIDE = 4
"""Requests that look a volume up, or note in the registry that it adopts: few, however much there is to do."""
HURTS = (
    injury.aborted_and_late,
    injury.purge_begun,
    injury.touched,
    injury.headers_stripped,
    injury.deleted,
    injury.head_removed,
    injury.newest_version_removed,
    injury.foreign,
    injury.all_rows_removed,
)


class TimedWire(Wire):
    """Says when each request was sent."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[tuple[str, float, bool]] = []

    async def send(self, name: str, request: Send[object], touch: Touch) -> object:  # type: ignore[override]
        """See Wire."""
        self.times.append((name, self.clock.now(), touch.write))
        return await super().send(name, request, touch)

    def gaps(self) -> list[float]:
        """Between each two requests."""
        at = [time for name, time, _ in self.times if name not in FREE]
        return [later - time for time, later in pairwise(at)]


async def hurt(scene: Scene, tmp_path: Path) -> Path:
    """A plan with one of each action."""
    for make in HURTS:
        await make(scene, f"{make.__name__}/a.txt")
    plan = await scene.cat.reconcile("raw", orphans="adopt", foreign="adopt", patience_s=0)
    assert len(plan.header.actions) == 9
    return plan.save(tmp_path / "plan.jsonl")


Run = Callable[[Catalog, Rate], Awaitable[object]]


async def timed(scene: Scene, run: Run, rate: Rate) -> TimedWire:
    clock = VirtualClock()
    wire = TimedWire(clock)
    table, content = FaultTable(scene.table, wire), FaultContent(scene.content, wire)
    client = Catalog(table, content, settings=PATIENT, clock=clock, writer="somebody")
    await run(client, rate)
    await client.close()
    return wire


async def test_apply_and_undo_keep_to_their_rate(small: Scene, tmp_path: Path) -> None:
    saved, journal = await hurt(small, tmp_path), tmp_path / "journal"

    async def apply(client: Catalog, rate: Rate) -> None:
        brake = Brake(fraction=1)
        report = await client.apply(saved, journal=journal, brake=brake, patience_s=0, rate=rate)
        assert (len(report.done), report.ok) == (9, True)

    async def undo(client: Catalog, rate: Rate) -> None:
        assert (await client.undo(journal, rate=rate)).undone >= 5

    for run in (apply, undo):
        wire = await timed(small, run, SLOWLY)
        assert sum(write for *_, write in wire.times) >= 5
        hasty = [gap for gap in wire.gaps() if gap < EACH_S - 1e-6]
        assert len(hasty) <= OUTSIDE, wire.times


async def test_without_a_rate_nothing_waits_long(small: Scene, tmp_path: Path) -> None:
    saved, journal = await hurt(small, tmp_path), tmp_path / "journal"

    async def apply(client: Catalog, rate: Rate) -> None:
        await client.apply(saved, journal=journal, brake=Brake(fraction=1), patience_s=0, rate=rate)

    wire = await timed(small, apply, Rate())
    assert wire.clock.now() < len(wire.times) * EACH_S / 100


@pytest.mark.parametrize("number", [40, 64, 80])
async def test_where_the_service_is_too_busy_all_slow_down(small: Scene, tmp_path: Path, number: int) -> None:
    """Half as many after a 503, to a read or to a write."""
    saved, journal = await hurt(small, tmp_path), tmp_path / "journal"
    clock = VirtualClock()
    wire = TimedWire(clock)
    wire.at, wire.fault = number, Fault.BUSY
    table, content = FaultTable(small.table, wire), FaultContent(small.content, wire)
    client = Catalog(table, content, settings=PATIENT, clock=clock, writer="somebody")
    report = await client.apply(saved, journal=journal, brake=Brake(fraction=1), patience_s=0, rate=Rate(1 / 3, 1 / 3))
    await client.close()
    assert (wire.fired, report.ok) == (1, True)
    assert max(wire.gaps()[: number - 2]) < 3 + 1e-6
    assert 4 < max(wire.gaps()[number - 2 :]) < 6


def test_a_service_that_is_too_busy_makes_no_slow_run_faster() -> None:
    pace = Pace(VirtualClock(), SLOWLY)
    pace.heard(error=UnavailableError("503", kind="unavailable.throttled"))
    assert pace.interval_s() == EACH_S
