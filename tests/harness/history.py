"""Whether what callers were told, and when, is what some sequence of their calls would have told them. Pure.

The versions of a path are the order of its changes, so there is nothing to search: a history is right if every version
has a call that made it (S2) as it was acknowledged (S1), no precondition has two winners (S8), and no call ended before
another began that stands earlier in that order (S7). What a call read, a refusal too, is a version that was current at
some moment between its start and its end. A call whose outcome is unknown may have made a version or not, from its
start on until for ever, or until its token was resolved.

Times are numbers of which only the order counts. Each put and each set_metadata has content of its own.

It takes hardly longer than reading the calls: minutes of many processes are to be judged in seconds. So calls are found
by their path, versions by what is asked of them, and the moments of versions, which rise with them, by bisection.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from math import inf
from typing import Any

from catalog import CatalogError, ConflictError, Create, FileVersion, IfMatch, IfVersion, Mode, NotFoundError, Overwrite
from catalog.entities import Kind

Rows = Sequence[Mapping[str, Any]]
"""The versions of a path, oldest first, as columns."""
Runs = Sequence[Sequence[int]]
"""Some versions of a path, as lists that rise; 0 is that there was none yet."""
NEVER = inf


@dataclass(frozen=True, slots=True)
class Change:
    """A call that changes a path, or would."""

    actor: str
    kind: Kind
    path: str
    start: float
    end: float
    outcome: FileVersion | CatalogError | None
    """None while it is unknown; what `resolve` said stands in its place."""
    mode: Mode = Overwrite()
    digest: str = ""
    """Of what was put."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What a call saw of a path: a version, or content, or nothing there."""

    actor: str
    path: str
    start: float
    end: float
    version: int | None = None
    digest: str | None = None


Call = Change | Look


@dataclass(slots=True)
class _Span:
    """When a version may have been written: after `start`, before `end`."""

    start: float = -inf
    end: float = -inf
    looks: list[tuple[float, float]] = field(default_factory=list)


