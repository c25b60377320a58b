"""AzureBlobContent: the Blob service of a flat account.

Each method is one request (`touch`: two or three), sent once, by a lean client of ours (`azure_sender`). The SDK's
methods are not used for blobs: they may split an upload, ask twice for an empty blob, repeat a cut download, and cost
several times as much. What the requests look like is `azure_wire`'s, what a failure means `azure_errors`'.

A read is one GET, streamed: the service answers from one version of the blob, so it is pinned from the first byte to
the last without asking again. Only a span that turns out to be empty costs a second request.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote

from .abilities import Examination
from .azure_client import AzureClient
from .azure_errors import code_of, status_of, translating
from .azure_examination import examination
from .azure_sender import Answer, Arriving, RefusedAnswerError
from .azure_transport import SingleShotTransport
from .azure_wire import (
    answered_bytes,
    blob_from_headers,
    block_id,
    block_list,
    byte_range,
    changed_headers,
    conditions,
    etag_from_headers,
    md5_text,
    meta_headers,
    page_of_blobs,
    property_headers,
    quoted,
    reorder_key,
)
from .content import WHOLE, Always, Blob, Blocks, Capabilities, Headers, IfMatch, Opened, Precondition, Span
from .errors import AccessDeniedError, ConflictError, InvalidError, OutcomeUnknownError, UnavailableError
from .names import check_container
from .preconditions import decide_there
from .requests import check_delete, check_list, check_open, check_put, check_stage, check_stat, check_touch

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from .azure_signing import DelegationKey

DONE: Final = 200
CREATED: Final = 201
ACCEPTED: Final = 202
BYTES: Final = {"Content-Type": "application/octet-stream"}
XML: Final = {"Content-Type": "application/xml"}
_NO_SUCH_RANGE: Final = 416
_UNTOLD: Final = frozenset({400, 401, 403, 404, 409})  # to whoever may not ask, or where nobody knows the question


def blob_client(
    endpoint: str,
    container: str,
    credential: Any = None,
    *,
    transport: SingleShotTransport | None = None,
) -> AzureClient:
    """A client of one container that sends each request once. Constructing does no I/O.

    `endpoint`, as in "https://account.blob.core.windows.net", and `credential`: see AzureClient. Time-outs and proxies
    are the transport's: see `azure_transport.transport`. Raises: InvalidError.
    """
    check_container(container, op="connect")
    return AzureClient(endpoint, container, credential, service="blob", transport=transport)


class AzureBlobContent:
    """The port `storage.content.ContentStore` over a container of a flat account. Owns the client that it is given."""

    def __init__(self, client: AzureClient) -> None:
        self._client = client
        self._url = f"{client.endpoint}/{client.name}"
        self._sdk: ContainerClient | None = None
        self._signing_key: DelegationKey | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<AzureBlobContent {self._url}{' closed' if self._closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a store holds connections and a credential: it cannot be pickled")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(signed_urls=self._client.kind in ("account key", "token"))

    async def create(self) -> None:
        with self._asking("create", self._client.name, write=True):
            try:
                await self._answer("PUT", self._address("", "restype=container"), {}, wants=CREATED)
            except RefusedAnswerError as exc:
                if code_of(exc) != "ContainerAlreadyExists":
                    raise

    async def stage(self, name: str, block: str, data: bytes) -> None:
        check_stage(name, block, data)
        query = f"comp=block&blockid={quote(block_id(block), safe='')}"
        with self._asking("stage", name, write=True):
            await self._answer("PUT", self._address(name, query), {}, data, wants=CREATED)

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        check_put(name, content, when, headers)
        sent = {**property_headers(headers), **conditions(when)}
        md5 = md5_text(headers.md5) if headers.md5 else None
        with self._asking("put", name, write=True):
            if isinstance(content, Blocks):
                sent |= {"x-ms-blob-content-md5": md5} if md5 else {}
                sent, body = {**sent, **XML}, block_list(content.ids)
                answer = await self._answer("PUT", self._address(name, "comp=blocklist"), sent, body, wants=CREATED)
            else:
                sent |= {"x-ms-blob-type": "BlockBlob"} | ({"Content-MD5": md5} if md5 else {})
                answer = await self._answer("PUT", self._address(name), sent, content, wants=CREATED)
            return etag_from_headers(answer.headers)

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        check_open(name, span, when)
        answer = await self._ranged(name, span, when) if span.length != 0 else None
        if answer is None:
            yield Opened(await self._beyond(name, span, when), _nothing())
            return
        try:
            with self._asking("open", name, write=False):
                blob = blob_from_headers(name, answer.headers)
                size = answered_bytes(span, answer.status, answer.headers)
            yield Opened(blob, _chunks(name, answer, size))
        finally:
            answer.close()

    async def stat(self, name: str) -> Blob:
        check_stat(name)
        return await self._described("stat", name, Always())

    async def delete(self, name: str, *, when: Precondition) -> None:
        check_delete(name, when)
        with self._asking("delete", name, write=True):
            await self._answer("DELETE", self._address(name), conditions(when), wants=ACCEPTED)

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        """See `abilities.Touches`. Two requests, and a third where content type or MD5 change."""
        check_touch(name, when, headers)
        with self._asking("touch", name, write=False):
            found = (await self._answer("HEAD", self._address(name), {})).headers
            decide_there(when, etag_from_headers(found), op="touch", key=name)
            changed = changed_headers(headers, found)
        if not changed:
            return await self._changed(name, "comp=metadata", meta_headers(headers), when)
        between = IfMatch(await self._changed(name, "comp=properties", changed, when))
        try:
            return await self._changed(name, "comp=metadata", meta_headers(headers), between)
        except (InvalidError, AccessDeniedError, UnavailableError) as exc:
            message = f"touch {name}: content type and MD5 are set, the metadata is not: {exc}"
            raise OutcomeUnknownError(message, op="touch", key=name) from exc

    async def sign(self, name: str, *, expires: datetime, filename: str = "") -> str:
        """See `abilities.Signing`."""
        from .azure_signing import signed_url

        check_stat(name)
        with self._asking("sign", name, write=False):
            match self._client.kind:
                case "token":
                    key = await self._delegation(name, expires)
                case "account key":
                    key = self._client.credential
                case kind:
                    message = f"a catalog opened with {kind} signs no urls: that takes an identity or the account's key"
                    raise InvalidError(message, op="sign", key=name, kind="invalid.unsupported")
            client = self._client
            return signed_url(client.endpoint, client.name, name, expires=expires, filename=filename, key=key)

    async def examine(self) -> Examination:
        """See `abilities.Examined`."""
        with self._asking("examine", self._client.name, write=False):
            service = await self._told(f"{self._client.endpoint}/?restype=service&comp=properties")
            account = await self._told(self._address("", "restype=account&comp=properties"))
            return examination(
                self._client,
                properties=service.body if service else None,
                account=account.headers if account else {},
            )

    def unwrap(self) -> "ContainerClient":
        """The SDK's client, which stays this store's own; made when it is first asked for."""
        if self._sdk is None:
            from .azure_sdk import container_client

            self._sdk = container_client(self._client)
        return self._sdk

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        check_list(prefix)
        run: list[Blob] = []  # it may go on in the next page
        async for page in self._pages(prefix):
            for blob in page:
                if run and reorder_key(run[0].name) != reorder_key(blob.name):
                    for ready in _by_name(run):
                        yield ready
                    run.clear()
                run.append(blob)
        for ready in _by_name(run):
            yield ready

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._client.close()

    async def _told(self, url: str) -> Answer | None:
        """The answer to GET; None where it is not for this credential, or the service does not know the question."""
        try:
            return await self._answer("GET", url, {})
        except RefusedAnswerError as exc:
            if status_of(exc) not in _UNTOLD:
                raise
            return None

    async def _changed(self, name: str, query: str, headers: Mapping[str, str], when: IfMatch) -> str:
        with self._asking("touch", name, write=True):
            answer = await self._answer("PUT", self._address(name, query), {**headers, **conditions(when)})
            return etag_from_headers(answer.headers)

    async def _described(self, op: str, name: str, when: Precondition) -> Blob:
        with self._asking(op, name, write=False):
            answer = await self._answer("HEAD", self._address(name), conditions(when))
            return blob_from_headers(name, answer.headers)

    async def _ranged(self, name: str, span: Span, when: Precondition) -> Arriving | None:
        """The answer to GET, its body still to be read; None where the span begins at the end or beyond."""
        with self._asking("open", name, write=False):
            try:
                return await self._opened("GET", self._address(name), {**byte_range(span), **conditions(when)})
            except RefusedAnswerError as exc:
                if status_of(exc) == _NO_SUCH_RANGE:
                    return None
                raise

    async def _beyond(self, name: str, span: Span, when: Precondition) -> Blob:
        """The blob of which a span is empty."""
        blob = await self._described("open", name, when)
        if span.length != 0 and span.start < blob.size:
            message = f"open {name}: the blob changed between two requests"
            raise ConflictError(message, op="open", key=name, found=blob.etag, kind="conflict.etag")
        return blob

    async def _pages(self, prefix: str) -> AsyncIterator[tuple[Blob, ...]]:
        marker, more = "", True
        while more:
            query = "restype=container&comp=list&include=metadata"
            query += f"&prefix={quote(prefix, safe='')}" if prefix else ""
            query += f"&marker={quote(marker, safe='')}" if marker else ""
            with self._asking("list", prefix, write=False):
                answer = await self._answer("GET", self._address("", query), {})
                page, marker = page_of_blobs(answer.body)
            yield page
            more = bool(marker)

    @contextmanager
    def _asking(self, op: str, key: str, *, write: bool) -> Iterator[None]:
        if self._closed:
            raise InvalidError(f"{op} {key}: the store is closed", op=op, key=key, kind="invalid.closed")
        with translating(op, key, write=write):
            yield

    async def _delegation(self, name: str, expires: datetime) -> "DelegationKey":
        from .azure_signing import DELEGATION_MAX, key_request, parse_key, reaches

        if expires > datetime.now(UTC) + DELEGATION_MAX:
            message = f"an identity signs urls for at most {DELEGATION_MAX.days} days"
            raise InvalidError(message, op="sign", key=name, kind="invalid.expires")
        if not reaches(self._signing_key, expires):
            address = f"{self._client.endpoint}/?restype=service&comp=userdelegationkey"
            self._signing_key = parse_key((await self._answer("POST", address, XML, key_request(expires))).body)
        return self._signing_key

    def _address(self, name: str, query: str = "") -> str:
        path = f"{self._url}/{quoted(name)}" if name else self._url
        return f"{path}?{query}" if query else path

    async def _answer(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, wants: int = DONE
    ) -> Answer:
        """Send one request. Raises: RefusedAnswerError, for an answer that is not the one that the service gives."""
        sent = {**BYTES, **headers} if body else headers
        answer = await self._client.sender.send(method, url, sent, body)
        if answer.status != wants:
            raise self._refusal(answer)
        return answer

    async def _opened(self, method: str, url: str, headers: Mapping[str, str]) -> Arriving:
        """The same, with the body still to be read."""
        answer = await self._client.sender.open(method, url, headers)
        if answer.succeeded:
            return answer
        answer.close()
        raise self._refusal(answer)

    def _refusal(self, answer: Answer | Arriving) -> RefusedAnswerError:
        return self._client.sender.refusal(answer, answer.headers.get("x-ms-error-code", ""))


def _by_name(blobs: list[Blob]) -> list[Blob]:
    return sorted(blobs, key=lambda blob: blob.name)


async def _chunks(name: str, answer: Arriving, size: int) -> AsyncIterator[bytes]:
    """The body as it arrives, all of it. Raises: UnavailableError."""
    received = 0
    with translating("open", name, write=False):
        async for chunk in answer.chunks():
            received += len(chunk)
            yield chunk
    if received != size:
        raise UnavailableError(f"open {name}: {received:,} of {size:,} bytes arrived", op="open", key=name)


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for chunk in empty:
        yield chunk
