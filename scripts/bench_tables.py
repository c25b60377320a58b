"""P1, P2 and P3: the table's client alone, against the null server."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import EdmType, EntityProperty
from azure.data.tables.aio import TableClient

from catalog import F, connect
from catalog.azure_table import AzureTable, table_client
from catalog.columns import head_values
from catalog.keys import head_row, partition
from catalog.table import OPERATIONS_MAX, Insert
from scripts import bench_answers as answers
from scripts.bench_measure import Work, closing, cpu_us, in_turn, rate
from scripts.bench_null import NullServer
from scripts.bench_peers import ACCOUNT, KEY, connection_string
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale

SDK: Final = "azure-data-tables"


def batch() -> list[Insert]:
    """A full transaction of heads."""
    files = map(answers.file, range(OPERATIONS_MAX))
    return [Insert(head_row(file.path), head_values(file)) for file in files]


def as_sdk(operations: Sequence[Insert]) -> list[tuple[str, dict[str, Any]]]:
    """The same, as the SDK's documentation shows it: whole numbers of 64 bits are said to be such."""
    return [("create", _sdk_entity(each.row, each.values)) for each in operations]


def _sdk_entity(row: str, values: Mapping[str, Any]) -> dict[str, Any]:
    typed = {
        name: EntityProperty(value, EdmType.INT64) if type(value) is int else value for name, value in values.items()
    }
    return {"PartitionKey": partition(answers.EPOCH, 0), "RowKey": row, **typed}


async def tables(scale: Scale) -> list[Row]:
    """All three."""
    with NullServer(rows=scale.count(1_000, least=1_000)) as null:
        credential = AzureNamedKeyCredential(ACCOUNT, KEY)
        table = AzureTable(table_client(null.endpoint, answers.VOLUME, credential))
        told = connection_string(null.endpoint, null.endpoint)
        sdk = TableClient.from_connection_string(told, answers.VOLUME)
        async with closing(table, sdk):
            return [*await _writes(scale, table, sdk), *await _queries(scale, null.url, sdk)]


async def _writes(scale: Scale, table: AzureTable, sdk: TableClient) -> list[Row]:
    batches, few = scale.count(60, least=4), scale.count(10)
    operations, entities = batch(), as_sdk(batch())

    async def ours() -> float:
        for _ in range(batches):
            await table.submit(partition(answers.EPOCH, 0), operations)
        return batches * OPERATIONS_MAX

    async def theirs() -> float:
        for _ in range(few):
            await sdk.submit_transaction(entities)
        return few * OPERATIONS_MAX

    async def shards() -> float:
        async def shard(number: int) -> None:
            for _ in range(max(1, batches // 4)):
                await table.submit(partition(answers.EPOCH, number), operations)

        await asyncio.gather(*map(shard, range(answers.SHARDS)))
        return max(1, batches // 4) * answers.SHARDS * OPERATIONS_MAX

    found = await in_turn(scale.rounds(5), {"ours": ours, "theirs": theirs, "shards": shards}, warm=True)
    less = Goal("≥", 20, "peer / ours", "× less")
    return [
        Row(
            "P1",
            "batched writes, client CPU per entity",
            "µs",
            found["ours", cpu_us],
            f"{SDK} submit_transaction",
            found["theirs", cpu_us],
            (Goal("≤", 10), less),
        ),
        Row(
            "P2",
            f"one process, {answers.SHARDS} shards, entities written",
            "/s",
            found["shards", rate],
            f"{SDK}, one after the other",
            found["theirs", rate],
            (Goal("≥", 20_000),),
            better="more",
            details={"cpu_us": found["shards", cpu_us].median},
        ),
    ]


async def _queries(scale: Scale, url: str, sdk: TableClient) -> list[Row]:
    async with connect(url) as cat:
        volume = await cat.volume()

        async def ours() -> float:
            return len([file async for file in volume.query(F.size > 0)])

        async def listed() -> float:
            return len([file async for file in volume.list(recursive=True)])

        async def theirs() -> float:
            """The very same rows."""
            found = []
            for shard in range(answers.SHARDS):
                where = f"PartitionKey eq '{partition(answers.EPOCH, shard)}' and RowKey ge 'h' and RowKey lt 'i'"
                found += [entity async for entity in sdk.query_entities(where, results_per_page=answers.PAGE_ROWS)]
            return len(found)

        works: dict[str, Work] = {"ours": ours, "listed": listed, "theirs": theirs}
        found = await in_turn(scale.rounds(5), works, warm=True)
    peer = f"{SDK} query_entities, dicts"
    return [
        Row(
            "P3",
            "query to typed records, client CPU per entity",
            "µs",
            found["ours", cpu_us],
            peer,
            found["theirs", cpu_us],
            (Goal("≤", 8), Goal("≥", 4, "peer / ours", "× less")),
            details={"wall_rate": found["ours", rate].median},
        ),
        Row(
            "P3",
            "list(recursive=True), client CPU per file",
            "µs",
            found["listed", cpu_us],
            peer,
            found["theirs", cpu_us],
        ),
    ]