class _Path:
    """The versions of a path, by what can be asked of them."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.live = [version for version in range(len(rows) + 1) if _live(rows, version)]
        self.nothing = [version for version in range(len(rows) + 1) if not _live(rows, version)]
        self.by_digest: dict[str, list[int]] = defaultdict(list)
        self.by_op: dict[str, list[int]] = defaultdict(list)
        for version in self.live:
            self.by_digest[rows[version - 1]["digest"]].append(version)
            self.by_op[rows[version - 1]["op"]].append(version)

    def at(self, version: int) -> Runs:
        """This one, if there is such a version."""
        return [[version]] if 0 <= version <= len(self.rows) else []

    def refusing(self, mode: Mode) -> Runs:
        """The versions of which a condition does not hold."""
        match mode:
            case Create():
                return [self.live]
            case IfVersion(version):
                return self._but([version] if _live(self.rows, version) else [])
            case IfMatch(etag):
                return self._but(self.by_op.get(etag, []))
        return []

    def _but(self, versions: Sequence[int]) -> Runs:
        ends = [-1, *versions, len(self.rows) + 1]
        return [range(one + 1, other) for one, other in pairwise(ends)]


def check_history(calls: Iterable[Call], after: Mapping[str, Rows], given: Mapping[str, int] | None = None) -> None:
    """`after`: the versions of each path in the end. `given`: how many of them there were before. AssertionError."""
    calls = list(calls)
    changes = [call for call in calls if isinstance(call, Change)]
    _check_acknowledged(changes, after)
    makers = _makers(changes, after, given or {})
    speaking = _by_path(calls)
    for path in sorted({*after, *speaking}):
        known = _Path(after.get(path, ()))
        spans = [_Span(), *(_span(makers.get((path, row["version"]))) for row in known.rows)]
        _check_looks(path, spans, [each for call in speaking.get(path, ()) for each in _seen(call, path, known)])


def _by_path(calls: Iterable[Call]) -> Mapping[str, Sequence[Call]]:
    """The calls that say something of a path, in their order."""
    found: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        for path in {call.path, call.source} if isinstance(call, Change) and call.source else {call.path}:
            found[path].append(call)
    return found


def _check_looks(path: str, spans: Sequence[_Span], seen: Sequence[tuple[Call, Runs]]) -> None:
    """S7: every call saw one of these versions, and there is an order in which it could."""
    for look, runs in seen:
        assert any(runs), f"S1, S4: {look} saw what never was there"
        if sum(map(len, runs)) == 1:
            spans[next(chain.from_iterable(runs))].looks.append((look.start, look.end))
    _check_order(path, spans)
    begun = list(accumulate((span.start for span in spans), max))
    replaced = [*accumulate((span.end for span in reversed(spans[1:])), min, initial=NEVER)][::-1]
    for look, runs in seen:
        first, behind = bisect_left(replaced, look.start), bisect_right(begun, look.end)
        current = any(bisect_left(run, first) < bisect_left(run, behind) for run in runs)
        assert current, f"S7: {look} saw what was not there at that time"


def _check_acknowledged(changes: Sequence[Change], after: Mapping[str, Rows]) -> None:
    for change in changes:
        if isinstance(file := change.outcome, FileVersion):
            row = next(iter(after.get(file.path, ())[file.version - 1 : file.version]), {})
            found = (row.get("op"), row.get("digest"), row.get("kind"))
            assert found == (file.etag, file.digest, file.kind), f"S1: {change} was acknowledged, and is not there"


def _makers(
    changes: Sequence[Change], after: Mapping[str, Rows], given: Mapping[str, int]
) -> dict[tuple[str, int], list[Change]]:
    """Who may have made each version. One of them did; whom it was acknowledged to comes first."""
    moves = {row["op"]: (path, row["version"]) for path, rows in after.items() for row in rows if row["kind"] == "move"}
    unused = _unknown(changes)
    told_of: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if isinstance(change.outcome, FileVersion):
            told_of[change.outcome.etag].append(change)
    makers: dict[tuple[str, int], list[Change]] = {}
    for path, rows in after.items():
        for row in rows[given.get(path, 0) :]:
            if row["kind"] == "delete" and row["op"] in moves:
                continue
            name = f"version {row['version']} of {path}"
            told = told_of.get(row["op"], [])
            alike = unused[path, row["kind"], row["digest"] if row["kind"] == "put" else ""]
            maybe = [each for each in alike if str(row.get("source", "")).startswith(each.source)]
            assert told or maybe, f"S2: {name} was made by nobody, or by a call that failed"
            if not told:
                alike.remove(maybe[0])
            _check_winner(name, rows, row["version"], told or (maybe if len(maybe) == 1 else []))
            makers[path, row["version"]] = [*told, *maybe]
    for path, rows in after.items():  # a move ends its source, and has one maker
        for row in rows:
            if row["kind"] == "delete" and row["op"] in moves and moves[row["op"]] in makers:
                makers[path, row["version"]] = makers[moves[row["op"]]]
    return makers


def _unknown(changes: Iterable[Change]) -> dict[tuple[str, str, str], list[Change]]:
    """The calls of which nobody knows whether they were applied, by path, kind and the digest of what was put."""
    found: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for change in sorted(changes, key=lambda each: each.start):
        if change.outcome is None:
            found[change.path, change.kind, change.digest if change.kind == "put" else ""].append(change)
    return found


def _check_winner(name: str, rows: Rows, version: int, told: Sequence[Change]) -> None:
    """S8: who asked for a condition is the only one to be told of a version, which follows what was asked for."""
    strict = [each for each in told if each.mode != Overwrite() or each.kind in ("delete", "move")]
    assert not strict or len(told) == 1, f"S8: {name} has several winners: {told}"
    for each in strict:
        assert _allows(each.mode, rows, version - 1), f"S8: {name} was made by {each}"
        assert each.kind != "delete" or _live(rows, version - 1), f"S8: {name} deletes what was deleted"


def _live(rows: Rows, version: int) -> bool:
    return 0 < version <= len(rows) and rows[version - 1]["kind"] != "delete"


def _allows(mode: Mode, rows: Rows, version: int) -> bool:
    """Whether a condition holds of a version; 0 is none."""
    match mode:
        case Create():
            return not _live(rows, version)
        case IfVersion(expected):
            return _live(rows, version) and version == expected
        case IfMatch(etag):
            return _live(rows, version) and rows[version - 1]["op"] == etag
    return True


def _seen(call: Call, path: str, known: _Path) -> Iterator[tuple[Call, Runs]]:
    """What a call says of a path: the versions of which one was current while it ran."""
    match call:
        case Look(path=at, version=int(version)) if at == path:
            yield call, known.at(version)
        case Look(path=at, digest=str(digest)) if at == path:
            yield call, [known.by_digest.get(digest, [])]
        case Look(path=at) if at == path:
            yield call, [known.nothing]
        case Change(path=at, outcome=FileVersion(version=version)) if at == path:
            yield call, known.at(version)
        case Change(path=at, source="", outcome=NotFoundError(), kind="delete" | "metadata") if at == path:
            yield call, [known.nothing]
        case Change(source=at, outcome=NotFoundError(), kind="copy" | "move") if at == path:
            yield call, [known.nothing]
        case Change(path=at, outcome=ConflictError(kind=why)) if at == path and why != "conflict.request":
            yield call, known.refusing(call.mode)
        case Change(source=at, kind="copy" | "move", outcome=FileVersion(source=str(source))) if at == path:
            yield call, known.at(int(source.rpartition("@")[2]))


def _span(makers: Collection[Change] | None) -> _Span:
    """Versions that were there before have no maker."""
    if makers is None:
        return _Span()
    ends = [each.end for each in makers if each.outcome is not None]
    return _Span(min(each.start for each in makers), min(ends, default=NEVER))


def _check_order(path: str, spans: Sequence[_Span]) -> None:
    """S7: nothing ended before something began that stands earlier in the order of versions."""
    begun = -inf
    for version, span in enumerate(spans):
        assert begun <= span.end or span.start == -inf, f"S7: version {version} of {path} was there too early"
        begun = max(begun, span.start)
        for start, end in span.looks:
            assert begun <= end, (
                f"S7: version {version} of {path} was seen before it could be there, from {start} to {end}"
            )
        begun = max([begun, *(start for start, _ in span.looks)])
