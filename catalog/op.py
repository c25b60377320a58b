"""An op: one attempt at a change. Its state, which is all that decides what comes next, and the rows that it writes.

An op's id is a ULID, fresh for every attempt that starts over; it is also the etag of the version that the op makes.
"""

from dataclasses import replace
from enum import Enum, auto
from typing import Any, NamedTuple

from .changes import NOTHING, Change, Facts
from .entities import Claim, FileVersion, Head, Intent, IntentRow, chain
from .errors import CatalogError
from .times import from_microseconds, microseconds


class Phase(Enum):
    """What an op waits for."""

    REQUEST = auto()
    FROM = auto()
    HEAD = auto()
    INTENT = auto()
    READ_BACK = auto()
    CLAIM = auto()
    CLAIMED = auto()
    CONTENT = auto()
    SOURCE = auto()
    STAT = auto()
    COMMIT = auto()
    SETTLE = auto()
    ASK = auto()
    LAST = auto()
    REBASE = auto()
    LOOK = auto()
    ABORT = auto()
    CLEAN = auto()
    DELETE = auto()
    DROP = auto()
    FINISH = auto()
    RELEASE = auto()
    HELP = auto()


class Op(NamedTuple):
    """One attempt at a change: everything that decides what comes next.

    A tuple, since an op is replaced at each of its steps: a dataclass of so many fields takes five times as long.
    """

    id: str
    change: Change
    blob: str  # that the version will refer to; empty for a delete
    generation: int
    patience_s: int
    phase: Phase
    floor: int = 0  # no version of this op is at or below it
    base: Head | None = None
    intent: IntentRow | None = None
    facts: Facts | None = None
    blob_etag: str = ""
    doubt: bool = False  # a copy of W3 may have been applied, or may yet be
    ending: bool = False  # it is to be aborted, and nothing but that
    error: CatalogError | None = None  # why, for the caller; None: it is to start over
    apart: bool = False  # a move between two shards: four transactions, see `moves`
    source: Head | None = None  # of a move: the head of its source
    claimed: int = 0  # of a move between two shards: when its source was claimed, by the service
    origin: str = ""  # of a copy or a move: the path of its source
    blocked: Head | None = None  # a claimed head that is to be settled first
    resume: Phase = Phase.HEAD  # what was to be done when it was met
    bound: bool = False  # its content is staged for it alone, and cannot be had again
    unheard: bool = False  # the last W1 was not answered
    found: FileVersion | None = None  # what the caller is told in the end: this op's version, or that of its request


def intent_of(op: Op) -> Intent:
    """The intent that W1 inserts."""
    return Intent(
        op=op.id,
        kind=op.change.kind,
        path=op.change.path,
        blob=op.blob,
        base_version=version_at(op.base),
        writer=op.change.writer,
        generation=op.generation,
        patience_s=op.patience_s,
        source=op.origin if op.change.kind == "move" else "",
    )


def claim_of(op: Op) -> Claim:
    """What a move writes into the head of its source."""
    return Claim(op.id, op.change.path, op.generation)


def source_intent_of(op: Op) -> Intent:
    """The intent of a move in the shard of its source."""
    return replace(intent_of(op), path=op.origin, target=op.change.path, base_version=version_at(op.source))


def version_of(op: Op) -> FileVersion:
    """The version that W3 commits: after `op.base`, and at the time of its intents, or just after the base's.

    What was moved or copied is older, too. So the tombstone of a move has the very same time as the version that it
    made, and at no time was the file at both ends or at none.
    """
    change, facts, base = op.change, op.facts or NOTHING, op.base
    before = [microseconds(head.file.created) for head in (base, op.source) if head]
    created = max(fence_of(op).timestamp, op.claimed, *(time + 1 for time in before))
    fields: dict[str, Any] = dict(  # noqa: C408 — the record, but for its link
        volume=change.volume,
        path=change.path,
        version=version_at(base) + 1,
        kind=change.kind,
        etag=op.id,
        size=facts.size,
        digest=facts.digest,
        md5=facts.md5 or None,
        content_type=change.content_type,
        metadata=change.metadata,
        created=from_microseconds(created),
        modified=None if change.modified is None else from_microseconds(change.modified),
        writer=change.writer,
        request_id=change.request_id,
        blob=op.blob,
        blob_etag=op.blob_etag,
        blob_version=None,
        source=f"{change.source.path}@{change.source.version}" if change.source else None,
    )
    return FileVersion(**fields, chain=chain(base.file.chain if base else "", FileVersion(**fields, chain="")))


def on(op: Op, head: Head | None) -> Op:
    """The op with another base. A change of metadata takes from its base all that it does not change."""
    if op.change.kind == "metadata" and head:
        op = referring(op, head.file)
        modified = None if head.file.modified is None else microseconds(head.file.modified)
        op = op._replace(change=replace(op.change, content_type=head.file.content_type, modified=modified))
    return op._replace(base=head)


def referring(op: Op, file: FileVersion) -> Op:
    """The op with the content of a version that is there: no bytes move."""
    facts = Facts(file.size, file.digest, file.md5 or "")
    return op._replace(facts=facts, blob=file.blob, blob_etag=file.blob_etag)


def version_at(head: Head | None) -> int:
    """The version that a head is at; 0 where there is none."""
    return head.file.version if head else 0


def fence_of(op: Op) -> IntentRow:
    """The intent of an op that has one."""
    assert op.intent  # noqa: S101 — all phases that ask for it are entered with it
    return op.intent
