"""Every invariant fails where it is violated: each gets a state, or what a test could have seen, that violates it."""

import asyncio
import inspect
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from catalog import Create, IfMatch, IfVersion, Mode, Overwrite
from catalog.columns import parse_file
from catalog.entities import FileVersion
from catalog.rows import Entity
from catalog.token import Token
from tests.faults.observer import Bytes, State
from tests.faults.scenarios import FAR
from tests.faults.world import World
from tests.harness import invariants
from tests.harness.invariants import (
    AT_ANY_MOMENT,
    ONCE_SETTLED,
    Running,
    check,
    check_grown,
    check_settled,
    no_session_is_left,
    no_task_is_left,
    no_temporary_file_is_left,
    no_thread_is_left,
    s1_acknowledged_is_there,
    s2_failures_left_nothing,
    s3_resolve_tells_the_truth,
    s6_second_recovery_writes_nothing,
    s8_precondition_held,
    s11_history_is_append_only,
    s13_rejected_input_sends_nothing,
    s15_no_secret_leaves,
)

Edit = Callable[[State], State]


@pytest.fixture
async def healthy() -> State:
    """A catalog in which a bit of everything happened: `a` of three versions, a move to FAR, a copy, a request."""
    async with World() as world:
        volume = await world.client().create_volume("v", shards=2, change_log=True)
        await volume.create_index("size")
        for content in (b"1", b"2", b"3"):
            await volume.put("a", content, request_id=content.decode())
        await volume.copy("a", "copy")
        await volume.put("b", b"gone")
        await volume.delete("b")
        await volume.put("from", b"moved")
        await volume.move("from", FAR)
        return await world.look()


def keys(state: State, letter: str, path: str, version: int | None = None) -> list[tuple[str, str]]:
    """The keys of rows of a kind and path, and of one version."""
    return [
        key
        for key, row in state.rows.items()
        if key[0] != "~" and key[1][0] == letter and row["path"] == path and version in (None, row["version"])
    ]


def without(letter: str, path: str, version: int | None = None) -> Edit:
    def edit(state: State) -> State:
        gone = keys(state, letter, path, version)
        assert gone
        return replace(state, rows={key: row for key, row in state.rows.items() if key not in gone})

    return edit


def changed(letter: str, path: str, version: int, **values: object) -> Edit:
    def edit(state: State) -> State:
        (key,) = keys(state, letter, path, version)
        return replace(state, rows={**state.rows, key: {**state.rows[key], **values}})

    return edit


def with_row(row: str, **values: object) -> Edit:
    def edit(state: State) -> State:
        ((key, _),) = keys(state, "h", "copy", 1)
        return replace(state, rows={**state.rows, (key, row): values})

    return edit


def blobs(edit: Callable[[str, Bytes], Bytes | None]) -> Edit:
    def edited(state: State) -> State:
        found: Mapping[str, Bytes | None] = {name: edit(name, blob) for name, blob in state.blobs.items()}
        return replace(state, blobs={name: blob for name, blob in found.items() if blob})

    return edited


def both(*edits: Edit) -> Edit:
    def edit(state: State) -> State:
        for each in edits:
            state = each(state)
        return state

    return edit


def with_volume(*, gone: bool) -> Edit:
    """The volume is half deleted; or it is gone, though there are files in it."""

    def edit(state: State) -> State:
        key, values = next((key, values) for key, values in state.rows.items() if key[0] == "~" and key[1][0] == "v")
        others = {each: row for each, row in state.rows.items() if each != key}
        changed = {("~", "d" + values["epoch"]): values} if gone else {key: {**values, "state": "closing"}}
        return replace(state, rows=others | changed)

    return edit


def with_orphan(state: State) -> State:
    return replace(state, blobs={**state.blobs, "v/.versions/orphan": Bytes("sha256:", 0, {"op": "x"})})


