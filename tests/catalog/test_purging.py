"""Purges, explored: the real steps of two runs, of copies that share the blob, and of whoever recovers.

Three shards with one path each: a, whose put wrote the blob, q, a copy of a, and r, a copy of q. Every write may be
lost, doubled, held back and applied later, above all the DELETE; a late copy of the put's W1 or W2 may turn up; and
everybody may stop for ever after any step. Nothing live may lose its content (S5), no flag is taken back, no row goes;
and from every state, one who recovers and one more run bring it to rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from catalog import protocol, purging
from catalog.changes import NOTHING, Change, Facts
from catalog.entities import FileVersion, Head, Intent, IntentRow, Kind, VersionRow
from catalog.errors import CatalogError, OutcomeUnknownError, UnavailableError
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
    FindVersion,
    Foreign,
    Found,
    InsertIntent,
    PutContent,
    ReadHead,
    ReadIntent,
    ReadSource,
    Refused,
    Result,
    StartOver,
    StatContent,
    Stored,
)
from catalog.modes import Create, Overwrite
from catalog.op import Op, Phase, intent_of
from catalog.protocol import Known, begin, recover, step
from catalog.purging import (
    DeleteBlob,
    Flag,
    Held,
    MarkPurged,
    Purge,
    Purged,
    PurgeNext,
    PurgeResult,
    ReadVersion,
    Reference,
    SearchIntents,
    SearchVersions,
    StatBlob,
    Step,
    purge,
    purge_step,
)
from catalog.steps import Next, to
from catalog.times import EPOCH
from tests.harness.search import explore

PATHS = "arq"  # in the order of their shards: who searches these is past r when it comes to q, which r is a copy of
BLOB, PUT = "blob", "P"
LOST = Doubt(OutcomeUnknownError("lost"))
FACTS = Facts(1, "sha256:0", "0")
TOLD = UnavailableError("aborted")


# --- The services ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """One path's rows, and the intents of ops there."""

    head: Head | None = None
    rows: tuple[VersionRow, ...] = ()
    intents: tuple[IntentRow, ...] = ()
    etags: int = 0
    """Of intents, so far."""


@dataclass(frozen=True)
class Store:
    """All rows, and the one blob, by its etag."""

    shards: tuple[Shard, ...]
    blob: int | None = 1
    reborn: bool = False
    """Whether a late copy of W2 has brought it back."""


def shard_of(path: str) -> int:
    return PATHS.index(path)


def put_in(store: Store, path: str, **changes: Any) -> Store:
    shards = list(store.shards)
    shards[shard_of(path)] = replace(shards[shard_of(path)], **changes)
    return replace(store, shards=tuple(shards))


def an_intent(shard: Shard, op: str) -> IntentRow | None:
    return next((row for row in shard.intents if row.intent.op == op), None)


def with_intent(store: Store, intent: Intent) -> tuple[Store, IntentRow]:
    there = store.shards[shard_of(intent.path)]
    row = IntentRow(intent, str(there.etags + 1), 0)
    others = tuple(each for each in there.intents if each.intent.op != intent.op)
    return put_in(store, intent.path, intents=(*others, row), etags=there.etags + 1), row


def without_intent(shard: Shard, op: str) -> tuple[IntentRow, ...]:
    return tuple(row for row in shard.intents if row.intent.op != op)


def with_version(store: Store, file: FileVersion, **changes: Any) -> Store:
    there = store.shards[shard_of(file.path)]
    rows = (*there.rows, VersionRow(file, "1"))
    return put_in(store, file.path, head=Head(file, str(file.version)), rows=rows, **changes)


def with_row(store: Store, row: VersionRow, **changes: Any) -> tuple[Store, Answer]:
    rows = store.shards[shard_of(row.file.path)].rows
    there = rows[row.file.version - 1]
    if there.etag != row.etag:
        return store, Refused()
    there = replace(there, etag=str(int(there.etag) + 1), **changes)
    rows = (*rows[: row.file.version - 1], there, *rows[row.file.version :])
    return put_in(store, row.file.path, rows=rows), Found(there)


