"""What AzureTable makes of answers that Azurite never gives. What all tables do is in `contracts/test_table`.

A server on loopback gives the answers; it has no opinion of the requests, and remembers them.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableClient
from yarl import URL

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME
from catalog.azure_table import AzureTable, check_table_name, table_client
from catalog.errors import (
    AccessDeniedError,
    CatalogError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
)
from catalog.filters import All, Comparison, Condition
from catalog.keys import RowRange
from catalog.rows import Value
from catalog.table import (
    PAGE_ROWS,
    Delete,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
    total_bytes,
)
from catalog.table_wire import etag_time
from storage.azure_transport import transport

P = "p"
ALL = RowRange("a", "z")
ETAG = "W/\"datetime'2026-11-20T23%3A49%3A47.5497077Z'\""
SAS = "sv=2019-02-02&sig=CANARY%3D"
KEY = AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)


class Server:
    """Answers request after request with the given bytes, the last of them for ever; hangs up after each."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._server: asyncio.Server | None = None
        self.requests: list[str] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next((line[15:] for line in head.splitlines() if line.lower().startswith("content-length:")), "0")
            self.requests.append(head + (await reader.readexactly(int(length))).decode())
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            writer.write(answer.replace(b"SERVER", self.url.encode()))
            await writer.drain()


def answer(status: str, body: str = "", *headers: str, kind: str = "application/json") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *headers,
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def error(status: str, code: str, message: str = "no") -> bytes:
    return answer(status, _error_body(code, message))


def _error_body(code: str, message: str) -> str:
    return f'{{"odata.error":{{"code":"{code}","message":{{"lang":"en","value":"{message}"}}}}}}'


def done(etag: str = ETAG) -> str:
    """What a batch's answer says of one operation that was carried out."""
    return f"HTTP/1.1 204 No Content\r\nETag: {etag}\r\n\r\n"


def failed(status: str, code: str, message: str = "0:no") -> str:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n{_error_body(code, message)}"


def batch(*parts: str) -> bytes:
    inner = "".join(
        f"--changeset\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{part}\r\n"
        for part in parts
    )
    body = f"--batch\r\nContent-Type: multipart/mixed; boundary=changeset\r\n\r\n{inner}--changeset--\r\n--batch--\r\n"
    return answer("202 Accepted", body, kind="multipart/mixed; boundary=batch")


def entities(*rows: str, headers: Sequence[str] = ()) -> bytes:
    found = [
        f'{{"odata.etag":"e","PartitionKey":"p","RowKey":"{row}","Timestamp":"2026-11-20T23:49:47.5497077Z"}}'
        for row in rows
    ]
    return answer("200 OK", f'{{"value":[{",".join(found)}]}}', *headers)


@pytest.fixture
async def opened() -> AsyncIterator[list[AzureTable]]:
    tables: list[AzureTable] = []
    yield tables
    for table in tables:
        await table.close()


def table_at(url: str, opened: list[AzureTable]) -> AzureTable:
    table = AzureTable(table_client(url, "table", KEY, transport=transport(read_timeout_s=5)))
    opened.append(table)
    return table


async def names(table: AzureTable, where: Condition | None = None, select: Sequence[str] | None = None) -> list[str]:
    return [entity.row async for page in table.query(P, ALL, where=where, select=select) for entity in page]


BEFORE_IT_IS_DONE: dict[str, tuple[bytes, type[CatalogError]]] = {
    "400": (error("400 Bad Request", "InvalidInput"), InvalidError),
    "401": (error("401 Unauthorized", "InvalidAuthenticationInfo"), AccessDeniedError),
    "403": (error("403 Forbidden", "AuthorizationPermissionMismatch"), AccessDeniedError),
    "403 signature": (error("403 Forbidden", "AuthenticationFailed"), AccessDeniedError),
    "404 table": (error("404 Not Found", "TableNotFound"), NotFoundError),
    "404 of nobody": (answer("404 Not Found", "<html>", kind="text/html"), NotFoundError),
    "413": (error("413 Too Large", "RequestBodyTooLarge"), TooLargeError),
    "inner 400": (batch(failed("400 Bad Request", "InvalidInput")), InvalidError),
    "inner 403": (batch(failed("403 Forbidden", "AuthorizationFailure")), AccessDeniedError),
    "inner 404 table": (batch(failed("404 Not Found", "TableNotFound")), NotFoundError),
    "inner 409 table": (batch(failed("409 Conflict", "TableBeingDeleted")), UnavailableError),
    "inner 413": (batch(failed("413 Too Large", "RequestBodyTooLarge")), TooLargeError),
}

