"""The one way to Azure: an azure-core transport that sends each request exactly once.

Three layers would send a failed request again: the SDKs (their clients are made with `SENT_ONCE`), azure-core's
redirects (the same), and below them aiohttp, which on a lost connection repeats GET, PUT and DELETE by itself. Its
second attempt would answer for both: a conditional PUT that had been applied comes back as 412, a DELETE as 404, and a
refused second connection would pass for proof that nothing was sent. So lost connections reach aiohttp's loop as an
error of ours, which it does not take for its own to repeat. That is done by a client middleware, which is aiohttp's
public means; no private switch is touched.

Redirects are never followed, cookies never kept, bodies never decompressed: a blob's bytes are its bytes.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from yarl import URL

SENT_ONCE: Final[dict[str, Any]] = {
    "retry_total": 0,
    "retry_connect": 0,
    "retry_read": 0,
    "retry_status": 0,
    "permit_redirects": False,
    "redirect_max": 0,
    "logging_enable": False,
}
"""For the constructor of every SDK client: no retries, no redirects, no log of what is sent."""

CONNECTIONS_MAX: Final = 128
_NO_TYPE: Final = ("Content-Type",)
"""aiohttp may add a type that nobody has signed. Asking it not to takes 15 µs a request: so not where one is given."""
READ_BYTES: Final = 1 << 18
"""At most so much of a body is handed on at a time."""
PIECE_BYTES: Final = 1 << 18
"""So much of a body is sent at a time: aiohttp would send all of it at one go, and block the loop for as long."""


class ConnectionLostError(aiohttp.ClientConnectionError):
    """The connection broke after the request had begun, or all were closed: what the server did is not known."""


class Pieces:
    """A long body, piece by piece, as often as it is asked for. Nothing is copied, as aiohttp would copy a file."""

    def __init__(self, body: bytes | memoryview) -> None:
        self._body = memoryview(body)
        self._at = 0

    def __aiter__(self) -> "Pieces":
        return Pieces(self._body)

    async def __anext__(self) -> memoryview:
        if self._at:
            await asyncio.sleep(0)  # others have their turn between two pieces
        piece = self._body[self._at : self._at + PIECE_BYTES]
        if not piece:
            raise StopAsyncIteration
        self._at += len(piece)
        return piece


class SingleShotTransport(AioHttpTransport):  # type: ignore[misc]  # azure-core loads it lazily, untyped
    """An `AioHttpTransport` that never sends a request twice. Constructing does no I/O; `close` is for good.

    `ca_file`: the authorities to trust, and no others; else those of the machine, or of its SSL_CERT_FILE.
    """

    def __init__(self, *, trust_env: bool = True, ca_file: str | None = None, **timeouts: Any) -> None:
        super().__init__(connection_data_block_size=READ_BYTES, **timeouts)
        self._trust_env = trust_env
        self._ca_file = ca_file
        self._proxies: dict[str, str | None] = {}
        self._timeout = aiohttp.ClientTimeout(
            sock_connect=self.connection_config.timeout, sock_read=self.connection_config.read_timeout
        )
        self._made = False

    async def open(self) -> None:
        """Make the session, on the running loop, at the first request."""
        if not self._made:
            self._made = True
            # No trust_env: aiohttp would read ~/.netrc for each request, and send the password that it finds there.
            self.session = aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=self._trusted()),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_once,),
            )
        await super().open()

    async def request(self, method: str, url: URL, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        """Send one request past azure-core, on the same connections: with these headers, and few that aiohttp adds.

        Whoever asks reads the body of the answer, or closes it. Raises: what aiohttp raises.
        """
        await self.open()
        answer: aiohttp.ClientResponse = await self.session.request(
            method,
            url,
            headers=headers,
            data=Pieces(body) if len(body) > PIECE_BYTES else body or None,
            skip_auto_headers=None if "Content-Type" in headers else _NO_TYPE,
            timeout=self._timeout,
            allow_redirects=False,
            proxy=self._proxy(url),
        )
        return answer

    async def send(self, request: Any, **options: Any) -> Any:
        """See AioHttpTransport: what the SDK's clients send goes the same way."""
        return await super().send(request, proxy=self._proxy(URL(request.url)), **options)

    def _proxy(self, url: URL) -> str | None:
        """The proxy that the environment names for a host, if it is to be asked; looked up once."""
        if not self._trust_env or not url.host:
            return None
        if url.host not in self._proxies:
            direct = proxy_bypass(url.host)
            self._proxies[url.host] = None if direct else getproxies().get(url.scheme) or getproxies().get("all")
        return self._proxies[url.host]

    def _trusted(self) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True


def transport(
    *, connection_timeout_s: float = 10.0, read_timeout_s: float = 60.0, trust_env: bool = True
) -> SingleShotTransport:
    """What every client of ours is given as `transport=`. Whoever closes the client closes it.

    `read_timeout_s` is the longest silence while a request is under way, not its whole time. `trust_env`: go through
    the proxy that the environment names; pass False for loopback.
    """
    return SingleShotTransport(
        connection_timeout=connection_timeout_s, read_timeout=read_timeout_s, trust_env=trust_env
    )


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Hide a lost connection from aiohttp's own loop; leave a connection that was never made as it is.

    Closed, aiohttp cancels those who wait for a connection, whom nobody has cancelled: they have lost theirs.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise ConnectionLostError("the connection was lost") from exc
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise
        raise ConnectionLostError("the connections were closed") from None
