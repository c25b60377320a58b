"""What the Azure adapter asks of the service: how often, and with which credentials."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from storage.azure_blob import AzureBlobContent, blob_client
from storage.content import Always, Blocks, Headers, IfAbsent, Span
from storage.errors import AccessDeniedError, CatalogError, InvalidError, OutcomeUnknownError, UnavailableError
from tests.storage.servers import Answer, answer, serving

PLAIN = Headers()
DESCRIBED = 'ETag: "0x1"\r\nContent-Type: text/plain\r\n'


async def _read(store: AzureBlobContent, span: Span) -> bytes:
    async with store.open("a", span=span) as opened:
        return b"".join([chunk async for chunk in opened.chunks])


ONE_REQUEST: dict[str, tuple[str, Callable[[AzureBlobContent], Awaitable[object]]]] = {
    "create": ("PUT /account/container?restype=container", lambda store: store.create()),
    "stage": ("PUT /account/container/a?comp=block&blockid=MQ%3D%3D", lambda store: store.stage("a", "1", b"x")),
    "put nothing": ("PUT /account/container/a", lambda store: store.put("a", b"", when=IfAbsent(), headers=PLAIN)),
    "put": ("PUT /account/container/a", lambda store: store.put("a", b"x", when=IfAbsent(), headers=PLAIN)),
    "put 9 MB": (
        "PUT /account/container/a",
        lambda store: store.put("a", b"x" * 9_000_000, when=Always(), headers=PLAIN),
    ),
    "put blocks": (
        "PUT /account/container/a?comp=blocklist",
        lambda store: store.put("a", Blocks(["1"]), when=Always(), headers=PLAIN),
    ),
    "open": ("GET /account/container/a", lambda store: _read(store, Span())),
    "open a span": ("GET /account/container/a", lambda store: _read(store, Span(0, 4))),
    "open no byte": ("HEAD /account/container/a", lambda store: _read(store, Span(0, 0))),
    "stat": ("HEAD /account/container/a", lambda store: store.stat("a")),
    "delete": ("DELETE /account/container/a", lambda store: store.delete("a", when=Always())),
}


STATUS = {"PUT": 201, "GET": 200, "HEAD": 200, "DELETE": 202}


@pytest.mark.parametrize("op", ONE_REQUEST)
async def test_each_method_is_one_request(op: str) -> None:
    line, attempt = ONE_REQUEST[op]
    body = "text" if line.startswith("GET") else ""
    status, more = STATUS[line.partition(" ")[0]], ""
    if op == "open a span":
        status, more = 206, "Content-Range: bytes 0-3/4\r\n"
    async with serving(answer(status, body=body, headers=DESCRIBED + more)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        await attempt(store)
        await store.close()
    assert server.requests == [line]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207])
@pytest.mark.parametrize("op", [op for op, (line, _) in ONE_REQUEST.items() if not line.startswith(("GET", "HEAD"))])
async def test_a_write_is_done_by_the_one_answer_that_the_service_gives(op: str, status: int) -> None:
    """Anything else is another's: a proxy's page, perhaps, with the etag of that."""
    line, attempt = ONE_REQUEST[op]
    async with serving(answer(status, body="<html>", headers=DESCRIBED)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        if status == STATUS[line.partition(" ")[0]]:
            await attempt(store)
        else:
            with pytest.raises(OutcomeUnknownError):
                await attempt(store)
        await store.close()


PARTS = {
    "all of it": (200, ""),
    "all of it, called a part": (206, ""),
    "from elsewhere": (206, "bytes 0-3/9"),
    "fewer bytes": (206, "bytes 2-4/9"),
    "more bytes": (206, "bytes 2-6/9"),
    "fewer bytes than it says": (206, "bytes 2-5/7"),
    "no numbers": (206, "bytes */9"),
}


@pytest.mark.parametrize("name", PARTS)
async def test_a_span_is_answered_by_just_that_span(name: str) -> None:
    """A proxy, or a cache, may lose what was asked for: a SAS and a token sign no header."""
    status, part = PARTS[name]
    headers = DESCRIBED + (f"Content-Range: {part}\r\n" if part else "")
    body = "text" if name != "fewer bytes than it says" else "tex"
    async with serving(answer(status, body=body, headers=headers)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        with pytest.raises(UnavailableError):
            await _read(store, Span(2, 4))
        await store.close()


@pytest.mark.parametrize(("span", "part"), [(Span(2, 4), "2-5/9"), (Span(5, 9), "5-8/9"), (Span(5), "5-8/9")])
async def test_a_span_may_go_beyond_the_end(span: Span, part: str) -> None:
    async with serving(answer(206, body="text", headers=f"{DESCRIBED}Content-Range: bytes {part}\r\n")) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        assert await _read(store, span) == b"text"
        await store.close()


async def test_a_part_is_not_the_whole() -> None:
    async with serving(answer(206, body="text", headers=f"{DESCRIBED}Content-Range: bytes 0-3/9\r\n")) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        with pytest.raises(UnavailableError):
            await _read(store, Span())
        await store.close()


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>please log in</body></html>",
        "<EnumerationResults></EnumerationResults>",
        "<EnumerationResults><Blobs></Blobs></EnumerationResults>",
        "<EnumerationResults><NextMarker /></EnumerationResults>",
    ],
)
async def test_what_is_no_page_of_a_listing_is_not_an_empty_one(body: str) -> None:
    async with serving(answer(200, body=body)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        with pytest.raises(UnavailableError):
            [blob async for blob in store.list()]
        await store.close()


async def test_input_outside_the_rules_is_no_request() -> None:
    async with serving(answer(200, headers=DESCRIBED)) as server:
        store = AzureBlobContent(blob_client(server.url, "container"))
        for attempt in (
            store.put("a/../b", b"", when=Always(), headers=PLAIN),
            store.put("a", b"", when=Always(), headers=Headers(metadata={"No": ""})),
            store.stage("a", "", b"x"),
            store.stat("a//b"),
            store.delete("a", when=IfAbsent()),
            _read(store, Span(-1)),
        ):
            with pytest.raises(InvalidError):
                await attempt
        await store.close()
    assert server.requests == []


def test_a_bad_container_name_is_refused_at_once() -> None:
    with pytest.raises(InvalidError):
        blob_client("http://127.0.0.1:1/account", "No_Container")


@pytest.mark.parametrize("wrap", [str, AzureSasCredential])
async def test_a_sas_is_enough(azurite: Azurite, wrap: Callable[[str], object]) -> None:
    endpoint = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT_NAME}"
    container = f"c{uuid4().hex}"
    permissions = ContainerSasPermissions(read=True, write=True, delete=True, list=True)
    soon = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas(ACCOUNT_NAME, container, ACCOUNT_KEY, permission=permissions, expiry=soon)
    owner = AzureBlobContent(blob_client(endpoint, container, AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)))
    await owner.create()
    store = AzureBlobContent(blob_client(endpoint, container, wrap(sas)))
    await store.put("a +%2F?&#ü", b"text", when=IfAbsent(), headers=PLAIN)
    assert (await store.stat("a +%2F?&#ü")).size == 4
    assert [blob.name async for blob in store.list("a +%2F?")] == ["a +%2F?&#ü"]
    await store.delete("a +%2F?&#ü", when=Always())
    await store.close()
    await owner.close()


@pytest.mark.parametrize(
    "credential", [None, AzureNamedKeyCredential(ACCOUNT_NAME, "d3Jvbmcga2V5"), "sv=2021-08-06&sig=x"]
)
async def test_without_the_right_credential_access_is_denied(azurite: Azurite, credential: object) -> None:
    endpoint = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT_NAME}"
    store = AzureBlobContent(blob_client(endpoint, "container", credential))
    with pytest.raises(CatalogError) as caught:
        await store.put("a", b"x", when=Always(), headers=PLAIN)
    assert type(caught.value) is AccessDeniedError
    await store.close()


async def test_a_long_read_holds_little_at_a_time(azurite: Azurite) -> None:
    endpoint = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT_NAME}"
    client = blob_client(endpoint, f"c{uuid4().hex}", AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY))
    store = AzureBlobContent(client)
    await store.create()
    content = os.urandom(1 << 20) * 24
    await store.put("a", content, when=IfAbsent(), headers=PLAIN)
    async with store.open("a") as opened:
        sizes = [len(chunk) async for chunk in opened.chunks]
    assert sum(sizes) == len(content)
    assert max(sizes) <= 1 << 20
    await store.close()


SOFT = "<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>9</Days></DeleteRetentionPolicy>"
PROPERTIES = answer(200, body=f"{SOFT}</StorageServiceProperties>")


@pytest.mark.parametrize(
    ("given", "hierarchical"),
    [
        (answer(200, headers="x-ms-is-hns-enabled: true\r\n"), True),
        (answer(200, headers="x-ms-is-hns-enabled: false\r\n"), False),
        (answer(200), None),
        (answer(400, "InvalidQueryParameterValue"), None),
        (answer(403, "AuthorizationFailure"), None),
    ],
)
async def test_an_account_is_asked_once_whether_it_is_hierarchical(given: Answer, *, hierarchical: bool | None) -> None:
    """A refusal is no answer, and no trouble."""
    async with serving(PROPERTIES, given) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        found = await store.examine()
        await store.close()
    assert (found.soft_delete_days, found.hierarchical) == (9, hierarchical)
    assert server.requests == [
        "GET /account/?restype=service&comp=properties",
        "GET /account/container?restype=account&comp=properties",
    ]


async def test_what_the_service_does_not_tell_does_not_keep_it_from_being_asked_on() -> None:
    async with serving(answer(403), answer(200, headers="x-ms-is-hns-enabled: true\r\n")) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        found = await store.examine()
        await store.close()
    assert (found.soft_delete_days, found.hierarchical) == (None, True)


async def test_a_hierarchical_account_is_not_listed() -> None:
    properties = "<Etag>1</Etag><Content-Length>0</Content-Length><ResourceType>directory</ResourceType>"
    blob = f"<Blob><Name>a</Name><Properties>{properties}</Properties></Blob>"
    page = f"<EnumerationResults><Blobs>{blob}</Blobs><NextMarker /></EnumerationResults>"
    async with serving(answer(200, body=page)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        with pytest.raises(InvalidError) as caught:
            await anext(aiter(store.list()))
        await store.close()
    assert (caught.value.kind, len(server.requests)) == ("invalid.hierarchical", 1)


async def test_an_account_that_cannot_answer_now_is_no_account_that_does_not_tell() -> None:
    async with serving(PROPERTIES, answer(500)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureNamedKeyCredential("account", "a2V5")))
        with pytest.raises(UnavailableError):
            await store.examine()
        await store.close()
