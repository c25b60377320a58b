"""put: what it writes, what it returns, what each mode asks for, and what it refuses."""

import asyncio
import errno
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest

from catalog import (
    Catalog,
    ConflictError,
    Content,
    Create,
    FileVersion,
    IfMatch,
    IfVersion,
    InvalidError,
    Item,
    Metadata,
    NotFoundError,
    Overwrite,
    Settings,
    TooLargeError,
    Volume,
    connect,
)
from catalog.modes import Mode
from catalog.sqlite_table import SqliteTable
from storage.memory import MemoryContent
from tests.faults.ports import Wire
from tests.faults.world import World

DATA = bytes(range(256)) * 40
SMALL = Settings(one_shot_bytes=1000, block_bytes=300)


async def versions(volume: Volume, path: str) -> list[FileVersion]:
    return [version async for version in volume.history(path)]


async def test_what_put_returns_is_what_stat_history_and_list_say(volume: Volume) -> None:
    when = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    metadata: Metadata = {
        "owner": "ops",
        "rows": 2**53 + 1,
        "share": 0.1,
        "final": True,
        "taken": when,
        "empty": "",
        "word": "é",
    }
    written = await volume.put("2026/a.csv", DATA, metadata=metadata, modified=when)
    assert (written.volume, written.path, written.version, written.kind) == ("raw", "2026/a.csv", 1, "put")
    assert written.size == len(DATA)
    assert written.digest == "sha256:" + hashlib.sha256(DATA).hexdigest()
    assert written.md5 == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    assert written.content_type == "text/csv"
    assert written.metadata == metadata
    assert {key: type(value) for key, value in written.metadata.items()} == {
        key: type(value) for key, value in metadata.items()
    }
    assert written.modified == when
    assert written.writer == "tests"
    assert written.blob == f"raw/.versions/2026/a.csv~{written.etag}.csv"
    assert await volume.stat("2026/a.csv") == written
    assert await volume.stat("2026/a.csv", version=1) == written
    assert await versions(volume, "2026/a.csv") == [written]
    assert [file async for file in volume.list(recursive=True)] == [written]
    assert await volume.read("2026/a.csv") == DATA


def the_file(folder: Path) -> Path:
    path = folder / "content.bin"
    path.write_bytes(DATA)
    return path


async def _async_chunks() -> AsyncIterator[bytes]:
    for start in range(0, len(DATA), 777):
        yield DATA[start : start + 777]


def _chunks() -> Iterator[bytes]:
    yield from (DATA[start : start + 1000] for start in range(0, len(DATA), 1000))


