"""Catalogs and their volumes; recover, resolve and verify where nothing went wrong, and where something did."""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from catalog import (
    Catalog,
    ConflictError,
    FileVersion,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    Settings,
    UnavailableError,
    Volume,
    connect,
)
from catalog.flow import each
from catalog.keys import REGISTRY, gate_row, partition, volume_row
from catalog.locations import parse_location
from catalog.opened import _user
from catalog.recovery import KEPT_US, check_patience
from catalog.sources import Content
from catalog.sqlite_table import SqliteTable
from catalog.table import Delete, Insert, Replace
from catalog.threads import HASHED_INLINE_BYTES
from catalog.unwrap import LocalPaths
from tests.faults.ports import Fault, Wire
from tests.faults.world import World


async def test_the_first_volume_becomes_the_default(cat: Catalog) -> None:
    first = await cat.create_volume("raw", shards=1)
    await cat.create_volume("refined", shards=2, root="other/")
    assert (await cat.volume()).info == first.info
    infos = [info async for info in cat.volumes()]
    assert [(info.name, info.shards, info.root, info.default) for info in infos] == [
        ("raw", 1, "raw/", True),
        ("refined", 2, "other/", False),
    ]
    await cat.set_default_volume("refined")
    assert (await cat.volume()).name == "refined"


async def test_a_volume_that_is_there_is_a_conflict_unless_it_may_be(cat: Catalog) -> None:
    made = await cat.create_volume("raw", shards=2)
    with pytest.raises(ConflictError, match="volume 'raw' is there already"):
        await cat.create_volume("raw", shards=2)
    assert (await cat.create_volume("raw", shards=2, exist_ok=True)).info.epoch == made.info.epoch
    with pytest.raises(ConflictError, match=r"other settings: wanted 4 shards, found 2 shards$") as caught:
        await cat.create_volume("raw", shards=4, exist_ok=True)
    assert (caught.value.expected, caught.value.found) == ("4 shards", "2 shards")
    said = r"wanted 1 shard and root other/ and a change log, found 2 shards and root raw/ and no change log$"
    with pytest.raises(ConflictError, match=said):
        await cat.create_volume("raw", shards=1, root="other/", change_log=True, exist_ok=True)


@pytest.mark.parametrize("root", ["raw/", "raw/deep/", "r/../raw/"])
async def test_roots_may_not_overlap(cat: Catalog, root: str) -> None:
    await cat.create_volume("raw", shards=1)
    with pytest.raises((ConflictError, InvalidError)):
        await cat.create_volume("other", shards=1, root=root)


@pytest.mark.parametrize("name", ["", "Raw", "1raw", "raw_", "r" * 32, "~", "räw", None])
async def test_a_volume_name_follows_its_rule(cat: Catalog, name: str) -> None:
    with pytest.raises(InvalidError, match="a volume's name is"):
        await cat.create_volume(name)


@pytest.mark.parametrize("root", ["", "raw", "/raw/", "a//b/", "../", "x" * 201 + "/", ".versions/"])
async def test_a_root_follows_its_rule(cat: Catalog, root: str) -> None:
    with pytest.raises(InvalidError):
        await cat.create_volume("raw", root=root)


async def test_a_layout_that_is_not_built_is_refused(cat: Catalog) -> None:
    with pytest.raises(InvalidError, match="layout is 'immutable'"):
        await cat.create_volume("raw", layout="path")  # type: ignore[arg-type]


async def test_volumes_that_are_not_there(cat: Catalog) -> None:
    with pytest.raises(NotFoundError):
        await cat.volume()
    await cat.create_volume("raw", shards=1)
    with pytest.raises(NotFoundError, match="there is no volume 'other'"):
        await cat.volume("other")
    with pytest.raises(NotFoundError):
        await cat.set_default_volume("other")