UNKNOWN: dict[str, bytes] = {
    "500": error("500 Internal Server Error", "InternalError"),
    "500 time-out": error("500 Internal Server Error", "OperationTimedOut"),
    "502 of a proxy": answer("502 Bad Gateway", "<html>", kind="text/html"),
    "503": error("503 Server Busy", "ServerBusy"),
    "408": answer("408 Request Timeout"),
    "429": answer("429 Too Many Requests", "", "Retry-After: 86400"),
    "redirect": answer("307 Temporary Redirect", "", "Location: SERVER/elsewhere"),
    "200 in the place of 202": answer("200 OK", "{}"),
    "inner 500": batch(failed("500 Internal Server Error", "InternalError")),
    "inner 503": batch(failed("503 Server Busy", "ServerBusy")),
    "inner redirect": batch("HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\n\r\n"),
    "no parts": answer("202 Accepted", "--batch--\r\n", kind="multipart/mixed; boundary=batch"),
    "no results": batch(),
    "one result of two": batch(done()),
    "three results of two": batch(done(), done(), done()),
    "a result without etag": batch(done(), "HTTP/1.1 204 No Content\r\n\r\n"),
    "a result that is no HTTP": batch(done(), "Hello\r\n\r\n"),
    "an empty body": answer("202 Accepted"),
    "garbage": answer("202 Accepted", "\0\1\2", kind="application/octet-stream"),
    "garbage said to be a batch": answer("202 Accepted", "\0\1\2", kind="multipart/mixed; boundary=batch"),
    "half a body": batch(done(), done())[:-150],
    "half the headers": b"HTTP/1.1 202 Acc",
    "nothing": b"",
}

TWO: Sequence[Operation] = [Insert("r", {"a": 1}), Insert("s", {})]


# Writes.


@pytest.mark.parametrize("name", BEFORE_IT_IS_DONE)
async def test_a_refusal_of_the_request_is_definite(name: str, opened: list[AzureTable]) -> None:
    said, expected = BEFORE_IT_IS_DONE[name]
    async with Server(said) as server:
        with pytest.raises(expected) as raised:
            await table_at(server.url, opened).submit(P, TWO)
    assert not isinstance(raised.value, RefusedError)


@pytest.mark.parametrize("said", [error("500 Broken", "InternalError"), batch(failed("500 Broken", "InternalError"))])
async def test_what_fails_names_the_request_for_the_services_support(said: bytes, opened: list[AzureTable]) -> None:
    told = said.replace(b"\r\n", b"\r\nx-ms-request-id: 8f2c1a34-701e-0007\r\n", 1)
    async with Server(told) as server:
        with pytest.raises(OutcomeUnknownError, match=r"500 InternalError \(request 8f2c1a34-701e-0007\)"):
            await table_at(server.url, opened).submit(P, TWO)


@pytest.mark.parametrize("name", UNKNOWN)
async def test_everything_else_leaves_the_outcome_unknown(name: str, opened: list[AzureTable]) -> None:
    async with Server(UNKNOWN[name]) as server:
        with pytest.raises(OutcomeUnknownError):
            await table_at(server.url, opened).submit(P, TWO)


@pytest.mark.parametrize("name", [*BEFORE_IT_IS_DONE, *UNKNOWN])
async def test_a_write_is_sent_once(name: str, opened: list[AzureTable]) -> None:
    said = {**UNKNOWN, **{each: pair[0] for each, pair in BEFORE_IT_IS_DONE.items()}}[name]
    async with Server(said) as server:
        with pytest.raises(CatalogError):
            await table_at(server.url, opened).submit(P, TWO)
        assert [request.split(" ")[0] for request in server.requests] == ["POST"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("404 Not Found", "ResourceNotFound"),
        ("404 Not Found", "EntityNotFound"),
        ("409 Conflict", "EntityAlreadyExists"),
        ("412 Precondition Failed", "UpdateConditionNotSatisfied"),
        ("412 Precondition Failed", "ConditionNotMet"),
    ],
)
async def test_a_refusal_of_a_row_names_it(status: str, code: str, opened: list[AzureTable]) -> None:
    async with Server(batch(failed(status, code, "1:no"))) as server:
        with pytest.raises(RefusedError) as raised:
            await table_at(server.url, opened).submit(P, TWO)
    assert (raised.value.index, raised.value.key) == (1, "s")


