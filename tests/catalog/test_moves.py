"""Moves between two shards, explored: the real steps of the mover and of whoever settles, in two simulated shards.

One move of a to b; somebody who recovers whatever intent there is; rivals who write to a and to b as soon as nobody
has a claim there; readers who are told until when a shard's history is final, and shards whose clocks disagree. Every
write may be lost, doubled, held back and applied later, and the mover may stop or run out of time anywhere. From every
state, settling what is there must come to rest with the file at exactly one of the two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from catalog import moves, protocol, steps
from catalog.changes import Change
from catalog.entities import Claim, FileVersion, Head, IntentRow
from catalog.errors import CatalogError, OutcomeUnknownError, UnavailableError
from catalog.messages import (
    AbortIntent,
    Absent,
    Answer,
    ClaimSource,
    Commit,
    Committed,
    Done,
    Doubt,
    DropIntent,
    Expired,
    FindVersion,
    Finish,
    Found,
    InsertIntent,
    NotApplied,
    ReadHead,
    ReadIntent,
    Refused,
    Release,
    Result,
    SettleClaim,
    StartOver,
    Undecided,
)
from catalog.modes import Create, Mode, Overwrite
from catalog.moves import Settled, SettlingNext, Unsettled, settle, settling_step
from catalog.op import Op, Phase
from catalog.protocol import begin, recover, step
from catalog.steps import Next
from catalog.times import EPOCH, from_microseconds, microseconds
from tests.harness.search import explore

MOVE = "M"
CLAIM = Claim(MOVE, "b")
LOST = Doubt(OutcomeUnknownError("lost"))
LATE = Expired(UnavailableError("time is up"))


@dataclass(frozen=True)
class Shard:
    """One path's rows, and the intent of the move there."""

    head: Head | None = None
    rows: tuple[FileVersion, ...] = ()
    intent: IntentRow | None = None
    ahead: int = 0  # how far its clock is ahead of the other's
    marked: int = 0  # when somebody wrote a marker, who is to read the intents next
    final: int = 0  # the watermark: what was told to be all of history before


@dataclass(frozen=True)
class World:
    """Both shards, requests that are still under way, and where everybody stands."""

    clock: int
    a: Shard
    b: Shard
    net: tuple[object, ...]
    mover: Next
    settling: SettlingNext | None  # what the mover does within a SettleClaim
    other: SettlingNext | None
    faults: int
    attacks: int
    rivals: tuple[str, ...]
    readers: tuple[str, ...] = ()


def a_file(path: str, version: int, op: str) -> FileVersion:
    return FileVersion(
        "raw", path, version, "put", op, 1, "sha256:1", "1", "x/y", {}, EPOCH, None, "w", None, "", "blob", "1", None
    )


def an_op(mode: Mode, error: CatalogError | None = None) -> Op:
    change = Change("raw", "b", "move", mode, "w", {}, "x/y", origin="a")
    return Op(MOVE, change, "blob", 1, 0, Phase.HEAD, error=error, origin="a", apart=True)


DONE = an_op(Overwrite())


def written(shard: Shard, file: FileVersion, etag: str, **changes: object) -> Shard:
    return replace(shard, head=Head(file, etag), rows=(*shard.rows, file), **changes)  # type: ignore[arg-type]


def stamp(world: World, shard: Shard) -> int:
    """The time of what is written next, by the shard's clock."""
    return world.clock + 1 + shard.ahead


def has(shard: Shard, head: Head | None) -> bool:
    return (shard.head.row_etag if shard.head else None) == (head.row_etag if head else None)


