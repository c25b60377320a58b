"""Whether a catalog is what its callers were told: calls on one side, the raw rows on the other.

What must be true of the rows by themselves is the observer's business; here the two are compared.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from catalog import (
    CatalogError,
    ConflictError,
    Create,
    FileVersion,
    IfVersion,
    Mode,
    NotFoundError,
    Overwrite,
    UnavailableError,
)
from catalog.entities import Kind
from tests.faults.observer import State, Values
from tests.harness.history import NEVER, Change, check_history
from tests.races.manifest import DEFINITE, Call

Histories = Mapping[str, Sequence[Values]]
NO_TIME = datetime.fromtimestamp(0, UTC)


def check_told(state: State, calls: Sequence[Call]) -> None:
    """The rows are what was told, and the refusals were true, too, at some moment of each call."""
    check_truth(state, calls)
    check_history([as_change(call, state.histories) for call in calls], state.histories)


def as_change(call: Call, histories: Histories) -> Change:
    """A call as the history checker knows it."""
    assert (call.verb, call.outcome) != ("put", "not-found"), f"S9: {call} needs nothing to be there"
    mode: Mode = Create() if call.create else IfVersion(call.version) if call.version else Overwrite()
    kind, end = cast("Kind", call.verb), float(call.ended) if call.outcome else NEVER
    outcome = _outcome(call, histories)
    return Change(call.actor, kind, call.path, call.began, end, outcome, mode, call.digest, call.source)


def _outcome(call: Call, histories: Histories) -> FileVersion | CatalogError | None:
    match call.outcome:
        case "":
            return None
        case "made":
            return _file(call, histories)
        case "conflict":
            return ConflictError("refused", kind=call.why or None)
        case "not-found":
            return NotFoundError("not there")
        case "unavailable":
            return UnavailableError("not applied")
    raise AssertionError(f"{call} was not resolved")


def _file(call: Call, histories: Histories) -> FileVersion:
    """What was acknowledged; a move has the content of what it moved."""
    digest = call.digest
    if call.verb == "move":
        path, _, version = call.origin.rpartition("@")
        assert path == call.source, f"S12: {call} moved another file"
        digest = histories[path][int(version) - 1]["digest"]
    return FileVersion(
        "v",
        call.path,
        call.made,
        cast("Kind", call.verb),
        call.op,
        size=0,
        digest=digest,
        md5=None,
        content_type="",
        metadata={},
        created=NO_TIME,
        modified=None,
        writer=call.actor,
        request_id=None,
        chain="",
        blob="",
        blob_etag="",
        blob_version=None,
        source=call.origin or None,
    )


def check_truth(state: State, calls: Sequence[Call]) -> None:
    """S1, S2, S7, S8 and S9 of a quiet catalog. Calls of an unknown outcome are told by their tokens, resolved."""
    histories = state.histories
    by_op = {call.op: call for call in calls if call.outcome == "made"}
    for call in by_op.values():
        _check_made(histories, call)
        _check_precondition(histories, call)
    for call in calls:
        if call.outcome in DEFINITE:
            _check_never(histories, call)
        if call.outcome == "conflict" and call.version:
            _check_conflict(histories, call, by_op)
    _check_writers(histories, calls)
    for path in histories:
        _check_order(path, [call for call in by_op.values() if call.path == path])


def _check_made(histories: Histories, call: Call) -> None:
    assert len(histories.get(call.path, [])) >= call.made, f"S1: {call} is not there"
    row = histories[call.path][call.made - 1]
    assert (row["op"], row["kind"]) == (call.op, call.verb), f"S1: {call} is not there"
    assert not call.digest or row["digest"] == call.digest, f"S4: {call} has other content"
    if call.source:
        ends = [end for end in histories[call.source] if end["op"] == call.op]
        assert [end["kind"] for end in ends] == ["delete"], f"S12: {call} did not end its source"


def _check_precondition(histories: Histories, call: Call) -> None:
    before = histories[call.path][: call.made - 1]
    if call.create:
        assert not before or before[-1]["kind"] == "delete", f"S8: {call} made what was there"
    if call.version:
        assert call.made == call.version + 1, f"S8: {call} was made on another version"


def _check_never(histories: Histories, call: Call) -> None:
    if call.digest:
        there = [row for rows in histories.values() for row in rows if row["digest"] == call.digest]
        assert not there, f"S2: {call} failed, and is there"


def _check_conflict(histories: Histories, call: Call, by_op: Mapping[str, Call]) -> None:
    """A conflict is false where the version was the current one from before the call until after it."""
    rows, version = histories.get(call.path, []), call.version or 0
    if len(rows) < version or rows[version - 1]["op"] not in by_op:
        return
    if rows[version - 1]["kind"] == "delete" or by_op[rows[version - 1]["op"]].ended > call.began:
        return
    after = by_op.get(rows[version]["op"]) if len(rows) > version else None
    overtaken = len(rows) > version and (after is None or after.began < call.ended)
    assert overtaken, f"S9: {call} was a conflict with nothing"


def _check_writers(histories: Histories, calls: Sequence[Call]) -> None:
    """Every version is a call that was acknowledged, or the one during which its process was killed."""
    made: dict[str, set[str]] = defaultdict(set)
    for rows in histories.values():
        for row in rows:
            made[row["writer"]].add(row["op"])
    for actor, ops in made.items():
        told = {call.op for call in calls if call.actor == actor and call.outcome == "made"}
        cut_off = [call for call in calls if call.actor == actor and not call.outcome]
        assert len(ops - told) <= len(cut_off), f"S2: {actor} made more than it was told: {ops - told}, {cut_off}"
        assert len(cut_off) <= 1, f"{actor} made one call at a time: {cut_off}"
        for op in ops - told:
            places = {path for path, rows in histories.items() if any(row["op"] == op for row in rows)}
            assert places <= {cut_off[0].path, cut_off[0].source}, f"S2: {cut_off[0]} changed {places}"


def _check_order(path: str, made: Sequence[Call]) -> None:
    """What ended before another began has the lower version."""
    latest = 0
    for call in sorted(made, key=lambda call: call.made):
        assert call.ended >= latest, f"S7: versions of {path} are out of order at {call}"
        latest = max(latest, call.began)
