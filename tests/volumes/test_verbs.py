"""copy, move, restore, set_metadata, and a caller's own request ids: on every back end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from catalog import (
    Catalog,
    ConflictError,
    Create,
    FileVersion,
    IfMatch,
    IfVersion,
    InvalidError,
    NotFoundError,
    Overwrite,
    Volume,
    connect,
)
from catalog.exchange import partition_of


async def versions(volume: Volume, path: str) -> list[FileVersion]:
    return [version async for version in volume.history(path)]


def target(volume: Volume, source: str, *, apart: bool) -> str:
    """A path in the source's shard, or in another one."""
    return next(
        path
        for number in range(1000)
        if (partition_of(volume.info, path := f"to/{number}") != partition_of(volume.info, source)) == apart
    )


async def test_a_copy_refers_to_the_same_content_and_keeps_what_is_known_of_it(volume: Volume) -> None:
    source = await volume.put("a.csv", b"one", metadata={"k": 1}, content_type="text/x")
    copy = await volume.copy("a.csv", "b")
    assert (copy.kind, copy.version, copy.source) == ("copy", 1, "a.csv@1")
    assert (copy.blob, copy.digest, copy.size, copy.md5) == (source.blob, source.digest, source.size, source.md5)
    assert (copy.metadata, copy.content_type) == ({"k": 1}, "text/x")
    assert await volume.stat("b") == copy
    await volume.put("a.csv", b"two")
    await volume.delete("a.csv")
    assert await volume.read("b") == b"one"


@pytest.mark.parametrize("apart", [False, True], ids=["one shard", "two shards"])
async def test_a_move_gives_the_file_another_path_and_leaves_history_where_it_was(
    volume: Volume, *, apart: bool
) -> None:
    await volume.put("a", b"one", metadata={"k": 1})
    source = await volume.put("a", b"two", metadata={"k": 2})
    to = target(volume, "a", apart=apart)
    moved = await volume.move("a", to)
    assert (moved.kind, moved.version, moved.source) == ("move", 1, "a@2")
    assert (moved.blob, moved.metadata) == (source.blob, {"k": 2})
    assert await volume.read(to) == b"two"
    with pytest.raises(NotFoundError, match="was deleted"):
        await volume.stat("a")
    assert [(file.version, file.kind) for file in await versions(volume, "a")] == [
        (3, "delete"),
        (2, "put"),
        (1, "put"),
    ]
    assert await volume.read("a", version=1) == b"one"
    assert [file.path async for file in volume.list(recursive=True)] == [to]
    back = await volume.move(to, "a")
    assert (back.version, await volume.read("a")) == (4, b"two")


@pytest.mark.parametrize("apart", [False, True], ids=["one shard", "two shards"])
@pytest.mark.parametrize("verb", [Volume.copy, Volume.move], ids=["copy", "move"])
class TestOnto:
    """What copy and move do at their target, and without a source."""

    async def test_a_file_is_not_overwritten_unasked(
        self, volume: Volume, verb: Callable[..., Awaitable[FileVersion]], *, apart: bool
    ) -> None:
        to = target(volume, "a", apart=apart)
        source, there = await volume.put("a", b"source"), await volume.put(to, b"target")
        for mode in (Create(), IfVersion(7), IfMatch("another")):
            with pytest.raises(ConflictError, match=r"expected .*, found"):
                await verb(volume, "a", to, mode=mode)
        assert (await volume.stat("a"), await volume.stat(to)) == (source, there)
        made = await verb(volume, "a", to, mode=IfMatch(there.etag))
        assert (made.version, await volume.read(to)) == (2, b"source")

    async def test_a_deleted_target_is_no_file(
        self, volume: Volume, verb: Callable[..., Awaitable[FileVersion]], *, apart: bool
    ) -> None:
        to = target(volume, "a", apart=apart)
        await volume.put("a", b"source")
        await volume.put(to, b"target")
        await volume.delete(to)
        assert (await verb(volume, "a", to)).version == 3

    async def test_a_source_that_is_not_there_is_not_found(
        self, volume: Volume, verb: Callable[..., Awaitable[FileVersion]], *, apart: bool
    ) -> None:
        to = target(volume, "a", apart=apart)
        with pytest.raises(NotFoundError, match="there is no file 'a'"):
            await verb(volume, "a", to)
        await volume.put("a", b"x")
        await volume.delete("a")
        with pytest.raises(NotFoundError, match="there is no file 'a'"):
            await verb(volume, "a", to)

    async def test_a_file_onto_itself_is_refused(
        self, volume: Volume, verb: Callable[..., Awaitable[FileVersion]], *, apart: bool
    ) -> None:
        path = target(volume, "a", apart=apart)
        await volume.put(path, b"x")
        with pytest.raises(InvalidError, match="source and target are the same"):
            await verb(volume, path, path)


