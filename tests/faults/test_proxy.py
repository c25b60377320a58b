"""On a real Azurite, over real sockets: requests go wrong on the wire, in ways that no transport can fake.

A connection reset in the middle of things, half a header, a request that arrives twice. Each request in each way is the
matrix of `test_transport`; here each request fails in some, and the next one in the next.
"""

import pytest

from tests.faults.plan import Plan
from tests.faults.proxy import WireFault
from tests.faults.scenarios import SCENARIOS
from tests.faults.site import EVERY, Site, run_on, run_once, try_all

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
IN_TURN = (
    "overwrite", "create", "delete", "if-version", "staged", "put_many", "recover", "create_volume", "read",
    "restore", "move-apart",
)  # fmt: skip
IN_AN_OUTAGE = ("overwrite", "staged")


@pytest.mark.parametrize("name", IN_TURN)
async def test_one_fault_on_the_wire_is_invisible(site: Site, name: str) -> None:
    scenario, kinds, opened = BY_NAME[name], list(WireFault), site.behind_proxies
    trial = await site.trial(scenario, opened)
    turns = range(len(kinds)) if EVERY else (0,)
    offset = IN_TURN.index(name)
    plans = [
        Plan(at, kinds[(3 * at + turn + offset) % len(kinds)])
        for at, _ in enumerate(trial.requests, 1)
        for turn in turns
    ]
    await try_all(run_once, site, trial, plans, opened)


@pytest.mark.parametrize("name", IN_AN_OUTAGE)
async def test_an_outage_on_the_wire_ends_in_the_truth(site: Site, name: str) -> None:
    scenario, opened = BY_NAME[name], site.behind_proxies
    trial = await site.trial(scenario, opened)
    plans = [Plan(at, WireFault.DROP_AFTER, on=True) for at, _ in enumerate(trial.requests, 1)]
    await try_all(run_on, site, trial, plans, opened)


def test_the_turns_leave_no_kind_out() -> None:
    """Three steps a request through ten kinds, from another one in each scenario: all of them come."""
    kinds = len(WireFault)
    assert {(3 * at + offset) % kinds for at in range(1, 6) for offset in range(len(IN_TURN))} == set(range(kinds))
