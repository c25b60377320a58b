"""Two calls on one world in many orders: the frame of the tests that try pairs of them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from catalog import Catalog
from tests.faults.world import SETTINGS, World
from tests.harness import tally
from tests.races.gate import Gate, Pauses, Schedule, some_schedules
from tests.races.reduction import try_reduced

PATIENT: Final = replace(SETTINGS, request_timeout_s=60, timeout_s=80)
"""Nobody gives up on a request because its turn comes late."""

Call = Callable[[Catalog], Awaitable[object]]


async def try_orders(run: Callable[[Schedule], Awaitable[object]], replay: str, *, limit: int, spread: int) -> None:
    """Run all orders that differ in effect, or so many of them and some beside. A failure names its replay key."""

    async def one(schedule: Schedule) -> None:
        tally.count("interleavings")
        try:
            await run(schedule)
        except BaseException as error:
            error.add_note(f"replay: {replay} {schedule.choices}")
            raise

    complete = await try_reduced(one, limit=limit)
    for schedule in () if complete else some_schedules(spread):
        await one(schedule)
    tally.count("pairs with all interleavings", complete)
    tally.count("pairs with capped interleavings", not complete)


def caller(world: World, name: str, call: Call) -> Callable[[Gate], Awaitable[object]]:
    """Who makes a call behind a gate, with a client whose ids begin with a name."""

    async def act(gate: Gate) -> object:
        gate.shut = True
        return await call(world.client(gate, clock=Pauses(gate, PATIENT.timeout_s), name=name))

    return act
