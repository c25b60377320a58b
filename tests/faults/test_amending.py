"""A write that meets an index whose row somebody has removed, with every fault at each of its requests (S2, S9)."""

import pytest

from catalog.exchange import partition_of
from catalog.table import Delete
from tests.faults.ports import Fault, Wire
from tests.faults.world import World
from tests.harness.index_rows import amiss_in, index_rows_of

FAULTS = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED, Fault.BUSY, Fault.TWICE)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name.lower())
async def test_one_fault_is_not_noticed(fault: Fault) -> None:
    """It is applied once, whatever becomes of the looks at rows, or of the second transaction."""
    for at in range(1, 100):
        async with World() as world:
            volume = await world.client().create_volume("v", shards=1)
            await volume.create_index("meta.owner")
            await volume.put("a", b"old", metadata={"owner": "ada"})
            (row,) = await index_rows_of(world.table, volume.info, "a")
            await world.table.submit(partition_of(volume.info, "a"), [Delete(row)])
            wire = Wire()
            other = await world.client(wire).volume("v")
            wire.at, wire.fault = len(wire.sent) + at, fault
            file = await other.put("a", b"new", metadata={"owner": "bob"})
            assert file.version == 2
            assert await other.read("a") == b"new"
            assert await amiss_in(world.table, volume.info) == []
            if not wire.fired:
                assert at > 8, wire.sent
                return
