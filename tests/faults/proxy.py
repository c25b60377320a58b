"""A proxy before one of Azurite's ports, which numbers the requests and makes some of them go wrong on the wire.

For what no transport can fake: a connection reset in the middle of an answer, half a header, a request that arrives
twice. Signatures cover neither host nor port, so what is signed for the proxy is valid behind it.
"""

import asyncio
import re
import socket
import struct
from enum import Enum
from types import TracebackType
from typing import Self

from tests.faults.plan import Plan

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)


class WireFault(Enum):
    """What happens to a request, or to its answer."""

    DROP_BEFORE = "drop-before"
    RESET_BEFORE = "reset-before"
    STATUS_503_BEFORE = "status-503-before"
    DROP_AFTER = "drop-after"
    RESET_AFTER = "reset-after"
    STATUS_500_AFTER = "status-500-after"
    CUT_ANSWER = "cut-answer"
    HALF_HEADERS = "half-headers"
    DUPLICATE = "duplicate"
    HANG_AFTER = "hang-after"


BEFORE = frozenset({WireFault.DROP_BEFORE, WireFault.RESET_BEFORE, WireFault.STATUS_503_BEFORE})


class FaultProxy:
    """Listens on a port of its own, and forwards to another."""

    def __init__(self, upstream: int, plan: Plan[WireFault]) -> None:
        self._upstream = upstream
        self._plan = plan
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server
        return int(self._server.sockets[0].getsockname()[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            while await self._exchange(reader, writer, upstream):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # one side has closed: so do we
        finally:
            upstream[1].close()
            writer.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        """One request and its answer; whether the connection stays open."""
        head, body = await _request(reader, writer)
        line = head.split(b"\r\n", 1)[0].decode()
        fault = self._plan.next(line)
        number = len(self._plan.requests)
        if fault in BEFORE:
            return await _instead(fault, writer)
        answer_head = answer_body = b""
        for _ in range(2 if fault is WireFault.DUPLICATE else 1):
            upstream[1].write(head + body)
            answer_head, answer_body = await _answer(upstream[0], bodiless=line.startswith("HEAD "))
        self._plan.heard(number, line)
        match fault:
            case None | WireFault.DUPLICATE:
                writer.write(answer_head + answer_body)
                await writer.drain()
                return True
            case WireFault.CUT_ANSWER if answer_body:
                writer.write(answer_head + answer_body[: len(answer_body) // 2])
            case WireFault.CUT_ANSWER | WireFault.HALF_HEADERS:
                writer.write(answer_head[: len(answer_head) // 2])
            case WireFault.HANG_AFTER:
                await reader.read()  # until the client has had enough
            case _:
                return await _instead(fault, writer)
        return False


async def _instead(fault: WireFault | None, writer: asyncio.StreamWriter) -> bool:
    """Answer by ourselves, or not at all; whether the connection stays open."""
    match fault:
        case WireFault.STATUS_503_BEFORE:
            writer.write(b"HTTP/1.1 503 Server Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n")
        case WireFault.STATUS_500_AFTER:
            writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        case WireFault.RESET_BEFORE | WireFault.RESET_AFTER:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        case _:
            return False
    await writer.drain()
    return True


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if _EXPECT.search(head):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = _EXPECT.sub(b"", head)
    return head, await _body(reader, head)


async def _answer(reader: asyncio.StreamReader, *, bodiless: bool) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    if bodiless or status in (b"204", b"304"):
        return head, b""
    return head, await _body(reader, head)


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The bytes of a body, as they stand on the wire."""
    if _CHUNKED.search(head):
        body = b""
        while not body.endswith(b"\r\n0\r\n\r\n") and body != b"0\r\n\r\n":
            size = await reader.readline()
            body += size + await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        return body
    length = _LENGTH.search(head)
    return await reader.readexactly(int(length[1])) if length else b""
