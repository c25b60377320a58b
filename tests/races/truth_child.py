"""A process that changes files at random, and one that recovers, until their time is over or somebody kills them.

What each call is, is decided by a seed; what it was told is written down at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random

from catalog import (
    Catalog,
    ConflictError,
    Create,
    FileVersion,
    IfVersion,
    Mode,
    NotFoundError,
    OutcomeUnknownError,
    Overwrite,
    Settings,
    UnavailableError,
    Volume,
    connect,
)
from tests.races.manifest import Call, Manifest

PATHS = [f"d{number % 5}/f{number:02d}" for number in range(50)]
SETTINGS = Settings(one_shot_bytes=64, block_bytes=32, timeout_s=15, request_timeout_s=5)
"""Content of some dozen bytes more than others is staged in blocks."""
VERBS = ("put",) * 10 + ("delete",) * 4 + ("move",) * 4 + ("copy", "metadata", "restore")
HASTY_S = 0.03
"""A time limit that some puts do not make: then their outcome may be unknown."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is told when it starts."""

    url: str
    manifest: Path
    actor: str
    seed: int
    until: float
    """On the monotonic clock."""


def change(orders: Orders) -> None:
    """Be one that changes files."""
    asyncio.run(_change(orders))


def recover(orders: Orders) -> None:
    """Be the one that recovers."""
    asyncio.run(_recover(orders))


async def _recover(orders: Orders) -> None:
    async with connect(orders.url, settings=SETTINGS) as catalog:
        while time.monotonic() < orders.until:
            try:
                await catalog.recover(patience_s=0)
            except (UnavailableError, OutcomeUnknownError):
                continue


async def _change(orders: Orders) -> None:
    choose, manifest = Random(orders.seed), Manifest(orders.manifest)
    async with connect(orders.url, writer=orders.actor, settings=SETTINGS) as catalog:
        volume = await _opened(catalog)
        for number in count():
            if time.monotonic() >= orders.until:
                return
            call, act = await _chosen(volume, choose, orders.actor, number)
            manifest.begins(call)
            outcome, more = await _told(act())
            manifest.ended(call, outcome, **more)


async def fill(volume: Volume, manifest: Manifest, actor: str) -> None:
    """Make a file of each path, so that there is something to change."""

    async def put(number: int, path: str) -> None:
        content = f"{actor} {number}".encode()
        call = Call(f"{actor}/{number}", actor, "put", path, digest=f"sha256:{sha256(content).hexdigest()}")
        manifest.begins(call)
        outcome, more = await _told(volume.put(path, content))
        manifest.ended(call, outcome, **more)

    await asyncio.gather(*(put(number, path) for number, path in enumerate(PATHS)))


async def _opened(catalog: Catalog) -> Volume:
    while True:
        try:
            return await catalog.volume("v")
        except UnavailableError:
            continue


async def _chosen(
    volume: Volume, choose: Random, actor: str, number: int
) -> tuple[Call, Callable[[], Awaitable[FileVersion | None]]]:
    verb, path = choose.choice(VERBS), choose.choice(PATHS)
    call = Call(f"{actor}/{number}", actor, verb, path)
    if verb in ("move", "copy"):
        call.source = choose.choice([each for each in PATHS if each != path])
        call.create = choose.random() < 0.7
        take, otherwise = (volume.move, Overwrite()) if verb == "move" else (volume.copy, Overwrite(force=True))
        return call, lambda: take(call.source, path, mode=Create() if call.create else otherwise)
    if verb == "restore":
        older = choose.randint(1, await _version(volume, path) or 1)
        return call, lambda: volume.restore(path, version=older, mode=Overwrite(force=True))
    mode: Mode = Overwrite(force=verb == "put")
    if choose.random() < 0.4 and (version := await _version(volume, path)):
        mode, call.version = IfVersion(version), version
    elif verb == "put" and choose.random() < 0.4:
        mode, call.create = Create(), True
    if verb == "delete":
        return call, lambda: volume.delete(path, mode=Overwrite() if call.version is None else mode)
    if verb == "metadata":
        return call, lambda: volume.set_metadata(path, {"call": call.id}, mode=mode)
    content = f"{call.id} ".encode() * choose.choice([1, 1, 1, 20])
    call.digest = f"sha256:{sha256(content).hexdigest()}"
    hasty = HASTY_S if choose.random() < 0.1 else None
    return call, lambda: volume.put(path, content, mode=mode, timeout_s=hasty)


async def _version(volume: Volume, path: str) -> int | None:
    try:
        return (await volume.stat(path)).version
    except (NotFoundError, UnavailableError):
        return None


async def _told(call: Awaitable[FileVersion | None]) -> tuple[str, dict[str, object]]:
    try:
        file = await call
    except ConflictError as refused:
        return "conflict", {"why": refused.kind}
    except NotFoundError:
        return "not-found", {}
    except UnavailableError:
        return "unavailable", {}
    except OutcomeUnknownError as unknown:
        return "unknown", {"token": unknown.token}
    assert file
    return "made", {"op": file.etag, "made": file.version, "origin": file.source or ""}
