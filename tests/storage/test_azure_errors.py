"""What a failed request means: real sockets make the real SDK raise, and each request is sent exactly once."""

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from storage.azure_blob import AzureBlobContent, blob_client
from storage.azure_errors import translated, translating
from storage.azure_transport import transport
from storage.content import Always, Headers
from storage.errors import (
    AccessDeniedError,
    CatalogError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
)
from tests.storage.servers import Answer, answer, closed_port, serving

KEY = "c2VjcmV0LWNhbmFyeS1rZXk="
SAS = "sv=2021-08-06&sig=secret-canary-signature"
WRITES = {
    "put": lambda store: store.put("a", b"x", when=Always(), headers=Headers()),
    "put long": lambda store: store.put("a", b"x" * 2_000_000, when=Always(), headers=Headers()),
    "stage": lambda store: store.stage("a", "1", b"x"),
    "delete": lambda store: store.delete("a", when=Always()),
    "create": lambda store: store.create(),
}


async def _read(store: AzureBlobContent) -> bytes:
    async with store.open("a") as opened:
        return b"".join([chunk async for chunk in opened.chunks])


async def _list(store: AzureBlobContent) -> list[str]:
    return [blob.name async for blob in store.list()]


READS: dict[str, Callable[[AzureBlobContent], Awaitable[object]]] = {
    "stat": lambda store: store.stat("a"),
    "open": _read,
    "list": _list,
}
REFUSALS: list[tuple[Answer, type[CatalogError], str]] = [
    (answer(400), InvalidError, "invalid.request"),
    (answer(400, "InvalidBlockList"), InvalidError, "invalid.block"),
    (answer(401, "NoAuthenticationInformation"), AccessDeniedError, "access-denied.credential"),
    (answer(403, "AuthenticationFailed"), AccessDeniedError, "access-denied.credential"),
    (answer(403, "AuthorizationPermissionMismatch"), AccessDeniedError, "access-denied.role"),
    (answer(403, "SomethingNew"), AccessDeniedError, "access-denied"),
    (answer(404), NotFoundError, "not-found"),
    (answer(404, "BlobNotFound"), NotFoundError, "not-found.blob"),
    (answer(404, "ContainerNotFound"), NotFoundError, "not-found.container"),
    (answer(404, "TableNotFound"), NotFoundError, "not-found.table"),
    (answer(409), ConflictError, "conflict"),
    (answer(409, "BlobAlreadyExists"), ConflictError, "conflict.exists"),
    (answer(409, "BlobArchived"), AccessDeniedError, "access-denied.archived"),
    (answer(409, "BlobBeingRehydrated"), AccessDeniedError, "access-denied.archived"),
    (answer(409, "BlobUsesCustomerSpecifiedEncryption"), AccessDeniedError, "access-denied.encryption"),
    (answer(409, "BlobImmutableDueToPolicy"), AccessDeniedError, "access-denied.policy"),
    (answer(409, "BlobImmutableDueToLegalHold"), AccessDeniedError, "access-denied.policy"),
    (answer(409, "ContainerAlreadyExists"), ConflictError, "conflict.exists"),
    (answer(409, "TableAlreadyExists"), ConflictError, "conflict.exists"),
    (answer(409, "EntityAlreadyExists"), ConflictError, "conflict.exists"),
    (answer(409, "UpdateConditionNotSatisfied"), ConflictError, "conflict"),
    (answer(409, "ConditionNotMet"), ConflictError, "conflict"),
    (answer(409, "TargetConditionNotMet"), ConflictError, "conflict"),
    (answer(409, "LeaseIdMissing"), ConflictError, "conflict.leased"),
    (answer(409, "InvalidBlobType"), InvalidError, "invalid.refused"),
    (answer(409, "SomethingNew"), InvalidError, "invalid.refused"),
    (answer(412, "SomethingNew"), ConflictError, "conflict.etag"),
    (answer(409, "ContainerBeingDeleted"), UnavailableError, "unavailable.deleting"),
    (answer(412, "ConditionNotMet"), ConflictError, "conflict.etag"),
    (answer(409, "SnapshotsPresent"), ConflictError, "conflict.snapshots"),
    (answer(412, "LeaseIdMissing"), ConflictError, "conflict.leased"),
    (answer(413, "RequestBodyTooLarge"), TooLargeError, "too-large.request"),
]
RIDDLES: dict[str, Answer] = {
    "500": answer(500, "InternalError"),
    "500 with a code of another status": answer(500, "BlobAlreadyExists"),
    "502": answer(502, body="<html>bad gateway</html>", headers="Content-Type: text/html\r\n"),
    "503": answer(503, "ServerBusy", headers="Retry-After: 86400\r\n"),
    "429": answer(429),
    "408": answer(408),
    "a redirect": answer(301, headers="Location: http://127.0.0.1:9/\r\n"),
    "closed": Answer("", "close"),
    "reset": Answer("", "reset"),
    "no http": Answer("GARBAGE\r\n\r\n", "close"),
    "half the headers": Answer("HTTP/1.1 200 OK\r\nContent-Le", "close"),
    "half the body": Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "close"),
    "half the body, reset": Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "reset"),
    "silence": Answer("", "hang"),
    "half the body, silence": Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "hang"),
}


