"""P9: a query that finds one file among many, by an index and by a scan, in a catalog of this machine.

Both are the same query of the same rows. The scan is asked by somebody who opened the volume before there was an index.
On Azurite times prove nothing, since it walks its whole table for any range; `Query.explain` counts there, in tests.
"""

import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from catalog import Catalog, F, FileVersion, Volume, connect
from catalog.exchange import partition_of
from catalog.head_rows import changed
from catalog.table import Operation
from scripts.bench_measure import Work, in_turn, wall_us
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale

FILES_AT_A_TIME = 50
QUERIES = 10
"""A query of a millisecond is timed so many at a time."""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


async def indexes(scale: Scale) -> list[Row]:
    """Seven rounds of each."""
    files = scale.count(100_000, least=1_000)
    with tempfile.TemporaryDirectory(prefix="blobcat-bench-") as folder:
        async with connect(f"local:{Path(folder) / 'catalog'}") as cat:
            volume = await cat.create_volume("bench")
            await filled(cat, volume, files)
            before = await cat.volume("bench")
            await volume.create_index("meta.owner")
            works: dict[str, Work] = {"index": partial(_found, volume, QUERIES), "scan": partial(_found, before, 1)}
            found = await in_turn(scale.rounds(7), works)
    return [
        Row(
            "P9",
            f"indexed query, 1 match in {files:,}",
            "µs",
            found["index", wall_us],
            "the same query by a scan",
            found["scan", wall_us],
            (Goal("≥", 100, "peer / ours", "× faster"),),
        )
    ]


async def filled(cat: Catalog, volume: Volume, files: int) -> None:
    """So many files, straight into the table, as their commits would be: their content is nobody's business here."""
    waiting: dict[str, list[Operation]] = {}
    for number in range(files):
        file = _file(number, files)
        operations = waiting.setdefault(partition_of(volume.info, file.path), [])
        operations += changed(volume.info, file, None)
        if len(operations) >= 2 * FILES_AT_A_TIME:
            await cat._table.submit(partition_of(volume.info, file.path), operations)  # noqa: SLF001 — no commit of ours
            operations.clear()
    for key, operations in waiting.items():
        if operations:
            await cat._table.submit(key, operations)  # noqa: SLF001


def _file(number: int, files: int) -> FileVersion:
    return FileVersion(
        volume="bench",
        path=f"{number % 100:02}/file-{number:07}.csv",
        version=1,
        kind="put",
        etag=f"{number:026}",
        size=number,
        digest=f"sha256:{number:064x}",
        md5=f"{number:032x}",
        content_type="text/csv",
        metadata={"owner": "one" if number == files // 2 else f"owner-{number % 1_000}", "n": number},
        created=BEGAN + timedelta(seconds=number),
        modified=BEGAN,
        writer="bench",
        request_id=None,
        chain=f"{number:064x}",
        blob=f"bench/.versions/{number}",
        blob_etag=f"{number:016x}",
        blob_version=None,
    )


async def _found(volume: Volume, queries: int) -> float:
    for _ in range(queries):
        found = [file.path async for file in volume.query(F.meta["owner"] == "one")]
        if len(found) != 1:
            raise SystemExit(f"query: {found}")
    return queries
