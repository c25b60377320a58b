"""On a real Azurite, through the real SDKs: each request of each scenario goes wrong in each way that there is.

Every second request of every scenario that writes meets one of the four classes, in turn, and every third request of
all one of the other kinds; all of them where BLOBCAT_NIGHTLY is set. (The whole matrix is run in memory:
`test_every_fault`.) A persistent fault and the client's death meet a selection.
"""

from collections.abc import Sequence
from itertools import count

import pytest

from tests.faults.plan import Plan
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.site import EVERY, Site, run_killed, run_on, run_once, try_all
from tests.faults.transport import CLASSES, CRASHES, OTHERS, Fault, possible

READS = ("read", "list-and-history", "stat", "query", "verify", "open-range", "move-nothing")
WRITES = [each for each in SCENARIOS if each.name not in READS]
SOME = [each for each in SCENARIOS if EVERY or each.name in ("overwrite", "staged", "move-apart", "create_volume")]
OUTAGES = (Fault.LOST_BEFORE_FIN, Fault.LOST_AFTER_RST, Fault.REFUSED, Fault.RETRY_AFTER)


@pytest.mark.parametrize("scenario", WRITES, ids=str)
async def test_one_fault_of_each_class_is_invisible(site: Site, scenario: Scenario) -> None:
    trial = await site.trial(scenario, site.behind_transports)
    every = [[Plan(at, fault) for fault in CLASSES] for at, _ in enumerate(trial.requests, 1)]
    turn = SCENARIOS.index(scenario)
    some = [those[at // 2 % len(those)] for at, those in enumerate(every, turn) if at % 2 or len(every) < len(CLASSES)]
    plans = [plan for those in every for plan in those] if EVERY else some
    await try_all(run_once, site, trial, plans, site.behind_transports)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_one_fault_of_any_kind_is_invisible(site: Site, scenario: Scenario) -> None:
    trial = await site.trial(scenario, site.behind_transports)
    plans = in_turn(trial.requests, SCENARIOS.index(scenario))
    await try_all(run_once, site, trial, plans, site.behind_transports)


@pytest.mark.parametrize("scenario", SOME, ids=str)
async def test_an_outage_ends_in_the_truth(site: Site, scenario: Scenario) -> None:
    trial = await site.trial(scenario, site.behind_transports)
    every = [Plan(at, fault, on=True) for at, _ in enumerate(trial.requests, 1) for fault in OUTAGES]
    plans = every if EVERY else [plan for at, plan in enumerate(every) if at % len(OUTAGES) == at // len(OUTAGES) % 4]
    await try_all(run_on, site, trial, plans, site.behind_transports)


@pytest.mark.parametrize("scenario", SOME, ids=str)
async def test_a_client_that_dies_leaves_nothing_half_done(site: Site, scenario: Scenario) -> None:
    trial = await site.trial(scenario, site.behind_transports)
    plans = [Plan(at, fault) for at, _ in enumerate(trial.requests, 1) for fault in CRASHES]
    await try_all(run_killed, site, trial, plans, site.behind_transports)


def in_turn(lines: Sequence[str], offset: int) -> list[Plan[Fault]]:
    """For each third request one kind that it can have, the next such request has the next; or all of all."""
    turn = count(offset * 5)
    plans: list[Plan[Fault]] = []
    for at, line in enumerate(lines, 1):
        kinds = [fault for fault in OTHERS if possible(fault, line)]
        if EVERY:
            plans += [Plan(at, fault) for fault in kinds]
        elif (at + offset) % 3 == 0 or len(lines) < 3:
            plans.append(Plan(at, kinds[next(turn) % len(kinds)]))
    return plans
