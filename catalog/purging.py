"""Purging content: pure steps, as `protocol`. A blob goes; the rows of its versions stay, and say so.

Versions share blobs: copies, moves, restores and changes of metadata refer to the blob that is there, from any shard of
the volume, and no transaction spans two shards. So both sides raise a flag before they look:

    G1  per candidate   read its head: it must be past the candidate
    G2  per candidate   version row: live, or purging under another run → purging(run), If-Match
    G3  per shard       read the intents to the end: none that is open names the blob
        and then        read the version rows: none refers to the blob, but those that this run has flagged;
                        nor does a head whose own version row is lost, nor is there a row of a kind that is not known
    G4  blob            stat: does it carry the op id of the put that wrote it? then DELETE, If-Match      <- decides
    G5  per candidate   once the blob is proven gone, version row: purging → purged, If-Match

A copy inserts its intent, which names the blob, and only then reads its source, which must be live still. So either it
finds the source flagged, or G3 finds its intent; or the version that it made, which is why rows are read after intents.
What has no such second look (moves, changes of metadata) takes the head's own content, under the head's etag: G1 keeps
that from being purged, for a version that is not current never is again. The rules that a simpler version gets wrong:

- The flag is one way. A run that found a reference, or whose DELETE was refused or not answered, leaves it: that DELETE
  may be applied much later, and so may that of a run that was slower. Such a row stays readable until then, and only
  another run can do more. Whoever wants its content back copies the bytes.
- All candidates are flagged before anything is searched. One that is flagged meanwhile may have been copied, to where
  the search has been already.
- Intents before rows, in each shard: the other way round, a copy commits between the two, and is in neither.
- A flag of another run is a reference, too: that run was later than this one's search, and so may a copy have been
  that was let through before. A flag may be taken over, by compare-and-swap, but before the search only.
- Rows stay, and keep their op. A late copy of the put's W1 brings its intent back, and whoever aborts that looks for
  the version row before deleting the blob: copies may live on it.

The flags can be taken over in turns by two runs, so that both hold off; the next one succeeds. Many purges may share
one reading of a shard, as long as that begins after all of them have asked for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from .entities import FileVersion, Head, Intent, VersionRow
from .errors import CatalogError, IntegrityError, UnavailableError
from .messages import Absent, Answer, Done, Doubt, Expired, Failed, Foreign, Found, ReadHead, Refused, Stored

# --- Requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadVersion:
    """Read a version row."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Flag:
    """G2: purging under this run, If-Match."""

    row: VersionRow
    run: str


@dataclass(frozen=True, slots=True)
class SearchIntents:
    """G3: look for an intent of a shard that `fences` the blob, to the last. Answered by Reference or Absent."""

    shard: int
    blob: str


@dataclass(frozen=True, slots=True)
class SearchVersions:
    """G3: look for a version row of a shard that `refers` to the blob. Answered by Reference or Absent."""

    shard: int
    blob: str
    run: str


@dataclass(frozen=True, slots=True)
class StatBlob:
    """G4: ask whether the blob is there, and carries this op's id. Absent is proof: the container is there."""

    blob: str
    op: str


@dataclass(frozen=True, slots=True)
class DeleteBlob:
    """G4: delete the blob, If-Match. Absent is proof, as with a stat."""

    blob: str
    etag: str


@dataclass(frozen=True, slots=True)
class MarkPurged:
    """G5: purged, If-Match."""

    row: VersionRow


PurgeRequest = ReadHead | ReadVersion | Flag | SearchIntents | SearchVersions | StatBlob | DeleteBlob | MarkPurged

# --- Answers and results ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """Somebody needs the blob: a version, as `path@version`, or an op under way."""

    by: str


@dataclass(frozen=True, slots=True)
class Purged:
    """The content is gone, and all candidates say so."""


