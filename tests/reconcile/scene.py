"""A volume that is about to be injured, and what lies there: rows and blobs, read by none of the reconciler's code."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from catalog import Catalog, FileVersion, IntegrityError, Volume
from catalog.exchange import partition_of
from catalog.keys import RowRange, partition, version_row
from catalog.rows import Entity, Values
from catalog.table import Delete, Merge, Table
from storage import Blob, ContentStore
from storage.local import LocalContent
from tests.faults.ports import Fault, FaultContent, FaultTable, Wire
from tests.faults.world import outlived
from tests.harness.index_rows import index_rows_of

ALL = RowRange(" ", "\ufffd\ufffd")
VARYING = frozenset({"blob_etag"})
"""What no undo can bring back: no etag ever comes back."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Everything of one volume, as it lies there."""

    rows: Mapping[tuple[str, str], Entity]
    blobs: Mapping[str, Blob]
    contents: Mapping[str, bytes | None]
    """None for bytes that cannot be read."""

    @property
    def versions(self) -> dict[tuple[str, int], Values]:
        """The version rows that have content, by path and version."""
        found = [entity.values for (_, row), entity in self.rows.items() if row[0] == "v"]
        return {
            (str(row["path"]), int(row["version"])): row
            for row in found
            if row["kind"] != "delete" and not row.get("purged")
        }

    @property
    def open_intents(self) -> dict[str, list[Values]]:
        """By op."""
        found: dict[str, list[Values]] = {}
        for (_, row), entity in self.rows.items():
            if row[0] == "i" and entity.values["state"] == "open":
                found.setdefault(str(entity.values["op"]), []).append(entity.values)
        return found

    @property
    def lasting(self) -> tuple[object, object]:
        """All that is the same again after a repair was undone: values of rows, bytes and headers of blobs."""
        rows = {
            key: {name: value for name, value in entity.values.items() if name not in VARYING}
            for key, entity in self.rows.items()
        }
        blobs = {name: (blob.size, self.contents[name], _shown(blob)) for name, blob in self.blobs.items()}
        return rows, blobs

    @property
    def exact(self) -> tuple[object, object]:
        """Everything; but for the gates, which whoever asks for the time merges, and which say nothing."""
        return {key: entity for key, entity in self.rows.items() if key[1][0] != "g"}, self.blobs


def _shown(blob: Blob) -> tuple[str, Mapping[str, str]]:
    """Headers, without an MD5: a store may fill one in."""
    return blob.headers.content_type, dict(blob.headers.metadata)


@dataclass(frozen=True, slots=True)
class Subject:
    """A file of two versions, and another with the same bytes as the second."""

    path: str
    first: FileVersion
    second: FileVersion
    twin: FileVersion

    @property
    def blob(self) -> str:
        """That of the second version."""
        return self.second.blob


@dataclass(frozen=True, slots=True)
class Scene:
    """A volume, and the ports below it."""

    cat: Catalog
    volume: Volume

    @property
    def table(self) -> Table:
        """Where its rows are."""
        return self.cat._table

    @property
    def content(self) -> ContentStore:
        """Where its blobs are."""
        return self.cat._content

    @property
    def on_disk(self) -> bool:
        """Whether blobs are files that anyone can change."""
        return isinstance(self.content, LocalContent)

    async def subject(self, path: str) -> Subject:
        """A file of two versions; its twin lies beside it."""
        first = await self.volume.put(path, f"1 of {path}".encode())
        second = await self.volume.put(path, f"2 of {path}".encode())
        return Subject(path, first, second, await self.volume.put(f"{path}.twin", f"2 of {path}".encode()))

    async def file_of(self, blob: str) -> Path:
        """The file that holds a blob."""
        assert isinstance(self.content, LocalContent)
        return await self.content.file_of(blob)

    async def bytes_of(self, blob: str) -> bytes | None:
        """What a blob holds; None where that cannot be read."""
        try:
            async with self.content.open(blob) as opened:
                return b"".join([chunk async for chunk in opened.chunks])
        except IntegrityError:
            return None

    async def look(self) -> Raw:
        """What there is."""
        info, rows = self.volume.info, dict[tuple[str, str], Entity]()
        for shard in range(info.shards):
            key = partition(info.epoch, shard)
            async with aclosing(self.table.query(key, ALL)) as pages:
                rows |= {(key, entity.row): entity async for page in pages for entity in page}
        blobs = {blob.name: blob async for blob in self.content.list(info.root)}
        return Raw(rows, blobs, {name: await self.bytes_of(name) for name in blobs})

    async def merge(self, path: str, row: str, values: Values) -> None:
        """Edit columns of a row."""
        await self.table.submit(partition_of(self.volume.info, path), [Merge(row, values)])

    async def remove(self, path: str, *rows: str) -> None:
        """Remove rows of a path."""
        await self.table.submit(partition_of(self.volume.info, path), [Delete(row) for row in rows])

    async def row(self, path: str, row: str) -> Entity:
        """A row as it is."""
        entity = await self.table.get(partition_of(self.volume.info, path), row)
        assert entity
        return entity

    async def index_rows(self, path: str) -> list[str]:
        """The rows that a path has in indexes."""
        return sorted(await index_rows_of(self.table, self.volume.info, path))

    async def version(self, path: str, version: int) -> Entity:
        """The row of a version."""
        return await self.row(path, version_row(path, version))

    @asynccontextmanager
    async def client(self, wire: Wire) -> AsyncIterator[Catalog]:
        """Another client of the same ports, behind a wire."""
        client = Catalog(FaultTable(self.table, wire), FaultContent(self.content, wire), writer="somebody")
        try:
            yield client
        finally:
            await client.close()

    async def killed(self, at: int, call: Callable[[Catalog, Volume], Awaitable[object]]) -> bool:
        """Begin something, and kill its client once so many requests of it were applied; whether it came to that."""
        wire = Wire()
        async with self.client(wire) as client:
            volume = await client.volume(self.volume.name)
            wire.at, wire.fault = len(wire.sent) + at, Fault.CRASH_AFTER
            await outlived(wire, asyncio.ensure_future(call(client, volume)))
        return bool(wire.fired)


async def indexed(cat: Catalog, name: str, *, shards: int) -> Scene:
    """A volume with indexes: on what tells the files of these tests apart, and on what none of them has."""
    volume = await cat.create_volume(name, shards=shards)
    await volume.create_index("-size", "digest")
    await volume.create_index("meta.owner")
    return Scene(cat, volume)


@asynccontextmanager
async def writes_counted(scene: Scene) -> AsyncIterator[tuple[Catalog, Wire]]:
    """A client whose requests are noted."""
    wire = Wire()
    async with scene.client(wire) as client:
        yield client, wire
