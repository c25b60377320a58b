"""Batches, their answers and pages, beside what the SDK makes of the same; and answers that nobody should believe.

What a real service says of our batches is in `contracts/test_table`, and over a socket in `test_azure_table`.
"""

import email.parser
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast
from urllib.parse import unquote

import pytest
from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import EdmType, EntityProperty, UpdateMode
from azure.data.tables._deserialize import _convert_to_entity
from azure.data.tables.aio import TableClient
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from catalog.rows import Shape, Value, shape
from catalog.table import ANY_ETAG, Delete, Insert, Merge, Operation, Replace
from catalog.table_wire import (
    Failure,
    UnreadableError,
    decoded_batch,
    decoded_entity,
    decoded_page,
    encoded_batch,
    entity_address,
    failure,
)
from catalog.times import microseconds

TABLE = "https://account.table.core.windows.net/table"
KEY = AzureNamedKeyCredential("account", "a2V5")
ETAG = "W/\"datetime'2026-11-20T23%3A49%3A47.5497077Z'\""
OTHER = "W/\"datetime'2026-11-20T23%3A49%3A47.5497078Z'\""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\#?"), max_size=20)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in {"PartitionKey", "RowKey", "Timestamp", "etag"}
)
values = st.dictionaries(
    names,
    texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    max_size=6,
)
etags = st.sampled_from([ANY_ETAG, ETAG])
operations = st.lists(
    st.builds(Insert, keys, values)
    | st.builds(Replace, keys, values, etags)
    | st.builds(Merge, keys, values, etags)
    | st.builds(Delete, keys, etags),
    min_size=1,
    max_size=5,
)

# What is sent.


def shapes(changes: Sequence[Operation]) -> list[Shape]:
    """Of what each writes."""
    return [shape({} if isinstance(change, Delete) else change.values) for change in changes]


class SentError(Exception):
    """Raised in the place of sending."""


class Capture:
    """An azure-core transport that sends nothing."""

    def __init__(self) -> None:
        self.kind, self.body = "", b""

    async def __aenter__(self) -> Self:
        return self

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, request: Any, **_: Any) -> Any:
        content = request.data
        self.kind, self.body = (
            request.headers["Content-Type"],
            content.encode() if isinstance(content, str) else content,
        )
        raise SentError


Understood = tuple[str, str, dict[str, str], dict[str, Any] | None]


def understood(kind: str, body: bytes) -> list[Understood]:
    """The requests in a batch: method, what it is about, headers, and the entity, as a service understands it."""
    outer: Any = email.parser.BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    (changes,) = outer.get_payload()
    assert (outer.get_content_type(), changes.get_content_type()) == ("multipart/mixed", "multipart/mixed")
    assert outer.get_boundary() != changes.get_boundary()
    found = []
    for part in changes.get_payload():
        assert (part["Content-Type"], part["Content-Transfer-Encoding"]) == ("application/http", "binary")
        line, rest = part.get_payload().replace("\r\n", "\n").split("\n", 1)
        request: Any = email.parser.Parser().parsestr(rest)
        method, url, version = line.split(" ")
        assert version == "HTTP/1.1"
        text = request.get_payload()
        entity = json.loads(text) if method != "DELETE" else None
        assert int(request["Content-Length"] or 0) == len(text if entity else "")
        if entity:
            entity = {key: value for key, value in entity.items() if value != "Edm.String" or "@" not in key}
        found.append((method, unquote(url.removeprefix(TABLE)), _headers_that_matter(request), entity))
    return found


def _headers_that_matter(request: Any) -> dict[str, str]:
    """All but those of the whole batch, which the SDK repeats, and our wish for no answer's body (`Prefer`)."""
    of_the_whole = {"x-ms-version", "x-ms-date", "Date", "Content-Length", "Prefer"}
    found = {name: value for name, value in request.items() if name not in of_the_whole}
    return found | {"Accept": found["Accept"].partition(";")[0]}  # how much is told of an entity that nobody asks for


async def of_the_sdk(partition: str, changes: Sequence[Operation]) -> tuple[str, bytes]:
    capture: Any = Capture()
    client = TableClient(TABLE.rpartition("/")[0], "table", credential=KEY, transport=capture, retry_total=0)
    with pytest.raises(SentError):
        await client.submit_transaction([_as_the_sdk_has_it(partition, change) for change in changes])
    return capture.kind, capture.body


