"""Azurite as a place for catalogs: clients of each kind, and what must hold after any of them met a fault.

What the API reports must be what an independent reader sees afterwards; a single transient fault must be invisible.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from catalog import Catalog, CatalogError, OutcomeUnknownError, Settings, UnavailableError, Volume, connect
from catalog.azure_table import AzureTable, table_client
from catalog.backends import backend
from catalog.locations import parse_location
from catalog.retry import Clock
from storage.azure_blob import AzureBlobContent, blob_client
from tests.faults import transport as transports
from tests.faults.observer import State, look_at
from tests.faults.plan import Plan
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock, Wire
from tests.faults.proxy import FaultProxy, WireFault
from tests.faults.scenarios import Scenario, Told, contents, digests, prepare
from tests.faults.test_every_fault import acknowledged, volumes
from tests.faults.world import outlived
from tests.harness import tally
from tests.harness.invariants import (
    check,
    check_grown,
    check_said,
    check_settled,
    no_session_is_left,
    s2_failures_left_nothing,
    s3_resolve_tells_the_truth,
    s6_second_recovery_writes_nothing,
)
from tests.harness.nightly import NIGHTLY

EVERY = NIGHTLY
"""Each request in each way; otherwise each in some, and the next in the next."""
SETTINGS = Settings(one_shot_bytes=24, block_bytes=8, request_timeout_s=1)
HASTY = replace(SETTINGS, timeout_s=1.5, request_timeout_s=0.5)
AT_A_TIME = 8
TRIES = 20
"""Commits of one moment share a batch, so a run may send fewer requests than the trial did: it is tried again."""

Opened = Callable[[str, Plan[Any], Settings], AbstractAsyncContextManager[Catalog]]
"""A client of a catalog, that meets what a plan says."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a catalog, as it is kept; a copy of it is as good as one that was brought there by clients."""

    entities: Sequence[TableEntity]
    blobs: Sequence[tuple[str, bytes, Mapping[str, str], str]]
    """Name, content, metadata, and the etag that rows may know them by."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario, where it begins, and what it sends when nothing goes wrong."""

    scenario: Scenario
    snapshot: Snapshot
    requests: Sequence[str]


@dataclass(frozen=True, slots=True)
class Site:
    """An Azurite, and plain SDK clients that look at it from the side."""

    azurite: Azurite
    tables: TableServiceClient
    blobs: BlobServiceClient

    async def look(self, name: str) -> State:
        """The state of one catalog: a table and a container of one name."""
        return await look_at(self.tables, self.blobs, name)

    def client(self, name: str, settings: Settings = SETTINGS) -> AbstractAsyncContextManager[Catalog]:
        """A healthy client of one catalog."""
        return connect(f"{self.azurite.url}/{name}?table={name}", settings=settings)

    @asynccontextmanager
    async def behind_proxies(
        self, name: str, plan: Plan[WireFault], settings: Settings = SETTINGS
    ) -> AsyncIterator[Catalog]:
        """A client whose connections go through proxies that follow a plan."""
        async with AsyncExitStack() as stack:
            ports = self.azurite.blob_port, self.azurite.table_port
            proxies = [await stack.enter_async_context(FaultProxy(port, plan)) for port in ports]
            url = f"azurite://127.0.0.1:{proxies[0].port}:{proxies[1].port}/{name}?table={name}"
            yield await stack.enter_async_context(connect(url, settings=settings))

    @asynccontextmanager
    async def behind_transports(
        self,
        name: str,
        plan: Plan[transports.Fault],
        settings: Settings = SETTINGS,
        *,
        clock: Callable[[], Clock] = VirtualClock,
    ) -> AsyncIterator[Catalog]:
        """A client whose SDKs send through transports that follow a plan. Its pauses take no time."""
        key = AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)
        ends = [f"http://127.0.0.1:{port}/{ACCOUNT_NAME}" for port in (self.azurite.table_port, self.azurite.blob_port)]
        table = table_client(ends[0], name, key, transport=transports.FaultTransport(plan))
        blobs = blob_client(ends[1], name, key, transport=transports.FaultTransport(plan))
        catalog = Catalog(AzureTable(table), AzureBlobContent(blobs), settings=settings, clock=clock(), writer="test")
        try:
            yield catalog
        finally:
            await catalog.close()

    async def trial(self, scenario: Scenario, opened: Opened) -> Trial:
        """Bring a catalog to where a scenario begins, and go through it: what stands between changes nothing."""
        plan, name = Plan[Any](), new_name()
        async with self.client(name) as catalog:
            await prepare(catalog, scenario)
        for path, requests in scenario.half_done.items():
            await self.leave_half_done(name, path, requests)
        snapshot = await self._snapshot(name)
        async with opened(name, plan, SETTINGS) as client:
            await scenario.act(client)
            assert scenario.then is None or contents(await self.look(name)) == digests(scenario.then)
            return Trial(scenario, snapshot, list(plan.requests))

    async def begin(self, name: str, trial: Trial) -> State:
        """A catalog of that name, where the trial begins."""
        table, container = self.tables.get_table_client(name), self.blobs.get_container_client(name)
        await asyncio.gather(table.create_table(), container.create_container())
        etags = {}
        for blob, content, metadata, etag in trial.snapshot.blobs:
            made = await container.upload_blob(blob, content, metadata=dict(metadata))
            etags[etag] = (await made.get_blob_properties()).etag.strip('"')
        batches: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for entity in trial.snapshot.entities:
            values = {
                key: etags.get(value, value) if isinstance(value, str) else value for key, value in entity.items()
            }
            batches[entity["PartitionKey"]].append(("create", values))
        for batch in batches.values():
            await table.submit_transaction(batch)
        return await self.look(name)

    async def _snapshot(self, name: str) -> Snapshot:
        table, container = self.tables.get_table_client(name), self.blobs.get_container_client(name)
        blobs = [
            (blob.name, await (await container.download_blob(blob.name)).readall(), blob.metadata or {}, blob.etag)
            async for blob in container.list_blobs(include=["metadata"])
        ]
        return Snapshot([entity async for entity in table.list_entities()], blobs)

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


