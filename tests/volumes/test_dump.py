"""A catalog dumped and loaded: history and chains are as they were, wherever it goes; or nothing is there at all."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from catalog import (
    AccessDeniedError,
    Catalog,
    CatalogError,
    ConflictError,
    DumpedVersion,
    DumpEnd,
    DumpHeader,
    FileVersion,
    IntegrityError,
    InvalidError,
    LoadProgress,
    NotFoundError,
    Settings,
    Volume,
    connect,
    dump_line,
    parse_dump_line,
)
from catalog.columns import file_values, head_values, parse_version, purging_values
from catalog.dumped import LINE_BYTES_MAX
from catalog.entities import VersionRow, chain
from catalog.keys import REGISTRY, RowRange, head_row, partition, shard_of, version_row
from catalog.ledger import Ledger
from catalog.purger import Purger
from catalog.retention import Sharing
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert, Merge, Operation, Replace, Written
from storage import Always, Headers, IfAbsent
from storage.memory import MemoryContent
from tests.harness.index_rows import amiss_in, index_rows_of

METADATA: dict[str, Any] = {
    "text": "grüße 🐈",
    "empty": "",
    "number": 2**53 + 1,
    "small": -(2**63),
    "float": 5.0,
    "yes": True,
    "when": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "whole": datetime(1, 1, 1, tzinfo=UTC),
}
LARGE = bytes(range(256)) * 40
SETTINGS = Settings(one_shot_bytes=4096, block_bytes=4096)


async def fill(cat: Catalog) -> None:
    """Every kind of version, in two volumes; content of one blob and of several."""
    raw, other = (
        await cat.create_volume("raw", shards=4),
        await cat.create_volume("other", shards=1, root="else/where/"),
    )
    await raw.put("typed", b"\x00\x01", metadata=METADATA, content_type="application/x-cat")
    await raw.put("dated", b"", modified=datetime(2001, 2, 3, tzinfo=UTC), request_id="order 17/ü")
    for content in (b"one", b"two", LARGE):
        await raw.put("many", content)
    await raw.delete("many")
    await raw.restore("many", version=2)
    await raw.set_metadata("dated", {"owner": "ops"})
    await raw.copy("typed", "copies/typed")
    await raw.put("moved", b"moved")
    await raw.move("moved", "ünï-日本語-🐈/here")
    await raw.put("gone/a", b"gone")
    await raw.delete("gone/a")
    for name in ("a/b", "a-b", "a"):
        await other.put(name, name.encode())
    await adopt(cat, raw, "adopted", "foreign/old file.bin", b"was there before")
    await raw.copy("adopted", "adopted-copy")
    await purge(cat, raw, "many", 1)


async def adopt(cat: Catalog, volume: Volume, path: str, blob: str, content: bytes) -> None:
    """A version of a blob that blobcat has not written, as its rows say it."""
    await cat._content.put(blob, content, when=IfAbsent(), headers=Headers("text/x-old", None, {"mine": "ü"}))
    etag = (await cat._content.stat(blob)).etag
    like = await volume.put(path + ".like", content)
    file = replace(like, path=path, kind="adopt", etag="01ADOPTED00000000000000000", blob=blob, blob_etag=etag)
    file = replace(file, chain=chain("", file))
    rows = [Insert(version_row(path, 1), file_values(file)), Insert(head_row(path), head_values(file))]
    await cat._tools.lister.table.submit(partition(volume.info.epoch, shard_of(path, volume.info.shards)), rows)


async def purge(cat: Catalog, volume: Volume, path: str, version: int) -> None:
    table, tools = cat._tools.lister.table, cat._tools
    key = partition(volume.info.epoch, shard_of(path, volume.info.shards))
    row = await table.get(key, version_row(path, version))
    assert row
    purger = Purger(tools.writer.committer, tools.lister, cat._content, volume.info, tools.writer.deadline, 1)
    await purger.purge("01PURGE0000000000000000000", [Sharing([parse_version(volume.name, row)], {})])


async def lines_of(cat: Catalog, volume: str | None = None) -> list[str]:
    return [line async for line in cat.dump(volume)]


def plain(file: FileVersion) -> FileVersion:
    """Without the etag that a service gave its blob."""
    return replace(file, blob_etag="")


async def told(cat: Catalog) -> dict[str, Any]:
    """All that a reader can learn."""
    found: dict[str, Any] = {}
    async for info in cat.volumes():
        volume = await cat.volume(info.name)
        shape = (info.layout, info.shards, info.root, info.created, info.default)
        entries = [entry async for entry in volume.list(recursive=True, deleted=True)]
        assert all(isinstance(entry, FileVersion) for entry in entries)
        histories = {each.path: [plain(file) async for file in volume.history(each.path)] for each in entries}
        found[info.name] = (shape, histories, await contents(volume, histories))
    return found


async def contents(volume: Volume, histories: dict[str, list[FileVersion]]) -> dict[str, bytes | str]:
    read: dict[str, bytes | str] = {}
    for path, files in histories.items():
        for file in files:
            try:
                read[f"{path}@{file.version}"] = await volume.read(path, version=file.version)
            except NotFoundError as error:
                read[f"{path}@{file.version}"] = error.kind
    return read


Open = Callable[[str], Awaitable[Catalog]]


@pytest.fixture
async def at(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens new catalogs, by the kind of their back end; `urls` has where they are."""
    async with AsyncExitStack() as stack:

        async def opened(kind: str) -> Catalog:
            name = f"t{uuid4().hex}"
            if kind == "azurite":
                azurite: Azurite = request.getfixturevalue("azurite")
                url = f"{azurite.url}/{name}?table={name}"
            else:
                url = "memory:" if kind == "memory" else f"local:{tmp_path / name}"
            cat = await stack.enter_async_context(connect(url, writer="tests", settings=SETTINGS))
            urls[id(cat)] = url
            return cat

        yield opened