@pytest.mark.parametrize("message", ["no", "7:no", "-1:no", ":no", ""])
async def test_an_index_that_the_service_did_not_give_is_none(message: str, opened: list[AzureTable]) -> None:
    async with Server(batch(failed("409 Conflict", "EntityAlreadyExists", message))) as server:
        with pytest.raises(RefusedError) as raised:
            await table_at(server.url, opened).submit(P, TWO)
    assert raised.value.index is None


async def test_success_is_an_etag_for_each_operation(opened: list[AzureTable]) -> None:
    async with Server(batch(done('W/"one"'), done(ETAG))) as server:
        written = await table_at(server.url, opened).submit(P, TWO)
    assert [(each.etag, each.timestamp) for each in written] == [('W/"one"', None), (ETAG, 1795218587549707)]


@pytest.mark.parametrize("operation", [Insert("r", {}), Replace("r", {}), Merge("r", {}), Delete("r")])
async def test_also_one_operation_is_a_post(operation: Operation, opened: list[AzureTable]) -> None:
    """On a lost connection, aiohttp repeats PUT and DELETE by itself, and never POST."""
    async with Server(batch(done())) as server:
        await table_at(server.url, opened).submit(P, [operation])
        assert server.requests[0].startswith("POST /$batch ")


async def test_whole_numbers_are_int64_however_small(opened: list[AzureTable]) -> None:
    async with Server(batch(done())) as server:
        await table_at(server.url, opened).submit(P, [Insert("r", {"a": 1})])
        assert '"a":"1","a@odata.type":"Edm.Int64"' in server.requests[0]


@pytest.mark.parametrize("operation", [Replace("r", {}), Merge("r", {}), Delete("r")])
async def test_a_change_always_has_a_condition(operation: Operation, opened: list[AzureTable]) -> None:
    """Without one, PUT and PATCH would make a row that is not there."""
    async with Server(batch(done())) as server:
        await table_at(server.url, opened).submit(P, [operation])
        assert "\r\nIf-Match: *\r\n" in server.requests[0]


async def test_what_is_over_a_limit_sends_nothing(opened: list[AzureTable]) -> None:
    async with Server(b"") as server:
        with pytest.raises(TooLargeError):
            await table_at(server.url, opened).submit(P, [Insert(f"{number}", {}) for number in range(101)])
        assert server.requests == []


async def test_a_write_that_nobody_received_is_unavailable(opened: list[AzureTable]) -> None:
    async with Server(b"") as server:
        url = server.url
    with pytest.raises(UnavailableError):
        await table_at(url, opened).submit(P, TWO)


WIDE: dict[str, Value] = {
    "a": "中" * 1000,
    "b": "\x01" * 1000,
    "é" * 20: 2**62,
    "c": True,
    "d": -1.5e-300,
    "e": "😀" * 500,
}


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("kind", ["insert", "replace", "merge", "delete"])
async def test_a_body_is_no_larger_than_it_is_counted(kind: str, size: int, opened: list[AzureTable]) -> None:
    rows = [f"{number:03}{'中' * 509}" for number in range(size)]
    changes: dict[str, Callable[[str], Operation]] = {
        "insert": lambda row: Insert(row, WIDE),
        "replace": lambda row: Replace(row, WIDE, ETAG),
        "merge": lambda row: Merge(row, WIDE, ETAG),
        "delete": lambda row: Delete(row, ETAG),
    }
    operations = [changes[kind](row) for row in rows]
    async with Server(batch(*([done()] * size))) as server:
        await table_at(server.url, opened).submit("中" * 512, operations)
        assert len(server.requests[0].encode()) <= total_bytes("中" * 512, operations) + 1024


# Reads.

