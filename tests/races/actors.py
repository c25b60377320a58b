"""Actors of a pair, each with a client and a gate of its own; and the world that they meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from catalog import Catalog
from tests.faults.ports import FaultTable
from tests.faults.world import SETTINGS, World
from tests.harness.nightly import NIGHTLY
from tests.harness.recorder import Recorder
from tests.races.gate import Actor, Gate, Pauses
from tests.races.pairs import Call, Pair

PATIENT = replace(SETTINGS, request_timeout_s=60, timeout_s=80)
"""Nobody gives up on a request because its turn comes late; those who stand in each other's way do, in virtual time."""
PAUSES = 2 if NIGHTLY else 1
"""After so many, one of two who may undo each other for ever lets the other pass."""

TableType = type[FaultTable]


@asynccontextmanager
async def begun(pair: Pair) -> AsyncIterator[tuple[World, Catalog, dict[str, int]]]:
    """A world as the pair finds it, a client that has no part in it, and how many versions of each path there are."""

    async def make(world: World) -> None:
        volume = await world.client().create_volume("v", shards=pair.shards)
        for path, contents in pair.given.items():
            for content in contents:
                await (volume.delete(path) if content is None else volume.put(path, content))
        if pair.half_done:
            await world.leave_half_done("a", requests=3)

    async with World(PATIENT) as world:
        await world.begin_as(pair, make)
        yield world, world.client(), {path: len(contents) for path, contents in pair.given.items()}


def actor(world: World, name: str, call: Call, recorder: Recorder, *, table: TableType = FaultTable) -> Actor:
    """Who makes a call, with a client whose ids begin with a name, so that no order of requests changes them."""

    async def act(gate: Gate) -> object:
        fault, gate.fault = gate.fault, None
        clock = Pauses(gate, PATIENT.timeout_s)
        catalog = world.client(gate, table=table(world.table, gate), clock=clock, name=name)
        volume = await catalog.volume("v")
        gate.shut = True
        gate.fault, gate.at = fault, len(gate.sent) + gate.at
        return await call(catalog, recorder.volume(name, volume, begin=gate.begin, end=gate.end))

    return act
