"""P10 and P8: what a file costs where there are many already, and what reading all of them costs.

Catalogs of each size stand side by side, and in turn each takes another batch of files: so what is compared is done in
the same minutes. The largest one is then reconciled, by processes of `bench_reconcile`.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final

from azurite.launch import Azurite
from catalog import Item, Volume, connect
from scripts.bench_measure import Rounds, Spread, Work, cpu_us, in_turn, wall_us
from scripts.bench_null import ROOT
from scripts.bench_reconcile import FOLDERS, TARGET_US, VOLUME, fill
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale

GROWN_MOST: Final = 1.15
"""P10: how many times as much a file may cost at 100,000 files as at 1,000."""
FEW: Final = 1_000
MANY: Final = 100_000
SIZES: Final = (FEW, 10 * FEW, MANY, 10 * MANY)
MEMORY_MOST: Final = 1.2
"""P8: how many times the memory a million files may take, where it is flat."""


@dataclass(slots=True)
class Series:
    """A back end, at each size."""

    name: str
    found: Rounds
    sizes: Sequence[int]
    points: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for size in self.sizes:
            for measure, label in ((cpu_us, "client CPU"), (wall_us, "time")):
                cost = self.found[f"{size}", measure]
                point = {"median": cost.median, "least": cost.least, "most": cost.most}
                self.points.append({"place": self.name, "files": size, "measure": label, **point})

    def rows(self) -> list[Row]:
        """The cost at the largest size and at the smallest."""
        few, many = self.sizes[0], min(self.sizes[-1], MANY)
        asked = (Goal("≤", GROWN_MOST, "ours / peer", "× as much"),) if self.name == "local:" and many >= MANY else ()
        return [
            Row(
                "P10",
                f"{self.name} {label} per file written, at {many:,} files",
                "µs",
                self.found[f"{many}", measure],
                f"blobcat at {few:,}",
                self.found[f"{few}", measure],
                asked,
                note="" if many >= MANY else "P10 asks for --files 100000",
            )
            for measure, label in ((cpu_us, "client CPU"), (wall_us, "time"))
        ]


async def growth(scale: Scale) -> tuple[list[Row], list[Mapping[str, Any]]]:
    """P8 and P10, and the points of the picture."""
    sizes = [size for size in SIZES if size <= scale.files]
    with tempfile.TemporaryDirectory(prefix="blobcat-bench-") as folder:
        urls = {size: f"local:{folder}/{size}" for size in sizes}
        local = Series("local:", await _grown(scale, urls), sizes)
        sides = await _sides(scale, urls)
    with ExitStack() as stack:
        sizes = [size for size in sizes if size <= MANY]
        servers = {size: stack.enter_context(Azurite()) for size in sizes}
        azurite = Series("Azurite", await _grown(scale, {size: each.url for size, each in servers.items()}), sizes)
    return [*sides, *local.rows(), *azurite.rows()], [*local.points, *azurite.points]


async def _grown(scale: Scale, urls: Mapping[int, str]) -> Rounds:
    """What a batch of files costs in each of them, once they have as many files as they are to have."""
    batch = FEW // 10 if scale.smoke else FEW
    for size, url in urls.items():
        await fill(url, size)
    async with AsyncExitStack() as stack:
        works: dict[str, Work] = {}
        for size, url in urls.items():
            volume = await (await stack.enter_async_context(connect(url))).volume(VOLUME)
            works[f"{size}"] = partial(_write, volume, batch, count())
        return await in_turn(scale.rounds(5), works, warm=not scale.smoke)


async def _write(volume: Volume, batch: int, rounds: Iterator[int]) -> float:
    """So many files that are not there yet."""
    run = next(rounds)

    async def items() -> AsyncIterator[Item]:
        for each in range(batch):
            yield Item(f"d{each % FOLDERS:02d}/new-{run:03}-{each:05d}.txt", b"%d" % each)

    async for outcome in volume.put_many(items()):
        if outcome.error:
            raise outcome.error
    return batch


async def _sides(scale: Scale, urls: Mapping[int, str]) -> list[Row]:
    """What a reconcile costs, of the largest; and its memory, where there is one ten times as large as P8 begins at."""
    found = {
        size: await _reconciled(scale, url) for size, url in urls.items() if size >= MANY or url == [*urls.values()][-1]
    }
    most = max(found)
    rows = [
        Row(
            "P8",
            f"reconcile of {most:,} files, both sides, CPU per file",
            "µs",
            found[most]["cpu"],
            goals=(Goal("≤", TARGET_US),),
        )
    ]
    if most > MANY:
        flat = Goal("≤", MEMORY_MOST, "ours / peer", "× as much")
        rows.append(
            Row(
                "P8",
                f"memory of that at {most:,} files",
                "MiB",
                found[most]["rss"],
                f"at {MANY:,}",
                found[MANY]["rss"],
                (flat,),
            )
        )
    return rows


async def _reconciled(scale: Scale, url: str) -> dict[str, Spread]:
    command = [sys.executable, "-m", "scripts.bench_reconcile", "--measure", url, "etag"]
    runs = [
        json.loads(await asyncio.to_thread(subprocess.check_output, command, cwd=ROOT)) for _ in range(scale.rounds(3))
    ]
    return {name: Spread(tuple(run[name] for run in runs)) for name in ("cpu", "rss")}
