"""A server that answers as Azure Storage does, at once, and keeps nothing: so that a client alone is measured.

It takes table batches, rows and queries, and blobs of any size, by urls as Azurite has them. It checks nothing,
neither a signature nor a condition: every write succeeds. A query of heads finds `--rows` of them in each shard. A blob
whose name ends in `-N` has N bytes. It is a process of its own, on loopback, and ends when its stdin does.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, cast
from urllib.parse import unquote

from scripts import bench_answers as answers

ROOT: Final = Path(__file__).parents[1]
BUFFER_BYTES: Final = 1 << 20
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SPAN: Final = re.compile(rb"\r\n(?:x-ms-)?range: *bytes=(\d+)-(\d*)", re.IGNORECASE)
_SIZED: Final = re.compile(r"-(\d+)$")
_NEXT: Final = re.compile(r"[?&]NextRowKey=(\d+)")
_OPERATION: Final = b" HTTP/1.1\r\n"
_ZEROS: Final = memoryview(bytes(BUFFER_BYTES))


def routed(method: str, target: str, head: bytes, body: bytes, rows: int) -> tuple[bytes, int]:  # noqa: PLR0911 — one each
    """The answer to a request, and how many bytes of a blob follow. `body` matters for batches alone."""
    path, _, query = target.partition("?")
    match method:
        case "POST" if path.endswith("$batch"):
            return answers.batch(body.count(_OPERATION)), 0
        case "GET" if "(PartitionKey=" in path:
            return _row(path), 0
        case "GET" if path.endswith("()"):
            return _page(query, rows), 0
        case "GET" if "comp=list" in query:
            return answers.listing(), 0
        case "GET" | "HEAD":
            found, size = _blob(path, head)
            return found, size if method == "GET" else 0
        case "DELETE" if "(PartitionKey=" not in path:
            return answers.GONE, 0
        case "PUT" if "(PartitionKey=" not in path:
            return answers.MADE, 0
    return answers.CHANGED, 0


def _row(path: str) -> bytes:
    key = unquote(path.partition("RowKey='")[2])[:1]
    return answers.row(key) if key in ("c", "v", "h") else answers.NO_ROW


def _page(query: str, rows: int) -> bytes:
    pages = rows // answers.PAGE_ROWS
    if "RowKey ge 'h" not in unquote(query) or not pages:
        return answers.no_rows()
    found = _NEXT.search(query)
    number = int(found[1]) if found else 0
    return answers.page(number, last=number + 1 >= pages)


def _blob(path: str, head: bytes) -> tuple[bytes, int]:
    sized = _SIZED.search(path)
    size = int(sized[1]) if sized else len(answers.SMALL)
    if asked := _SPAN.search(head):
        first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        return answers.blob_head(size, (first, last)), last - first + 1
    return answers.blob_head(size, None), size


class NullProtocol(asyncio.BufferedProtocol):
    """One connection: requests one after the other, each answered when all of it is here."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._head = b""  # of a request that has not quite arrived
        self._request = ("", "", b"")
        self._left = 0  # of its body
        self._kept: list[bytes] | None = None  # the body, where it matters
        self._owed = 0  # bytes of a blob, still to be sent
        self._writing = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 — one buffer, for whatever comes
        """See asyncio."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came; a large body is counted, and never copied."""
        if self._left > nbytes and self._kept is None:
            self._left -= nbytes
        else:
            self._take(bytes(self._buffer[:nbytes]))

    def pause_writing(self) -> None:
        """See asyncio."""
        self._writing = False

    def resume_writing(self) -> None:
        """See asyncio."""
        self._writing = True
        self._send()

    def _take(self, data: bytes) -> None:
        while data:
            if not self._left:
                head, end, data = (self._head + data).partition(b"\r\n\r\n")
                if not end:
                    self._head = head
                    return
                self._head = b""
                self._begin(head)
            else:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                if self._kept is not None:
                    self._kept.append(piece)
            if not self._left:
                self._answer()

    def _begin(self, head: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        length = _LENGTH.search(head)
        self._request = (method, target, head)
        self._left = int(length[1]) if length else 0
        self._kept = [] if "/$batch" in target else None

    def _answer(self) -> None:
        said, owed = routed(*self._request, b"".join(self._kept or ()), self._rows)
        self._transport.write(said)
        self._owed += owed
        self._send()

    def _send(self) -> None:
        while self._owed and self._writing and not self._transport.is_closing():
            piece = _ZEROS[: min(self._owed, BUFFER_BYTES)]
            self._owed -= len(piece)
            self._transport.write(piece)


class NullServer:
    """Such a server, as a process: a context manager."""

    def __init__(self, *, rows: int = 0) -> None:
        self._rows = rows
        self.port = 0

    def __repr__(self) -> str:
        return f"<NullServer on port {self.port}>"

    def __enter__(self) -> Self:
        """Return when it listens."""
        command = [sys.executable, "-m", "scripts.bench_null", "--rows", f"{self._rows}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii", cwd=ROOT
        )
        assert self._process.stdout  # noqa: S101 — a pipe was asked for
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_exc: object) -> None:
        with self._process:  # closes its stdin, which is its end, and waits
            pass

    @property
    def url(self) -> str:
        """What `catalog.connect` takes: there is a volume already."""
        return f"azurite://127.0.0.1:{self.port}:{self.port}/{answers.VOLUME}?table={answers.VOLUME}"

    @property
    def endpoint(self) -> str:
        """Of both services."""
        return f"http://127.0.0.1:{self.port}/devstoreaccount1"


async def serve(rows: int, told: Callable[[int], Any]) -> None:
    """Listen until stdin ends; tell on which port."""
    loop = asyncio.get_running_loop()
    for number in range(rows // answers.PAGE_ROWS):
        answers.page(number, last=(number + 1) * answers.PAGE_ROWS >= rows)
    ended = asyncio.Event()
    server = await loop.create_server(partial(NullProtocol, rows), "127.0.0.1", 0)
    told(server.sockets[0].getsockname()[1])
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser(description="A server that answers as Azure Storage does, and keeps nothing.")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="heads in each shard (default: 0)")
    asyncio.run(serve(parser.parse_args().rows, partial(print, flush=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
