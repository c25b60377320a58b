"""The history checker: it accepts what could have happened, and nothing else."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catalog import (
    CatalogError,
    ConflictError,
    Create,
    FileVersion,
    IfMatch,
    IfVersion,
    Mode,
    NotFoundError,
    Overwrite,
    UnavailableError,
)
from catalog.columns import parse_file
from catalog.entities import Kind
from catalog.rows import Entity
from tests.faults.world import World
from tests.harness.history import NEVER, Call, Change, Look, Rows, check_history
from tests.harness.recorder import Recorder

CONFLICT = ConflictError("someone else won")
LOST = UnavailableError("not applied")


def row(version: int, op: str, kind: Kind = "put", source: str | None = None) -> dict[str, Any]:
    """A version row of `a`, whose content is named after its op."""
    digest = "" if kind == "delete" else f"sha256:{op}"
    return {
        "schema": 1, "path": "a", "version": version, "kind": kind, "op": op, "size": 1, "digest": digest,
        "content_type": "", "created": version, "writer": "", "chain": "", "blob": op, "blob_etag": "",
    } | ({"source": source} if source else {})  # fmt: skip


def file(values: dict[str, Any]) -> FileVersion:
    return parse_file("v", Entity("p", "v", values, "e", 0))


def put(start: float, end: float, outcome: Any, op: str = "", mode: Mode = Overwrite()) -> Change:
    op = outcome["op"] if isinstance(outcome, dict) else op
    said = file(outcome) if isinstance(outcome, dict) else outcome
    return Change("p", "put", "a", start, end, said, mode, f"sha256:{op}")


def delete(start: float, end: float, outcome: Any) -> Change:
    return Change("d", "delete", "a", start, end, file(outcome) if isinstance(outcome, dict) else outcome)


def read(start: float, end: float, op: str | None) -> Look:
    return Look("r", "a", start, end, digest=op and f"sha256:{op}")


ONE, TWO = row(1, "x"), row(2, "y")
GONE = row(2, "z", "delete")

RIGHT: dict[str, tuple[Sequence[Call], Rows]] = {
    "one after the other": ([put(1, 2, ONE), put(3, 4, TWO), read(5, 6, "y")], [ONE, TWO]),
    "at the same time": ([put(1, 4, TWO), put(1, 4, ONE), read(2, 3, "x")], [ONE, TWO]),
    "an unknown one that was applied": ([put(1, NEVER, None, "x"), read(5, 6, "x")], [ONE]),
    "an unknown one that was not": ([put(1, NEVER, None, "x"), read(5, 6, None)], []),
    "an unknown one that came late": ([put(1, NEVER, None, "x"), read(5, 6, None), read(7, 8, "x")], [ONE]),
    "a refused create": ([put(1, 4, ONE, mode=Create()), put(1, 4, CONFLICT, "y", Create())], [ONE]),
    "a delete": ([put(1, 2, ONE), delete(3, 6, GONE), read(4, 5, "x"), read(7, 8, None)], [ONE, GONE]),
    "not found while it was not there": ([put(1, 4, ONE), delete(1, 2, NotFoundError("no"))], [ONE]),
    "the same content again": ([put(1, 2, ONE), put(3, 4, ONE)], [ONE]),
}
WRONG: dict[str, tuple[str, Sequence[Call], Rows]] = {
    "S1: acknowledged and lost": ("S1", [put(1, 2, ONE)], []),
    "S1: acknowledged and another's": ("S1", [put(1, 2, ONE), put(3, 4, {**TWO, "digest": "sha256:q"})], [ONE, TWO]),
    "S2: failed and there": ("S2", [put(1, 2, LOST, "x")], [ONE]),
    "S2: nobody's": ("S2", [], [ONE]),
    "S2: one unknown, two versions": ("S2", [put(1, NEVER, None, "x")], [ONE, row(2, "x2") | {"digest": "sha256:x"}]),
    "S2: unknown, resolved, and there": ("S2", [put(1, 9, LOST, "x"), read(10, 11, "x")], [ONE]),
    "S4: content that never was": ("S4", [put(1, 2, ONE), read(3, 4, "q")], [ONE]),
    "S7: an order against time": ("S7", [put(1, 2, TWO), put(3, 4, ONE)], [ONE, TWO]),
    "S7: a stale read": ("S7", [put(1, 2, ONE), put(3, 4, TWO), read(5, 6, "x")], [ONE, TWO]),
    "S7: read before it was written": ("S7", [read(1, 2, "x"), put(3, 4, ONE)], [ONE]),
    "S7: reads that go back": (
        "S7", [put(1, 2, ONE), put(3, NEVER, None, "y"), read(5, 6, "y"), read(7, 8, "x")], [ONE, TWO],
    ),
    "S7: absent though it was there": ("S7", [put(1, 2, ONE), read(3, 4, None)], [ONE]),
    "S7: refused though nothing was there": ("S7", [put(1, 2, CONFLICT, "y", Create()), put(3, 4, ONE)], [ONE]),
    "S7: deleted twice": ("S7", [put(1, 2, ONE), delete(3, 4, NotFoundError("no")), delete(5, 6, GONE)], [ONE, GONE]),
    "S8: two creates": ("S8", [put(1, 4, ONE, mode=Create()), put(1, 4, TWO, mode=Create())], [ONE, TWO]),
    "S8: two winners of one version": ("S8", [delete(3, 6, GONE), delete(3, 6, GONE), put(1, 2, ONE)], [ONE, GONE]),
    "S8: on another version": ("S8", [put(1, 2, ONE), put(3, 4, TWO, mode=IfVersion(7))], [ONE, TWO]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_could_have_happened_is_accepted(name: str) -> None:
    calls, rows = RIGHT[name]
    check_history(calls, {"a": rows})


@pytest.mark.parametrize("name", WRONG)
def test_what_could_not_is_rejected(name: str) -> None:
    invariant, calls, rows = WRONG[name]
    with pytest.raises(AssertionError, match=invariant):
        check_history(calls, {"a": rows})


def test_versions_that_were_there_before_need_no_maker() -> None:
    check_history([read(1, 2, "x")], {"a": [ONE]}, {"a": 1})
    with pytest.raises(AssertionError, match="S7"):
        check_history([read(1, 2, None)], {"a": [ONE]}, {"a": 1})


def test_a_move_ends_its_source_and_begins_its_target() -> None:
    made = row(1, "m", "move", "a@1") | {"path": "b"}
    ended = row(2, "m", "delete")
    move = Change("m", "move", "b", 3, 4, file(made), Create(), source="a")
    after = {"a": [ONE, ended], "b": [made]}
    check_history([put(1, 2, ONE), move, read(5, 6, None)], after)
    with pytest.raises(AssertionError, match="S7"):
        check_history([put(1, 2, ONE), move, read(5, 6, "x")], after)
    with pytest.raises(AssertionError, match="S7"):  # its source was another version by then
        check_history([put(1, 2, ONE), put(3, 4, TWO), replace(move, start=5, end=6)], {"a": [ONE, TWO], "b": [made]})


@dataclass
class Path:
    """One path and a sequence of calls, each at one moment; what they were told, with time to spare on both sides."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def live(self) -> bool:
        return bool(self.rows) and self.rows[-1]["kind"] != "delete"

    def step(self, verb: str, before: int, after: int, known: bool) -> None:
        number = len(self.calls)
        start, end = 10 * number - before, 10 * number + after
        if verb == "read":
            self.calls.append(read(start, end, self.rows[-1]["op"] if self.live() else None))
        elif verb == "create" and self.live():
            self.calls.append(put(start, end, CONFLICT, f"op{number}", Create()))
        elif verb == "delete" and not self.live():
            self.calls.append(delete(start, end, NotFoundError("no")))
        else:
            kind: Kind = "delete" if verb == "delete" else "put"
            self.rows.append(made := row(len(self.rows) + 1, f"op{number}", kind))
            call = delete(start, end, made) if verb == "delete" else put(start, end, made)
            call = replace(call, mode=Create() if verb == "create" else Overwrite())
            self.calls.append(call if known else replace(call, outcome=None, end=NEVER))


