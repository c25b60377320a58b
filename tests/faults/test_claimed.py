"""A head that a stopped move has claimed, met by every reader: before the move is decided, and after."""

import pytest

from catalog import F, NotFoundError, Volume
from tests.faults.ports import Fault, Wire
from tests.faults.scenarios import FAR
from tests.faults.world import World, outlived


async def stopped_after(world: World, writes: int, *, indexed: bool = False) -> None:
    """Move a to another shard, and kill the mover after so many of its transactions."""
    volume = await world.client().create_volume("v", shards=2)
    if indexed:
        await volume.create_index("size")
    await volume.put("a", b"content")
    wire = Wire()
    mover = await world.client(wire).volume("v")
    wire.at, wire.fault = len(wire.sent) + 1 + writes, Fault.CRASH_AFTER  # it reads the source first
    assert await outlived(wire, mover.move("a", FAR)) is None
    assert wire.sent[-writes:] == ["table.submit"] * writes


BY_PLANS = ["query by paths", "query by index", "query by a range", "query in order"]


async def seen(volume: Volume, how: str) -> list[str]:  # noqa: C901, PLR0911, PLR0912 — one line per reader
    """The files that a reader sees."""
    match how:
        case "list":
            return [each.path async for each in volume.list(recursive=True)]
        case "folders":
            return [each.path async for each in volume.list()]
        case "glob":
            return [each.path async for each in volume.glob("**")]
        case "exact glob":
            return [each.path for path in ("a", FAR) async for each in volume.glob(path)]
        case "query":
            return [each.path async for each in volume.query(F.size > 0)]
        case "select":
            return [each["path"] async for each in volume.query(F.size > 0).select("path", "digest")]
        case "count":
            return [group.values[0] for group in (await volume.count(F.size > 0, by=["path"])).groups]
        case "query by paths":
            return [each.path async for each in volume.query(F.path.isin(["a", FAR]))]
        case "query by index":
            return [each.path async for each in volume.query(F.size == 7)]
        case "query by a range":
            return [each.path async for each in volume.query(F.size > 0)]
        case "query in order":
            return [each.path async for each in volume.query(F.size > 0, order_by="size")]
        case "du":
            return [each.path async for each in volume.folders() if each.files]
    found = []
    for path in ("a", FAR):
        try:
            found.append((await volume.stat(path)).path)
        except NotFoundError:
            continue
    return found


@pytest.mark.parametrize(
    "how", ["list", "folders", "glob", "exact glob", "query", *BY_PLANS, "select", "count", "du", "stat"]
)
@pytest.mark.parametrize(("writes", "moved"), [(2, False), (3, True)], ids=["before it is decided", "after"])
async def test_every_reader_shows_the_file_once_and_where_it_is(how: str, writes: int, moved: bool) -> None:
    async with World() as world:
        await stopped_after(world, writes, indexed=how in BY_PLANS)
        state = await world.look()
        assert (len(state.claims), state.moved) == (1, {"a"} if moved else set())
        found = await seen(await world.client().volume("v"), how)
        assert len((await world.look()).claims) == (0 if moved else 1)
        where = FAR if moved else "a"
        if how == "du":
            assert found == (["to/", ""] if moved else [""])
        else:
            assert found == (["to/"] if moved and how == "folders" else [where])
