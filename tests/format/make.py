"""How tests/data/format-1 was made: once, by the version that first wrote this format. Kept to be read, not to be run.

A new format gets a folder of its own, made by a copy of this; what is there is never made again.

    python -m tests.format.make FOLDER
"""

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from catalog import Catalog, Settings, connect
from catalog.entities import FileVersion
from catalog.errors import CatalogError
from catalog.keys import shard_of
from catalog.sqlite_rows import from_stored
from catalog.sqlite_table import SqliteTable
from catalog.times import microseconds
from storage.local import LocalContent
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock, Wire

PATHS = (
    "readme.txt",
    "2026/a.csv",
    "2026/a/b",
    "A/b",
    "a-b",
    "with space/and 'quotes' \"double\".txt",
    "marks !#$%&()+,;=@[]^_`{}~<>|*?:.bin",
    "%2F/%2e%2e",
    "unicode/ünïcödé-日本語-🐈.txt",
    "unicode/\uffee\U00010348",
    "no-extension",
)
READER = "reader"  # who settles what it meets half-done
METADATA: dict[str, Any] = {
    "text": "grüße 🐈",
    "empty": "",
    "number": 2**53 + 1,
    "small": -(2**63),
    "float": 5.0,
    "yes": True,
    "no": False,
    "when": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
}


async def fill(cat: Catalog, wire: Wire) -> None:
    """Everything that this version can write."""
    raw = await cat.create_volume("raw", shards=2)
    other = await cat.create_volume("other", shards=1, root="elsewhere/other/")
    for number, path in enumerate(PATHS):
        await raw.put(path, f"content {number} of {path}\n".encode())
    await raw.put("typed", b"\x00\x01", metadata=METADATA, content_type="application/x-cat")
    await raw.put("dated", b"", modified=datetime(2001, 2, 3, tzinfo=UTC), request_id="order 17/ü")
    for text in (b"one", b"two", b"three"):
        await raw.put("versions", text)
    await raw.put("staged.bin", bytes(range(256)) * 3)  # over one_shot_bytes: of several blocks
    await raw.delete("versions")
    await raw.restore("versions", version=2)
    await raw.set_metadata("readme.txt", {"owner": "ops"})
    await raw.copy("2026/a.csv", "copies/a.csv")
    await raw.put("gone", b"gone")
    await raw.delete("gone")
    here = shard_of("moved", 2)
    names = [f"to-{number}" for number in range(99)]
    near, far = (next(name for name in names if (shard_of(name, 2) == here) is same) for same in (True, False))
    await raw.put("moved", b"moved")
    await raw.move("moved", near)
    await raw.put("moved", b"moved again")
    await raw.move("moved", far)
    await other.put("only", b"here")
    await lost(wire, raw.put("aborted", b"aborted"), after=2)
    await cat.recover(patience_s=0)  # the intent stays, aborted
    await lost(wire, raw.put("never", b"never"), after=2)  # W1 only: an open intent
    await lost(wire, raw.put("orphan.txt", b"orphan"), after=3)  # W1 and W2: an open intent and a blob
    for path, after in (("undecided", 3), ("decided", 4)):  # moves after T2, and after T3: claims
        await raw.put(path, path.encode())
        names = [f"{path}-{number}" for number in range(99)]
        target = next(name for name in names if shard_of(name, 2) != shard_of(path, 2))
        await lost(wire, raw.move(path, target), after=after)


async def lost(wire: Wire, change: Awaitable[object], *, after: int) -> None:
    """Make a change to which nothing answers after so many requests."""
    wire.sent.clear()
    wire.at, wire.fault, wire.on = after + 1, Fault.REFUSED, True
    with suppress(CatalogError):
        await change
    wire.heal()


def rows(table: SqliteTable) -> Iterator[dict[str, Any]]:
    """All rows, as JSON: typed as Azure types them, which a value's JSON tells."""
    connection = table._connection()
    for partition, row, stamp, body in connection.execute("SELECT * FROM entities ORDER BY partition, row"):
        yield {
            "partition": from_stored(partition),
            "row": from_stored(row),
            "timestamp": stamp,
            "values": json.loads(body),
        }


def told(file: FileVersion) -> dict[str, Any]:
    """A version as JSON."""
    plain = {name: getattr(file, name) for name in file.__slots__}
    plain["metadata"] = {
        key: {"datetime": microseconds(value)} if isinstance(value, datetime) else value
        for key, value in file.metadata.items()
    }
    for name in ("created", "modified"):
        plain[name] = None if plain[name] is None else microseconds(plain[name])
    return plain


async def expected(cat: Catalog) -> dict[str, Any]:
    """What a reader sees."""
    volumes: dict[str, Any] = {}
    async for info in cat.volumes():
        volume = await cat.volume(info.name)
        heads = [file async for file in volume.list(recursive=True, deleted=True)]
        history = {each.path: [told(file) async for file in volume.history(each.path)] for each in heads}
        contents = {
            f"{path}@{file['version']}": base64.b64encode(await volume.read(path, version=file["version"])).decode()
            for path, files in history.items()
            for file in files
            if file["kind"] != "delete"
        }
        volumes[info.name] = {
            "info": {
                "epoch": info.epoch, "layout": info.layout, "shards": info.shards, "root": info.root,
                "generation": info.generation, "default": info.default,
            },
            "live": [file.path async for file in volume.list(recursive=True)],
            "history": history,
            "contents": contents,
        }  # fmt: skip
    return volumes


async def main(folder: Path) -> None:
    """Write the sample."""
    ids, wire = count(1), Wire()
    local = folder / "local"
    table, content = SqliteTable(local / "catalog.db"), LocalContent(local / "content")
    cat = Catalog(
        FaultTable(table, wire),
        FaultContent(content, wire),
        settings=Settings(one_shot_bytes=256, block_bytes=256),
        writer="sample@format-1",
        clock=VirtualClock(),
        new_id=lambda: f"01FORMAT1{next(ids):017d}",
    )
    await fill(cat, wire)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(table)), "utf-8")
    blobs = []
    async for blob in content.list():
        async with content.open(blob.name) as opened:
            data = b"".join([chunk async for chunk in opened.chunks])
        headers = {"content_type": blob.headers.content_type, "metadata": dict(blob.headers.metadata)}
        blobs.append({"name": blob.name, "etag": blob.etag, **headers, "data": base64.b64encode(data).decode()})
    (folder / "blobs.jsonl").write_text("".join(json.dumps(blob) + "\n" for blob in blobs), "utf-8")
    await cat.close()
    await table.close()
    await content.close()
    with ZipFile(folder / "local.zip", "w", ZIP_DEFLATED) as packed:
        for path in sorted(local.rglob("*")):
            name = str(path.relative_to(local)) + ("/" if path.is_dir() else "")
            packed.writestr(ZipInfo(name, (2026, 1, 1, 0, 0, 0)), b"" if path.is_dir() else path.read_bytes())
    async with connect(f"local:{local}", writer=READER) as reading:
        text = json.dumps(await expected(reading), indent=1, sort_keys=True)
    (folder / "expected.json").write_text(text + "\n", "utf-8")
    rmtree(local)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
