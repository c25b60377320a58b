"""How the Table service writes things down: operations as a batch, answers as rows. Pure; no request here.

**A batch** ("Performing entity group transactions") is one POST to `/$batch`: a MIME envelope, and in it one more,
the change set, whose parts are HTTP requests. CRLF ends each line, and a blank one each head:

    --batch_B                                                     the envelope
    Content-Type: multipart/mixed; boundary=changeset_B

    --changeset_B                                                 a part for each operation
    Content-Type: application/http
    Content-Transfer-Encoding: binary

    PUT https://HOST/TABLE(PartitionKey='p',RowKey='r') HTTP/1.1  POST inserts, PUT replaces, PATCH merges, DELETE
    Accept: application/json                                      in which form to tell an error
    Content-Type: application/json
    DataServiceVersion: 3.0
    If-Match: W/"datetime'...'"                                   or *; an insert has none

    {"PartitionKey":"p","RowKey":"r","n":"5","n@odata.type":"Edm.Int64"}
    --changeset_B--
    --batch_B--

**Its answer** is a 202 whatever became of it, built alike: a 204 with an etag for each operation, in order, or else one
part alone, the error of the operation that failed, whose message begins with its index. Nothing of this is taken for
granted: an answer that is shorter, or longer, or no envelope at all proves nothing, and `decoded_batch` says so.

**A page** of a query is JSON, `{"value": [...]}`. A number of 64 bits is text there, with its type beside it, since
JSON's numbers are doubles. All whole numbers are written as such: a filter that compares with an Int64 may not find an
Int32, which is what the service makes of a bare small one.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from secrets import token_hex
from typing import Any, Final
from urllib.parse import quote

import orjson

from .rows import Entity, Shape, Value, Values
from .table import Delete, Insert, Merge, Operation, Replace
from .times import microseconds

_CRLF: Final = b"\r\n"
_PART: Final = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_HEAD: Final = b" HTTP/1.1\r\nAccept: application/json\r\nDataServiceVersion: 3.0\r\n"
_JSON: Final = b"Content-Type: application/json\r\n"
_UNANSWERED: Final = b"Prefer: return-no-content\r\n"  # else the service sends each inserted entity back
_METHODS: Final[Mapping[type, bytes]] = {Replace: b"PUT ", Merge: b"PATCH ", Delete: b"DELETE "}
_PLAIN_IN_URL: Final = "~!$&'()*,;=:@"
_TYPE: Final = "@odata.type"
_MULTIPART: Final = re.compile(r'multipart/mixed;.*?\bboundary="?(?P<boundary>[^";\s]+)"?.*', re.IGNORECASE)
_ETAG: Final = re.compile(rb'(?:W/)?"[^"\s]+"')
_CONTENT_TYPE: Final = re.compile(rb"\r\ncontent-type:[ \t]*([^\r\n]*)", re.IGNORECASE)
_ETAG_LINE: Final = re.compile(rb"\r\n[Ee][Tt][Aa][Gg]:[ \t]*([^\r\n]*)")  # twice as fast as by IGNORECASE
_DONE: Final = frozenset({b"201", b"204"})  # the first, of an insert: with the entity, where nobody hears our wish
_NO_CONTENT: Final = b"204"
_REFUSED: Final = 400
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})(?: |$)")
_XML_CODE: Final = re.compile(rb"<(?:\w+:)?code>([^<]*)<", re.IGNORECASE)
_XML_MESSAGE: Final = re.compile(rb"<(?:\w+:)?message[^>]*>([^<]*)<", re.IGNORECASE)
_INDEX: Final = re.compile(r"(\d{1,3}):")


class UnreadableError(ValueError):
    """An answer that is none: what was asked may have been done, or not."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the service says of a request that it refused, or of a batch as a whole."""

    status: int
    code: str
    index: int | None = None
    """Which operation it blames, where it names one."""


# Requests.


def encoded_batch(
    table_url: str, partition: str, operations: Sequence[Operation], shapes: Sequence[Shape]
) -> tuple[str, bytes]:
    """The content type and the body of a batch. `table_url` is absolute, as in "https://HOST/TABLE".

    `shapes` are those of what each operation writes, as `check_batch` found them.
    """
    mark = token_hex(16).encode()  # nobody can guess it, so no value contains it
    start = b"--changeset_" + mark + _CRLF + _PART
    insert = start + b"POST " + table_url.encode() + _HEAD + _JSON + _UNANSWERED
    entity = f"{table_url}(PartitionKey='{_in_url(partition)}',RowKey='".encode()
    body = bytearray(b"--batch_" + mark + b"\r\nContent-Type: multipart/mixed; boundary=changeset_" + mark + _CRLF * 2)
    for operation, kinds in zip(operations, shapes, strict=True):  # into one buffer: hundreds would cost as much again
        if isinstance(operation, Insert):
            body += insert
        else:
            body += start + _METHODS[type(operation)] + entity + _in_url(operation.row).encode() + b"')" + _HEAD
            body += b"If-Match: " + operation.etag.encode() + _CRLF
            if isinstance(operation, Delete):
                body += _CRLF * 2
                continue
            body += _JSON
        sent = _json(partition, operation.row, operation.values, kinds)
        body += b"Content-Length: %d\r\n\r\n" % len(sent)
        body += sent
        body += _CRLF
    body += b"--changeset_" + mark + b"--\r\n\r\n--batch_" + mark + b"--\r\n"
    return f"multipart/mixed; boundary=batch_{mark.decode()}", bytes(body)


