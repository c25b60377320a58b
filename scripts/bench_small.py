"""P4 and P5: small files onto Azurite, whole protocol, beside the naive way and beside blob puts alone.

Each round has an Azurite of its own, so that what one round leaves behind slows no other. All read the same tree of
files from disk. What adlfs, remote-store and obstore keep is content alone: no names, no digests, no versions.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient

from azurite.launch import Azurite
from catalog import connect
from scripts.bench_measure import Rounds, Work, at_a_time, cpu_us, in_turn, joined, rate, wall_us
from scripts.bench_peers import ACCOUNT, adlfs_filesystem, obstore_store, remote_store
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale

AT_A_TIME: Final = 32
BYTES: Final = 2_000
NAIVE: Final = "SDK upload_blob + upsert_entity"
ONCE: Final = ("adlfs", "remote-store")
"""Those who take part in the first round only: they take the most time, and no target is about them."""
PUTS: Final = {
    "obstore": "obstore put, no catalog",
    "adlfs": "adlfs pipe, no catalog",
    "remote-store": "remote-store write, no catalog",
}


def made_tree(folder: Path, files: int) -> list[Path]:
    """A tree of small files, a hundred to a folder."""
    found = []
    for number in range(files):
        path = folder / f"d{number // 100:03}" / f"f{number:06}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"%08d\n" % number) * (BYTES // 9))
        found.append(path)
    return found


def read(path: Path) -> bytes:
    """The content of a file, as whoever has small ones reads it: at once."""
    return path.read_bytes()


async def small(scale: Scale) -> list[Row]:
    """Both."""
    files = scale.count(1_500, least=50)
    parts: list[Rounds] = []
    with tempfile.TemporaryDirectory(prefix="blobcat-bench-") as folder:
        root = Path(folder)
        paths = made_tree(root, files)
        for number in range(scale.rounds(3)):
            with Azurite() as azurite:
                async with works(azurite, root, paths) as found:
                    order = [each for each in found.items() if not number or each[0] not in ONCE]
                    order = order[:: -1 if number % 2 else 1]
                    parts.append(await in_turn(1, dict(order)))
    return rows(joined(parts), files)


@asynccontextmanager
async def works(azurite: Azurite, root: Path, paths: Sequence[Path]) -> AsyncIterator[dict[str, Work]]:
    """All ways of bringing the files there, their clients open."""
    blob = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT}"
    async with AsyncExitStack() as stack:
        table = await stack.enter_async_context(TableClient.from_connection_string(azurite.connection_string, "naive"))
        container = await stack.enter_async_context(
            ContainerClient.from_connection_string(azurite.connection_string, "naive")
        )
        await table.create_table()
        await container.create_container()
        volume = await (await stack.enter_async_context(connect(azurite.url))).create_volume("bench")

        async def ours() -> float:
            report = await volume.ingest(root)
            if report.written != len(paths):
                raise SystemExit(f"ingest: {report}")
            return len(paths)

        async def naive(path: Path) -> None:
            name = path.relative_to(root).as_posix()
            content = read(path)
            blob = await container.upload_blob(name, content)
            properties: Any = {"size": len(content), "blob": blob.blob_name}
            await table.upsert_entity({"PartitionKey": "files", "RowKey": quote(name, safe=""), **properties})

        async def naively() -> float:
            await at_a_time(AT_A_TIME, [partial(naive, path) for path in paths])
            return len(paths)

        yield {"blobcat": ours, "naive": naively, **await _puts(stack, blob, root, paths)}


async def _puts(stack: AsyncExitStack, blob: str, root: Path, paths: Sequence[Path]) -> dict[str, Work]:
    """Those who keep content alone, as far as they are installed."""
    found: dict[str, Work] = {}
    if made := obstore_store(blob, "naive"):
        obstore, store = made

        async def put(path: Path) -> None:
            await obstore.put_async(store, f"obstore/{path.relative_to(root).as_posix()}", read(path))

        found["obstore"] = partial(_each, put, paths)
    if files := adlfs_filesystem(blob):

        async def pipe() -> float:
            content = {f"naive/adlfs/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}
            await asyncio.to_thread(files.pipe, content, batch_size=AT_A_TIME)
            return len(paths)

        found["adlfs"] = pipe
    if remote := remote_store(blob, "naive"):
        stack.push_async_callback(remote.aclose)

        async def write(path: Path) -> None:
            await remote.write(f"remote/{path.relative_to(root).as_posix()}", read(path))

        found["remote-store"] = partial(_each, write, paths)
    return found


async def _each(put: Any, paths: Sequence[Path]) -> float:
    await at_a_time(AT_A_TIME, [partial(put, path) for path in paths])
    return len(paths)


def rows(found: Rounds, files: int) -> list[Row]:
    """What came of it. A peer that is not installed has a row, too."""
    what = f"ingest of {files:,} files on Azurite"
    result = [
        Row(
            "P4",
            f"{what}, files/s",
            "/s",
            found["blobcat", rate],
            f"{NAIVE}, {AT_A_TIME} at a time",
            found["naive", rate],
            (Goal("≥", 2.5, "ours / peer", "× as many"),),
            better="more",
        ),
        Row(
            "P4",
            f"{what}, client CPU per file",
            "µs",
            found["blobcat", cpu_us],
            NAIVE,
            found["naive", cpu_us],
            (Goal("≥", 4.5, "peer / ours", "× less"),),
        ),
    ]
    for name, peer in PUTS.items():
        there = name in found.costs
        goals = (Goal("≤", 2.3, "ours / peer", "× its time"),) if name == "obstore" else ()
        for measure, text in ((wall_us, "time"), (cpu_us, "client CPU")):
            if measure is cpu_us and name != "obstore":
                continue
            result.append(
                Row(
                    "P5",
                    f"{what}, {text} per file",
                    "µs",
                    found["blobcat", measure],
                    peer,
                    found[name, measure] if there else None,
                    goals if measure is wall_us else (),
                    note="" if there else f"{name} is not installed",
                )
            )
    return result