async def test_restore_makes_an_older_version_the_current_one(volume: Volume) -> None:
    first = await volume.put("a", b"one", metadata={"k": 1})
    await volume.put("a", b"two")
    restored = await volume.restore("a", version=1)
    assert (restored.kind, restored.version, restored.source) == ("restore", 3, "a@1")
    assert (restored.blob, restored.metadata) == (first.blob, {"k": 1})
    assert await volume.read("a") == b"one"
    assert await volume.restore("a", version=1) == restored
    await volume.delete("a")
    assert (await volume.restore("a", version=2)).version == 5
    assert await volume.read("a") == b"two"
    with pytest.raises(NotFoundError, match="is a delete"):
        await volume.restore("a", version=4)
    with pytest.raises(NotFoundError, match="version 9"):
        await volume.restore("a", version=9)
    with pytest.raises(ConflictError):
        await volume.restore("a", version=1, mode=IfVersion(1))


async def test_set_metadata_replaces_them_and_nothing_else(volume: Volume) -> None:
    first = await volume.put("a.csv", b"one", metadata={"k": 1, "gone": True})
    second = await volume.set_metadata("a.csv", {"k": 2})
    assert (second.kind, second.version, second.metadata) == ("metadata", 2, {"k": 2})
    assert (second.blob, second.digest, second.content_type) == (first.blob, first.digest, first.content_type)
    assert await volume.read("a.csv") == b"one"
    assert await volume.set_metadata("a.csv", {"k": 2}) == second
    with pytest.raises(ConflictError):
        await volume.set_metadata("a.csv", {}, mode=IfVersion(1))
    with pytest.raises(NotFoundError):
        await volume.set_metadata("none", {})
    with pytest.raises(InvalidError, match="not Create"):
        await volume.set_metadata("a.csv", {}, mode=Create())


async def test_many_set_metadata_and_put_at_once(volume: Volume) -> None:
    await volume.put("a", b"0")
    changes = [volume.set_metadata("a", {"n": number}) for number in range(6)]
    changes += [volume.put("a", bytes([number])) for number in range(6)]
    made = await asyncio.gather(*changes)
    assert sorted(file.version for file in made) == list(range(2, 14))
    assert (await volume.verify()).ok
    for file in await versions(volume, "a"):
        assert len(await volume.read("a", version=file.version)) == 1


async def test_eight_move_one_file_and_one_of_them_does(volume: Volume) -> None:
    await volume.put("a", b"x")
    outcomes = await asyncio.gather(*(volume.move("a", f"to/{n}") for n in range(8)), return_exceptions=True)
    moved = [outcome for outcome in outcomes if isinstance(outcome, FileVersion)]
    assert len(moved) == 1
    assert {type(outcome) for outcome in outcomes} == {FileVersion, NotFoundError}
    assert [file.path async for file in volume.list(recursive=True)] == [moved[0].path]