@asynccontextmanager
async def connected(url: str, credential: object = SAS) -> AsyncIterator[AzureBlobContent]:
    impatient = transport(connection_timeout_s=0.3, read_timeout_s=0.3)
    store = AzureBlobContent(blob_client(url, "container", credential, transport=impatient))
    try:
        yield store
    finally:
        await store.close()


async def error_of(attempt: Awaitable[object]) -> CatalogError:
    """The error that comes, which is one line and tells no secret: nor does anything that is printed with it."""
    with pytest.raises(CatalogError) as caught:
        await attempt
    assert "\n" not in str(caught.value)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize(("given", "error", "kind"), REFUSALS, ids=lambda each: getattr(each, "text", "")[9:60])
@pytest.mark.parametrize("op", ["put", "delete", "stat"])
async def test_a_refusal_says_that_nothing_was_done(
    op: str, given: Answer, error: type[CatalogError], kind: str
) -> None:
    async with serving(given) as server, connected(server.url) as store:
        raised = await error_of((WRITES | READS)[op](store))
        assert (type(raised), raised.kind, raised.op, raised.key) == (error, kind, op, "a")
        assert len(server.requests) == 1


ID = "8f2c1a34-701e-0007-57a6-53ca4f000000"


@pytest.mark.parametrize("status", [400, 403, 408, 500, 503])
async def test_what_is_the_services_to_explain_names_the_request_for_its_support(status: int) -> None:
    async with serving(answer(status, headers=f"x-ms-request-id: {ID}\r\n")) as server, connected(server.url) as store:
        for attempt in (WRITES["put"], READS["stat"]):
            assert f"request {ID})" in str(await error_of(attempt(store)))


async def test_a_409_that_is_no_conflict_names_its_code() -> None:
    async with serving(answer(409, "PendingCopyOperation")) as server, connected(server.url) as store:
        assert str(await error_of(WRITES["put"](store))).endswith("as things stand (409 PendingCopyOperation)")


@pytest.mark.parametrize("status", [404, 409, 412])
async def test_what_was_to_be_expected_names_no_request(status: int) -> None:
    async with serving(answer(status, headers=f"x-ms-request-id: {ID}\r\n")) as server, connected(server.url) as store:
        assert ID not in str(await error_of(WRITES["put"](store)))


@pytest.mark.parametrize("told", ["", "canary", "12345678\x1b[2J", "1" * 65, "1-2"])
async def test_what_is_no_id_is_not_repeated(told: str) -> None:
    async with serving(answer(500, headers=f"x-ms-request-id: {told}\r\n")) as server, connected(server.url) as store:
        assert "request" not in str(await error_of(WRITES["put"](store)))


@pytest.mark.parametrize(
    ("credential", "kind"),
    [
        (AzureNamedKeyCredential("account", KEY), "access-denied.key"),
        (AzureSasCredential(SAS), "access-denied.network"),
    ],
    ids=["key", "SAS"],
)
async def test_an_authorization_failure_names_the_key_where_one_signed(
    credential: AzureNamedKeyCredential | AzureSasCredential, kind: str
) -> None:
    async with (
        serving(answer(403, "AuthorizationFailure")) as server,
        connected(server.url, credential) as store,
    ):
        raised = await error_of(WRITES["put"](store))
    assert (type(raised), raised.kind) == (AccessDeniedError, kind)
    assert ("the account key is wrong" in str(raised)) is (kind == "access-denied.key")
    assert "firewall" in str(raised)


@pytest.mark.parametrize("riddle", RIDDLES)
@pytest.mark.parametrize("op", WRITES)
async def test_everything_else_leaves_a_write_unknown(op: str, riddle: str) -> None:
    if riddle.startswith("half the body") and op == "delete":
        riddle = "half the headers"  # a 200 with any body is a deletion
    async with serving(RIDDLES[riddle]) as server, connected(server.url) as store:
        raised = await error_of(WRITES[op](store))
        assert type(raised) is OutcomeUnknownError
        assert raised.kind.endswith(".throttled") is (riddle in {"503", "429"})
        assert len(server.requests) == 1


