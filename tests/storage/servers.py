"""A server that misbehaves on purpose: real sockets, for what no SDK may be asked to pretend."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Then = Literal["keep", "close", "reset", "hang"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: some bytes, and then what happens to the connection."""

    text: str = ""
    then: Then = "keep"


def answer(status: int, code: str = "", body: str = "", headers: str = "") -> Answer:
    """A whole answer, with the service's error code where there is one."""
    coded = f"x-ms-error-code: {code}\r\n" if code else ""
    return Answer(f"HTTP/1.1 {status} Reason\r\n{coded}{headers}Content-Length: {len(body)}\r\n\r\n{body}")


@dataclass(slots=True)
class Server:
    """Gives its answers in turn, the last one for ever; counts what it was asked."""

    port: int
    answers: Sequence[Answer]
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/account"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._read_request(reader)
                given = self.answers[min(len(self.requests), len(self.answers)) - 1]
                writer.write(given.text.encode())
                await writer.drain()
                if given.then == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if given.then == "hang":
                    await reader.read()
                if given.then != "keep":
                    break
        writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
        await reader.readexactly(int(lengths[0]) if lengths else 0)
        self.requests.append(head.partition(" HTTP/")[0])


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[Server]:
    """A server on a port of its own."""
    server = Server(0, answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
