"""Reads the parts of a scan in several processes: one core lists and decodes no faster than it can.

Each process opens the catalog itself, and writes what it reads into files of the same folder; the plan that is made of
them is the same to the byte, however many there were. A part whose process dies is read by another.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from .. import errors
from ..errors import CatalogError, UnavailableError
from ..flow import concurrently, each
from ..origin import Origin
from ..pace import Rate
from ..settings import Settings
from .scan import Scanner, Scope

PROGRAM: Final = (
    "import json, sys\n"
    "first = json.loads(sys.stdin.readline())\n"
    "sys.path[:] = first['path']\n"
    "from catalog.worker import serve\n"
    "serve(first)\n"
)
LINE_BYTES_MAX: Final = 1 << 20
AGAIN: Final = 2
"""How often a part is read again whose process died: it may be the part that kills them."""
DEAD: Final = (BrokenPipeError, ConnectionResetError)


@dataclass(slots=True)
class Workers:
    """So many processes."""

    origin: Origin
    settings: Settings
    rate: Rate
    count: int

    async def scan(
        self, scanner: Scanner, tasks: Sequence[str], scope: Scope, folder: Path
    ) -> tuple[list[Mapping[str, Any]], list[str]]:
        """As `scan.scan`. Raises: what reading a part raises; UnavailableError where no process can be started."""
        waiting = [task for task in tasks if not scanner.part(task).exists()][::-1]
        complete = [await scanner.read(task) for task in tasks if task not in waiting]
        trouble, deaths = list[str](), Counter[str]()
        first = self._first(scope, folder)

        async def work(_: int) -> None:
            while waiting:
                async with _started(first) as process:
                    await read_by(process)

        async def read_by(process: Process) -> None:
            """All that there is to read, as long as the process lives."""
            while waiting:
                task = waiting.pop()
                said = await _asked(process, task)
                if said is None:
                    deaths[task] += 1
                    if deaths[task] <= AGAIN:
                        waiting.append(task)
                    else:
                        trouble.append(f"{task}: each process that read it ended, the last with {process.returncode}")
                    return
                if "read" in said:
                    complete.append(said["read"])
                elif said["error"] == "UnavailableError":
                    trouble.append(f"{task}: {said['message']}")
                else:
                    raise _error(said)

        count = min(self.count, len(waiting))
        async with aclosing(concurrently(each(range(count)), work, limit=count)) as ended:
            async for _ in ended:
                pass
        return sorted(complete, key=lambda one: str(one["part"])), sorted(trouble)

    def _first(self, scope: Scope, folder: Path) -> dict[str, Any]:
        share = Rate(self.rate.account / self.count, self.rate.partition)
        volume = {**asdict(scope.volume), "created": 0}
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
async def _started(first: Mapping[str, Any]) -> AsyncIterator[Process]:
    """A process that has been told how to open the catalog; it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES_MAX
    )
    try:
        with suppress(*DEAD):  # who is asked next finds out
            await _tell(process, json.dumps(first))
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _tell(process: Process, line: str) -> None:
    assert process.stdin  # noqa: S101 — PIPE
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


async def _asked(process: Process, task: str) -> dict[str, Any] | None:
    """What a process answers; None where it died first: then it has not read the part to its end."""
    assert process.stdout  # noqa: S101 — PIPE
    try:
        await _tell(process, task)
        line = await process.stdout.readline()
    except DEAD:
        line = b""
    if not line.endswith(b"\n"):
        await process.wait()
        return None
    said: dict[str, Any] = json.loads(line)
    return said


def _error(said: Mapping[str, Any]) -> CatalogError:
    kind = getattr(errors, said["error"], UnavailableError)
    error: CatalogError = kind(said["message"], op=said["op"], key=said["key"], kind=said["kind"])
    return error
