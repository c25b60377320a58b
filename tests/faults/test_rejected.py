"""Input that breaks a rule is refused before anything is sent (S13): every verb, with each of its arguments wrong."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from catalog import Create, F, IfVersion, InvalidError, Volume
from tests.faults.ports import Wire
from tests.faults.world import World
from tests.harness.invariants import s13_rejected_input_sends_nothing

Call = Callable[[Volume], Awaitable[object]]


async def listed(volume: Volume, prefix: str) -> object:
    return [entry async for entry in volume.list(prefix)]


async def queried(volume: Volume, limit: int) -> object:
    return [file async for file in volume.query(F.size > 1, limit=limit)]


async def history(volume: Volume, path: str) -> object:
    return [file async for file in volume.history(path)]


async def globbed(volume: Volume, pattern: str) -> object:
    return [file async for file in volume.glob(pattern)]


BAD: dict[str, Call] = {
    "put: path": lambda volume: volume.put("../a", b"x"),
    "put: metadata": lambda volume: volume.put("a", b"x", metadata={"no identifier": 1}),
    "put: mode": lambda volume: volume.put("a", b"x", mode=IfVersion(0)),
    "put: content type": lambda volume: volume.put("a", b"x", content_type="no\ntype"),
    "put: request id": lambda volume: volume.put("a", b"x", request_id=""),
    "put: time-out": lambda volume: volume.put("a", b"x", timeout_s=-1),
    "put: content": lambda volume: volume.put("a", "text"),  # type: ignore[arg-type]
    "delete: path": lambda volume: volume.delete("a//b"),
    "delete: mode": lambda volume: volume.delete("a", mode=Create()),
    "set_metadata: mode": lambda volume: volume.set_metadata("a", {}, mode=Create()),
    "set_metadata: metadata": lambda volume: volume.set_metadata("a", {"n": float("nan")}),
    "copy: source": lambda volume: volume.copy("/a", "b"),
    "copy: target": lambda volume: volume.copy("a", "b/"),
    "copy: itself": lambda volume: volume.copy("a", "a"),
    "move: itself": lambda volume: volume.move("a", "a"),
    "move: target": lambda volume: volume.move("a", "b\\c"),
    "restore: version": lambda volume: volume.restore("a", version=0),
    "stat: version": lambda volume: volume.stat("a", version=True),
    "read: path": lambda volume: volume.read("."),
    "list: prefix": lambda volume: listed(volume, "a//"),
    "query: limit": lambda volume: queried(volume, -1),
    "history: path": lambda volume: history(volume, ""),
    "glob: pattern": lambda volume: globbed(volume, "[a"),
    "ingest: no path": lambda volume: volume.ingest(Path("x"), prefix="/a"),
}


@pytest.mark.parametrize("name", BAD)
async def test_it_is_refused_and_nothing_is_sent(name: str) -> None:
    async with World() as world:
        wire = Wire()
        volume = await world.client(wire).create_volume("v", shards=1)
        sent = list(wire.sent)
        with pytest.raises(InvalidError):
            await BAD[name](volume)
        s13_rejected_input_sends_nothing(sent, wire.sent)
