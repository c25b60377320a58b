"""Records as the columns of rows: the only module that knows what a row's columns are called.

Whole numbers are Int64, times are microseconds (`times`), a user's metadata have columns of their own (`metadata`): a
row alone says its types. What is None has no column. Every row carries `schema`, and a row of a newer schema is
refused, not misread. `parse(format(x)) == x` is a property test.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from .entities import Claim, FileVersion, Head, Index, Intent, IntentRow, Registry, VersionRow, VolumeInfo
from .errors import IntegrityError, InvalidError
from .metadata import metadata_values, parse_metadata
from .rows import Entity, Value, Values
from .times import EPOCH, from_microseconds, microseconds

SCHEMA = 1
VOLUME_SCHEMA = 2
"""Of a volume's row, where who does not know it would write without the rows of indexes or changes; else SCHEMA."""

T = TypeVar("T")


# --- Files -----------------------------------------------------------------------------------------------------------


def file_values(file: FileVersion) -> dict[str, Value]:
    """A version as columns: of its own row, and of the head while it is the current one."""
    values: dict[str, Value] = {
        "schema": SCHEMA,
        "path": file.path,
        "version": file.version,
        "kind": file.kind,
        "op": file.etag,
        "size": file.size,
        "digest": "" if file.learned else file.digest,
        "content_type": file.content_type,
        "created": microseconds(file.created),
        "writer": file.writer,
        "chain": file.chain,
        "blob": file.blob,
        "blob_etag": file.blob_etag,
    }
    if file.md5 is not None:
        values["md5"] = file.md5
    if file.modified is not None:
        values["modified"] = microseconds(file.modified)
    if file.request_id is not None:
        values["request_id"] = file.request_id
    if file.blob_version is not None:
        values["blob_version"] = file.blob_version
    if file.source is not None:
        values["source"] = file.source
    if file.learned:
        values |= learned_values(file.digest)
    return values | metadata_values(file.metadata)


def parse_file(volume: str, entity: Entity) -> FileVersion:
    """The version that a head or version row holds. Raises: InvalidError (newer schema), IntegrityError."""
    values = cast("dict[str, Any]", _known(entity))
    try:
        modified, learned = values.get("modified"), "" if values["digest"] else values.get("learned_digest", "")
        return FileVersion(
            volume=volume,
            path=values["path"],
            version=values["version"],
            kind=values["kind"],
            etag=values["op"],
            size=values["size"],
            digest=values["digest"] or learned,
            md5=values.get("md5"),
            content_type=values["content_type"],
            metadata=parse_metadata(values),
            created=from_microseconds(values["created"]),
            modified=None if modified is None else from_microseconds(modified),
            writer=values["writer"],
            request_id=values.get("request_id"),
            chain=values["chain"],
            blob=values["blob"],
            blob_etag=values["blob_etag"],
            blob_version=values.get("blob_version"),
            source=values.get("source"),
            learned=bool(learned),
        )
    except (KeyError, TypeError, OverflowError) as exc:  # the last: a time that is in no calendar
        raise _damaged(entity) from exc


def parse_told(volume: str, entity: Entity) -> FileVersion:
    """As `parse_file`, and whether its content was purged: as callers are told of a version."""
    file = parse_file(volume, entity)
    return replace(file, purged=True) if entity.values.get("purged") else file


def parse_version(volume: str, entity: Entity) -> VersionRow:
    """The version that a version row holds, and its state. Raises: InvalidError (newer schema), IntegrityError."""
    values = entity.values
    return VersionRow(
        parse_file(volume, entity), entity.etag, str(values.get("purging", "")), bool(values.get("purged", False))
    )


IN_PART = ("schema", "path", "version", "kind", "op", "size", "created", "blob", "purging", "purged")
"""The columns of a version row that tell whose content it is, and what became of that."""
_BLANK: Values = {
    "op": "", "size": 0, "digest": "", "content_type": "", "created": 0, "writer": "", "chain": "", "blob_etag": "",
}  # fmt: skip


def parse_in_part(volume: str, entity: Entity) -> VersionRow:
    """A version row of which IN_PART was read, or less: the rest of it is blank. Raises: as `parse_version`."""
    return parse_version(volume, replace(entity, values={**_BLANK, **entity.values}))


def parse_head(volume: str, entity: Entity) -> Head:
    """The head that a row holds. Raises: InvalidError (newer schema), IntegrityError."""
    values, moving = cast("dict[str, Any]", entity.values), entity.values.get("moving")
    claim = Claim(str(moving), str(values.get("moving_to")), values.get("moving_by", 0)) if moving is not None else None
    return Head(parse_file(volume, entity), entity.etag, claim, parse_indexed(entity.values))


def parse_indexed(values: Values) -> tuple[str, ...]:
    """The ids of the indexes that have a row of a head."""
    return tuple(str(values.get("indexed", "")).split())


def parse_summary(head: Entity) -> tuple[str, int, int]:
    """Path, size and time of writing, also where few columns were read. Raises: InvalidError, IntegrityError."""
    values = cast("dict[str, Any]", _known(head))
    try:
        return values["path"], values["size"], values["created"]
    except KeyError as exc:
        raise _damaged(head) from exc


def parse_fields(entity: Entity, fields: Sequence[Callable[[Values], T]]) -> list[T]:
    """What each of these reads of a row's columns, of which few may be there. Raises: InvalidError, IntegrityError."""
    values = entity.values
    if values.get("schema") != SCHEMA:
        values = _known(entity)
    try:
        return [read(values) for read in fields]
    except (KeyError, TypeError, OverflowError) as exc:
        raise _damaged(entity) from exc


