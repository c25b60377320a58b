"""One request to Azure, signed, sent once, and its answer.

The SDKs send each request through some twenty policies, which cost several times what the request itself costs. Here
it is what must be: a signature (`azure_signers`), the transport's own session (`azure_transport`), and the answer. The
transport is the one that the SDK's client has, so both share their connections, their time-outs, and the seam at which
tests let things go wrong.
"""

import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import aiohttp
from azure.core.instrumentation import get_tracer
from azure.core.settings import settings
from azure.core.tracing import SpanKind
from yarl import URL

from .azure_signers import Signer, UnsignedError
from .azure_transport import READ_BYTES, SingleShotTransport

_LOG: Final = logging.getLogger(__name__)
_NO_SPAN: Final = nullcontext()
_SUCCESS: Final = range(200, 300)
_UNAUTHORIZED: Final = 401
_CODE: Final = re.compile(r"[A-Za-z]{1,64}")
_REQUEST_ID: Final = re.compile(r"[0-9A-Fa-f-]{8,64}")
_AGENT: Final = "blobcat"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said: a status, headers, and all of the body. Printed, it shows the status alone (S15)."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether it is no refusal, and no failure."""
        return self.status in _SUCCESS


class Arriving:
    """An answer whose body is still to be read; whoever asked closes it. Printed, it shows nothing of the url (S15)."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer

    @property
    def succeeded(self) -> bool:
        """See Answer."""
        return self.status in _SUCCESS

    async def whole(self) -> bytes:
        """All of the body."""
        return await self._answer.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        while chunk := await self._answer.content.read(READ_BYTES):
            yield chunk

    def close(self) -> None:
        """Let go of its connection: back to the others, if the body was read; else for good."""
        self._answer.close()


class RefusedAnswerError(Exception):
    """An answer that is no success. It tells its status, the service's code and its id, and nothing that was sent."""

    def __init__(self, status: int, code: str, request_id: str, *, signed_by_key: bool) -> None:
        self.status = status
        self.code = code if _CODE.fullmatch(code) else ""  # one word: what is not is no code
        self.request_id = request_id if _REQUEST_ID.fullmatch(request_id) else ""
        super().__init__(f"{status} {self.code}".strip())
        self.signed_by_key = signed_by_key


class Sender:
    """Sends requests for one credential, over one transport, which its owner closes. Constructing does no I/O."""

    def __init__(self, transport: SingleShotTransport, signer: Signer, version: str) -> None:
        self._transport = transport
        self._signer = signer
        self._version = version
        self._tracer = get_tracer(library_name=_AGENT) if settings.tracing_enabled() else None

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request once and read its answer, whatever it says. Raises: what aiohttp raises, see `azure_errors`.

        `url` is written as it goes over the wire. A 401 that asks for another token is answered with one, once.
        """
        answer = await self.open(method, url, headers, body)
        try:
            return Answer(answer.status, answer.headers, await answer.whole())
        finally:
            answer.close()

    async def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Arriving:
        """Send a request once; its answer, with the body still to be read."""
        answer, sent = await self._open(method, url, headers, body)
        if answer.status == _UNAUTHORIZED and await self._is_worth_another(answer, sent):
            answer.close()
            answer, _ = await self._open(method, url, headers, body)
        return answer

    def refusal(self, answer: Answer | Arriving, code: str, *, status: int | None = None) -> RefusedAnswerError:
        """What to raise for an answer that is no success, or holds one that is none: that one's status is `status`."""
        request_id = answer.headers.get("x-ms-request-id", "")
        return RefusedAnswerError(status or answer.status, code, request_id, signed_by_key=self._signer.by_key)

    def __reduce__(self) -> NoReturn:
        raise TypeError("what sends holds connections and a credential: it cannot be pickled")

    async def _is_worth_another(self, refused: Arriving, sent: Mapping[str, str]) -> bool:
        """Whether there is a better signature. Without one, the refusal stands: it is proof that nothing was done."""
        try:
            return await self._signer.answer(refused.headers.getall("WWW-Authenticate", []), sent)
        except UnsignedError:
            return False
        except BaseException:
            refused.close()
            raise

    async def _open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Arriving, Mapping[str, str]]:
        query = self._signer.query
        whole = f"{url}{'&' if '?' in url else '?'}{query}" if query else url
        sent = {"x-ms-version": self._version, "User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
        if body:
            sent["Content-Length"] = f"{len(body)}"
        await self._signer.sign(method, whole, sent)
        place = _path(url)
        _LOG.debug("%s %s", method, place)
        with self._span(method, place) as span:
            answer = await self._transport.request(method, URL(whole, encoded=True), sent, body)
            if span:
                span.set_attribute("http.response.status_code", answer.status)
        _LOG.debug("%s %s: %d", method, place, answer.status)
        return Arriving(answer), sent

    def _span(self, method: str, place: str) -> AbstractContextManager[Any]:
        """A span of the one request, as azure-core's policy makes it, where the application has asked for those."""
        if self._tracer is None:
            return _NO_SPAN
        told = {"http.request.method": method, "url.path": place}
        return self._tracer.start_as_current_span(method, kind=SpanKind.CLIENT, attributes=told)


def _path(url: str) -> str:
    """What a log or a span may tell of a url: not its query, which may be a SAS."""
    return url[url.find("/", url.find("://") + 3) :].partition("?")[0]