def _as_the_sdk_has_it(partition: str, change: Operation) -> Any:
    found: dict[str, Any] = {"PartitionKey": partition, "RowKey": change.row}
    if not isinstance(change, Delete):
        for name, value in change.values.items():
            whole = isinstance(value, int) and not isinstance(value, bool)
            found[name] = EntityProperty(value, EdmType.INT64) if whole else value
    condition: dict[str, Any] = {"match_condition": MatchConditions.Unconditionally}
    if not isinstance(change, Insert) and change.etag != ANY_ETAG:
        condition = {"match_condition": MatchConditions.IfNotModified, "etag": change.etag}
    match change:
        case Insert():
            return "create", found
        case Replace():
            return "update", found, {"mode": UpdateMode.REPLACE, **condition}
        case Merge():
            return "update", found, {"mode": UpdateMode.MERGE, **condition}
        case Delete():
            return "delete", found, condition


@given(partition=keys, changes=operations)
async def test_a_batch_says_what_the_sdks_says(partition: str, changes: list[Operation]) -> None:
    assert understood(*encoded_batch(TABLE, partition, changes, shapes(changes))) == understood(
        *await of_the_sdk(partition, changes)
    )


@given(partition=keys, changes=operations)
def test_nothing_in_a_batch_is_taken_for_its_form(partition: str, changes: list[Operation]) -> None:
    """Lines end in CRLF, and nothing else does; what is not ASCII is escaped."""
    _, body = encoded_batch(TABLE, partition, changes, shapes(changes))
    assert body.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", body)
    assert body.count(b"Content-Type: application/http\r\n") == len(changes)


# What is answered.

DONE = f"HTTP/1.1 204 No Content\r\nCache-Control: no-cache\r\nETag: {ETAG}\r\n\r\n"
DELETED = "HTTP/1.1 204 No Content\r\nCache-Control: no-cache\r\n\r\n"
REFUSED = (
    "HTTP/1.1 412 Precondition Failed\r\nContent-Type: application/json\r\n\r\n"
    '{"odata.error":{"code":"UpdateConditionNotSatisfied","message":{"lang":"en-US","value":"1:no"}}}'
)
KIND = "multipart/mixed; boundary=batchresponse_1"
CHANGES: Sequence[Operation] = [Insert("a", {}), Replace("b", {}), Delete("c")]


def answered(*parts: str) -> bytes:
    head = "--changesetresponse_2\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return (
        "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_2\r\n\r\n"
        + "".join(f"{head}{part}\r\n" for part in parts)
        + "--changesetresponse_2--\r\n--batchresponse_1--\r\n"
    ).encode()


WHOLE = answered(DONE, DONE, DELETED)


def test_an_answer_has_an_etag_for_each_row_that_is_left() -> None:
    assert decoded_batch(KIND, WHOLE, CHANGES) == [ETAG, ETAG, None]


def test_a_refusal_names_its_operation_and_the_services_code() -> None:
    assert decoded_batch(KIND, answered(REFUSED), CHANGES) == Failure(412, "UpdateConditionNotSatisfied", 1)


def test_a_refusal_may_come_without_a_change_set() -> None:
    body = f"--batchresponse_1\r\nContent-Type: application/http\r\n\r\n{REFUSED}\r\n--batchresponse_1--\r\n".encode()
    assert decoded_batch(KIND, body, CHANGES) == Failure(412, "UpdateConditionNotSatisfied", 1)


@pytest.mark.parametrize("body", [WHOLE, answered(REFUSED)], ids=["done", "refused"])
def test_an_answer_that_is_cut_anywhere_proves_nothing(body: bytes) -> None:
    end = len(body) - len("\r\n")  # all that may be missing
    for length in range(end - len("--")):
        with pytest.raises(UnreadableError):
            decoded_batch(KIND, body[:length], CHANGES)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (DONE, DONE),
        (DONE, DONE, DELETED, DELETED),
        (DONE, DELETED, DONE),
        (DELETED, DONE, DONE),
        (DONE, REFUSED, DELETED),
        (DONE, DONE, REFUSED),
        (REFUSED, REFUSED),
        (REFUSED, DONE, DONE),
        (DONE, "", DELETED),
        (DONE, "HTTP/1.1 \r\n\r\n", DELETED),
        (DONE, "HTTP/1.1 2040 Ok\r\n\r\n", DELETED),
        (DONE, "HTTP/9.9 204 Ok\r\n\r\n", DELETED),
        (DONE, "HTTP/1.1 204 No Content\r\nETag:\r\n\r\n", DELETED),
        (DONE, "HTTP/1.1 204 No Content\r\nX: ETag: 1\r\n\r\n", DELETED),
        (DONE, 'HTTP/1.1 200 OK\r\nETag: "1"\r\n\r\n', DELETED),
        (DONE, 'HTTP/1.1 202 Accepted\r\nETag: "1"\r\n\r\n', DELETED),
        (DONE, "HTTP/1.1 204 No Content\r\nETag: *\r\n\r\n", DELETED),
        (DONE, "HTTP/1.1 204 No Content\r\nETag: <html>\r\n\r\n", DELETED),
        (DONE, 'HTTP/1.1 204 No Content\r\nETag: "1"\r\nETag: "2"\r\n\r\n', DELETED),
        (DONE, DONE, "HTTP/1.1 200 OK\r\n\r\n<html>"),
        (DONE, DONE, f"{DELETED}<html>"),
    ],
    ids=str,
)
def test_an_answer_to_other_operations_proves_nothing(parts: Sequence[str]) -> None:
    with pytest.raises(UnreadableError):
        decoded_batch(KIND, answered(*parts), CHANGES)