urls: dict[int, str] = {}


def content_of(cat: Catalog) -> Any:
    """Where to copy content from: a url, or in memory the store itself."""
    return cat._content if urls[id(cat)] == "memory:" else urls[id(cat)]


@pytest.mark.parametrize(
    "way",
    [["local", "azurite", "local"], ["memory", "local", "memory"], ["azurite", "memory", "azurite"]],
    ids="-".join,
)
async def test_a_dump_loaded_elsewhere_and_back_is_the_same_catalog(at: Open, way: Sequence[str]) -> None:
    first = cat = await at(way[0])
    await fill(cat)
    before = await told(cat)
    assert before["raw"][2]["many@1"] == "not-found.purged"
    for kind in way[1:]:
        target = await at(kind)
        report = await target.load(cat.dump(), content_from=content_of(cat))
        assert (report.ok, report.volumes, report.findings) == (True, ("other", "raw"), ())
        assert await told(target) == before
        for name in report.volumes:
            assert (await (await target.volume(name)).verify()).ok
        cat = target
    assert [plain_line(line) for line in await lines_of(cat)][:-1] == [
        plain_line(line) for line in await lines_of(first)
    ][:-1]
    await works(cat)


def plain_line(line: str) -> str:
    fields = json.loads(line)
    return json.dumps(fields | {"blob_etag": ""} if "blob_etag" in fields else fields)


async def works(cat: Catalog) -> None:
    """It is a catalog like any other: its histories go on."""
    raw = await cat.volume("raw")
    assert (await raw.put("many", b"more")).version == 6
    assert (await raw.put("dated", b"other", request_id="order 17/ü")).version == 1
    assert (await raw.put("gone/a", b"again")).version == 3
    assert (await cat.recover(patience_s=0)).quiet
    assert (await raw.verify()).ok
    assert isinstance(parse_dump_line((await lines_of(cat))[-1]), DumpEnd)


async def test_a_dump_is_the_same_bytes_again(cat: Catalog) -> None:
    await fill(cat)
    assert await lines_of(cat) == await lines_of(cat)


async def test_what_a_blob_says_of_itself_comes_along(at: Open) -> None:
    cat, target = await at("memory"), await at("local")
    await fill(cat)
    await target.load(cat.dump(), content_from=content_of(cat))
    async for blob in cat._content.list():
        there = await target._content.stat(blob.name)
        assert (there.size, there.headers.content_type) == (blob.size, blob.headers.content_type)
        assert there.headers.metadata == blob.headers.metadata
    names = [blob.name async for blob in target._content.list()]
    assert len(names) == len([blob async for blob in cat._content.list()])


async def test_one_volume_is_dumped_and_one_is_loaded(at: Open) -> None:
    cat, target = await at("memory"), await at("memory")
    await fill(cat)
    header = parse_dump_line((await lines_of(cat, "other"))[0])
    assert isinstance(header, DumpHeader)
    assert [volume.name for volume in header.volumes] == ["other"]
    report = await target.load(cat.dump(), volume="other", content_from=content_of(cat))
    assert (report.volumes, report.paths, report.versions, report.copied) == (("other",), 3, 3, 3)
    assert [info.name async for info in target.volumes()] == ["other"]
    assert (await target.load(cat.dump("raw"), content_from=content_of(cat))).ok
    with pytest.raises(NotFoundError, match="nothing"):
        await anext(aiter(cat.dump("nothing")))
    with pytest.raises(InvalidError, match="it holds other, raw"):
        await target.load(cat.dump(), volume="nothing")


async def test_content_that_is_there_is_not_copied(at: Open) -> None:
    """As azcopy would have put it."""
    cat, target = await at("memory"), await at("memory")
    await fill(cat)
    for number in range(520):
        await (await cat.volume("other")).put(f"many/{number}", b"")
    await target._content.create()
    async for blob in cat._content.list():
        async with cat._content.open(blob.name) as opened:
            data = b"".join([chunk async for chunk in opened.chunks])
        await target._content.put(blob.name, data, when=IfAbsent(), headers=blob.headers)
    report = await target.load(cat.dump())
    assert (report.ok, report.copied) == (True, 0)
    assert await told(target) == await told(cat)


async def test_without_its_content_nothing_is_made_and_the_report_says_which(at: Open) -> None:
    cat, target = await at("memory"), await at("local")
    raw = await cat.create_volume("raw", shards=1)
    await raw.put("a", b"1")
    await raw.put("b", b"2")
    report = await target.load(cat.dump())
    assert (report.ok, report.volumes, report.missing) == (False, (), 2)
    assert [(each.file.path, each.error.kind) for each in report.findings] == [
        ("a", "integrity.missing"),
        ("b", "integrity.missing"),
    ]
    assert [info async for info in target.volumes()] == []
    assert (await target.load(cat.dump(), content_from=content_of(cat))).ok
    assert await told(target) == await told(cat)


