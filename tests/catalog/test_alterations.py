"""Other settings for a volume, explored: the real steps of those who alter it, against writers who were never told.

A registry row and two shards, each with its gates, the writes under way there, one head, and that head's rows in the
indexes. An index is added and filled, or ended and swept, while files come and go; every request may be lost, doubled,
or held back and applied later, and anyone may stop anywhere. An index that is ready must have every file, for ever.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from catalog.alterations import AddIndex, EndIndex, with_index_state, without_index
from catalog.entities import Index, VolumeInfo, VolumeRow
from catalog.errors import OutcomeUnknownError, UnavailableError
from catalog.messages import Absent, Answer, Done, Doubt, Expired, Found, Refused
from catalog.times import EPOCH
from catalog.turnover import (
    Advance,
    Gone,
    Kept,
    Met,
    ReadVolume,
    Remove,
    Settle,
    Step,
    Survey,
    Turn,
    Turnover,
    TurnoverNext,
    Unfinished,
    alter,
    delete,
    help_along,
    turnover_step,
)
from tests.harness.nightly import NIGHTLY
from tests.harness.search import explore

LOST = Doubt(OutcomeUnknownError("lost"))
LATE = Expired(UnavailableError("time is up"))
ERROR = UnavailableError("told")
FIRST, LAST = 0, 1
ON = ("created",)
ID = "1"
Gate = tuple[int, bool]
"""Its generation, and whether it is shut."""


@dataclass(frozen=True)
class Shard:
    """One head, and what is around it."""

    gates: frozenset[Gate] = frozenset({(1, False)})
    intents: frozenset[tuple[str, int]] = frozenset()
    live: bool = False
    etag: int = 0
    indexed: frozenset[str] = frozenset()
    """The head's mark, and the rows that it has: always the same, as they change in one transaction."""


@dataclass(frozen=True)
class Write:
    """A put or a delete of one file."""

    name: str
    shard: int
    makes: bool
    info: VolumeInfo
    at: str = "begin"  # begin, reload, commit; then committed or over


@dataclass(frozen=True)
class Care:
    """Somebody who fills an index that is building, or sweeps one that is being dropped: as `filling` does it."""

    fills: bool
    at: str = "look"  # look, scan, mark, turn, over
    row: VolumeRow | None = None
    shard: int = 0
    etag: int = 0


@dataclass(frozen=True)
class Insert:
    """W1: the gate must be there."""

    write: str
    shard: int
    info: VolumeInfo


@dataclass(frozen=True)
class Commit:
    """W3: the intent must be open, and every index known that has a row of the head."""

    write: str
    shard: int
    makes: bool
    info: VolumeInfo


@dataclass(frozen=True)
class Mark:
    """A row for a head that was there before the index, or none any more: by its etag, and by the gate."""

    shard: int
    etag: int
    gate: Gate | None
    fills: bool


@dataclass(frozen=True)
class World:
    """Everything there is, and where everybody stands."""

    row: VolumeRow | None
    shards: tuple[Shard, ...]
    turners: tuple[TurnoverNext, ...]
    writes: tuple[Write, ...]
    cares: tuple[Care, ...]
    net: tuple[object, ...] = ()
    faults: int = 1
    stops: int = 1


def an_info(*indexes: Index) -> VolumeInfo:
    return VolumeInfo(
        "raw", "E", "immutable", 2, "raw/", 1, EPOCH, default=False, indexes=indexes, indexes_made=len(indexes)
    )


def put_in(world: World, shard: int, **changes: Any) -> World:
    shards = list(world.shards)
    shards[shard] = replace(shards[shard], **changes)
    return replace(world, shards=tuple(shards))


def kept_up(info: VolumeInfo) -> frozenset[str]:
    return frozenset(index.id for index in info.indexes if index.state != "dropping")


