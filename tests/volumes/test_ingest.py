"""ingest and put_many: trees and streams of files."""

import asyncio
import os
import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from catalog import (
    Catalog,
    ConflictError,
    Create,
    IngestProgress,
    IngestReport,
    InvalidError,
    Item,
    NotFoundError,
    Settings,
    Volume,
    connect,
)
from catalog.sqlite_table import SqliteTable
from catalog.table import Table
from storage import Blocks, ContentStore, Headers, Precondition
from storage.memory import MemoryContent

TREE = {
    "a.txt": b"a",
    "a/b.csv": b"1,2\n",
    "a/d/c": b"",
    "a-b": b"dash",
    "a b": b"space",
    "é": b"e",
    "z/\U0001f600.bin": bytes(range(256)) * 20,
}


def plant(folder: Path, tree: dict[str, bytes]) -> Path:
    for path, content in tree.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree of files."""
    return plant(tmp_path / "tree", TREE)


@pytest.fixture
def any_time() -> Iterator[Path]:
    """A folder on a disk that takes any time for a file's."""
    if not Path("/dev/shm").is_dir():  # noqa: S108 — nothing else is known to be a tmpfs
        pytest.skip("there is no tmpfs")
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


async def contents(volume: Volume, prefix: str = "") -> dict[str, bytes]:
    return {file.path: await volume.read(file.path) async for file in volume.list(prefix, recursive=True)}


def on_disk(tree: Path, prefix: str = "") -> dict[str, bytes]:
    files = (path for path in tree.rglob("*") if path.is_file())
    return {prefix + path.relative_to(tree).as_posix(): path.read_bytes() for path in files}


async def test_a_tree_is_ingested_whole(volume: Volume, tree: Path) -> None:
    report = await volume.ingest(tree, prefix="in/put", metadata={"origin": "test"})
    assert report.ok
    assert (report.written, report.unchanged) == (len(TREE), 0)
    assert report.bytes_written == sum(map(len, TREE.values()))
    assert await contents(volume) == on_disk(tree, "in/put/")
    stat = await volume.stat("in/put/a.txt")
    assert stat.metadata == {"origin": "test"}
    assert stat.content_type == "text/plain"
    assert stat.modified is not None
    assert stat.modified.timestamp() == pytest.approx((tree / "a.txt").stat().st_mtime, abs=1e-5)


async def test_only_what_changed_is_written_again(volume: Volume, tree: Path) -> None:
    await volume.ingest(tree)
    (tree / "a.txt").write_bytes(b"A")  # of the same size
    (tree / "a-b").write_bytes(b"longer than before")
    (tree / "new").write_bytes(b"new")
    os.utime(tree / "a b", (1, 1))  # touched, not changed
    report = await volume.ingest(tree)
    assert (report.written, report.unchanged) == (3, len(TREE) - 2)
    listed = {file.path: file.version async for file in volume.list(recursive=True)}  # type: ignore[union-attr]
    assert {path for path, version in listed.items() if version == 2} == {"a.txt", "a-b"}
    assert await contents(volume) == on_disk(tree)
    assert await volume.read("a.txt", version=1) == b"a"


async def test_trusting_times_reads_nothing_and_so_misses_what_kept_its_time(volume: Volume, tree: Path) -> None:
    await volume.ingest(tree)
    before = (tree / "a.txt").stat()
    (tree / "a.txt").write_bytes(b"A")
    os.utime(tree / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await volume.ingest(tree, trust_mtime=True)).unchanged == len(TREE)
    assert (await volume.ingest(tree)).written == 1


async def test_files_keep_their_metadata_unless_it_is_given(volume: Volume, tree: Path) -> None:
    await volume.put("a.txt", b"older", metadata={"owner": "ops"})
    await volume.ingest(tree)
    assert (await volume.stat("a.txt")).metadata == {"owner": "ops"}
    report = await volume.ingest(tree, metadata={"owner": "lab"})
    assert report.written == len(TREE)
    assert (await volume.stat("a.txt")).metadata == {"owner": "lab"}
    assert (await volume.ingest(tree, metadata={"owner": "lab"})).unchanged == len(TREE)


async def test_a_deleted_file_comes_back(volume: Volume, tree: Path) -> None:
    await volume.ingest(tree)
    await volume.delete("a.txt")
    assert (await volume.ingest(tree)).written == 1
    assert (await volume.stat("a.txt")).version == 3


