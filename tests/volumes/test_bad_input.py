"""What is refused is refused by every verb, before any request; what is merely unusual comes back exactly (S13)."""

import inspect
import string
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from catalog import Catalog, F, InvalidError, Item, Metadata, NotFoundError, Outcome, Settings, Volume
from catalog.sqlite_table import SqliteTable
from storage.memory import MemoryContent
from tests.catalog.test_metadata import WRONG as WRONG_METADATA
from tests.catalog.test_paths import KEPT
from tests.catalog.test_paths import REFUSED as REFUSED_PATHS
from tests.faults.ports import Wire
from tests.faults.world import World

Verb = Callable[[Volume, Any], Awaitable[object]]


async def taken(entries: AsyncIterable[object]) -> list[object]:
    return [entry async for entry in entries]


async def opened(volume: Volume, path: str) -> None:
    async with volume.open(path):
        pass


async def opened_seekable(volume: Volume, path: str) -> None:
    async with volume.open_seekable(path):
        pass


async def put_many(volume: Volume, path: str, metadata: Metadata | None = None) -> None:
    async def items() -> AsyncIterator[Item]:
        yield Item(path, b"x", metadata)

    async with aclosing(cast("AsyncGenerator[Outcome]", volume.put_many(items()))) as outcomes:
        async for outcome in outcomes:
            assert outcome.error
            raise outcome.error


OF_A_PATH: Mapping[str, Verb] = {
    "put": lambda volume, path: volume.put(path, b"x"),
    "put_many": put_many,
    "read": lambda volume, path: volume.read(path),
    "stat": lambda volume, path: volume.stat(path),
    "open": opened,
    "open_seekable": opened_seekable,
    "history": lambda volume, path: taken(volume.history(path)),
    "delete": lambda volume, path: volume.delete(path),
    "set_metadata": lambda volume, path: volume.set_metadata(path, {}),
    "restore": lambda volume, path: volume.restore(path, version=1),
    "move": lambda volume, path: volume.move(path, "b"),
    "move, the target": lambda volume, path: volume.move("b", path),
    "copy": lambda volume, path: volume.copy(path, "b"),
    "copy, the target": lambda volume, path: volume.copy("b", path),
    "sign": lambda volume, path: volume.sign(path, expires_in=60),
    "download": lambda volume, path: volume.download(path, Path("never")),
}
OF_A_PREFIX: Mapping[str, Verb] = {
    "list": lambda volume, prefix: taken(volume.list(prefix)),
    "query": lambda volume, prefix: taken(volume.query(F.size > 1, prefix=prefix)),
    "count": lambda volume, prefix: volume.count(prefix=prefix),
    "folders": lambda volume, prefix: taken(volume.folders(prefix)),
    "glob": lambda volume, prefix: taken(volume.glob(prefix)),
    "verify": lambda volume, prefix: volume.verify(prefix),
    "purge": lambda volume, prefix: volume.purge(keep_versions=1, prefix=prefix),
    "download_tree": lambda volume, prefix: volume.download_tree(prefix, Path("never")),
    "ingest": lambda volume, prefix: volume.ingest(Path(__file__), prefix=prefix),
}
OF_METADATA: Mapping[str, Verb] = {
    "put": lambda volume, metadata: volume.put("a", b"x", metadata=metadata),
    "put_many": lambda volume, metadata: put_many(volume, "a", metadata),
    "set_metadata": lambda volume, metadata: volume.set_metadata("a", metadata),
}
MORE_PATHS = {
    **{f"control U+{code:04X}": f"a{chr(code)}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{f"bidi U+{code:04X}": f"a{chr(code)}b" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    **{f"surrogate U+{code:04X}": f"a{chr(code)}" for code in (0xD800, 0xDBFF, 0xDC00, 0xDFFF)},
    "a segment of 256 bytes": "x/" + "é" * 128,
    "a key of 501 units": "/".join(["s" * 49] * 10) + "xx",
    "a key that encoding makes too long": "/".join(["\U0001f600" * 50] * 6),
    "not a str": b"a",
}
PATHS: Mapping[str, object] = {**REFUSED_PATHS, **MORE_PATHS}
PREFIXES = ("/a", "a//b", "../a", "a/./b", "a\\b", "C:/a", "a\0b", ".versions/a", "a\u202eb", "\ud800", 5)


async def refused(verb: Verb, values: Mapping[str, object]) -> None:
    """Each of these raises an error of ours that names what it is about in one line, and sends nothing."""
    async with World() as world:
        wire = Wire()
        volume = await world.client(wire).create_volume("v", shards=1)
        sent = len(wire.sent)
        for name, value in values.items():
            with pytest.raises(InvalidError) as caught:
                await verb(volume, value)
            assert len(wire.sent) == sent, f"S13: {name} sent {wire.sent[sent:]}"
            assert str(caught.value).isprintable(), name


@pytest.mark.parametrize("verb", OF_A_PATH)
async def test_no_verb_asks_for_what_is_no_path(verb: str) -> None:
    await refused(OF_A_PATH[verb], PATHS)


@pytest.mark.parametrize("verb", OF_A_PREFIX)
async def test_no_verb_asks_for_what_is_no_prefix(verb: str) -> None:
    await refused(OF_A_PREFIX[verb], {repr(prefix): prefix for prefix in PREFIXES})


@pytest.mark.parametrize("verb", OF_METADATA)
async def test_no_verb_writes_what_is_no_metadata(verb: str) -> None:
    await refused(OF_METADATA[verb], {name: metadata for name, (metadata, _, _) in WRONG_METADATA.items()})


def test_every_verb_that_takes_a_path_is_here() -> None:
    told = {"path", "source", "target", "prefix", "pattern", "items"}
    offered = {
        name
        for name, method in inspect.getmembers(Volume, inspect.isfunction)
        if name != "adopt"  # whose prefix is of blobs, and may be anything
        and not name.startswith("_")
        and told & inspect.signature(method).parameters.keys()
    }
    assert offered == {name.partition(",")[0] for name in (*OF_A_PATH, *OF_A_PREFIX)}


# What must come back exactly.


async def test_unusual_paths_live_side_by_side(volume: Volume) -> None:
    marks = [f"mark{mark}mark" for mark in string.punctuation if mark not in "/\\"]
    paths = sorted({*KEPT, *marks, "a/%2F", "b/%2e%2e", "h0/v0/i0/g0"})
    for path in paths:
        await volume.put(path, path.encode())
    for path in paths:
        assert (await volume.read(path), (await volume.stat(path)).path) == (path.encode(), path)
        assert [file.path async for file in volume.query(F.path == path, prefix=path)] == [path]
    listed = [entry.path async for entry in volume.list(recursive=True)]
    assert sorted(listed) == paths


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_every_verb_knows_a_path_in_either_form(volume: Volume, form: Any) -> None:
    path, given = "caf\u00e9/\u00e0", unicodedata.normalize(form, "caf\u00e9/\u00e0")
    written = await volume.put(given, b"x")
    assert written.path == path
    assert await volume.read(given) == b"x"
    assert [file async for file in volume.query(F.size >= 0, prefix=given)] == [written]
    assert [file async for file in volume.query(F.path == given)] == [written]
    assert [file async for file in volume.list(given, recursive=True)] == [written]
    assert [file async for file in volume.history(given)] == [written]
    moved = await volume.move(given, f"{given}2")
    assert moved.path == f"{path}2"


async def test_metadata_at_the_edge_of_the_rules_come_back(volume: Volume) -> None:
    when = datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC)
    metadata: Metadata = {
        "int32": 2**31, "exact": 2**53 + 1, "largest": 2**63 - 1, "least": -(2**63), "micro": when,
        "first": datetime(1970, 1, 1, tzinfo=UTC), "empty": "", "space": " ", "quote": "'\"&<>", "emoji": "\U0001f600",
        "lines": "a\r\nb\0c", "long": "x" * 32_768, "yes": True, "no": False, "tenth": 0.1, "minus": -0.0,
        **{f"k{number}": number for number in range(184)},
    }  # fmt: skip
    assert len(metadata) == 200
    written = await volume.put("a", b"x", metadata=metadata)
    for file in (written, await volume.stat("a"), await anext(volume.history("a"))):
        assert dict(file.metadata) == metadata
        assert {name: type(value) for name, value in file.metadata.items()} == {
            name: type(value) for name, value in metadata.items()
        }


