"""The null server is answered by Microsoft's clients and by ours alike: what it says is what the services say."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME
from catalog import F, connect
from scripts import bench_answers as answers
from scripts.bench_null import NullServer
from scripts.bench_peers import connection_string
from storage.azure_blob import AzureBlobContent, blob_client
from storage.content import Always, Span

ROWS = 3_000
BLOCKS: Any = {"max_single_put_size": 1 << 20, "max_block_size": 1 << 20}


@pytest.fixture(scope="module")
def null() -> Iterator[NullServer]:
    with NullServer(rows=ROWS) as running:
        yield running


@pytest.fixture
def told(null: NullServer) -> str:
    return connection_string(null.endpoint, null.endpoint)


async def test_microsofts_table_client_is_answered(told: str) -> None:
    entities = [{"PartitionKey": "p", "RowKey": f"{number}", "size": number} for number in range(100)]
    async with TableClient.from_connection_string(told, "bench") as client:
        written = await client.submit_transaction([("create", entity) for entity in entities])
        assert len(written) == len(entities)
        assert all(each["etag"].startswith("W/") for each in written)
        assert (await client.upsert_entity(entities[0]))["etag"]
        assert (await client.get_entity("p", "h"))["path"] == answers.file(0).path
        await client.delete_entity("p", "h")
        found: list[Any] = [each async for each in client.query_entities("RowKey ge 'h'", results_per_page=1000)]
    assert [each["path"] for each in found] == [answers.file(number).path for number in range(ROWS)]
    assert found[7]["size"].value == answers.file(7).size


async def test_microsofts_blob_client_is_answered(told: str) -> None:
    async with ContainerClient.from_connection_string(told, "bench", **BLOCKS) as client:
        assert (await client.upload_blob("small", b"x")).blob_name == "small"
        await client.upload_blob("large", io.BytesIO(bytes(5 << 20)))
        assert await (await client.download_blob("small")).readall() == answers.SMALL
        large = await client.download_blob(f"large-{40 << 20}")  # more than one request of the SDK's
        assert len(await large.readall()) == 40 << 20
        assert (await client.get_blob_client("large-7").get_blob_properties()).size == 7
        assert len([blob async for blob in client.list_blobs()]) == answers.LISTED
        await client.delete_blob("small")


async def test_our_content_store_is_answered(null: NullServer) -> None:
    key = AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)
    store = AzureBlobContent(blob_client(null.endpoint, "bench", key))
    try:
        async with store.open("large-3000000") as opened:
            assert opened.blob.size == 3_000_000
            assert sum([len(chunk) async for chunk in opened.chunks]) == 3_000_000
        async with store.open("large-3000000", span=Span(10, 5)) as opened:
            assert [chunk async for chunk in opened.chunks] == [bytes(5)]
        assert len([blob async for blob in store.list()]) == answers.LISTED
        await store.delete("any", when=Always())
    finally:
        await store.close()


async def test_a_catalog_is_opened_queried_and_written(null: NullServer) -> None:
    async with connect(null.url) as cat:
        volume = await cat.volume()
        assert len([file async for file in volume.query(F.size > 0)]) == ROWS * answers.SHARDS
        assert (await volume.stat(answers.file(0).path)) == answers.file(0)
        written = await volume.put(answers.file(0).path, bytes(20 << 20))
        assert (written.version, written.size) == (2, 20 << 20)
