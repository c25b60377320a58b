"""Moves inside one shard, explored: the real steps of a mover and of a rival, in one simulated shard.

The rival puts at the source or at the target, deletes the source, or moves it elsewhere. Every write may be lost, its
answer lost, doubled, or held back and applied later; both may run out of time anywhere, and where there is no rival
somebody may recover any intent that there is. All states are visited.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from catalog import moving, protocol, steps
from catalog.changes import Change, Facts
from catalog.entities import FileVersion, Head, IntentRow, Kind
from catalog.errors import CatalogError, OutcomeUnknownError, UnavailableError
from catalog.messages import (
    AbortIntent,
    Absent,
    Answer,
    Commit,
    CommitMove,
    Committed,
    DeleteContent,
    Done,
    Doubt,
    DropIntent,
    Expired,
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
from catalog.modes import Create, Mode, Overwrite
from catalog.op import Op, Phase
from catalog.protocol import begin, recover, step
from catalog.steps import Next
from tests.harness.search import explore

PATHS = "abc"
MOVE, RIVAL = "M", "N"
FACTS = Facts(1, "sha256:0", "0")
LOST = Doubt(OutcomeUnknownError("lost"))
LATE = Expired(UnavailableError("time is up"))
TOLD = UnavailableError("told")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shard:
    """The rows of one partition, and the blobs of ops."""

    clock: int = 1
    heads: tuple[Head | None, ...] = (None, None, None)
    rows: tuple[FileVersion, ...] = ()
    intents: tuple[IntentRow, ...] = ()
    blobs: frozenset[str] = frozenset()

    def head(self, path: str) -> Head | None:
        return self.heads[PATHS.index(path)]

    def intent(self, op: str) -> IntentRow | None:
        return next((row for row in self.intents if row.intent.op == op), None)


@dataclass(frozen=True)
class World:
    """The shard, requests that are still under way, and where everybody stands: the mover, the rival, who recovers."""

    shard: Shard
    net: tuple[tuple[str, Request], ...]
    actors: tuple[Next | None, ...]
    faults: int
    attacks: int


def an_op(id_: str, kind: Kind, path: str, mode: Mode, *, origin: str = "", error: CatalogError | None = None) -> Op:
    change = Change("raw", path, kind, mode, id_, {}, "x/y", origin=origin)
    put = kind == "put"
    return Op(
        id_, change, id_ if put else "", 1, 0, Phase.HEAD, facts=FACTS if put else None, error=error, origin=origin
    )


DONE = an_op(MOVE, "move", "b", Create())


def a_file(path: str, version: int) -> FileVersion:
    return FileVersion(
        "raw", path, version, "put", "first", 1, "sha256:1", "1", "x/y", {}, WHEN, None, "w", None, "", "old", "1", None
    )


def written(shard: Shard, *files: FileVersion) -> Shard:
    now = shard.clock + 1
    heads = list(shard.heads)
    for file in files:
        heads[PATHS.index(file.path)] = Head(file, str(now))
    return replace(shard, clock=now, heads=tuple(heads), rows=(*shard.rows, *files))


def has(shard: Shard, path: str, head: Head | None) -> bool:
    there = shard.head(path)
    return (there.row_etag if there else None) == (head.row_etag if head else None)


def without(shard: Shard, op: str) -> Shard:
    return replace(shard, intents=tuple(row for row in shard.intents if row.intent.op != op))


def applied(shard: Shard, by: str, request: Request) -> tuple[Shard, Answer]:  # noqa: C901, PLR0911, PLR0912 — one case each
    """A request of an op reaches the service."""
    now = shard.clock + 1
    there = shard.intent(by)
    match request:
        case InsertIntent(intent):
            if there:
                return shard, Refused()
            row = IntentRow(intent, str(now), 0)
            return replace(shard, clock=now, intents=(*shard.intents, row)), Found(row)
        case Commit(etag, base, file):
            if not there or there.etag != etag or not has(shard, file.path, base):
                return shard, Refused()
            return without(written(shard, file), by), Found(file)
        case CommitMove(etag, base, file, source, gone):
            if not there or there.etag != etag or not has(shard, file.path, base) or not has(shard, gone.path, source):
                return shard, Refused()
            return without(written(shard, file, gone), by), Found(file)
        case AbortIntent(row):
            if not there or there.etag != row.etag:
                return shard, Refused()
            aborted = IntentRow(replace(row.intent, state="aborted"), str(now), 0)
            return replace(without(shard, by), clock=now, intents=(*without(shard, by).intents, aborted)), Found(
                aborted
            )
        case DropIntent(row):
            if not there or there.etag != row.etag:
                return shard, Refused()
            return replace(without(shard, by), clock=now), Done()
        case PutContent():
            if by in shard.blobs:
                return shard, Refused()
            return replace(shard, blobs=shard.blobs | {by}), Stored("e", FACTS)
        case DeleteContent():
            return replace(shard, blobs=shard.blobs - {by}), Done()
        case StatContent():
            return shard, Stored("e", FACTS) if by in shard.blobs else Absent()
        case ReadHead(path):
            head = shard.head(path)
            return shard, Found(head) if head else Absent()
        case ReadIntent():
            return shard, Found(there) if there else Absent()
        case FindVersion(path, op, above):
            mine = [file for file in shard.rows if (file.path, file.etag) == (path, op) and file.version > above]
            return shard, Found(mine[0]) if mine else Absent()
    raise AssertionError(request)


WRITES = (InsertIntent, Commit, CommitMove, AbortIntent, DropIntent, PutContent, DeleteContent)
FIRST_OF_KIND: dict[str, CatalogError] = {}


def plain(at: Next) -> Next:
    """Without what decides nothing any more: states that go on alike are one state."""
    op, request = at
    match request:
        case NotApplied() | Undecided():
            return DONE, type(request)(TOLD)
        case Committed() | StartOver():
            return DONE, request
    return replace(op, error=op.error and FIRST_OF_KIND.setdefault(op.error.kind, op.error)), request


def sent(world: World, op: Op, request: Request) -> Iterator[tuple[str, World, Answer]]:
    """All that can happen to a request, and what its sender hears."""
    name = f"{op.id} {type(request).__name__}"
    after, answer = applied(world.shard, op.id, request)
    yield f"{name}: {type(answer).__name__}", replace(world, shard=after), answer
    if not isinstance(request, WRITES) or not world.faults:
        return
    fewer = replace(world, faults=world.faults - 1)
    yield f"{name}: answer lost", replace(fewer, shard=after), LOST
    yield f"{name}: lost", fewer, LOST
    yield f"{name}: held back", replace(fewer, net=(*world.net, (op.id, request))), LOST
    yield f"{name}: a copy held back", replace(fewer, shard=after, net=(*world.net, (op.id, request))), answer
    twice, second = applied(after, op.id, request)
    yield f"{name}: twice", replace(fewer, shard=twice), second


def successors(world: World) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    for index, at in enumerate(world.actors):
        if at is None or isinstance(at[1], Result):
            continue
        op, request = at
        assert not isinstance(request, Result)  # as was just seen

        def on(after: World, now: Next, index: int = index) -> World:
            return replace(after, actors=(*after.actors[:index], plain(now), *after.actors[index + 1 :]))

        for label, after, answer in sent(world, op, request):
            yield label, on(after, step(op, answer))
        if index < len("MN"):
            yield f"{op.id}: out of time", on(world, step(op, LATE))
    *others, healer = world.actors
    if world.attacks and (healer is None or isinstance(healer[1], Result)):
        for row in world.shard.intents:
            attacked = replace(world, attacks=world.attacks - 1, actors=(*others, recover(settling(row), row)))
            yield f"recover {row.intent.op}", attacked
    for index, (op_id, request) in enumerate(world.net):
        shard, _ = applied(world.shard, op_id, request)
        yield (
            f"late {type(request).__name__}",
            replace(world, shard=shard, net=world.net[:index] + world.net[index + 1 :]),
        )


def settling(row: IntentRow) -> Op:
    intent = row.intent
    error = UnavailableError("aborted")
    return an_op(intent.op, intent.kind, intent.path, Overwrite(), origin=intent.source, error=error)


def violation(before: World, now: World) -> str | None:  # noqa: C901, PLR0911 — one line per invariant
    """What is wrong with a state, or with having come to it."""
    rows = now.shard.rows
    for path in PATHS:
        mine, head = [file for file in rows if file.path == path], now.shard.head(path)
        if [file.version for file in mine] != list(range(1, len(mine) + 1)):
            return "S7: versions have gaps"
        if mine and (not head or head.file != mine[-1]):
            return "S7: the head is not the last version"
    if len({(file.path, file.etag) for file in rows if file.etag != "first"}) != sum(f.etag != "first" for f in rows):
        return "S9: one op made two versions of a path"
    for made in (file for file in rows if file.kind == "move"):
        gone = [file for file in rows if file.etag == made.etag and file.kind == "delete"]
        if len(gone) != 1 or made.source != f"a@{gone[0].version - 1}":
            return "S1: a move that did not take away what it moved"
    if any(file.kind == "put" and file.etag in (MOVE, RIVAL) and file.blob not in now.shard.blobs for file in rows):
        return "S5: the content of a committed version is gone"
    for op, at in zip((MOVE, RIVAL), now.actors, strict=False):
        applied_ = any(file.etag == op for file in rows)
        if at and isinstance(at[1], Committed) and at[1].file not in rows:
            return "S1: told committed, and it is not"
        if at and isinstance(at[1], NotApplied | StartOver) and applied_:
            return "S2: told not applied, and it is"
    if set(before.shard.rows) - set(rows):
        return "S11: history was rewritten"
    return None if now.net else unrest(now.shard)


def unrest(shard: Shard) -> str | None:
    """What one recover, with nobody else about, does not bring to an end."""
    for row in shard.intents:
        at = recover(settling(row), row)
        while not isinstance(at[1], Result):
            shard, answer = applied(shard, row.intent.op, at[1])
            at = step(at[0], answer)
        left = shard.intent(row.intent.op)
        if left and left.intent.state == "open":
            return "S12: an intent that recovery does not settle"
    return None


RIVALS: Mapping[str, Op | None] = MappingProxyType(
    {
        "nobody": None,
        "put on the source": an_op(RIVAL, "put", "a", Overwrite(force=True)),
        "put on the target": an_op(RIVAL, "put", "b", Overwrite(force=True)),
        "create the target": an_op(RIVAL, "put", "b", Create()),
        "delete the source": an_op(RIVAL, "delete", "a", Overwrite()),
        "move the source elsewhere": an_op(RIVAL, "move", "c", Create(), origin="a"),
        "move the source to the same target": an_op(RIVAL, "move", "b", Create(), origin="a"),
    }
)


def search(rival: str, mode: Mode, *, faults: int, attacks: int) -> tuple[int, list[str] | None]:
    shard = written(Shard(), a_file("a", 1))
    if mode == Overwrite():
        shard = written(shard, a_file("b", 1))
    other = RIVALS[rival]
    actors = (begin(an_op(MOVE, "move", "b", mode, origin="a")), begin(other) if other else None, None)
    return explore(World(shard, (), actors, faults, attacks), successors, violation)


@pytest.mark.parametrize("mode", [Create(), Overwrite()], ids=["onto nothing", "onto a file"])
@pytest.mark.parametrize("rival", RIVALS)
def test_no_state_breaks_an_invariant(rival: str, mode: Mode) -> None:
    states, way = search(rival, mode, faults=1, attacks=1 if rival == "nobody" else 0)
    assert way is None, "\n".join(way)
    assert states > 200


def commit_again_on_whatever_is_there(op: Op, answer: Answer) -> Next:
    """Takes the source as it is by now for the one that was to be moved."""
    match answer:
        case Found(Head() as head) if op.intent:
            return steps.to(replace(op, source=head), Phase.COMMIT)
    return moving.on_from(op, answer)


def a_refusal_is_proof(op: Op, answer: Answer) -> Next:
    if isinstance(answer, Refused):
        return op, NotApplied(UnavailableError("refused"))
    return protocol._on_commit(op, answer)


@pytest.mark.parametrize(
    ("phase", "wrong"), [(Phase.FROM, commit_again_on_whatever_is_there), (Phase.COMMIT, a_refusal_is_proof)]
)
def test_the_search_finds_what_is_wrong(phase: Phase, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocol._HANDLERS, phase, wrong)
    assert any(search(rival, Create(), faults=1, attacks=0)[1] for rival in RIVALS)