def test_an_insert_may_be_answered_with_the_entity() -> None:
    made = f'HTTP/1.1 201 Created\r\nETag: {ETAG}\r\n\r\n{{"RowKey":"a"}}'
    assert decoded_batch(KIND, answered(made, DONE, DELETED), CHANGES) == [ETAG, ETAG, None]


@pytest.mark.parametrize(
    "more", [answered(REFUSED), answered(DONE), b"--batchresponse_1\r\n\r\nHTTP/1.1 500 No\r\n\r\n"]
)
def test_an_answer_to_more_than_one_change_set_proves_nothing(more: bytes) -> None:
    first = WHOLE.removesuffix(b"--batchresponse_1--\r\n")
    with pytest.raises(UnreadableError):
        decoded_batch(KIND, first + more.removesuffix(b"--batchresponse_1--\r\n") + b"--batchresponse_1--\r\n", CHANGES)


@pytest.mark.parametrize(
    "kind",
    ["Multipart/Mixed; Boundary=batchresponse_1", 'multipart/mixed;charset=x; boundary="batchresponse_1"; a=b'],
)
def test_a_content_type_has_no_case_and_may_say_more(kind: str) -> None:
    assert decoded_batch(kind, WHOLE, CHANGES) == [ETAG, ETAG, None]


@pytest.mark.parametrize(
    "body",
    [
        b'{"odata.error":{"code":"Code","message":{"lang":"en","value":"7:no"}}}',
        b'\xef\xbb\xbf{"odata.error":{"code":"Code","message":"7:no"}}',
        b'<?xml version="1.0"?><error xmlns="x"><code>Code</code><message xml:lang="en">7:no</message></error>',
        b"\xef\xbb\xbf<m:error><m:code>Code</m:code><m:message>7:no</m:message></m:error>",
    ],
)
def test_an_error_is_told_as_json_or_as_xml(body: bytes) -> None:
    assert failure(409, None, body) == Failure(409, "Code", 7)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"odata.error":5}', b"\xff", b'{"odata.error":{"code":"C"}}']
)
def test_an_error_that_tells_nothing_is_its_status(body: bytes) -> None:
    assert failure(500, None, body).index is None


@pytest.mark.parametrize("kind", ["", "text/html", "multipart/mixed", "multipart/mixed; boundary=", "application/json"])
def test_what_is_said_to_be_no_batch_is_none(kind: str) -> None:
    with pytest.raises(UnreadableError):
        decoded_batch(kind, WHOLE, CHANGES)


@given(data=st.data())
def test_a_hostile_answer_is_a_result_or_unreadable(data: st.DataObject) -> None:
    """Pieces of true answers in any order, and bytes that are none: never another error, and never more than asked."""
    pieces = [WHOLE, answered(REFUSED), *WHOLE.split(b"\r\n"), b"\r\n", b"\r\n\r\n", b"\xff\0", b"--"]
    body = b"".join(data.draw(st.lists(st.sampled_from(pieces) | st.binary(max_size=8), max_size=30)))
    try:
        found = decoded_batch(KIND, body, CHANGES)
    except UnreadableError:
        return
    assert isinstance(found, Failure) or [bool(etag) for etag in found] == [True, True, False]


# What is read.

TIME = "2026-11-20T23:49:47.5497077Z"


def as_the_service_writes(partition: str, row: str, written: Mapping[str, Value]) -> dict[str, Any]:
    found: dict[str, Any] = {"odata.etag": ETAG, "PartitionKey": partition, "RowKey": row, "Timestamp": TIME}
    for name, value in written.items():
        if isinstance(value, int) and not isinstance(value, bool):
            found |= {f"{name}@odata.type": "Edm.Int64", name: str(value)}
        elif isinstance(value, float):
            found |= {f"{name}@odata.type": "Edm.Double", name: value}
        else:
            found[name] = value
    return found


