"""What the null server says: answers of Azure Storage, made before anybody asks. Pure; no I/O, and nothing is kept.

Their shape is a real head row's, from `catalog.columns`; how rows are written down is told here again, so that the
client is not measured against its own encoder.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from catalog import FileVersion, VolumeInfo
from catalog.columns import head_values, registry_values, volume_values
from catalog.entities import Registry
from catalog.keys import head_row, partition
from catalog.rows import Value

VOLUME: Final = "bench"
SHARDS: Final = 16
PAGE_ROWS: Final = 1_000
EPOCH: Final = "01M7Z2T30SH6Q510PTV5XV310J"
SMALL: Final = bytes(1_000)
"""The content of a blob whose name says no size."""
LISTED: Final = 1_000
"""Blobs of a listing."""

_TIME: Final = datetime(2026, 11, 21, 12, 44, 23, 875459, tzinfo=UTC)
_STAMP: Final = "2026-11-21T12:44:23.8754594Z"
_ETAG: Final = "W/\"datetime'2026-11-21T12%3A44%3A23.8754594Z'\""
_COMMON: Final = (
    "x-ms-request-id: 8d1ccd1f-e002-0000-0000-5b1a3d000000\r\nx-ms-version: 2021-12-02\r\nServer: Null/1.0\r\n"
)
_DATED: Final = "Date: Sat, 21 Nov 2026 12:44:23 GMT\r\n"
_BLOB: Final = 'ETag: "0x8DC0FFEE0DDF00D"\r\nLast-Modified: Sat, 21 Nov 2026 12:44:23 GMT\r\n'
_JSON: Final = "Content-Type: application/json;odata=minimalmetadata;streaming=true;charset=utf-8\r\n"


def file(number: int) -> FileVersion:
    """A file as an ingest makes it: the columns that all have, and two of the user's."""
    path = f"2026/11/d{number // 100:04}/measurement-{number:07}.csv"
    return FileVersion(
        volume=VOLUME,
        path=path,
        version=1,
        kind="put",
        etag=EPOCH,
        size=12_345 + number,
        digest=f"sha256:{number:064x}",
        md5=f"{number:032x}",
        content_type="text/csv",
        metadata={"owner": "ops", "day": number % 365},
        created=_TIME,
        modified=_TIME,
        writer="ingest@worker-07:4711",
        request_id=None,
        chain=f"{number:064x}",
        blob=f"{VOLUME}/.versions/{path}~{EPOCH}",
        blob_etag="0x8DC0FFEE0DDF00D",
        blob_version=None,
    )


def answer(status: str, headers: str = "", body: bytes = b"", *, size: int | None = None) -> bytes:
    """An answer, whole; or its head, of a body of `size` bytes that follows."""
    length = f"Content-Length: {len(body) if size is None else size}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{_COMMON}{_DATED}{headers}\r\n".encode() + body


@cache
def batch(operations: int) -> bytes:
    """The answer to a transaction of so many operations, all applied."""
    mark = "batchresponse_0d1ab7a4-29e8-4b4c-9c1b-5b7c5b1c7f2d"
    change = mark.replace("batch", "changeset")
    part = (
        f"--{change}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        "HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n"
        "Preference-Applied: return-no-content\r\nDataServiceVersion: 3.0;\r\n"
        f"ETag: {_ETAG}\r\n\r\n\r\n"
    )
    body = f"--{mark}\r\nContent-Type: multipart/mixed; boundary={change}\r\n\r\n{part * operations}"
    body += f"--{change}--\r\n--{mark}--\r\n"
    return answer("202 Accepted", f"Content-Type: multipart/mixed; boundary={mark}\r\n", body.encode())


@cache
def page(number: int, *, last: bool) -> bytes:
    """A page of heads. All shards have the same: pages are made once, and nobody asks in which shard a path is."""
    first = number * PAGE_ROWS
    rows = [entity(partition(EPOCH, 0), *_head(each)) for each in range(first, first + PAGE_ROWS)]
    more = "" if last else f"x-ms-continuation-NextPartitionKey: p\r\nx-ms-continuation-NextRowKey: {number + 1}\r\n"
    return answer("200 OK", _JSON + more, _page(rows))


