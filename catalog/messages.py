"""What the protocol asks for, what it hears, and how it ends: the vocabulary between `protocol` and who carries it out.

A request is sent once. An answer says what that one sending proved, and nothing about earlier copies of it.
"""

from dataclasses import dataclass

from .changes import Facts
from .entities import Claim, FileVersion, Head, Intent, IntentRow, VersionRow, VolumeRow
from .errors import CatalogError

# --- Requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadHead:
    """Read the head row of a path."""

    path: str


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Look for the version that a request of the caller's id made."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ReadSource:
    """Read the version row that is to be referred to. Absent: its content is gone, or about to go."""

    file: FileVersion


@dataclass(frozen=True, slots=True)
class InsertIntent:
    """W1."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class ReadIntent:
    """Read an op's intent row, in the shard of a path."""

    path: str
    op: str


@dataclass(frozen=True, slots=True)
class PutContent:
    """W2."""


@dataclass(frozen=True, slots=True)
class StatContent:
    """Ask whether the blob is there, and carries this op's id."""


@dataclass(frozen=True, slots=True)
class Commit:
    """W3."""

    intent_etag: str
    base: Head | None
    file: FileVersion


@dataclass(frozen=True, slots=True)
class ClaimSource:
    """T2 of a move: say in the source's head that it is being moved, and leave the move's intent beside it."""

    head: Head
    intent: Intent


@dataclass(frozen=True, slots=True)
class CommitMove:
    """W3 of a move inside one shard: target and source change together."""

    intent_etag: str
    base: Head | None
    file: FileVersion
    source: Head
    tombstone: FileVersion


@dataclass(frozen=True, slots=True)
class Finish:
    """T4 of a move: put the tombstone into the claimed head."""

    head: Head
    tombstone: FileVersion


@dataclass(frozen=True, slots=True)
class Release:
    """Take the claim out of a head: its move will never be."""

    head: Head


@dataclass(frozen=True, slots=True)
class SettleClaim:
    """Settle the claim of a move on a path: see `moves`. Answered by Done once the claim is gone."""

    path: str
    claim: Claim
    made: FileVersion | None = None
    gentle: bool = False


@dataclass(frozen=True, slots=True)
class FindVersion:
    """Look for a version row of an op at a path, above a version."""

    path: str
    op: str
    above: int


@dataclass(frozen=True, slots=True)
class AbortIntent:
    """Replace the intent by its aborted self, If-Match."""

    row: IntentRow


@dataclass(frozen=True, slots=True)
class DropIntent:
    """Delete the intent, If-Match: the op was settled long ago."""

    row: IntentRow


@dataclass(frozen=True, slots=True)
class DeleteContent:
    """Delete the blob, If-Match."""

    etag: str


Request = (
    ReadRequest
    | ReadHead
    | ReadSource
    | InsertIntent
    | ReadIntent
    | PutContent
    | StatContent
    | ClaimSource
    | Commit
    | CommitMove
    | Finish
    | Release
    | SettleClaim
    | FindVersion
    | AbortIntent
    | DropIntent
    | DeleteContent
)


# --- Results ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Committed:
    """The change is in the catalog, as this version."""

    file: FileVersion


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The op did not change anything, and never will."""

    error: CatalogError


@dataclass(frozen=True, slots=True)
class StartOver:
    """As `NotApplied`, and for no fault of the caller's: try again with a fresh op and fresh settings."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Time is up, and the op may or may not be applied."""

    error: CatalogError | None


Result = Committed | NotApplied | StartOver | Undecided


# --- Answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """A write was applied."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The content is there, under this etag: the answer to a put, or to a stat that found this op's blob."""

    etag: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Late:
    """The content was not sent: its turn came so late that others may have aborted the op. The next is not to wait."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row was read."""

    row: Head | IntentRow | FileVersion | VersionRow | VolumeRow


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such row or blob."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A blob is there, and it is not this op's."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The service says that a condition did not hold."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A write may have been applied, or may yet be."""

    error: CatalogError


@dataclass(frozen=True, slots=True)
class Failed:
    """A read was not answered, or a write was proven not to be applied: by this request."""

    error: CatalogError


@dataclass(frozen=True, slots=True)
class Expired:
    """The call's time is up; the request was not sent."""

    error: CatalogError


Answer = Done | Stored | Late | Found | Absent | Foreign | Refused | Doubt | Failed | Expired
