"""A write that arrives late: after its sender gave up on it, did something else, or after everything was settled."""

import pytest

from catalog import CatalogError
from tests.faults.ports import Fault
from tests.faults.scenarios import SCENARIOS, Scenario, contents, digests
from tests.faults.test_every_fault import for_every_request, volumes
from tests.faults.world import World, outlived
from tests.harness.invariants import check, check_said, check_settled

READS = ("read", "list-and-history", "stat", "query", "verify", "open-range", "move-nothing", "volumes")
WRITES = [each for each in SCENARIOS if each.name not in READS]
NAMES = (
    "create", "overwrite", "delete", "staged", "recover", "copy", "move", "move-apart", "request",
    "create_volume", "delete_volume", "delete_volume-refused", "create_index", "drop_index", "move-apart-indexed",
)  # fmt: skip
BASIC = [each for each in SCENARIOS if each.name in NAMES]


@pytest.mark.parametrize("fault", [Fault.HELD, Fault.ECHO], ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("delay", range(1, 7))
@pytest.mark.parametrize("scenario", BASIC, ids=str)
async def test_a_late_request_is_harmless(scenario: Scenario, delay: int, fault: Fault) -> None:
    async for wire in for_every_request(fault):
        wire.delay = delay
        async with World() as world:
            before = await world.prepare(scenario)
            said = await scenario.act(world.client(wire))
            await wire.settle()
            assert [type(item) for item in said if isinstance(item, CatalogError)] == list(scenario.errors), wire
            after = await world.look()
            assert contents(after) == digests(scenario.then), wire
            assert volumes(after)[0] == sorted(scenario.volumes), wire
            check_said(before, after, said)
            await world.client().recover(patience_s=0)
            check_settled(await world.look())


@pytest.mark.parametrize("scenario", WRITES, ids=str)
async def test_what_a_dead_client_sent_may_arrive_after_recovery(scenario: Scenario) -> None:
    """Late W1, W2 and W3 of ops that others have aborted: refused, or removed by the next recovery."""
    async for wire in for_every_request(Fault.CRASH_HELD):
        async with World() as world:
            await world.prepare(scenario)
            await outlived(wire, scenario.act(world.client(wire)))
            await world.client().recover(patience_s=0)
            seen = contents(await world.look())
            await wire.settle()
            after = await world.look()
            check(after)
            assert contents(after) == seen, f"S2: {wire}"
            await world.client().recover(patience_s=0)
            check_settled(await world.look())