def applied(world: World, request: object) -> tuple[World, Answer]:  # noqa: C901, PLR0911, PLR0912 — one case each
    """A request reaches the service."""
    now = str(world.clock + 1)
    a, b = world.a, world.b
    later = replace(world, clock=world.clock + 1)
    match request:
        case InsertIntent(intent):
            if b.intent:
                return world, Refused()
            row = IntentRow(intent, now, stamp(world, b))
            return replace(later, b=replace(b, intent=row)), Found(row)
        case ClaimSource(head, intent):
            if a.intent or not has(a, head):
                return world, Refused()
            claimed = Head(head.file, now, Claim(intent.op, intent.target))
            row = IntentRow(intent, now, stamp(world, a))
            return replace(later, a=replace(a, head=claimed, intent=row)), Found(row)
        case Commit(etag, base, file):
            if not b.intent or b.intent.etag != etag or not has(b, base):
                return world, Refused()
            return replace(later, b=written(b, file, now, intent=None)), Found(file)
        case AbortIntent(row):
            if not b.intent or b.intent.etag != row.etag:
                return world, Refused()
            aborted = IntentRow(replace(row.intent, state="aborted"), now, stamp(world, b))
            return replace(later, b=replace(b, intent=aborted)), Found(aborted)
        case DropIntent(row):
            if not b.intent or b.intent.etag != row.etag:
                return world, Refused()
            return replace(later, b=replace(b, intent=None)), Done()
        case Finish(head, tombstone):
            if not a.intent or not has(a, head):
                return world, Refused()
            return replace(later, a=written(a, tombstone, now, intent=None)), Done()
        case Release(head):
            if not a.intent or not has(a, head):
                return world, Refused()
            return replace(later, a=replace(a, head=Head(head.file, now), intent=None)), Done()
        case ReadHead(path):
            shard = a if path == "a" else b
            return world, Found(shard.head) if shard.head else Absent()
        case ReadIntent(path, _):
            shard = a if path == "a" else b
            return world, Found(shard.intent) if shard.intent else Absent()
        case FindVersion("b", op, above):
            mine = [file for file in b.rows if file.etag == op and file.version > above]
            return world, Found(mine[0]) if mine else Absent()
    raise AssertionError(request)


WRITES = (InsertIntent, ClaimSource, Commit, AbortIntent, DropIntent, Finish, Release)


def sent(world: World, request: object) -> Iterator[tuple[str, World, Answer]]:
    """All that can happen to a request, and what its sender hears."""
    name = type(request).__name__
    after, answer = applied(world, request)
    yield f"{name}: {type(answer).__name__}", after, answer
    if not isinstance(request, WRITES) or not world.faults:
        return
    fewer, after = replace(world, faults=world.faults - 1), replace(after, faults=world.faults - 1)
    yield f"{name}: answer lost", after, LOST
    yield f"{name}: lost", fewer, LOST
    yield f"{name}: held back", replace(fewer, net=(*world.net, request)), LOST
    twice, second = applied(after, request)
    yield f"{name}: twice", twice, second


FIRST_OF_KIND: dict[str, CatalogError] = {}


def plain(at: Next) -> Next:
    """Without what decides nothing any more: states that go on alike are one state."""
    op, request = at
    match request:
        case NotApplied() | Undecided():
            return DONE, type(request)(UnavailableError("told") if not TOLD else TOLD[0])
        case Committed() | StartOver():
            return DONE, request
    error = op.error and FIRST_OF_KIND.setdefault(op.error.kind, op.error)
    return op._replace(error=error), request


TOLD = [UnavailableError("told")]


def settled(at: SettlingNext) -> SettlingNext:
    return (settle("a", CLAIM)[0], at[1]) if isinstance(at[1], Settled | Unsettled) else at


def successors(world: World) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    yield from mover_steps(world)
    if world.other and not isinstance(world.other[1], Settled | Unsettled):
        for label, after, answer in sent(world, world.other[1]):
            yield f"other: {label}", replace(after, other=settled(settling_step(world.other[0], answer)))
    elif world.attacks and world.a.head and world.a.head.claim:
        yield "other: settles", replace(world, attacks=world.attacks - 1, other=settle("a", world.a.head.claim))
    if world.attacks and world.b.intent and world.b.intent.intent.state == "open":
        aborted, _ = applied(world, AbortIntent(world.b.intent))
        yield "recover aborts the intent", replace(aborted, attacks=world.attacks - 1)
    for index, request in enumerate(world.net):
        after, _ = applied(world, request)
        yield f"late {type(request).__name__}", replace(after, net=world.net[:index] + world.net[index + 1 :])
    for rival in world.rivals:
        shard = world.a if rival == "a" else world.b
        if shard.head and shard.head.claim:
            continue  # it would settle first
        file = a_file(rival, shard.head.file.version + 1 if shard.head else 1, "rival")
        before = microseconds(shard.head.file.created) + 1 if shard.head else 0
        file = replace(file, created=from_microseconds(max(stamp(world, shard), before)))
        wrote = written(shard, file, str(world.clock + 1))
        rest = tuple(name for name in world.rivals if name != rival)
        after = replace(world, clock=world.clock + 1, rivals=rest)
        yield f"rival writes {rival}", replace(after, a=wrote) if rival == "a" else replace(after, b=wrote)
    for reader in world.readers:
        yield reading(world, reader)