def applied(store: Store, request: object, op: str = "") -> tuple[Store, Answer | Reference]:
    """A request reaches the service. `op` says whose content is meant."""
    match request:
        case ReadHead(path):
            head = store.shards[shard_of(path)].head
            return store, Found(head) if head else Absent()
        case StatContent():
            return store, _stat(store, op)
        case PutContent():
            return (store, Refused()) if store.blob else (replace(store, blob=2, reborn=True), Done())
        case DeleteContent(etag) | DeleteBlob(_, etag):
            if store.blob is None:
                return store, Absent()
            return (replace(store, blob=None), Done()) if str(store.blob) == etag else (store, Refused())
    return (_on_purge if isinstance(request, PURGES) else _on_change)(store, request)


def _stat(store: Store, op: str) -> Answer:
    if store.blob is None:
        return Absent()
    return Stored(str(store.blob), NOTHING) if op == PUT else Foreign()


PURGES = (ReadVersion, Flag, SearchIntents, SearchVersions, StatBlob, MarkPurged)


def _on_purge(store: Store, request: object) -> tuple[Store, Answer | Reference]:
    match request:
        case ReadVersion(path, version):
            return store, Found(store.shards[shard_of(path)].rows[version - 1])
        case Flag(row, run):
            return with_row(store, row, purging=run)
        case MarkPurged(row):
            return with_row(store, row, purged=True)
        case SearchIntents(shard, blob):
            intents = [row.intent.op for row in store.shards[shard].intents if purging.fences(row.intent, blob)]
            return store, Reference(intents[0]) if intents else Absent()
        case SearchVersions(shard, blob, run):
            rows = [row.file.path for row in store.shards[shard].rows if purging.refers(row, blob, run)]
            return store, Reference(rows[0]) if rows else Absent()
        case StatBlob(_, op):
            return store, _stat(store, op)
    raise AssertionError(request)


def _on_change(store: Store, request: object) -> tuple[Store, Answer]:  # noqa: C901, PLR0911 — one case each
    match request:
        case InsertIntent(intent):
            if an_intent(store.shards[shard_of(intent.path)], intent.op):
                return store, Refused()
            store, row = with_intent(store, intent)
            return store, Found(row)
        case ReadIntent(path, op):
            found = an_intent(store.shards[shard_of(path)], op)
            return store, Found(found) if found else Absent()
        case ReadSource(file):
            row = store.shards[shard_of(file.path)].rows[file.version - 1]  # type: ignore[assignment]
            return store, Found(row.file) if row.live else Absent()  # type: ignore[attr-defined]
        case FindVersion(path, op, above):
            mine = [row.file for row in store.shards[shard_of(path)].rows if row.file.etag == op]
            return store, Found(mine[0]) if mine and mine[0].version > above else Absent()
        case Commit(etag, base, file):
            there = store.shards[shard_of(file.path)]
            fence = an_intent(there, file.etag)
            if not fence or fence.etag != etag or there.head != base:
                return store, Refused()
            return with_version(store, file, intents=without_intent(there, file.etag)), Found(file)
        case AbortIntent(row) | DropIntent(row):
            there = store.shards[shard_of(row.intent.path)]
            if row not in there.intents:
                return store, Refused()
            if isinstance(request, DropIntent):
                return put_in(store, row.intent.path, intents=without_intent(there, row.intent.op)), Done()
            store, row = with_intent(store, replace(row.intent, state="aborted"))
            return store, Found(row)
    raise AssertionError(request)


# --- Who is there ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """The services, requests still under way, and where everybody stands."""

    store: Store
    writers: tuple[Next | None, ...]
    runs: tuple[PurgeNext | None, ...]
    rivals: str
    """The paths whose file somebody is about to delete."""
    net: tuple[object, ...] = ()
    other: Next | None = None
    faults: int = 0
    attacks: int = 0


@dataclass(frozen=True)
class Scene:
    """Who takes part."""

    copies: str = ""
    """The copies under way: to q, of a; to r, of q."""
    made: str = ""
    """The copies that are there already, and were deleted since."""
    described: bool = False
    """Whether a's metadata are being changed, in place of its being deleted."""
    runs: tuple[str, ...] = ("a",)
    """The candidates of each run, in the order in which it flags them."""
    deleted: str = ""
    """What is deleted on the way. a is deleted from the beginning."""
    net: tuple[object, ...] = ()
    faults: int = 0
    attacks: int = 0


