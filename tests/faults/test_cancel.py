"""A caller is cancelled: at each of its suspensions, and while each of its requests is under way."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, Create, FileVersion
from tests.faults.observer import check, check_grown
from tests.faults.ports import Fault, Wire
from tests.faults.scenarios import SCENARIOS, Scenario, contents, digests, ingest, make_tree
from tests.faults.test_every_fault import for_every_request, recover, works
from tests.faults.world import World

MANY = 2_000


class CancelAt:
    """Runs something, and cancels it at its nth suspension."""

    def __init__(self, number: int, work: Awaitable[object]) -> None:
        self.number = number
        self.fired = False
        self._work = work

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._work.__await__()
        task = asyncio.current_task()
        assert task
        for suspension in count(1):
            try:
                waits_for = next(steps)
            except StopIteration as end:
                return end.value
            if suspension == self.number:
                self.fired = True
                task.cancel()
            try:
                yield waits_for
            except asyncio.CancelledError:
                return steps.throw(asyncio.CancelledError())
        raise AssertionError


@pytest.fixture(params=[*SCENARIOS, "ingest"], ids=str)
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Scenario:
    found = request.param
    return found if isinstance(found, Scenario) else ingest(make_tree(tmp_path))


async def test_cancelled_at_any_suspension(scenario: Scenario) -> None:
    await for_every_cancellation(scenario, scenario.act)