def reading(world: World, reader: str) -> tuple[str, World]:
    """Somebody asks until when the history of a shard is final: a marker, and then the open intents."""
    shard, readers = (world.a if reader == "a" else world.b), world.readers
    if shard.marked:
        is_open = shard.intent and shard.intent.intent.state == "open"
        final = min(shard.marked, shard.intent.timestamp) if shard.intent and is_open else shard.marked
        label, shard = f"{reader} is final before {final}", replace(shard, marked=0, final=final)
        readers = tuple(name for name in readers if name != reader)
    else:
        label, shard = f"a marker in {reader}", replace(shard, marked=stamp(world, shard))
    after = replace(world, clock=world.clock + 1, readers=readers)
    return label, replace(after, a=shard) if reader == "a" else replace(after, b=shard)


def mover_steps(world: World) -> Iterator[tuple[str, World]]:
    op, request = world.mover
    if isinstance(request, Result):
        return
    yield "mover: out of time", replace(world, mover=plain(step(op, LATE)), settling=None)
    if not isinstance(request, SettleClaim):
        for label, after, answer in sent(world, request):
            yield f"mover: {label}", replace(after, mover=plain(step(op, answer)))
        return
    at = world.settling or settle(request.path, request.claim, made=request.made)
    if isinstance(at[1], Settled | Unsettled):
        yield "mover: settled", replace(world, settling=None, mover=plain(step(op, Done())))
        return
    for label, after, answer in sent(world, at[1]):
        yield f"mover settles: {label}", replace(after, settling=settling_step(at[0], answer))


def violation(before: World, now: World) -> str | None:  # noqa: C901, PLR0911, PLR0912 — one line each
    """What is wrong with a state, or with having come to it."""
    made = [file for file in now.b.rows if file.etag == MOVE]
    gone = [file for file in now.a.rows if file.etag == MOVE]
    if len(made) > 1 or len(gone) > 1:
        return "S9: one move was applied twice"
    for shard in (now.a, now.b):
        if [file.version for file in shard.rows] != list(range(1, len(shard.rows) + 1)):
            return "S7: versions have gaps"
        if shard.rows and (not shard.head or shard.head.file != shard.rows[-1]):
            return "S7: the head is not the last version"
    if gone and not made:
        return "S1: the source is gone, and the file is nowhere"
    if gone and made[0].source != f"a@{gone[0].version - 1}":
        return "S1: a version that was not moved is gone"
    if gone and made[0].created != gone[0].created:
        return "at some time the file was at both ends, or at none"
    if bool(now.a.head and now.a.head.claim) != bool(now.a.intent):
        return "a claim without its intent, or an intent without its claim"
    for shard, was in ((now.a, before.a), (now.b, before.b)):
        if any(microseconds(file.created) < was.final for file in shard.rows[len(was.rows) :]):
            return "a version that is older than what was told to be all of history"
    told = now.mover[1]
    if isinstance(told, Committed) and not made:
        return "S1: told committed, and it is not"
    if isinstance(told, NotApplied | StartOver) and made:
        return "S2: told not applied, and it is"
    if set(before.a.rows) - set(now.a.rows) or set(before.b.rows) - set(now.b.rows):
        return "S11: history was rewritten"
    return None if now.net else unrest(now)


def unrest(world: World) -> str | None:
    """What one recover, with nobody else about, does not bring to an end."""
    if world.b.intent:
        at = recover(an_op(Overwrite(), UnavailableError("aborted")), world.b.intent)
        while not isinstance(at[1], Result):
            if isinstance(at[1], SettleClaim):
                world, answer = at_rest(world), Done()
            else:
                world, answer = applied(world, at[1])  # type: ignore[assignment]
            at = step(at[0], answer)
    world = at_rest(world)
    if world.a.intent or (world.a.head and world.a.head.claim):
        return "S12: a claim that recovery does not settle"
    if world.b.intent and world.b.intent.intent.state == "open":
        return "S12: an intent that recovery does not settle"
    made = any(file.etag == MOVE for file in world.b.rows)
    if made != any(file.etag == MOVE for file in world.a.rows):
        return "S12: the move is half-done for ever"
    return None


def at_rest(world: World) -> World:
    if not world.a.head or not world.a.head.claim:
        return world
    at = settle("a", world.a.head.claim)
    while not isinstance(at[1], Settled | Unsettled):
        world, answer = applied(world, at[1])
        at = settling_step(at[0], answer)
    return world


