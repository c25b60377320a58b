"""README's invariants, one function each, named by number. Each raises AssertionError where it is violated.

S1–S4, S6–S13, S15 and the liveness list are here, as well as what S5 says of content at rest; S5 under way and S14 are
for those who purge and rebuild. Functions that take a `State` say what must hold of raw rows and blobs; the others take
what a test has seen: answers, requests, texts, tasks. `check`, `check_settled` and the like compose them for a moment.
"""

import asyncio
import gc
import json
import math
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from catalog import Create, FileVersion, IfMatch, IfVersion, Mode
from catalog.token import Token
from tests.faults.observer import OURS, State, Values

CLAIM = ("moving", "moving_to", "moving_by")
ADDED = ("learned_digest", "purging", "purged")
MARKS = frozenset({"table.mark"})
"""The marker that asks the service for its time is the one write that changes nothing."""


# --- Compositions ----------------------------------------------------------------------------------------------------


def check(state: State) -> None:
    """What is true at any moment, whatever happened before."""
    for invariant in AT_ANY_MOMENT:
        invariant(state)


def check_settled(state: State) -> None:
    """What is true once recovery went through: nothing is half-done, nothing is left over."""
    check(state)
    for invariant in ONCE_SETTLED:
        invariant(state)


def check_grown(before: State, after: State) -> None:
    """What is true of two moments, whatever happened between them."""
    s11_history_is_append_only(before, after)


def check_said(before: State, after: State, said: Iterable[object]) -> None:
    """What is true after calls that returned or raised these."""
    check(after)
    check_grown(before, after)
    s1_acknowledged_is_there(after, said)


# --- Of rows and blobs -----------------------------------------------------------------------------------------------


def s4_content_is_what_was_written(state: State) -> None:
    """S4: the bytes that a version names have its digest and size."""
    for row in _with_content(state):
        if blob := state.blobs.get(row["blob"]):
            known = row["digest"] or row.get("learned_digest", blob.digest)  # of what is adopted: once read
            assert (blob.digest, blob.size) == (known, row["size"]), f"S4: {_name(row)} has other bytes"


def s5_content_is_there(state: State) -> None:
    """S5: what a version refers to is there, unless it is purged; and nobody purges what is current."""
    for row in _with_content(state):
        assert row["blob"] in state.blobs or "purging" in row, f"S5: the content of {_name(row)} is gone"
    for history in state.histories.values():
        assert "purging" not in history[-1], f"S5: {_name(history[-1])} is current, and being purged"


def s5_content_is_that_of_one_put(state: State) -> None:
    """S5: a blob carries the id of the one put that wrote it; so nobody takes it for another's, and deletes it."""
    writers: dict[str, set[str]] = defaultdict(set)
    for row in state.of("v"):
        if row["kind"] in ("put", "adopt"):  # what was rebuilt keeps its op
            writers[row["blob"]].add(row["op"])
    for row in _with_content(state):
        if OURS in row["blob"] and (blob := state.blobs.get(row["blob"])):
            assert writers[row["blob"]] == {blob.metadata["op"]}, f"S5: the content of {_name(row)} is not one put's"


def s7_versions_are_gapless(state: State) -> None:
    """S7: the versions of a path are 1…n."""
    for path, history in state.histories.items():
        found = [row["version"] for row in history]
        assert found == list(range(1, len(history) + 1)), f"S7: {path} has versions {found}"


def s7_head_is_the_last_version(state: State) -> None:
    """S7: the head is row n."""
    heads = _heads(state)
    for path, history in state.histories.items():
        if path in heads:
            head = {name: value for name, value in heads[path].items() if name not in (*CLAIM, "indexed")}
            assert head == history[-1], f"S7: the head of {path} is not its last version"


def s7_labels_rise(state: State) -> None:
    """S7: each version of a path is labelled later than the one before."""
    for path, history in state.histories.items():
        created = [row["created"] for row in history]
        assert created == sorted(set(created)), f"S7: the times of {path} do not rise"