async def test_what_is_excluded_is_not_there(volume: Volume, tree: Path) -> None:
    await volume.ingest(tree, exclude=["*.csv", "z", "a/d"])
    assert set(await contents(volume)) == {"a.txt", "a-b", "a b", "é"}


async def test_a_single_file_is_a_tree_too(volume: Volume, tree: Path) -> None:
    assert (await volume.ingest(tree / "a.txt", prefix="in")).written == 1
    assert await contents(volume) == {"in/a.txt": b"a"}


async def test_an_empty_folder_is_an_empty_ingest(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = await volume.ingest(tmp_path / "empty")
    assert (report.written, report.unchanged, report.failed) == (0, 0, ())


async def test_one_bad_file_stops_no_other(volume: Volume, tree: Path) -> None:
    (tree / "back\\slash").write_bytes(b"x")
    (tree / "dot.").write_bytes(b"x")
    (tree / "broken link").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    Path(os.fsdecode(os.fsencode(tree) + b"/not-utf8-\xff")).write_bytes(b"x")
    (tree / unicodedata.normalize("NFD", "é")).write_bytes(b"the same path, once both are in NFC")
    report = await volume.ingest(tree)
    assert report.written == len(TREE)
    reasons = {failure.source.rpartition("/")[2]: str(failure.error) for failure in report.failed}
    assert len(report.failed) == len(reasons) == 6
    assert "backslash" in reasons["back\\slash"]
    assert "ends in a dot" in reasons["dot."]
    assert "there is no file" in reasons["broken link"]
    assert "no regular file" in reasons["pipe"]
    assert "lone surrogate" in reasons["not-utf8-\udcff"]
    assert any("same path" in reason for reason in reasons.values())
    assert not report.ok
    assert all("\n" not in reason for reason in reasons.values())


async def test_links_to_files_are_read_and_links_to_folders_are_not_followed(volume: Volume, tree: Path) -> None:
    (tree / "link").symlink_to("a.txt")
    (tree / "loop").symlink_to(".")
    report = await volume.ingest(tree)
    assert report.ok
    assert await volume.read("link") == b"a"
    assert report.written == len(TREE) + 1


async def test_links_to_folders_are_counted(volume: Volume, tree: Path) -> None:
    (tree / "loop").symlink_to(".")
    (tree / "z" / "up").symlink_to("..")
    assert (await volume.ingest(tree)).links_skipped == 2


async def test_a_link_that_goes_nowhere_stops_no_other(volume: Volume, tree: Path) -> None:
    (tree / "itself").symlink_to("itself")
    (tree / "ping").symlink_to("pong")
    (tree / "pong").symlink_to("ping")
    report = await volume.ingest(tree)
    assert report.written == len(TREE)
    assert [failure.path for failure in report.failed] == ["itself", "ping", "pong"]


async def test_a_root_that_cannot_be_read_is_one_failure(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "itself").symlink_to("itself")
    report = await volume.ingest(tmp_path / "itself")
    assert [failure.path for failure in report.failed] == ["itself"]


@pytest.mark.parametrize("seconds", [300_000_000_000, -80_000_000_000])
async def test_a_time_that_no_calendar_has_is_left_out(volume: Volume, any_time: Path, seconds: int) -> None:
    os.utime(plant(any_time, TREE) / "a.txt", (seconds, seconds))
    assert (await volume.ingest(any_time)).ok
    assert (await volume.stat("a.txt")).modified is None
    assert (await volume.ingest(any_time, trust_mtime=True)).unchanged == len(TREE)


async def test_folders_may_be_nested_deeper_than_a_path_can_be_long(
    volume: Volume, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    for _ in range(1200):
        os.mkdir("d")  # noqa: PTH102 — as a path it would be too long
        os.chdir("d")
    Path("f").write_bytes(b"too deep")
    report = await volume.ingest(tree)
    assert report.written == len(TREE)
    assert [len(failure.path) for failure in report.failed] == [501]
    for _ in range(1200):  # nor could pytest remove it
        Path("f").unlink(missing_ok=True)
        os.chdir("..")
        os.rmdir("d")  # noqa: PTH106


async def test_a_folder_of_a_name_that_no_path_has_is_one_failure(volume: Volume, tree: Path) -> None:
    plant(tree, {"dot./1": b"1", "dot./deeper/2": b"2"})
    report = await volume.ingest(tree)
    assert report.written == len(TREE)
    assert [failure.path for failure in report.failed] == ["dot."]


async def test_two_names_that_are_one_path_let_one_in_and_always_the_same(volume: Volume, tmp_path: Path) -> None:
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    plant(tmp_path / "tree", {f"{name}/{file}": name.encode() for name in (apart, composed) for file in "ab"})
    plant(tmp_path / "tree", {"ö": b"a file", unicodedata.normalize("NFD", "ö") + "/c": b"in a folder"})
    first, second = await volume.ingest(tmp_path / "tree"), await volume.ingest(tmp_path / "tree")
    assert (first.written, second.written, second.unchanged) == (3, 0, 3)
    assert [failure.path for failure in first.failed] == ["é", "ö"]
    assert await contents(volume) == {"é/a": composed.encode(), "é/b": composed.encode(), "ö": b"a file"}


@pytest.mark.parametrize("exclude", ["*.py", 5, b"x", [5]])
async def test_exclude_is_a_sequence_of_patterns(volume: Volume, tree: Path, exclude: Sequence[str]) -> None:
    with pytest.raises(InvalidError, match="exclude"):
        await volume.ingest(tree, exclude=exclude)


async def test_what_is_no_path_and_no_prefix_is_invalid(volume: Volume, tree: Path) -> None:
    for source in (5, None, b"x", "a\0b"):
        with pytest.raises(InvalidError):
            await volume.ingest(source)  # type: ignore[arg-type]
    with pytest.raises(InvalidError):
        await volume.ingest(tree, prefix=5)  # type: ignore[arg-type]


class Broken(MemoryContent):
    """A store with a fault of its own, that shows with one blob."""

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        if "/bad.txt~" in name:
            raise RuntimeError("a fault\nof two lines")
        return await super().put(name, content, when=when, headers=headers)


async def test_what_nobody_expected_of_one_file_stops_no_other(tree: Path) -> None:
    (tree / "bad.txt").write_bytes(b"x")
    async with memory_catalog(SqliteTable(":memory:"), Broken()) as cat:
        volume = await cat.create_volume("raw", shards=2)
        report = await volume.ingest(tree)
    assert report.written == len(TREE)
    (failure,) = report.failed
    assert (failure.path, failure.error.kind) == ("bad.txt", "error.unexpected")
    assert str(failure.error) == "RuntimeError: a fault of two lines"
    assert isinstance(failure.error.__cause__, RuntimeError)


async def test_an_error_of_the_listener_ends_it(volume: Volume, tree: Path) -> None:
    def listener(now: IngestProgress) -> None:
        raise LookupError(now)

    with pytest.raises(LookupError):
        await volume.ingest(tree, progress=listener)


@pytest.mark.parametrize("settings", [Settings(), Settings(one_shot_bytes=1000, block_bytes=700)])
async def test_two_ingests_of_one_tree_at_once_write_each_file_once(
    tmp_path: Path, tree: Path, settings: Settings
) -> None:
    plant(tree, {f"many/{n:03}": bytes(n) for n in range(250)})
    url = f"local:{tmp_path / 'catalog'}"
    async with connect(url, settings=settings) as one, connect(url, settings=settings) as other:
        volumes = [await one.create_volume("raw", shards=2), await other.volume("raw")]
        reports = await asyncio.gather(*(volume.ingest(tree) for volume in volumes))
        await assert_written_once(volumes[0], reports, on_disk(tree))


@pytest.mark.parametrize("settings", [Settings(), Settings(one_shot_bytes=1000, block_bytes=700)])
async def test_two_catalogs_in_one_process_write_each_file_once(tree: Path, settings: Settings) -> None:
    plant(tree, {f"many/{n:03}": bytes(n) for n in range(250)})
    table, content = SqliteTable(":memory:"), MemoryContent()
    async with memory_catalog(table, content, settings) as one, memory_catalog(table, content, settings) as other:
        volumes = [await one.create_volume("raw", shards=2), await other.volume("raw")]
        reports = await asyncio.gather(*(volume.ingest(tree) for volume in volumes))
        await assert_written_once(volumes[0], reports, on_disk(tree))


async def assert_written_once(volume: Volume, reports: list[IngestReport], files: dict[str, bytes]) -> None:
    assert [report.failed for report in reports] == [(), ()]
    assert [report.written + report.unchanged for report in reports] == [len(files)] * 2
    assert sum(report.written for report in reports) == len(files)
    assert sum(report.bytes_written for report in reports) == sum(map(len, files.values()))
    assert {file.version async for file in volume.list(recursive=True)} == {1}  # type: ignore[union-attr]
    assert await contents(volume) == files


@asynccontextmanager
async def memory_catalog(
    table: Table, content: ContentStore, settings: Settings = Settings()
) -> AsyncIterator[Catalog]:
    cat = Catalog(table, content, settings=settings)
    try:
        yield cat
    finally:
        await cat.close()


async def test_a_tree_that_is_not_there_is_one_error(volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file or folder"):
        await volume.ingest(tmp_path / "none")
    with pytest.raises(InvalidError):
        await volume.ingest(tmp_path, prefix="../up")


async def test_large_files_are_staged_and_small_ones_are_not(url: str, tree: Path) -> None:
    async with connect(url, settings=Settings(one_shot_bytes=1000, block_bytes=700)) as cat:
        volume = await cat.create_volume("raw", shards=2)
        assert (await volume.ingest(tree)).ok
        assert await contents(volume) == on_disk(tree)
        assert (await volume.ingest(tree)).unchanged == len(TREE)


async def test_progress_tells_every_file_and_ends_with_the_report(volume: Volume, tree: Path) -> None:
    told: list[IngestProgress] = []
    report = await volume.ingest(tree, progress=told.append)
    assert told[-1] == IngestProgress(len(TREE), report.written, 0, 0, report.bytes_written, walked=True)
    assert [step.written for step in told] == sorted(step.written for step in told)


async def test_hundreds_of_files_in_few_shards(volume: Volume, tmp_path: Path) -> None:
    plant(tmp_path / "many", {f"{n % 7}/{n:04}.txt": str(n).encode() for n in range(700)})
    assert (await volume.ingest(tmp_path / "many")).written == 700
    assert await contents(volume, "3/") == {
        path: content for path, content in on_disk(tmp_path / "many").items() if path.startswith("3/")
    }
    assert (await volume.ingest(tmp_path / "many")).unchanged == 700


async def items(*items: Item) -> AsyncIterator[Item]:
    for item in items:
        yield item


async def test_put_many_gives_one_outcome_per_item(volume: Volume) -> None:
    await volume.put("there", b"x")
    good = [Item(f"f/{n}", str(n).encode(), metadata={"n": n}) for n in range(150)]
    bad = [Item("../up", b"x"), Item("there", b"y"), Item("m", b"x", metadata={"a-b": 1})]
    outcomes = [outcome async for outcome in volume.put_many(items(*good, *bad), mode=Create())]
    assert {outcome.item.path for outcome in outcomes} == {item.path for item in (*good, *bad)}
    failed = {outcome.item.path: outcome.error for outcome in outcomes if not outcome.ok}
    assert {path: type(error) for path, error in failed.items()} == {
        "../up": InvalidError, "there": ConflictError, "m": InvalidError
    }  # fmt: skip
    assert [file.metadata["n"] async for file in volume.list("f/", recursive=True)] == [  # type: ignore[union-attr]
        item.metadata["n"] for item in sorted(good, key=lambda item: item.path) if item.metadata
    ]


async def test_put_many_gives_outcomes_while_its_source_still_waits(volume: Volume) -> None:
    """A pipeline may ask for an outcome before it brings the next item."""
    seen: list[str] = []

    async def source() -> AsyncIterator[Item]:
        for number in range(3):
            assert len(seen) == number
            yield Item(str(number), b"x")
            while len(seen) == number:
                assert (await volume.verify()).ok  # time passes

    async for outcome in volume.put_many(source()):
        seen.append(outcome.item.path)  # noqa: PERF401 — the source looks at it meanwhile
    assert seen == ["0", "1", "2"]


async def test_put_many_may_be_left_early(cat: Catalog, volume: Volume) -> None:
    async for outcome in volume.put_many(items(*(Item(f"{n}", b"x") for n in range(50)))):
        assert outcome.ok
        break
    await cat.recover(patience_s=0)
    assert (await volume.put("after", b"x")).version == 1


async def test_a_file_whose_content_can_have_no_name_is_a_failure_of_its_own(cat: Catalog, tmp_path: Path) -> None:
    """A blob's name has as many segments as the volume's root and the path together, and may have 254."""
    deep = tmp_path / "tree" / "/".join("a" * 240)
    deep.parent.mkdir(parents=True)
    deep.write_bytes(b"x")
    (tmp_path / "tree" / "b").write_bytes(b"y")
    volume = await cat.create_volume("deep", root="r/" * 20)
    report = await volume.ingest(tmp_path / "tree")
    assert (report.written, [failure.error.kind for failure in report.failed]) == (1, ["invalid.name"])