async def test_missing_content_can_be_allowed_and_comes_later(at: Open) -> None:
    cat, target = await at("memory"), await at("local")
    raw = await cat.create_volume("raw", shards=1)
    file = await raw.put("a", b"1")
    report = await target.load(cat.dump(), allow_missing=True)
    assert (report.ok, report.volumes, report.missing) == (False, ("raw",), 1)
    volume = await target.volume("raw")
    assert await volume.stat("a") == file
    with pytest.raises(IntegrityError, match="missing"):
        await volume.read("a")
    await target._content.put(file.blob, b"1", when=IfAbsent(), headers=(await cat._content.stat(file.blob)).headers)
    assert await volume.read("a") == b"1"


async def test_another_blob_in_the_place_of_content_is_told_and_left_alone(at: Open) -> None:
    cat, target = await at("memory"), await at("local")
    file = await (await cat.create_volume("raw", shards=1)).put("a", b"1")
    await target._content.create()
    await target._content.put(file.blob, b"2", when=IfAbsent(), headers=Headers())
    report = await target.load(cat.dump(), content_from=content_of(cat))
    assert [each.error.kind for each in report.findings] == ["integrity.foreign"]
    assert (await target._content.stat(file.blob)).headers.metadata == {}


async def test_damaged_content_is_not_copied(at: Open) -> None:
    cat, target = await at("local"), await at("local")
    file = await (await cat.create_volume("raw", shards=1)).put("a", LARGE)
    folder = Path(urls[id(cat)].removeprefix("local:")) / "content" / "files" / "raw"
    (stored,) = [path for path in folder.rglob("a~*") if path.is_file()]
    stored.write_bytes(LARGE[:-1] + b"x")
    report = await target.load(cat.dump(), content_from=content_of(cat))
    assert [each.error.kind for each in report.findings] == ["integrity.digest"]
    with pytest.raises(NotFoundError):
        await target._content.stat(file.blob)


async def test_a_load_tells_how_far_it_is_and_who_listens_may_end_it(at: Open) -> None:
    cat, target = await at("memory"), await at("memory")
    await fill(cat)
    heard: list[LoadProgress] = []
    await target.load(cat.dump(), content_from=content_of(cat), progress=heard.append)
    assert [each.versions for each in heard] == [*range(1, heard[-1].total + 1)]
    assert heard[-1].bytes_copied == sum([blob.size async for blob in target._content.list()])

    def stop(_: LoadProgress) -> None:
        raise ZeroDivisionError

    third = await at("memory")
    with pytest.raises(ZeroDivisionError):
        await third.load(cat.dump(), content_from=content_of(cat), progress=stop)
    assert [info async for info in third.volumes()] == []


async def test_the_default_volume_is_kept_where_there_is_none(at: Open) -> None:
    cat, target, other = await at("memory"), await at("memory"), await at("memory")
    for name in ("a", "b"):
        await cat.create_volume(name, shards=1)
    await cat.set_default_volume("b")
    await target.load(cat.dump())
    assert (await target.volume()).name == "b"
    await other.create_volume("c", shards=1)
    await other.load(cat.dump())
    assert (await other.volume()).name == "c"


# --- What is in the way ----------------------------------------------------------------------------------------------


async def test_a_volume_that_is_there_is_not_touched(at: Open) -> None:
    cat, target = await at("memory"), await at("memory")
    await fill(cat)
    await (await target.create_volume("raw", shards=4)).put("many", b"mine")
    before = await lines_of(target)
    with pytest.raises(ConflictError, match="volume 'raw' is there already") as caught:
        await target.load(cat.dump(), content_from=content_of(cat))
    assert (caught.value.kind, caught.value.op) == ("conflict.exists", "load")
    assert await lines_of(target) == before


async def test_a_root_that_overlaps_is_refused(at: Open) -> None:
    cat, target = await at("memory"), await at("memory")
    await cat.create_volume("raw", shards=1)
    await target.create_volume("other", shards=1, root="raw/inner/")
    with pytest.raises(ConflictError, match="overlaps") as caught:
        await target.load(cat.dump())
    assert caught.value.kind == "conflict.root"


class Rival(SqliteTable):
    """Somebody is faster, just before volumes that were loaded become visible."""

    first: Callable[[], Awaitable[object]] | None = None

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        if self.first and any(isinstance(each, Replace) and each.row[0] == "l" for each in operations):
            first, self.first = self.first, None
            await first()
        return await super().submit(partition, operations)


@pytest.mark.parametrize("name", ["raw", "elsewhere"])
async def test_a_volume_that_is_made_meanwhile_wins(at: Open, name: str) -> None:
    cat, table = await at("memory"), Rival(":memory:")
    await (await cat.create_volume("raw", shards=1)).put("a", b"1")
    target = Catalog(table, MemoryContent())
    table.first = lambda: target.create_volume(name, shards=1, root="raw/")
    with pytest.raises(ConflictError):
        await target.load(cat.dump(), content_from=content_of(cat))
    assert table.first is None
    assert [entry async for entry in (await target.volume(name)).list(recursive=True)] == []
    assert [info.name async for info in target.volumes()] == [name]
    await target.close()


async def others(cat: Catalog, name: str) -> None:
    await cat._content.put(name, b"others'", when=Always(), headers=Headers())


@pytest.fixture
async def adopted(at: Open) -> Catalog:
    """A volume `raw` that has adopted `in/x`, and another without any such."""
    cat = await at("memory")
    raw = await cat.create_volume("raw", shards=1)
    await others(cat, "in/x")
    await raw.put("a", b"1")
    await raw.adopt("in/", into="deep")
    await (await cat.create_volume("plain", shards=1)).put("a", b"1")
    return cat


