"""What a caller wants of a path, and whether what is there allows it. Pure: decided the same way by every attempt."""

from dataclasses import dataclass, field, replace
from typing import Final

from .entities import FileVersion, Head, Kind
from .errors import CatalogError, ConflictError, NotFoundError
from .metadata import Metadata
from .modes import Create, IfMatch, IfVersion, Mode, Overwrite
from .times import microseconds


@dataclass(frozen=True, slots=True)
class Facts:
    """What content is, known once all of it was read."""

    size: int
    digest: str
    md5: str


NOTHING: Final = Facts(0, "", "")


@dataclass(frozen=True, slots=True)
class Adopted:
    """A blob that was there before the catalog knew it. It stays where it is, and as it is."""

    blob: str
    etag: str
    facts: Facts
    """Without a digest: nobody has read it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller wants, the same however often it has to start over."""

    volume: str
    path: str
    kind: Kind
    mode: Mode
    writer: str
    metadata: Metadata = field(hash=False)
    content_type: str
    modified: int | None = None
    origin: str = ""  # the path that a copy or a move takes its content from
    source: FileVersion | None = None  # the version that a copy, restore or move refers to, once it is known
    request_id: str | None = None
    adopted: Adopted | None = None


def taking(change: Change, file: FileVersion) -> Change:
    """The change that takes its content from this version: type, metadata and time come along."""
    modified = None if file.modified is None else microseconds(file.modified)
    return replace(change, source=file, metadata=file.metadata, content_type=file.content_type, modified=modified)


def conflict(change: Change, head: Head | None) -> CatalogError | None:
    """Why the change may not follow this head; None where it may."""
    file = head.file if head and head.live else None
    found = f"version {file.version}" if file else "no file"
    match change.mode:
        case Create() if file:
            return _conflict(change, "no file", found, "conflict.exists")
        case IfVersion(version) if not file or file.version != version:
            return _conflict(change, f"version {version}", found, "conflict.version")
        case IfMatch(etag) if not file or file.etag != etag:
            return _conflict(change, f"etag {etag}", f"etag {file.etag}" if file else found, "conflict.etag")
    if change.kind == "adopt" and head:
        return _conflict(change, "no file, now or ever", f"a delete, version {head.file.version}", "conflict.deleted")
    if change.kind in ("delete", "metadata") and not file:
        verb = "delete" if change.kind == "delete" else "describe"
        return NotFoundError(f"there is no file {change.path!r} to {verb}", op=change.kind, key=change.path)
    return None


def _conflict(change: Change, expected: str, found: str, kind: str) -> ConflictError:
    message = f"{change.kind} {change.path!r}: expected {expected}, found {found}"
    return ConflictError(message, expected=expected, found=found, op=change.kind, key=change.path, kind=kind)


def is_unchanged(change: Change, facts: Facts | None, head: Head) -> bool:
    """Whether the head is already what the change would make of it."""
    if change.mode != Overwrite() or not head.live or not same_metadata(head.file.metadata, change.metadata):
        return False
    if change.kind == "metadata":
        return True
    return (
        change.kind in ("put", "copy", "restore")
        and facts is not None
        and _same_content(change, facts, head.file)
        and head.file.content_type == change.content_type
    )


def _same_content(change: Change, facts: Facts, there: FileVersion) -> bool:
    """What was adopted may have no digest yet; then it is the same only if it is the same blob."""
    if facts.digest and there.digest:
        return facts.digest == there.digest
    return change.source is not None and (change.source.blob, change.source.blob_etag) == (there.blob, there.blob_etag)


def same_metadata(one: Metadata, other: Metadata) -> bool:
    """Whether keys, types and values are the same; for Python alone, True == 1 == 1.0."""
    return one == other and all(type(one[key]) is type(other[key]) for key in one)