def a_file(path: str, version: int, kind: Kind, op: str) -> FileVersion:
    blob = "" if kind == "delete" else BLOB
    return FileVersion(
        "raw", path, version, kind, op, 1, "sha256:0", "0", "x/y", {}, EPOCH, None, "w", None, "", blob, "1", None
    )


def an_op(op: str, path: str, kind: Kind, source: FileVersion | None = None) -> Op:
    change = Change("raw", path, kind, Overwrite() if kind == "metadata" else Create(), "w", {"k": 1}, "x/y")
    op_ = Op(op, replace(change, source=source), BLOB, 1, 0, Phase.HEAD, facts=FACTS, blob_etag="1")
    return op_._replace(error=TOLD) if kind == "put" else op_


W1 = InsertIntent(intent_of(an_op(PUT, "a", "put")))
W2 = PutContent()
DONE = an_op("", "a", "put")
DONE_RUN = Purge("", (), 0)


def started(scene: Scene) -> World:
    store = with_version(Store((Shard(),) * len(PATHS)), a_file("a", 1, "put", PUT))
    if not scene.described:
        store = with_version(store, a_file("a", 2, "delete", "gone"))
    for path in scene.made:
        store = with_version(store, a_file(path, 1, "copy", path.upper()))
        store = with_version(store, a_file(path, 2, "delete", "gone"))
    writers: tuple[Next | None, ...] = (None,) * len(scene.copies)
    if scene.described:
        writers = (begin(an_op("M", "a", "metadata"), Known(store.shards[0].head)),)
    runs = (None,) * len(scene.runs)
    return World(store, writers, runs, scene.deleted, scene.net, None, scene.faults, scene.attacks)


WRITES = (InsertIntent, Commit, AbortIntent, DropIntent, DeleteContent, DeleteBlob, Flag, MarkPurged)


def sent(world: World, request: object, op: str = "") -> Iterator[tuple[str, World, Any]]:
    """All that can happen to a request, and what its sender hears."""
    name = type(request).__name__
    store, answer = applied(world.store, request, op)
    yield f"{name}: {type(answer).__name__}", replace(world, store=store), answer
    if not isinstance(request, WRITES) or not world.faults:
        return
    fewer = replace(world, faults=world.faults - 1)
    yield f"{name}: answer lost", replace(fewer, store=store), LOST
    yield f"{name}: lost", fewer, LOST
    yield f"{name}: held back", replace(fewer, net=(*world.net, request)), LOST
    yield f"{name}: a copy held back", replace(fewer, store=store, net=(*world.net, request)), answer
    twice, second = applied(store, request, op)
    yield f"{name}: twice", replace(fewer, store=twice), second


FIRST_OF_KIND: dict[str, CatalogError] = {}


def plain(at: Next) -> Next:
    """Without what decides nothing any more: states that go on alike are one state."""
    op, request = at
    if isinstance(request, Result):
        return DONE, request if isinstance(request, Committed) else StartOver()
    return op._replace(error=op.error and FIRST_OF_KIND.setdefault(op.error.kind, op.error)), request


def ended(at: PurgeNext) -> PurgeNext:
    if isinstance(at[1], PurgeResult):
        return DONE_RUN, Held("") if isinstance(at[1], Held) else at[1]
    return at


def at_index(items: tuple[Any, ...], index: int, item: object) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


Stepper = Callable[[Purge, Any], PurgeNext]
Hold = Callable[[Store, str, str], Store]
"""What becomes of the rows when a run (its name) is held, by whom."""


@dataclass(frozen=True)
class Steps:
    """The steps that runs take; and, of those known to be wrong, what else is done to the rows."""

    take: Stepper = purge_step
    on_held: Hold | None = None
    anyone_unflags: bool = False
    first: Phase = Phase.INTENT
    """Of copies."""


def successors(world: World, scene: Scene, steps: Steps) -> Iterator[tuple[str, World]]:
    """All that can happen next."""
    yield from writers_steps(world, scene, steps)
    yield from runs_steps(world, scene, steps)
    yield from others_steps(world)
    for index, request in enumerate(world.net):
        store, _ = applied(world.store, request)
        yield (
            f"late {type(request).__name__}",
            replace(world, store=store, net=world.net[:index] + world.net[index + 1 :]),
        )
    for path in world.rivals:
        head = world.store.shards[shard_of(path)].head
        if head and head.live:
            store = with_version(world.store, a_file(path, head.file.version + 1, "delete", "gone"))
            yield f"{path} is deleted", replace(world, store=store, rivals=world.rivals.replace(path, ""))
    if steps.anyone_unflags:
        for row in all_rows(world.store):
            if row.purging and not row.purged:
                yield f"{row.file.path} is unflagged", replace(world, store=with_row(world.store, row, purging="")[0])