@dataclass(frozen=True, slots=True)
class Held:
    """The content stays: somebody needs it, or the service holds it. Candidates that were flagged stay so."""

    by: str
    why: str = ""
    """What holds it, and what to do about that, where the service has said so."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Time is up, or a request cannot succeed. The content may go yet; the next run goes on from there."""

    error: CatalogError


PurgeResult = Purged | Held | Unfinished


@dataclass(frozen=True, slots=True)
class Newer:
    """G1, where no head need be read: a newer version of the path was seen, so the head is past the candidate."""

    version: int


@dataclass(frozen=True, slots=True)
class Kept:
    """G4: the service deletes the blob under no etag, and says why."""

    why: str


Heard = Answer | Reference | Newer | Kept
"""What a purge may be told."""


def fences(intent: Intent, blob: str) -> bool:
    """Whether an op that is under way may still come to refer to the blob."""
    return intent.state == "open" and intent.blob == blob


def refers(row: VersionRow, blob: str, run: str) -> bool:
    """Whether a version needs the blob, or did when this run was looking elsewhere: what others have flagged counts."""
    return row.file.blob == blob and not row.purged and row.purging != run


# --- Steps -----------------------------------------------------------------------------------------------------------


class Step(Enum):
    """What a purge waits for."""

    HEAD = auto()
    FLAG = auto()
    FLAGGED = auto()
    INTENTS = auto()
    VERSIONS = auto()
    STAT = auto()
    DELETE = auto()
    MARK = auto()
    MARKED = auto()


@dataclass(frozen=True, slots=True)
class Purge:
    """One run's attempt at the content of one blob."""

    run: str
    """Fresh for every attempt: a flag of an earlier one is another's."""
    rows: tuple[VersionRow, ...]
    """The candidates, as they were read last."""
    shards: int
    step: Step = Step.HEAD
    at: int = 0
    """The row, or the shard, that the step is at."""
    etag: str = ""
    """Of the blob, when it was looked at."""
    refused: str = ""
    """The etag under which the service would not delete it."""

    @property
    def blob(self) -> str:
        """The blob that all candidates share."""
        return self.rows[0].file.blob

    @property
    def op(self) -> str:
        """The put that wrote the blob; empty where its version is no candidate."""
        return next((row.file.etag for row in self.rows if row.file.kind == "put"), "")


PurgeNext = tuple[Purge, PurgeRequest | PurgeResult]


def purge(run: str, rows: Sequence[VersionRow], shards: int) -> PurgeNext:
    """Begin. `rows` are versions of any paths that share one blob, and that nobody wants to read any more."""
    at = Purge(run, tuple(rows), shards)
    assert {row.file.blob for row in rows} == {at.blob} != {""}  # noqa: S101 — what a caller groups them by
    return _to(at, Step.HEAD) if at.op else (at, Held(at.blob))  # the version of the put needs it


def purge_step(at: Purge, answer: Heard) -> PurgeNext:
    """What to do after an answer."""
    match answer:
        case Expired(error):
            return at, Unfinished(error)
        case Failed(UnavailableError()):
            return _to(at, at.step, at.at)  # proven for this request, so the same request again
        case Failed(error):
            return at, Unfinished(error)
        case _:
            return _HANDLERS[at.step](at, answer)


def _to(at: Purge, step: Step, index: int = 0) -> PurgeNext:
    at = replace(at, step=step, at=index)
    return at, _request(at)


def _request(at: Purge) -> PurgeRequest:  # noqa: PLR0911 — one line per step
    match at.step:
        case Step.INTENTS:
            return SearchIntents(at.at, at.blob)
        case Step.VERSIONS:
            return SearchVersions(at.at, at.blob, at.run)
        case Step.STAT:
            return StatBlob(at.blob, at.op)
        case Step.DELETE:
            return DeleteBlob(at.blob, at.etag)
    row = at.rows[at.at]
    match at.step:
        case Step.HEAD:
            return ReadHead(row.file.path)
        case Step.FLAG:
            return Flag(row, at.run)
        case Step.MARK:
            return MarkPurged(row)
        case _:
            return ReadVersion(row.file.path, row.file.version)


