"""Reads the parts of a scan in several processes: one core lists and decodes no faster than it can.

Each process opens the catalog itself, and writes what it reads into files of the same folder; the plan that is made of
them is the same to the byte, however many there were. A part whose process is killed is read by another; a process that
ends by itself, cannot be started, or is not ready in time, is an error, as the next one would be no better.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from storage.disk_errors import meaning

from .. import errors
from ..errors import CatalogError, UnavailableError
from ..flow import first_of
from ..origin import Origin
from ..pace import Rate
from ..settings import Settings
from .scan import Scanner, Scope

READY: Final[Mapping[str, Any]] = {"ready": True}
"""What a process says first, once it has opened the catalog."""
PROGRAM: Final = (
    "import json, sys\n"
    "first = json.loads(sys.stdin.readline())\n"
    "sys.path[:] = first['path']\n"
    "try:\n"
    "    from catalog.worker import serve\n"
    "except ImportError as exc:\n"
    "    print(json.dumps({'failed': str(exc)}), flush=True)\n"
    "else:\n"
    "    serve(first)\n"
)
LINE_BYTES_MAX: Final = 1 << 20
LIMIT_S: Final = 120.0
"""Until a process has said that it is ready, and until it has ended: each takes a second or two."""
ENDING_S: Final = 5.0  # one that was killed is gone at once
AGAIN: Final = 2
"""How often a part is read again whose process died: it may be the part that kills them."""
WORKER: Final = "unavailable.worker"
DEAD: Final = (BrokenPipeError, ConnectionResetError)


@dataclass(slots=True)
class Parts:
    """What there is to read, and what came of it so far."""

    waiting: list[str]
    complete: list[Mapping[str, Any]]
    trouble: list[str] = field(default_factory=list)
    _deaths: Counter[str] = field(default_factory=Counter)

    def read(self, task: str, said: Mapping[str, Any]) -> None:
        """A process has answered. Raises: what it says, unless that is of this part alone."""
        if "failed" in said:
            raise _failed(said["failed"])
        if "read" in said:
            self.complete.append(said["read"])
        elif said["error"] == "UnavailableError" and not said["ends"]:
            self.trouble.append(f"{task}: {said['message']}")
        else:
            raise _error(said)

    def died(self, task: str, code: int) -> None:
        """A process has ended before it answered. Raises: UnavailableError where it was not killed."""
        if code >= 0:
            raise _failed(f"it ended with exit code {code}")
        self._deaths[task] += 1
        if self._deaths[task] <= AGAIN:
            self.waiting.append(task)
        else:
            self.trouble.append(f"{task}: each process that read it ended, the last with {code}")


@dataclass(slots=True)
class Workers:
    """So many processes."""

    origin: Origin
    settings: Settings
    rate: Rate
    count: int
    limit_s: float = LIMIT_S

    async def scan(
        self, scanner: Scanner, tasks: Sequence[str], scope: Scope, folder: Path
    ) -> tuple[list[Mapping[str, Any]], list[str]]:
        """As `scan.scan`. Raises: what reading a part raises; UnavailableError where no process can read at all."""
        waiting = [task for task in tasks if not scanner.has(task)][::-1]
        parts = Parts(waiting, [await scanner.read(task) for task in tasks if task not in waiting])
        first = self._first(scope, folder)

        async def work() -> None:
            while parts.waiting:
                async with _started() as process:
                    await self._read_by(process, first, parts)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.count, len(waiting))):
                    group.create_task(work())
        except ExceptionGroup as group:
            raise first_of(group) from None
        return sorted(parts.complete, key=lambda each: str(each["part"])), sorted(parts.trouble)

    async def _read_by(self, process: Process, first: Mapping[str, Any], parts: Parts) -> None:
        """All that there is to read, as long as the process lives. Raises: as `scan`."""
        ready = False
        while parts.waiting:
            task = parts.waiting.pop()
            said = READY if ready else await self._greeted(process, first)
            ready = said == READY
            if ready:
                said = await _asked(process, task)
            if said is None:
                with self._in_time("it answers no more, and has not ended"):
                    async with asyncio.timeout(self.limit_s):
                        code = await process.wait()
                parts.died(task, code)
                return
            parts.read(task, said)

    async def _greeted(self, process: Process, first: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a process says that was told how to open the catalog. Raises: UnavailableError, where it says nothing.

        Then it may wait for something that never comes: a disk, a lock, a name server.
        """
        with self._in_time("it was not ready"):
            async with asyncio.timeout(self.limit_s):
                return await _asked(process, json.dumps(first))

    @contextmanager
    def _in_time(self, what: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as exc:
            raise _failed(f"{what} within {self.limit_s:g} s") from exc

    def _first(self, scope: Scope, folder: Path) -> dict[str, Any]:
        share = Rate(self.rate.account / self.count, self.rate.partition)
        volume = {**asdict(scope.volume), "created": 0, "changes_since": None}
        return {
            "path": sys.path,
            "settings": asdict(self.settings),
            "rate": [share.account, share.partition],
            "volume": volume,
            "others": scope.others,
            "prefix": scope.prefix,
            "depth": scope.depth,
            "folder": str(folder),
            **self.origin.opening(),
        }


@asynccontextmanager
async def _started() -> AsyncIterator[Process]:
    """A process, to be told how to open the catalog; it is gone afterwards. Raises: UnavailableError.

    It is in a session of its own: an interrupt from a terminal is ours to hear, and ends it all.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES_MAX, start_new_session=True
        )
    except OSError as exc:
        kind_of_error, kind, text = meaning(exc.errno, "worker")
        known = kind_of_error is UnavailableError and kind != "unavailable.disk"
        raise _failed(text if known else str(exc.strerror), kind if known else WORKER) from exc
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await _reaped(process)


async def _reaped(process: Process) -> None:
    """Wait for the end of a process that was killed, also where the caller is cancelled meanwhile; not for ever.

    Its pipes are closed first: asyncio says that it has ended once they are, and somebody else may hold their other
    ends. Its public ways close but one of them.
    """
    transport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
    for pipe in map(transport.get_pipe_transport, (0, 1)):
        pipe.close()
    until, cancelled = asyncio.get_running_loop().time() + ENDING_S, None
    with suppress(TimeoutError):
        while process.returncode is None:
            try:
                async with asyncio.timeout_at(until):
                    await process.wait()
            except asyncio.CancelledError as exc:
                cancelled = exc
    if cancelled is not None:
        raise cancelled


async def _tell(process: Process, line: str) -> None:
    assert process.stdin  # noqa: S101 — PIPE
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


async def _asked(process: Process, line: str) -> dict[str, Any] | None:
    """What a process answers; None where it died first: then it has not read the part to its end."""
    assert process.stdout  # noqa: S101 — PIPE
    try:
        await _tell(process, line)
        answer = await process.stdout.readline()
    except DEAD:
        answer = b""
    if not answer.endswith(b"\n"):
        return None
    said: dict[str, Any] = json.loads(answer)
    return said


def _failed(why: str, kind: str = WORKER) -> UnavailableError:
    message = f"reconcile: a process that was to read a part of it failed: {why}"
    return UnavailableError(message, op="reconcile", kind=kind)


def _error(said: Mapping[str, Any]) -> CatalogError:
    kind = getattr(errors, said["error"], UnavailableError)
    error: CatalogError = kind(said["message"], op=said["op"], key=said["key"], kind=said["kind"])
    return error
