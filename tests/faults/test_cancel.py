"""A caller is cancelled: at each of its suspensions, and while each of its requests is under way."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, Create
from tests.faults.observer import State
from tests.faults.ports import Fault, Wire
from tests.faults.scenarios import SCENARIOS, Scenario, contents, digests, ingest, make_tree
from tests.faults.test_every_fault import for_every_request, recover, works
from tests.faults.world import World
from tests.harness import tally
from tests.harness.invariants import check, check_grown

MANY = 3_000


class CancelAt:
    """Awaits something, and cancels the task that does so at the nth suspension."""

    def __init__(self, number: int, work: Awaitable[object]) -> None:
        self.number = number
        self.fired = False
        self._work = work

    def __repr__(self) -> str:
        return f"CancelAt({self.number})"

    def __await__(self) -> Generator[Any, Any, object]:
        task = asyncio.current_task()
        assert task
        steps = self._work.__await__()
        go_on: Callable[[], object] = partial(next, steps)
        for suspension in count(1):
            try:
                waits_for = go_on()
            except StopIteration as end:
                return end.value
            if suspension == self.number:
                self.fired = True
                task.cancel()
            try:
                answer = yield waits_for
                go_on = partial(steps.send, answer)
            except BaseException as error:  # noqa: BLE001 — whatever it is, it is for the work
                go_on = partial(steps.throw, error)
        raise AssertionError

    async def task(self) -> object:
        """Itself, as what a task is made of."""
        return await self


def for_every_suspension() -> "Generator[Callable[[Awaitable[object]], CancelAt]]":
    """Makers of cancellations at suspension 1, 2, 3 … until the work makes fewer."""
    for number in count(1):
        made: list[CancelAt] = []

        def make(work: Awaitable[object], number: int = number, made: list[CancelAt] = made) -> CancelAt:
            made.append(CancelAt(number, work))
            return made[0]

        yield make
        tally.count("cancellations", made[0].fired)
        if not made[0].fired:
            assert number > 1, "nothing was ever cancelled"
            return
        assert number < MANY, "the work never ends"


@pytest.fixture(params=[*SCENARIOS, "ingest"], ids=str)
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Scenario:
    found = request.param
    return found if isinstance(found, Scenario) else ingest(make_tree(tmp_path))


async def test_cancelled_at_any_suspension(scenario: Scenario) -> None:
    for cancel_at in for_every_suspension():
        async with World() as world:
            before, wire = await world.prepare(scenario), Wire()
            client = world.client(wire)
            tasks = asyncio.all_tasks()
            cancelled = cancel_at(scenario.act(client))
            assert await was_cancelled(cancelled.task()) == cancelled.fired
            await check_cancelled(world, scenario, before, wire, client)
            assert asyncio.all_tasks() <= tasks, "a task is left"


async def test_cancelled_while_any_request_is_under_way(scenario: Scenario) -> None:
    async for wire in for_every_request(Fault.CANCEL):
        async with World() as world:
            before = await world.prepare(scenario)
            client = world.client(wire)
            tasks = asyncio.all_tasks()
            wire.cancels = asyncio.create_task(scenario.act(client))
            assert await was_cancelled(wire.cancels) == bool(wire.fired)
            await check_cancelled(world, scenario, before, wire, client)
            assert asyncio.all_tasks() <= tasks, "a task is left"


async def test_cancelling_one_caller_hurts_no_other() -> None:
    """Three puts share transactions; whenever the first one is cancelled, the others do not notice."""
    for cancel_at in for_every_suspension():
        async with World() as world:
            wire = Wire()
            client = world.client(wire)
            volume = await client.create_volume("v", shards=1)
            cancelled = cancel_at(volume.put("a", b"a", mode=Create()))
            first = asyncio.create_task(cancelled.task())
            others = [asyncio.create_task(volume.put(name, b"x", mode=Create())) for name in "bc"]
            assert await was_cancelled(first) == cancelled.fired
            assert [(await other).version for other in others] == [1, 1]
            await wire.idle()
            assert {"b", "c"} <= (await world.look()).ops.keys()
            await recover(world)


async def was_cancelled(work: Coroutine[Any, Any, object] | asyncio.Task[Any]) -> bool:
    """Wait for the end of work; whether it was cancelled. Raises whatever else it raised."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task])
    if not task.cancelled():
        await task
    return task.cancelled()


async def check_cancelled(world: World, scenario: Scenario, before: State, wire: Wire, client: Catalog) -> None:
    """What holds of a killed client holds of a cancelled call, and its client goes on."""
    await wire.idle()
    after = await world.look()
    check(after)
    check_grown(before, after)
    done, expected = contents(after), digests(scenario.then)
    assert all(versions == expected[path][: len(versions)] for path, versions in done.items())
    await recover(world)
    assert contents(await world.look()) == done, "recovery changed what a reader sees"
    wire.heal()
    await works(world, client)
    await client.close()
