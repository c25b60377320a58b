"""What a catalog on this disk is made of is no source for it, nor for any other of this process: SQLite's locks."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from catalog import Catalog, InvalidError, Volume, connect

LIST = """
import sys
from catalog import blocking

with blocking.connect(sys.argv[1]) as cat:
    print(*[file.path for file in cat.volume("raw").query()])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A tree of one file, and of a catalog."""
    (tmp_path / "a").write_bytes(b"1")
    return tmp_path / ".blobcat"


@pytest.fixture
async def cat(place: Path) -> AsyncIterator[Catalog]:
    async with connect(f"local:{place}") as cat:
        yield cat


@pytest.fixture
async def volume(cat: Catalog) -> Volume:
    return await cat.create_volume("raw", shards=1)


def seen_by_another_process(place: Path) -> list[str]:
    """Which then leaves, and would take the log along if nobody else held a lock."""
    command = [sys.executable, "-c", LIST, f"local:{place}"]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout.split()


async def test_a_tree_that_holds_the_catalog_is_ingested_without_it(volume: Volume, place: Path) -> None:
    for written in (1, 0):
        report = await volume.ingest(place.parent)
        assert (report.ok, report.written) == (True, written)
    assert seen_by_another_process(place) == ["a"]
    await volume.put("b", b"2")
    assert seen_by_another_process(place) == ["a", "b"]


@pytest.mark.parametrize("name", ["catalog.db", "catalog.db-shm", "catalog.db-wal", "content/content.db"])
@pytest.mark.parametrize("way", ["name", "link", "second name"])
async def test_its_files_are_no_content(volume: Volume, place: Path, name: str, way: str) -> None:
    await volume.put("before", b"0")
    source = place / name if way == "name" else place.parent / "other"
    if way == "link":
        source.symlink_to(place / name)
    elif way == "second name":
        os.link(place / name, source)
    with pytest.raises(InvalidError, match="belongs to a catalog that is open here") as caught:
        await volume.put("b", source)
    assert caught.value.kind == "invalid.own-file"
    report = await volume.ingest(source)
    assert [failure.error.kind for failure in report.failed] == ["invalid.own-file"]
    seen_by_another_process(place)
    await volume.put("c", b"3")
    assert seen_by_another_process(place) == ["before", "c"]


async def test_a_link_to_the_catalogs_folder_is_a_link_to_a_folder(volume: Volume, place: Path) -> None:
    (place.parent / "link").symlink_to(place)
    report = await volume.ingest(place.parent)
    assert (report.written, report.links_skipped) == (1, 1)


async def test_once_it_is_closed_a_catalog_is_files_as_others_are(cat: Catalog, volume: Volume, place: Path) -> None:
    await volume.put("b", b"2")
    await cat.close()
    async with connect(f"local:{place.parent / 'second'}") as second:
        report = await (await second.create_volume("raw")).ingest(place)
        assert (report.ok, report.written) == (True, 3)  # two databases, and the content


async def test_others_of_the_process_leave_it_out_too(volume: Volume, place: Path) -> None:
    await volume.put("b", b"2")
    async with connect("memory:") as second:
        report = await (await second.create_volume("raw")).ingest(place.parent)
        assert (report.ok, report.written) == (True, 1)