async def test_two_files_that_swap_end_as_if_one_went_first(volume: Volume) -> None:
    await volume.put("a", b"a")
    to = target(volume, "a", apart=True)
    await volume.put(to, b"b")
    await asyncio.gather(
        volume.move("a", to, mode=Overwrite()), volume.move(to, "a", mode=Overwrite()), return_exceptions=True
    )
    left = {file.path: await volume.read(file.path) async for file in volume.list(recursive=True)}
    assert left in ({"a": b"a"}, {to: b"a"}, {"a": b"b"}, {to: b"b"})


async def test_moves_among_puts_and_deletes_leave_whole_histories(cat: Catalog, volume: Volume) -> None:
    def work(number: int) -> list[Awaitable[object]]:
        return [
            volume.put("a", bytes([number])),
            volume.move("a", f"to/{number}"),
            volume.delete("a", missing_ok=True),
            volume.copy("a", f"copy/{number}"),
        ]

    outcomes = await asyncio.gather(*(task for n in range(6) for task in work(n)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {FileVersion, NotFoundError, type(None)}
    await cat.recover(patience_s=0)
    moved = [file for file in outcomes if isinstance(file, FileVersion) and file.kind == "move"]
    for file in moved:
        assert len(await volume.read(file.path)) == 1
    history = await versions(volume, "a")
    assert [file.version for file in history] == list(range(len(history), 0, -1))
    assert (await volume.verify()).ok


async def test_the_same_request_makes_one_version_however_often_it_comes(volume: Volume) -> None:
    first = await volume.put("a", b"1", request_id="order/1 é")
    assert first.request_id == "order/1 é"
    assert await volume.put("a", b"2", request_id="order/1 é") == first
    assert await volume.stat("a") == first
    deleted = await volume.delete("a", request_id="gone")
    assert await volume.delete("a", request_id="gone") == deleted
    assert await volume.put("a", b"3", request_id="order/1 é") == first
    with pytest.raises(NotFoundError):
        await volume.stat("a")
    assert (await volume.put("b", b"1", request_id="order/1 é")).path == "b"


@pytest.mark.parametrize("kind", ["put", "copy", "move", "restore", "metadata", "delete"])
async def test_ten_of_one_request_at_once_make_one_version(volume: Volume, kind: str) -> None:
    await volume.put("a", b"0")
    await volume.put("a", b"1")

    def change() -> Awaitable[FileVersion | None]:
        match kind:
            case "put":
                return volume.put("a", b"new", request_id="r")
            case "copy":
                return volume.copy("a", "b", request_id="r")
            case "move":
                return volume.move("a", "b", request_id="r")
            case "restore":
                return volume.restore("a", version=1, request_id="r")
            case "metadata":
                return volume.set_metadata("a", {"k": 1}, request_id="r")
        return volume.delete("a", request_id="r")

    made = await asyncio.gather(*(change() for _ in range(10)))
    assert len({file.etag for file in made if file}) == 1
    path = made[0].path if made[0] else ""
    assert [file.request_id for file in await versions(volume, path)].count("r") == 1


async def test_a_request_is_remembered_by_the_catalog_not_by_the_process(url: str) -> None:
    if url == "memory:":
        pytest.skip("a catalog in memory is gone with its process")
    async with connect(url) as cat:
        first = await (await cat.create_volume("raw", shards=2)).put("a", b"1", request_id="r")
    async with connect(url) as cat:
        assert await (await cat.volume()).put("a", b"2", request_id="r") == first


@pytest.mark.parametrize("request_id", ["", "x" * 201, "a\nb", "a\\b", 5])
async def test_a_request_id_is_printable(volume: Volume, request_id: str) -> None:
    with pytest.raises(InvalidError, match="a request id is"):
        await volume.put("a", b"x", request_id=request_id)


async def test_a_request_id_of_another_verb_is_a_conflict_and_changes_nothing(volume: Volume) -> None:
    written = await volume.put("a", b"1", request_id="r")
    for change in (volume.delete("a", request_id="r"), volume.set_metadata("a", {"k": 1}, request_id="r")):
        with pytest.raises(ConflictError, match="belongs to another change") as caught:
            await change
        assert caught.value.kind == "conflict.request"
    assert await volume.stat("a") == written