def search(
    mode: Mode,
    *,
    target: bool,
    faults: int,
    attacks: int,
    rivals: tuple[str, ...],
    readers: tuple[str, ...] = (),
    ahead: int = 0,
) -> tuple[int, list[str] | None]:
    a, b = written(Shard(ahead=ahead), a_file("a", 1, "first"), "1"), Shard()
    if target:
        b = written(b, a_file("b", 1, "older"), "2")
    start = World(2, a, b, (), begin(an_op(mode)), None, None, faults, attacks, rivals, readers)
    return explore(start, successors, violation)


SCENARIOS: dict[str, tuple[Mode, bool, int, int, tuple[str, ...]]] = {  # mode, a file at b, faults, attacks, rivals
    "onto nothing": (Create(), False, 2, 1, ()),
    "the source is written": (Create(), False, 1, 1, ("a",)),
    "the target is written": (Create(), False, 1, 1, ("b",)),
    "onto a file": (Overwrite(), True, 1, 1, ("b",)),
    "both are written": (Overwrite(), True, 1, 1, ("a", "b")),
    "attacked twice": (Create(), False, 1, 2, ("a",)),
}


@pytest.mark.parametrize(("mode", "target", "faults", "attacks", "rivals"), SCENARIOS.values(), ids=SCENARIOS.keys())
def test_no_state_breaks_an_invariant(
    mode: Mode, target: bool, faults: int, attacks: int, rivals: tuple[str, ...]
) -> None:
    states, way = search(mode, target=target, faults=faults, attacks=attacks, rivals=rivals)
    assert way is None, "\n".join(way)
    assert states > 500


@pytest.mark.parametrize("ahead", [-100, 0, 100])
@pytest.mark.parametrize("reader", ["a", "b"])
@pytest.mark.parametrize("rivals", [(), ("a",), ("b",)])
def test_what_was_told_to_be_final_is(reader: str, ahead: int, rivals: tuple[str, ...]) -> None:
    """Of both shards, whichever clock is ahead: neither the version at b nor the tombstone at a comes too late."""
    attacks = 0 if rivals else 1
    states, way = search(
        Create(), target=False, faults=1, attacks=attacks, rivals=rivals, readers=(reader,), ahead=ahead
    )
    assert way is None, "\n".join(way)
    assert states > 500


def forgets_when(phase: Phase) -> Callable[[Op, Answer], Next]:
    """A step that does not care when the claim was made: its version is as old as the first intent alone."""
    handler = protocol._HANDLERS[phase]

    def forgetting(op: Op, answer: Answer) -> Next:
        op, request = handler(op, answer)
        op = op._replace(claimed=0)
        return op, request if isinstance(request, Result) else steps.request_of(op, op.phase)

    return forgetting


@pytest.mark.parametrize("phase", [Phase.CLAIM, Phase.CLAIMED])
def test_the_search_finds_a_version_that_is_older_than_its_claim(phase: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocol._HANDLERS, phase, forgets_when(phase))
    _, way = search(Create(), target=False, faults=1, attacks=0, rivals=(), readers=("a",), ahead=100)
    assert way is not None
    assert "history" in way[-1]


def release_while_open(at: moves.Settling, answer: Answer) -> SettlingNext:
    """Releases a claim without aborting the move first: T3 may still be applied."""
    match answer:
        case Found() | Absent():
            return replace(at, step=moves.Step.LOOK), FindVersion("b", MOVE, 0)
    raise AssertionError(answer)


def test_the_search_finds_a_release_that_does_not_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(moves._HANDLERS, moves.Step.FENCE, release_while_open)
    assert any(
        search(mode, target=target, faults=faults, attacks=attacks, rivals=rivals)[1]
        for mode, target, faults, attacks, rivals in SCENARIOS.values()
    )


def commit_without_a_claim(op: Op, answer: Answer) -> Next:
    """Takes a refused claim for one that was applied."""
    return op._replace(phase=Phase.COMMIT), steps.request_of(op, Phase.COMMIT)


def test_the_search_finds_a_commit_without_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocol._HANDLERS, Phase.CLAIMED, commit_without_a_claim)
    assert any(
        search(mode, target=target, faults=faults, attacks=attacks, rivals=rivals)[1]
        for mode, target, faults, attacks, rivals in SCENARIOS.values()
    )
