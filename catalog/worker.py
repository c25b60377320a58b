"""A process that reads parts of scans. It is told what to read on stdin, line by line, and answers on stdout.

Its first line says how to open the catalog; credentials come in it, and nowhere else, or are made here. Each other line
is a part. It ends with its stdin, so it does not outlive who started it.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from storage import Secret

from .backends import backend
from .entities import VolumeInfo
from .errors import CatalogError
from .listing import Lister
from .locations import parse_sealed_location
from .pace import Pace, PacedContent, PacedTable, Rate
from .reconcile.scan import Scanner, Scope
from .retry import SystemClock
from .settings import Settings
from .times import EPOCH

THREADS: Final = 2


def serve(first: Mapping[str, Any]) -> None:
    """Read parts until there are no more."""
    asyncio.run(_serve(first))


async def _serve(first: Mapping[str, Any]) -> None:
    told, clock = first["settings"], SystemClock()
    settings = Settings(**{**told, "hosts_allowed": tuple(told["hosts_allowed"])})
    secret = Secret(first["credential"]) if first["credential"] else None
    location = parse_sealed_location(
        Secret(first["url"]),
        container=first["container"],
        table=first["table"],
        hosts_allowed=settings.hosts_allowed,
        keyless=secret is not None,
    )
    ports, pace = backend(location, secret, settings), Pace(clock, Rate(*first["rate"]))
    threads = ThreadPoolExecutor(THREADS)
    try:
        lists = {name: tuple(value) for name, value in first["volume"].items() if isinstance(value, list)}
        volume = VolumeInfo(**{**first["volume"], **lists, "created": EPOCH})
        scope = Scope(volume, tuple(first["others"]), first["prefix"], first["depth"])
        lister = Lister(PacedTable(ports.table, pace), settings, clock)
        scanner = Scanner(scope, lister, PacedContent(ports.content, pace), threads, Path(first["folder"]))
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await _answer(scanner, line.strip())), flush=True)  # noqa: T201 — that is where it answers
    finally:
        await ports.close()
        threads.shutdown()


async def _answer(scanner: Scanner, task: str) -> dict[str, Any]:
    try:
        return {"read": await scanner.read(task)}
    except CatalogError as exc:
        return {"error": type(exc).__name__, "message": exc.message, "kind": exc.kind, "op": exc.op, "key": exc.key}
