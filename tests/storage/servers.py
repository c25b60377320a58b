"""A server that misbehaves on purpose: real sockets, for what no SDK may be asked to pretend."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Literal

TLS_HELLO = b"\x16"
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
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/account"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.add(asyncio.current_task())
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                if not await self._read_request(reader):
                    writer.write(b"this server speaks no TLS")
                    break
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

    async def _read_request(self, reader: asyncio.StreamReader) -> bool:
        first = await reader.readexactly(1)
        if first == TLS_HELLO:
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
        await reader.readexactly(int(lengths[0]) if lengths else 0)
        self.requests.append(head.partition(" HTTP/")[0])
        self.asked.set()
        return True


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
        tasks = [task for task in server.serving if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
