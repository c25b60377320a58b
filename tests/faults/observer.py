"""An independent reader: raw rows and raw blobs, read by none of the catalog's code, and what must be true of them.

It knows the rows of a volume as 02-protocol describes them: `h…` heads, `v…` versions, `i…` intents, `g…` gates.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from catalog.keys import RowRange
from catalog.table import (
    Table,
)
from storage import ContentStore

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bytes:
    """A blob as it lies there."""

    digest: str
    size: int
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """All that a catalog consists of."""

    rows: Mapping[tuple[str, str], Values]
    blobs: Mapping[str, Bytes]

    def of(self, letter: str) -> list[Values]:
        """The rows of a kind, in all partitions but the registry's."""
        return [values for (key, row), values in sorted(self.rows.items()) if key != "~" and row[0] == letter]

    @property
    def histories(self) -> dict[str, list[Values]]:
        """The versions of each path, oldest first."""
        found: dict[str, list[Values]] = defaultdict(list)
        for values in self.of("v"):
            found[values["path"]].append(values)
        return {path: sorted(rows, key=lambda row: int(row["version"])) for path, rows in found.items()}

    @property
    def ops(self) -> dict[str, list[str]]:
        """The op ids of each path's versions, oldest first."""
        return {path: [row["op"] for row in rows] for path, rows in self.histories.items()}

    @property
    def open_intents(self) -> list[Values]:
        """The changes that nobody has settled."""
        return [values for values in self.of("i") if values["state"] == "open"]

    @property
    def unreferenced(self) -> set[str]:
        """The blobs that no version names."""
        return self.blobs.keys() - {row["blob"] for row in self.of("v")}


def check(state: State) -> None:
    """What is true at any moment, whatever happened before: S4, S5, S7, S10 and no double version."""
    heads = {values["path"]: values for values in state.of("h")}
    assert heads.keys() == state.histories.keys(), "S10: a head and its version row are one transaction"
    for path, history in state.histories.items():
        assert [row["version"] for row in history] == list(range(1, len(history) + 1)), f"S7: {path} has gaps"
        assert heads[path] == history[-1], f"S7: the head of {path} is its last version"
        assert len({row["op"] for row in history}) == len(history), f"S9: an op made two versions of {path}"
        created = [row["created"] for row in history]
        assert created == sorted(set(created)), f"{path}: each version is labelled later than the one before"
        for row in history:
            _check_content(state, row)


def _check_content(state: State, row: Values) -> None:
    where = f"version {row['version']} of {row['path']}"
    if row["kind"] == "delete":
        assert not row["blob"], where
        return
    blob = state.blobs.get(row["blob"])
    assert blob, f"S5: the content of {where} is gone"
    assert (blob.digest, blob.size) == (row["digest"], row["size"]), f"S4: {where} has other bytes"
    assert blob.metadata["op"] == row["op"], f"S5: {where} has another op's content"


def check_settled(state: State) -> None:
    """What is true once recovery went through: nothing is half-done, nothing is left over."""
    check(state)
    assert not state.open_intents, "an open intent is left"
    assert not state.unreferenced, "content is left that no version names"


def check_grown(before: State, after: State) -> None:
    """S11: nothing of the history that was there has changed."""
    for key, values in before.rows.items():
        if key[0] != "~" and key[1][0] == "v":
            assert after.rows.get(key) == values, f"S11: {key[1]} was changed"


async def look(table: Table, content: ContentStore) -> State:
    """The state behind two ports, from below whatever stands before them. Everything is in one partition per shard."""
    rows: dict[tuple[str, str], Values] = {}
    for partition in ["~", *[p async for p in _partitions(table)]]:
        async for page in table.query(partition, RowRange(" ", "\ufffd")):
            rows.update({(partition, entity.row): entity.values for entity in page})
    blobs = {}
    async for blob in content.list():
        async with content.open(blob.name) as opened:
            data = b"".join([chunk async for chunk in opened.chunks])
        blobs[blob.name] = _bytes(data, blob.headers.metadata)
    return State(rows, blobs)


async def _partitions(table: Table) -> Any:
    async for page in table.query("~", RowRange("v", "w")):
        for entity in page:
            for shard in range(int(entity.values["shards"])):
                yield f"{entity.values['epoch']}~{shard:02x}"


async def look_at(tables: TableServiceClient, blobs: BlobServiceClient, name: str) -> State:
    """The state of a catalog on Azure, whose table and container have this name, read by plain SDK clients."""
    rows = {}
    async for entity in tables.get_table_client(name).list_entities():
        values = {key: getattr(value, "value", value) for key, value in entity.items()}
        rows[values.pop("PartitionKey"), values.pop("RowKey")] = values
    found, client = {}, blobs.get_container_client(name)
    async for blob in client.list_blobs(include=["metadata"]):
        data = await (await client.download_blob(blob.name)).readall()
        found[blob.name] = _bytes(data, blob.metadata or {})
    return State(rows, found)


def _bytes(data: bytes, metadata: Mapping[str, str]) -> Bytes:
    return Bytes(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), dict(metadata))