async def state(cat: Catalog) -> object:
    rows = [page async for page in cat._table.query(REGISTRY, RowRange(" ", "~"))]
    return rows, [blob async for blob in cat._content.list()]


@pytest.mark.parametrize("root", ["in/", "in/x/"])
async def test_content_in_the_root_of_another_volume_is_refused(at: Open, adopted: Catalog, root: str) -> None:
    target = await at("memory")
    await target.create_volume("inner", shards=1, root=root)
    before = await state(target)
    if root == "in/x/":  # the blob beside it is nobody's
        assert (await target.load(adopted.dump(), content_from=content_of(adopted))).ok
        return
    with pytest.raises(ConflictError, match="blob 'in/x' lies in the root 'in/' of volume 'inner'") as caught:
        await target.load(adopted.dump(), content_from=content_of(adopted))
    assert (caught.value.kind, caught.value.op, caught.value.key) == ("conflict.root", "load", "deep/x")
    assert await state(target) == before
    assert (await target.load(adopted.dump(), volume="plain", content_from=content_of(adopted))).ok


async def test_content_that_another_volume_adopts_is_refused(at: Open, adopted: Catalog) -> None:
    target = await at("memory")
    inner = await target.create_volume("inner", shards=1)
    await others(target, "in/y")
    await inner.adopt("in/")
    before = await state(target)
    with pytest.raises(
        ConflictError, match="blob 'in/x' begins with 'in/', which volume 'inner' has adopted"
    ) as caught:
        await target.load(adopted.dump(), content_from=content_of(adopted))
    assert (caught.value.kind, caught.value.found) == ("conflict.adopted", "in/")
    assert await state(target) == before


async def test_a_root_among_what_another_volume_adopts_is_refused(at: Open, adopted: Catalog) -> None:
    target = await at("memory")
    inner = await target.create_volume("inner", shards=1)
    await others(target, "plain/theirs")
    await inner.adopt()
    before = await state(target)
    with pytest.raises(ConflictError, match="would hold 'plain/theirs'") as caught:
        await target.load(adopted.dump(), volume="plain", content_from=content_of(adopted))
    assert (caught.value.kind, caught.value.op) == ("conflict.adopted-root", "load")
    assert await state(target) == before


async def test_a_volume_that_is_made_meanwhile_keeps_what_is_in_its_root(adopted: Catalog) -> None:
    target = Catalog(table := Rival(":memory:"), MemoryContent())
    table.first = lambda: target.create_volume("inner", shards=1, root="in/")
    with pytest.raises(ConflictError, match="lies in the root 'in/'"):
        await target.load(adopted.dump(), content_from=content_of(adopted))
    assert table.first is None
    assert [info.name async for info in target.volumes()] == ["inner"]
    await target.close()


# --- What a volume adopts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "local", "azurite"])
async def test_what_a_volume_adopts_comes_along(at: Open, adopted: Catalog, kind: str) -> None:
    """Afterwards the blobs are as much its own as they were: nobody else adopts them, or makes a root of them."""
    target = await at(kind)
    assert (await target.load(adopted.dump(), content_from=content_of(adopted))).ok
    assert {info.name: info.adopted async for info in target.volumes()} == {"plain": (), "raw": ("in/",)}
    await others(target, "in/y")
    with pytest.raises(ConflictError, match="overlaps with 'in/', which volume 'raw' has adopted"):
        await (await target.volume("plain")).adopt("in/")
    with pytest.raises(ConflictError, match="that volume 'raw' adopts"):
        await target.create_volume("inner", root="in/")
    raw = await target.volume("raw")
    report = await raw.adopt("in/", into="deep")
    assert (report.adopted, report.unchanged) == (1, 1)
    assert (await lines_of(target, "raw"))[0] == (await lines_of(adopted, "raw"))[0]


async def test_a_dump_from_before_it_told_what_is_adopted_can_be_loaded(at: Open, adopted: Catalog) -> None:
    lines = await lines_of(adopted)
    old = lines[0].replace(',"adopted":["in/"]', "")
    assert old != lines[0]
    target = await at("memory")
    assert (await target.load(remade([old, *lines[1:-1]]), content_from=content_of(adopted))).ok
    assert [info.adopted async for info in target.volumes()] == [(), ()]
    assert (await (await target.volume("raw")).adopt("in/", into="deep")).unchanged == 1


def remade(lines: list[str]) -> list[str]:
    """With the end that these lines have."""
    ledger = Ledger()
    for line in lines:
        ledger.take(parse_dump_line(line), line.encode())
    return [*lines, dump_line(ledger.end())]


