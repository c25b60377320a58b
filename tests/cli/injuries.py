"""What a catalog's content and rows suffer behind its back, done to its ports."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from catalog import Catalog, connect
from catalog.columns import intent_values
from catalog.entities import Intent, VolumeInfo
from catalog.keys import head_row, intent_row, partition, shard_of, version_row
from catalog.table import Delete, Insert
from storage import Always, Blob, Headers

Injury = Callable[[Catalog], Awaitable[None]]


def injure(url: str, *injuries: Injury) -> None:
    """Open the catalog, and do all of them."""

    async def whole() -> None:
        async with connect(url) as cat:
            for injury in injuries:
                await injury(cat)

    asyncio.run(whole())


async def blob_of(cat: Catalog, path: str, *, version: int | None = None) -> Blob:
    file = await (await cat.volume()).stat(path, version=version)
    return await cat._content.stat(file.blob)


def _shard(info: VolumeInfo, path: str) -> str:
    return partition(info.epoch, shard_of(path, info.shards))


def lost(path: str) -> Injury:
    """The blob is deleted."""

    async def injury(cat: Catalog) -> None:
        await cat._content.delete((await blob_of(cat, path)).name, when=Always())

    return injury


def overwritten(path: str, content: bytes = b"other") -> Injury:
    """Somebody writes over the blob, and keeps its headers."""

    async def injury(cat: Catalog) -> None:
        blob = await blob_of(cat, path)
        await cat._content.put(blob.name, content, when=Always(), headers=replace(blob.headers, md5=None))

    return injury


def touched(path: str) -> Injury:
    """The same bytes and headers, under a new etag."""

    async def injury(cat: Catalog) -> None:
        blob = await blob_of(cat, path)
        content = await (await cat.volume()).read(path)
        await cat._content.put(blob.name, content, when=Always(), headers=blob.headers)

    return injury


def beheaded(path: str) -> Injury:
    """The head's row is lost."""

    async def injury(cat: Catalog) -> None:
        info = (await cat.volume()).info
        await cat._table.submit(_shard(info, path), [Delete(head_row(path))])

    return injury


def unwritten(path: str) -> Injury:
    """The rows of a file's only version are lost."""

    async def injury(cat: Catalog) -> None:
        info = (await cat.volume()).info
        await cat._table.submit(_shard(info, path), [Delete(head_row(path)), Delete(version_row(path, 1))])

    return injury


def foreign(name: str, content: bytes = b"not ours") -> Injury:
    """Somebody puts a blob there."""

    async def injury(cat: Catalog) -> None:
        await cat._content.put(name, content, when=Always(), headers=Headers())

    return injury


def forgotten(path: str, op: str = "01KAQWERTYQWERTYQWERTYQWER") -> Injury:
    """A blob that we wrote, of which no row tells."""

    async def injury(cat: Catalog) -> None:
        volume = await cat.volume()
        name = f"{volume.info.root}.versions/{path}~{op}"
        await cat._content.put(name, b"whose am I?", when=Always(), headers=Headers(metadata={"op": op, "path": path}))

    return injury


def half_done(path: str, op: str = "01KAQWERTYQWERTYQWERTYQWEZ") -> Injury:
    """A put whose writer died behind the content, and before the commit."""

    async def injury(cat: Catalog) -> None:
        info = (await cat.volume()).info
        name = f"{info.root}.versions/{path}~{op}"
        intent = Intent(op, "put", path, name, 0, "who died", info.generation, 600)
        await cat._table.submit(_shard(info, path), [Insert(intent_row(op), intent_values(intent))])
        await cat._content.put(name, b"half", when=Always(), headers=Headers(metadata={"op": op, "path": path}))

    return injury
