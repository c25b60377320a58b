"""People who go on working while a catalog is reconciled, and the check that all they were told is true."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from random import Random

from catalog import ConflictError, Create, NotFoundError, Overwrite, Settings, connect
from catalog.columns import volume_values
from catalog.rows import Values
from storage import Digests
from tests.faults.observer import OURS, Bytes, State
from tests.harness.history import check_history
from tests.harness.invariants import check_settled
from tests.harness.recorder import Recorded, Recorder
from tests.reconcile.scene import Raw, Scene

WRITERS = 4
FOLDER = "live/"
PATHS = [f"{FOLDER}{number:02d}.txt" for number in range(60)]
VERBS = ("put",) * 5 + ("delete", "move", "move", "copy", "metadata", "restore", "read", "stat")
SETTINGS = Settings(one_shot_bytes=64, block_bytes=32)
"""Content of some dozen bytes more than others is staged in blocks."""


@asynccontextmanager
async def at_work(url: str, volume: str, seed: int) -> AsyncIterator[Recorder]:
    """Four clients that change files in a folder of theirs for as long as this lasts; and what they were told."""
    recorder, over = Recorder(), asyncio.Event()
    async with AsyncExitStack() as clients, asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            actor = f"w{number}"
            client = await clients.enter_async_context(connect(url, writer=actor, settings=SETTINGS))
            recorded = recorder.volume(actor, await client.volume(volume))
            group.create_task(_write(recorded, Random(seed + number), over))
        try:
            yield recorder
        finally:
            over.set()


async def _write(volume: Recorded, choose: Random, over: asyncio.Event) -> None:
    for number in count():
        if over.is_set():
            return
        try:
            await _call(volume, choose, number)
        except (ConflictError, NotFoundError):
            continue


async def _call(volume: Recorded, choose: Random, number: int) -> None:
    verb, (path, other) = choose.choice(VERBS), choose.sample(PATHS, 2)
    match verb:
        case "put":
            content = f"{volume.actor} {number} ".encode() * choose.choice([1, 1, 1, 20])
            await volume.put(path, content, mode=Create() if choose.random() < 0.3 else Overwrite())
        case "delete":
            await volume.delete(path)
        case "move":
            await volume.move(path, other, mode=Overwrite())
        case "copy":
            await volume.copy(path, other, mode=Overwrite(force=True))
        case "metadata":
            await volume.set_metadata(path, {"by": f"{volume.actor} {number}"})
        case "restore":
            await volume.restore(path, 1, mode=Overwrite(force=True))
        case "read":
            await volume.read(path)
        case _:
            await volume.stat(path)


async def check_told(scene: Scene, recorder: Recorder, raw: Raw) -> None:
    """The rows and blobs in their folder are what they were told, and nothing of theirs is left half-done."""
    state = State(await _rows(scene, raw), _blobs(scene, raw))
    check_settled(state)
    check_history(recorder.calls, state.histories)


async def _rows(scene: Scene, raw: Raw) -> Mapping[tuple[str, str], Values]:
    registry: dict[tuple[str, str], Values] = {("~", f"v{scene.volume.name}"): volume_values(scene.volume.info)}
    rows = {key: entity.values for key, entity in raw.rows.items()}
    return registry | {key: row for key, row in rows.items() if str(row.get("path", "")).startswith(FOLDER)}


def _blobs(scene: Scene, raw: Raw) -> Mapping[str, Bytes]:
    root, found = f"{scene.volume.info.root}{OURS[1:]}{FOLDER}", dict[str, Bytes]()
    for name, blob in raw.blobs.items():
        if name.startswith(root):
            data = raw.contents[name]
            assert data is not None, f"{name} cannot be read"
            found[name] = Bytes(Digests.of(data).digest, len(data), dict(blob.headers.metadata))
    return found