VIOLATED: Mapping[str, Edit] = {
    "s4_content_is_what_was_written": blobs(lambda _, blob: replace(blob, digest="sha256:other")),
    "s5_content_is_there": blobs(lambda name, blob: None if "/a~" in name else blob),
    "s5_content_is_that_of_one_put": blobs(lambda _, blob: replace(blob, metadata={"op": "another"})),
    "s7_versions_are_gapless": without("v", "a", 2),
    "s7_head_is_the_last_version": changed("h", "a", 3, digest="sha256:other"),
    "s7_labels_rise": changed("v", "a", 2, created=0),
    "s9_no_op_made_two_versions": lambda state: changed("v", "a", 2, op=state.ops["a"][0])(state),
    "s9_no_request_made_two_versions": changed("v", "a", 2, request_id="1"),
    "s10_head_and_version_are_one_transaction": without("h", "a"),
    "s10_request_and_version_are_one_transaction": without("q", "a", 2),
    "s10_claim_and_intent_are_one_transaction": changed("h", "a", 3, moving="op", moving_to="x"),
    "s10_change_and_version_are_one_transaction": without("c", "a", 2),
    "s10_heads_and_index_rows_are_one_transaction": without("x", "a"),
    "s10_an_index_that_is_ready_has_every_file": both(without("x", "a"), changed("h", "a", 3, indexed="")),
    "s12_a_move_can_be_resumed": without("v", "from", 2),
    "s12_a_move_that_is_over_claims_nothing": lambda state: both(
        changed("h", "a", 3, moving=state.ops["a"][2], moving_to="x"),
        with_row("ix", path="a", op=state.ops["a"][2], target="x", state="open"),
    )(state),
    "s1_a_volume_that_is_gone_has_no_file": with_volume(gone=True),
    "no_volume_is_half_deleted": with_volume(gone=False),
    "no_open_intent_is_left": with_row("ix", path="a", op="x", state="open"),
    "no_claim_is_left": changed("h", "a", 3, moving="op", moving_to="x"),
    "no_orphan_is_left": with_orphan,
}


def test_a_healthy_state_passes(healthy: State) -> None:
    check_settled(healthy)
    check_grown(healthy, healthy)


@pytest.mark.parametrize("invariant", [*AT_ANY_MOMENT, *ONCE_SETTLED], ids=lambda each: each.__name__)
def test_what_violates_an_invariant_of_states_is_found(invariant: Callable[[State], None], healthy: State) -> None:
    broken = VIOLATED[invariant.__name__](healthy)
    with pytest.raises(AssertionError):
        invariant(broken)
    with pytest.raises(AssertionError):
        (check if invariant in AT_ANY_MOMENT else check_settled)(broken)


def test_each_invariant_has_its_number_in_its_message(healthy: State) -> None:
    for invariant in AT_ANY_MOMENT:
        with pytest.raises(AssertionError) as caught:
            invariant(VIOLATED[invariant.__name__](healthy))
        assert str(caught.value).startswith(invariant.__name__.partition("_")[0].upper())


def version(state: State, path: str, number: int) -> FileVersion:
    return parse_file("v", Entity("p", "v", state.histories[path][number - 1], "e", 0))


def test_s1_a_lost_version_is_found(healthy: State) -> None:
    file = version(healthy, "a", 3)
    s1_acknowledged_is_there(healthy, [file])
    with pytest.raises(AssertionError, match="S1"):
        s1_acknowledged_is_there(without("v", "a", 3)(healthy), [file])
    with pytest.raises(AssertionError, match="S1"):
        s1_acknowledged_is_there(healthy, [replace(file, digest="sha256:other")])


def test_s2_a_failure_that_took_effect_is_found(healthy: State) -> None:
    before, op = without("v", "a", 3)(healthy), healthy.ops["a"][2]
    s2_failures_left_nothing(before, healthy, {op})
    with pytest.raises(AssertionError, match="S2"):
        s2_failures_left_nothing(before, healthy, set())
    with pytest.raises(AssertionError, match="S1"):
        s2_failures_left_nothing(before, before, {op})


def test_s3_a_lie_of_resolve_is_found(healthy: State) -> None:
    file = version(healthy, "a", 3)
    token = str(Token("v", "0" * 26, "a", file.etag, 0, "put"))
    s3_resolve_tells_the_truth(healthy, token, [file, file])
    for answers in ([None, None], [file, None]):
        with pytest.raises(AssertionError, match="S3"):
            s3_resolve_tells_the_truth(healthy, token, answers)
    with pytest.raises(AssertionError, match="S3"):
        s3_resolve_tells_the_truth(without("v", "a", 3)(healthy), token, [file, file])


