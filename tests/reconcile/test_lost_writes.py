"""S14: the service itself lost recent writes, of rows or of blobs. Reconcile converges or reports, and deletes nothing.

The two sides of a catalog are kept as they were after each call, and each state of the one is put together with each of
the other: as a failover to another region leaves them, of which nobody guarantees one moment.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from catalog import Brake, Catalog, IntegrityError, NotFoundError, Volume
from catalog.sqlite_table import SqliteTable
from storage import Blob
from storage.memory import Container, MemoryContent

Rows = list[tuple[Any, ...]]
Blobs = Mapping[str, tuple[Blob, bytes]]


@dataclass(frozen=True, slots=True)
class Moment:
    """Both sides, at one moment."""

    rows: Rows
    blobs: Blobs


def kept(table: SqliteTable, container: Container) -> Moment:
    def read() -> Rows:
        return table._connection().execute("SELECT * FROM entities").fetchall()

    return Moment(table._writer.submit(read).result(), dict(container.blobs))


@asynccontextmanager
async def catalog_of(rows: Rows, blobs: Blobs) -> AsyncIterator[tuple[Catalog, Container]]:
    table, container = SqliteTable(":memory:"), Container(exists=True)

    def load() -> None:
        table._create()
        table._connection().executemany("INSERT INTO entities VALUES (?, ?, ?, ?)", rows)

    table._writer.submit(load).result()
    container.blobs.update(blobs)
    async with _closing(Catalog(table, MemoryContent(container))) as cat:
        yield cat, container


@asynccontextmanager
async def _closing(cat: Catalog) -> AsyncIterator[Catalog]:
    try:
        yield cat
    finally:
        await cat.close()


async def moments() -> list[Moment]:
    """After each call of every verb."""
    table, container = SqliteTable(":memory:"), Container()
    found: list[Moment] = []
    async with _closing(Catalog(table, MemoryContent(container))) as cat:
        volume = await cat.create_volume("raw", shards=2)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: volume.put("a", b"1"),
            lambda: volume.put("a", b"22"),
            lambda: volume.copy("a", "b"),
            lambda: volume.move("b", "c"),
            lambda: volume.set_metadata("a", {"n": 1}),
            lambda: volume.delete("a"),
            lambda: volume.restore("a", version=1),
            lambda: volume.put("d", b"333"),
        ]
        for call in calls:
            found.append(kept(table, container))
            await call()
        found.append(kept(table, container))
    return found


async def read_all(volume: Volume) -> dict[str, bytes | None]:
    """Each version's content as a reader gets it; None for an error that says so."""
    read: dict[str, bytes | None] = {}
    async for file in volume.list(recursive=True):
        async for version in volume.history(file.path):
            if version.kind == "delete":
                continue
            try:
                read[f"{file.path}@{version.version}"] = await volume.read(file.path, version=version.version)
            except (IntegrityError, NotFoundError):
                read[f"{file.path}@{version.version}"] = None
    return read


@pytest.mark.parametrize("side", ["rows", "blobs"])
async def test_what_a_service_has_lost_costs_nothing_more(side: str) -> None:
    made = await moments()
    for at, older in enumerate(made):
        for newer in made[at + 1 :]:
            rows, blobs = (older.rows, newer.blobs) if side == "rows" else (newer.rows, older.blobs)
            async with catalog_of(rows, blobs) as (cat, container):
                before = await read_all(await cat.volume("raw"))
                plan = await cat.reconcile("raw", depth="content", patience_s=0)
                report = await plan.apply(brake=Brake(0.0, 0))
                assert report.ok, report
                assert blobs.keys() <= container.blobs.keys(), "a blob was deleted"
                after = await read_all(await cat.volume("raw"))
                assert all(after[name] == content for name, content in before.items() if content is not None)
                again = await cat.reconcile("raw", depth="content", patience_s=0)
                assert not again.header.actions, "it does not come to rest"


async def test_one_moment_of_both_is_clean() -> None:
    for moment in await moments():
        async with catalog_of(moment.rows, moment.blobs) as (cat, _):
            assert (await cat.reconcile("raw", depth="content", patience_s=0)).clean