def s9_no_op_made_two_versions(state: State) -> None:
    """S9: whatever is sent twice, an op makes one version of a path."""
    for path, ops in state.ops.items():
        assert len(set(ops)) == len(ops), f"S9: an op made two versions of {path}"


def s9_no_request_made_two_versions(state: State) -> None:
    """S9: a request of the caller's own id makes one version of a path."""
    made = [(row["path"], row["request_id"]) for row in state.of("v") if "request_id" in row]
    assert len(set(made)) == len(made), "S9: a request made two versions"


def s10_head_and_version_are_one_transaction(state: State) -> None:
    """S10: there is no head without versions, and no version without a head."""
    assert _heads(state).keys() == state.histories.keys(), "S10: a head and its version row are one transaction"


def s10_request_and_version_are_one_transaction(state: State) -> None:
    """S10: a version that a request made, and the row that says so."""
    made = sorted((row["path"], row["version"], row["op"]) for row in state.of("v") if "request_id" in row)
    named = sorted((row["path"], row["version"], row["op"]) for row in state.of("q"))
    assert made == named, "S10: a request and its version are one transaction"


def s10_heads_and_index_rows_are_one_transaction(state: State) -> None:
    """S10: each index that a head is marked with has one row of it, with the same columns; and no other rows."""
    found = sorted(
        (key, row.split(" ")[0][1:], values["path"], _without(values))
        for (key, row), values in state.rows.items()
        if key != "~" and row[0] == "x"
    )
    wanted = sorted(
        (key, id_, values["path"], _without(values, "indexed"))
        for (key, row), values in state.rows.items()
        if key != "~" and row[0] == "h"
        for id_ in values.get("indexed", "").split()
    )
    assert found == wanted, "S10: a head and its rows in indexes are one transaction"


def s10_an_index_that_is_ready_has_every_file(state: State) -> None:
    """S10: and one that was dropped has none."""
    for (key, row), volume in state.rows.items():
        if key != "~" or row[0] != "v":
            continue
        indexes = {id_: at for id_, at, *_ in json.loads(volume.get("indexes", "[]"))}
        ready = {id_ for id_, at in indexes.items() if at == "ready"}
        for (partition, name), head in state.rows.items():
            if name[0] == "h" and partition.partition("~")[0] == volume["epoch"]:
                marks = set(head.get("indexed", "").split())
                assert marks <= indexes.keys(), f"S12: {head['path']} is in an index that nobody knows"
                assert head["kind"] == "delete" or ready <= marks, f"S10: {head['path']} is missing in an index"


def _without(values: Values, *names: str) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in values.items() if name not in names)


def s10_claim_and_intent_are_one_transaction(state: State) -> None:
    """S10: a claimed head, and the move's second intent beside it."""
    beside = {(row["path"], row["op"], row["target"]) for row in state.of("i") if "target" in row}
    assert state.claims == beside, "S10: a claim and the intent beside it are one transaction"


def s10_change_and_version_are_one_transaction(state: State) -> None:
    """S10: a version of a volume with a change log is in it, whole and once; and nothing but versions is."""
    since = {row["epoch"]: row["changes_since"] for row in state.volumes if "changes_since" in row}
    versions = [
        (
            row["created"] >= since.get(key.partition("~")[0], math.inf),
            _without(row, *ADDED),
        )
        for (key, name), row in state.rows.items()
        if key != "~" and name[0] == "v"
    ]
    changes = [_without(row) for row in state.of("c")]
    wrong = "S10: a change and its version are one transaction"
    assert all(changes.count(row) == 1 for logged, row in versions if logged), wrong
    assert all(row in [each for _, each in versions] for row in changes), wrong


def s12_a_move_can_be_resumed(state: State) -> None:
    """S12: whose target is there has its source ended, or claimed, so that anyone can end it."""
    histories, claims = state.histories, state.claims
    for row in state.of("v"):
        if row["kind"] == "move":
            source, _, version = row["source"].rpartition("@")
            end = histories.get(source, [])[int(version) :][:1]
            ended = bool(end) and (end[0]["op"], end[0]["kind"]) == (row["op"], "delete")
            claimed = (source, row["op"], row["path"]) in claims
            assert ended or claimed, f"S12: {source} was moved to {row['path']}, and lives on"


