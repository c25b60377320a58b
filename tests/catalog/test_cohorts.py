"""Who is let go when: full cohorts; the first of a shard sooner, while the services wait; and the rest at the end."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from catalog.changes import Change
from catalog.cohorts import COHORT, FIRST, Packer
from catalog.commit import Committer, Seat
from catalog.entities import VolumeInfo
from catalog.modes import Overwrite
from catalog.op import Op, Phase
from catalog.sqlite_table import SqliteTable


def volume(shards: int) -> VolumeInfo:
    return VolumeInfo("v", "E", "immutable", shards, "v/", 1, datetime(2026, 1, 1, tzinfo=UTC), default=True)


@dataclass(frozen=True)
class Some:
    """A write of a file."""

    op: Op

    @classmethod
    def of(cls, number: int) -> "Some":
        change = Change("v", f"f{number}", "put", Overwrite(), "test", {}, "text/plain")
        return cls(Op(f"op{number}", change, "", 1, 10, Phase.HEAD))


@dataclass
class Writes:
    """What was let go, and not over before it may be."""

    begun: int = 0
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, _: Some, __: Seat) -> None:
        self.begun += 1
        await self.may_end.wait()


def packer(writes: Writes, shards: int = 1) -> Packer[Some]:
    return Packer(volume(shards), Committer(SqliteTable(":memory:"), 1.0), writes.write)


async def turns() -> None:
    """Let whatever can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_while_the_services_wait_a_first_cohort_goes_once_it_fills_a_transaction_of_commits() -> None:
    writes = Writes()
    packing = packer(writes)
    async with packing.packing():
        for number in range(FIRST - 1):
            await packing.add(Some.of(number))
        await turns()
        assert writes.begun == 0
        await packing.add(Some.of(FIRST))
        await turns()
        assert writes.begun == FIRST
        writes.may_end.set()
    assert writes.begun == FIRST


async def test_only_the_first_of_a_shard_goes_so_soon_and_all_others_are_full() -> None:
    writes = Writes()
    writes.may_end.set()
    packing = packer(writes)
    async with packing.packing():
        for number in range(FIRST + COHORT - 1):
            await packing.add(Some.of(number))
            await turns()
        assert writes.begun == FIRST
        await packing.add(Some.of(1_000))
        await turns()
        assert writes.begun == FIRST + COHORT
        await packing.add(Some.of(1_001))
    assert writes.begun == FIRST + COHORT + 1


async def test_where_the_services_have_work_the_first_cohort_of_a_shard_is_full_too() -> None:
    writes = Writes()
    packing = packer(writes, shards=2)
    async with packing.packing():
        for number in range(COHORT):  # more than FIRST of each shard
            await packing.add(Some.of(number))
        await turns()
        assert writes.begun == FIRST
        writes.may_end.set()
    assert writes.begun == COHORT
