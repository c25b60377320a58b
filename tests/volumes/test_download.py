"""download and download_tree: whole and verified under its name, or not there; and never outside the folder."""

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from catalog import (
    Catalog,
    ConflictError,
    DownloadProgress,
    Existing,
    FileVersion,
    IntegrityError,
    InvalidError,
    NotFoundError,
    Settings,
    Volume,
)
from catalog.columns import head_values
from catalog.destination import LocalFolder, Part
from catalog.exchange import partition_of
from catalog.keys import head_row
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert
from storage import WHOLE, Always, Opened, Precondition, Span
from storage.memory import MemoryContent

ROOT = Path(__file__).parents[2]
DATA = bytes(range(256)) * 5000
NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def below(folder: Path) -> dict[str, bytes]:
    """All files under a folder, temporary ones too."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def to(tmp_path: Path) -> Path:
    """Where downloads go; what is beside it must stay as it is."""
    folder = tmp_path / "outside" / "to"
    folder.mkdir(parents=True)
    return folder


async def test_a_file_is_written_with_its_time(volume: Volume, to: Path) -> None:
    put = await volume.put("a/b.bin", DATA, modified=NOON)
    assert await volume.download("a/b.bin", to / "x.bin") == put
    assert below(to) == {"x.bin": DATA}
    assert (to / "x.bin").stat().st_mtime_ns == int(NOON.timestamp()) * 10**9 + 123456000


async def test_an_older_version_and_an_empty_file_are_written(volume: Volume, to: Path) -> None:
    await volume.put("a", b"")
    await volume.put("a", b"2")
    assert (await volume.download("a", str(to / "a"), version=1)).version == 1
    assert below(to) == {"a": b""}


async def test_a_tree_is_written_below_its_prefix(volume: Volume, to: Path) -> None:
    for path in ("t/a", "t/d/b", "t/d/e/c", "tt", "u/x"):
        await volume.put(path, path.encode())
    heard: list[DownloadProgress] = []
    report = await volume.download_tree("t", to / "new" / "er", progress=heard.append)
    assert (report.written, report.skipped, report.bytes_written, report.failed) == (3, 0, 15, ())
    assert below(to / "new" / "er") == {"a": b"t/a", "d/b": b"t/d/b", "d/e/c": b"t/d/e/c"}
    assert heard[-1] == DownloadProgress(3, 3, 0, 0, 15, listed=True)


async def test_a_tree_of_nothing_is_not_found_and_makes_no_folder(volume: Volume, to: Path) -> None:
    await volume.download_tree("", to / "empty")
    await volume.put("tt", b"")
    with pytest.raises(NotFoundError, match="there is nothing below 't/' in volume") as caught:
        await volume.download_tree("t", to / "new")
    assert (caught.value.op, caught.value.key) == ("download", "t/")
    assert [path.name for path in to.iterdir()] == ["empty"]


# Files, in memory: the back end does not matter any more.


@pytest.fixture
async def content() -> MemoryContent:
    return MemoryContent()


@pytest.fixture
async def table() -> SqliteTable:
    return SqliteTable(":memory:")


@pytest.fixture
async def plain(table: SqliteTable, content: MemoryContent) -> AsyncIterator[Volume]:
    """A volume in memory, of one shard."""
    cat = Catalog(table, content, settings=Settings(timeout_s=5), writer="tests")
    yield await cat.create_volume("raw", shards=1)
    await cat.close()


async def test_what_is_there_stays_until_told(plain: Volume, to: Path) -> None:
    await plain.put("a", b"new")
    (to / "a").write_text("mine")
    with pytest.raises(ConflictError, match="there already") as caught:
        await plain.download("a", to / "a")
    assert caught.value.kind == "conflict.target"
    assert below(to) == {"a": b"mine"}
    await plain.download("a", to / "a", overwrite=True)
    assert below(to) == {"a": b"new"}


@pytest.mark.parametrize("target", ["folder", "folder/", "", "..", "nul\0", "no/such/folder", "file/x", "n" * 300])
async def test_a_target_that_cannot_be_is_refused(plain: Volume, to: Path, target: str) -> None:
    await plain.put("a", b"new")
    (to / "folder").mkdir()
    (to / "file").write_text("mine")
    with pytest.raises((InvalidError, NotFoundError)):
        await plain.download("a", f"{to}/{target}", overwrite=True)
    assert below(to) == {"file": b"mine"}


async def test_damaged_content_gets_no_name(plain: Volume, content: MemoryContent, to: Path) -> None:
    there = await plain.put("a", DATA)
    stat = await content.stat(there.blob)
    await content.put(there.blob, DATA[:-1] + b"!", when=Always(), headers=stat.headers)
    (to / "b").write_text("mine")
    for target in ("a", "b"):
        with pytest.raises(IntegrityError):
            await plain.download("a", to / target, overwrite=True)
    report = await plain.download_tree("", to / "tree")
    assert [type(failure.error) for failure in report.failed] == [IntegrityError]
    assert below(to) == {"b": b"mine"}


@pytest.mark.parametrize("by_descriptor", [True, False])
def test_what_appeared_meanwhile_is_not_replaced(to: Path, by_descriptor: bool) -> None:
    opened = partial(LocalFolder.opened, to, by_descriptor=by_descriptor)
    part = Part(opened, ["d", "a"], existing="fail", time_us=0, modified_us=5)
    assert part.begin()
    part.write(b"new")
    (to / "d" / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        part.finish()
    part.abandon()
    assert part.ended
    assert below(to) == {"d/a": b"mine"}


@pytest.mark.parametrize("by_descriptor", [True, False])
@pytest.mark.parametrize("existing", ["fail", "overwrite", "skip", "newer"])
def test_no_folder_that_is_a_link_is_followed(to: Path, by_descriptor: bool, existing: Existing) -> None:
    (to / "d").symlink_to(to.parent)
    part = Part(
        partial(LocalFolder.opened, to, by_descriptor=by_descriptor),
        ["d", "a"],
        existing=existing,
        time_us=0,
        modified_us=None,
    )
    with pytest.raises(OSError, match="symbolic"):
        part.begin()
    part.abandon()
    assert below(to.parent) == {}


@pytest.mark.parametrize("by_descriptor", [True, False])
@pytest.mark.parametrize("existing", ["fail", "overwrite"])
def test_a_part_becomes_a_file_either_way(to: Path, by_descriptor: bool, existing: Existing) -> None:
    opened = partial(LocalFolder.opened, to, by_descriptor=by_descriptor)
    part = Part(opened, ["d", "e", "a"], existing=existing, time_us=0, modified_us=7)
    assert part.begin()
    part.write(b"new")
    part.finish()
    part.abandon()
    assert below(to) == {"d/e/a": b"new"}
    assert (to / "d/e/a").stat().st_mtime_ns == 7000


class Linkless(LocalFolder):
    """A folder on a disk that has no links, as exFAT has none."""

    def _link(self, name: str, to: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), to)


@pytest.mark.parametrize("taken", [False, True])
def test_a_disk_without_links_is_as_good(to: Path, taken: bool) -> None:
    part = Part(partial(Linkless.opened, to), ["a"], existing="fail", time_us=0, modified_us=None)
    part.begin()
    part.write(b"new")
    if taken:
        (to / "a").write_text("mine")
        with pytest.raises(FileExistsError):
            part.finish()
    else:
        part.finish()
    part.abandon()
    assert below(to) == {"a": b"mine" if taken else b"new"}


@pytest.mark.parametrize("year", [1, 1969, 9999])
async def test_any_time_that_a_catalog_takes_is_set_or_nearly(plain: Volume, to: Path, year: int) -> None:
    await plain.put("a", b"new", modified=datetime(year, 1, 2, tzinfo=UTC))
    await plain.download("a", to / "a")
    assert below(to) == {"a": b"new"}


async def test_a_folder_that_is_swapped_for_a_link_while_it_is_written_to_does_not_lead_outside(to: Path) -> None:
    part = Part(partial(LocalFolder.opened, to), ["d", "a"], existing="fail", time_us=0, modified_us=None)
    part.begin()
    (to / "d").rename(to / "was-d")
    (to / "d").symlink_to(to.parent)
    part.finish()
    assert below(to.parent) == {"to/was-d/a": b""}


class Watched(MemoryContent):
    """Whoever has begun to read a blob waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return _Watched(self, super().open(name, span=span, when=when))


