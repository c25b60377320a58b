"""An op: one attempt at a change. Its state, which is all that decides what comes next, and the rows that it writes.

An op's id is a ULID, fresh for every attempt that starts over; it is also the etag of the version that the op makes.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from .changes import NOTHING, Change, Facts
from .entities import FileVersion, Head, Intent, IntentRow, chain
from .errors import CatalogError
from .times import from_microseconds, microseconds


class Phase(Enum):
    """What an op waits for."""

    HEAD = auto()
    INTENT = auto()
    READ_BACK = auto()
    CONTENT = auto()
    STAT = auto()
    COMMIT = auto()
    SETTLE = auto()
    REBASE = auto()
    LOOK = auto()
    ABORT = auto()
    CLEAN = auto()
    DELETE = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class Op:
    """One attempt at a change: everything that decides what comes next."""

    id: str
    change: Change
    blob: str  # empty for a change without content
    generation: int
    patience_s: int
    phase: Phase
    floor: int = 0  # no version of this op is at or below it
    base: Head | None = None
    intent: IntentRow | None = None
    facts: Facts | None = None
    blob_etag: str = ""
    doubt: bool = False  # a copy of W3 may have been applied, or may yet be
    error: CatalogError | None = None  # why the op is to be aborted
    found: FileVersion | None = None  # the version row of this op


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
    )


def version_of(op: Op) -> FileVersion:
    """The version that W3 commits: after `op.base`, and at the time of the intent, or just after the base's."""
    change, facts, base = op.change, op.facts or NOTHING, op.base
    created = max(fence_of(op).timestamp, microseconds(base.file.created) + 1 if base else 0)
    unchained = FileVersion(
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
        request_id=None,
        chain="",
        blob=op.blob,
        blob_etag=op.blob_etag,
        blob_version=None,
    )
    return replace(unchained, chain=chain(base.file.chain if base else "", unchained))


def version_at(head: Head | None) -> int:
    """The version that a head is at; 0 where there is none."""
    return head.file.version if head else 0


def fence_of(op: Op) -> IntentRow:
    """The intent of an op that has one."""
    assert op.intent  # noqa: S101 — all phases that ask for it are entered with it
    return op.intent