UNREADABLE: dict[str, bytes] = {
    **{name: UNKNOWN[name] for name in ("500", "502 of a proxy", "503", "408", "429", "redirect", "nothing")},
    "garbage": answer("200 OK", "\0\1\2"),
    "no entity": answer("200 OK", "[]"),
    "an entity of nothing": answer("200 OK", '{"value":[{}]}'),
    "an entity without timestamp": answer("200 OK", '{"RowKey":"r","value":[{"RowKey":"r","PartitionKey":"p"}]}'),
    "half a body": entities("r")[:-10],
    "an empty body": answer("200 OK"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_row_that_cannot_be_read_is_unavailable(name: str, opened: list[AzureTable]) -> None:
    async with Server(UNREADABLE[name]) as server:
        with pytest.raises(UnavailableError):
            await table_at(server.url, opened).get(P, "r")


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_page_that_cannot_be_read_is_unavailable(name: str, opened: list[AzureTable]) -> None:
    async with Server(UNREADABLE[name]) as server:
        with pytest.raises(UnavailableError):
            await names(table_at(server.url, opened))


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_read_is_sent_once(name: str, opened: list[AzureTable]) -> None:
    async with Server(UNREADABLE[name]) as server:
        with pytest.raises(UnavailableError):
            await table_at(server.url, opened).get(P, "r")
        assert len(server.requests) == 1


async def test_a_row_is_absent_if_the_service_says_so(opened: list[AzureTable]) -> None:
    async with Server(error("404 Not Found", "ResourceNotFound")) as server:
        assert await table_at(server.url, opened).get(P, "r") is None


@pytest.mark.parametrize("code", ["TableNotFound", "AccountNotFound", "", "<html>"])
async def test_no_other_404_makes_a_row_absent(code: str, opened: list[AzureTable]) -> None:
    """A write is resolved by what is absent: a proxy's word is not the service's."""
    async with Server(error("404 Not Found", code)) as server:
        with pytest.raises(NotFoundError):
            await table_at(server.url, opened).get(P, "r")


async def test_a_read_without_permission_is_access_denied(opened: list[AzureTable]) -> None:
    async with Server(error("403 Forbidden", "AuthorizationPermissionMismatch")) as server:
        with pytest.raises(AccessDeniedError):
            await names(table_at(server.url, opened))


async def test_a_page_may_be_empty_and_not_the_last(opened: list[AzureTable]) -> None:
    more = ("x-ms-continuation-NextPartitionKey: 1!4!cA--", "x-ms-continuation-NextRowKey: 1!4!cg--")
    async with Server(entities(headers=more), entities("b"), entities()) as server:
        assert await names(table_at(server.url, opened)) == ["b"]


async def test_a_continuation_may_lack_its_row(opened: list[AzureTable]) -> None:
    more = ("x-ms-continuation-NextPartitionKey: 1!4!cA--",)
    async with Server(entities("b", headers=more), entities("c")) as server:
        assert await names(table_at(server.url, opened)) == ["b", "c"]
        assert query_of(server.requests[1])["NextPartitionKey"] == "1!4!cA--"


async def test_a_page_that_fails_in_the_middle_is_unavailable(opened: list[AzureTable]) -> None:
    more = ("x-ms-continuation-NextPartitionKey: 1!4!cA--",)
    async with Server(entities("b", headers=more), UNKNOWN["503"]) as server:
        pages = table_at(server.url, opened).query(P, ALL)
        seen = [entity.row for entity in await anext(pages)]
        with pytest.raises(UnavailableError):
            await anext(pages)
    assert seen == ["b"]


# What a query asks for.


def query_of(request: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.split(" ")[1]).query).items()}


@pytest.mark.parametrize(
    ("where", "path", "expected"),
    [
        (None, "", ""),
        (Comparison("size", ">", 5), "", " and size gt 5L"),
        (Comparison("m_a", "==", "it's"), "", " and m_a eq 'it''s'"),
        (Comparison("m_a", "!=", True), "", " and m_a ne true"),
        (Comparison("m_a", ">", 0.5), "", " and ((m_a ge 0L or m_a ge 0.499999999999995))"),
        (Comparison("m_a", ">", 0.5), f"/{ACCOUNT_NAME}", " and (m_a ge 0.499999999999995)"),
    ],
)
async def test_a_condition_goes_beside_the_keys(
    where: Condition | None, path: str, expected: str, opened: list[AzureTable]
) -> None:
    async with Server(entities()) as server:
        await names(table_at(server.url + path, opened), where)
        keys = "PartitionKey eq 'p' and RowKey ge 'a' and RowKey lt 'z'"
        assert query_of(server.requests[0])["$filter"] == keys + expected


async def test_a_query_keeps_to_fifteen_comparisons(opened: list[AzureTable]) -> None:
    where = All(tuple(Comparison(f"m_{number}", "==", "x") for number in range(40)))
    async with Server(entities()) as server:
        await names(table_at(server.url, opened), where)
        text = query_of(server.requests[0])["$filter"]
    assert sum(text.count(operator) for operator in (" eq ", " ge ", " lt ")) == 15


