"""A process that reads parts of scans. It is told what to read on stdin, line by line, and answers on stdout.

Its first line says how to open the catalog; credentials come in it, and nowhere else, or are made here. Once that is
open, it says that it is ready. Each other line is a part. It ends with its stdin, so it does not outlive who started
it. Whatever goes wrong is an answer, too.
"""

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from storage import Secret

from .backends import backend
from .entities import Index, VolumeInfo
from .errors import CatalogError
from .listing import Lister
from .locations import LocalLocation, parse_sealed_location
from .pace import Pace, PacedContent, PacedTable, Rate
from .reconcile.scan import Scanner, Scope
from .reconcile.workers import READY
from .retry import SystemClock
from .settings import Settings
from .sqlite_errors import translated
from .times import EPOCH

THREADS: Final = 2


def serve(first: Mapping[str, Any]) -> None:
    """Read parts until there are no more; what ends it before is its last answer."""
    with suppress(BrokenPipeError):  # nobody is there to be answered any more
        try:
            asyncio.run(_serve(first))
        except CatalogError as exc:
            _say(_told(exc, ends=True))
        except Exception as exc:  # noqa: BLE001 — its text may quote anything; one process shows it
            _say({"failed": f"{type(exc).__name__}; with one worker there is more to see"})


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
    if isinstance(location, LocalLocation):
        location = replace(location, folder=Path(first["catalog"]))  # a relative one was meant from another folder
    ports, pace = backend(location, secret, settings), Pace(clock, Rate(*first["rate"]))
    threads = ThreadPoolExecutor(THREADS)
    try:
        lists = {name: tuple(value) for name, value in first["volume"].items() if isinstance(value, list)}
        indexes = tuple(Index(each["id"], tuple(each["on"]), each["state"]) for each in first["volume"]["indexes"])
        volume = VolumeInfo(**{**first["volume"], **lists, "created": EPOCH, "indexes": indexes})
        scope = Scope(volume, tuple(first["others"]), first["prefix"], first["depth"])
        lister = Lister(PacedTable(ports.table, pace), settings, clock)
        scanner = Scanner(scope, lister, PacedContent(ports.content, pace), threads, Path(first["folder"]))
        _say(READY)
        while line := await asyncio.to_thread(sys.stdin.readline):
            _say(await _answer(scanner, line.strip(), first))
    finally:
        await ports.close()
        threads.shutdown()


async def _answer(scanner: Scanner, task: str, first: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"read": await scanner.read(task)}
    except CatalogError as exc:
        return _told(exc, ends=False)
    except (sqlite3.Error, OSError) as exc:  # of the part's file: no other would do better
        return _told(translated(exc, first["folder"], "reconcile", first["volume"]["name"]), ends=True)


def _told(error: CatalogError, *, ends: bool) -> dict[str, Any]:
    said = {"error": type(error).__name__, "message": error.message, "kind": error.kind, "op": error.op}
    return {**said, "key": error.key, "ends": ends}


def _say(answer: Mapping[str, Any]) -> None:
    """One line, past all buffers: what is kept back could not be said where nobody listens."""
    line = f"{json.dumps(answer)}\n".encode()
    while line:
        line = line[os.write(sys.stdout.fileno(), line) :]
