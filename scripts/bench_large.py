"""P7: one large file, digests on: down from Azurite, up to the null server, and the memory that takes.

Up is measured against the null server, for Azurite itself takes in less than the digests can do. Memory is that of a
process of its own, the most it had while the content went through above what it had before.
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final, Literal

from azure.storage.blob.aio import ContainerClient

from azurite.launch import Azurite
from catalog import Volume, connect
from scripts.bench_measure import MIB, Spread, Work, forget_peak, in_turn, mib_rate, resident_bytes
from scripts.bench_null import ROOT, NullServer
from scripts.bench_peers import ACCOUNT, obstore_store
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale

PATH: Final = "2026/large.bin"
CHUNK: Final = bytes(range(256)) * (MIB // 256)
MEMORY_MIB: Final = 64

Way = Literal["down", "up"]


async def large(scale: Scale) -> list[Row]:
    """Both ways, and the memory of each."""
    size = (16 if scale.smoke else 1024) * MIB
    return [*await _down(scale, size), *await _up(scale, size)]


async def _down(scale: Scale, size: int) -> list[Row]:
    with Azurite() as azurite:
        async with connect(azurite.url) as cat:
            volume = await cat.create_volume("bench")
            blob = (await volume.put(PATH, _content(size))).blob
            memory = await _memory("down", azurite.url, size, scale)
            async with ContainerClient.from_connection_string(azurite.connection_string, "blobcat") as container:
                works: dict[str, Work] = {"blobcat": partial(read, volume)}
                if made := obstore_store(f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT}", "blobcat"):
                    works["obstore"] = partial(_obstore_read, *made, blob)
                found = await in_turn(scale.rounds(3), works, warm=not scale.smoke)
                sdk = await in_turn(1, {"sdk": partial(_sdk_read, container, blob)})
    what = f"{size >> 20:,} MiB down from Azurite"
    there = "obstore" in found.costs
    return [
        Row(
            "P7",
            what,
            "MiB/s",
            found["blobcat", mib_rate],
            "obstore get, no digests",
            found["obstore", mib_rate] if there else None,
            (Goal("≥", 0.8, "ours / peer", "× its speed"),),
            better="more",
            note="" if there else "obstore is not installed",
        ),
        Row("P7", what, "MiB/s", found["blobcat", mib_rate], "SDK download_blob", sdk["sdk", mib_rate], better="more"),
        Row("P7", f"{what}, memory above idle", "MiB", memory, goals=(Goal("≤", MEMORY_MIB),)),
    ]


async def _up(scale: Scale, size: int) -> list[Row]:
    with NullServer() as null:
        memory = await _memory("up", null.url, size, scale)
        async with connect(null.url) as cat:
            volume = await cat.volume()
            works: dict[str, Work] = {"blobcat": partial(write, volume, size), "digests": partial(_digests, size)}
            found = await in_turn(scale.rounds(3), works, warm=not scale.smoke)
    what = f"{size >> 20:,} MiB up to the null server"
    return [
        Row(
            "P7",
            what,
            "MiB/s",
            found["blobcat", mib_rate],
            "sha256 and md5, a thread each",
            found["digests", mib_rate],
            (Goal("≥", 0.7, "ours / peer", "× its speed"),),
            better="more",
        ),
        Row("P7", f"{what}, memory above idle", "MiB", memory, goals=(Goal("≤", MEMORY_MIB),)),
    ]


async def read(volume: Volume) -> float:
    """All of the file, verified."""
    async with volume.open(PATH) as reader:
        size = sum([len(chunk) async for chunk in reader])
    if not reader.verified:
        raise SystemExit("what was read was not verified")
    return size


async def write(volume: Volume, size: int) -> float:
    """A file from a stream."""
    return (await volume.put("2026/new.bin", _content(size))).size


async def _content(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(CHUNK)):
        yield CHUNK


async def _obstore_read(obstore: Any, store: Any, blob: str) -> float:
    answer = await obstore.get_async(store, blob)
    return sum([len(chunk) async for chunk in answer.stream()])


async def _sdk_read(container: ContainerClient, blob: str) -> float:
    answer = await container.download_blob(blob)
    return sum([len(chunk) async for chunk in answer.chunks()])


async def _digests(size: int) -> float:
    def digest(name: str) -> None:
        one = hashlib.new(name, usedforsecurity=False)
        for _ in range(size // len(CHUNK)):
            one.update(CHUNK)

    await asyncio.gather(asyncio.to_thread(digest, "sha256"), asyncio.to_thread(digest, "md5"))
    return size


async def _memory(way: Way, url: str, size: int, scale: Scale) -> Spread:
    command = [sys.executable, "-m", "scripts.bench_large", way, url, f"{size}"]
    runs = [await asyncio.to_thread(subprocess.check_output, command, cwd=ROOT) for _ in range(scale.rounds(1))]
    return Spread(tuple(json.loads(run) for run in runs))


async def child(way: Way, url: str, size: int) -> float:
    """The most memory above idle, in MiB, while the content goes through this process."""
    async with connect(url) as cat:
        volume = await cat.volume()
        await volume.stat(PATH)
        idle, _ = resident_bytes()
        forget_peak()
        await (read(volume) if way == "down" else write(volume, size))
        return (resident_bytes()[1] - idle) / MIB


def main() -> int:
    """Be such a process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["down", "up"])
    parser.add_argument("url")
    parser.add_argument("size", type=int)
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(child(chosen.way, chosen.url, chosen.size))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
