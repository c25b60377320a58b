"""A real process, killed -9 when the proxy says that request N was applied, for every N, leaves nothing half-done."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import pytest

from tests.faults.plan import Plan
from tests.faults.proxy import FaultProxy, WireFault
from tests.faults.scenarios import SCENARIOS
from tests.faults.site import Site, Trial, check_killed, new_name

SCENARIO = {"put": "overwrite", "move": "move"}
AT_A_TIME = 2


@pytest.mark.parametrize("act", SCENARIO)
async def test_killed_at_any_request_it_leaves_nothing_half_done(site: Site, act: str) -> None:
    scenario = next(each for each in SCENARIOS if each.name == SCENARIO[act])
    trial, places = await site.trial(scenario, site.behind_proxies), asyncio.Semaphore(AT_A_TIME)

    async def in_place(number: int) -> None:
        async with places:
            await killed(site, trial, act, number)

    async with asyncio.TaskGroup() as tasks:
        for number, _ in enumerate(trial.requests, 1):
            tasks.create_task(in_place(number))


async def killed(site: Site, trial: Trial, act: str, number: int) -> None:
    """Its last answer never comes, so what it does not know it cannot have acted upon."""
    name, applied = new_name(), asyncio.Event()
    before = await site.begin(name, trial)
    plan = Plan(number, WireFault.HANG_AFTER, heard=lambda at, _: applied.set() if at == number else None)
    async with AsyncExitStack() as stack:
        ports = site.azurite.blob_port, site.azurite.table_port
        blobs, tables = [await stack.enter_async_context(FaultProxy(port, plan)) for port in ports]
        url = f"azurite://127.0.0.1:{blobs.port}:{tables.port}/{name}?table={name}"
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.faults.mover", url, act)
        try:
            await applied.wait()
        finally:
            process.kill()
            await process.wait()
    assert (process.returncode, plan.fired, len(plan.requests)) == (-signal.SIGKILL, 1, number)
    await check_killed(site, trial.scenario, name, before)
