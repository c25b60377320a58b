"""An azure-core transport that numbers its requests, and makes some of them go wrong.

It is the real one, but for its session: where azure-core asks aiohttp, it asks a `FaultSession`, which asks aiohttp in
its turn, or does not, or does something else with the answer. So it fakes what aiohttp raises and returns, and nothing
above that; `test_transport` compares what comes out of the SDK's end with what a real broken connection makes of it.

A crash is a `BaseException`, and from then on the session is dead: no `finally` of the client reaches a server.
"""

import asyncio
import errno
import os
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from enum import Enum
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import ContentLengthError, TransferEncodingError
from multidict import CIMultiDict

from storage.azure_transport import ConnectionLostError, SingleShotTransport
from tests.faults.plan import Plan

DELAY: Final = 2
"""A delayed request arrives when so many more were sent."""
PIECE_BYTES: Final = 1 << 20
_INNER: Final = re.compile(rb"--changesetresponse_[^\r\n]*\r\n.*?(?=--changesetresponse_)", re.DOTALL)


class Fault(Enum):
    """What happens to a request, or to its answer."""

    LOST_BEFORE_FIN = "lost before, closed"
    LOST_BEFORE_RST = "lost before, reset"
    REFUSED = "connection refused"
    LOST_AFTER_FIN = "applied, answer lost, closed"
    LOST_AFTER_RST = "applied, answer lost, reset"
    HANG_AFTER = "applied, and no answer ever"
    TIMED_OUT_AFTER = "applied, and the time to read its answer is over"
    STATUS_500_AFTER = "applied, and answered 500"
    STATUS_500 = "500"
    STATUS_502 = "502"
    STATUS_503 = "503"
    STATUS_429 = "429"
    STATUS_408 = "408"
    RETRY_AFTER = "503, Retry-After: 86400"
    HALF_HEADERS = "applied, half the headers"
    HALF_BODY = "applied, half the body"
    CUT_BODY = "applied, half the body, of a length that says so"
    DUPLICATE = "arrives twice, the second answer comes back"
    DELAYED = "its sender hears that the connection is lost, and it arrives later"
    SLOW = "the answer comes a byte at a time"
    INNER_500_AFTER = "a batch that was applied, and answered 202 with a 500 inside"
    INNER_503 = "a batch that was not applied, and answered 202 with a 503 inside"
    FEWER_RESULTS = "a batch whose answer lacks its last result"
    HANG = "no answer, ever"
    FLIPPED_BIT = "a bit of the content is another"
    SWAPPED = "the answer to another read"
    STALE = "the answer to the same read, some time ago"
    CRASH_BEFORE = "the client dies before it is sent"
    CRASH_AFTER = "the client dies once it was applied"


CLASSES = (Fault.LOST_BEFORE_FIN, Fault.LOST_AFTER_RST, Fault.REFUSED, Fault.HANG_AFTER)
"""What a caller can know of a request: one kind of each."""
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
OF_A_BATCH = frozenset({Fault.INNER_500_AFTER, Fault.INNER_503, Fault.FEWER_RESULTS})
OF_CONTENT = (Fault.FLIPPED_BIT, Fault.CUT_BODY, Fault.SWAPPED)
DAMAGE = frozenset({Fault.FLIPPED_BIT, Fault.SWAPPED, Fault.STALE})
OTHERS = tuple(each for each in Fault if each not in {*CLASSES, *CRASHES, *DAMAGE, Fault.HANG})
"""All other kinds that one request can have, and nobody should notice."""


def possible(fault: Fault, line: str) -> bool:
    """Whether a request of this kind can go wrong like that."""
    bodiless = line.startswith("HEAD ") and fault in {Fault.HALF_BODY, Fault.CUT_BODY, Fault.SLOW}
    return not bodiless and (fault not in OF_A_BATCH or line.endswith("$batch"))


class Crash(BaseException):
    """The client is dead."""


