"""Deleting a volume, explored: the real steps of those who delete it, against writers who were never told.

A registry row, two shards with their gates, and writes that begin at a gate and commit by their intent. Every request
may be lost, doubled, or held back and applied later; whoever deletes may run out of time or stop anywhere. A volume
that is gone must have no file, for ever; and from every state, somebody who helps must bring it to rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from catalog.entities import VolumeInfo, VolumeRow
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
    delete,
    help_along,
    turnover_step,
)
from tests.harness.nightly import NIGHTLY
from tests.harness.search import explore

LOST = Doubt(OutcomeUnknownError("lost"))
LATE = Expired(UnavailableError("time is up"))
FIRST, LAST = 0, 1
ANY = "*"


@dataclass(frozen=True)
class Shard:
    """The gates that stand in it, the writes under way there, and whether it has a file."""

    gates: frozenset[int] = frozenset({1})
    """By generation: the odd ones let writers in, the even ones are shut."""
    intents: frozenset[str] = frozenset()
    live: bool = False


@dataclass(frozen=True)
class Write:
    """A put or a delete of one file, as a gate and an intent see it."""

    name: str
    shard: int
    makes: bool
    generation: int = 1
    at: str = "begin"  # begin, reload, commit; then committed or over


@dataclass(frozen=True)
class Insert:
    """W1: the gate must be there."""

    write: str
    shard: int
    generation: int


@dataclass(frozen=True)
class Commit:
    """W3: the intent must be open."""

    write: str
    shard: int
    makes: bool


@dataclass(frozen=True)
class MakeGate:
    """The first gate of a new volume, of which a late copy is still under way."""

    shard: int


@dataclass(frozen=True)
class World:
    """The registry and both shards, requests still under way, and where everybody stands."""

    row: VolumeRow | None
    shards: tuple[Shard, ...]
    deleters: tuple[TurnoverNext, ...]
    writes: tuple[Write, ...]
    net: tuple[object, ...] = ()
    faults: int = 1
    stops: int = 1


def a_row(state: str, generation: int, etag: int) -> VolumeRow:
    info = VolumeInfo("raw", "E", "immutable", 2, "raw/", generation, EPOCH, default=False, state=state)  # type: ignore[arg-type]
    return VolumeRow(info, str(etag))


def put_in(world: World, shard: int, **changes: Any) -> World:
    shards = list(world.shards)
    shards[shard] = replace(shards[shard], **changes)
    return replace(world, shards=tuple(shards))


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
            if world.row is None or row.etag not in (world.row.etag, ANY):
                return world, Refused()
            return replace(world, row=None), Done()
        case MakeGate(shard):
            gates = world.shards[shard].gates
            return put_in(world, shard, gates=gates | {0}), Done()
    there = world.shards[request.shard]  # type: ignore[attr-defined]
    match request:
        case Survey(at):
            return world, Met("file") if there.live else Absent()
        case Advance(at, generation, shut):
            assert shut == (generation % 2 == 0)
            highest = max(there.gates)
            if highest >= generation:
                return world, Done() if highest == generation else Refused()
            return put_in(world, at, gates=there.gates - {highest} | {generation}), Done()
        case Settle(_, at):
            return put_in(world, at, intents=frozenset()), Done()
        case Insert(write, at, generation):
            if generation not in there.gates or generation % 2 == 0:  # the even ones are shut
                return world, Refused()
            return put_in(world, at, intents=there.intents | {write}), Done()
        case Commit(write, at, makes):
            if write not in there.intents:
                return world, Refused()
            return put_in(world, at, intents=there.intents - {write}, live=makes), Done()
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


def successors(world: World, take: Stepper = turnover_step) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    for index, (at, request) in enumerate(world.deleters):
        if isinstance(request, Gone | Kept | Unfinished):
            continue
        for label, after, answer in sent(world, request):
            yield f"deleter {index} {label}", _with(after, index, take(at, answer))
        if world.stops:
            stopped = replace(world, stops=world.stops - 1)
            yield f"deleter {index} runs out of time", _with(stopped, index, take(at, LATE))
    for index, write in enumerate(world.writes):
        for label, after, moved in _write(world, write):
            writes = (*after.writes[:index], moved, *after.writes[index + 1 :])
            yield f"{write.name} {label}", replace(after, writes=writes)
    for index, late in enumerate(world.net):
        after, _ = applied(world, late)
        yield f"late {type(late).__name__}", replace(after, net=world.net[:index] + world.net[index + 1 :])


def _with(world: World, index: int, at: TurnoverNext) -> World:
    if isinstance(at[1], Gone | Kept | Unfinished):  # what was told is all that is left of it
        at = Turnover(wanted=at[0].wanted), _told(at[1])
    return replace(world, deleters=(*world.deleters[:index], at, *world.deleters[index + 1 :]))


ERROR = UnavailableError("told")


def _told(result: Gone | Kept | Unfinished) -> Gone | Kept | Unfinished:
    return Unfinished(ERROR, result.begun) if isinstance(result, Unfinished) else result


def _write(world: World, write: Write) -> Iterator[tuple[str, World, Write]]:
    match write.at:
        case "begin":
            for label, after, answer in sent(world, Insert(write.name, write.shard, write.generation)):
                there = isinstance(answer, Done)
                yield label, after, replace(write, at="commit" if there else "reload")
        case "reload":
            if world.row is None:
                yield "finds no volume", world, replace(write, at="over")
            elif world.row.info.generation != write.generation:
                generation = world.row.info.generation
                yield "reloads", world, replace(write, at="begin", generation=generation)
            else:  # its gate is not there yet, or its answer was lost: it tries once more, and then stops
                yield "stops", world, replace(write, at="over")
        case "commit":
            for label, after, answer in sent(world, Commit(write.name, write.shard, write.makes)):
                yield label, after, replace(write, at="committed" if isinstance(answer, Done) else "over")


def violation(before: World, now: World) -> str | None:
    """What is wrong with a state, or with having come to it."""
    for at, result in now.deleters:
        if isinstance(result, Gone) and now.row is not None:
            return "S1: told gone, and it is there"
        alone = len(now.deleters) == 1
        if alone and isinstance(result, Kept) and at.wanted and (now.row is None or now.row.info.state == "closing"):
            return "S2: told that the volume stays, and it goes"
    if now.row is None:
        if any(shard.live for shard in now.shards):
            return "S1: a file is in a volume that is gone"
        return None
    for old, new in zip(before.shards, now.shards, strict=True):
        if {gate for gate in new.gates - old.gates if gate} and max(new.gates) <= max(old.gates):
            return "a gate came back"
    return None if now.net else unrest(now)


def unrest(world: World) -> str | None:
    """What one who helps, with nobody else about, does not bring to an end."""
    at = help_along()
    for _ in range(40):
        if isinstance(at[1], Gone | Kept | Unfinished):
            break
        world, answer = applied(world, at[1])
        at = turnover_step(at[0], answer)
    else:
        return "S12: helping never ends"
    if world.row is None:
        return "S1: a file is in a volume that is gone" if any(shard.live for shard in world.shards) else None
    if world.row.info.state != "open":
        return f"S12: the volume is {world.row.info.state} for ever"
    if any(world.row.info.generation not in shard.gates for shard in world.shards):
        return "S12: nobody can write any more"
    return None


WRITES: dict[str, tuple[tuple[Write, ...], tuple[bool, bool]]] = {
    "a put first": ((Write("put", FIRST, makes=True),), (False, False)),
    "a put last": ((Write("put", LAST, makes=True),), (False, False)),
    "a file is deleted": ((Write("delete", FIRST, makes=False),), (True, False)),
    "one goes as one comes": (
        (Write("delete", FIRST, makes=False), Write("put", LAST, makes=True)),
        (True, False),
    ),
    "one comes as one goes": (
        (Write("put", FIRST, makes=True), Write("delete", LAST, makes=False)),
        (False, True),
    ),
}


def search(
    name: str, deleters: int, *, begun: bool = False, faults: int = 1, take: Stepper = turnover_step
) -> tuple[int, list[str] | None]:
    """Explore; `begun`: somebody has closed the volume and stopped, and others find it so."""
    writes, live = WRITES[name]
    at = (help_along() if begun else delete(),) * deleters
    shards = tuple(Shard(live=each) for each in live)
    row = a_row("closing", 2, 2) if begun else a_row("open", 1, 1)
    net = (MakeGate(FIRST),) if deleters == 1 else ()
    start = World(row, shards, at, writes, net, faults, stops=int(faults > 0))
    return explore(start, lambda world: successors(world, take), violation)


SEARCHES = [(name, deleters, begun) for name in WRITES for deleters, begun in ((1, False), (2, False), (2, True))]


@pytest.mark.parametrize(("name", "deleters", "begun"), SEARCHES)
def test_no_state_breaks_an_invariant(name: str, deleters: int, begun: bool) -> None:
    faults = 2 if deleters == 1 else int(NIGHTLY or name == "a put last")
    states, way = search(name, deleters, begun=begun, faults=faults)
    assert way is None, "\n".join(way)
    assert states > 300


# --- What a simpler version gets wrong -------------------------------------------------------------------------------


def settles_nothing(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Looks for files while a write that began before may still commit."""
    after, request = turnover_step(at, answer)
    return (replace(after, step=Step.SURVEY), Survey(0)) if isinstance(request, Settle) else (after, request)