def paths(slack: int, *, known: bool = False) -> st.SearchStrategy[Path]:
    """Paths whose calls reach so far before and after their moments: from 5 on they overlap."""
    verbs = st.sampled_from(["put", "create", "delete", "read"])
    steps = st.tuples(
        verbs, st.integers(0, slack), st.integers(0, slack), st.just(value=True) if known else st.booleans()
    )

    def made(steps: list[tuple[str, int, int, bool]]) -> Path:
        path = Path()
        for each in steps:
            path.step(*each)
        return path

    return st.lists(steps, max_size=12).map(made)


@given(paths(slack=40))
def test_whatever_a_sequence_of_calls_was_told_is_accepted(path: Path) -> None:
    check_history(path.calls, {"a": path.rows})


def acknowledged(path: Path) -> list[int]:
    return [
        at for at, call in enumerate(path.calls) if isinstance(call, Change) and isinstance(call.outcome, FileVersion)
    ]


@given(paths(slack=4, known=True).filter(lambda path: len(acknowledged(path)) > 1), st.data())
def test_changes_whose_times_were_exchanged_are_rejected(path: Path, data: st.DataObject) -> None:
    one, other = data.draw(st.permutations(acknowledged(path)))[:2]
    calls = list(path.calls)
    calls[one] = replace(calls[one], start=path.calls[other].start, end=path.calls[other].end)
    calls[other] = replace(calls[other], start=path.calls[one].start, end=path.calls[one].end)
    with pytest.raises(AssertionError, match="S7"):
        check_history(calls, {"a": path.rows})


