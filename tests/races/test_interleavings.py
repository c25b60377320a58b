"""All interleavings of two clients on one path. A failure names the choices that led to it: its replay key."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from catalog import Catalog, ConflictError, Create, FileVersion, IfVersion, Mode, NotFoundError, Overwrite, Volume
from tests.faults.observer import State
from tests.faults.world import World
from tests.harness.invariants import check, check_settled
from tests.races.gate import Actor, Gate, Schedule, all_schedules, interleave

Call = Callable[[Catalog, Volume], Awaitable[object]]
OLD = (b"old",)


def put(content: bytes, mode: Mode = Overwrite()) -> Call:
    async def call(_: Catalog, volume: Volume) -> object:
        return await volume.put("a", content, mode=mode)

    return call


async def delete(_: Catalog, volume: Volume) -> object:
    return await volume.delete("a")


async def recover(catalog: Catalog, volume: Volume) -> object:
    """Recovery of the one volume: what `Catalog.recover` does after it has found the volumes."""
    return await catalog._recovery.run(volume.info, patience_s=0)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two calls at the same time, the contents that there were before, and what they may return, as types."""

    name: str
    calls: tuple[Call, Call]
    ends: Sequence[set[type]]
    """Each end that may be: what is returned or raised, in any order."""
    given: Sequence[bytes | None] = ()

    def __str__(self) -> str:
        return self.name


PASSES = frozenset({"table.next", "table.mark"})
OWN = frozenset({"content.put", "content.stat", "content.delete"})
"""Nobody but recovery touches the content of another's op."""

BOTH: Sequence[set[type]] = [{FileVersion}]
ONE: Sequence[set[type]] = [{FileVersion, ConflictError}]

PAIRS = (
    Pair("create-create", (put(b"1", Create()), put(b"2", Create())), ONE),
    Pair("create-create-on-tombstone", (put(b"1", Create()), put(b"2", Create())), ONE, given=(b"old", None)),
    Pair("overwrite-overwrite", (put(b"1"), put(b"2")), BOTH, given=OLD),
    Pair("overwrite-create", (put(b"1"), put(b"2", Create())), [{FileVersion}, {FileVersion, ConflictError}]),
    Pair("if-version-if-version", (put(b"1", IfVersion(1)), put(b"2", IfVersion(1))), ONE, given=OLD),
    Pair(
        "if-version-delete", (put(b"1", IfVersion(1)), delete), [{FileVersion}, {FileVersion, ConflictError}], given=OLD
    ),
    Pair("overwrite-delete", (put(b"1"), delete), BOTH, given=OLD),
    Pair("create-delete", (put(b"1", Create()), delete), [{FileVersion}, {FileVersion, ConflictError}], given=OLD),
    Pair("delete-delete", (delete, delete), [{FileVersion, NotFoundError}], given=OLD),
    Pair("create-recover", (put(b"1", Create()), recover), [{FileVersion, list}]),
    Pair("overwrite-recover", (put(b"1"), recover), [{FileVersion, list}], given=OLD),
    Pair("delete-recover", (delete, recover), [{FileVersion, list}], given=OLD),
    Pair("recover-recover", (recover, recover), [{list}], given=OLD),
)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
async def test_every_interleaving(pair: Pair) -> None:
    schedules = 0
    for schedule in all_schedules():
        schedules += 1
        try:
            await run(pair, schedule)
        except BaseException as error:
            error.add_note(f"replay: {pair} {schedule.choices}")
            raise
    assert schedules > 1, "there was nothing to interleave"


async def run(pair: Pair, schedule: Schedule) -> None:
    async with World() as world:
        volume = await world.client().create_volume("v", shards=1)
        for content in pair.given:
            await (volume.delete("a") if content is None else volume.put("a", content))
        if pair.name == "recover-recover":
            await world.leave_half_done("a", requests=3)
        passes = PASSES if recover in pair.calls else PASSES | OWN
        said = await interleave(schedule, [actor(world, call, passes) for call in pair.calls])
        state = await world.look()
        judge(pair, state, said)
        await world.client().recover(patience_s=0)
        check_settled(await world.look())
        assert (await world.look()).ops == state.ops


def actor(world: World, call: Call, passes: frozenset[str]) -> Actor:
    async def act(gate: Gate) -> object:
        catalog = world.client(gate)
        volume = await catalog.volume("v")
        gate.passes = passes
        gate.shut = True
        return await call(catalog, volume)

    return act


def judge(pair: Pair, state: State, said: Sequence[object]) -> None:
    """S1, S2, S7, S8: the history holds what was acknowledged and nothing else, in the order of its versions."""
    assert {type(item) for item in said} in pair.ends, said
    check(state)
    files = sorted((item for item in said if isinstance(item, FileVersion)), key=lambda file: file.version)
    assert [file.version for file in files] == list(range(len(pair.given) + 1, len(pair.given) + len(files) + 1))
    assert state.ops.get("a", [])[len(pair.given) :] == [file.etag for file in files]