def test_s6_a_recovery_that_never_ends_is_found(healthy: State) -> None:
    s6_second_recovery_writes_nothing(healthy, healthy, ["table.mark"])
    with pytest.raises(AssertionError, match="S6"):
        s6_second_recovery_writes_nothing(healthy, healthy, ["table.submit"])
    with pytest.raises(AssertionError, match="S6"):
        s6_second_recovery_writes_nothing(healthy, with_orphan(healthy), [])


@pytest.mark.parametrize(
    ("mode", "holds"),
    [(Overwrite(), True), (Create(), False), (IfVersion(2), True), (IfVersion(1), False), (IfMatch("x"), False)],
)
def test_s8_a_second_winner_is_found(mode: Mode, holds: bool, healthy: State) -> None:
    file = version(healthy, "a", 3)
    if holds:
        s8_precondition_held(healthy, file, mode)
        return
    with pytest.raises(AssertionError, match="S8"):
        s8_precondition_held(healthy, file, mode)


def test_s8_what_followed_nothing_followed_no_version(healthy: State) -> None:
    file = version(healthy, "a", 1)
    s8_precondition_held(healthy, file, Create())
    for mode in (IfVersion(1), IfMatch(file.etag)):
        with pytest.raises(AssertionError, match="S8"):
            s8_precondition_held(healthy, file, mode)


def test_s11_a_changed_version_is_found(healthy: State) -> None:
    for edit in (changed("v", "a", 1, size=7), without("v", "a", 1)):
        with pytest.raises(AssertionError, match="S11"):
            s11_history_is_append_only(healthy, edit(healthy))


def test_s13_a_request_is_found() -> None:
    s13_rejected_input_sends_nothing(["table.get"], ["table.get"])
    with pytest.raises(AssertionError, match="S13"):
        s13_rejected_input_sends_nothing(["table.get"], ["table.get", "table.submit"])


def test_s15_a_secret_is_found() -> None:
    s15_no_secret_leaves(["harmless"], ["canary"])
    with pytest.raises(AssertionError, match="S15"):
        s15_no_secret_leaves(["harmless", "sig=canary&x"], ["canary"])


async def test_a_task_that_is_left_is_found() -> None:
    before = Running()
    no_task_is_left(before)
    task = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(AssertionError, match="tasks are left"):
        no_task_is_left(before)
    task.cancel()
    await asyncio.wait([task])
    no_task_is_left(before)


async def test_a_thread_that_is_left_is_found() -> None:
    before, end = Running(), threading.Event()
    thread = threading.Thread(target=end.wait, name="blobcat_0")
    thread.start()
    try:
        with pytest.raises(AssertionError, match="threads are left"):
            no_thread_is_left(before)
    finally:
        end.set()
        thread.join()
    no_thread_is_left(before)


async def test_a_session_that_is_left_is_found() -> None:
    no_session_is_left()
    async with aiohttp.ClientSession():
        with pytest.raises(AssertionError, match="sessions are left"):
            no_session_is_left()
    no_session_is_left()


def test_a_temporary_file_that_is_left_is_found(tmp_path: Path) -> None:
    no_temporary_file_is_left(tmp_path)
    (tmp_path / "staging" / "session").mkdir(parents=True)
    for name in ("x.part", "staging/session/1"):
        (tmp_path / name).touch()
        with pytest.raises(AssertionError, match="temporary files are left"):
            no_temporary_file_is_left(tmp_path)
        (tmp_path / name).unlink()


def test_every_invariant_is_seen_failing_here() -> None:
    """By name: in the table, or in a test of its own above."""
    here = Path(__file__).read_text()
    named = {name for name, _ in inspect.getmembers(invariants, inspect.isfunction)}
    all_of_them = {name for name in named if re.match(r"s\d+_|no_", name)}
    assert {name for name in all_of_them if here.count(name) < 2 and name not in VIOLATED} == set()
    numbers = {int(name[1:].partition("_")[0]) for name in all_of_them if name[0] == "s"}
    assert numbers == {*range(1, 14), 15}