@pytest.mark.parametrize("literal", ["x" * 30_000, "中" * 2_000, "'" * 4_000, 1e-300])
async def test_a_query_keeps_to_eight_kilobytes(literal: Value, opened: list[AzureTable]) -> None:
    where = All(tuple(Comparison(f"m_{number}", "==", literal) for number in range(6)))
    async with Server(entities()) as server:
        await names(table_at(server.url, opened), where, [f"m_{number:030}" for number in range(50)])
        assert len(server.requests[0].split(" ")[1]) < 8192


async def test_select_asks_for_the_keys_too(opened: list[AzureTable]) -> None:
    async with Server(entities()) as server:
        await names(table_at(server.url, opened), select=["a", "b"])
        assert query_of(server.requests[0])["$select"] == "PartitionKey,RowKey,Timestamp,a,b"


# The table itself.


async def test_create_takes_it_as_it_is(opened: list[AzureTable]) -> None:
    async with Server(error("409 Conflict", "TableAlreadyExists")) as server:
        await table_at(server.url, opened).create()


async def test_create_while_it_is_being_deleted_is_unavailable(opened: list[AzureTable]) -> None:
    async with Server(error("409 Conflict", "TableBeingDeleted")) as server:
        with pytest.raises(UnavailableError):
            await table_at(server.url, opened).create()


@pytest.mark.parametrize("code", ["TableNotFound", "ResourceNotFound"])
async def test_what_is_not_there_is_dropped(code: str, opened: list[AzureTable]) -> None:
    async with Server(error("404 Not Found", code)) as server:
        await table_at(server.url, opened).drop()


MADE_OR_DROPPED: dict[str, tuple[bytes, type[CatalogError]]] = {
    "another's 404": (answer("404 Not Found", "<html>", kind="text/html"), NotFoundError),
    "another's 200": (answer("200 OK", "<html>", kind="text/html"), OutcomeUnknownError),
    "500": (error("500 Broken", "InternalError"), OutcomeUnknownError),
    "500 that says that it is there": (error("500 Broken", "TableAlreadyExists"), OutcomeUnknownError),
    "500 that says that it is not": (error("500 Broken", "TableNotFound"), OutcomeUnknownError),
    "403": (error("403 Forbidden", "AuthorizationPermissionMismatch"), AccessDeniedError),
}


@pytest.mark.parametrize("change", [AzureTable.create, AzureTable.drop], ids=["create", "drop"])
@pytest.mark.parametrize("name", MADE_OR_DROPPED)
async def test_only_the_services_own_word_makes_or_drops_a_table(
    name: str, change: Callable[[AzureTable], Awaitable[None]], opened: list[AzureTable]
) -> None:
    said, expected = MADE_OR_DROPPED[name]
    async with Server(said) as server:
        with pytest.raises(expected):
            await change(table_at(server.url, opened))


@pytest.mark.parametrize("name", ["abc", "a12", "a" * 63])
def test_a_table_s_name_is_lower_case_letters_and_digits(name: str) -> None:
    check_table_name(name)


@pytest.mark.parametrize("name", ["", "ab", "a" * 64, "Abc", "1ab", "a-b", "a_b", "abc\n", "été", "a b"])
def test_no_other_name_is_a_table_s(name: str) -> None:
    with pytest.raises(InvalidError):
        table_client("http://127.0.0.1:1", name)


@pytest.mark.parametrize(
    ("etag", "expected"),
    [
        (ETAG, 1795218587549707),
        ("W/\"datetime'2026-11-20T23:49:47.5497077Z'\"", 1795218587549707),
        ("W/\"datetime'1970-01-01T00%3A00%3A00.0000019Z'\"", 1),
        ("W/\"datetime'2026-11-20T23%3A49%3A47Z'\"", 1795218587000000),
        ("W/\"datetime'2026-11-20T23%3A49%3A47'\"", None),
        ("W/\"datetime'2026-99-20T23%3A49%3A47.5497077Z'\"", None),
        ("0x8DC1234567890", None),
        ("", None),
    ],
)
def test_an_etag_may_tell_the_time(etag: str, expected: int | None) -> None:
    assert etag_time(etag) == expected


async def test_localhost_is_not_taken_for_cosmos() -> None:
    client = table_client("http://localhost:10099/devstoreaccount1", "table", AzureNamedKeyCredential("a", ACCOUNT_KEY))
    table = AzureTable(client)
    assert table.unwrap().url == "http://127.0.0.1:10099/devstoreaccount1"
    await table.close()


# Beside the SDK.


class SentError(Exception):
    """Raised in the place of sending."""


