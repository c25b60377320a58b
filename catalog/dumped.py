"""The records of a dump, and the lines of JSON that they are kept in. Pure; docs/dump.md has every field.

A line is an object in ASCII, its fields in one order, without spaces: the same record is always the same bytes, and
`parse_dump_line(dump_line(x)) == x`. Whatever a line says is checked against the rules that a catalog has for it, for a
dump comes from anywhere. A field too many is refused like one too few: it would be lost.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NoReturn, get_args

from storage.metadata import CONTENT_TYPE_MAX
from storage.names import check_name, check_prefix

from .arguments import is_whole
from .entities import PREFIXES_MAX, FileVersion, Kind, check_request_id
from .errors import IntegrityError, InvalidError
from .indexes import INDEXES_MAX, check_index
from .keys import check_key_length, check_shards, check_version
from .metadata import Metadata, check_metadata
from .paths import RESERVED, check_path
from .rows import INT64_MAX

DUMP_FORMAT: Final = "blobcat-dump"
DUMP_VERSION: Final = 2
"""1, where no volume has settings: a blobcat that knows of none can load that."""
LINE_BYTES_MAX: Final = 4 << 20
"""Of a line. The largest version that a catalog can hold takes less."""

TEXT_MAX: Final = 1024  # of a short text: an etag, a writer's name
_CHAIN: Final = re.compile(r"[0-9a-f]{64}")
_DIGEST: Final = re.compile(r"[a-z0-9]+:[0-9a-f]+")
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_OP: Final = re.compile(r"[0-9A-Za-z]{1,64}")
_CONTENT_TYPE: Final = re.compile(rf"[ -~]{{0,{CONTENT_TYPE_MAX}}}")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_SOURCE: Final = re.compile(r".+@[1-9][0-9]{0,9}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DumpedVolume:
    """A volume of a dump: what it is made again with."""

    name: str
    layout: str
    shards: int
    root: str
    created: datetime
    default: bool
    adopted: tuple[str, ...] = ()
    """The prefixes of blobs outside the root that it adopts: in order, none the beginning of another."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """The fields of each of its secondary indexes, in order of making."""


@dataclass(frozen=True, slots=True)
class DumpHeader:
    """The first line: all volumes of the dump, in the order in which their versions follow."""

    volumes: Sequence[DumpedVolume]


@dataclass(frozen=True, slots=True)
class DumpedVersion:
    """A version, and what became of its content."""

    file: FileVersion
    purging: str = ""
    """The run that is about to purge its content, or has; empty for none."""
    purged: bool = False

    @property
    def live(self) -> bool:
        """Whether it has content, for good."""
        return self.file.kind != "delete" and not self.purging and not self.purged


@dataclass(frozen=True, slots=True)
class DumpEnd:
    """The last line. A dump without it was cut."""

    volumes: int
    paths: int
    versions: int
    sha256: str
    """Of all lines before it, with their line feeds."""


DumpRecord = DumpHeader | DumpedVersion | DumpEnd


def dump_line(record: DumpRecord) -> str:
    """A record as its line, which ends in a line feed."""
    return json.dumps(_object_of(record), ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def _object_of(record: DumpRecord) -> Mapping[str, object]:
    match record:
        case DumpHeader(volumes):
            shown = [_volume_object(each) for each in volumes]
            version = DUMP_VERSION if any(each.indexes for each in volumes) else 1
            return {"record": "header", "format": DUMP_FORMAT, "format_version": version, "volumes": shown}
        case DumpedVersion():
            return _version_object(record)
        case DumpEnd():
            counts = {"volumes": record.volumes, "paths": record.paths, "versions": record.versions}
            return {"record": "end", **counts, "sha256": record.sha256}


def _volume_object(volume: DumpedVolume) -> Mapping[str, object]:
    return {
        "name": volume.name,
        "layout": volume.layout,
        "shards": volume.shards,
        "root": volume.root,
        "created": _stamp(volume.created),
        "default": volume.default,
        "settings": {"indexes": volume.indexes} if volume.indexes else {},
        **({"adopted": volume.adopted} if volume.adopted else {}),
    }


def _version_object(record: DumpedVersion) -> Mapping[str, object]:
    file = record.file
    return {
        "record": "version",
        "volume": file.volume,
        "path": file.path,
        "version": file.version,
        "kind": file.kind,
        "etag": file.etag,
        "size": file.size,
        "digest": file.digest,
        "md5": file.md5,
        "content_type": file.content_type,
        "metadata": {key: _metadata_object(file.metadata[key]) for key in sorted(file.metadata)},
        "created": _stamp(file.created),
        "modified": None if file.modified is None else _stamp(file.modified),
        "writer": file.writer,
        "request_id": file.request_id,
        "chain": file.chain,
        "blob": file.blob,
        "blob_etag": file.blob_etag,
        "blob_version": file.blob_version,
        "source": file.source,
        "purging": record.purging or None,
        "purged": record.purged,
    }


def _metadata_object(value: object) -> object:
    return {"time": _stamp(value)} if isinstance(value, datetime) else value


def _stamp(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


# --- Reading ---------------------------------------------------------------------------------------------------------

_Rule = Callable[[Any], bool]


def parse_dump_line(line: str | bytes) -> DumpRecord:
    """The record of a line. Raises: IntegrityError for what is no line of a dump; InvalidError for a newer format's."""
    try:
        fields = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise _wrong("it is not JSON") from exc
    kind = fields.get("record") if isinstance(fields, dict) else None
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise _wrong("it is no record of a dump: its field record is not header, version or end")
    return parse(_Fields(fields))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _Fields:
    """The fields of an object: each is taken once, and none may be left."""

    def __init__(self, found: object, what: str = "") -> None:
        if not isinstance(found, dict):
            raise _wrong(f"{what} is no object")
        self._left = dict(found)
        self._what = what

    def take(self, name: str, rule: _Rule, says: str) -> Any:
        """The value of a field, for which the rule must hold. Raises: IntegrityError."""
        if name not in self._left:
            raise _wrong(f"{self._what}it has no field {name}")
        value = self._left.pop(name)
        if not rule(value):
            raise _wrong(f"{self._what}{name} is {says}, not {_short(value)}")
        return value

    def may_take(self, name: str, rule: _Rule, says: str) -> Any:
        """As `take`; None where there is no such field."""
        return self.take(name, rule, says) if name in self._left else None

    def end(self) -> None:
        """Raises: IntegrityError for a field that nobody has taken."""
        if self._left:
            raise _wrong(f"{self._what}it has a field {_short(next(iter(self._left)))}, which this format has not")