def applied(world: World, request: object) -> tuple[World, Answer | Met]:  # noqa: C901, PLR0911, PLR0912 — one case each
    """A request reaches the service."""
    match request:
        case ReadVolume():
            return world, Found(world.row) if world.row else Absent()
        case Turn(row, to):
            if world.row is None or world.row.etag != row.etag:
                return world, Refused()
            return replace(world, row=VolumeRow(to, str(int(row.etag) + 1))), Done()
        case Remove(row):
            if world.row is None or row.etag != world.row.etag:
                return world, Refused()
            return replace(world, row=None), Done()
    there = world.shards[request.shard]  # type: ignore[attr-defined]
    match request:
        case Survey(at):
            return world, Met("file") if there.live else Absent()
        case Advance(at, generation, shut):
            highest = max(there.gates)
            if highest[0] >= generation:
                return world, Done() if highest[0] == generation else Refused()
            return put_in(world, at, gates=there.gates - {highest} | {(generation, shut)}), Done()
        case Settle(row, at, older):
            left = frozenset(each for each in there.intents if older and each[1] >= row.info.generation)
            return put_in(world, at, intents=left), Done()
        case Insert(write, at, info):
            if (info.generation, False) not in there.gates or info.state == "closing":
                return world, Refused()
            return put_in(world, at, intents=there.intents | {(write, info.generation)}), Done()
        case Commit(write, at, makes, info):
            known = {index.id for index in info.indexes}
            if (write, info.generation) not in there.intents or (there.live and not there.indexed <= known):
                return world, Refused()
            indexed = kept_up(info) if makes else frozenset()
            fewer = there.intents - {(write, info.generation)}
            return put_in(world, at, intents=fewer, live=makes, etag=there.etag + 1, indexed=indexed), Done()
        case Mark(at, etag, gate, fills):
            if there.etag != etag or (gate and gate not in there.gates):
                return world, Refused()
            indexed = there.indexed | {ID} if fills else there.indexed - {ID}
            return put_in(world, at, etag=there.etag + 1, indexed=indexed), Done()
    raise AssertionError(request)


def sent(world: World, request: object) -> Iterator[tuple[str, World, Answer | Met]]:
    """All that can happen to a request, and what its sender hears."""
    name = type(request).__name__
    after, answer = applied(world, request)
    yield f"{name}: {type(answer).__name__}", after, answer
    if isinstance(request, ReadVolume | Survey) or not world.faults:
        return
    fewer, after = replace(world, faults=world.faults - 1), replace(after, faults=world.faults - 1)
    yield f"{name}: answer lost", after, LOST
    yield f"{name}: lost", fewer, LOST
    yield f"{name}: held back", replace(fewer, net=(*world.net, request)), LOST
    yield f"{name}: and a copy is held back", replace(after, net=(*world.net, request)), answer


Stepper = Callable[[Turnover, Answer | Met], TurnoverNext]
Carer = Callable[[World, Care], Iterator[tuple[str, World, Care]]]


def turned(world: World, take: Stepper) -> Iterator[tuple[str, World]]:
    for index, (at, request) in enumerate(world.turners):
        if isinstance(request, Gone | Kept | Unfinished):
            continue
        for label, after, answer in sent(world, request):
            yield f"turner {index} {label}", _with(after, index, take(at, answer))
        if world.stops:
            stopped = replace(world, stops=world.stops - 1)
            yield f"turner {index} runs out of time", _with(stopped, index, take(at, LATE))


def _with(world: World, index: int, at: TurnoverNext) -> World:
    if isinstance(at[1], Gone | Kept | Unfinished):  # what was told is all that is left of it
        at = Turnover(wanted=at[0].wanted, wish=at[0].wish), _told(at[1])
    return replace(world, turners=(*world.turners[:index], at, *world.turners[index + 1 :]))


def _told(result: Gone | Kept | Unfinished) -> Gone | Kept | Unfinished:
    return Unfinished(ERROR, result.begun) if isinstance(result, Unfinished) else result


def written(world: World, write: Write) -> Iterator[tuple[str, World, Write]]:
    match write.at:
        case "begin":
            for label, after, answer in sent(world, Insert(write.name, write.shard, write.info)):
                yield label, after, replace(write, at="commit" if isinstance(answer, Done) else "reload")
        case "reload":
            if world.row is None:
                yield "finds no volume", world, replace(write, at="over")
            elif world.row.info != write.info:
                yield "reloads", world, replace(write, at="begin", info=world.row.info)
            else:  # its gate is not there yet, or its answer was lost: it tries once more, and then stops
                yield "stops", world, replace(write, at="over")
        case "commit":
            for label, after, answer in sent(world, Commit(write.name, write.shard, write.makes, write.info)):
                yield label, after, replace(write, at="committed" if isinstance(answer, Done) else "over")