class Capture:
    """A transport for either client, that sends nothing. It keeps what a request says, but for who asks and when."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    async def __aenter__(self) -> Self:
        return self

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def request(self, method: str, url: object, headers: Mapping[str, str], body: bytes) -> None:
        parts, said = urlsplit(str(url)), {name.lower(): value for name, value in headers.items()}
        asker = ("accept-encoding", "authorization", "content-length", "user-agent", "x-ms-client-request-id")
        for name in (*asker, "date", "x-ms-date"):
            said.pop(name, None)
        if "boundary" in said.get("content-type", ""):  # what stands between them is test_table_wire's
            said["content-type"], body = said["content-type"].partition("boundary=")[0], b""
        self.sent.append((method, parts.path, parse_qs(parts.query), said, json.loads(body or b"null")))
        raise SentError

    async def send(self, request: Any, **_: object) -> None:
        await self.request(request.method, URL(request.url), request.headers, request.data)  # as aiohttp writes it


ROWS = "PartitionKey eq 'p' and RowKey ge 'a' and RowKey lt 'z'"
SELECTED = ["PartitionKey", "RowKey", "Timestamp", "a"]
ASKED: dict[str, tuple[Callable[[AzureTable], Awaitable[object]], Callable[[TableClient], Awaitable[object]]]] = {
    "create": (lambda ours: ours.create(), lambda sdk: sdk.create_table()),
    "drop": (lambda ours: ours.drop(), lambda sdk: sdk.delete_table()),
    "get": (lambda ours: ours.get("it's", "r é!~"), lambda sdk: sdk.get_entity("it's", "r é!~")),
    "query": (
        lambda ours: names(ours, select=["a"]),
        lambda sdk: anext(sdk.query_entities(ROWS, select=SELECTED, results_per_page=PAGE_ROWS)),
    ),
    "submit": (
        lambda ours: ours.submit(P, [Insert("r", {})]),
        lambda sdk: sdk.submit_transaction([("create", {"PartitionKey": P, "RowKey": "r"})]),
    ),
}


@pytest.mark.parametrize("name", ASKED)
async def test_a_request_says_what_the_sdks_says(name: str) -> None:
    capture: Any = Capture()
    table = AzureTable(table_client("https://account.table.core.windows.net", "table", KEY, transport=capture))
    ours, theirs = ASKED[name]
    with pytest.raises(CatalogError):
        await ours(table)
    with pytest.raises(SentError):
        await theirs(table.unwrap())
    assert capture.sent[0] == capture.sent[1]


# Secrets (S15).


async def test_its_repr_tells_no_secret(opened: list[AzureTable]) -> None:
    table = AzureTable(table_client(f"https://account.table.core.windows.net?{SAS}", "table"))
    opened.append(table)
    assert repr(table) == "<AzureTable 'table' at https://account.table.core.windows.net, open>"


@pytest.mark.parametrize("endpoint", [f"http://?{SAS}", f"https://a.table.core.windows.net:x?{SAS}"])
def test_a_wrong_url_is_not_repeated(endpoint: str) -> None:
    with pytest.raises(InvalidError) as raised:
        table_client(endpoint, "table")
    assert ("CANARY" in str(raised.value), raised.value.__cause__) == (False, None)


@pytest.mark.parametrize("said", [entities("r"), error("403 Forbidden", "AuthenticationFailed", SAS), b""])
async def test_logs_and_errors_tell_no_secret(
    said: bytes, opened: list[AzureTable], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Server(said) as server:
        table = AzureTable(table_client(f"{server.url}?{SAS}", "table"))
        opened.append(table)
        try:
            await names(table)
        except CatalogError as raised:
            logging.getLogger().info("%s %r", raised, raised)
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "emulated"),
    [
        ("http://127.0.0.1:10002/devstoreaccount1", True),
        ("http://localhost:7/proxied/devstoreaccount1", True),
        ("http://devstoreaccount1.table.localhost:10002", True),
        ("https://account.table.core.windows.net", False),
        ("https://proxy.example/account", False),
        ("http://127.0.0.1:8080/table/account", False),
        ("https://devstoreaccount12.table.core.windows.net", False),
    ],
)
async def test_only_the_emulator_gets_floating_literals_alone(endpoint: str, *, emulated: bool) -> None:
    """Azure compares an Int64 with an Int64 literal, whatever proxy stands before it."""
    table = AzureTable(table_client(endpoint, "table", KEY))
    asked = table.pushed(P, ALL, Comparison("m_a", "==", 5)).text
    await table.close()
    assert ("5L" in asked) is not emulated