def entity_address(table_url: str, partition: str, row: str) -> str:
    """The url of one row, as the SDK comes to write it: what needs no escape has none, since all of it is signed."""
    return f"{table_url}(PartitionKey='{_in_url(partition, _PLAIN_IN_URL)}',RowKey='{_in_url(row, _PLAIN_IN_URL)}')"


def encoded_table(name: str) -> bytes:
    """The body of a request that makes a table."""
    return orjson.dumps({"TableName": name})


def table_address(account_url: str, name: str = "") -> str:
    """The url of a table as a thing that is made and dropped; without a name, of all of them."""
    return f"{account_url}/Tables('{name}')" if name else f"{account_url}/Tables"


def _in_url(key: str, safe: str = "") -> str:
    return quote(key.replace("'", "''"), safe=safe)


def _json(partition: str, row: str, values: Values, kinds: Shape) -> bytes:
    """An entity. Text and truth values are as JSON has them; a number has its type beside it."""
    found = {**_blank(kinds), **values, "PartitionKey": partition, "RowKey": row}
    for name in kinds.integers:
        found[name] = int.__repr__(values[name])
    for name in kinds.floats:
        found[name] = float(values[name])
    body = orjson.dumps(found)
    # Else escaped, as the SDK does it: Azurite takes U+2028, as it is, for the end of a line.
    return body if body.isascii() else json.dumps(found, separators=(",", ":")).encode()


@lru_cache(maxsize=1024)
def _blank(kinds: Shape) -> dict[str, object]:
    """An entity without its values, which keeps each type behind its value."""
    types = dict.fromkeys(kinds.integers, "Edm.Int64") | dict.fromkeys(kinds.floats, "Edm.Double")
    blank: dict[str, object] = {"PartitionKey": "", "RowKey": ""}
    for name in kinds.names:
        blank[name] = ""
        if name in types:
            blank[name + _TYPE] = types[name]
    return blank


# Answers.


def decoded_batch(content_type: str, body: bytes, operations: Sequence[Operation]) -> list[str | None] | Failure:
    """The etag of each operation, None of a deleted row; or why none was applied.

    Raises: UnreadableError, for whatever is not an answer to exactly these operations.
    """
    results = [_result(part) for part in _changes(content_type, body)]
    if len(results) == 1 and isinstance(failure := results[0], Failure):
        return failure
    if len(results) != len(operations):
        raise UnreadableError(f"it answers for {len(results)} of {len(operations)} operations")
    etags: list[str | None] = []
    for operation, result in zip(operations, results, strict=True):
        if isinstance(result, Failure):
            raise UnreadableError("it says of one operation that it failed, and of others that they did not")
        if not result and not isinstance(operation, Delete):
            raise UnreadableError("it lacks an etag")
        etags.append(None if isinstance(operation, Delete) else result)
    return etags


def failure(status: int, header: str | None, body: bytes) -> Failure:
    """What a refusal says: its code in the header, else in the body, as batches have it."""
    code, message = _told(body)
    index = _INDEX.match(message)
    return Failure(status, header or code, int(index[1]) if index else None)


def decoded_entity(body: bytes) -> Entity:
    """The row that an answer to GET is. Raises: UnreadableError."""
    return next(_entities([_loaded(body)], body))


def decoded_page(body: bytes) -> list[Entity]:
    """The rows of a page. Raises: UnreadableError."""
    found = _loaded(body).get("value")
    if not isinstance(found, list):
        raise UnreadableError("it is no page of a query")
    return list(_entities(found, body))


def etag_time(etag: str) -> int | None:
    """The row's timestamp in µs, where its etag is one: the service's are, though it promises nothing."""
    text = etag.removeprefix("W/\"datetime'").removesuffix("'\"").replace("%3A", ":")
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else microseconds(time)


def _changes(content_type: str, body: bytes) -> list[bytes]:
    """The parts of the change set in a batch's answer; the only part, where it has none."""
    part, *more = _parts(content_type, body, at_least=1)
    if more:
        raise UnreadableError("it answers for more than one change set")
    head, _, inner = part.partition(_CRLF * 2)
    kind = _header(_CRLF + head, _CONTENT_TYPE).decode("latin-1")
    return [part] if kind.startswith("application/http") else _parts(kind, inner)


