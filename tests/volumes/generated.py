"""A volume of any size that takes no memory: heads are made as they are asked for."""

from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from catalog.answering import Answering
from catalog.entities import VolumeInfo
from catalog.filters import Condition
from catalog.keys import RowRange, head_row
from catalog.kinds import LIVE
from catalog.listing import Lister
from catalog.planner import Question
from catalog.query import Query
from catalog.retry import SystemClock
from catalog.rows import Entity, Values
from catalog.settings import Settings
from catalog.table import PAGE_ROWS
from catalog.times import EPOCH

VOLUME = VolumeInfo("big", "01M7YDPMV7TEE4G67NGAFWCDA9", "immutable", 1, "big/", 1, EPOCH, default=True)


def values(number: int) -> Values:
    """Of the head of one file."""
    return {
        "schema": 1,
        "path": f"folder/file-{number:09d}.txt",
        "version": 1,
        "kind": "put",
        "op": f"{number:026d}",
        "size": number,
        "digest": f"sha256:{number:064x}",
        "content_type": "text/plain",
        "created": 1_795_000_000_000_000 + number,
        "writer": "generated",
        "chain": f"{number:064x}",
        "blob": f"blob-{number}",
        "blob_etag": f"etag-{number}",
        "m_owner": f"owner-{number % 7}",
        "m_n": number,
    }


class GeneratedTable:
    """So many heads, in pages."""

    def __init__(self, files: int) -> None:
        self._files = files

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        for first in range(0, self._files, PAGE_ROWS):
            found = [values(number) for number in range(first, min(first + PAGE_ROWS, self._files))]
            yield [Entity(partition, head_row(str(each["path"])), each, "1", 1) for each in found]


@dataclass
class Known:
    """Who knows the volume."""

    info: VolumeInfo


def query_of(files: int, *, limit: int | None = None) -> Query:
    """All of so many files."""
    table: Any = GeneratedTable(files)
    lister = Lister(table, Settings(), SystemClock())

    async def settled(row: Entity) -> Entity | None:
        return row

    with ThreadPoolExecutor(1) as threads:  # of which nobody has need
        return Query(VOLUME.name, Answering(Known(VOLUME), lister, settled, threads, Question(LIVE)), limit=limit)
