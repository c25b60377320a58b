"""What the faked transport raises is what a real connection raises that breaks in the same way: type by type."""

from collections.abc import Awaitable, Callable

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME
from catalog.azure_table import AzureTable, table_client
from catalog.keys import RowRange
from catalog.table import Insert
from storage import Always, Headers
from storage.azure_blob import AzureBlobContent, blob_client
from storage.azure_transport import SingleShotTransport
from storage.errors import CatalogError
from tests.faults.plan import Plan
from tests.faults.proxy import FaultProxy, WireFault
from tests.faults.site import Site, new_name
from tests.faults.transport import Fault, FaultTransport
from tests.storage.servers import closed_port

SAME = {
    WireFault.DROP_BEFORE: Fault.LOST_BEFORE_FIN,
    WireFault.RESET_BEFORE: Fault.LOST_BEFORE_RST,
    WireFault.DROP_AFTER: Fault.LOST_AFTER_FIN,
    WireFault.RESET_AFTER: Fault.LOST_AFTER_RST,
    WireFault.STATUS_503_BEFORE: Fault.STATUS_503,
    WireFault.STATUS_500_AFTER: Fault.STATUS_500_AFTER,
    WireFault.HALF_HEADERS: Fault.HALF_HEADERS,
    WireFault.CUT_ANSWER: Fault.HALF_BODY,
    WireFault.HANG_AFTER: Fault.TIMED_OUT_AFTER,
}
READ_TIMEOUT_S = 0.5

Call = Callable[[str, int, int, SingleShotTransport], Awaitable[object]]


def endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}/{ACCOUNT_NAME}"


def key() -> AzureNamedKeyCredential:
    return AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)


async def insert(name: str, table_port: int, _: int, transport: SingleShotTransport) -> None:
    table = AzureTable(table_client(endpoint(table_port), name, key(), transport=transport))
    try:
        await table.submit("p", [Insert("r", {"a": 1})])
    finally:
        await table.close()


async def query(name: str, table_port: int, _: int, transport: SingleShotTransport) -> None:
    table = AzureTable(table_client(endpoint(table_port), name, key(), transport=transport))
    try:
        assert [page async for page in table.query("p", RowRange("a", "z"))]
    finally:
        await table.close()


async def put(name: str, _: int, blob_port: int, transport: SingleShotTransport) -> None:
    content = AzureBlobContent(blob_client(endpoint(blob_port), name, key(), transport=transport))
    try:
        await content.put("new", b"content", when=Always(), headers=Headers())
    finally:
        await content.close()


async def read(name: str, _: int, blob_port: int, transport: SingleShotTransport) -> None:
    content = AzureBlobContent(blob_client(endpoint(blob_port), name, key(), transport=transport))
    try:
        async with content.open("there") as opened:
            assert b"".join([chunk async for chunk in opened.chunks]) == b"some content"
    finally:
        await content.close()


def types(error: BaseException | None) -> list[str]:
    """An error of ours, and what it says caused it: azure-core's, and aiohttp's within it."""
    found: list[str] = []
    while error is not None:
        found.append(f"{type(error).__name__} {getattr(error, 'kind', '')}".strip())
        error = (error.inner_exception if isinstance(error, AzureError) else None) or error.__cause__
    return found


async def raised(call: Awaitable[object]) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        await call
    return types(caught.value)


@pytest.mark.parametrize("call", [insert, query, put, read])
@pytest.mark.parametrize("real", SAME, ids=lambda fault: fault.value)
async def test_it_raises_what_a_real_connection_raises(site: Site, call: Call, real: WireFault) -> None:
    name = new_name()
    await site.tables.create_table(name)
    await (await site.blobs.create_container(name)).upload_blob("there", b"some content")
    await site.tables.get_table_client(name).create_entity({"PartitionKey": "p", "RowKey": "m"})
    ports = site.azurite.table_port, site.azurite.blob_port
    wire, plan = Plan(1, real), Plan(1, SAME[real])
    async with FaultProxy(ports[0], wire) as tables, FaultProxy(ports[1], wire) as blobs:
        patient = SingleShotTransport(trust_env=False, read_timeout=READ_TIMEOUT_S)
        expected = await raised(call(name, tables.port, blobs.port, patient))
    await site.tables.get_table_client(name).delete_entity("p", "r")  # else the second insert is a conflict
    assert await raised(call(name, *ports, FaultTransport(plan))) == expected
    assert (wire.fired, plan.fired) == (1, 1)


async def test_a_refused_connection_is_proof_as_the_real_one_is(site: Site) -> None:
    name, port, plan = new_name(), closed_port(), Plan(1, Fault.REFUSED)
    expected = await raised(insert(name, port, port, SingleShotTransport(trust_env=False)))
    assert await raised(insert(name, site.azurite.table_port, 0, FaultTransport(plan))) == expected
    assert plan.fired == 1