@given(partition=keys, rows=st.lists(st.tuples(keys, values), max_size=4))
def test_a_page_is_read_as_the_sdk_reads_it(partition: str, rows: list[tuple[str, dict[str, Value]]]) -> None:
    items = [as_the_service_writes(partition, row, written) for row, written in rows]
    page = decoded_page(json.dumps({"odata.metadata": "x", "value": items}).encode())
    assert len(page) == len(items)
    for found, item, (_, written) in zip(page, items, rows, strict=True):
        theirs: Any = cast("Any", _convert_to_entity)(item)
        plain = {key: value.value if isinstance(value, EntityProperty) else value for key, value in theirs.items()}
        assert {"PartitionKey": found.partition, "RowKey": found.row, **found.values} == plain
        assert [type(found.values[name]) for name in written] == [type(value) for value in written.values()]
        assert (found.etag, found.timestamp) == (theirs.metadata["etag"], microseconds(theirs.metadata["timestamp"]))


def test_what_others_have_written_is_read_as_it_stands() -> None:
    item = as_the_service_writes("p", "r", {}) | {
        "n": 5,
        "odata.type": "account.table",
        "odata.id": "https://account/table",
        "d@odata.type": "Edm.DateTime",
        "d": "2026-01-01T00:00:00Z",
        "g@odata.type": "Edm.Guid",
        "g": "c9da6455-213d-42c9-9a79-3e9149a57833",
    }
    found = decoded_entity(json.dumps(item).encode())
    assert found.values == {"n": 5, "d": item["d"], "g": item["g"]}


@pytest.mark.parametrize("typed", [{}, {"b@odata.type": "Edm.Int64"}, {"b@odata.type": None}])
def test_what_was_selected_and_is_not_there_may_be_null(typed: dict[str, Any]) -> None:
    """The service says so (github.com/Azure/Azurite/issues/2535); Azurite leaves it out."""
    item = as_the_service_writes("p", "r", {"a": 1, "t": "null"}) | typed | {"b": None}
    (found,) = decoded_page(json.dumps({"value": [item]}).encode())
    assert found.values == {"a": 1, "t": "null"}


def test_an_entity_without_an_etag_has_that_of_its_time() -> None:
    item = as_the_service_writes("p", "r", {})
    del item["odata.etag"]
    assert decoded_entity(json.dumps(item).encode()).etag == ETAG


BROKEN: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "no partition": lambda item: item.pop("PartitionKey"),
    "no row": lambda item: item.pop("RowKey"),
    "no time": lambda item: item.pop("Timestamp"),
    "a time that is none": lambda item: item.update(Timestamp="soon"),
    "a time of another type": lambda item: item.update(Timestamp=5),
    "a row of another type": lambda item: item.update(RowKey=5),
    "no row, said by null": lambda item: item.update(RowKey=None),
    "a type without a value that is known": lambda item: item.update({"b@odata.type": "Edm.Int64", "c": None}),
    "a value that is a list": lambda item: item.update(a=[]),
    "a number that is none": lambda item: item.update({"a@odata.type": "Edm.Int64", "a": "five"}),
    "a number that was written as JSON writes it": lambda item: item.update({"a@odata.type": "Edm.Int64", "a": 1.5}),
    "a type without a value": lambda item: item.update({"b@odata.type": "Edm.Int64"}),
    "an etag of another type": lambda item: item.update({"odata.etag": 5}),
    "a type that is a list": lambda item: item.update({"a@odata.type": [], "a": 1}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_entity_that_is_none_is_unreadable(name: str) -> None:
    item = as_the_service_writes("p", "r", {"a": 1})
    BROKEN[name](item)
    with pytest.raises(UnreadableError):
        decoded_entity(json.dumps(item).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value": 5}', b'{"value": [5]}', b'{"value": [{}]}', b"\xff"])
def test_a_page_that_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        decoded_page(body)


@given(partition=keys, row=keys)
def test_a_row_in_a_url_is_as_the_sdks_transport_would_write_it(partition: str, row: str) -> None:
    address = entity_address("/table", partition, row)
    assert str(URL(address)) == address
    doubled = [key.replace("'", "''") for key in (partition, row)]
    assert unquote(address) == f"/table(PartitionKey='{doubled[0]}',RowKey='{doubled[1]}')"