@pytest.mark.parametrize("riddle", RIDDLES)
@pytest.mark.parametrize("op", READS)
async def test_everything_else_makes_a_read_unavailable(op: str, riddle: str) -> None:
    async with serving(RIDDLES[riddle]) as server, connected(server.url) as store:
        raised = await error_of(READS[op](store))
        assert type(raised) is UnavailableError
        assert len(server.requests) == 1


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("op", [*WRITES, *READS])
async def test_a_lost_connection_that_was_used_before_is_not_tried_again(op: str, then: str) -> None:
    """Below the SDK, aiohttp would repeat PUT, DELETE and GET, and report on the second attempt."""
    fine = answer(202)
    async with serving(fine, Answer("", "close" if then == "close" else "reset")) as server:
        async with connected(server.url) as store:
            await store.delete("warm-up", when=Always())
            raised = await error_of((WRITES | READS)[op](store))
        assert type(raised) is (OutcomeUnknownError if op in WRITES else UnavailableError)
        assert (len(server.requests), server.connections) == (2, 1)


@pytest.mark.parametrize("op", [*WRITES, *READS])
async def test_a_refused_connection_is_proof_that_nothing_was_sent(op: str) -> None:
    port = closed_port()
    async with connected(f"http://127.0.0.1:{port}/account") as store:
        raised = await error_of((WRITES | READS)[op](store))
    assert (type(raised), raised.kind) == (UnavailableError, "unavailable.azurite")
    assert str(raised) == f"nothing answers at 127.0.0.1:{port}: is Azurite running?"


async def test_so_is_a_host_without_an_address() -> None:
    async with connected("https://account.invalid") as store:
        raised = await error_of(WRITES["put"](store))
    assert (type(raised), raised.kind) == (UnavailableError, "unavailable.dns")
    assert "account.invalid" in str(raised)


async def test_so_is_a_connection_that_is_not_made_in_time() -> None:
    with ExitStack() as stack, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # more than its queue takes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        async with connected(f"http://127.0.0.1:{deaf.getsockname()[1]}/account") as store:
            raised = await error_of(WRITES["put"](store))
    assert (type(raised), raised.kind) == (UnavailableError, "unavailable.connect")


async def test_so_is_a_tls_handshake_that_fails() -> None:
    async with (
        serving(Answer("no tls here", "close")) as server,
        connected(f"https://127.0.0.1:{server.port}/account") as store,
    ):
        raised = await error_of(WRITES["put"](store))
    assert (type(raised), raised.kind) == (UnavailableError, "unavailable.tls")
    assert server.requests == []


async def test_so_is_a_key_that_cannot_sign() -> None:
    unsound = AzureNamedKeyCredential("account", "canary, no base64")
    async with serving(answer(201)) as server, connected(server.url, unsound) as store:
        raised = await error_of(WRITES["put"](store))
    assert (type(raised), raised.kind) == (AccessDeniedError, "access-denied.credential")
    assert server.requests == []


def test_so_is_a_credential_without_a_token() -> None:
    raised = translated(ClientAuthenticationError("no token:\nlong text"), op="put", key="a", write=True)
    assert (type(raised), raised.kind) == (AccessDeniedError, "access-denied.credential")


async def test_an_answer_without_an_etag_leaves_a_put_unknown() -> None:
    async with serving(answer(201)) as server, connected(server.url) as store:
        assert type(await error_of(WRITES["put"](store))) is OutcomeUnknownError


@pytest.mark.parametrize("credential", [SAS, AzureSasCredential(SAS), AzureNamedKeyCredential("account", KEY)])
async def test_no_error_tells_a_secret(credential: object) -> None:
    """Not even one of which the service quotes the signature back."""
    quoted = "<Error><Code>AuthenticationFailed</Code><Message>sig=secret-canary-signature</Message></Error>"
    for given in (answer(403, "AuthenticationFailed", quoted), answer(500, "x y\tcanary"), *RIDDLES.values()):
        async with serving(given) as server, connected(server.url, credential) as store:
            await error_of(WRITES["put"](store))
            await error_of(READS["open"](store))
            assert "canary" not in repr(store)


async def test_cancellation_passes() -> None:
    async with serving(Answer("", "hang")) as server, connected(server.url) as store:
        task = asyncio.ensure_future(WRITES["put"](store))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_errors_of_our_own_pass_as_they_are() -> None:
    ours = InvalidError("no", op="put", key="a")
    with pytest.raises(InvalidError) as caught, translating("delete", "b", write=True):
        raise ours
    assert caught.value is ours


def test_the_original_is_the_cause() -> None:
    original = ServiceRequestError("Connection lost")
    with pytest.raises(OutcomeUnknownError) as caught, translating("put", "a", write=True):
        raise original
    assert caught.value.__cause__ is original


@pytest.mark.parametrize("original", [KeyError("etag"), AttributeError("x"), ValueError("y"), TimeoutError()])
def test_a_parser_that_fails_leaves_a_write_unknown(original: Exception) -> None:
    with pytest.raises(OutcomeUnknownError), translating("put", "a", write=True):
        raise original
    with pytest.raises(UnavailableError), translating("stat", "a", write=False):
        raise original


def test_a_key_of_several_lines_makes_one() -> None:
    assert str(translated(KeyError(), op="put", key="a\nb", write=False)).startswith("put a?b: ")