@asynccontextmanager
async def site_of(azurite: Azurite) -> AsyncIterator[Site]:
    """The site that an Azurite is."""
    endpoint = f"http://127.0.0.1:{azurite.table_port}/{ACCOUNT_NAME}"
    async with (
        TableServiceClient(endpoint, credential=AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)) as tables,
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
    ):
        yield Site(azurite, tables, blobs)
    no_session_is_left()


async def run_once(site: Site, trial: Trial, plan: Plan[Any], opened: Opened) -> None:
    """One fault is invisible. Where it left nothing behind, there is nothing to recover."""
    name, scenario = new_name(), trial.scenario
    before = await site.begin(name, trial)
    async with opened(name, plan, SETTINGS) as client:
        said = await scenario.act(client)
        assert [type(item) for item in said if isinstance(item, CatalogError)] == list(scenario.errors), plan
        after = await site.look(name)
        assert contents(after) == digests(scenario.then), f"S9: {plan}"
        assert volumes(after) == (sorted(scenario.volumes), scenario.default), plan
        check_said(before, after, said)
        if EVERY or not _settled(after):
            await recover(site, name)
        if EVERY or plan.at == len(trial.requests):
            assert (await (await client.volume("v")).put("later", b"later")).version == 1


async def run_on(site: Site, trial: Trial, plan: Plan[Any], opened: Opened) -> None:
    """An outage ends in the truth."""
    name = new_name()
    before = await site.begin(name, trial)
    async with opened(name, plan, HASTY) as client:
        try:
            said = await trial.scenario.act(client)
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
        assert (await (await opened_volume(client)).put("later", b"later", timeout_s=60)).version == 1


async def run_killed(site: Site, trial: Trial, plan: Plan[Any], opened: Opened) -> None:
    """A client that dies leaves nothing half-done."""
    name = new_name()
    before = await site.begin(name, trial)
    async with opened(name, plan, SETTINGS) as client:
        assert await outlived(plan, trial.scenario.act(client)) is None
        await check_killed(site, trial.scenario, name, before)


async def check_killed(site: Site, scenario: Scenario, name: str, before: State) -> None:
    """What a dead client did is a beginning of what it was to do, and recovery changes nothing that is seen."""
    after = await site.look(name)
    check(after)
    check_grown(before, after)
    done, expected = contents(after), digests(scenario.then)
    assert all(versions == expected[path][: len(versions)] for path, versions in done.items())
    await recover(site, name)
    assert contents(await site.look(name)) == done, "recovery changed what a reader sees"


async def opened_volume(client: Catalog) -> Volume:
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
        s6_second_recovery_writes_nothing(once, await site.look(name), ())


async def try_all(
    run: Callable[[Site, Trial, Plan[Any], Opened], Awaitable[None]],
    site: Site,
    trial: Trial,
    plans: Sequence[Plan[Any]],
    opened: Opened,
) -> None:
    """Runs that have nothing in common but Azurite, side by side. The fault of each must have happened."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def in_place(plan: Plan[Any]) -> None:
        async with places:
            for _ in range(TRIES):
                plan.requests.clear()
                await run(site, trial, plan, opened)
                if plan.fired:
                    return

    async with asyncio.TaskGroup() as tasks:
        for plan in plans:
            tasks.create_task(in_place(plan))
    empty = [plan for plan in plans if not plan.fired]
    tally.count("faults fired", sum(plan.fired for plan in plans))
    tally.count("scenarios × faults", len(plans))
    tally.count("cells empty", len(empty))
    assert empty == []


def _settled(state: State) -> bool:
    try:
        check_settled(state)
    except AssertionError:
        return False
    return True


def new_name() -> str:
    """Of a table and a container that no other run has."""
    return f"t{uuid4().hex}"