def _header(fields: _Fields) -> DumpHeader:
    fields.take("record", _is_text, "text")
    fields.take("format", lambda value: value == DUMP_FORMAT, DUMP_FORMAT)
    version = fields.take("format_version", is_whole, "a whole number")
    if version > DUMP_VERSION:
        message = f"the dump was written by a newer blobcat (format {version}, this one knows {DUMP_VERSION}): upgrade"
        raise InvalidError(message, op="load", kind="invalid.newer-dump")
    volumes = fields.take("volumes", lambda value: isinstance(value, list), "a list")
    fields.end()
    return DumpHeader(tuple(_volume(_Fields(each, "a volume: ")) for each in volumes))


def _volume(fields: _Fields) -> DumpedVolume:
    made = DumpedVolume(
        name=fields.take("name", _matching(_NAME), "a volume's name"),
        layout=fields.take("layout", lambda value: value == "immutable", "immutable"),
        shards=fields.take("shards", _passing(check_shards), "a power of two up to 256"),
        root=fields.take("root", _is_root, "a prefix of blobs that ends in /"),
        created=_time(fields.take("created", _is_time, "a time")),
        default=fields.take("default", _is_flag, "true or false"),
    )
    settings = _Fields(fields.take("settings", lambda value: isinstance(value, dict), "an object"), "settings: ")
    indexes = settings.may_take("indexes", _are_indexes, f"1 to {INDEXES_MAX} lists of fields, each there once")
    settings.end()
    rule = f"1 to {PREFIXES_MAX} prefixes of blobs, in order, none the beginning of another"
    adopted = fields.may_take("adopted", _are_prefixes, rule)
    fields.end()
    return replace(made, adopted=tuple(adopted or ()), indexes=tuple(tuple(each) for each in indexes or ()))


