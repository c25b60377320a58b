"""Records: what a catalog knows of files, volumes and writes. How they are kept in rows: see `columns`."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from .errors import InvalidError
from .metadata import Metadata, metadata_values
from .times import microseconds

VolumeState = Literal["open", "closing", "opening", "turning"]
IndexState = Literal["building", "ready", "dropping"]
Kind = Literal["put", "delete", "metadata", "move", "copy", "restore", "adopt"]


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of one file, as it was written and for ever. A delete is a version too, without content."""

    volume: str
    path: str
    version: int
    """1, 2, 3 … per path; never restarts, not even after a delete."""
    kind: Kind
    etag: str
    """The id of the write that made it: changes exactly when the version does."""
    size: int
    """In bytes."""
    digest: str
    """`sha256:<hex>` of the content; empty for a delete, and for adopted content that nobody has read yet."""
    md5: str | None
    """Plain hex."""
    content_type: str
    metadata: Metadata = field(hash=False)
    created: datetime
    """When the write began, by the service's clock: a label. The order of a path is its version."""
    modified: datetime | None
    """The source file's own time, where the writer gave one."""
    writer: str
    """Who wrote it: `user@host:pid` unless `connect` was told otherwise."""
    request_id: str | None
    chain: str
    """sha256 over the previous version's chain and this record, so that history cannot be edited unseen."""
    blob: str
    """The name of the blob that holds the content; empty for a delete."""
    blob_etag: str
    blob_version: str | None
    source: str | None = None
    """Of a copy, restore or move: the version that it was made of, as `path@version`."""
    learned: bool = False
    """Whether `digest` was not known when the version was made, and was learned by reading all of its content."""
    purged: bool = False
    """Whether its content was purged since, and can be read no more: said by `history`, and by `stat` of a version."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version as it was read from its own row: with what became of its content, and the etag to change that under."""

    file: FileVersion
    etag: str
    purging: str = ""
    """The run that is about to purge its content; never taken back, see `purging`. Empty: the content is live."""
    purged: bool = False
    """Its content was proven gone."""

    @property
    def live(self) -> bool:
        """Whether it has content, and for good as long as it is referred to."""
        return self.file.kind != "delete" and not self.purging and not self.purged


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies between two slashes: the paths that begin with it. Nothing is stored for a folder itself."""

    path: str
    """Ends in `/`."""


PREFIXES_MAX: Final = 30
"""That one volume adopts: they stand in one column, which holds 32,768 characters, and each may have 1,024."""


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index of a volume: a row for each file, in order of some of its fields. See `indexes`."""

    id: str
    """What its rows' keys begin with; never used again in the volume."""
    on: tuple[str, ...]
    """The fields, in order: `created`, `meta.owner`; with a `-` before it, one that descends."""
    state: IndexState
    """`building`: every write keeps it up, and files that were there before are being added · `ready`: all files are in
    it · `dropping`: no write adds to it, and its rows are being removed."""


LOG_IS_BEGINNING: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Since when a volume has a change log that is being switched on: changes are in it, and not yet all that there are."""


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """The files of one named space, and how they are kept."""

    name: str
    epoch: str
    """The volume's own id: a volume made again under an old name has another."""
    layout: str
    shards: int
    root: str
    """The prefix of all its blobs in the container."""
    generation: int
    """Of its settings."""
    created: datetime
    default: bool
    adopted: tuple[str, ...] = ()
    """The prefixes of blobs outside the root that were adopted; none is the beginning of another."""
    state: VolumeState = "open"
    """`closing`: somebody deletes it; it will be gone, or stay if it has a file. `opening`: it stays. `turning`: its
    settings are being changed."""
    changes_since: datetime | None = None
    """Since when every change is in the volume's change log, by the service's clock; None: it has none."""
    indexes: tuple[Index, ...] = ()
    indexes_made: int = 0
    """How many there have been: the next one's id."""


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """A volume as it was read: with the etag under which its row may be replaced."""

    info: VolumeInfo
    etag: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a head says of a move that is taking its file away."""

    op: str
    target: str
    generation: int = field(default=0, compare=False)
    """Of the settings that the move was begun under: whoever settles it knows those, or newer ones."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head row of a path: its current version, and the row etag under which it may be replaced."""

    file: FileVersion
    row_etag: str
    claim: Claim | None = None
    indexed: tuple[str, ...] = ()
    """The ids of the indexes that have a row of it: those that whoever replaces it has to replace, and no others."""

    @property
    def live(self) -> bool:
        """Whether there is a file now, and not the tombstone of one."""
        return self.file.kind != "delete"


@dataclass(frozen=True, slots=True)
class Intent:
    """The row of a change under way: the fence that decides whether it may still commit."""

    op: str
    kind: Kind
    path: str
    blob: str
    base_version: int
    """The version that the writer found at the path; 0 for none, or where it did not look."""
    writer: str
    generation: int
    patience_s: int
    """How long a background recover leaves it alone."""
    state: Literal["open", "aborted"] = "open"
    source: str = ""
    """Of a move: where the file comes from."""
    target: str = ""
    """Of a move's second intent, in the source's shard: where the file goes, and where the move is decided."""


@dataclass(frozen=True, slots=True)
class IntentRow:
    """An intent as it was read: with the etag that a commit or an abort must name, and its time by the service."""

    intent: Intent
    etag: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class Registry:
    """The catalog's own row. Every change of a volume's row rewrites it, so that such changes happen one by one."""

    default: str | None = None
    etag: str | None = field(default=None, compare=False)


REQUEST_ID_CHARACTERS_MAX = 200

_canonical = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


def check_request_id(request_id: str | None) -> str | None:
    """Raises: InvalidError for what cannot be a caller's own id of a change."""
    if request_id is None:
        return None
    printable = isinstance(request_id, str) and request_id.isprintable() and "\\" not in request_id
    if not printable or not 0 < len(request_id) <= REQUEST_ID_CHARACTERS_MAX:
        rule = f"1 to {REQUEST_ID_CHARACTERS_MAX} printable characters without a backslash"
        raise InvalidError(f"a request id is {rule}, not {request_id!r}", op="request")
    return request_id


def chain(previous: str, file: FileVersion) -> str:
    """The link of a version to the one before it: over what was written, not over the services' etags or states.

    A digest that was learned afterwards is no part of it.
    """
    record = {
        "volume": file.volume,
        "path": file.path,
        "version": file.version,
        "kind": file.kind,
        "op": file.etag,
        "digest": "" if file.learned else file.digest,
        "md5": file.md5,
        "size": file.size,
        "content_type": file.content_type,
        "metadata": metadata_values(file.metadata),
        "created": microseconds(file.created),
        "source": file.source,
    }
    return hashlib.sha256(f"{previous}\n{_canonical(record)}".encode()).hexdigest()
