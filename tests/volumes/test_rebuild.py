"""A volume made again from its blobs, after the table was lost."""

from collections.abc import Mapping

import pytest

from catalog import (
    Catalog,
    ConflictError,
    Create,
    FileVersion,
    InvalidError,
    NotFoundError,
    Overwrite,
    RebuildReport,
    Volume,
    connect,
)
from catalog.entities import chain
from catalog.rebuild import LOST
from catalog.token import Token
from storage import Always, Blob, Headers

VERSIONS: Mapping[str, list[bytes]] = {
    "a.csv": [b"one", b"two", b"three"],
    "2026/日本.txt": [b"first", b"second"],
    "a.csv~b": [b"x"],
    "a": [b"y"],
}


async def write(volume: Volume) -> dict[str, list[FileVersion]]:
    return {
        path: [await volume.put(path, content, metadata={"n": 1}, mode=Overwrite()) for content in contents]
        for path, contents in VERSIONS.items()
    }


async def lose(cat: Catalog) -> dict[str, Blob]:
    """Drop the table; the blobs stay."""
    await cat._table.drop()
    return {blob.name: blob async for blob in cat._content.list()}


async def histories_of(volume: Volume) -> dict[str, list[FileVersion]]:
    paths = [file.path async for file in volume.list(recursive=True)]
    return {path: [file async for file in volume.history(path)][::-1] for path in paths}


async def test_files_and_their_versions_are_there_again(cat: Catalog, volume: Volume) -> None:
    written = await write(volume)
    blobs = await lose(cat)
    report = await cat.rebuild("raw", shards=2)
    total = sum(len(content) for contents in VERSIONS.values() for content in contents)
    guessed = report.guessed
    assert report == RebuildReport("raw", files=4, versions=7, bytes_found=total, bad=0, guessed=guessed)
    assert (report.ok, report.lost) == (True, LOST)
    again = await cat.volume()
    found = await histories_of(again)
    assert found.keys() == written.keys()
    for path, files in found.items():
        assert [await again.read(path, version=file.version) for file in files] == VERSIONS[path]
        for file, before in zip(files, written[path], strict=True):
            assert (file.kind, file.metadata, file.learned) == ("adopt", {}, False)
            kept = ("version", "etag", "size", "digest", "md5", "content_type", "blob", "blob_etag")
            assert [getattr(file, name) for name in kept] == [getattr(before, name) for name in kept]
        links = [chain(last.chain if last else "", file) for last, file in zip([None, *files], files, strict=False)]
        assert [file.chain for file in files] == links
        assert [file.created for file in files] == sorted({file.created for file in files})
    assert (await again.verify()).ok
    assert {blob.name: blob async for blob in cat._content.list()} == blobs


async def test_what_was_rebuilt_is_written_as_any(cat: Catalog, volume: Volume) -> None:
    written = await write(volume)
    blobs = await lose(cat)
    await cat.rebuild("raw")
    again = await cat.volume("raw")
    assert (await again.put("a.csv", b"four")).version == 4
    assert (await again.put("a.csv", b"four")).version == 4
    with pytest.raises(ConflictError):
        await again.put("a", b"z", mode=Create())
    await again.copy("a", "copied")
    await again.delete("a")
    assert await again.read("copied") == b"y"
    assert (await cat.recover(patience_s=0)).quiet
    assert {blob.name async for blob in cat._content.list()} > blobs.keys()
    first = written["a"][0]
    token = Token("raw", again.info.epoch, "a", first.etag, 0, "put")
    resolved = await cat.resolve(str(token))
    assert resolved
    assert (resolved.version, resolved.blob) == (1, first.blob)


async def test_what_blobs_cannot_tell_is_lost(cat: Catalog, volume: Volume) -> None:
    await volume.put("deleted", b"x")
    await volume.delete("deleted")
    await volume.put("moved", b"y")
    await volume.move("moved", "target")
    await lose(cat)
    await cat.rebuild("raw")
    again = await cat.volume("raw")
    assert [file.path async for file in again.list(recursive=True)] == ["deleted", "moved"]


async def test_blobs_that_are_not_ours_are_named_and_left_alone(cat: Catalog, volume: Volume) -> None:
    good = (await volume.put("good", b"content")).blob
    said = dict((await cat._content.stat(good)).headers.metadata)
    op = said["op"]
    other = op[:-1] + ("0" if op[-1] != "0" else "1")
    bad = {
        "raw/.versions/foreign": {},
        f"raw/.versions/p~{op}": {**said, "path": "q"},
        f"raw/.versions/s~{op}": {**said, "path": "s", "size": "99"},
        f"raw/.versions/good~{other}": said,
        f"raw/.versions/d~{op}": {**said, "path": "d", "sha256": "no"},
        f"raw/.versions/u~{op}": {**said, "path": "../u"},
    }
    for name, metadata in bad.items():
        await cat._content.put(name, b"content", when=Always(), headers=Headers(metadata=metadata))
    await cat._content.put("raw/beside", b"", when=Always(), headers=Headers())
    blobs = await lose(cat)
    report = await cat.rebuild("raw")
    assert (report.files, report.versions, report.bad, report.ok) == (1, 1, 6, False)
    assert [finding.blob for finding in report.findings] == sorted(bad)
    assert all(finding.reason for finding in report.findings)
    assert {blob.name: blob async for blob in cat._content.list()} == blobs


async def test_a_volume_that_is_there_is_not_rebuilt(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"x")
    for name, root in (("raw", None), ("other", "raw/")):
        with pytest.raises(ConflictError, match="delete that one first"):
            await cat.rebuild(name, root=root)
    assert [info.epoch async for info in cat.volumes()] == [volume.info.epoch]


async def test_a_volume_is_rebuilt_under_another_name(cat: Catalog, volume: Volume) -> None:
    await write(volume)
    await lose(cat)
    await cat.create_volume("empty", shards=1)
    report = await cat.rebuild("found", root="raw/")
    assert report.versions == 7
    found = await cat.volume("found")
    assert (found.info.root, found.info.default) == ("raw/", False)
    assert await found.read("a.csv") == b"three"


async def test_without_blobs_there_is_nothing_to_rebuild(cat: Catalog, volume: Volume) -> None:
    with pytest.raises(NotFoundError, match="nothing to rebuild"):
        await cat.rebuild("other")
    assert [info.name async for info in cat.volumes()] == ["raw"]


@pytest.mark.parametrize("shards", [0, 3])
async def test_shards_are_checked(cat: Catalog, shards: int) -> None:
    with pytest.raises(InvalidError):
        await cat.rebuild("raw", shards=shards)


async def test_more_versions_than_a_transaction_takes() -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        for number in range(230):
            await volume.put("a", b"%d" % number)
        await lose(cat)
        report = await cat.rebuild("raw", shards=1)
        assert (report.files, report.versions) == (1, 230)
        again = await cat.volume()
        assert [file.version async for file in again.history("a")] == list(range(230, 0, -1))


async def test_paths_whose_names_begin_alike_are_kept_apart() -> None:
    """Between two blobs of `a` the listing has one of `a~…`, if that looks like an op."""
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        first = await volume.put("a", b"1")
        between = f"a~{first.etag}0"
        await volume.put(between, b"b")
        await volume.put("a", b"2")
        names = list(await lose(cat))
        assert [name.count("~") for name in names] == [1, 2, 1]
        report = await cat.rebuild("raw", shards=1)
        assert (report.files, report.versions, report.bad) == (2, 3, 0)
        again = await cat.volume()
        assert [file.version async for file in again.history("a")] == [2, 1]
        assert await again.read("a") == b"2"
        assert await again.read(between) == b"b"