def writers_steps(world: World, scene: Scene, steps: Steps) -> Iterator[tuple[str, World]]:
    for index, writer in enumerate(world.writers):
        if writer is None:
            target, source = scene.copies[index], {"q": "a", "r": "q"}[scene.copies[index]]
            rows = world.store.shards[shard_of(source)].rows
            if rows:
                op, _ = begin(an_op(target.upper(), target, "copy", rows[0].file), Known(None))
                yield f"{target} begins", replace(world, writers=at_index(world.writers, index, to(op, steps.first)))
        elif not isinstance(writer[1], Result):
            for label, after, answer in sent(world, writer[1], writer[0].id):
                moved = plain(step(writer[0], answer))
                yield f"{writer[0].id} {label}", replace(after, writers=at_index(after.writers, index, moved))


def runs_steps(world: World, scene: Scene, steps: Steps) -> Iterator[tuple[str, World]]:
    for index, run in enumerate(world.runs):
        name = str(index + 1)
        if run is None:
            shards = [world.store.shards[shard_of(path)] for path in scene.runs[index]]
            if all(shard.rows for shard in shards):
                first = ended(purge(name, [shard.rows[0] for shard in shards], len(world.store.shards)))
                yield f"run {name} begins", replace(world, runs=at_index(world.runs, index, first))
        elif not isinstance(run[1], PurgeResult):
            for label, after, answer in sent(world, run[1]):
                moved = steps.take(run[0], answer)
                if steps.on_held and isinstance(moved[1], Held):
                    after = replace(after, store=steps.on_held(after.store, name, moved[1].by))  # noqa: PLW2901
                yield f"run {name} {label}", replace(after, runs=at_index(after.runs, index, ended(moved)))


def others_steps(world: World) -> Iterator[tuple[str, World]]:
    if world.other and not isinstance(world.other[1], Result):
        for label, after, answer in sent(world, world.other[1], world.other[0].id):
            yield f"other {label}", replace(after, other=plain(step(world.other[0], answer)))
    elif world.attacks:
        for row in open_intents(world.store):
            first = recover(an_op(row.intent.op, row.intent.path, row.intent.kind)._replace(error=TOLD), row)
            yield f"other attacks {row.intent.op}", replace(world, attacks=world.attacks - 1, other=first)


def open_intents(store: Store) -> list[IntentRow]:
    return [row for shard in store.shards for row in shard.intents if row.intent.state == "open"]


def all_rows(store: Store) -> list[VersionRow]:
    return [row for shard in store.shards for row in shard.rows]


# --- What must hold --------------------------------------------------------------------------------------------------


def lost(_: World, now: World) -> str | None:
    """What a simpler version loses: the content of something live."""
    store = now.store
    if store.blob is None and any(row.live for row in all_rows(store)):
        return "S5: something live has lost its content"
    return None


def violation(before: World, now: World) -> str | None:  # noqa: C901, PLR0911 — one line per invariant
    """What is wrong with a state, or with having come to it."""
    rows = all_rows(now.store)
    for old in all_rows(before.store):
        new = now.store.shards[shard_of(old.file.path)].rows[old.file.version - 1 : old.file.version]
        if [row.file for row in new] != [old.file]:
            return "S11: a row is gone, or another"
        if (old.purging and not new[0].purging) or (old.purged and not new[0].purged):
            return "a flag was taken back"
    for row in rows:
        if row.purged and now.store.blob is not None and not now.store.reborn:
            return "a version is told purged, and its content is there"
        head = now.store.shards[shard_of(row.file.path)].head
        if row.purging and head and head.file == row.file:
            return "a current version was flagged"
    for writer in now.writers:
        if writer and isinstance(writer[1], Committed) and writer[1].file not in [row.file for row in rows]:
            return "S1: told committed, and it is not"
    for run in now.runs:
        if run and isinstance(run[1], Purged) and now.store.blob is not None and not now.store.reborn:
            return "told purged, and it is not"
    return lost(before, now) or unrest(now.store)


