"""On a real Azurite, over real sockets: each request of each scenario goes wrong on the wire.

What the API reports must be what an independent reader sees afterwards; a single transient fault must be invisible.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from catalog import Catalog, CatalogError, OutcomeUnknownError, Settings, UnavailableError, Volume, connect
from catalog.backends import backend
from catalog.locations import parse_location
from tests.faults.observer import State, look_at
from tests.faults.ports import Fault, FaultContent, FaultTable, Wire
from tests.faults.proxy import FaultProxy, Plan, WireFault
from tests.faults.scenarios import SCENARIOS, Scenario, Told, contents, digests, prepare
from tests.faults.test_every_fault import acknowledged, volumes
from tests.faults.world import outlived
from tests.harness import tally
from tests.harness.invariants import (
    check_said,
    check_settled,
    no_session_is_left,
    s2_failures_left_nothing,
    s3_resolve_tells_the_truth,
    s6_second_recovery_writes_nothing,
)

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
IN_FULL = ("overwrite",)
"""Each request of these fails in each way."""
IN_TURN = (
    "create", "delete", "overwrite-nothing", "if-version", "staged", "put_many", "recover", "create_volume", "read",
    "copy", "restore", "set_metadata", "move-apart",
)  # fmt: skip
"""Each request of these fails in two ways, and the next one in the next two; all of them where EVERY is set."""
IN_AN_OUTAGE = ("overwrite", "delete", "staged", "put_many", "create_volume")
EVERY = "BLOBCAT_EVERY_FAULT" in os.environ
SETTINGS = Settings(one_shot_bytes=24, block_bytes=8, request_timeout_s=1)
HASTY = replace(SETTINGS, timeout_s=1.5, request_timeout_s=0.5)
AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Site:
    """An Azurite, and plain SDK clients that look at it from the side."""

    azurite: Azurite
    tables: TableServiceClient
    blobs: BlobServiceClient

    async def look(self, name: str) -> State:
        """The state of one catalog: a table and a container of one name."""
        return await look_at(self.tables, self.blobs, name)

    @asynccontextmanager
    async def client(
        self, name: str, plan: Plan | None = None, settings: Settings = SETTINGS
    ) -> AsyncIterator[Catalog]:
        """A client of one catalog: straight to Azurite, or through proxies that follow a plan."""
        async with AsyncExitStack() as stack:
            ports = self.azurite.blob_port, self.azurite.table_port
            if plan is not None:
                proxies = [await stack.enter_async_context(FaultProxy(port, plan)) for port in ports]
                ports = proxies[0].port, proxies[1].port
            url = f"azurite://127.0.0.1:{ports[0]}:{ports[1]}/{name}?table={name}"
            yield await stack.enter_async_context(connect(url, settings=settings))

    async def prepare(self, name: str, scenario: Scenario) -> State:
        """Bring a new catalog to where a scenario begins."""
        async with self.client(name) as catalog:
            await prepare(catalog, scenario)
        for path, requests in scenario.half_done.items():
            await self.leave_half_done(name, path, requests)
        return await self.look(name)

    async def leave_half_done(self, name: str, path: str, requests: int) -> None:
        """Begin a put, and kill its client after so many requests of it."""
        url, wire = f"{self.azurite.url}/{name}?table={name}", Wire()
        ports = backend(parse_location(url), None, SETTINGS)
        catalog = Catalog(FaultTable(ports.table, wire), FaultContent(ports.content, wire), settings=SETTINGS)
        volume = await catalog.volume("v")
        wire.at, wire.fault = len(wire.sent) + requests, Fault.CRASH_AFTER
        assert await outlived(wire, volume.put(path, b"never seen")) is None
        for each in (catalog, ports.table, ports.content):
            await each.close()


@pytest.fixture
async def site(azurite: Azurite) -> AsyncIterator[Site]:
    endpoint = f"http://127.0.0.1:{azurite.table_port}/{ACCOUNT_NAME}"
    async with (
        TableServiceClient(endpoint, credential=AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)) as tables,
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
    ):
        yield Site(azurite, tables, blobs)
    no_session_is_left()


@pytest.mark.parametrize("name", [*IN_FULL, *IN_TURN])
async def test_one_fault_on_the_wire_is_invisible(site: Site, name: str) -> None:
    scenario, kinds = BY_NAME[name], list(WireFault)
    number = await count_requests(site, scenario)
    plans = [Plan(at, fault) for at in range(1, number + 1) for fault in kinds]
    if name in IN_TURN and not EVERY:
        plans = [Plan(at, kinds[(2 * at + which) % len(kinds)]) for at in range(1, number + 1) for which in (0, 1)]
    await side_by_side([lambda plan=plan: run_once(site, scenario, plan) for plan in plans])  # type: ignore[misc]
    all_fired(plans)


@pytest.mark.parametrize("name", IN_AN_OUTAGE)
async def test_an_outage_on_the_wire_ends_in_the_truth(site: Site, name: str) -> None:
    scenario = BY_NAME[name]
    number = await count_requests(site, scenario)
    plans = [Plan(at, WireFault.DROP_AFTER, on=True) for at in range(1, number + 1)]
    await side_by_side([lambda plan=plan: run_on(site, scenario, plan) for plan in plans])  # type: ignore[misc]
    all_fired(plans)


def all_fired(plans: Sequence[Plan]) -> None:
    tally.count("faults fired", sum(plan.fired for plan in plans))
    tally.count("scenarios × faults", len(plans))
    empty = [plan for plan in plans if not plan.fired]
    tally.count("cells empty", len(empty))
    assert empty == []


async def count_requests(site: Site, scenario: Scenario) -> int:
    """How many requests a scenario takes when nothing goes wrong; and that the proxies change nothing."""
    plan, name = Plan(), new_name()
    await site.prepare(name, scenario)
    async with site.client(name, plan) as client:
        await scenario.act(client)
    assert contents(await site.look(name)) == digests(scenario.then)
    return len(plan.requests)


async def run_once(site: Site, scenario: Scenario, plan: Plan) -> None:
    name = new_name()
    before = await site.prepare(name, scenario)
    async with site.client(name, plan) as client:
        said = await scenario.act(client)
        assert [type(item) for item in said if isinstance(item, CatalogError)] == list(scenario.errors), plan
        after = await site.look(name)
        assert contents(after) == digests(scenario.then), f"S9: {plan}"
        assert volumes(after) == (sorted(scenario.volumes), scenario.default), plan
        check_said(before, after, said)
        await recover(site, name)
        assert (await (await client.volume("v")).put("later", b"later")).version == 1


async def run_on(site: Site, scenario: Scenario, plan: Plan) -> None:
    name = new_name()
    before = await site.prepare(name, scenario)
    async with site.client(name, plan, HASTY) as client:
        try:
            said = await scenario.act(client)
        except UnavailableError as error:
            said = [error]
        plan.fault = None
        said = [await resolved(site, name, item) for item in said]
        after = await site.look(name)
        check_said(before, after, said)
        s2_failures_left_nothing(before, after, acknowledged(said))
        if any(isinstance(item, UnavailableError) for item in said):
            assert volumes(after) == volumes(before), f"S2: {plan}"
        await recover(site, name)
        assert (await (await opened(client)).put("later", b"later", timeout_s=60)).version == 1


async def opened(client: Catalog) -> Volume:
    """The volume; on a busy machine a hasty client may have to ask again."""
    for _ in range(10):
        with suppress(UnavailableError):
            return await client.volume("v")
    return await client.volume("v")


async def resolved(site: Site, name: str, item: Told) -> Told:
    """What was said; or the truth, which a healthy client finds, and finds again (S3)."""
    if not isinstance(item, OutcomeUnknownError) or not item.token:
        return item
    async with site.client(name) as healthy:
        answers = [await healthy.resolve(item.token) for _ in range(2)]
        s3_resolve_tells_the_truth(await site.look(name), item.token, answers)
        return answers[0]


async def recover(site: Site, name: str) -> None:
    """Once settles everything; twice changes nothing (S6)."""
    async with site.client(name) as healthy:
        await healthy.recover(patience_s=0)
        once = await site.look(name)
        check_settled(once)
        assert (await healthy.recover(patience_s=0)).quiet
        s6_second_recovery_writes_nothing(once, await site.look(name), wrote=())


async def side_by_side(runs: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Runs that have nothing in common but Azurite."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def in_place(run: Callable[[], Awaitable[None]]) -> None:
        async with places:
            await run()

    async with asyncio.TaskGroup() as tasks:
        for run in runs:
            tasks.create_task(in_place(run))


def new_name() -> str:
    return f"t{uuid4().hex}"
