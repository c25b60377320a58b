"""P6: a tree into a catalog of this machine, beside `cp -r` and `sha256sum` of the same tree.

P6 speaks of 10,000 files: a long run has more, a short one, for want of time, fewer; each row says how many.
"""

import asyncio
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from catalog import connect
from scripts.bench_measure import Work, cpu_us, in_turn, wall_s
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale
from scripts.bench_small import made_tree


async def embedded(scale: Scale) -> list[Row]:
    """Five rounds, each into new folders; `?sync=full` waits for the disk and has fewer."""
    files = scale.count(4_000, least=100)
    with tempfile.TemporaryDirectory(prefix="blobcat-bench-") as folder:
        root = Path(folder)
        made_tree(root / "tree", files)
        works: dict[str, Work] = {
            "blobcat": partial(_ingest, root, files, ""),
            "cp": partial(_copy, root, files),
        }
        found = await in_turn(
            scale.rounds(5),
            works,
        )
        full = await in_turn(1, {"full": partial(_ingest, root, files, "?sync=full")})
    what = f"ingest of {files:,} files into local:"
    peer = "cp -r, then sha256sum"
    return [
        Row(
            "P6",
            what,
            "s",
            found["blobcat", wall_s],
            peer,
            found["cp", wall_s],
            (Goal("≤", 3, "ours / peer", "× its time"),),
        ),
        Row("P6", f"{what}?sync=full", "s", full["full", wall_s], peer, found["cp", wall_s]),
        Row("P6", f"{what}, CPU per file", "µs", found["blobcat", cpu_us], peer, found["cp", cpu_us]),
    ]


async def _ingest(root: Path, files: int, options: str) -> float:
    place = Path(tempfile.mkdtemp(dir=root))
    async with connect(f"local:{place}/catalog{options}") as cat:
        report = await (await cat.create_volume("bench")).ingest(root / "tree")
    if report.written != files:
        raise SystemExit(f"ingest: {report}")
    return files


async def _copy(root: Path, files: int) -> float:
    place = Path(tempfile.mkdtemp(dir=root))
    script = 'cp -r "$1" "$2/tree" && find "$2/tree" -type f -print0 | xargs -0 sha256sum > "$2/sums"'
    await asyncio.to_thread(subprocess.check_call, ["/bin/sh", "-c", script, "sh", f"{root}/tree", f"{place}"])
    return files