@pytest.mark.parametrize("theirs", ["in/y/", "in/", "i", ""])
async def test_a_prefix_that_another_volume_adopts_is_refused(at: Open, adopted: Catalog, theirs: str) -> None:
    """Whether or not it has any of these blobs by now."""
    target = await at("memory")
    inner = await target.create_volume("inner", shards=1)
    await others(target, f"{theirs}other")
    await inner.adopt(theirs)
    lines = [each for each in await lines_of(adopted) if '"kind":"adopt"' not in each]
    before = await state(target)
    with pytest.raises(ConflictError, match=f"adopts 'in/', which overlaps with '{theirs}'") as caught:
        await target.load(remade(lines[:-1]), content_from=content_of(adopted))
    assert (caught.value.kind, caught.value.op, caught.value.key) == ("conflict.adopted", "load", "raw")
    assert caught.value.found == theirs
    assert await state(target) == before
    assert (await target.load(adopted.dump(), volume="plain", content_from=content_of(adopted))).ok


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_prefix_in_the_root_of_another_volume_is_refused(at: Open, adopted: Catalog, deleted: bool) -> None:
    """Also of one that was deleted: what is left there is still its own."""
    target = await at("memory")
    await target.create_volume("inner", shards=1, root="in/")
    if deleted:
        await target.delete_volume("inner")
    lines = [each for each in await lines_of(adopted) if '"kind":"adopt"' not in each]
    before = await state(target)
    with pytest.raises(ConflictError, match="adopts 'in/', which lies in the root 'in/' of volume 'inner'") as caught:
        await target.load(remade(lines[:-1]), content_from=content_of(adopted))
    assert (caught.value.kind, caught.value.op, caught.value.key) == ("conflict.root", "load", "raw")
    assert await state(target) == before


async def test_a_root_in_what_another_volume_of_the_dump_adopts_comes_along(at: Open, adopted: Catalog) -> None:
    await (await adopted.create_volume("inner", shards=1, root="in/inner/")).put("a", b"1")
    target = await at("memory")
    assert (await target.load(adopted.dump(), content_from=content_of(adopted))).ok
    assert await told(target) == await told(adopted)


async def test_a_volume_that_adopts_the_same_meanwhile_keeps_it(adopted: Catalog) -> None:
    target = Catalog(table := Rival(":memory:"), MemoryContent())
    inner = await target.create_volume("inner", shards=1)
    await others(target, "in/y")
    table.first = lambda: inner.adopt("in/y")
    with pytest.raises(ConflictError, match="which overlaps with 'in/y'"):
        await target.load(adopted.dump(), content_from=content_of(adopted))
    assert table.first is None
    assert [(info.name, info.adopted) async for info in target.volumes()] == [("inner", ("in/y",))]
    await target.close()


async def test_a_load_that_goes_on_notes_what_is_adopted(at: Open, adopted: Catalog) -> None:
    """The epochs are those of the run that began it; what it adopts is in the dump."""
    target = await at("memory")
    assert not (await target.load(adopted.dump())).ok
    assert (await target.load(adopted.dump(), content_from=content_of(adopted))).ok
    assert (await target.volume("raw")).info.adopted == ("in/",)


async def test_another_volume_that_is_made_meanwhile_does_not_matter(at: Open) -> None:
    cat, table = await at("memory"), Rival(":memory:")
    await (await cat.create_volume("raw", shards=1)).put("a", b"1")
    target = Catalog(table, MemoryContent())
    table.first = lambda: target.create_volume("other", shards=1)
    assert (await target.load(cat.dump(), content_from=content_of(cat))).ok
    assert [(info.name, info.default) async for info in target.volumes()] == [("other", True), ("raw", False)]
    await target.close()


async def test_a_load_that_somebody_began_anew_makes_nothing(at: Open) -> None:
    cat, table = await at("memory"), Rival(":memory:")
    await cat.create_volume("raw", shards=1)
    target = Catalog(table, MemoryContent())

    async def begun_anew() -> None:
        (row,) = [row async for page in table.query("~", RowRange("l", "m")) for row in page]
        await SqliteTable.submit(table, "~", [Replace(row.row, {**row.values, "epochs": "01ANOTHER"}, row.etag)])

    table.first = begun_anew
    with pytest.raises(ConflictError, match="begun anew by somebody else"):
        await target.load(cat.dump())
    assert [info async for info in target.volumes()] == []
    await target.close()


async def test_rows_that_are_not_the_loads_are_found(at: Open) -> None:
    """Where nobody else writes; unless somebody does."""
    cat, table = await at("memory"), Rival(":memory:")
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", b"1")
    await volume.delete("a")
    target = Catalog(table, MemoryContent())

    async def stopped() -> None:
        (row,) = [row async for page in table.query("~", RowRange("l", "m")) for row in page]
        change = Merge(version_row("a", 1), {"schema": 1, "chain": "another"})
        await SqliteTable.submit(table, partition(str(row.values["epochs"]), 0), [change])
        raise AccessDeniedError("stopped")

    table.first = stopped
    lines = await lines_of(cat)
    with pytest.raises(AccessDeniedError):
        await target.load(list(lines), content_from=content_of(cat))
    with pytest.raises(IntegrityError, match="holds another version") as caught:
        await target.load(list(lines))
    assert caught.value.kind == "integrity.row"
    await target.close()


async def test_the_same_load_again_finds_it_done_and_after_a_deletion_begins_anew(at: Open) -> None:
    cat, target = await at("memory"), await at("memory")
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", b"1")
    await volume.delete("a")
    lines = await lines_of(cat)
    first = await target.load(list(lines), content_from=content_of(cat))
    epoch = (await target.volume("raw")).info.epoch
    again = await target.load(list(lines))
    assert (again.ok, again.copied, again.versions) == (True, 0, first.versions)
    assert (await target.volume("raw")).info.epoch == epoch
    await target.delete_volume("raw")
    assert (await target.load(list(lines))).ok
    assert (await target.volume("raw")).info.epoch != epoch
    assert await told(target) == await told(cat)


async def test_two_who_load_the_same_dump_make_it_once(at: Open) -> None:
    cat, target = await at("memory"), await at("local")
    await fill(cat)
    lines = await lines_of(cat)
    reports = await asyncio.gather(*(target.load(list(lines), content_from=content_of(cat)) for _ in range(2)))
    assert all(report.ok for report in reports)
    assert await told(target) == await told(cat)


