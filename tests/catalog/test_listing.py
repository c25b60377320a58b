"""Pages of many shards at the same time: what becomes of the others where one of them fails."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from catalog.entities import VolumeInfo
from catalog.errors import AccessDeniedError
from catalog.filters import Condition
from catalog.keys import RowRange, partition
from catalog.listing import Lister
from catalog.retry import SystemClock
from catalog.rows import Entity
from catalog.settings import Settings
from catalog.sqlite_table import SqliteTable
from catalog.times import EPOCH

SHARDS = 4
VOLUME = VolumeInfo("v", "epoch", "immutable", SHARDS, "v/", 1, EPOCH, default=False)

KEYS = [partition(VOLUME.epoch, number) for number in range(SHARDS)]


class Turning(SqliteTable):
    """Its shards answer after so many turns of the loop, page after page; the last one refuses after so many more."""

    def __init__(self, refuses_after: int) -> None:
        super().__init__(":memory:")
        self.refuses_after = refuses_after

    async def query(
        self,
        partition: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        shard = KEYS.index(partition)
        for number in range(100):
            for _turn in range(self.refuses_after if shard == SHARDS - 1 else shard + 1):
                await asyncio.sleep(0)
            if shard == SHARDS - 1:
                raise AccessDeniedError("no", op="query")
            yield [Entity(partition, f"h{number:03}{shard}", {}, "e", 0)]


@pytest.mark.parametrize("refuses_after", range(12))
async def test_where_a_shard_fails_its_error_is_raised_and_nothing_is_left_running(refuses_after: int) -> None:
    """Also where another one's page arrives at the same moment."""
    lister = Lister(Turning(refuses_after), Settings(), SystemClock())
    before = asyncio.all_tasks()
    with pytest.raises(AccessDeniedError):
        async for _ in lister.runs(VOLUME, RowRange("h", "i")):
            pass
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