class _Watched:
    def __init__(self, store: Watched, opened) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        self._store, self._opened = store, opened

    async def __aenter__(self) -> Opened:
        found: Opened = await self._opened.__aenter__()

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in found.chunks:
                yield chunk
                self._store.begun.set()
                await self._store.go.wait()

        return replace(found, chunks=chunks())

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.__aexit__(*exc)


@pytest.mark.parametrize("tree", [False, True])
async def test_cancelled_it_leaves_nothing(tree: bool, to: Path) -> None:
    content = Watched()
    cat = Catalog(SqliteTable(":memory:"), content)
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", DATA)
    before, descriptors = asyncio.all_tasks(), open_descriptors()
    work = volume.download_tree("", to) if tree else volume.download("a", to / "a")
    task = asyncio.create_task(work)
    await content.begun.wait()
    assert len(below(to)) == 1
    assert "a" not in below(to)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert below(to) == {}
    assert asyncio.all_tasks() == before
    assert open_descriptors() == descriptors
    await cat.close()


async def test_a_catalog_that_is_closed_meanwhile_leaves_nothing(to: Path) -> None:
    content = Watched()
    cat = Catalog(SqliteTable(":memory:"), content)
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", DATA)
    task = asyncio.create_task(volume.download("a", to / "a"))
    await content.begun.wait()
    await cat.close()
    content.go.set()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception()
    assert below(to) == {}