INJECTED = (
    "x' or PartitionKey eq 'y",
    "x' or '1' eq '1",
    "' or 1=1 --",
    "x'' or ''x'' eq ''x",
    '"; drop table rows; --',
)


@pytest.mark.parametrize("text", INJECTED)
async def test_quotes_in_a_condition_find_nothing_foreign(volume: Volume, text: str) -> None:
    await volume.put("foreign", b"x", metadata={"owner": "y"})
    assert [file async for file in volume.query(F.meta["owner"] == text)] == []
    assert [file async for file in volume.query(F.path == text)] == []
    assert [file async for file in volume.query(F.size >= 0, prefix=text)] == []
    mine = await volume.put(text, b"x", metadata={"owner": text})
    assert [file async for file in volume.query(F.meta["owner"] == text)] == [mine]
    assert [file async for file in volume.query(F.path == text)] == [mine]
    assert [file async for file in volume.query(F.content_type == text)] == []


# Content that is not what it was.


class Meddling(MemoryContent):
    """A store during whose first request something happens to the file that is being uploaded."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__()
        self._meddle = meddle

    async def stage(self, name: str, block: str, data: bytes) -> None:
        """See ContentStore."""
        if block.endswith("000"):
            self._meddle()
        await super().stage(name, block, data)


def grow(source: Path) -> None:
    with source.open("ab") as file:
        file.write(b"more")


MEDDLING: Mapping[str, Callable[[Path], object]] = {
    "it grows": grow,
    "it shrinks": lambda source: source.write_bytes(source.read_bytes()[:-1]),
    "it is emptied": lambda source: source.write_bytes(b""),
    "it is another": lambda source: source.write_bytes(b"y" * source.stat().st_size),
}


@pytest.mark.parametrize("meddle", MEDDLING.values(), ids=MEDDLING.keys())
async def test_a_file_that_changes_while_it_is_read_commits_nothing(
    tmp_path: Path, meddle: Callable[[Path], object]
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5000)
    store = Meddling(lambda: meddle(source))
    cat = Catalog(SqliteTable(":memory:"), store, settings=Settings(one_shot_bytes=100, block_bytes=100))
    try:
        volume = await cat.create_volume("raw", shards=1)
        with pytest.raises(InvalidError, match="changed while it was read"):
            await volume.put("a", source)
        with pytest.raises(NotFoundError):
            await volume.stat("a")
        assert (await cat.recover(patience_s=0)).items == ()
    finally:
        await cat.close()
