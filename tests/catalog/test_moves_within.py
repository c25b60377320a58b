"""Moves inside one shard, explored: the real steps of a mover, of a rival, and of who recovers, in one simulated shard.

The rival puts, deletes or moves at the source or at the target. Every write may be lost, its answer lost, doubled, or
held back and applied later; mover and rival may run out of time anywhere, everybody may stop for ever after any step,
and at any moment somebody may recover any intent that there is. All states are visited, up to what decides nothing:

- of an etag only whether it is that of the row as it is now: nothing compares two that are not;
- of who is done only what was promised, and of who can only abort by now not what would have been committed;
- a request that is held back, and would be refused for ever, is gone;
- who runs out of time in doubt was promised nothing, and is as one who stops.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
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
from catalog.op import Op, Phase, fence_of, version_of
from catalog.protocol import begin, recover, step
from catalog.steps import Next, request_of
from tests.harness.search import explore

PATHS = "abc"
MOVE, RIVAL = "M", "N"
FACTS = Facts(1, "sha256:0", "0")
LOST = Doubt(OutcomeUnknownError("lost"))
LATE = Expired(UnavailableError("time is up"))
TOLD = UnavailableError("told")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)

NEW, NOW, STALE = "new", "now", "stale"  # the etag of a row that was just written, that stands, that was replaced
WITHOUT_RETURN = (Phase.LOOK, Phase.ABORT, Phase.CLEAN, Phase.DELETE, Phase.DROP)  # nothing is committed after these


@dataclass(frozen=True)
class Shard:
    """The rows of one partition, and the blobs of ops."""

    heads: tuple[Head | None, ...] = (None, None, None)
    rows: tuple[FileVersion, ...] = ()
    intents: tuple[IntentRow, ...] = ()
    blobs: frozenset[str] = frozenset()

    @cached_property
    def hashed(self) -> int:
        heads = tuple(head and (head.file.etag, head.row_etag) for head in self.heads)
        intents = tuple((row.intent.op, row.intent.state, row.etag) for row in self.intents)
        return hash((heads, intents, self.blobs, len(self.rows)))

    def __hash__(self) -> int:
        return self.hashed

    def head(self, path: str) -> Head | None:
        return self.heads[PATHS.index(path)]

    def intent(self, op: str) -> IntentRow | None:
        return next((row for row in self.intents if row.intent.op == op), None)


@dataclass(frozen=True)
class World:
    """The shard, requests that are still under way, and where everybody stands: the mover, the rival, who recovers.

    `told` is what somebody was told of an op: the version that it made, or None: that it made none, and never will.
    """

    shard: Shard
    net: tuple[tuple[str, Request], ...]
    actors: tuple[Op | None, ...]
    told: frozenset[tuple[str, FileVersion | None]]
    faults: int
    attacks: int

    @cached_property
    def hashed(self) -> int:
        actors = tuple(op and (op.id, op.phase.name, op.doubt, op.ending, op.intent, op.error) for op in self.actors)
        return hash((self.shard, len(self.net), actors, self.told, self.faults, self.attacks))

    def __hash__(self) -> int:
        return self.hashed


def an_op(id_: str, kind: Kind, path: str, mode: Mode, *, origin: str = "") -> Op:
    change = Change("raw", path, kind, mode, id_, {}, "x/y", origin=origin)
    put = kind == "put"
    return Op(id_, change, id_ if put else "", 1, 0, Phase.HEAD, facts=FACTS if put else None, origin=origin)


def settling(row: IntentRow) -> Op:
    """As `Writer.settle` makes it."""
    intent = row.intent
    op = an_op(intent.op, intent.kind, intent.path, Overwrite(), origin=intent.source)
    return op._replace(facts=None, floor=intent.base_version, phase=Phase.ABORT, error=TOLD)


def a_file(path: str, version: int) -> FileVersion:
    return FileVersion(
        "raw", path, version, "put", "first", 1, "sha256:1", "1", "x/y", {}, WHEN, None, "w", None, "", "old", "1", None
    )


# --- The service -----------------------------------------------------------------------------------------------------


def written(shard: Shard, *files: FileVersion) -> Shard:
    heads = list(shard.heads)
    for file in files:
        heads[PATHS.index(file.path)] = Head(file, NEW)
    rows = sorted((*shard.rows, *files), key=lambda file: (file.path, file.version))
    return replace(shard, heads=tuple(heads), rows=tuple(rows))


def has(shard: Shard, path: str, head: Head | None) -> bool:
    there = shard.head(path)
    return (there.row_etag if there else None) == (head.row_etag if head else None)


def with_intent(shard: Shard, op: str, row: IntentRow | None) -> Shard:
    others = [other for other in shard.intents if other.intent.op != op]
    rows = sorted([*others, row] if row else others, key=lambda row: row.intent.op)
    return replace(shard, intents=tuple(rows))


def applied(shard: Shard, by: str, request: Request) -> tuple[Shard, Answer]:  # noqa: C901, PLR0911, PLR0912 — one case each
    """A request of an op reaches the service."""
    there = shard.intent(by)
    match request:
        case InsertIntent(intent):
            if there:
                return shard, Refused()
            row = IntentRow(intent, NEW, 0)
            return with_intent(shard, by, row), Found(row)
        case Commit(etag, base, file):
            if not there or there.etag != etag or not has(shard, file.path, base):
                return shard, Refused()
            return with_intent(written(shard, file), by, None), Found(file)
        case CommitMove(etag, base, file, source, gone):
            if not there or there.etag != etag or not has(shard, file.path, base) or not has(shard, gone.path, source):
                return shard, Refused()
            return with_intent(written(shard, file, gone), by, None), Found(file)
        case AbortIntent(row):
            if not there or there.etag != row.etag:
                return shard, Refused()
            aborted = IntentRow(replace(row.intent, state="aborted"), NEW, 0)
            return with_intent(shard, by, aborted), Found(aborted)
        case DropIntent(row):
            if not there or there.etag != row.etag:
                return shard, Refused()
            return with_intent(shard, by, None), Done()
        case PutContent():
            if by in shard.blobs:
                return shard, Refused()
            return replace(shard, blobs=shard.blobs | {by}), Stored("e", FACTS)
        case DeleteContent():  # whatever its etag: that is worse than what the service does
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


# --- States that go on alike are one state ---------------------------------------------------------------------------

FIRST_OF_KIND: dict[str, CatalogError] = {}


def aged_head(shard: Shard, head: Head | None) -> Head | None:
    etag = NOW if head and has(shard, head.file.path, head) else STALE
    return head if head is None or head.row_etag == etag else replace(head, row_etag=etag)


def aged_intent(shard: Shard, row: IntentRow | None) -> IntentRow | None:
    there = row and shard.intent(row.intent.op)
    etag = NOW if row and there and there.etag == row.etag else STALE
    return row if row is None or row.etag == etag else replace(row, etag=etag)


def aged_op(shard: Shard, op: Op | None) -> Op | None:
    """Where somebody stands, without what decides nothing any more."""
    if op is None:
        return None
    error = op.error and FIRST_OF_KIND.setdefault(op.error.kind, op.error)
    intent, base, source = aged_intent(shard, op.intent), aged_head(shard, op.base), aged_head(shard, op.source)
    if op.ending or op.phase in WITHOUT_RETURN:
        base = source = None
        if op.facts or op.change.source:
            op = op._replace(facts=None, change=replace(op.change, source=None))
    if (op.intent, op.base, op.source) == (intent, base, source) and op.error is error:
        return op
    return op._replace(intent=intent, base=base, source=source, error=error)


def aged_request(shard: Shard, by: str, request: Request) -> Request | None:
    """A request that is held back, or None where it can never be applied any more."""
    there = shard.intent(by)
    match request:
        case Commit(etag, base, file) | CommitMove(etag, base, file):
            heads = [(file.path, base)]
            if isinstance(request, CommitMove):
                heads.append((request.tombstone.path, request.source))
            if not there or there.etag != etag or not all(has(shard, *head) for head in heads):
                return None
            now = replace(request, intent_etag=NOW, base=aged_head(shard, base))
            return replace(now, source=replace(now.source, row_etag=NOW)) if isinstance(now, CommitMove) else now
        case AbortIntent(row) | DropIntent(row):
            if not there or there.etag != row.etag:
                return None
            return type(request)(IntentRow(row.intent, NOW, 0))
    return request


def aged_shard(shard: Shard) -> Shard:
    rows = [head.row_etag for head in shard.heads if head] + [row.etag for row in shard.intents]
    if NEW not in rows:
        return shard
    heads = tuple(aged_head(shard, head) for head in shard.heads)
    return replace(shard, heads=heads, intents=tuple(replace(row, etag=NOW) for row in shard.intents))


def aged(world: World) -> World:
    """The same world, with every etag told by what it is worth now."""
    shard = world.shard
    late = [(by, aged_request(shard, by, request)) for by, request in world.net]
    net = sorted(((by, request) for by, request in late if request), key=lambda one: (one[0], type(one[1]).__name__))
    told = frozenset(one for one in world.told if one[1] not in shard.rows)  # and rows are for ever: S11
    actors = tuple(aged_op(shard, op) for op in world.actors)
    return World(aged_shard(shard), tuple(net), actors, told, world.faults, world.attacks)


# --- What can happen -------------------------------------------------------------------------------------------------


def sent(world: World, op: Op, request: Request) -> Iterator[tuple[str, World, Answer]]:
    """All that can happen to a request, and what its sender hears."""
    name, late = f"{op.id} {type(request).__name__}", (op.id, request)
    after, answer = applied(world.shard, op.id, request)
    yield f"{name}: {type(answer).__name__}", came_to(world, after), answer
    if not isinstance(request, WRITES) or not world.faults:
        return
    yield f"{name}: answer lost", came_to(world, after, faults=1), LOST
    yield f"{name}: lost", came_to(world, world.shard, faults=1), LOST
    yield f"{name}: held back", came_to(world, world.shard, late, faults=1), LOST
    yield f"{name}: a copy held back", came_to(world, after, late, faults=1), answer
    twice, second = applied(after, op.id, request)
    yield f"{name}: twice", came_to(world, twice, faults=1), second


def came_to(world: World, shard: Shard, *late: tuple[str, Request], faults: int = 0) -> World:
    return World(shard, (*world.net, *late), world.actors, world.told, world.faults - faults, world.attacks)


def went_on(world: World, index: int, at: Next) -> World:
    """Somebody has taken a step: perhaps the last."""
    op, request = at
    told, stands = world.told, op if not isinstance(request, Result) else None
    match request:
        case NotApplied() | StartOver():
            told |= {(op.id, None)}
        case Committed(file):
            told |= {(op.id, file)}
    actors = (*world.actors[:index], stands, *world.actors[index + 1 :])
    return aged(World(world.shard, world.net, actors, told, world.faults, world.attacks))


def successors(world: World) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    for index, op in enumerate(world.actors):
        if op is None:
            continue
        who = "recover of " if index == len("MN") else ""
        for label, after, answer in sent(world, op, asks(op)):
            yield f"{who}{label}", went_on(after, index, step(op, answer))
        late = step(op, LATE)
        if not who and not isinstance(late[1], Undecided):  # who is told nothing has only stopped, and that is here
            yield f"{op.id}: out of time", went_on(world, index, late)
    if world.attacks and world.actors[-1] is None:
        for row in world.shard.intents:
            attacked = replace(world, attacks=world.attacks - 1)
            yield f"recover {row.intent.op}", went_on(attacked, len("MN"), recover(settling(row), row))
    for index, (by, request) in enumerate(world.net):
        shard, _ = applied(world.shard, by, request)
        rest = world.net[:index] + world.net[index + 1 :]
        yield f"late {by} {type(request).__name__}", aged(replace(world, shard=shard, net=rest))


def asks(op: Op) -> Request:
    return request_of(op, op.phase)


# --- What must hold --------------------------------------------------------------------------------------------------


def violation(known: "Known", before: World, now: World) -> str | None:
    """What is wrong with a state, or with having come to it."""
    if before.shard is not now.shard and set(before.shard.rows) - set(now.shard.rows):
        return "S11: history was rewritten"
    if now in known.worlds:
        return None
    known.worlds.add(now)
    for op, file in now.told:
        if file:
            return "S1: told committed, and it is not"
        if any(row.etag == op for row in now.shard.rows):
            return "S2: told not applied, and it is"
    if wrong := known.damage(now.shard):
        return wrong
    return known.unrest(now)


def damage(shard: Shard) -> str | None:
    """What is wrong with the rows of a shard."""
    return gaps(shard) or lies(shard)


def gaps(shard: Shard) -> str | None:
    rows = shard.rows
    for path in PATHS:
        mine, head = [file for file in rows if file.path == path], shard.head(path)
        if [file.version for file in mine] != list(range(1, len(mine) + 1)):
            return "S7: versions have gaps"
        if mine and (not head or head.file != mine[-1]):
            return "S7: the head is not the last version"
    return None


def lies(shard: Shard) -> str | None:
    rows = shard.rows
    for op in (MOVE, RIVAL):
        mine = [file for file in rows if file.etag == op]
        made, gone = [[file for file in mine if (file.kind == "delete") == dead] for dead in (False, True)]
        if len(made) > 1 or len(gone) > 1:
            return "S9: one op was applied twice"
        if made and made[0].kind == "put" and made[0].blob not in shard.blobs:
            return "S5: the content of a committed version is gone"
        if made and made[0].kind == "move" and not (gone and took(rows, made[0], gone[0])):
            return "S1: a move that did not take away what it moved"
        if gone and not made and gone[0].writer == MOVE:
            return "S1: the source is gone, and the file is nowhere"
    return None


def took(rows: tuple[FileVersion, ...], made: FileVersion, gone: FileVersion) -> bool:
    """Whether what was made is what was there until it was gone."""
    return any(
        (file.path, file.version + 1, file.blob, made.source)
        == (gone.path, gone.version, made.blob, f"{file.path}@{file.version}")
        for file in rows
    )


class Known:
    """What is known already of one search, so that it is not found out again at every state."""

    def __init__(self) -> None:
        self.worlds: set[World] = set()
        self._damage: dict[Shard, str | None] = {}
        self._ending: set[tuple[Shard, Op]] = set()
        self._at_rest: dict[Shard, str | None] = {}

    def ends(self, shard: Shard, op: Op) -> bool:
        """Whether a call comes to its end, with nobody else about."""
        way: list[tuple[Shard, Op]] = []
        now: Op | None = op
        while now and (here := (shard, now)) not in self._ending:
            if here in way:
                return False
            way.append(here)
            shard, now = alone(shard, now)
        self._ending.update(way)
        return True

    def damage(self, shard: Shard) -> str | None:
        if shard not in self._damage:
            self._damage[shard] = damage(shard)
        return self._damage[shard]

    def unrest(self, world: World) -> str | None:
        """What does not come to an end."""
        if any(op and not self.ends(world.shard, op) for op in world.actors):
            return "S9: with nobody else about, and without faults, a call turns in circles for ever"
        if world.net:
            return None
        if world.shard not in self._at_rest:
            self._at_rest[world.shard] = self._unrest(world.shard)
        return self._at_rest[world.shard]

    def _unrest(self, shard: Shard) -> str | None:
        """What one recover, with nobody else about, does not bring to an end."""
        for row in shard.intents:
            op: Op | None = recover(settling(row), row)[0]
            if op and not self.ends(shard, op):
                return "S12: a recover that turns in circles for ever"
            while op:
                shard, op = alone(shard, op)
            left = shard.intent(row.intent.op)
            if left and left.intent.state == "open":
                return "S12: an intent that recovery does not settle"
        return damage(shard)


def alone(shard: Shard, op: Op) -> tuple[Shard, Op | None]:
    """One step with nobody else about, and without faults."""
    after, answer = applied(shard, op.id, asks(op))
    at, request = step(op, answer)
    return aged_shard(after), None if isinstance(request, Result) else aged_op(after, at)


# --- The searches ----------------------------------------------------------------------------------------------------

RIVALS: Mapping[str, Op] = MappingProxyType(
    {
        "put on the source": an_op(RIVAL, "put", "a", Overwrite(force=True)),
        "put on the target": an_op(RIVAL, "put", "b", Overwrite(force=True)),
        "create the target": an_op(RIVAL, "put", "b", Create()),
        "delete the source": an_op(RIVAL, "delete", "a", Overwrite()),
        "delete the target": an_op(RIVAL, "delete", "b", Overwrite()),
        "move the source elsewhere": an_op(RIVAL, "move", "c", Create(), origin="a"),
        "move the source to the same target": an_op(RIVAL, "move", "b", Create(), origin="a"),
        "move the target to the source": an_op(RIVAL, "move", "a", Overwrite(), origin="b"),
    }
)


def search(rival: str | None, mode: Mode, *, faults: int, attacks: int) -> tuple[int, list[str] | None]:
    shard = written(Shard(), a_file("a", 1))
    if mode == Overwrite():
        shard = written(shard, a_file("b", 1))
    mover, other = begin(an_op(MOVE, "move", "b", mode, origin="a"))[0], begin(RIVALS[rival])[0] if rival else None
    start = World(aged_shard(shard), (), (mover, other, None), frozenset(), faults, attacks)
    return explore(start, successors, partial(violation, Known()))


MODES = pytest.mark.parametrize("mode", [Create(), Overwrite()], ids=["onto nothing", "onto a file"])


@MODES
@pytest.mark.parametrize("rival", RIVALS)
def test_no_state_breaks_an_invariant(rival: str, mode: Mode) -> None:
    states, way = search(rival, mode, faults=1, attacks=1)
    assert way is None, "\n".join(way)
    assert states > 500


@MODES
def test_nor_do_many_faults_and_attacks_without_a_rival(mode: Mode) -> None:
    states, way = search(None, mode, faults=3, attacks=3)
    assert way is None, "\n".join(way)
    assert states > 500


def again_without_reading_the_source(op: Op, answer: Answer) -> Next:
    """A rebase of the target alone: the source's etag may be another's by now."""
    match answer:
        case Found(Head() as head) if not head.claim:
            return steps.to(op._replace(base=head), Phase.COMMIT)
        case Absent():
            return steps.to(op._replace(base=None), Phase.COMMIT)
    return protocol._on_rebase(op, answer)


def again_with_whatever_is_there(op: Op, answer: Answer) -> Next:
    """Takes the source as it is by now for the one that was to be moved."""
    match answer:
        case Found(Head() as head) if op.intent:
            return steps.to(op._replace(source=head), Phase.COMMIT)
    return moving.on_from(op, answer)


def a_refusal_is_proof(op: Op, answer: Answer) -> Next:
    if isinstance(answer, Refused):
        return op, NotApplied(UnavailableError("refused"))
    return protocol._on_commit(op, answer)


def no_look_after_the_abort(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow() as row) if op.blob:
            return steps.to(op._replace(intent=row), Phase.CLEAN)
    return protocol._on_abort(op, answer)


Handler = Callable[[Op, Answer], Next]

WRONG: Mapping[str, tuple[Phase, Handler, str]] = MappingProxyType(
    {
        "a rebase that does not read the source": (Phase.REBASE, again_without_reading_the_source, "S9"),
        "a rebase onto another source": (Phase.FROM, again_with_whatever_is_there, "S1"),
        "a refusal taken as proof": (Phase.COMMIT, a_refusal_is_proof, "S2"),
        "no look for a version after the abort": (Phase.ABORT, no_look_after_the_abort, "S5"),
    }
)


def wrongs() -> Iterator[str]:
    """What the searches find, the last line of each way."""
    for rival in RIVALS:
        _, way = search(rival, Create(), faults=1, attacks=1)
        if way:
            yield way[-1]


@pytest.mark.parametrize(("phase", "handler", "wrong"), WRONG.values(), ids=WRONG.keys())
def test_the_search_finds_what_is_wrong(
    phase: Phase, handler: Handler, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocol._HANDLERS, phase, handler)
    assert next(wrongs()).startswith(wrong)


def test_the_search_finds_a_move_that_leaves_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_the_tombstone(op: Op) -> Request:
        return Commit(fence_of(op).etag, op.base, version_of(op))

    monkeypatch.setattr(steps, "_commit", without_the_tombstone)
    assert next(wrongs()) == "S1: a move that did not take away what it moved"


def test_the_search_finds_a_move_of_a_source_that_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is not asked whether the source is still what it was."""
    at_the_service = has

    def only_the_target(shard: Shard, path: str, head: Head | None) -> bool:
        return path == "a" or at_the_service(shard, path, head)

    monkeypatch.setitem(globals(), "has", only_the_target)
    assert next(wrongs()).startswith(("S1", "S7"))