@given(paths(slack=40, known=True).filter(acknowledged), st.data())
def test_a_failure_that_took_effect_is_rejected(path: Path, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(acknowledged(path)))
    calls = list(path.calls)
    calls[at] = replace(calls[at], outcome=LOST)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="S2"):
        check_history(calls, {"a": path.rows})


@given(paths(slack=40, known=True).filter(acknowledged))
def test_a_change_that_was_lost_is_rejected(path: Path) -> None:
    with pytest.raises(AssertionError, match="S1"):
        check_history(path.calls, {"a": path.rows[:-1]})


NUMBER = st.integers(0, 12)
SAID = st.one_of(
    NUMBER,
    NUMBER.map("sha256:op{}".format),
    st.just(Create()),
    NUMBER.map(IfVersion),
    NUMBER.map("op{}".format).map(IfMatch),
    st.just(NotFoundError("no")),
    st.none(),
)


def says(what: object, start: float, end: float) -> Call:
    match what:
        case int(version):
            return Look("r", "a", start, end, version=version)
        case NotFoundError():
            return delete(start, end, what)
        case Create() | IfVersion() | IfMatch():
            return put(start, end, CONFLICT, "", what)
    return Look("r", "a", start, end, digest=what if isinstance(what, str) else None)


def is_said_of(what: object, rows: Rows, version: int) -> bool:
    """Whether something is true of a path while this version is its current one."""
    row = rows[version - 1] if version else {"kind": "delete"}
    live = row["kind"] != "delete"
    match what:
        case int(other):
            return version == other
        case str(digest):
            return live and row["digest"] == digest
        case Create():
            return live
        case IfVersion(other):
            return not live or version != other
        case IfMatch(etag):
            return not live or row["op"] != etag
    return not live


@given(paths(slack=40), SAID, st.integers(-50, 150), st.integers(0, 40))
def test_one_more_look_is_judged_as_by_going_through_all_versions(
    path: Path, what: object, start: int, takes: int
) -> None:
    made = [call for call in path.calls if isinstance(call, Change) and not isinstance(call.outcome, CatalogError)]
    # Of two deletes of which nobody heard, either may have made either version: below, each has made its own.
    assume(sum(call.kind == "delete" and call.outcome is None for call in made) < 2)
    check_history(made, {"a": path.rows})
    could = [
        version
        for version in range(len(path.rows) + 1)
        if is_said_of(what, path.rows, version)
        and all(call.start <= start + takes for call in made[:version])
        and all(start <= call.end for call in made[version:])
    ]
    with nullcontext() if could else pytest.raises(AssertionError, match=r"S1|S7"):
        check_history([*made, says(what, start, start + takes)], {"a": path.rows})


def test_a_long_history_is_judged_at_once() -> None:
    path, began = Path(), time.process_time()
    for number in range(20_000):
        path.step(("put", "delete", "create", "create", "read")[number % 5], 15, 15, number % 100 > 0)
    check_history(path.calls, {"a": path.rows})
    assert time.process_time() - began < 5


async def test_the_recorder_notes_what_happened() -> None:
    async with World() as world:
        recorder = Recorder()
        volume = recorder.volume("one", await world.client().create_volume("v", shards=2))
        await volume.put("a", b"1")
        await volume.set_metadata("a", {"n": 1})
        await volume.copy("a", "b")
        await volume.move("a", "c")
        assert await volume.read("c") == b"1"
        await volume.restore("a", 1)
        with pytest.raises(ConflictError):
            await volume.put("b", b"2", mode=Create())
        await volume.delete("b")
        with pytest.raises(NotFoundError):
            await volume.stat("b")
        await volume.files("b")
        await volume.history("a")
        after = (await world.look()).histories
        check_history(recorder.calls, after)
        assert len([call for call in recorder.calls if isinstance(call, Change)]) == 7
        with pytest.raises(AssertionError, match="S1"):
            check_history(recorder.calls, {**after, "c": []})