CONTENTS: dict[str, Callable[[Path], Content]] = {
    "bytes": lambda _folder: DATA,
    "path": the_file,
    "file object": lambda folder: the_file(folder).open("rb"),
    "bytes io": lambda _folder: io.BytesIO(DATA),
    "iterator": lambda _folder: _chunks(),
    "list": lambda _folder: list(_chunks()),
    "async iterator": lambda _folder: _async_chunks(),
    "bytearrays": lambda _folder: (bytearray(chunk) for chunk in _chunks()),  # type: ignore[misc]  # quietly taken too
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("settings", [Settings(), SMALL], ids=["one put", "staged blocks"])
async def test_content_of_every_kind_is_stored_whole(
    url: str, tmp_path: Path, content: Callable[[Path], Content], settings: Settings
) -> None:
    async with connect(url, settings=settings) as cat:
        volume = await cat.create_volume("raw", shards=1)
        opened = content(tmp_path)
        try:
            written = await volume.put("a", opened)
        finally:
            if isinstance(opened, io.IOBase):
                opened.close()
        assert written.digest == "sha256:" + hashlib.sha256(DATA).hexdigest()
        assert await volume.read("a") == DATA


@pytest.mark.parametrize("size", [0, 1, 299, 300, 301, 999, 1000, 1001, 1200, 1500])
async def test_sizes_around_every_boundary_come_back(url: str, size: int) -> None:
    async with connect(url, settings=SMALL) as cat:
        volume = await cat.create_volume("raw", shards=1)
        assert (await volume.put("a", DATA[:size])).size == size
        assert await volume.read("a") == DATA[:size]
        async with volume.open("a") as reader:
            assert b"".join([chunk async for chunk in reader]) == DATA[:size]
            assert reader.verified


async def test_versions_count_from_one_and_never_restart(volume: Volume) -> None:
    for number in (1, 2):
        assert (await volume.put("a", f"{number}".encode())).version == number
    assert (await volume.delete("a")).version == 3  # type: ignore[union-attr]
    assert (await volume.put("a", b"again", mode=Create())).version == 4
    found = await versions(volume, "a")
    assert [(file.version, file.kind) for file in found] == [(4, "put"), (3, "delete"), (2, "put"), (1, "put")]
    assert [await volume.read("a", version=number) for number in (1, 2, 4)] == [b"1", b"2", b"again"]
    assert sorted(file.created for file in found) == [file.created for file in reversed(found)]
    assert len({file.chain for file in found}) == len(found)


class Score(float):
    """As NumPy's float64 is one."""


class Owner(StrEnum):
    OPS = "ops"


class Level(IntEnum):
    HIGH = 3


async def test_values_of_types_that_are_kinds_of_ours_are_kept_as_ours(volume: Volume) -> None:
    await volume.put("a", DATA, metadata={"score": Score(0.5), "owner": Owner.OPS, "level": Level.HIGH})
    read = (await volume.stat("a")).metadata
    assert read == {"score": 0.5, "owner": "ops", "level": 3}
    assert {type(value) for value in read.values()} == {float, str, int}


async def test_equal_content_and_metadata_make_no_new_version(volume: Volume) -> None:
    first = await volume.put("a", DATA, metadata={"k": 1})
    assert await volume.put("a", DATA, metadata={"k": 1}) == first
    assert (await volume.put("a", DATA, metadata={"k": True})).version == 2
    assert (await volume.put("a", DATA, metadata={"k": True}, mode=Overwrite(force=True))).version == 3
    assert (await volume.put("a", DATA)).version == 4


CONFLICTS: dict[str, tuple[Mode, str]] = {
    "create": (Create(), "conflict.exists"),
    "older version": (IfVersion(1), "conflict.version"),
    "future version": (IfVersion(9), "conflict.version"),
    "etag": (IfMatch("01ARZ3NDEKTSV4RRFFQ69G5FAV"), "conflict.etag"),
}


@pytest.mark.parametrize(("mode", "kind"), CONFLICTS.values(), ids=CONFLICTS.keys())
async def test_a_mode_that_does_not_hold_is_a_conflict_and_changes_nothing(
    volume: Volume, mode: Mode, kind: str
) -> None:
    await volume.put("a", b"1")
    there = await volume.put("a", b"2")
    with pytest.raises(ConflictError, match=r"expected .*, found ") as caught:
        await volume.put("a", b"3", mode=mode)
    assert caught.value.kind == kind
    assert caught.value.expected is not None
    assert await volume.stat("a") == there


@pytest.mark.parametrize("mode", [IfVersion(1), IfMatch("x")])
async def test_a_version_that_must_be_there_is_not(volume: Volume, mode: Mode) -> None:
    with pytest.raises(ConflictError, match="found no file"):
        await volume.put("a", b"1", mode=mode)


async def test_a_mode_that_holds_writes(volume: Volume) -> None:
    first = await volume.put("a", b"1", mode=Create())
    second = await volume.put("a", b"2", mode=IfMatch(first.etag))
    third = await volume.put("a", b"3", mode=IfVersion(second.version))
    assert third.version == 3
    assert await volume.read("a") == b"3"


async def test_paths_in_nfd_and_nfc_are_one(volume: Volume) -> None:
    written = await volume.put("cafe\u0301", b"x")
    assert written.path == "caf\u00e9"
    assert await volume.stat("caf\u00e9") == written == await volume.stat("cafe\u0301")


@pytest.mark.parametrize(
    "path",
    ["A", "a b", "%2F", "%2e%2e/x", "\U0001f600/中文.txt", "a+b&c=d;e,f'g\"h", "~x~", "v", "#frag?query", "x" * 255],
)
async def test_unusual_paths_come_back_exactly(volume: Volume, path: str) -> None:
    await volume.put(path, path.encode())
    assert await volume.read(path) == path.encode()
    assert [file.path async for file in volume.list(recursive=True)] == [path]


async def test_the_longest_path_there_is(volume: Volume) -> None:
    path = "/".join(["s" * 49] * 10)
    await volume.put(path, b"x")
    assert await volume.read(path) == b"x"
    with pytest.raises(TooLargeError, match="500 units"):
        await volume.put(path + "xx", b"x")


async def test_a_file_beside_a_folder_of_its_name(volume: Volume) -> None:
    await volume.put("a", b"file")
    await volume.put("a/b", b"below")
    assert await volume.read("a") == b"file"
    assert await volume.read("a/b") == b"below"


def _failing() -> Iterator[bytes]:
    yield DATA
    raise RuntimeError("half-way")


def _text() -> Iterator[object]:
    yield b"bytes"
    yield "text"


async def test_a_stream_that_raises_half_way_raises_and_leaves_nothing(url: str) -> None:
    async with connect(url, settings=SMALL) as cat:
        volume = await cat.create_volume("raw", shards=1)
        with pytest.raises(RuntimeError, match="half-way"):
            await volume.put("a", _failing())
        with pytest.raises(InvalidError, match="yields bytes, not str"):
            await volume.put("a", _text())  # type: ignore[arg-type]
        with pytest.raises(NotFoundError):
            await volume.stat("a")
        assert (await cat.recover(patience_s=0)).items == ()


@pytest.mark.parametrize(
    ("content", "words"), [("a.csv", "a pathlib.Path"), (5, "it is int"), (None, "it is NoneType")]
)
async def test_what_is_no_content_is_refused(volume: Volume, content: Content, words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        await volume.put("a", content)


async def test_a_file_that_is_not_there_is_named(volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"missing\.bin"):
        await volume.put("a", tmp_path / "missing.bin")
    with pytest.raises(InvalidError, match="cannot read"):
        await volume.put("a", tmp_path)


async def test_a_text_file_object_is_refused(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("text")
    with (tmp_path / "t").open() as file, pytest.raises(InvalidError, match="bytes, not str"):
        await volume.put("a", file)  # type: ignore[arg-type]


class GrowingSource(MemoryContent):
    """A store during whose first request the file that is being uploaded grows."""

    def __init__(self, source: Path) -> None:
        super().__init__()
        self._source = source

    async def stage(self, name: str, block: str, data: bytes) -> None:
        if block.endswith("000"):
            with self._source.open("ab") as file:
                file.write(b"more")
        await super().stage(name, block, data)


async def test_a_file_that_changes_while_it_is_read_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = the_file(tmp_path)
    cat = Catalog(SqliteTable(":memory:"), GrowingSource(source), settings=SMALL)
    volume = await cat.create_volume("raw", shards=1)
    with pytest.raises(InvalidError, match="changed while it was read"):
        await volume.put("a", source)
    with pytest.raises(NotFoundError):
        await volume.stat("a")
    assert (await cat.recover(patience_s=0)).items == ()
    await cat.close()


WRONG: dict[str, dict[str, object]] = {
    "mode": {"mode": "create"},
    "version": {"mode": IfVersion(0)},
    "etag": {"mode": IfMatch("")},
    "naive modified": {"modified": datetime(2026, 1, 1)},  # noqa: DTZ001
    "content type": {"content_type": "text/plain\r\nx: y"},
    "timeout": {"timeout_s": -1},
    "infinite timeout": {"timeout_s": float("inf")},
    "metadata": {"metadata": {"a-b": 1}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_arguments_outside_the_rules_are_refused(volume: Volume, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidError):
        await volume.put("a", b"x", **wrong)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        await volume.stat("a")


async def test_rejected_input_sends_no_request(cat: Catalog) -> None:
    """S13: a volume whose table and container are gone would say so, if it was asked."""
    volume = await cat.create_volume("raw", shards=1)
    await cat.close()
    for path in ("", "../a", "a//b", "a\0", "x" * 501):
        with pytest.raises(InvalidError):
            await volume.put(path, b"x")
        with pytest.raises(InvalidError):
            await volume.read(path)
        with pytest.raises(InvalidError):
            await volume.delete(path)


async def test_put_many_tells_of_a_bad_item_in_its_outcome_and_goes_on(volume: Volume) -> None:
    """Whatever an item is, or its content raises: none of it is raised, and no other item hears of it."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise RuntimeError("no more")

    class Damaged(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object, /) -> int:
            raise OSError(errno.EIO, "Input/output error")

    async def items() -> AsyncIterator[Item]:
        yield Item("before", b"1")
        yield Item("broken", broken())
        yield Item("damaged", Damaged())
        yield "not-an-item"  # type: ignore[misc]
        yield Item("after", b"2")

    outcomes = [outcome async for outcome in volume.put_many(items())]
    bad = [outcome.error for outcome in outcomes if outcome.error]
    assert sorted(outcome.file.path for outcome in outcomes if outcome.file) == ["after", "before"]
    assert {(type(error), error.kind) for error in bad} == {(InvalidError, "invalid.source")}
    assert {type(error.__cause__) for error in bad} == {RuntimeError, OSError, TypeError}


async def waiting_for(task: "asyncio.Future[bytes]") -> AsyncIterator[bytes]:
    yield DATA
    yield await task


def raising_cancelled() -> Iterator[bytes]:
    yield DATA
    raise asyncio.CancelledError


async def cancelled_task() -> "asyncio.Future[bytes]":
    task: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    task.cancel()
    return task


async def test_content_that_waits_for_what_was_cancelled_cannot_be_read(volume: Volume) -> None:
    """Nobody cancelled the put: its caller is told so by an error, not by a cancellation."""
    with pytest.raises(InvalidError, match="raised CancelledError") as caught:
        await volume.put("a", waiting_for(await cancelled_task()))
    assert caught.value.kind == "invalid.source"
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_content_that_was_cancelled_elsewhere_stops_no_other_item(volume: Volume) -> None:
    async def items() -> AsyncIterator[Item]:
        yield Item("asynchronous", waiting_for(await cancelled_task()))
        yield Item("in a thread", raising_cancelled())
        yield Item("after", b"2")

    outcomes = {outcome.item.path: outcome async for outcome in volume.put_many(items())}
    assert {path: outcome.error and outcome.error.kind for path, outcome in outcomes.items()} == {
        "asynchronous": "invalid.source",
        "in a thread": "invalid.source",
        "after": None,
    }


async def test_a_put_that_is_cancelled_while_it_waits_for_content_is_cancelled(volume: Volume) -> None:
    begun, never = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def chunks() -> AsyncIterator[bytes]:
        begun.set()
        yield await never

    put = asyncio.create_task(volume.put("a", chunks()))
    await begun.wait()
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert put.cancelled()


async def test_put_many_raises_what_its_source_raises(volume: Volume) -> None:
    async def items() -> AsyncIterator[Item]:
        yield Item("a", b"1")
        raise RuntimeError("the source is broken")

    with pytest.raises(RuntimeError, match="the source is broken"):
        [outcome async for outcome in volume.put_many(items())]


@pytest.mark.parametrize("content_type", ["", "a" * 256, "é", "a\nb", " a", 5], ids=repr)
async def test_a_content_type_that_no_store_takes_is_refused_before_any_request(content_type: str) -> None:
    async with World() as world:
        wire = Wire()
        volume = await world.client(wire).create_volume("v", shards=1)
        sent = len(wire.sent)
        with pytest.raises(InvalidError, match="a content type is"):
            await volume.put("a", b"x", content_type=content_type)
        assert len(wire.sent) == sent
        assert (await volume.put("a", b"x", content_type="a" * 255)).content_type == "a" * 255


@pytest.mark.parametrize(
    "span", [{"start": 1.5}, {"start": True}, {"start": -1}, {"length": "1"}, {"length": -1}], ids=str
)
async def test_a_span_that_cannot_be_is_refused_before_any_request(span: dict[str, Any]) -> None:
    async with World() as world:
        wire = Wire()
        volume = await world.client(wire).create_volume("v", shards=1)
        sent = len(wire.sent)
        with pytest.raises(InvalidError, match="a whole number from 0 up"):
            async with volume.open("a", **span):
                pass
        assert len(wire.sent) == sent


async def test_one_request_id_at_two_paths_of_one_shard_is_two_requests(cat: Catalog) -> None:
    """Else the second write would be taken for done, and be lost."""
    volume = await cat.create_volume("raw", shards=1)
    for path in ("a", "b", "a b"):
        assert (await volume.put(path, path.encode(), request_id="r" * 200)).path == path
    assert [await volume.read(path) for path in ("a", "b", "a b")] == [b"a", b"b", b"a b"]