def cared(world: World, care: Care) -> Iterator[tuple[str, World, Care]]:
    """One step of filling or sweeping. What is unknown, or refused, is looked at anew."""
    state = "building" if care.fills else "dropping"
    match care.at:
        case "look":
            wanted = (
                world.row
                and world.row.info.state == "open"
                and any(index.id == ID and index.state == state for index in world.row.info.indexes)
            )
            yield "looks", world, replace(care, at="scan" if wanted else "over", row=world.row, shard=0)
        case "scan" if care.shard == len(world.shards):
            yield "is through", world, replace(care, at="turn")
        case "scan":
            head = world.shards[care.shard]
            if head.live and (ID in head.indexed) is not care.fills:
                yield "finds a head", world, replace(care, at="mark", etag=head.etag)
            else:
                yield "finds nothing", world, replace(care, shard=care.shard + 1)
        case "mark":
            assert care.row
            gate = (care.row.info.generation, False) if care.fills else None
            for label, after, _ in sent(world, Mark(care.shard, care.etag, gate, care.fills)):
                yield label, after, replace(care, at="look", row=None, etag=0)
        case "turn":
            assert care.row
            info = with_index_state(care.row.info, ID, "ready") if care.fills else without_index(care.row.info, ID)
            for label, after, _ in sent(world, Turn(care.row, info)):
                yield label, after, replace(care, at="look", row=None)


def successors(world: World, take: Stepper = turnover_step, tend: Carer = cared) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    yield from turned(world, take)
    for index, write in enumerate(world.writes):
        for label, after, moved in written(world, write):
            writes = (*after.writes[:index], moved, *after.writes[index + 1 :])
            yield f"{write.name} {label}", replace(after, writes=writes)
    for index, care in enumerate(world.cares):
        if care.at == "over":
            if world.stops:  # it is begun anew
                again = replace(world, stops=world.stops - 1)
                cares = (*world.cares[:index], Care(care.fills), *world.cares[index + 1 :])
                yield f"care {index} begins", replace(again, cares=cares)
            continue
        for label, after, tended in tend(world, care):
            cares = (*after.cares[:index], tended, *after.cares[index + 1 :])
            yield f"care {index} {label}", replace(after, cares=cares)
    for index, late in enumerate(world.net):
        after, _ = applied(world, late)
        yield f"late {type(late).__name__}", replace(after, net=world.net[:index] + world.net[index + 1 :])


def violation(before: World, now: World) -> str | None:
    """What is wrong with a state, or with having come to it."""
    if now.row is None:
        return "S1: a file is in a volume that is gone" if any(shard.live for shard in now.shards) else None
    known = {index.id: index.state for index in now.row.info.indexes}
    for old, new in zip(before.shards, now.shards, strict=True):
        if (new.gates - old.gates) and max(new.gates) <= max(old.gates):
            return "a gate came back"
        if new.live and not new.indexed <= known.keys():
            return "S12: a head is in an index that nobody knows any more: nobody can write there"
        if new.live and known.get(ID) == "ready" and ID not in new.indexed:
            return "S1: an index that is ready lacks a file"
    return None if now.net else unrest(now)


def unrest(world: World) -> str | None:  # noqa: PLR0911 — one line per complaint
    """What those who come later, with nobody else about, do not bring to an end."""
    at = help_along()
    for _ in range(60):
        if isinstance(at[1], Gone | Kept | Unfinished):
            break
        world, answer = applied(world, at[1])
        at = turnover_step(at[0], answer)
    else:
        return "S12: helping never ends"
    for fills in (True, False):
        care, world = Care(fills), replace(world, faults=0)
        for _ in range(60):
            if care.at == "over":
                break
            _, world, care = next(cared(world, care))
        else:
            return "S12: caring never ends"
    if world.row is None:
        return "S1: a file is in a volume that is gone" if any(shard.live for shard in world.shards) else None
    if world.row.info.state != "open" or any(index.state != "ready" for index in world.row.info.indexes):
        return f"S12: {world.row.info} for ever"
    if any((world.row.info.generation, False) not in shard.gates for shard in world.shards):
        return "S12: nobody can write any more"
    if any(shard.live and shard.indexed != kept_up(world.row.info) for shard in world.shards):
        return "a head is not in the indexes that there are"
    return None


ADD, END = AddIndex(ON), EndIndex(ID)
BUILDING, READY = Index(ID, ON, "building"), Index(ID, ON, "ready")


def of(name: str, shard: int, makes: bool, *indexes: Index) -> Write:
    return Write(name, shard, makes, an_info(*indexes))


