"""P4 and P5: small files onto Azurite, whole protocol, beside the naive way and beside blob puts alone.

Each round has an Azurite of its own, so that what one round leaves behind slows no other; and everyone has brought a
few files there before, since Node makes faster what it has seen, and who came first would pay for all. All read the
same tree of files from disk. What adlfs, remote-store and obstore keep is content alone: no names, digests or versions.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
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
FILES_BEFORE: Final = 300
NAIVE: Final = "SDK upload_blob + upsert_entity"
ONCE: Final = ("adlfs", "remote-store")
"""Those who take part in the first round only: they take the most time, and no target is about them."""
PUTS: Final = {
    "obstore": "obstore put, no catalog",
    "adlfs": "adlfs pipe, no catalog",
    "remote-store": "remote-store write, no catalog",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """Small files on disk."""

    root: Path
    paths: Sequence[Path]

    def name(self, path: Path) -> str:
        """Of one of them, below the root."""
        return path.relative_to(self.root).as_posix()


Way = Callable[[Tree], Awaitable[float]]
"""A way of bringing a tree there."""


def made_tree(folder: Path, files: int, *, first: int = 0) -> list[Path]:
    """A tree of small files, a hundred to a folder; their numbers begin with `first`."""
    found = []
    for number in range(first, first + files):
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
        roots = Path(folder) / "files", Path(folder) / "before"
        tree = Tree(roots[0], made_tree(roots[0], files))
        before = Tree(roots[1], made_tree(roots[1], scale.count(FILES_BEFORE, least=10), first=files))
        for number in range(scale.rounds(3)):
            with Azurite() as azurite:
                async with ways(azurite) as found:
                    order = [each for each in found.items() if not number or each[0] not in ONCE]
                    order = order[:: -1 if number % 2 else 1]
                    for _, way in order:
                        await way(before)
                    works: dict[str, Work] = {name: partial(way, tree) for name, way in order}
                    parts.append(await in_turn(1, works))
    return rows(joined(parts), files)


@asynccontextmanager
async def ways(azurite: Azurite) -> AsyncIterator[dict[str, Way]]:
    """All ways of bringing files there, their clients open."""
    blob = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT}"
    async with AsyncExitStack() as stack:
        table = await stack.enter_async_context(TableClient.from_connection_string(azurite.connection_string, "naive"))
        container = await stack.enter_async_context(
            ContainerClient.from_connection_string(azurite.connection_string, "naive")
        )
        await table.create_table()
        await container.create_container()
        volume = await (await stack.enter_async_context(connect(azurite.url))).create_volume("bench")

        async def ours(tree: Tree) -> float:
            report = await volume.ingest(tree.root)
            if report.written != len(tree.paths):
                raise SystemExit(f"ingest: {report}")
            return len(tree.paths)

        async def naive(name: str, path: Path) -> None:
            content = read(path)
            blob = await container.upload_blob(name, content)
            properties: Any = {"size": len(content), "blob": blob.blob_name}
            await table.upsert_entity({"PartitionKey": "files", "RowKey": quote(name, safe=""), **properties})

        yield {"blobcat": ours, "naive": partial(_each, naive), **await _puts(stack, blob)}


async def _puts(stack: AsyncExitStack, blob: str) -> dict[str, Way]:
    """Those who keep content alone, as far as they are installed."""
    found: dict[str, Way] = {}
    if made := obstore_store(blob, "naive"):
        obstore, store = made

        async def put(name: str, path: Path) -> None:
            await obstore.put_async(store, f"obstore/{name}", read(path))

        found["obstore"] = partial(_each, put)
    if files := adlfs_filesystem(blob):

        async def pipe(tree: Tree) -> float:
            content = {f"naive/adlfs/{tree.name(path)}": read(path) for path in tree.paths}
            await asyncio.to_thread(files.pipe, content, batch_size=AT_A_TIME)
            return len(tree.paths)

        found["adlfs"] = pipe
    if remote := remote_store(blob, "naive"):
        stack.push_async_callback(remote.aclose)

        async def write(name: str, path: Path) -> None:
            await remote.write(f"remote/{name}", read(path))

        found["remote-store"] = partial(_each, write)
    return found


async def _each(put: Callable[[str, Path], Awaitable[None]], tree: Tree) -> float:
    await at_a_time(AT_A_TIME, [partial(put, tree.name(path), path) for path in tree.paths])
    return len(tree.paths)


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