async def test_many_make_one_volume(cat: Catalog) -> None:
    made = await asyncio.gather(*(cat.create_volume("raw", shards=2, exist_ok=True) for _ in range(5)))
    assert len({volume.info.epoch for volume in made}) == 1
    outcomes = await asyncio.gather(*(cat.create_volume("other", shards=1) for _ in range(5)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError"] * 4 + ["Volume"]


async def test_two_volumes_do_not_see_each_other(cat: Catalog) -> None:
    one, two = await cat.create_volume("one", shards=2), await cat.create_volume("two", shards=2)
    await one.put("a", b"1")
    await two.put("a", b"2")
    assert (await one.read("a"), await two.read("a")) == (b"1", b"2")
    await one.delete("a")
    assert [file.path async for file in two.list(recursive=True)] == ["a"]


@pytest.mark.parametrize("url", ["local", "azurite"], indirect=True)  # one in memory is gone, as it says
async def test_a_catalog_outlives_its_connection(url: str) -> None:
    async with connect(url) as cat:
        await (await cat.create_volume("raw", shards=1)).put("a", b"1")
    async with connect(url) as cat:
        assert await (await cat.volume("raw")).read("a") == b"1"


async def test_closing_twice_is_fine_and_a_closed_catalog_says_so(cat: Catalog, volume: Volume) -> None:
    await cat.close()
    await cat.close()
    with pytest.raises(Exception, match="closed"):
        await volume.put("a", b"x")


async def test_a_relative_folder_is_where_it_was_when_the_catalog_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with connect("local:cat") as cat:
        os.chdir("elsewhere")
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("a", b"x" * 300_000)
        os.chdir("..")
        assert await volume.read("a") == b"x" * 300_000
        paths = cat.unwrap()
    assert paths == LocalPaths(tmp_path / "cat" / "catalog.db", tmp_path / "cat" / "content")
    assert [path.name for path in tmp_path.rglob("content.db")] == ["content.db"]
    assert [*(tmp_path / "elsewhere").iterdir()] == []


async def test_no_thread_and_no_task_outlives_the_block(url: str, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(20):
        (tmp_path / "tree" / f"{number}").write_bytes(bytes([number]) * 100_000)
    tasks = asyncio.all_tasks()
    async with connect(url) as cat:
        volume = await cat.create_volume("raw", shards=1)
        assert (await volume.ingest(tmp_path / "tree")).ok
        assert (await volume.verify()).ok
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith(("blobcat", "sqlite", "local"))] == []
    assert asyncio.all_tasks() == tasks


def open_below(folder: Path) -> list[str]:
    """What of a folder this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 — names of numbers
        with suppress(FileNotFoundError):  # the one that listed them
            found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
    return [path for path in found if path.startswith(f"{folder}/")]


async def test_a_catalog_that_is_cancelled_while_it_closes_leaves_nothing_open(tmp_path: Path) -> None:
    """At whatever moment: so many turns of the loop after the last thing that was done in the block."""
    async with connect(f"local:{tmp_path}") as cat:
        await cat.create_volume("raw", shards=1)

    async def run(done: asyncio.Event) -> None:
        async with connect(f"local:{tmp_path}") as cat:
            volume = await cat.volume("raw")
            await volume.put("a", os.urandom(9))
            async with volume.open_seekable("a") as file:
                assert await file.read()
                done.set()

    for turns in [*range(25)] * 4:
        done = asyncio.Event()
        running = asyncio.create_task(run(done))
        await done.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert open_below(tmp_path) == []
        assert [*(tmp_path / "content" / "staging").iterdir()] == []
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith(("sqlite", "local"))] == []


async def test_a_stream_that_never_comes_holds_the_block_for_a_moment_only() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb") as pipe:  # noqa: PTH123 — file descriptors
        async with connect("memory:") as cat:
            volume = await cat.create_volume("raw", shards=1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await volume.put("a", stream)
        pipe.close()
        for thread in threading.enumerate():
            if thread.name.startswith("blobcat"):
                thread.join()


async def test_recover_finds_nothing_where_nothing_is_left(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"1")
    await volume.delete("a")
    report = await cat.recover(patience_s=0)
    assert report.items == ()
    assert report.quiet


async def test_recover_reads_the_time_where_the_settings_have_changed_meanwhile() -> None:
    """The gate of the generation that it knows is gone: it goes by the one that is there."""
    async with World() as world:
        client = world.client()
        volume = await client.create_volume("v", shards=1)
        await world.leave_half_done("a", 2)
        shard, (row,) = partition(volume.info.epoch, 0), [await world.table.get(REGISTRY, volume_row("v"))]
        assert row
        await world.table.submit(REGISTRY, [Replace(row.row, {**row.values, "generation": 2}, row.etag)])
        await world.table.submit(shard, [Delete(gate_row(1)), Insert(gate_row(2), {"schema": 1})])
        (item,) = await client._recovery.run(volume.info, patience_s=0)
        assert (item.path, item.action) == ("a", "aborted")


def test_a_user_without_a_name_writes_by_number() -> None:
    def asked() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    assert _user(asked) == str(os.getuid())


@pytest.mark.parametrize(
    ("fault", "on", "action"),
    [(Fault.REFUSED, True, "failed"), (Fault.TWICE, False, "dropped")],
    ids=["refused", "twice"],
)
async def test_an_old_intent_that_cannot_be_dropped_is_told_of(fault: Fault, on: bool, action: str) -> None:
    """It is told of where nothing answers; where another recover was faster, it is gone all the same."""
    now_ns = 1_700_000_000 * 10**9
    async with World(table=SqliteTable(":memory:", clock=lambda: now_ns)) as world:
        await world.client().create_volume("v", shards=1)
        await world.leave_half_done("a", 2)
        assert [item.action for item in (await world.client().recover(patience_s=0)).items] == ["aborted"]
        now_ns += (KEPT_US + 1_000_000) * 1000
        wire = Wire()
        client = world.client(wire)
        volume = await client.volume("v")
        wire.at, wire.fault, wire.on = 7, fault, on
        (item,) = await client._recovery.run(volume.info, patience_s=0)
        assert (wire.sent[6], item.path, item.action) == ("table.submit", "a", action)


@pytest.mark.parametrize("patience", ["x", True, float("inf"), -1, float("nan")], ids=repr)
def test_the_patience_of_recovery_is_a_finite_number_from_0_up(patience: float) -> None:
    with pytest.raises(InvalidError, match="patience_s"):
        check_patience(patience)


@pytest.mark.parametrize("patience", [-1, float("nan")])
async def test_patience_is_a_number_of_seconds(cat: Catalog, patience: float) -> None:
    with pytest.raises(InvalidError, match="patience_s"):
        await cat.recover(patience_s=patience)


CONTENTS: Final[Mapping[str, Callable[[Path], Content]]] = {
    "bytes": Path.read_bytes,
    "a file": lambda path: path,
    "a stream": lambda path: each([path.read_bytes()]),
    "a reader": lambda path: BytesIO(path.read_bytes()),
}


@pytest.mark.parametrize("size", [1, HASHED_INLINE_BYTES + 1])
@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("moment", [1, 3, 10, None])
async def test_a_catalog_closed_under_its_puts_tells_each_what_became_of_it(
    url: str, kind: str, size: int, moment: int | None, tmp_path: Path
) -> None:
    """Nobody cancelled them, so none is cancelled: each hears a definite error, or gets a token.

    It is closed after so many steps of each, or once one of them is done.
    """
    (tmp_path / "file").write_bytes(b"x" * size)
    async with connect(url) as cat:
        volume = await cat.create_volume("raw", shards=2)
        content = CONTENTS[kind]
        puts = [asyncio.create_task(volume.put(f"f{number}", content(tmp_path / "file"))) for number in range(150)]
        if moment is None:
            await asyncio.wait(puts, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(moment or 0):
            await asyncio.sleep(0)
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    told = {type(outcome) for outcome in outcomes}
    assert told <= {FileVersion, InvalidError, UnavailableError, OutcomeUnknownError}, told
    assert all(error.token for error in outcomes if isinstance(error, OutcomeUnknownError))
    if url != "memory:":
        async with connect(url) as cat:
            await cat.recover(patience_s=0)
            listed = {file.path async for file in (await cat.volume()).list()}
        done = {outcome.path for outcome in outcomes if isinstance(outcome, FileVersion)}
        unknown = {error.key for error in outcomes if isinstance(error, OutcomeUnknownError)}
        assert done <= listed <= done | unknown


@pytest.mark.parametrize("token", ["", "x", "blobcat1.", "blobcat1.e30", "blobcat1.!!!", "blobcat1.bnVsbA"])
async def test_what_is_no_token_is_refused(cat: Catalog, token: str) -> None:
    with pytest.raises(InvalidError, match="this is no token"):
        await cat.resolve(token)


async def test_verify_reads_every_version_and_finds_all_well(volume: Volume) -> None:
    await volume.put("a", b"1")
    await volume.put("a", b"22")
    await volume.put("b/c", b"333")
    await volume.delete("a")
    report = await volume.verify()
    assert (report.checked, report.bytes_read, report.ok) == (3, 6, True)
    assert (await volume.verify("b/")).checked == 1


async def test_a_progress_that_raises_ends_verify_and_leaves_no_task(volume: Volume) -> None:
    for number in range(20):
        await volume.put(f"{number}", b"x" * number)
    tasks = asyncio.all_tasks()

    def progress(checked: int, bytes_read: int) -> None:
        raise ArithmeticError(f"{checked} {bytes_read}")

    with pytest.raises(ArithmeticError, match=r"^1 \d"):
        await volume.verify(progress=progress)
    assert asyncio.all_tasks() == tasks


async def test_volumes_that_are_not_listed_to_their_end_leave_nothing_open(cat: Catalog) -> None:
    for name in ("one", "two", "three"):
        await cat.create_volume(name, shards=1)
    listing = cat.volumes()
    assert (await anext(listing)).name == "one"
    await listing.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(listing)


async def test_verify_names_exactly_what_was_damaged(tmp_path: Path) -> None:
    async with connect(f"local:{tmp_path}") as cat:
        volume = await cat.create_volume("raw", shards=2)
        for number in range(20):
            await volume.put(f"f/{number}", str(number).encode() * 100)
        newer = await volume.put("f/7", b"newer")
        old = await volume.stat("f/7", version=1)
        (damaged,) = [path for path in tmp_path.rglob("*") if path.is_file() and old.etag in path.name]
        damaged.write_bytes(b"8" + damaged.read_bytes()[1:])
        report = await volume.verify()
        assert [(finding.file.path, finding.file.version) for finding in report.findings] == [("f/7", 1)]
        assert report.findings[0].error.kind == "integrity.digest"
        assert report.checked == 21
        assert await volume.read("f/7") == b"newer"
        assert newer.version == 2


async def test_nothing_listening_is_one_clear_line_within_the_deadline() -> None:
    settings = Settings(silence_timeout_s=0.05)
    async with connect("azurite://127.0.0.1:9:9", settings=settings) as cat:
        with pytest.raises(UnavailableError, match="is Azurite running") as caught:
            await cat.volume("raw")
        assert "\n" not in str(caught.value)


async def test_a_wrong_key_is_denied_in_one_clear_line(azurite: object) -> None:
    location = parse_location(azurite.url)  # type: ignore[attr-defined]
    text = (
        f"AccountName=devstoreaccount1;AccountKey=d3Jvbmc=;BlobEndpoint={location.blob_endpoint};"  # type: ignore[union-attr]
        f"TableEndpoint={location.table_endpoint}"  # type: ignore[union-attr]
    )
    from catalog import AccessDeniedError

    async with connect(text) as cat:
        with pytest.raises(AccessDeniedError) as caught:
            await cat.create_volume("raw")
        assert "\n" not in str(caught.value)
        assert "d3Jvbmc" not in str(caught.value)


@pytest.mark.parametrize("writer", ["", "a\nb", "x" * 201, 5])
async def test_a_writers_name_is_printable(writer: str) -> None:
    with pytest.raises(InvalidError, match="a writer's name is"):
        async with connect("memory:", writer=writer):
            pass


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"timeout_s": True},
        {"request_timeout_s": -1},
        {"connect_timeout_s": float("nan")},
        {"silence_timeout_s": "5"},
        {"transfers_max": 0},
        {"block_bytes": 1.5},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidError):
        Settings(**wrong)  # type: ignore[arg-type]