def _version(fields: _Fields) -> DumpedVersion:
    fields.take("record", _is_text, "text")
    file = FileVersion(
        volume=fields.take("volume", _matching(_NAME), "a volume's name"),
        path=fields.take("path", _is_path, "a path that a catalog takes"),
        version=fields.take("version", _passing(check_version), "a whole number from 1 up"),
        kind=fields.take("kind", lambda value: value in get_args(Kind), " or ".join(get_args(Kind))),
        etag=fields.take("etag", _matching(_OP), "the id of a write"),
        size=fields.take("size", lambda value: is_whole(value) and 0 <= value <= INT64_MAX, "a number of bytes"),
        digest=fields.take("digest", lambda value: value == "" or _matching(_DIGEST)(value), "a digest"),
        md5=fields.take("md5", _or_null(_matching(_MD5)), "32 hexadecimal digits or null"),
        content_type=fields.take("content_type", _matching(_CONTENT_TYPE), "a content type"),
        metadata=_metadata(fields.take("metadata", lambda value: isinstance(value, dict), "an object")),
        created=_time(fields.take("created", _is_time, "a time")),
        modified=_optional_time(fields.take("modified", _or_null(_is_time), "a time or null")),
        writer=fields.take("writer", _is_short, "a name"),
        request_id=fields.take("request_id", _or_null(_passing(check_request_id)), "a request id or null"),
        chain=fields.take("chain", _matching(_CHAIN), "64 hexadecimal digits"),
        blob=fields.take("blob", lambda value: value == "" or _passing(check_name)(value), "the name of a blob"),
        blob_etag=fields.take("blob_etag", _is_short, "an etag"),
        blob_version=fields.take("blob_version", _or_null(_is_short), "text or null"),
        source=fields.take("source", _or_null(_matching(_SOURCE)), "path@version or null"),
    )
    purging = fields.take("purging", _or_null(_matching(_OP)), "the id of a run or null") or ""
    made = DumpedVersion(file, purging, fields.take("purged", _is_flag, "true or false"))
    fields.end()
    _check_content(made)
    return made


def _check_content(version: DumpedVersion) -> None:
    file = version.file
    if file.kind == "delete":
        if file.blob or file.size or version.purging or version.purged:
            raise _wrong("a delete has no content")
    elif not file.blob:
        raise _wrong(f"blob is empty, and a {file.kind} has content")
    if file.source is not None and not _is_path(file.source.rpartition("@")[0]):
        raise _wrong(f"source is path@version, not {_short(file.source)}")


def _end(fields: _Fields) -> DumpEnd:
    fields.take("record", _is_text, "text")
    made = DumpEnd(
        volumes=fields.take("volumes", is_whole, "a whole number"),
        paths=fields.take("paths", is_whole, "a whole number"),
        versions=fields.take("versions", is_whole, "a whole number"),
        sha256=fields.take("sha256", _matching(_CHAIN), "64 hexadecimal digits"),
    )
    fields.end()
    return made


_PARSERS: Final[Mapping[str, Callable[[_Fields], DumpRecord]]] = {"header": _header, "version": _version, "end": _end}


def _metadata(found: Mapping[str, Any]) -> Metadata:
    values = {key: _metadata_value(key, value) for key, value in found.items()}
    try:
        return check_metadata(values)
    except InvalidError as exc:
        raise _wrong(exc.message) from exc


def _metadata_value(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() != {"time"} or not _is_time(value["time"]):
        raise _wrong(f"metadata {_short(key)} is no value: an object holds a time, and nothing else")
    return _time(value["time"])


# --- Rules -----------------------------------------------------------------------------------------------------------


def _matching(pattern: re.Pattern[str]) -> _Rule:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _or_null(rule: _Rule) -> _Rule:
    return lambda value: value is None or rule(value)


def _passing(check: Callable[[Any], object]) -> _Rule:
    def rule(value: Any) -> bool:
        try:
            check(value)
        except InvalidError:
            return False
        return value is not None

    return rule


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_indexes(value: object) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= INDEXES_MAX:
        return False
    fit = all(isinstance(each, list) and _passing(check_index)(each) for each in value)
    return fit and len({tuple(each) for each in value}) == len(value)


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= TEXT_MAX


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_path(value: Any) -> bool:
    try:
        check_key_length(checked := check_path(value))
    except InvalidError:
        return False
    return bool(checked == value)


def _is_root(value: Any) -> bool:
    return isinstance(value, str) and value.endswith("/") and _passing(check_name)(value[:-1]) and _is_path(value[:-1])


def _are_prefixes(value: Any) -> bool:
    """Whether volumes adopt so: in order of text, where the beginning of another stands just before what it begins."""
    if not isinstance(value, list) or not 1 <= len(value) <= PREFIXES_MAX:
        return False
    return all(map(_passing(check_prefix), value)) and not any(
        one >= other or other.startswith(one) for one, other in pairwise(value)
    )


def _is_time(value: Any) -> bool:
    """Whether it is spelled as we spell it: so that a time is the same bytes again."""
    try:
        return isinstance(value, str) and value.endswith("Z") and _stamp(_time(value)) == value
    except ValueError:
        return False


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def content_prefix(root: str) -> str:
    """What the names of all blobs begin with that a volume has written itself."""
    return f"{root}{RESERVED}/"


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"  # noqa: PLR2004 — a line of a terminal


def _wrong(message: str) -> IntegrityError:
    return IntegrityError(message, op="load", kind="integrity.dump")