def s12_a_move_that_is_over_claims_nothing(state: State) -> None:
    """S12: a source is ended and released at once; who finds a claim need not ask whether it is an old one."""
    ops = state.ops
    for path, op, _ in state.claims:
        assert op not in ops.get(path, ()), f"S12: the move of {path} is over, and still claimed"


def s11_history_is_append_only(before: State, after: State) -> None:
    """S11: no version that was there is gone, or another; what is added to its row, stays."""
    for key, values in before.rows.items():
        if key[0] != "~" and key[1][0] == "v":
            now = after.rows.get(key, {})
            was = {name: value for name, value in values.items() if name not in ADDED}
            assert {name: value for name, value in now.items() if name not in ADDED} == was, (
                f"S11: {key[1]} was changed"
            )
            assert now.keys() >= values.keys(), f"S11: {key[1]} is no longer what was added to it"


def s1_a_volume_that_is_gone_has_no_file(state: State) -> None:
    """S1: a volume is deleted only without files, and nothing is written to it afterwards."""
    gone = {row[1:] for key, row in state.rows if key == "~" and row[0] == "d"}
    for (partition, row), values in state.rows.items():
        if row[0] == "h" and partition.partition("~")[0] in gone:
            assert values["kind"] == "delete", f"S1: {values['path']} is in a volume that is gone"


# --- Of answers and requests -----------------------------------------------------------------------------------------


def s1_acknowledged_is_there(state: State, said: Iterable[object]) -> None:
    """S1: every version that a call returned is there, as it was returned."""
    histories = state.histories
    for file in said:
        if isinstance(file, FileVersion):
            row = histories.get(file.path, [])[file.version - 1 :][:1]
            found = [(each["op"], each["digest"], each["kind"]) for each in row]
            assert found == [(file.etag, file.digest, file.kind)], f"S1: version {file.version} of {file.path} is lost"


def s2_failures_left_nothing(before: State, after: State, acknowledged: Collection[str], counted: int = 0) -> None:
    """S2: what was made is what was acknowledged, by op id, and so many more of which only the number is known."""
    made = after.made - before.made
    named = set(acknowledged) - before.made
    assert named <= made, f"S1: {named - made} were acknowledged, and are not there"
    assert len(made - named) == counted, f"S2: {made - named} were made, and not acknowledged"


def s3_resolve_tells_the_truth(state: State, token: str, answers: Sequence[FileVersion | None]) -> None:
    """S3: all answers about a token are the same, and what the rows say."""
    op = Token.parse(token)
    assert all(answer == answers[0] for answer in answers), f"S3: the answer changed: {answers}"
    made = op.op in state.ops.get(op.path, ())
    assert made == (answers[0] is not None), f"S3: {answers[0]} is not what became of {op.op}"


def s6_second_recovery_writes_nothing(once: State, twice: State, wrote: Iterable[str]) -> None:
    """S6: after one recovery, the next one finds nothing to do."""
    assert set(wrote) <= MARKS, f"S6: it wrote {sorted(wrote)}"
    assert once == twice, "S6: it changed something"


def s8_precondition_held(state: State, file: FileVersion, mode: Mode) -> None:
    """S8: a version that a conditional change made follows what the condition asks for; so no two follow the same."""
    history = state.histories[file.path]
    before = history[file.version - 2] if file.version > 1 else None
    live = before is not None and before["kind"] != "delete"
    match mode:
        case Create():
            assert not live, f"S8: {file.path} was there, and was created again"
        case IfVersion(version):
            assert live, f"S8: {file.path} was not there"
            assert file.version == version + 1, f"S8: {file.path}@{file.version} does not follow version {version}"
        case IfMatch(etag):
            assert before, f"S8: {file.path} was not there"
            assert live, f"S8: {file.path} was not there"
            assert before["op"] == etag, f"S8: {file.path}@{file.version} does not follow {etag}"


