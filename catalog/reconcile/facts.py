"""What a scan keeps of a row or of a blob: as much as a comparison needs, as tuples that a database takes. Pure."""

from typing import Any, Final

from storage import Blob

from ..entities import SCHEMA, chain, parse_file
from ..errors import CatalogError, IntegrityError, InvalidError
from ..rows import Entity, Values

Facts = tuple[Any, ...]

BLOBS: Final = "name, size, etag, op, sha256, md5"
VERSIONS: Final = "path, version, kind, op, size, digest, md5, blob, etag, purging, purged, chain, record"
HEADS: Final = "path, version, op, blob, etag, chain, moving, size, digest, record"
INTENTS: Final = "op, state, path, kind, blob"

COLUMNS: Final = (
    "schema", "path", "version", "kind", "op", "size", "digest", "md5", "blob", "blob_etag", "purging", "purged",
    "chain", "moving", "state",
)  # fmt: skip
"""What is read of a row, where chains are not checked."""

KINDS: Final = frozenset("ghiqvy")
"""The kinds of rows that there are in a shard, by their letter. `y`: what a verification has found out."""


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


def kind_of(row: Entity) -> str:
    """The letter of a row's kind.

    Raises: InvalidError for a row of a newer schema, or of a kind that is not known: what it refers to is not, either
    (R3). IntegrityError where the row does not say its schema.
    """
    schema, kind = row.values.get("schema"), row.row[:1]
    if not isinstance(schema, int):
        message = f"row {row.row!a} of {row.partition} does not say its schema: not a row of blobcat's"
        raise IntegrityError(message, op="reconcile", key=row.row, kind="integrity.row")
    if schema > SCHEMA:
        message = f"row {row.row!a} was written by a newer blobcat (schema {schema}, this one knows {SCHEMA}): upgrade"
        raise InvalidError(message, op="reconcile", key=row.row, kind="invalid.newer-schema")
    if kind not in KINDS:
        message = f"row {row.row!a} of {row.partition} is of a kind that this blobcat does not know: upgrade"
        raise InvalidError(message, op="reconcile", key=row.row, kind="invalid.unknown-row")
    return kind


def damaged(row: Entity, lacking: KeyError) -> IntegrityError:
    """What is said of a row that lacks a column: what it refers to is not known."""
    message = f"row {row.row!a} of {row.partition} lacks {lacking.args[0]!r}: it was edited, or is not one of ours"
    return IntegrityError(message, op="reconcile", key=row.row, kind="integrity.row")


class Chains:
    """Checks the chains of versions as their rows pass by: those of a path together, newest first."""

    def __init__(self, volume: str) -> None:
        self._volume = volume
        self._newer: tuple[str, Entity] | None = None

    def __repr__(self) -> str:
        return f"<Chains of {self._volume!r}>"

    def record(self, kind: str, row: Entity) -> str:
        """A digest of all that a head says, or a newest version, told before `broken` is; empty for other rows."""
        if kind not in "hv" or (kind == "v" and self._newer and self._newer[0] == row.values.get("path")):
            return ""
        try:
            return chain("", parse_file(self._volume, row))
        except CatalogError:
            return ""

    def broken(self, row: Entity | None) -> str:
        """Told the next row, or None after the last: the path whose link to this row is broken; else nothing."""
        newer, self._newer = self._newer, None if row is None else (str(row.values.get("path", "")), row)
        if newer is None:
            return ""
        path, entity = newer
        older = row if row is not None and row.values.get("path") == path else None
        return "" if _linked(self._volume, older, entity) else path


def _linked(volume: str, older: Entity | None, newer: Entity) -> bool:
    try:
        file = parse_file(volume, newer)
        return file.chain == chain(str(older.values["chain"]) if older else "", file)
    except (CatalogError, KeyError):
        return False