def shuts_nothing(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Settles what there is, and lets the next write begin."""
    after, request = turnover_step(at, answer)
    if isinstance(request, Advance) and after.row and after.step is Step.SHUT:
        return replace(after, step=Step.SETTLE), Settle(after.row, 0)
    return after, request


def removes_blindly(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Removes the volume whatever became of its row meanwhile."""
    after, request = turnover_step(at, answer)
    return after, Remove(replace(request.row, etag=ANY)) if isinstance(request, Remove) else request


def opens_gates_first(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Lets writers in while the row still says that the volume is being deleted."""
    after, request = turnover_step(at, answer)
    if isinstance(request, Turn) and request.to.state == "opening":
        row = replace(request.row, info=replace(request.row.info, generation=request.to.generation))
        return replace(after, step=Step.OPEN, row=row), Advance(0, request.to.generation, shut=False)
    return after, request


def forgets_its_doubt(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Says that the volume stays, while a late copy of its own request may still close it."""
    return turnover_step(replace(at, sent=None), answer)


SIMPLER: dict[Stepper, tuple[str, int, bool, int]] = {  # who and what it takes to find it out
    settles_nothing: ("a put last", 1, False, 0),
    shuts_nothing: ("a put last", 1, False, 0),
    removes_blindly: ("one comes as one goes", 2, True, 0),
    opens_gates_first: ("one comes as one goes", 2, True, 0),
    forgets_its_doubt: ("a put last", 1, False, 1),
}


@pytest.mark.parametrize("wrong", SIMPLER)
def test_a_simpler_version_is_found_out(wrong: Stepper) -> None:
    """Each of the rules in `deletion` is there for a reason: without it the search finds a way to lose something."""
    name, deleters, begun, faults = SIMPLER[wrong]
    assert search(name, deleters, begun=begun, faults=faults, take=wrong)[1]