# Trees.


@pytest.mark.parametrize(
    ("existing", "counts", "failed", "left"),
    [
        ("fail", (1, 0), ["newer", "older", "same"], [b"mine", b"mine", b"mine"]),
        ("skip", (1, 3), [], [b"mine", b"mine", b"mine"]),
        ("newer", (2, 2), [], [b"new", b"mine", b"mine"]),
        ("overwrite", (4, 0), [], [b"new", b"new", b"new"]),
    ],
)
async def test_what_becomes_of_files_that_are_there(  # noqa: PLR0917 — a case of a table
    plain: Volume, to: Path, existing: Existing, counts: tuple[int, int], failed: list[str], left: list[bytes]
) -> None:
    for name, seconds in (("older", -1), ("same", 0), ("newer", 1)):
        await plain.put(name, b"new", modified=NOON)
        (to / name).write_text("mine")
        time = (NOON + timedelta(seconds=seconds)).timestamp()
        os.utime(to / name, ns=(0, round(time * 10**6) * 1000))
    await plain.put("d/absent", b"new")
    report = await plain.download_tree("", to, existing=existing)
    assert ((report.written, report.skipped), [failure.path for failure in report.failed]) == (counts, failed)
    assert {type(failure.error) for failure in report.failed} <= {ConflictError}
    assert below(to) == dict(zip(("older", "same", "newer"), left, strict=True)) | {"d/absent": b"new"}
    again = await plain.download_tree("", to, existing="skip")
    assert (again.written, again.skipped, again.ok) == (0, 4, True)


async def test_one_bad_file_stops_no_other(plain: Volume, content: MemoryContent, to: Path) -> None:
    files = [await plain.put(f"d{number % 3}/{number:02}", bytes([number])) for number in range(30)]
    for file in files[::7]:
        await content.delete(file.blob, when=Always())
    report = await plain.download_tree("", to)
    assert [failure.path for failure in report.failed] == sorted(file.path for file in files[::7])
    assert {failure.error.kind for failure in report.failed} == {"integrity.missing"}
    assert below(to) == {file.path: bytes([number]) for number, file in enumerate(files) if number % 7}


async def test_links_and_other_things_in_the_way_are_failures(plain: Volume, to: Path) -> None:
    for path in ("link", "dangling", "up/x", "folder", "file/x", "pipe"):
        await plain.put(path, b"new")
    (to.parent / "victim").write_text("mine")
    (to / "link").symlink_to(to.parent / "victim")
    (to / "dangling").symlink_to(to.parent / "nowhere")
    (to / "up").symlink_to(to.parent)
    (to / "folder").mkdir()
    (to / "file").write_text("mine")
    os.mkfifo(to / "pipe")
    modes: list[Existing] = ["fail", "skip", "newer"]
    for existing in modes:
        report = await plain.download_tree("", to, existing=existing)
        bad = {failure.path for failure in report.failed}
        assert bad == {"link", "dangling", "up/x", "folder", "file/x", "pipe"}
    report = await plain.download_tree("", to, existing="overwrite")
    assert {failure.path for failure in report.failed} == {"up/x", "folder", "file/x"}
    assert below(to.parent) == {
        "victim": b"mine",
        "to/link": b"new",
        "to/dangling": b"new",
        "to/pipe": b"new",
        "to/file": b"mine",
    }


async def test_a_folder_that_cannot_be_is_an_error(plain: Volume, to: Path) -> None:
    (to / "file").write_text("mine")
    for folder in ("file", "file/below"):
        with pytest.raises(InvalidError, match="a file is where a folder must be"):
            await plain.download_tree("", to / folder)
    with pytest.raises(InvalidError, match="existing is one of"):
        await plain.download_tree("", to, existing="replace")  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="a target is"):
        await plain.download_tree("", 5)  # type: ignore[arg-type]


COLLIDING = [
    ["A.txt", "a.txt"],
    ["d/x", "D"],
    ["d", "d/x"],
    ["d/e/f", "D/E"],
    ["Straße", "STRASSE"],
    ["ﬁ", "FI"],
    ["Ω", "\u03c9"],
]