def _parts(content_type: str, body: bytes, *, at_least: int = 0) -> list[bytes]:
    """The parts of a MIME envelope, which must have its end."""
    kind = _MULTIPART.fullmatch(content_type)
    if not kind:
        raise UnreadableError("it is no batch")
    fence = b"--" + kind["boundary"].encode("latin-1")
    before, *parts = (_CRLF + body).split(_CRLF + fence)
    if before or not parts or not parts[-1].startswith(b"--") or len(parts) <= at_least:
        raise UnreadableError("it is cut")
    if not all(part.startswith(_CRLF) for part in parts[:-1]):
        raise UnreadableError("it is no batch")
    return [part.removeprefix(_CRLF) for part in parts[:-1]]


def _result(part: bytes) -> str | Failure:
    """The etag, or "", of an operation that was carried out; or why it was not."""
    _mime, _, answer = part.partition(_CRLF * 2)
    head, end, body = answer.partition(_CRLF * 2)
    said = _STATUS.match(head)
    if not said or not end:
        raise UnreadableError("a part of it is no answer")
    if said[1] in _DONE:
        etag = _header(head, _ETAG_LINE)
        if (body.strip() and said[1] == _NO_CONTENT) or (etag and not _ETAG.fullmatch(etag)):
            raise UnreadableError("a part of it is no answer to a change")
        return etag.decode("latin-1")
    status = int(said[1])
    if status < _REFUSED:
        raise UnreadableError("a part of it is no answer to a change")
    return failure(status, None, body)


def _header(head: bytes, named: "re.Pattern[bytes]") -> bytes:
    """A header's value; empty where there is none. A head begins with another line."""
    values = named.findall(head)
    if len(values) > 1:
        raise UnreadableError("it says a thing twice")
    return bytes(values[0]).rstrip() if values else b""


def _told(body: bytes) -> tuple[str, str]:
    """The code and the message of an error; "" for what is not there."""
    if body.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<"):
        return _first(_XML_CODE, body), _first(_XML_MESSAGE, body)
    try:
        error = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))["odata.error"]
        message = error.get("message", "")
        return str(error["code"]), str(message.get("value", "") if isinstance(message, dict) else message)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", ""


def _first(sought: "re.Pattern[bytes]", body: bytes) -> str:
    found = sought.search(body)
    return found[1].decode("utf-8", "replace") if found else ""


def _loaded(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except ValueError as exc:
        raise UnreadableError("it is no JSON") from exc
    if not isinstance(found, dict):
        raise UnreadableError("it is no object")
    return found


_CONVERTED: Final[Mapping[str, Callable[[Any], Value]]] = {"Edm.Int32": int, "Edm.Double": float}
_PLAIN: Final = frozenset({str, bool, int, float})


def _entities(items: Sequence[dict[str, Any]], body: bytes) -> Iterator[Entity]:
    """Rows from JSON."""
    lacking = b"null" in body
    for item in items:
        try:
            yield _entity(_known_of(item) if lacking else item)
        except (LookupError, TypeError, ValueError, AttributeError) as exc:
            raise UnreadableError("it has an entity that is none") from exc


def _known_of(item: dict[str, Any]) -> dict[str, Any]:
    """What an item tells: null is said of what was selected, and the row lacks. Azurite leaves it out."""
    return {
        name: value
        for name, value in item.items()
        if value is not None and item.get(name.removesuffix(_TYPE), 0) is not None
    }


def _entity(item: dict[str, Any]) -> Entity:
    """A row; what is left of the item when all else is taken from it are its values."""
    typed, others = _marks(tuple(item))
    for name, mark in typed:
        kind = item.pop(mark)
        if kind == "Edm.Int64":  # nearly all of them are
            item[name] = int(item[name], 10)  # with a base it takes text, and nothing else
        elif convert := _CONVERTED.get(kind):  # what has another type is by others: it stays the text that it is
            item[name] = convert(item[name])
    partition, row, time = item.pop("PartitionKey"), item.pop("RowKey"), item.pop("Timestamp")
    etag = item.pop("odata.etag", None) or f"W/\"datetime'{quote(time)}'\""
    for mark in others:
        del item[mark]
    if not _PLAIN.issuperset(map(type, item.values())) or not type(partition) is type(row) is type(etag) is str:
        raise TypeError
    return Entity(partition, row, item, etag, microseconds(datetime.fromisoformat(time)))


@lru_cache(maxsize=1024)
def _marks(names: tuple[str, ...]) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
    """Which of the names in an entity tell a type, each behind the name that it is of; and which tell anything else.

    Nearly all rows of a table have one of few sets of names.
    """
    typed = [(name.removesuffix(_TYPE), name) for name in names if name.endswith(_TYPE)]
    others = [name for name in names if ("@" in name or "." in name) and not name.endswith(_TYPE)]
    return typed, [name for name in others if name != "odata.etag"]
