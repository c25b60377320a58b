"""Each request of each scenario goes wrong in each way, once and from then on; and its client is killed there.

After each run the raw rows and blobs are compared with what the API said, and what 02-protocol promises must hold.
"""

from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from catalog import Catalog, CatalogError, FileVersion, OutcomeUnknownError, UnavailableError
from tests.faults.observer import State
from tests.faults.ports import CRASHES, ONCE, PERSISTENT, Fault, Wire
from tests.faults.scenarios import SCENARIOS, Scenario, Told, contents, digests, ingest, make_tree
from tests.faults.world import World, outlived, writes
from tests.harness import tally
from tests.harness.invariants import (
    check,
    check_grown,
    check_said,
    check_settled,
    s2_failures_left_nothing,
    s3_resolve_tells_the_truth,
    s6_second_recovery_writes_nothing,
)

MANY = 200


@pytest.fixture(params=[*SCENARIOS, "ingest"], ids=str)
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Scenario:
    found = request.param
    return found if isinstance(found, Scenario) else ingest(make_tree(tmp_path))


async def for_every_request(fault: Fault, *, on: bool = False) -> AsyncIterator[Wire]:
    """Wires that fail at request 1, 2, 3 … until a run makes fewer requests. At least one of them must have failed."""
    for number in count(1):
        wire = Wire(number, fault, on=on)
        yield wire
        tally.count("faults fired", wire.fired)
        tally.count("scenarios × faults", bool(wire.fired))
        tally.count("cells empty", number == 1 and not wire.fired)
        if not wire.fired:
            assert number > 1, "the fault never fired"
            return
        assert number < MANY, "the scenario never ends"


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name.lower())
async def test_one_transient_fault_is_invisible(scenario: Scenario, fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            await one_fault(world, scenario, wire)


@pytest.mark.parametrize("fault", PERSISTENT, ids=lambda fault: fault.name.lower())
async def test_an_outage_ends_in_the_truth(scenario: Scenario, fault: Fault) -> None:
    async for wire in for_every_request(fault, on=True):
        async with World() as world:
            await an_outage(world, scenario, wire)


@pytest.mark.parametrize("fault", CRASHES, ids=lambda fault: fault.name.lower())
async def test_a_killed_client_leaves_nothing_half_done(scenario: Scenario, fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            await a_kill(world, scenario, wire)


async def one_fault(world: World, scenario: Scenario, wire: Wire) -> None:
    """It goes as if nothing had been (S9)."""
    before = await world.prepare(scenario)
    client = world.client(wire)
    said = await scenario.act(client)
    assert [type(item) for item in said if isinstance(item, CatalogError)] == list(scenario.errors), wire
    after = await world.look()
    assert contents(after) == digests(scenario.then), f"S9: {wire}"
    assert volumes(after) == (sorted(scenario.volumes), scenario.default), wire
    check_said(before, after, said)
    await recover(world)
    wire.heal()
    await works(world, client)


async def an_outage(world: World, scenario: Scenario, wire: Wire) -> None:
    """What was told is what is, or can be asked for (S1, S2, S3)."""
    before = await world.prepare(scenario)
    client = world.client(wire)
    try:
        said = await scenario.act(client)
    except UnavailableError as error:
        said = [error]
    wire.heal()
    said = await resolved(world, said)
    after = await world.look()
    check_said(before, after, said)
    s2_failures_left_nothing(before, after, acknowledged(said), counted(said))
    if any(isinstance(item, UnavailableError) for item in said):
        assert volumes(after) == volumes(before), f"S2: {wire}"
    await recover(world)
    await again(world, scenario)
    await works(world, client)


async def a_kill(world: World, scenario: Scenario, wire: Wire) -> None:
    """What was begun is a beginning of what was to be done, and recovery changes nothing that is seen."""
    before = await world.prepare(scenario)
    await outlived(wire, scenario.act(world.client(wire)))
    after = await world.look()
    check(after)
    check_grown(before, after)
    done, expected = contents(after), digests(scenario.then)
    assert all(versions == expected[path][: len(versions)] for path, versions in done.items()), wire
    await recover(world)
    assert contents(await world.look()) == done, f"recovery changed what a reader sees: {wire}"
    await again(world, scenario)


def acknowledged(said: Sequence[Told]) -> set[str]:
    return {item.etag for item in said if isinstance(item, FileVersion)}


def counted(said: Sequence[Told]) -> int:
    return sum(item for item in said if isinstance(item, int))


def volumes(state: State) -> tuple[list[str], str | None]:
    """The names of the volumes that there are, and of the default one."""
    names = [row[1:] for key, row in state.rows if key == "~" and row[0] == "v"]
    return sorted(names), state.rows.get(("~", "c"), {}).get("default_volume")


async def resolved(world: World, said: Sequence[Told]) -> list[Told]:
    """What was said, with the truth in the place of what was unknown: the same however often one asks (S3)."""
    settled: list[Told] = []
    for item in said:
        if isinstance(item, OutcomeUnknownError) and item.token:
            answers = [await world.client().resolve(item.token) for _ in range(2)]
            s3_resolve_tells_the_truth(await world.look(), item.token, answers)
            settled.append(answers[0])
        else:
            settled.append(item)
    return settled


async def recover(world: World) -> None:
    """One recovery reaches the fixpoint, and the second writes nothing but the marker that tells the time (S6)."""
    await world.client().recover(patience_s=0)
    once = await world.look()
    check_settled(once)
    wire = Wire()
    report = await world.client(wire).recover(patience_s=0)
    assert report.quiet
    s6_second_recovery_writes_nothing(once, await world.look(), writes(wire.sent))


async def works(world: World, client: Catalog) -> None:
    """The client that met the fault goes on."""
    volume = await client.volume("v")
    file = await volume.put("later", b"later")
    assert await volume.read("later") == b"later"
    assert file.version == 1


async def again(world: World, scenario: Scenario) -> None:
    """A fresh client can do the same again: what it meets is a file or a conflict, never trouble."""
    said = await scenario.act(world.client())
    assert not any(isinstance(item, UnavailableError | OutcomeUnknownError) for item in said)
    check(await world.look())