@cache
def unrest(store: Store) -> str | None:
    """What one who recovers and one more run, with nobody else about, do not bring to rest."""
    for row in open_intents(store):
        at = recover(an_op(row.intent.op, row.intent.path, row.intent.kind)._replace(error=TOLD), row)
        while not isinstance(at[1], Result):
            store, answer = applied(store, at[1], at[0].id)
            at = step(at[0], answer)  # type: ignore[arg-type]
    candidates = [row for row in all_rows(store) if row.file.blob]
    run = purge("last", candidates, len(store.shards))
    while not isinstance(run[1], PurgeResult):
        store, answer = applied(store, run[1])
        run = purge_step(run[0], answer)
    current = any(shard.head and shard.head.live for shard in store.shards)
    if current != isinstance(run[1], Held):
        return f"told {run[1]}, with something current: {current}"
    if current:
        return None
    return None if all(row.purged for row in all_rows(store) if row.file.blob) and not store.blob else "purged in part"


def search(scene: Scene, steps: Steps = Steps(), *, only_lost: bool = False) -> tuple[int, list[str] | None]:
    unrest.cache_clear()
    check = lost if only_lost else violation
    return explore(started(scene), lambda world: successors(world, scene, steps), check)


SCENES = {
    "a copy": Scene("q", deleted="q", faults=1, attacks=1),
    "a copy, two faults": Scene("q", faults=2),
    "a copy that is a candidate": Scene("q", deleted="q", runs=("qa",), faults=1, attacks=1),
    "a copy, two runs": Scene("q", deleted="q", runs=("a", "qa"), attacks=1),
    "a copy, two runs of the same": Scene("q", runs=("a", "a"), faults=1),
    "a copy of a copy": Scene("r", made="q", runs=("qa",), faults=1, attacks=1),
    "a copy of a copy, two runs": Scene("r", made="q", runs=("a", "qa"), faults=1),
    "two copies, two runs": Scene("qr", deleted="qr", runs=("a", "qa"), attacks=1),
    "metadata, two runs": Scene(described=True, runs=("a", "a"), faults=1, attacks=1),
    "late W1 of the put": Scene("q", net=(W1,), faults=1, attacks=1),
    "late W1 and W2 of the put": Scene("q", deleted="q", net=(W1, W2), attacks=2),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_no_state_breaks_an_invariant(scene: Scene) -> None:
    states, way = search(scene)
    assert way is None, "\n".join(way)
    assert states > 500


# --- What a simpler version gets wrong -------------------------------------------------------------------------------


def reads_versions_first(at: Purge, answer: Any) -> PurgeNext:
    """Reads the rows of a shard before its intents: a copy commits between the two."""
    after, request = purge_step(at, answer)
    match request:
        case SearchIntents(shard, blob):
            return after, SearchVersions(shard, blob, after.run)
        case SearchVersions(shard, blob):
            return after, SearchIntents(shard, blob)
    return after, request


def takes_any_for_past(at: Purge, answer: Any) -> PurgeNext:
    """Flags what is current, too: a change of metadata has no second look."""
    if at.step is Step.HEAD:
        answer = Found(Head(replace(answer.row.file, version=99), "1"))
    return purge_step(at, answer)


def gives_up(at: Purge, answer: Any) -> PurgeNext:
    """Takes an unanswered DELETE for a refusal."""
    return (at, Held("unanswered")) if at.step is Step.DELETE and answer == LOST else purge_step(at, answer)


def flags_last(at: Purge, answer: Any) -> PurgeNext:
    """Flags what it found nothing about, once it is through with the search."""
    after, request = purge_step(at, answer)
    match at.step, after.step:
        case Step.HEAD, Step.FLAG:
            return purging._to(after, Step.INTENTS)
        case Step.VERSIONS, Step.STAT:
            return purging._to(after, Step.FLAG)
        case ((Step.FLAG | Step.FLAGGED), Step.INTENTS):
            return purging._to(after, Step.STAT)
    return after, request


def counts_others_only(row: VersionRow, blob: str, run: str) -> bool:
    return row.file.path != "a" and REFERS(row, blob, run)


def counts_no_flags(row: VersionRow, blob: str, run: str) -> bool:
    return row.file.blob == blob and row.live


REFERS = purging.refers


def unflags(store: Store, run: str, _: str) -> Store:
    """Takes back the flags of a run that found a reference."""
    for row in all_rows(store):
        if row.purging == run and not row.purged:
            store, _answer = with_row(store, row, purging="")
    return store


def unflags_unanswered(store: Store, run: str, by: str) -> Store:
    return unflags(store, run, by) if by == "unanswered" else store


def removes(store: Store, run: str, _: str) -> Store:
    """Removes the rows that a run has flagged, as others have the content now."""
    for row in all_rows(store):
        if row.purging == run:
            gone = replace(row.file, etag="removed", blob="")
            store, _answer = with_row(store, row, file=gone)
    return store


def source_first(op: Op, answer: Answer) -> Next:
    """Reads the source, and only then inserts the intent that names its blob."""
    return to(op, Phase.INTENT) if isinstance(answer, Found) else (op, StartOver())


def straight_on(op: Op, answer: Answer) -> Next:
    after = protocol._on_intent(op, answer)
    return to(after[0], Phase.COMMIT) if isinstance(after[1], ReadSource) else after


def deletes_what_it_names(op: Op, answer: Answer) -> Next:
    """Deletes the content of an aborted op, whoever wrote it."""
    after, request = protocol._on_look(op, answer)
    return (op._replace(phase=Phase.DELETE), DeleteContent("1")) if isinstance(request, Result) else (after, request)


Patch = tuple[Any, Any, Any]
COPIES_LATE = (
    (protocol._HANDLERS, Phase.SOURCE, source_first),
    (protocol._HANDLERS, Phase.INTENT, straight_on),
)
SIMPLER: dict[str, tuple[Scene, Steps, tuple[Patch, ...]]] = {  # who and what it takes to find it out
    "versions before intents": (Scene("q"), Steps(reads_versions_first), ()),
    "a current version is flagged": (Scene(described=True), Steps(takes_any_for_past), ()),
    "found a reference: back to live": (Scene("q", deleted="q", runs=("a", "qa")), Steps(on_held=unflags), ()),
    "unanswered: back to live": (Scene(faults=1), Steps(gives_up, on_held=unflags_unanswered), ()),
    "anyone takes a flag back": (Scene(), Steps(anyone_unflags=True), ()),
    "found a reference: the row goes": (Scene("q", net=(W1,), attacks=1), Steps(on_held=removes), ()),
    "flags of others do not count": (
        Scene("r", made="q", runs=("a", "qa")),
        Steps(),
        ((vars(purging), "refers", counts_no_flags),),
    ),
    "flagged after the search": (Scene("q"), Steps(flags_last), ((vars(purging), "refers", counts_others_only),)),
    "a copy reads before its intent": (Scene("q"), Steps(first=Phase.SOURCE), COPIES_LATE),
    "an abort deletes what its intent names": (
        Scene("q", attacks=1),
        Steps(),
        ((protocol._HANDLERS, Phase.LOOK, deletes_what_it_names),),
    ),
}


@pytest.mark.parametrize(("scene", "steps", "patches"), SIMPLER.values(), ids=SIMPLER.keys())
def test_a_simpler_version_is_found_out(
    scene: Scene, steps: Steps, patches: tuple[Patch, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loses content: that a flag is taken back, or a row removed, is not what it is found out by."""
    assert search(scene, only_lost=True)[1] is None
    for where, name, wrong in patches:
        monkeypatch.setitem(where, name, wrong)
    assert search(scene, steps, only_lost=True)[1]


@pytest.mark.parametrize(("kind", "origin", "error"), [("copy", "a", None), ("restore", "", "not-found.purged")])
def test_a_flagged_source_starts_a_copy_over_and_refuses_a_restore(kind: Kind, origin: str, error: str | None) -> None:
    """The file that is copied is at another version by then; the version that is restored is what was asked for."""
    op = an_op("Q", "q", kind, a_file("a", 1, "put", PUT))._replace(origin=origin)
    fence = IntentRow(intent_of(op), "1", 0)
    at, request = step(op._replace(intent=fence, phase=Phase.SOURCE), Absent())
    assert request == AbortIntent(fence)
    assert (at.error and at.error.kind) == error