async def test_what_is_about_to_be_purged_stays_so_with_or_without_its_content(at: Open) -> None:
    cat = await at("memory")
    volume = await cat.create_volume("raw", shards=1)
    for content in (b"1", b"2"):
        await volume.put("a", content)
    key = partition(volume.info.epoch, 0)
    flag = Merge(version_row("a", 1), purging_values("01RUN00000000000000000000X"))
    await cat._tools.lister.table.submit(key, [flag])
    first, second = await at("memory"), await at("memory")
    assert (await first.load(cat.dump(), content_from=content_of(cat))).ok
    assert await (await first.volume("raw")).read("a", version=1) == b"1"
    await cat._content.delete((await volume.stat("a", version=1)).blob, when=Always())
    assert (await second.load(cat.dump(), content_from=content_of(cat))).ok
    for target in (first, second):
        info = (await target.volume("raw")).info
        row = await target._tools.lister.table.get(partition(info.epoch, 0), version_row("a", 1))
        assert row
        found: VersionRow = parse_version("raw", row)
        assert (found.purging, found.purged) == ("01RUN00000000000000000000X", False)


# --- While others write ----------------------------------------------------------------------------------------------


async def test_a_dump_is_whole_while_others_write(at: Open) -> None:
    cat = await at("memory")
    volume = await cat.create_volume("raw", shards=4)
    for number in range(30):
        await volume.put(f"{number:02d}", b"0")
    written, lines = 0, list[str]()
    async for line in cat.dump():
        lines.append(line)
        await volume.put(f"{written % 30:02d}", f"{written}".encode())
        await volume.put(f"new/{written}", b"1")
        written += 1
        if written > 60:
            break
    else:
        target = await at("memory")
        assert (await target.load(lines, content_from=content_of(cat))).ok
        return
    raise AssertionError("a dump that never ends")


async def test_a_move_that_stopped_is_brought_to_its_end_first(at: Open) -> None:
    """Decided, and its source's tombstone not yet written: a claim is not in a dump."""
    from tests.faults.ports import Fault, FaultContent, FaultTable, Wire

    cat, target, wire = await at("memory"), await at("memory"), Wire()
    volume = await cat.create_volume("raw", shards=2)
    await volume.put("a", b"1")
    far = next(name for name in map(str, range(99)) if shard_of(name, 2) != shard_of("a", 2))
    mover = Catalog(FaultTable(cat._table, wire), FaultContent(cat._content, wire), settings=Settings(timeout_s=0.2))
    moving = await mover.volume("raw")
    wire.sent.clear()
    wire.at, wire.fault, wire.on = 5, Fault.REFUSED, True
    with suppress(CatalogError):
        await moving.move("a", far)
    await mover.close()
    head = await cat._table.get(partition(volume.info.epoch, shard_of("a", 2)), head_row("a"))
    assert head
    assert "moving" in head.values
    report = await target.load(cat.dump(), content_from=content_of(cat))
    kinds = [file.kind async for file in (await target.volume("raw")).history("a")]
    assert (report.ok, kinds) == (True, ["delete", "put"])
    assert await told(target) == await told(cat)


# --- Bad input -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def good(at: Open) -> list[str]:
    cat = await at("memory")
    await fill(cat)
    return await lines_of(cat)


def signed(lines: Sequence[str]) -> list[str]:
    """The lines with a last one that fits them, whatever they say: as somebody would forge them."""
    import hashlib

    counts = json.loads(lines[-1])
    body = "".join(lines[:-1])
    end = counts | {"sha256": hashlib.sha256(body.encode()).hexdigest()}
    return [*lines[:-1], json.dumps(end, separators=(",", ":")) + "\n"]


def changed(lines: Sequence[str], number: int, **fields: Any) -> list[str]:
    """With other values in one line."""
    line = json.dumps(json.loads(lines[number - 1]) | fields, separators=(",", ":")) + "\n"
    return signed([*lines[: number - 1], line, *lines[number:]])


Break = Callable[[list[str]], Sequence[str]]
LONG = "x" * (LINE_BYTES_MAX + 10)

