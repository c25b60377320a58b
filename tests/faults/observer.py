"""An independent reader: raw rows and raw blobs, read by none of the catalog's code. What must hold: `invariants`.

It knows the rows of a volume as 02-protocol describes them: `h…` heads, `v…` versions, `i…` intents, `g…` gates,
`q…` requests, `c…` changes. A head that a move between two shards has claimed has columns of its own, `moving…`, and an
intent with a `target` beside it. Versions that were copied, moved or restored share a blob with the put that wrote it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from catalog.keys import RowRange
from catalog.table import Table
from storage import ContentStore

Values = Mapping[str, Any]
OURS = "/.versions/"
"""In the names of blobs that volumes write: all others are somebody else's."""


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

    @property
    def volumes(self) -> list[Values]:
        """The rows of all volumes, also of those that were deleted."""
        return [values for (key, row), values in self.rows.items() if key == "~" and row[0] in "vd"]

    def of(self, letter: str) -> list[Values]:
        """The rows of a kind, of all volumes; also of those that were deleted, not of those that never came to be."""
        epochs = {values["epoch"] for values in self.volumes}
        return [
            values
            for (key, row), values in sorted(self.rows.items())
            if row[0] == letter and key.partition("~")[0] in epochs
        ]

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
    def made(self) -> set[str]:
        """The ids of all ops that made a version."""
        return {row["op"] for row in self.of("v")}

    @property
    def open_intents(self) -> list[Values]:
        """The changes that nobody has settled."""
        return [values for values in self.of("i") if values["state"] == "open"]

    @property
    def claims(self) -> set[tuple[str, str, str]]:
        """The path, op and target of each move that a head speaks of."""
        return {(row["path"], row["moving"], row["moving_to"]) for row in self.of("h") if "moving" in row}

    @property
    def moved(self) -> set[str]:
        """The paths whose move is decided, though the tombstone is not there yet: who looks will see it."""
        claims = self.claims
        ops = self.ops if claims else {}
        return {path for path, op, target in claims if op in ops.get(target, [])}

    @property
    def unreferenced(self) -> set[str]:
        """The blobs of ours that no version names."""
        return {name for name in self.blobs if OURS in name} - {row["blob"] for row in self.of("v")}


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
    async for page in table.query("~", RowRange("d", "w")):
        for entity in page:  # volumes, and the records of those that were deleted; what is loaded, nobody sees yet
            if entity.row[0] == "l":
                continue
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