Scene = tuple[tuple[Index, ...], tuple[Write, ...], tuple[bool, bool], tuple[TurnoverNext, ...], tuple[bool, ...]]
"""The indexes there are, the writes, which shard has a file, the turnovers, and who fills (True) or sweeps (False)."""
SCENES: dict[str, Scene] = {
    "added, as one is written": ((), (of("put", LAST, True),), (True, False), (alter(ADD),), (True,)),
    "added, as one is replaced": ((), (of("put", FIRST, True),), (True, False), (alter(ADD),), (True,)),
    "added, as one is deleted": ((), (of("delete", FIRST, False),), (True, False), (alter(ADD),), (True,)),
    "added by two": ((), (of("put", LAST, True),), (True, False), (alter(ADD), alter(ADD)), (True,)),
    "filled by two": ((BUILDING,), (of("put", FIRST, True, BUILDING),), (True, False), (), (True, True)),
    "ended, as one is written": ((READY,), (of("put", FIRST, True, READY),), (True, True), (alter(END),), (False,)),
    "ended while it is filled": ((BUILDING,), (), (True, True), (alter(END),), (True, False)),
    "ended while it is filled, as one is written": (
        (BUILDING,), (of("put", FIRST, True, BUILDING),), (True, False), (alter(END),), (True, False),
    ),
    "swept by two": ((READY,), (of("put", FIRST, True, READY),), (True, False), (alter(END),), (False, False)),
    "added, as the volume is deleted": ((), (of("put", LAST, True),), (False, False), (alter(ADD), delete()), (True,)),
    "added, as a volume with a file is deleted": ((), (), (True, False), (alter(ADD), delete()), (True,)),
}  # fmt: skip


def search(
    name: str, *, faults: int = 1, stops: int = 1, take: Stepper = turnover_step, tend: Carer = cared
) -> tuple[int, list[str] | None]:
    """Explore a scene."""
    indexes, writes, live, turners, cares = SCENES[name]
    indexed = frozenset({ID}) if READY in indexes else frozenset[str]()
    shards = tuple(Shard(live=each, indexed=indexed if each else frozenset()) for each in live)
    start = World(
        VolumeRow(an_info(*indexes), "1"), shards, turners, writes, tuple(map(Care, cares)), (), faults, stops
    )
    return explore(start, lambda world: successors(world, take, tend), violation)


@pytest.mark.parametrize("name", SCENES)
def test_no_state_breaks_an_invariant(name: str) -> None:
    _, writes, _, turners, cares = SCENES[name]
    small = len(writes) + len(turners) + len(cares) <= 3
    states, way = search(name, faults=int(small), stops=int(small or NIGHTLY))
    assert way is None, "\n".join(way)
    assert states > 50


# --- What a simpler version gets wrong -------------------------------------------------------------------------------


def outlasts_nothing(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Says that the new settings are in force, while a write under the old ones may still commit."""
    after, request = turnover_step(at, answer)
    if isinstance(request, Settle) and after.row:
        return replace(after, step=Step.OPENED), Turn(after.row, replace(after.row.info, state="open"))
    return after, request


def turns_no_gate(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Waits for the writes there are, and lets the next one with old settings begin."""
    after, request = turnover_step(at, answer)
    if isinstance(request, Advance) and after.row:
        return replace(after, step=Step.OUTLAST), Settle(after.row, after.shard, older=True)
    return after, request


def asks_no_gate(world: World, care: Care) -> Iterator[tuple[str, World, Care]]:
    """Fills by the heads' etags alone."""
    if care.at != "mark":
        yield from cared(world, care)
        return
    for label, after, _ in sent(world, Mark(care.shard, care.etag, None, care.fills)):
        yield label, after, replace(care, at="look", row=None, etag=0)


def begins_early(world: World, care: Care) -> Iterator[tuple[str, World, Care]]:
    """Fills an index as soon as the settings speak of it."""
    if care.at == "look" and world.row and world.row.info.state == "turning":
        yield "looks early", world, replace(care, at="scan", row=world.row, shard=0)
    else:
        yield from cared(world, care)


SIMPLER: dict[str, tuple[str, Stepper, Carer]] = {
    "outlasts nothing": ("added, as one is written", outlasts_nothing, cared),
    "turns no gate": ("added, as one is written", turns_no_gate, cared),
    "asks no gate": ("ended while it is filled", turnover_step, asks_no_gate),
    "begins early": ("added, as one is written", turnover_step, begins_early),
}


@pytest.mark.parametrize("wrong", SIMPLER)
def test_a_simpler_version_is_found_out(wrong: str) -> None:
    """Each rule is there for a reason: without it the search finds an index that lacks a file, or a lost head."""
    name, take, tend = SIMPLER[wrong]
    assert search(name, take=take, tend=tend)[1]