def head_values(file: FileVersion, claim: Claim | None = None) -> dict[str, Value]:
    """A head as columns."""
    values = file_values(file)
    if claim:
        values |= {"moving": claim.op, "moving_to": claim.target, "moving_by": claim.generation}
    return values


def indexed_values(ids: Sequence[str]) -> dict[str, Value]:
    """The column of a head that says which indexes have a row of it."""
    return {"indexed": " ".join(ids)} if ids else {}


def learned_values(digest: str) -> dict[str, Value]:
    """The column that says of a version what its content is, where that was not known when it was made."""
    return {"learned_digest": digest}


def purging_values(run: str) -> dict[str, Value]:
    """The columns that flag a version row: merged into it, so nothing of its record is touched."""
    return {"schema": SCHEMA, "purging": run}


def purged_values() -> dict[str, Value]:
    """The columns that say of a version row that its content is gone."""
    return {"schema": SCHEMA, "purged": True}


# --- Intents ---------------------------------------------------------------------------------------------------------


def intent_values(intent: Intent) -> dict[str, Value]:
    """An intent as columns."""
    return {
        "schema": SCHEMA,
        "op": intent.op,
        "kind": intent.kind,
        "path": intent.path,
        "blob": intent.blob,
        "base_version": intent.base_version,
        "writer": intent.writer,
        "generation": intent.generation,
        "patience_s": intent.patience_s,
        "state": intent.state,
        **({"source": intent.source} if intent.source else {}),
        **({"target": intent.target} if intent.target else {}),
    }


def parse_intent(entity: Entity) -> IntentRow:
    """The intent that a row holds. Raises: InvalidError (newer schema), IntegrityError."""
    values = cast("dict[str, Any]", _known(entity))
    try:
        names = ("op", "kind", "path", "blob", "base_version", "writer", "generation", "patience_s", "state")
        ends = {name: values[name] for name in ("source", "target") if name in values}
        intent = Intent(**{name: values[name] for name in names}, **ends)
    except KeyError as exc:
        raise _damaged(entity) from exc
    return IntentRow(intent, entity.etag, entity.timestamp)


# --- Requests --------------------------------------------------------------------------------------------------------


def request_values(file: FileVersion) -> dict[str, Value]:
    """The row of a request, as columns: which version it made."""
    return {"schema": SCHEMA, "op": file.etag, "path": file.path, "version": file.version}


def parse_request(entity: Entity) -> tuple[str, int]:
    """The path and the version that a request made. Raises: InvalidError (newer schema), IntegrityError."""
    values = cast("dict[str, Any]", _known(entity))
    try:
        return values["path"], values["version"]
    except KeyError as exc:
        raise _damaged(entity) from exc


# --- Volumes ---------------------------------------------------------------------------------------------------------


def registry_values(registry: Registry) -> dict[str, Value]:
    """The catalog's own row as columns."""
    values: dict[str, Value] = {"schema": SCHEMA}
    return values if registry.default is None else values | {"default_volume": registry.default}


def parse_registry(entity: Entity | None) -> Registry:
    """The catalog's own row; an empty one where there is none yet. Raises: InvalidError (newer schema)."""
    if entity is None:
        return Registry()
    return Registry(cast("str | None", _known(entity).get("default_volume")), entity.etag)


def volume_values(info: VolumeInfo) -> dict[str, Value]:
    """A volume as columns."""
    return {
        "schema": SCHEMA if not info.indexes_made and info.changes_since is None else VOLUME_SCHEMA,
        "name": info.name,
        "epoch": info.epoch,
        "layout": info.layout,
        "shards": info.shards,
        "root": info.root,
        "generation": info.generation,
        **({"adopted": json.dumps(info.adopted, ensure_ascii=False)} if info.adopted else {}),
        **({} if info.state == "open" else {"state": info.state}),
        **({} if info.created == EPOCH else {"created": microseconds(info.created)}),
        **({"indexes": json.dumps([[each.id, each.state, *each.on] for each in info.indexes])} if info.indexes else {}),
        **({} if info.changes_since is None else {"changes_since": microseconds(info.changes_since)}),
        **({"indexes_made": info.indexes_made} if info.indexes_made else {}),
    }


def parse_volume(entity: Entity, default: str | None) -> VolumeInfo:
    """The volume that a row holds. Raises: InvalidError (newer schema), IntegrityError."""
    values = cast("dict[str, Any]", _known(entity, VOLUME_SCHEMA))
    try:
        names = ("name", "epoch", "layout", "shards", "root", "generation")
        created = from_microseconds(values.get("created", entity.timestamp))
        state = values.get("state", "open")
        found = {name: values[name] for name in names}
        adopted, since = tuple(json.loads(values.get("adopted", "[]"))), values.get("changes_since")
        indexes = tuple(Index(id_, tuple(on), at) for id_, at, *on in json.loads(values.get("indexes", "[]")))
        return VolumeInfo(
            **found,
            created=created,
            default=values["name"] == default,
            adopted=adopted,
            state=state,
            changes_since=None if since is None else from_microseconds(since),
            indexes=indexes,
            indexes_made=values.get("indexes_made", 0),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise _damaged(entity) from exc


def _known(entity: Entity, known: int = SCHEMA) -> Values:
    schema = entity.values.get("schema")
    if not isinstance(schema, int):
        raise _damaged(entity)
    if schema > known:
        message = f"row {entity.row} was written by a newer blobcat (schema {schema}, this one knows {known}): upgrade"
        raise InvalidError(message, op="parse", key=entity.row, kind="invalid.newer-schema")
    return entity.values


def _damaged(entity: Entity) -> IntegrityError:
    message = f"row {entity.row} of {entity.partition} lacks what every row of its kind has"
    return IntegrityError(message, op="parse", key=entity.row, kind="integrity.row")
