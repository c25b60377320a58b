"""What a scan keeps of a row or of a blob: as much as a comparison needs, as tuples that a database takes. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from storage import Blob

from ..columns import parse_file
from ..entities import FileVersion, chain
from ..errors import IntegrityError
from ..rows import Entity, Values

Facts = tuple[Any, ...]

BLOBS: Final = "name, size, etag, op, sha256, md5"
VERSIONS: Final = "path, version, kind, op, size, digest, md5, blob, etag, purging, purged, chain, record, created"
HEADS: Final = "path, version, op, blob, etag, chain, moving, size, digest, record"
INTENTS: Final = "op, state, path, kind, blob"

COLUMNS: Final = (
    "schema", "path", "version", "kind", "op", "size", "digest", "md5", "blob", "blob_etag", "purging", "purged",
    "chain", "moving", "state", "created",
)  # fmt: skip
"""What is read of a row, where chains are not checked."""


def facts_of_blob(blob: Blob) -> Facts:
    """See BLOBS."""
    found, md5 = blob.headers.metadata, blob.headers.md5
    return (blob.name, blob.size, blob.etag, found.get("op", ""), found.get("sha256", ""), md5.hex() if md5 else "")


def facts_of_version(values: Values, record: str) -> Facts:
    """See VERSIONS. Raises: KeyError."""
    return (
        values["path"],
        values["version"],
        values["kind"],
        values["op"],
        values["size"],
        values["digest"],
        values.get("md5") or "",
        values["blob"],
        values["blob_etag"],
        values.get("purging", ""),
        values.get("purged", False),
        values["chain"],
        record,
        values.get("created", 0),
    )


def facts_of_head(values: Values, record: str) -> Facts:
    """See HEADS. Raises: KeyError."""
    return (
        values["path"],
        values["version"],
        values["op"],
        values["blob"],
        values["blob_etag"],
        values["chain"],
        values.get("moving", ""),
        values["size"],
        values["digest"],
        record,
    )


def facts_of_intent(values: Values, _record: str) -> Facts:
    """See INTENTS. Raises: KeyError."""
    return (values["op"], values["state"], values["path"], values["kind"], values["blob"])


FACTS: Final = {"v": facts_of_version, "h": facts_of_head, "i": facts_of_intent}


def damaged(row: Entity, lacking: KeyError) -> IntegrityError:
    """What is said of a row that lacks a column: what it refers to is not known."""
    message = f"row {row.row!a} of {row.partition} lacks {lacking.args[0]!r}: it was edited, or is not one of ours"
    return IntegrityError(message, op="reconcile", key=row.row, kind="integrity.row")


class Chains:
    """Checks the chains of versions as their rows pass by: those of a path together, newest first."""

    def __init__(self, volume: str) -> None:
        self._volume = volume
        self._newer: _Version | None = None

    def __repr__(self) -> str:
        return f"<Chains of {self._volume!r}>"

    def record(self, row: Entity) -> str:
        """A digest of all that a row says of a version. Raises: IntegrityError, where it cannot be read as one."""
        return chain("", parse_file(self._volume, row))

    def passes(self, row: Entity) -> tuple[str, str]:
        """Told the next version row: its record, where it is the newest of its path, and the path that `broken` is.

        Raises: IntegrityError, where it cannot be read as one.
        """
        file, newer = parse_file(self._volume, row), self._newer
        older = file if newer and newer.file.path == file.path else None
        record = "" if older else chain("", file)
        self._newer = _Version(file, record)
        return record, _broken(newer, older)

    def broken(self) -> str:
        """After the last row: the path whose last link is broken; else nothing."""
        newer, self._newer = self._newer, None
        return _broken(newer, None)


@dataclass(frozen=True, slots=True)
class _Version:
    """A version whose link to the one before is to be checked: that one comes next, if there is one."""

    file: FileVersion
    record: str
    """Of a newest version: its link, if it is the first one, too."""


def _broken(newer: _Version | None, older: FileVersion | None) -> str:
    """The path of a version whose link to the one before is not what it must be; else nothing."""
    if newer is None:
        return ""
    before = older.chain if older else ""
    link = newer.record if newer.record and not before else chain(before, newer.file)
    return "" if newer.file.chain == link else newer.file.path
