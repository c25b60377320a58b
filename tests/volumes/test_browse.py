"""Folders, globs and sums of folders: what a plain model says, on every back end, and no more read than must be."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from catalog import Catalog, FileVersion, Folder, FolderUsage, InvalidError, Item, Settings, Volume
from catalog.backends import backend
from catalog.columns import file_values
from catalog.exchange import partition_of
from catalog.filters import Condition
from catalog.glob import parse_glob
from catalog.keys import RowRange, head_row
from catalog.locations import parse_location
from catalog.rows import Entity
from catalog.table import Insert, Table

PATHS = ["a", "a/b", "a/b/c.csv", "a-b", "b/1.csv", "b/2/x.csv", "b/2/y.txt", "b/2/z/x.csv", "é/中.csv", "z*.csv"]
GLOBS = [
    *["**", "*", "*/*", "**/*.csv", "b/**", "b/**/x.csv", "b/?/*", "b/[0-9]/[!x]*", "a", "a/b", "nope", "a*"],
    *["é/*", "z[*].csv", "**/b/*", "*/*/*.csv", "b/2/x.csv", "a/**/c.csv"],
]


async def fill(volume: Volume, paths: Iterable[str]) -> dict[str, FileVersion]:
    async def items() -> AsyncIterator[Item]:
        for number, path in enumerate(paths):
            yield Item(path, b"x" * (number + 1))

    outcomes = [outcome async for outcome in volume.put_many(items())]
    return {outcome.file.path: outcome.file for outcome in outcomes if outcome.file}


def by_segment(path: str) -> list[str]:
    return path.split("/")


async def test_a_glob_yields_what_it_stands_for_in_order(volume: Volume) -> None:
    files = await fill(volume, [*PATHS, "gone.csv"])
    await volume.delete("gone.csv")
    for pattern in GLOBS:
        found = [file async for file in volume.glob(pattern)]
        expected = sorted(filter(parse_glob(pattern).matches, PATHS), key=by_segment)
        assert found == [files[path] for path in expected], pattern


async def test_a_bad_glob_is_refused(volume: Volume) -> None:
    with pytest.raises(InvalidError, match="without its ]"):
        [file async for file in volume.glob("[a")]


def usages(files: dict[str, FileVersion], prefix: str, depth: int) -> dict[str, tuple[int, int, datetime]]:
    """The model: every folder with all that begins with it."""
    sums: dict[str, list[FileVersion]] = {}
    for path, file in files.items():
        if path.startswith(prefix):
            cuts = [at + 1 for at in range(len(prefix), len(path)) if path[at] == "/"][:depth]
            for folder in {prefix, *(path[:cut] for cut in cuts)}:
                sums.setdefault(folder, []).append(file)
    return {
        folder: (len(each), sum(file.size for file in each), max(file.created for file in each))
        for folder, each in sums.items()
    }


@pytest.mark.parametrize(("prefix", "depth"), [("", 0), ("", 1), ("", 9), ("b/", 1), ("b", 2), ("b/2", 1), ("a/", 3)])
async def test_folders_hold_what_the_model_says(volume: Volume, prefix: str, depth: int) -> None:
    files = await fill(volume, [*PATHS, "gone/x"])
    await volume.delete("gone/x")
    del files["gone/x"]
    found = [usage async for usage in volume.folders(prefix, depth=depth)]
    assert {each.path: (each.files, each.bytes, each.newest) for each in found} == usages(files, prefix, depth)
    assert len({each.path for each in found}) == len(found)
    assert found[-1].path == prefix
    for index, inner in enumerate(found):
        assert not any(outer.path != inner.path and inner.path.startswith(outer.path) for outer in found[:index])


async def test_nothing_adds_up_to_nothing(volume: Volume) -> None:
    assert [usage async for usage in volume.folders("no/")] == [FolderUsage("no/", 0, 0, None)]


@pytest.mark.parametrize("depth", [-1, 1.5, True, 251])
async def test_a_depth_is_a_whole_number(volume: Volume, depth: int) -> None:
    with pytest.raises(InvalidError, match="depth"):
        [usage async for usage in volume.folders(depth=depth)]


# --- What is read ----------------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class CountingTable:
    """A table that counts what is read from it."""

    table: Table
    counts: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async for page in self.table.query(partition, rows, where=where, select=select):
            self.counts["pages"] += 1
            self.counts["rows"] += len(page)
            yield page


@asynccontextmanager
async def counted(
    url: str, paths: Iterable[str], deleted: Iterable[str] = (), *, shards: int
) -> AsyncIterator[tuple[Volume, Counter[str]]]:
    """A volume with heads at these paths, written behind its back as that takes a tenth of the time."""
    location = parse_location(url)
    ports = backend(location, None, Settings())
    table = CountingTable(ports.table)
    catalog = Catalog(table, ports.content)
    try:
        volume = await catalog.create_volume("v", shards=shards)
        heads: dict[str, list[Insert]] = {}
        for kind, path in [*(("put", path) for path in paths), *(("delete", path) for path in deleted)]:
            file = FileVersion(
                "v", path, 1, kind, "op", 1, "", None, "", {}, NOON, None, "w", None, "c", "b", "e", None  # type: ignore[arg-type]
            )  # fmt: skip
            heads.setdefault(partition_of(volume.info, path), []).append(Insert(head_row(path), file_values(file)))
        for partition, rows in heads.items():
            for batch in batched_rows(rows):
                await ports.table.submit(partition, batch)
        table.counts.clear()
        yield volume, table.counts
    finally:
        await catalog.close()


def batched_rows(rows: list[Insert]) -> Iterable[list[Insert]]:
    return (rows[at : at + 100] for at in range(0, len(rows), 100))


async def test_what_need_not_be_read_is_hopped_over(url: str) -> None:
    """Of 15,000 files in three folders, each shard reads a page per folder, and the last one."""
    shards, files = (1, 1_200) if url.startswith("azurite") or "127.0.0.1" in url else (2, 5_000)  # it is slow to fill
    paths = [f"{folder}/{number:05}" for folder in ("a", "b", "c") for number in range(files)]
    gone = [f"gone/{number}" for number in range(10)]
    async with counted(url, [*paths, "a", "b-", "z"], gone, shards=shards) as (volume, counts):
        assert [entry.path async for entry in volume.list()] == ["a", "a/", "b/", "b-", "c/", "z"]
        assert counts["pages"] <= shards * 4
        assert counts["rows"] <= shards * 3_100

        counts.clear()  # a glob reads what begins with its literal part
        assert len([file async for file in volume.glob("b/000*")]) == 100
        assert counts["rows"] == 100

        counts.clear()
        assert [file.path async for file in volume.glob("b/00007")] == ["b/00007"]
        assert counts == Counter(pages=1, rows=1)

        counts.clear()  # and hops over folders in which nothing can match
        assert [file.path async for file in volume.glob("*")] == ["a", "b-", "z"]
        assert counts["pages"] <= shards * 4

        counts.clear()
        assert len([file async for file in volume.glob("[c-z]/*7")]) == files // 10
        assert counts["rows"] <= shards * 2_000 + files + 100


async def test_listing_many_small_folders_reads_them_page_by_page() -> None:
    """A request for each folder would be a hundred times as many."""
    paths = [f"{folder:03}/{number}" for folder in range(400) for number in range(10)]
    async with counted("memory:", paths, shards=2) as (volume, counts):
        assert [entry async for entry in volume.list()] == [Folder(f"{folder:03}/") for folder in range(400)]
        assert counts["pages"] <= 8
