"""What `reconcile` costs: CPU for each file, memory and time, at each depth, on a clean catalog made for it.

Each run is a process of its own, so that its CPU and its memory are nobody else's. Of several runs the least counts:
what is more was the machine's. Both sides are read, rows and blobs; a file here has one version.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args

from azurite.launch import Azurite
from catalog import Item, connect
from catalog.reconcile.plan import Depth

VOLUME: Final = "bench"
SHARDS: Final = 16
FOLDERS: Final = 100
NAME: Final = "bench-reconcile"
TARGET_US: Final = 40
"""P8: CPU for each file, at depth etag."""


async def fill(url: str, files: int) -> None:
    """Make a volume of small files."""

    async def items() -> AsyncIterator[Item]:
        for number in range(files):
            yield Item(f"d{number % FOLDERS:02d}/f{number:07d}.txt", b"%d" % number)

    async with connect(url, writer="bench") as cat:
        volume = await cat.create_volume(VOLUME, shards=SHARDS)
        async for outcome in volume.put_many(items()):
            if outcome.error:
                raise outcome.error


async def measure(url: str, depth: Depth, workers: int) -> dict[str, Any]:
    """One run, and what it cost."""
    async with connect(url) as cat:
        began, spent = time.monotonic(), _cpu_s()
        plan = await cat.reconcile(VOLUME, depth=depth, workers=workers)
        took, spent = time.monotonic() - began, _cpu_s() - spent
    if not plan.clean:
        raise SystemExit(f"the catalog is not clean: {dict(plan.header.states)}, {plan.header.incomplete}")
    files = plan.header.blobs
    return {
        "cpu": spent / files * 1e6,
        "wall": took / files * 1e6,
        "rss": _peak_kib() // 1024,
    }


def _cpu_s() -> float:
    """Of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_kib() -> int:
    """The most memory that this process has had. Linux's `getrusage` counts what it was started from, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # bytes, on a Mac


def table(url: str, options: argparse.Namespace) -> None:
    """Measure all depths, and print what came of it, line by line."""
    print(f"{options.files:,} files on {url.partition(':')[0]}, the least of {options.runs} runs")
    print(f"{'depth':<10}{'CPU µs/file':>14}{'wall µs/file':>14}{'peak RSS MiB':>14}")
    for depth in get_args(Depth):
        command = [sys.executable, "-m", "scripts.bench_reconcile", "--measure", url, depth]
        command += ["--workers", f"{options.workers}"]
        found = [json.loads(subprocess.check_output(command)) for _ in range(options.runs)]
        least = {name: min(each[name] for each in found) for name in ("cpu", "wall", "rss")}
        print(f"{depth:<10}{least['cpu']:>14.1f}{least['wall']:>14.1f}{least['rss']:>14}", flush=True)
    print(f"P8 asks for at most {TARGET_US} µs of CPU at depth etag.")


@contextmanager
def place(*, azurite: bool, keep: Path | None) -> Iterator[tuple[str, bool]]:
    """Where the catalog is, and whether it has to be made."""
    if azurite:
        with Azurite() as running:
            yield f"{running.url}/{NAME}?table={NAME.replace('-', '')}", True
        return
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as folder:
        where = keep or Path(folder)
        yield f"local:{where.absolute()}", not any(where.glob("*"))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"scripts/{NAME}", description="Measures what reconcile costs.")
    parser.add_argument("--files", type=int, metavar="N", default=100_000, help="so many files (default: 100,000)")
    parser.add_argument("--runs", type=int, metavar="N", default=3, help="of each depth (default: 3)")
    parser.add_argument("--workers", type=int, metavar="N", default=1, help="processes that read (default: 1)")
    parser.add_argument("--azurite", action="store_true", help="on an Azurite that is started and stopped")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the catalog here, and use the one that is here")
    parser.add_argument("--measure", nargs=2, metavar=("URL", "DEPTH"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measure."""
    chosen = arguments()
    if chosen.measure:
        url, depth = chosen.measure
        print(json.dumps(asyncio.run(measure(url, depth, chosen.workers))))
        return 0
    with place(azurite=chosen.azurite, keep=chosen.keep) as (url, empty):
        if empty:
            asyncio.run(fill(url, chosen.files))
        table(url, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