@pytest.mark.parametrize("paths", COLLIDING, ids=ascii)
async def test_of_two_paths_that_some_disk_takes_for_one_the_first_is_written(
    plain: Volume, to: Path, paths: Sequence[str]
) -> None:
    for path in paths:
        await plain.put(path, path.encode())
    report = await plain.download_tree("", to, existing="overwrite")
    assert (report.written, [failure.error.kind for failure in report.failed]) == (1, ["invalid.collision"])
    assert len(below(to)) == 1


async def test_folders_that_differ_in_case_are_no_collision(plain: Volume, to: Path) -> None:
    for path in ("D/x", "d/y"):
        await plain.put(path, b"")
    assert (await plain.download_tree("", to)).written == 2


LEGAL_BUT_NO_FILE = [
    "CON",
    "nul.txt",
    "d/AUX/x",
    "com1",
    "LPT¹.a.b",
    "x ",
    "d /x",
    "a:b",
    "what?",
    "a|b",
    '"',
    "<",
    "*",
]
HOSTILE = [
    *(
        "../x",
        "a/../../x",
        "/etc/x",
        "/",
        "",
        ".",
        "..",
        "a//b",
        "./x",
        "a/./b",
        "a\\..\\x",
        "C:/x",
        "c:x",
        "\\\\host\\x",
    ),
    *("x.", "a./b", "a\0b", "a\nb", "e\u0301", "a/", "~/x/..", "..\\x", ".versions/x", "n" * 256, "\u202ex"),
]


async def plant(table: SqliteTable, volume: Volume, file: FileVersion, path: str, number: int) -> None:
    """A head that says what no writer would, behind the catalog's back."""
    values = head_values(replace(file, path=path))
    row = head_row(f"planted/{number:04}")
    await table.submit(partition_of(volume.info, "x"), [Insert(row, values)])


@pytest.mark.parametrize("prefix", ["", "planted/"])
async def test_a_hostile_catalog_writes_nothing_outside(
    table: SqliteTable, plain: Volume, to: Path, prefix: str
) -> None:
    file = await plain.put("planted/good", b"good")
    (to / "up").symlink_to(to.parent)
    planted = [*HOSTILE, *LEGAL_BUT_NO_FILE, "up/x", "Good", "GOOD/x"]
    for number, path in enumerate(planted):
        await plant(table, plain, file, f"planted/{path}" if prefix and path else path, number)
    if prefix:
        planted += ["elsewhere/x"]
        await plant(table, plain, file, "elsewhere/x", len(planted))
    report = await plain.download_tree(prefix, to, existing="overwrite")
    there = {"to/Good", "to/.versions/x"} if prefix else {"to/Good", "to/planted/good"}  # below a prefix it is a name
    assert set(below(to.parent)) == there
    assert report.written + len(report.failed) == len(planted) + 1
    assert {failure.error.kind.partition(".")[0] for failure in report.failed} <= {"invalid", "too-large"}


@pytest.mark.parametrize("path", LEGAL_BUT_NO_FILE)
async def test_a_name_that_is_no_file_on_every_system_is_refused(plain: Volume, to: Path, path: str) -> None:
    await plain.put(path, b"x")
    report = await plain.download_tree("", to)
    assert [failure.error.kind for failure in report.failed] == ["invalid.name"]
    assert below(to) == {}


async def test_long_paths_are_written_and_names_too_long_for_the_disk_are_failures(plain: Volume, to: Path) -> None:
    deep = "/".join(["d" * 100] * 4)
    await plain.put(deep, b"x")
    folder = to.joinpath(*["long" * 50] * 17)
    report = await plain.download_tree("", folder)
    assert report.ok
    assert (folder / deep).read_bytes() == b"x"
    with pytest.raises(InvalidError, match="too long"):
        await plain.download(deep, to / ("é" * 200))


FULL = """
import asyncio, json, resource, sys
from pathlib import Path
from catalog import CatalogError, connect

async def main(folder):
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("big", b"x" * (3 << 20))
        await volume.put("d/small", b"y")
        (folder / "big-before").write_text("mine")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        said = []
        for target in ("one", "big-before"):
            try:
                await volume.download("big", folder / target, overwrite=True)
            except CatalogError as error:
                said.append(f"{type(error).__name__} {error.kind}")
        report = await volume.download_tree("", folder / "tree")
        said += [f"{failure.path} {failure.error.kind}" for failure in report.failed]
        print(json.dumps([*said, report.written]))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_disk_that_fills_up_half_way_leaves_nothing_partial(to: Path) -> None:
    command = [sys.executable, "-c", FULL, str(to)]
    ran = subprocess.run(
        command, check=True, timeout=60, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    full = "UnavailableError unavailable.disk-full"
    assert json.loads(ran.stdout) == [full, full, "big unavailable.disk-full", 1]
    assert below(to) == {"big-before": b"mine", "tree/d/small": b"y"}
