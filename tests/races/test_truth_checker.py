"""What compares rows with what callers were told finds each kind of lie."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.observer import State
from tests.races.manifest import Call
from tests.races.truth import check_told


def a_row(path: str, version: int, op: str, kind: str, writer: str) -> dict[str, Any]:
    digest = "" if kind == "delete" else f"digest of {op}"
    return {"path": path, "version": version, "op": op, "kind": kind, "writer": writer, "digest": digest}


ROWS = (
    a_row("a", 1, "one", "put", "w"),
    a_row("a", 2, "two", "put", "x"),
    a_row("a", 3, "three", "delete", "y"),
    a_row("a", 4, "four", "put", "killed"),
)
TOLD = (
    Call(
        "1", "w", "put", "a", create=True, digest="digest of one", began=10, ended=20, outcome="made", op="one", made=1
    ),
    Call("2", "x", "put", "a", version=1, digest="digest of two", began=30, ended=40, outcome="made", op="two", made=2),
    Call("3", "y", "delete", "a", began=35, ended=50, outcome="made", op="three", made=3),
    Call("4", "killed", "put", "a", digest="digest of four", began=60),
    Call("5", "z", "put", "a", version=1, digest="digest of five", began=45, ended=55, outcome="conflict"),
)


def state(rows: Sequence[dict[str, Any]]) -> State:
    found = {("p", f"v{row['path']}{row['version']}"): row for row in rows}
    return State({("~", "vv"): {"epoch": "p"}, **found}, {})


def test_the_truth_passes() -> None:
    check_told(state(ROWS), TOLD)


def test_the_truth_of_a_long_run_is_known_at_once() -> None:
    count, began = 10_000, time.process_time()
    rows = [
        a_row(f"f{number % 50:02}", number // 50 + 1, f"{number}", "put", f"{number % 8}") for number in range(count)
    ]
    made = [
        Call(
            row["op"], row["writer"], "put", row["path"], digest=row["digest"],
            began=10 * number, ended=10 * number + 90, outcome="made", op=row["op"], made=row["version"],
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip
    check_told(state(rows), made)
    assert time.process_time() - began < 5


def told(which: int, **changes: Any) -> Sequence[Call]:
    return [replace(call, **changes) if number == which else call for number, call in enumerate(TOLD)]


def refused(outcome: str, verb: str, path: str = "a", **more: Any) -> Sequence[Call]:
    """A call while version 1 of `a` was the current one all the time, and nothing was at `z`."""
    return [*TOLD, Call("6", "z", verb, path, began=22, ended=28, outcome=outcome, **more)]


LIES: dict[str, tuple[str, Callable[[], Sequence[Call]]]] = {
    "an acknowledged write is not there": ("S1", lambda: told(1, op="lost")),
    "an acknowledged version is not there": ("S1", lambda: told(2, made=5)),
    "it has other content": ("S4", lambda: told(0, digest="another")),
    "a failure is there": ("S2", lambda: told(4, digest="digest of two")),
    "a version that nobody was told of": ("S2", lambda: TOLD[:1] + TOLD[2:]),
    "a killed call changed another path": ("S2", lambda: told(3, path="b")),
    "two of one precondition": ("S8", lambda: told(1, version=2)),
    "a creation of what was there": ("S8", lambda: told(1, version=None, create=True)),
    "an order that is not that of time": ("S7", lambda: told(0, began=41, ended=42)),
    "a conflict with nothing": ("S9", lambda: told(4, began=22, ended=29)),
    "a move that left its source": ("S12", lambda: told(1, version=None, source="a")),
    "a delete that did not find what was there": ("S7", lambda: refused("not-found", "delete")),
    "a move that did not find what was there": ("S7", lambda: refused("not-found", "move", "z", source="a")),
    "a put that did not find anything": ("S9", lambda: refused("not-found", "put")),
    "a creation that met nothing": ("S1", lambda: refused("conflict", "put", "z", create=True)),
    "a move that met nothing": ("S1", lambda: refused("conflict", "move", "z", source="a", create=True)),
    "a conflict of what asked for nothing": ("S1", lambda: refused("conflict", "put")),
}


@pytest.mark.parametrize(("rule", "calls"), LIES.values(), ids=LIES.keys())
def test_a_lie_is_found(rule: str, calls: Callable[[], Sequence[Call]]) -> None:
    with pytest.raises(AssertionError, match=rf"^{rule}\b"):
        check_told(state(ROWS), calls())


SAME = {"digest": "digest of one"}
REFERRING = (
    a_row("a", 1, "one", "put", "w"),
    a_row("a", 2, "two", "metadata", "w") | SAME,
    a_row("a", 3, "three", "put", "w"),
    a_row("a", 4, "four", "restore", "w") | SAME | {"source": "a@1"},
    a_row("b", 1, "five", "copy", "w") | SAME | {"source": "a@4"},
)
REFERRED = (
    Call("1", "w", "put", "a", digest="digest of one", began=10, ended=20, outcome="made", op="one", made=1),
    Call("2", "w", "metadata", "a", version=1, began=30, ended=40, outcome="made", op="two", made=2),
    Call("3", "w", "put", "a", digest="digest of three", began=50, ended=60, outcome="made", op="three", made=3),
    Call("4", "w", "restore", "a", began=70, ended=80, outcome="made", op="four", made=4, origin="a@1"),
    Call("5", "w", "copy", "b", "a", True, began=90, ended=99, outcome="made", op="five", made=1, origin="a@4"),
)


def test_the_truth_of_what_refers_to_other_content_passes() -> None:
    check_told(state(REFERRING), REFERRED)


REFERENCES: dict[str, tuple[str, int, dict[str, Any], dict[str, Any]]] = {
    "metadata with other content": ("S1", 1, {"digest": "another"}, {}),
    "metadata of what was deleted": ("S8", 0, {"kind": "delete", "digest": ""}, {"verb": "delete", "digest": ""}),
    "a restore with other content": ("S1", 3, {"digest": "another"}, {}),
    "a restore of another version": ("S1", 3, {}, {"origin": "a@3"}),
    "a restore of another file": ("S12", 3, {}, {"origin": "b@1"}),
    "a copy with other content": ("S1", 4, {"digest": "another"}, {}),
    "a copy of another file": ("S12", 4, {}, {"origin": "b@1"}),
    "a copy of what was replaced": ("S7", 4, {}, {"origin": "a@2"}),
    "a copy that did not find what was there": ("S2", 4, {}, {"outcome": "not-found"}),
}


@pytest.mark.parametrize(("rule", "which", "row", "call"), REFERENCES.values(), ids=REFERENCES.keys())
def test_a_lie_about_a_reference_is_found(rule: str, which: int, row: dict[str, Any], call: dict[str, Any]) -> None:
    rows, calls = list(REFERRING), list(REFERRED)
    rows[which], calls[which] = rows[which] | row, replace(calls[which], **call)
    with pytest.raises(AssertionError, match=rf"^{rule}\b"):
        check_told(state(rows), calls)