class Answer:
    """An answer, as azure-core takes it from aiohttp: either by `read()`, or by `content.read(n)` piece by piece."""

    def __init__(
        self,
        status: int,
        headers: "MutableMapping[str, str]",
        body: bytes = b"",
        *,
        piece: int = PIECE_BYTES,
        ends: Exception | None = None,
    ) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self.reason = "Reason"
        self.content = self
        self._body = body
        self._piece = piece
        self._ends = ends

    @classmethod
    async def of(cls, response: aiohttp.ClientResponse) -> Self:
        """The whole of a real one, whose connection is free after this."""
        return cls(response.status, response.headers.copy(), await response.read())

    def having(self, body: bytes | None = None, *, piece: int = PIECE_BYTES, ends: Exception | None = None) -> "Answer":
        """It, with another body, or another end."""
        return Answer(self.status, self.headers, self._body if body is None else body, piece=piece, ends=ends)

    def short(self) -> "Answer":
        """Half of it, of a length that says so."""
        half = self.having(self._body[: len(self._body) // 2])
        if "Content-Length" in half.headers:
            half.headers["Content-Length"] = f"{len(half.body)}"
        return half

    @property
    def body(self) -> bytes:
        """What is left of the body."""
        return self._body

    async def read(self, size: int = -1) -> bytes:
        """All of it, or a piece of at most `size` bytes: empty at the end."""
        if size < 0:
            pieces = []
            while piece := await self.read(self._piece):
                pieces.append(piece)
            return b"".join(pieces)
        await asyncio.sleep(0)
        taken = min(size, self._piece)
        piece, self._body = self._body[:taken], self._body[taken:]
        if not piece and self._ends:
            raise self._ends
        return piece

    def close(self) -> None:
        """Its connection was free before."""


class FaultSession:
    """What azure-core takes for a `ClientSession`."""

    auto_decompress = False

    def __init__(self, session: aiohttp.ClientSession, plan: Plan[Fault], held: dict[int, Callable[[], Any]]) -> None:
        self._session = session
        self._plan = plan
        self._held = held
        self._answers: dict[str, Answer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def close(self) -> None:
        """Let everything arrive that was delayed, as it would without its sender."""
        for number in sorted(self._held):
            await (await self._held.pop(number)()).read()
        await self._session.close()

    async def request(self, method: str, url: Any, **options: Any) -> Any:
        """Send a request, or do what the plan says."""
        if self._plan.crashed.is_set():
            raise Crash
        fault = self._plan.next(f"{method} {urlsplit(str(url)).path}")
        for due in [due for due in sorted(self._held) if due <= len(self._plan.requests)]:
            await (await self._held.pop(due)()).read()

        async def sent() -> aiohttp.ClientResponse:
            return await self._session.request(method, url, **options)

        if fault is None and self._plan.fault not in {Fault.SWAPPED, Fault.STALE}:
            return await sent()
        return await self._failed(fault, f"{method} {url}", sent)

    async def _failed(  # noqa: C901, PLR0911, PLR0912 — one case each
        self, fault: Fault | None, line: str, sent: Callable[[], Awaitable[aiohttp.ClientResponse]]
    ) -> Any:
        match fault:
            case Fault.LOST_BEFORE_FIN:
                raise _lost(aiohttp.ServerDisconnectedError())
            case Fault.LOST_BEFORE_RST:
                raise _lost(_reset())
            case Fault.REFUSED:
                raise _refused(line)
            case Fault.STATUS_500 | Fault.STATUS_502 | Fault.STATUS_503 | Fault.STATUS_429 | Fault.STATUS_408:
                return Answer(int(fault.value), CIMultiDict())
            case Fault.RETRY_AFTER:
                return Answer(503, CIMultiDict({"x-ms-error-code": "ServerBusy", "Retry-After": "86400"}))
            case Fault.DELAYED:
                self._held[len(self._plan.requests) + DELAY] = sent
                raise _lost(_reset())
            case Fault.INNER_503:
                return _batch_answer(503, "ServerBusy")
            case Fault.HANG:
                return await _never()
            case Fault.CRASH_BEFORE:
                self._plan.crashed.set()
                raise Crash
        answer = await Answer.of(await sent())
        if fault is Fault.DUPLICATE:
            answer = await Answer.of(await sent())
        earlier = dict(self._answers)
        self._answers.setdefault(line, answer)
        match fault:
            case Fault.LOST_AFTER_FIN:
                raise _lost(aiohttp.ServerDisconnectedError())
            case Fault.LOST_AFTER_RST:
                raise _lost(_reset())
            case Fault.HANG_AFTER:
                return await _never()
            case Fault.TIMED_OUT_AFTER:
                raise aiohttp.SocketTimeoutError("Timeout on reading data from socket")
            case Fault.STATUS_500_AFTER:
                return Answer(500, CIMultiDict())
            case Fault.HALF_HEADERS:
                raise _lost(aiohttp.ServerDisconnectedError())
            case Fault.HALF_BODY if answer.body:
                return answer.having(answer.body[: len(answer.body) // 2], ends=_cut(answer.headers))
            case Fault.HALF_BODY:
                raise _lost(aiohttp.ServerDisconnectedError())
            case Fault.CUT_BODY:
                return answer.short()
            case Fault.SLOW:
                return answer.having(piece=1)
            case Fault.INNER_500_AFTER:
                return _batch_answer(500, "InternalError")
            case Fault.FEWER_RESULTS:
                last = [*_INNER.finditer(answer.body)][-1]
                return answer.having(answer.body[: last.start()] + answer.body[last.end() :])
            case Fault.FLIPPED_BIT:
                middle = len(answer.body) // 2
                return answer.having(
                    answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :]
                )
            case Fault.SWAPPED:
                return next(other for asked, other in earlier.items() if asked != line).having()
            case Fault.STALE:
                return earlier[line].having()
            case Fault.CRASH_AFTER:
                self._plan.crashed.set()
                raise Crash
        return answer.having()


class FaultTransport(SingleShotTransport):
    """The transport of one SDK client. Clients may share a plan."""

    def __init__(self, plan: Plan[Fault], **options: Any) -> None:
        super().__init__(trust_env=False, **options)
        self._plan = plan
        self._held: dict[int, Callable[[], Any]] = {}

    async def open(self) -> None:
        """See AioHttpTransport."""
        await super().open()
        if not isinstance(self.session, FaultSession):
            self.session: Any = FaultSession(self.session, self._plan, self._held)


def _lost(cause: aiohttp.ClientError) -> ConnectionLostError:
    """As `azure_transport` raises it."""
    lost = ConnectionLostError("the connection was lost")
    lost.__cause__ = cause
    return lost


def _reset() -> aiohttp.ClientOSError:
    """As aiohttp raises it from the system's."""
    reset = aiohttp.ClientOSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    reset.__cause__ = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return reset


def _cut(headers: Mapping[str, str]) -> aiohttp.ClientPayloadError:
    """As aiohttp raises it where the connection ends before the body does."""
    cut = aiohttp.ClientPayloadError("Response payload is not completed")
    cut.__cause__ = ContentLengthError("cut") if "Content-Length" in headers else TransferEncodingError("cut")
    return cut


def _refused(line: str) -> aiohttp.ClientConnectorError:
    place, system = urlsplit(line.split(" ", 1)[1]), ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")
    key = ConnectionKey(str(place.hostname), place.port, False, True, None, None, None)
    refused = aiohttp.ClientConnectorError(key, system)
    refused.__cause__ = system
    return refused


def _batch_answer(status: int, code: str) -> Answer:
    error = f'{{"odata.error":{{"code":"{code}","message":{{"lang":"en-US","value":"0:It did not work."}}}}}}'
    inner = (
        "--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 {status} Reason\r\nContent-Type: application/json\r\nx-ms-error-code: {code}\r\n\r\n{error}\r\n"
    )
    body = (
        "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
        f"{inner}--changesetresponse_1--\r\n--batchresponse_1--\r\n"
    )
    return Answer(202, CIMultiDict({"Content-Type": "multipart/mixed; boundary=batchresponse_1"}), body.encode())


async def _never() -> Any:
    return await asyncio.get_running_loop().create_future()
