"""The steps of the write protocol, explored: the real code, in a simulated table and store.

One writer, one who recovers, and a competitor share a path. Every write may be applied and answered, applied and its
answer lost, lost before, delivered twice, or held back and applied at any later moment; a commit may be denied, which
proves something of that attempt alone; the writer may run out of time anywhere, and everybody may stop for ever after
any step. All states are visited; each is checked against S1, S2, S3, S5 and S7. That the search can fail is shown by
variants of the protocol that are known to be wrong, and by `scripts/mutants`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from catalog import protocol
from catalog.changes import (
    Change,
    Facts,
)
from catalog.entities import FileVersion, Head, Intent, IntentRow
from catalog.errors import AccessDeniedError, CatalogError, OutcomeUnknownError, UnavailableError
from catalog.messages import (
    AbortIntent,
    Absent,
    Answer,
    Commit,
    Committed,
    DeleteContent,
    Done,
    Doubt,
    DropIntent,
    Expired,
    Failed,
    FindVersion,
    Found,
    InsertIntent,
    NotApplied,
    PutContent,
    ReadHead,
    ReadIntent,
    Refused,
    Request,
    Result,
    StartOver,
    StatContent,
    Stored,
    Undecided,
)
from catalog.modes import Create, IfVersion, Mode, Overwrite
from catalog.op import (
    Op,
    Phase,
)
from catalog.protocol import begin, recover, step
from catalog.steps import Next
from catalog.times import EPOCH, from_microseconds, microseconds
from tests.harness.search import explore

LOST = Doubt(OutcomeUnknownError("lost"))
DENIED = Failed(AccessDeniedError("denied"))
LATE = Expired(UnavailableError("time is up"))
FACTS = Facts(1, "sha256:0", "0")
THEIRS = "B"


@dataclass(frozen=True)
class Store:
    """The rows and the blob of one path and one op. Every write takes a new number as its etag."""

    clock: int = 1
    intent: IntentRow | None = None
    head: Head | None = None
    rows: tuple[FileVersion, ...] = ()
    blob: int | None = None
    marked: int = 0  # when somebody wrote a marker, who is to read the intents next
    final: int = 0  # the watermark: what was told to be all of history before


@dataclass(frozen=True)
class World:
    """All that is: the store, requests that are still under way, and where everybody stands."""

    store: Store
    net: tuple[Request, ...]
    writer: Next
    other: Next | None
    faults: int
    attacks: int
    rivals: int
    readers: int = 0


def applied(store: Store, request: Request) -> tuple[Store, Answer]:  # noqa: C901, PLR0911, PLR0912 — one case each
    """A request reaches the service."""
    now = store.clock + 1
    match request:
        case InsertIntent(intent):
            if store.intent:
                return store, Refused()
            row = IntentRow(intent, str(now), now)
            return replace(store, clock=now, intent=row), Found(row)
        case PutContent():
            if store.blob is not None:
                return store, Refused()
            return replace(store, clock=now, blob=now), Stored(str(now), FACTS)
        case Commit(etag, base, file):
            if not store.intent or store.intent.etag != etag:
                return store, Refused()
            if (base.row_etag if base else None) != (store.head.row_etag if store.head else None):
                return store, Refused()
            head = Head(file, str(now))
            return replace(store, clock=now, intent=None, head=head, rows=(*store.rows, file)), Found(file)
        case AbortIntent(row):
            if not store.intent or store.intent.etag != row.etag:
                return store, Refused()
            aborted = IntentRow(replace(row.intent, state="aborted"), str(now), now)
            return replace(store, clock=now, intent=aborted), Found(aborted)
        case DropIntent(row):
            if not store.intent or store.intent.etag != row.etag:
                return store, Refused()
            return replace(store, clock=now, intent=None), Done()
        case DeleteContent(etag):
            if store.blob is None:
                return store, Absent()
            if str(store.blob) != etag:
                return store, Refused()
            return replace(store, clock=now, blob=None), Done()
        case ReadHead(_):
            return store, Found(store.head) if store.head else Absent()
        case ReadIntent(_):
            return store, Found(store.intent) if store.intent else Absent()
        case FindVersion(_, _, above):
            mine = [file for file in store.rows if file.etag == "A" and file.version > above]
            return store, Found(mine[0]) if mine else Absent()
        case StatContent():
            return store, Stored(str(store.blob), FACTS) if store.blob is not None else Absent()
    raise AssertionError(request)


WRITES = (InsertIntent, PutContent, Commit, AbortIntent, DropIntent, DeleteContent)


def sent(world: World, at: Next) -> Iterator[tuple[str, World, Next]]:
    """All that can happen to the request that someone is about to send."""
    op, request = at
    assert not isinstance(request, Result)
    name = type(request).__name__
    store, answer = applied(world.store, request)
    yield f"{name}: {type(answer).__name__}", replace(world, store=store), step(op, answer)
    if not isinstance(request, WRITES) or not world.faults:
        return
    fewer = replace(world, faults=world.faults - 1)
    yield f"{name}: answer lost", replace(fewer, store=store), step(op, LOST)
    yield f"{name}: lost", fewer, step(op, LOST)
    yield f"{name}: held back", replace(fewer, net=(*fewer.net, request)), step(op, LOST)
    if isinstance(request, Commit):
        yield f"{name}: denied", fewer, step(op, DENIED)
    yield f"{name}: a copy held back", replace(fewer, store=store, net=(*fewer.net, request)), step(op, answer)
    twice, second = applied(store, request)
    yield f"{name}: twice", replace(fewer, store=twice), step(op, second)


FIRST_OF_KIND: dict[str, CatalogError] = {}


def plain(at: Next) -> Next:
    """Where someone stands, without what decides nothing any more: states that go on alike are one state."""
    op, request = at
    match request:
        case NotApplied():
            return DONE, NotApplied(TOLD)
        case Undecided():
            return DONE, Undecided(None)
        case Committed() | StartOver():
            return DONE, request
    error = op.error and FIRST_OF_KIND.setdefault(op.error.kind, op.error)
    return op._replace(error=error), request


def successors(world: World) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    if not isinstance(world.writer[1], Result):
        for label, after, at in sent(world, world.writer):
            yield f"writer: {label}", replace(after, writer=plain(at))
        yield "writer: out of time", replace(world, writer=plain(step(world.writer[0], LATE)))
    if world.other and not isinstance(world.other[1], Result):
        for label, after, at in sent(world, world.other):
            yield f"other: {label}", replace(after, other=plain(at))
    elif world.attacks and world.store.intent:
        op = an_op(Overwrite(), error=UnavailableError("aborted"))
        yield "other: attacks", replace(world, attacks=world.attacks - 1, other=recover(op, world.store.intent))
    for index, request in enumerate(world.net):
        store, _ = applied(world.store, request)
        rest = world.net[:index] + world.net[index + 1 :]
        yield f"late {type(request).__name__}", replace(world, store=store, net=rest)
    if world.rivals:
        yield "rival: overwrites", replace(world, rivals=world.rivals - 1, store=overwritten(world.store))
    if world.readers:
        yield reading(world)


def reading(world: World) -> tuple[str, World]:
    """Somebody asks until when all of history is there: a marker, and then the open intents."""
    store, now = world.store, world.store.clock + 1
    if not store.marked:
        return "reader: marker", replace(world, store=replace(store, clock=now, marked=now))
    is_open = store.intent and store.intent.intent.state == "open"
    final = min(store.marked, store.intent.timestamp) if store.intent and is_open else store.marked
    store = replace(store, clock=now, marked=0, final=final)
    return f"reader: final before {final}", replace(world, store=store, readers=world.readers - 1)


def overwritten(store: Store) -> Store:
    head, now = store.head, store.clock + 1
    before = microseconds(head.file.created) + 1 if head else 0
    file = replace(a_file(head.file.version + 1 if head else 1, THEIRS), created=from_microseconds(max(now, before)))
    return replace(store, clock=now, head=Head(file, str(now)), rows=(*store.rows, file))


def a_file(version: int, op: str) -> FileVersion:
    return FileVersion(
        "raw", "a", version, "put", op, 1, "sha256:1", "1", "x/y", {}, EPOCH, None, "w", None, "", "b", "1", None
    )


def an_op(mode: Mode, error: UnavailableError | None = None) -> Op:
    change = Change("raw", "a", "put", mode, "w", {}, "x/y")
    return Op("A", change, "blob", 1, 0, Phase.HEAD, error=error, facts=FACTS)


TOLD = UnavailableError("told")
DONE = an_op(Overwrite())


def violation(before: World, now: World) -> str | None:  # noqa: PLR0911 — one line per invariant
    """What is wrong with a state, or with having come to it."""
    store, told = now.store, now.writer[1]
    mine = [file for file in store.rows if file.etag == "A"]
    if len(mine) > 1:
        return "S9: one op made two versions"
    if [file.version for file in store.rows] != list(range(1, len(store.rows) + 1)):
        return "S7: versions have gaps"
    if store.rows and (not store.head or store.head.file != store.rows[-1]):
        return "S7: the head is not the last version"
    if mine and store.blob is None:
        return "S5: the content of a committed version is gone"
    for who in (told, now.other[1] if now.other else None):
        if isinstance(who, Committed) and who.file.etag == "A" and who.file not in store.rows:
            return "S1: told committed, and it is not"
        if isinstance(who, NotApplied | StartOver) and mine:
            return "S2: told not applied, and it is"
    if any(microseconds(file.created) < before.store.final for file in store.rows[len(before.store.rows) :]):
        return "a version that is older than what was told to be all of history"
    if set(before.store.rows) - set(store.rows):
        return "S11: history was rewritten"
    return None


def search(
    mode: Mode, *, head: bool, faults: int, attacks: int, rivals: int, bound: bool = False, readers: int = 0
) -> tuple[int, list[str] | None]:
    store = overwritten(Store()) if head else Store()
    start = World(store, (), begin(an_op(mode)._replace(bound=bound)), None, faults, attacks, rivals, readers)
    return explore(start, successors, violation)


SCENARIOS: dict[str, tuple[Mode, bool, int, int, int]] = {  # mode, a head to begin with, faults, attacks, rivals
    "create, nothing there": (Create(), False, 2, 1, 0),
    "create against a rival": (Create(), False, 2, 1, 1),
    "overwrite against a rival": (Overwrite(force=True), True, 2, 1, 1),
    "if version against a rival": (IfVersion(1), True, 2, 1, 1),
    "overwrite against two rivals": (Overwrite(force=True), True, 1, 1, 2),
    "two attacks": (Create(), False, 2, 2, 0),
    "three faults": (Overwrite(force=True), True, 3, 1, 0),
}


@pytest.mark.parametrize(("mode", "head", "faults", "attacks", "rivals"), SCENARIOS.values(), ids=SCENARIOS.keys())
def test_no_state_breaks_an_invariant(mode: Mode, head: bool, faults: int, attacks: int, rivals: int) -> None:
    states, way = search(mode, head=head, faults=faults, attacks=attacks, rivals=rivals)
    assert way is None, "\n".join(way)
    assert states > 500


@pytest.mark.parametrize("name", ["create, nothing there", "two attacks", "three faults"])
def test_content_that_is_bound_to_its_op_breaks_none_either(name: str) -> None:
    """Its W1 is sent again by the same op: a copy may come after the commit, or after an abort."""
    mode, head, faults, attacks, rivals = SCENARIOS[name]
    states, way = search(mode, head=head, faults=faults, attacks=attacks, rivals=rivals, bound=True)
    assert way is None, "\n".join(way)
    assert states > 500


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(("head", "attacks", "rivals"), [(False, 1, 0), (True, 0, 1)])
def test_what_was_told_to_be_final_is(head: bool, attacks: int, rivals: int, bound: bool) -> None:
    """Also where a commit is rebased, or its first copy comes late."""
    mode = Overwrite(force=True)
    states, way = search(mode, head=head, faults=1, attacks=attacks, rivals=rivals, bound=bound, readers=1)
    assert way is None, "\n".join(way)
    assert states > 500


def refusal_is_proof(op: Op, answer: Answer) -> Next:
    if isinstance(answer, Refused):
        return op, NotApplied(UnavailableError("refused"))
    return protocol._on_commit(op, answer)


def no_look_after_abort(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow() as row):
            return op._replace(intent=row, phase=Phase.CLEAN), StatContent()
    return protocol._on_abort(op, answer)


def version_row_first(op: Op, answer: Answer) -> Next:
    """The order that tells lies: looks for the row, and only then at the intent."""
    match answer:
        case Refused() | Doubt():
            return op._replace(doubt=True, phase=Phase.LOOK, intent=None), FindVersion("a", "A", op.floor)
    return protocol._on_commit(op, answer)


WRONG = {
    "a refusal taken as proof": (Phase.COMMIT, refusal_is_proof),
    "no look for a version after the abort": (Phase.ABORT, no_look_after_abort),
    "the version row read without the intent": (Phase.COMMIT, version_row_first),
}


@pytest.mark.parametrize(("phase", "handler"), WRONG.values(), ids=WRONG.keys())
def test_the_search_finds_what_is_wrong(
    phase: Phase, handler: Callable[[Op, Answer], Next], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocol._HANDLERS, phase, handler)
    ways = [
        search(mode, head=head, faults=faults, attacks=attacks, rivals=rivals)[1]
        for mode, head, faults, attacks, rivals in SCENARIOS.values()
    ]
    assert any(ways)


def test_a_proven_failure_repeats_the_very_same_request() -> None:
    at = begin(an_op(Create()))
    assert step(at[0], Failed(UnavailableError("refused at connect"))) == at


def test_an_intent_says_all_that_recovery_needs() -> None:
    _, request = begin(an_op(Create()))
    assert request == InsertIntent(Intent("A", "put", "a", "blob", 0, "w", 1, 0))


def test_an_unknown_intent_is_read_back_and_used() -> None:
    op, inserted = begin(an_op(Create()))
    assert isinstance(inserted, InsertIntent)
    op, request = step(op, LOST)
    assert request == ReadIntent("a", "A")
    assert step(op, Found(IntentRow(inserted.intent, "7", 0)))[1] == PutContent()
