"""Whether a catalog is what its callers were told: calls on one side, the raw rows on the other.

What must be true of the rows by themselves is the observer's business; here the two are compared.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar, cast

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

T = TypeVar("T")
Histories = Mapping[str, Sequence[Values]]
NO_TIME = datetime.fromtimestamp(0, UTC)


def check_told(state: State, calls: Sequence[Call]) -> None:
    """The rows are what was told, and the refusals were true, too, at some moment of each call."""
    check_truth(state, calls)
    histories = state.histories
    check_history([as_change(call, histories) for call in calls], histories)


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
    """What was acknowledged, with the content that it must have: its own, or that of the version it refers to."""
    digest, (path, _, version) = call.digest, call.origin.rpartition("@")
    if call.verb in ("move", "copy", "restore"):
        assert path == (call.source or call.path), f"S12: {call} took another file"
        digest = histories[path][int(version) - 1]["digest"]
    elif call.verb == "metadata":
        digest = histories[call.path][call.made - 2]["digest"]
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
    digests = {row["digest"] for row in state.of("v")}
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in state.of("v"):
        kinds[row["path"], row["op"]].append(row["kind"])
    for call in by_op.values():
        _check_made(histories, call)
        _check_precondition(histories, call)
        if call.source and call.verb != "copy":
            assert kinds[call.source, call.op] == ["delete"], f"S12: {call} did not end its source"
    for call in calls:
        if call.outcome in DEFINITE and call.digest:
            assert call.digest not in digests, f"S2: {call} failed, and is there"
        if call.outcome == "conflict" and call.version:
            _check_conflict(histories, call, by_op)
    _check_writers(state, calls)
    for path, made in _grouped(by_op.values(), lambda call: call.path).items():
        _check_order(path, made)


def _grouped(them: Iterable[T], by: Callable[[T], str]) -> Mapping[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for each in them:
        found[by(each)].append(each)
    return found


def _check_made(histories: Histories, call: Call) -> None:
    assert len(histories.get(call.path, [])) >= call.made, f"S1: {call} is not there"
    row = histories[call.path][call.made - 1]
    assert (row["op"], row["kind"]) == (call.op, call.verb), f"S1: {call} is not there"
    assert not call.digest or row["digest"] == call.digest, f"S4: {call} has other content"


def _check_precondition(histories: Histories, call: Call) -> None:
    before = histories[call.path][max(call.made - 2, 0) : call.made - 1]
    if call.create:
        assert not before or before[-1]["kind"] == "delete", f"S8: {call} made what was there"
    if call.verb == "metadata":
        assert before, f"S8: {call} described nothing"
        assert before[-1]["kind"] != "delete", f"S8: {call} described what was deleted"
    if call.version:
        assert call.made == call.version + 1, f"S8: {call} was made on another version"


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


def _check_writers(state: State, calls: Sequence[Call]) -> None:
    """Every version is a call that was acknowledged, or the one during which its process was killed."""
    by_actor = _grouped(calls, lambda call: call.actor)
    by_op = _grouped(state.of("v"), lambda row: str(row["op"]))
    for actor, rows in _grouped(state.of("v"), lambda row: str(row["writer"])).items():
        told = {call.op for call in by_actor.get(actor, ()) if call.outcome == "made"}
        cut_off = [call for call in by_actor.get(actor, ()) if not call.outcome]
        untold = {row["op"] for row in rows} - told
        assert len(untold) <= len(cut_off), f"S2: {actor} made more than it was told: {untold}, {cut_off}"
        assert len(cut_off) <= 1, f"{actor} made one call at a time: {cut_off}"
        for op in untold:
            places = {row["path"] for row in by_op[op]}
            assert places <= {cut_off[0].path, cut_off[0].source}, f"S2: {cut_off[0]} changed {places}"


def _check_order(path: str, made: Sequence[Call]) -> None:
    """What ended before another began has the lower version."""
    latest = 0
    for call in sorted(made, key=lambda call: call.made):
        assert call.ended >= latest, f"S7: versions of {path} are out of order at {call}"
        latest = max(latest, call.began)