def s13_rejected_input_sends_nothing(sent_before: Sequence[str], sent: Sequence[str]) -> None:
    """S13: no request was sent since."""
    assert list(sent) == list(sent_before), f"S13: it sent {list(sent[len(sent_before) :])}"


def s15_no_secret_leaves(texts: Iterable[str], secrets: Collection[str]) -> None:
    """S15: no text that anyone could come to see holds a secret."""
    leaks = [text for text in texts if any(secret in text for secret in secrets)]
    assert not leaks, f"S15: {len(leaks)} texts hold a secret, first {leaks[0]!r}"


# --- Liveness --------------------------------------------------------------------------------------------------------


def no_open_intent_is_left(state: State) -> None:
    """Every change was settled."""
    assert not state.open_intents, f"open intents are left: {state.open_intents}"


def no_claim_is_left(state: State) -> None:
    """Every move was settled."""
    assert not state.claims, f"claimed heads are left: {state.claims}"


def no_volume_is_half_deleted(state: State) -> None:
    """Liveness: whoever began to delete a volume, it is gone or open."""
    states = {values.get("state", "open") for (key, row), values in state.rows.items() if key == "~" and row[0] == "v"}
    assert states <= {"open"}, f"a volume is {states}"


def no_orphan_is_left(state: State) -> None:
    """All content is named by a version."""
    assert not state.unreferenced, f"content is left that no version names: {state.unreferenced}"


def no_temporary_file_is_left(folder: Path) -> None:
    """Of downloads, and of the sessions of a local store."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    left = [f"{path}" for path in files if path.suffix == ".part" or path.parts[-3:-2] == ("staging",)]
    assert not left, f"temporary files are left: {left}"


@dataclass(frozen=True, slots=True)
class Running:
    """The tasks and threads of this process at some moment; made inside its loop."""

    tasks: Collection["asyncio.Task[Any]"] = field(default_factory=asyncio.all_tasks)
    threads: Collection[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))


def no_task_is_left(before: Running) -> None:
    """Every task that was started since has ended."""
    left = asyncio.all_tasks() - set(before.tasks) - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"


def no_thread_is_left(before: Running) -> None:
    """Every thread that a catalog started since has ended."""
    left = set(threading.enumerate()) - set(before.threads)
    ours = [thread.name for thread in left if thread.name.startswith(("blobcat", "sqlite", "local"))]
    assert not ours, f"threads are left: {ours}"


def no_session_is_left() -> None:
    """Every connection pool of this process is closed; those that nobody holds any more, too."""
    sessions = [each for each in gc.get_objects() if isinstance(each, aiohttp.ClientSession)]
    left = [each for each in sessions if not each.closed]
    assert not left, f"sessions are left: {left}"


AT_ANY_MOMENT = (
    s1_a_volume_that_is_gone_has_no_file,
    s4_content_is_what_was_written,
    s5_content_is_there,
    s5_content_is_that_of_one_put,
    s7_versions_are_gapless,
    s7_head_is_the_last_version,
    s7_labels_rise,
    s9_no_op_made_two_versions,
    s9_no_request_made_two_versions,
    s10_head_and_version_are_one_transaction,
    s10_request_and_version_are_one_transaction,
    s10_claim_and_intent_are_one_transaction,
    s10_change_and_version_are_one_transaction,
    s10_heads_and_index_rows_are_one_transaction,
    s10_an_index_that_is_ready_has_every_file,
    s12_a_move_can_be_resumed,
    s12_a_move_that_is_over_claims_nothing,
)
ONCE_SETTLED = (no_open_intent_is_left, no_claim_is_left, no_orphan_is_left, no_volume_is_half_deleted)


def _heads(state: State) -> Mapping[str, Values]:
    return {values["path"]: values for values in state.of("h")}


def _with_content(state: State) -> list[Values]:
    return [row for row in state.of("v") if row["kind"] != "delete"]


def _name(row: Values) -> str:
    return f"version {row['version']} of {row['path']}"