@cache
def no_rows() -> bytes:
    """A page with nothing, and the last."""
    return answer("200 OK", _JSON, _page([]))


@cache
def row(kind: str) -> bytes:
    """One row: of the catalog ("c"), its volume ("v"), or a head ("h")."""
    volume = VolumeInfo(VOLUME, EPOCH, "immutable", SHARDS, f"{VOLUME}/", 1, _TIME, default=True)
    match kind:
        case "c":
            found = entity("~", "c", registry_values(Registry(VOLUME)))
        case "v":
            found = entity("~", f"v{VOLUME}", volume_values(volume))
        case _:
            found = entity(partition(EPOCH, 0), *_head(0))
    return answer("200 OK", f"{_JSON}ETag: {_ETAG}\r\n", json.dumps(found).encode())


def entity(partition_key: str, row_key: str, values: Mapping[str, Value]) -> dict[str, Any]:
    """A row as the Table service writes it."""
    found: dict[str, Any] = {
        "odata.etag": _ETAG, "PartitionKey": partition_key, "RowKey": row_key, "Timestamp": _STAMP,
    }  # fmt: skip
    for name, value in values.items():
        if isinstance(value, int) and not isinstance(value, bool):
            found |= {f"{name}@odata.type": "Edm.Int64", name: f"{value}"}
        else:
            found[name] = value
    return found


MADE: Final = answer("201 Created", f"{_BLOB}x-ms-request-server-encrypted: true\r\n")
GONE: Final = answer("202 Accepted")
CHANGED: Final = answer("204 No Content", f"ETag: {_ETAG}\r\nDataServiceVersion: 3.0;\r\n").replace(
    b"Content-Length: 0\r\n", b""
)
NO_ROW: Final = answer(
    "404 Not Found",
    f"{_JSON}x-ms-error-code: ResourceNotFound\r\n",
    b'{"odata.error":{"code":"ResourceNotFound","message":{"lang":"en-US","value":"There is no such row."}}}',
)


def blob_head(size: int, span: tuple[int, int] | None) -> bytes:
    """The head of an answer to GET or HEAD of a blob, or of a span of it."""
    headers = f"{_BLOB}Content-Type: application/octet-stream\r\nx-ms-blob-type: BlockBlob\r\nAccept-Ranges: bytes\r\n"
    headers += "x-ms-server-encrypted: true\r\nx-ms-creation-time: Sat, 21 Nov 2026 12:44:23 GMT\r\n"
    if span is None:
        return answer("200 OK", headers, size=size)
    first, last = span
    return answer(
        "206 Partial Content", f"{headers}Content-Range: bytes {first}-{last}/{size}\r\n", size=last - first + 1
    )


@cache
def listing() -> bytes:
    """A page of blobs, the last."""
    blobs = "".join(
        f"<Blob><Name>{each.blob}</Name><Properties><Creation-Time>Sat, 21 Nov 2026 12:44:23 GMT</Creation-Time>"
        "<Last-Modified>Sat, 21 Nov 2026 12:44:23 GMT</Last-Modified><Etag>0x8DC0FFEE0DDF00D</Etag>"
        f"<Content-Length>{each.size}</Content-Length><Content-Type>text/csv</Content-Type><Content-Encoding />"
        f"<Content-MD5>{b64encode(bytes(16)).decode()}</Content-MD5><BlobType>BlockBlob</BlobType>"
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted>"
        f"</Properties><Metadata><op>{each.etag}</op></Metadata></Blob>"
        for each in map(file, range(LISTED))
    )
    head, end = '<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>', "</Blobs><NextMarker />"
    body = f"{head}{blobs}{end}</EnumerationResults>"
    return answer("200 OK", "Content-Type: application/xml\r\n", body.encode())


def _head(number: int) -> tuple[str, dict[str, Value]]:
    made = file(number)
    return head_row(made.path), head_values(made)


def _page(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"odata.metadata": "http://null/$metadata#bench", "value": rows}).encode()