DAMAGED: dict[str, tuple[Break, str]] = {
    "cut between lines": (lambda lines: lines[:-1], r"was cut: it ends with line \d+"),
    "cut within a line": (lambda lines: [*lines[:4], lines[4][:50]], "line 5 of .*: it is not JSON"),
    "cut after the header": (lambda lines: lines[:1], "was cut: it ends with line 1"),
    "a line is missing": (lambda lines: [*lines[:4], *lines[5:]], r"line \d+ of "),
    "a line is doubled": (lambda lines: signed([*lines[:5], lines[4], *lines[5:]]), "line 6 of .*follows version"),
    "two lines swapped": (lambda lines: signed([*lines[:3], lines[4], lines[3], *lines[5:]]), r"line \d+ of .*order"),
    "a letter changed": (lambda lines: [*lines[:2], lines[2].replace("tests", "tesTs"), *lines[3:]], "sha256"),
    "size changed": (lambda lines: changed(lines, 3, size=7), "line 3 of .*its chain does not hold"),
    "no JSON": (lambda lines: [lines[0], "frob\n", *lines[1:]], "line 2 of .*: it is not JSON"),
    "deep JSON": (lambda lines: [lines[0], "[" * 100_000 + "\n"], "line 2 of .*: it is not JSON"),
    "no object": (lambda lines: [lines[0], "5\n"], "line 2 of .*no record"),
    "not a number": (lambda lines: [lines[0], '{"size":NaN}\n'], "line 2 of .*: it is not JSON"),
    "no such record": (lambda lines: [lines[0], '{"record":["x"]}\n'], "line 2 of .*no record"),
    "a field is missing": (lambda lines: [lines[0], '{"record":"version"}\n'], "line 2 of .*no field volume"),
    "a field too many": (lambda lines: changed(lines, 3, colour="red"), "line 3 of .*field 'colour'"),
    "a long line": (lambda lines: [lines[0], LONG + "\n"], "line 2 of .*4,194,304 bytes"),
    "a long line without an end": (lambda lines: [lines[0], LONG * 3], "line 2 of .*4,194,304 bytes"),
    "version 0": (lambda lines: changed(lines, 3, version=0), "line 3 of .*version is a whole number"),
    "version true": (lambda lines: changed(lines, 3, version=True), "line 3 of .*version is a whole number"),
    "a gap": (lambda lines: changed(lines, 3, version=2), "line 3 of .*follows version 0"),
    "a path out of its place": (lambda lines: changed(lines, 3, path="../a"), "line 3 of .*path is a path"),
    "a path in NFD": (lambda lines: changed(lines, 3, path="u\u0308"), "line 3 of .*path is a path"),
    "a path with NUL": (lambda lines: changed(lines, 3, path="a\0"), "line 3 of .*path is a path"),
    "a blob that escapes": (lambda lines: changed(lines, 2, blob="other/.versions/../../x"), "line 2 of .*blob is the"),
    "a blob elsewhere": (lambda lines: changed(lines, 2, blob="raw/.versions/x"), "line 2 of .*not below the volume's"),
    "a kind": (lambda lines: changed(lines, 3, kind="frob"), "line 3 of .*kind is put or"),
    "a time without a zone": (lambda lines: changed(lines, 3, created="2026-01-01T00:00:00"), "line 3 of .*a time"),
    "no time": (lambda lines: changed(lines, 3, created="yesterdayZ"), "line 3 of .*created is a time"),
    "a delete with content": (lambda lines: changed(lines, 3, kind="delete"), "line 3 of .*a delete has no content"),
    "a put without content": (lambda lines: changed(lines, 3, blob=""), "line 3 of .*a put has content"),
    "a source that is no path": (lambda lines: changed(lines, 3, source="../a@1"), "line 3 of .*source is path@"),
    "a time spelled otherwise": (lambda lines: changed(lines, 3, created="2026-01-01T00:00:00+00:00"), "a time"),
    "metadata nested": (lambda lines: changed(lines, 3, metadata={"a": {"b": 1}}), "line 3 of .*metadata 'a'"),
    "metadata too large": (lambda lines: changed(lines, 3, metadata={"a": 2**63}), "line 3 of .*64 bits"),
    "metadata's key": (lambda lines: changed(lines, 3, metadata={"a-b": 1}), "line 3 of .*identifier"),
    "a digest": (lambda lines: changed(lines, 3, digest="frob"), "line 3 of .*digest is a digest"),
    "two headers": (lambda lines: signed([lines[0], *lines]), "line 2 of .*second header"),
    "behind the end": (lambda lines: [*lines, lines[-1]], r"line \d+ of .*after the end"),
    "a volume of no header": (lambda lines: changed(lines, 3, volume="nobody"), "line 3 of .*not in the header"),
    "shards": (lambda lines: signed([lines[0].replace('"shards":4', '"shards":3'), *lines[1:]]), "shards is a power"),
    "roots": (lambda lines: signed([lines[0].replace("else/where/", "raw/"), *lines[1:]]), "line 1 of .*overlap"),
    "a root that escapes": (lambda lines: signed([lines[0].replace("else/where/", "../"), *lines[1:]]), "root is a"),
    "settings": (lambda lines: signed([lines[0].replace("{}", '{"x":1}', 1), *lines[1:]]), "settings: it has a field"),
    "counts": (lambda lines: changed(lines, len(lines), versions=1), "counts or sha256"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("form", ["file", "gz", "lines"])
async def test_a_damaged_dump_is_refused_by_its_line_and_nothing_is_sent(
    good: list[str], tmp_path: Path, name: str, form: str
) -> None:
    from catalog.sqlite_table import SqliteTable
    from tests.faults.ports import FaultContent, FaultTable, Wire

    damage, says = DAMAGED[name]
    lines, wire = list(damage(good)), Wire()
    source: Any = lines
    if form != "lines":
        source = tmp_path / ("dump.jsonl" + (".gz" if form == "gz" else ""))
        data = "".join(lines).encode()
        source.write_bytes(gzip.compress(data) if form == "gz" else data)
    table = SqliteTable(":memory:")
    cat = Catalog(FaultTable(table, wire), FaultContent(MemoryContent(), wire))
    with pytest.raises(IntegrityError, match=says) as caught:
        await cat.load(source)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert caught.value.kind == "integrity.dump"
    assert wire.sent == []
    await cat.close()
    await table.close()


async def test_what_is_no_dump_is_said_to_be_none(cat: Catalog, tmp_path: Path) -> None:
    for data in (b"", b"\n", b"hello\nworld\n", b"\x00\xff\xfe", b'{"a": 1}\n', gzip.compress(b"x")):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(InvalidError, match="is no dump of blobcat"):
            await cat.load(tmp_path / "file")
    with pytest.raises(InvalidError, match="is no dump of blobcat"):
        await cat.load([])
    with pytest.raises(NotFoundError, match="there is no file"):
        await cat.load(tmp_path / "none")
    for unreadable in (tmp_path, Path("/proc/self/mem")):  # a folder; a file whose every read fails
        with pytest.raises(CatalogError, match="cannot read"):
            await cat.load(unreadable)
    with pytest.raises(InvalidError, match="lines of text, not bytes"):
        await cat.load([b"x"])  # type: ignore[list-item]


async def test_a_packed_dump_that_was_cut_is_refused(cat: Catalog, good: list[str], tmp_path: Path) -> None:
    packed = gzip.compress("".join(good).encode())
    for data in (packed[:-20], packed[: len(packed) // 2], packed[:-4] + b"0000", b"frob" + packed):
        (tmp_path / "dump.gz").write_bytes(data)
        with pytest.raises(IntegrityError, match="cut or damaged"):
            await cat.load(tmp_path / "dump.gz")
    (tmp_path / "dump.gz").write_bytes(packed)
    report = await cat.load(tmp_path / "dump.gz", allow_missing=True)
    assert report.volumes == ("other", "raw")


async def test_a_newer_dump_is_refused(cat: Catalog, good: list[str]) -> None:
    header = good[0].replace('"format_version":1', '"format_version":3')
    with pytest.raises(InvalidError, match="newer blobcat") as caught:
        await cat.load(signed([header, *good[1:]]))
    assert caught.value.kind == "invalid.newer-dump"


async def test_an_empty_catalog_has_a_dump_and_nothing_to_load(cat: Catalog) -> None:
    volume = await cat.create_volume("v", shards=1)
    await cat.delete_volume(volume.name)
    lines = await lines_of(cat)
    assert len(lines) == 2
    with pytest.raises(InvalidError, match="no volume in the dump"):
        await cat.load(lines)


async def test_a_history_that_does_not_hold_is_not_dumped(cat: Catalog) -> None:
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", b"1")
    table, key = cat._tools.lister.table, partition(volume.info.epoch, 0)
    await table.submit(key, [Merge(version_row("a", 1), {"schema": 1, "size": 5})])
    with pytest.raises(IntegrityError, match="cannot be dumped: version 1 of 'a'") as caught:
        await lines_of(cat)
    assert caught.value.kind == "integrity.history"


async def test_more_volumes_than_one_transaction_makes_are_refused(cat: Catalog) -> None:
    volumes = [
        {"name": f"v{n}", "layout": "immutable", "shards": 1, "root": f"v{n}/", "created": "2026-01-01T00:00:00Z",
         "default": False, "settings": {}}
        for n in range(99)
    ]  # fmt: skip
    header = {"record": "header", "format": "blobcat-dump", "format_version": 1, "volumes": volumes}
    end = {"record": "end", "volumes": 99, "paths": 0, "versions": 0, "sha256": "0" * 64}
    lines = signed([json.dumps(each) + "\n" for each in (header, end)])
    with pytest.raises(InvalidError, match="at most 98 volumes"):
        await cat.load(lines)
    assert (await cat.load(lines, volume="v98")).volumes == ("v98",)


async def test_many_versions_fill_transactions_and_the_largest_rows_fit(at: Open) -> None:
    cat, target = await at("memory"), await at("azurite")
    volume = await cat.create_volume("raw", shards=1)
    text = {f"k{n}": "ä" * 30_000 for n in range(2)}
    for number in range(40):
        await volume.put("large", f"{number}".encode(), metadata=text)
    for number in range(150):
        await volume.put(f"small/{number:03d}", b"", request_id=f"r{number}")
    await volume.put("large", b"end")
    report = await target.load(cat.dump(), content_from=content_of(cat))
    assert (report.ok, report.versions) == (True, 191)
    assert await told(target) == await told(cat)


async def test_two_versions_of_one_line_are_one_ledger() -> None:
    """What is written is what is read: by the same rules."""
    record = DumpHeader(())
    ledger = Ledger()
    ledger.take(record, dump_line(record).encode())
    assert repr(ledger) == "<Ledger of 0 versions>"
    assert isinstance(parse_dump_line(dump_line(ledger.end())), DumpEnd)
    assert not isinstance(record, DumpedVersion)


async def test_indexes_are_made_again_and_ready(cat: Catalog) -> None:
    """With a row of each file; from then on they are kept up."""
    raw = await cat.create_volume("raw", shards=2)
    await raw.put("gone", b"x")
    await raw.create_index("meta.owner")
    await raw.create_index("-size", "digest")
    await raw.create_index("writer")
    await raw.drop_index("meta.owner")
    for number in range(9):
        await raw.put(f"{number}", b"x" * number, metadata={"owner": f"{number % 2}"})
    await raw.delete("gone")
    lines = [line async for line in cat.dump()]
    async with connect("memory:") as target:
        assert (await target.load(lines, allow_missing=True)).volumes == ("raw",)
        loaded = await target.volume("raw")
        assert [(index.on, index.state) for index in await loaded.indexes()] == [
            (("-size", "digest"), "ready"),
            (("writer",), "ready"),
        ]
        assert await amiss_in(target._table, loaded.info) == []
        assert len(await index_rows_of(target._table, loaded.info, "1")) == 2
        await loaded.set_metadata("1", {"owner": "2"})
        await loaded.create_index("meta.owner")
        assert await amiss_in(target._table, loaded.info) == []
