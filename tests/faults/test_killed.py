"""A real process, killed -9 when the proxy says that request N was applied, leaves nothing half-done."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import pytest

from tests.faults.plan import Plan
from tests.faults.proxy import FaultProxy, WireFault
from tests.faults.scenarios import SCENARIOS
from tests.faults.site import Site, Trial, check_killed, new_name
from tests.harness.nightly import NIGHTLY, TIMEOUT_S

EACH = 1 if NIGHTLY else 3
STEPS = {"overwrite": 1, "move": 1, "move-apart": EACH, "staged": EACH, "delete_volume": EACH, "recover": EACH}
"""Scenarios, and which of their requests: each, or each so many."""
AT_A_TIME = 2


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", STEPS)
async def test_killed_at_any_request_it_leaves_nothing_half_done(site: Site, name: str) -> None:
    scenario = next(each for each in SCENARIOS if each.name == name)
    trial, places = await site.trial(scenario, site.behind_proxies), asyncio.Semaphore(AT_A_TIME)

    async def in_place(number: int) -> None:
        async with places:
            await killed(site, trial, number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, len(trial.requests) + 1, STEPS[name]):
            tasks.create_task(in_place(number))


async def killed(site: Site, trial: Trial, number: int) -> None:
    """Its last answer never comes, so what it does not know it cannot have acted upon."""
    name, applied = new_name(), asyncio.Event()
    before = await site.begin(name, trial)
    plan = Plan(number, WireFault.HANG_AFTER, heard=lambda at, _: applied.set() if at == number else None)
    async with AsyncExitStack() as stack:
        ports = site.azurite.blob_port, site.azurite.table_port
        blobs, tables = [await stack.enter_async_context(FaultProxy(port, plan)) for port in ports]
        url = f"azurite://127.0.0.1:{blobs.port}:{tables.port}/{name}?table={name}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.mover", url, trial.scenario.name
        )
        try:
            await applied.wait()
        finally:
            process.kill()
            await process.wait()
    assert (process.returncode, plan.fired) == (-signal.SIGKILL, 1)
    assert len(plan.requests) >= number  # more where some are sent side by side
    await check_killed(site, trial.scenario, name, before)