def _on_head(at: Purge, answer: Heard) -> PurgeNext:
    file = at.rows[at.at].file
    match answer:
        case Found(Head(file=FileVersion(version=current))) | Newer(current) if current > file.version:
            return _to(at, Step.HEAD, at.at + 1) if at.at + 1 < len(at.rows) else _rows(at, Step.FLAG)
        case Found() | Newer():
            return at, Held(f"{file.path}@{file.version}")
        case Absent():
            return at, _lost(at)
    raise _unexpected(at, answer)


def _rows(at: Purge, step: Step, index: int = 0) -> PurgeNext:
    """On to the next row that a step has to write; past the last one, to what comes after."""
    for found, row in enumerate(at.rows):
        if found >= index and not row.purged and (step is Step.MARK or row.purging != at.run):
            return _to(at, step, found)
    return _to(at, Step.INTENTS) if step is Step.FLAG else (at, Purged())


def _on_written(at: Purge, answer: Heard) -> PurgeNext:
    """G2 or G5 was answered, or not. Unless the answer tells the row as it is now, it is read again."""
    match answer:
        case Found(VersionRow()):
            return _on_row(at, answer)
        case Done() | Refused() | Doubt():
            return _to(at, Step.FLAGGED if at.step is Step.FLAG else Step.MARKED, at.at)
    raise _unexpected(at, answer)


def _on_row(at: Purge, answer: Heard) -> PurgeNext:
    match answer:
        case Found(VersionRow() as row):
            at = replace(at, rows=(*at.rows[: at.at], row, *at.rows[at.at + 1 :]))
            return _rows(at, Step.FLAG if at.step in (Step.FLAG, Step.FLAGGED) else Step.MARK, at.at)
        case Absent():
            return at, _lost(at)
    raise _unexpected(at, answer)


def _on_search(at: Purge, answer: Heard) -> PurgeNext:
    match answer:
        case Reference(by):
            return at, Held(by)
        case Absent() if at.step is Step.INTENTS:
            return _to(at, Step.VERSIONS, at.at)
        case Absent():
            return _to(at, Step.INTENTS, at.at + 1) if at.at + 1 < at.shards else _to(at, Step.STAT)
    raise _unexpected(at, answer)


def _on_stat(at: Purge, answer: Heard) -> PurgeNext:
    match answer:
        case Stored(etag) if etag == at.refused:  # not for its etag, then: it is leased, or held by a policy
            return at, Held(at.blob)
        case Stored(etag):
            return _to(replace(at, etag=etag), Step.DELETE)
        case Absent():
            return _rows(at, Step.MARK)
        case Foreign():
            return at, Held(at.blob)
    raise _unexpected(at, answer)


def _on_delete(at: Purge, answer: Heard) -> PurgeNext:
    match answer:
        case Done() | Absent():
            return _rows(at, Step.MARK)
        case Doubt():
            return _to(at, Step.STAT)
        case Refused():
            return _to(replace(at, refused=at.etag), Step.STAT)
        case Kept(why):
            return at, Held(at.blob, why)
    raise _unexpected(at, answer)


_HANDLERS: Final[dict[Step, Callable[[Purge, Heard], PurgeNext]]] = {
    Step.HEAD: _on_head,
    Step.FLAG: _on_written,
    Step.FLAGGED: _on_row,
    Step.INTENTS: _on_search,
    Step.VERSIONS: _on_search,
    Step.STAT: _on_stat,
    Step.DELETE: _on_delete,
    Step.MARK: _on_written,
    Step.MARKED: _on_row,
}


def _lost(at: Purge) -> Unfinished:
    file = at.rows[at.at].file
    message = f"a row of {file.path!r} version {file.version} is gone: rows of the table are lost"
    return Unfinished(IntegrityError(message, op="purge", key=file.path, kind="integrity.row"))


def _unexpected(at: Purge, answer: object) -> AssertionError:
    return AssertionError(f"{answer!r} answers no request of {at.step}")
