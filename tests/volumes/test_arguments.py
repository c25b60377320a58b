"""What no argument of the API may be: refused with an InvalidError, and before any request. One table, all methods."""

import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from catalog import Brake, Catalog, IfMatch, IfVersion, InvalidError, Overwrite, Rate, Settings, Volume, connect
from catalog.sqlite_table import SqliteTable
from catalog.token import Token
from storage.memory import MemoryContent
from tests.faults.ports import FaultContent, FaultTable, Wire

NAN, INF = float("nan"), float("inf")
FAR_WEST = timezone(timedelta(hours=-14))


class BytesPath:
    """A path that is no text."""

    def __fspath__(self) -> bytes:
        return b"/tmp/no-such-tree"


async def asynchronous(*_: object) -> None:
    """A callback that nobody would await."""


class Asynchronous:
    async def __call__(self, *_: object) -> None:
        """The same."""


NO_TEXT = [None, 5, b"a", True]
PATHS = [*NO_TEXT, "", "/a", "a//b", "a/", "../a", "a/.", "a\\b", "a\0"]
PREFIXES = [*NO_TEXT, "/a", "a//b", "../", "a\\b"]
MOMENTS = [5, "2026-01-01", datetime(2026, 1, 1), datetime.max.replace(tzinfo=FAR_WEST), True]  # noqa: DTZ001
VERSIONS = [0, -1, True, 1.0, "1", 10**10, NAN]
FLAGS = [None, 0, 1, "no"]
MODES = [None, "create", Overwrite, Overwrite(force="no"), IfVersion(0), IfVersion(True), IfMatch(""), IfMatch(5)]  # type: ignore[arg-type]
REQUEST_IDS = ["", "x" * 201, "a\nb", "a\\b", 5, b"r", True]
METADATA = [0, "", [], ["k"], {"a-b": 1}, {1: 1}, {"k": None}, {"k": NAN}, {"k": 2**63}, {"k": datetime(2026, 1, 1)}]  # noqa: DTZ001
CALLBACKS = [5, "print", asynchronous, partial(asynchronous, 1), Asynchronous()]
SECONDS = [0, -1, True, NAN, INF, -INF, "5", 10**400, 1e300]
NUMBERS = [-1, True, 1.5, "1", NAN]
GLOBS = [".", "..", "g/..", "./*", "*/..", "*/./a", "*/a.", "../*", "*\\a", "[", "a**"]
FOLDERS = [None, 5, b"x", "a\0b"]
SOURCES = [*FOLDERS, BytesPath()]

INDEXES = [
    [],
    ["path"],
    ["owner"],
    ["meta.a b"],
    ["size", "size"],
    [5],
    [None],
    [["size"]],
    ["size", "kind", "md5", "etag"],
]

Table = dict[str, tuple[Mapping[str, Any], Mapping[str, Sequence[Any]]]]

CHANGE: Mapping[str, Sequence[Any]] = {"mode": MODES, "request_id": REQUEST_IDS}

VOLUME: Table = {  # method: what is right, and what is wrong
    "stat": ({"path": "a"}, {"as_of": MOMENTS, "path": PATHS, "version": VERSIONS}),
    "read": ({"path": "a"}, {"as_of": MOMENTS, "path": PATHS, "version": VERSIONS}),
    "open": (
        {"path": "a"},
        {"as_of": MOMENTS, "path": PATHS, "version": VERSIONS, "start": [None, *NUMBERS], "length": NUMBERS},
    ),
    "open_seekable": (
        {"path": "a"},
        {"as_of": MOMENTS, "path": PATHS, "version": VERSIONS, "read_ahead_bytes": [None, *NUMBERS]},
    ),
    "download": (
        {"path": "a", "target": Path("never")},
        {
            "path": PATHS,
            "target": [*FOLDERS, "", "a/", ".."],
            "version": VERSIONS,
            "as_of": MOMENTS,
            "overwrite": FLAGS,
        },
    ),
    "download_tree": (
        {"prefix": "", "folder": Path("never")},
        {
            "prefix": PREFIXES,
            "folder": FOLDERS,
            "as_of": MOMENTS,
            "existing": [None, "", 5, ["fail"]],
            "progress": CALLBACKS,
        },
    ),
    "list": ({}, {"as_of": MOMENTS, "prefix": PREFIXES, "recursive": FLAGS, "deleted": FLAGS}),
    "glob": ({"pattern": "*"}, {"as_of": MOMENTS, "pattern": [*NO_TEXT, "", *GLOBS]}),
    "folders": ({}, {"as_of": MOMENTS, "prefix": PREFIXES, "depth": [None, 251, *NUMBERS]}),
    "query": ({"where": None}, {"where": [5, True, "size >"], "as_of": MOMENTS}),
    "count": (
        {},
        {
            "where": [5, True, "size >"],
            "by": [None, 5, "nope", ["nope"], [5], ["meta."], ["metadata"], ["size", "size"], {"size"}],
            "as_of": MOMENTS,
            "prefix": PREFIXES,
        },
    ),
    "changes": ({}, {"since": [*MOMENTS, "", "x", b"blobcat-changes1.", "blobcat-changes1.x"]}),
    "history": ({"path": "a"}, {"path": PATHS}),
    "sign": (
        {"path": "a", "expires_in": 60},
        {
            "path": PATHS,
            "version": VERSIONS,
            "expires_in": [None, *SECONDS, 0.5, timedelta(0), timedelta(days=-1), timedelta.max],
        },
    ),
    "purge": (
        {"keep_versions": 1},
        {
            "keep_versions": [-1, True, 1.5, "1", NAN],
            "older_than": [timedelta(seconds=-1), 90, "90d", True],
            "prefix": PREFIXES,
            "dry_run": FLAGS,
            "progress": CALLBACKS,
        },
    ),
    "verify": ({}, {"prefix": PREFIXES, "progress": CALLBACKS}),
    "create_index": ({"fields": ["size"]}, {"fields": INDEXES, "progress": CALLBACKS}),
    "drop_index": ({"fields": ["size"]}, {"fields": INDEXES, "progress": CALLBACKS}),
    "indexes": ({}, {}),
    "put": (
        {"path": "a", "content": b"x"},
        {
            **CHANGE,
            "path": PATHS,
            "content": ["a.csv", None, 5, memoryview(b"abcd")[::2]],
            "metadata": METADATA,
            "content_type": ["", "a\nb", 5],
            "modified": [5, "now", datetime(2026, 1, 1), datetime.max.replace(tzinfo=FAR_WEST)],  # noqa: DTZ001
            "timeout_s": SECONDS,
        },
    ),
    "put_many": ({"items": None}, {"items": [None, 5, []]}),
    "ingest": (
        {"source": Path("never")},
        {
            "source": SOURCES,
            "prefix": PREFIXES,
            "exclude": ["*", None, 5, [5]],
            "metadata": METADATA,
            "trust_mtime": FLAGS,
            "progress": CALLBACKS,
        },
    ),
    "adopt": (
        {},
        {
            "prefix": [None, 5, "\0", "x" * 1025],
            "match": ["", *NO_TEXT[1:], *GLOBS],
            "into": [5, "../", "a//b", ".versions"],
            "dry_run": FLAGS,
            "progress": CALLBACKS,
        },
    ),
    "set_change_log": ({"on": True}, {"on": FLAGS}),
    "set_metadata": ({"path": "a", "metadata": {}}, {**CHANGE, "path": PATHS, "metadata": [None, *METADATA]}),
    "copy": ({"source": "a", "target": "b"}, {**CHANGE, "source": [*PATHS, "b"], "target": PATHS}),
    "move": ({"source": "a", "target": "b"}, {**CHANGE, "source": [*PATHS, "b"], "target": PATHS}),
    "restore": ({"path": "a", "version": 1}, {**CHANGE, "path": PATHS, "version": [None, *VERSIONS]}),
    "delete": ({"path": "a"}, {**CHANGE, "path": PATHS, "missing_ok": FLAGS}),
}

TOKEN = str(Token("raw", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, "put"))
PLAN_1 = Path(__file__).parents[1] / "data" / "plan-1.jsonl"
CATALOG: Table = {
    "volume": ({}, {"name": [5, "", "A", "a/b", True]}),
    "sql": (
        {"sql": "select path from files"},
        {
            "sql": [None, 5, b"select 1", "", " "],
            "where": [5, True, "size >"],
            "as_of": MOMENTS,
            "prefix": PREFIXES,
            "volume": [5, "", "A", "a/b", True],
            "types": [5, ["meta.n"], {"meta.n": bytes}, {"size": int}, {5: int}],
            "memory_bytes": [None, 0, 1, *NUMBERS],
        },
    ),
    "set_default_volume": ({"name": "raw"}, {"name": [None, 5, "", "A"]}),
    "create_volume": (
        {"name": "new"},
        {
            "name": [None, 5, "", "A"],
            "layout": ["path", None, 5],
            "shards": [0, 3, 512, True, "4", None],
            "root": [5, "", "x", "../", "a//"],
            "exist_ok": FLAGS,
            "change_log": FLAGS,
        },
    ),
    "delete_volume": ({"name": "raw"}, {"name": [None, 5, "", "A"]}),
    "volumes": ({}, {}),
    "doctor": ({}, {}),
    "rebuild": (
        {"name": "new"},
        {"name": [None, 5, "", "A"], "shards": [0, 3, 512, True, "4", None], "root": [5, "", "x", "../", "a//"]},
    ),
    "dump": ({}, {"volume": [5, "", "A", "a/b", True]}),
    "load": (
        {"source": Path("never")},
        {
            "source": [*NO_TEXT, "", "dump.jsonl", BytesPath()],
            "volume": [5, "", "A", "a/b", True],
            "content_from": [5, "", "nonsense:", b"local:x", True],
            "content_credential": ["key"],
            "allow_missing": FLAGS,
            "progress": CALLBACKS,
        },
    ),
    "recover": ({}, {"patience_s": [-1, True, NAN, INF, "5"]}),
    "reconcile": (
        {},
        {
            "volume": [5, "", "A", "a/b", True],
            "prefix": PREFIXES,
            "depth": [None, 5, "", "deep", ["etag"]],
            "sample": [None, 0, -1, 1.1, True, NAN, INF, "1"],
            "orphans": [None, 5, "", "delete", ["report"]],
            "foreign": [None, 5, "", "quarantine"],
            "patience_s": [-1, True, NAN, INF, "5"],
            "work": [5, b"x", "a\0b"],
            "counts": [5, b"x", "a\0b"],
            "workers": [None, 0, *NUMBERS],
            "rate": [None, 5, "fast"],
            "progress": CALLBACKS,
        },
    ),
    "plan": ({"path": "never"}, {"path": [*SOURCES, "never"]}),
    "apply": (
        {"plan": PLAN_1},
        {
            "plan": [*SOURCES, "never"],
            "journal": [5, b"x", "a\0b"],
            "brake": [None, 5, 0.1, Brake(fraction=2), Brake(fraction=NAN), Brake(number=-1), Brake(number=True)],
            "force": [5, b"x", True],
            "patience_s": [-1, True, NAN, INF, "5"],
            "rate": [None, 5, "fast", Rate(0), Rate(NAN), Rate(1, -1)],
            "progress": CALLBACKS,
        },
    ),
    "undo": (
        {"journal": "never"},
        {"journal": [*SOURCES, "never"], "rate": [None, 5, "fast", Rate(0), Rate(NAN), Rate(1, -1)]},
    ),
    "resolve": ({"token": TOKEN}, {"token": [None, 5, "", b"blobcat1.", "blobcat1.x"]}),
}

for _table in (VOLUME, CATALOG):
    for _method, (_right, _wrong) in _table.items():
        if _method != "plan":  # it reads a file
            _table[_method] = (_right, {"timeout_s": SECONDS, **_wrong})  # every call has a limit of its own
OTHERS = {"unwrap", "close", "capabilities"}
"""Of a catalog: what takes no argument."""


def cases(table: Table) -> Sequence[Any]:
    return [
        pytest.param(method, {**right, name: value}, id=f"{method}-{name}-{number}")
        for method, (right, wrong) in table.items()
        for name, values in wrong.items()
        for number, value in enumerate(values)
    ]


async def called(method: Any, arguments: Mapping[str, Any]) -> None:
    """Call it, whatever it is, and use what it gives once."""
    named = dict(arguments)
    found = method(*named.pop("fields", ()), **named)
    if inspect.isawaitable(found):
        await found
    elif isinstance(found, AbstractAsyncContextManager):
        async with found:
            pass
    else:
        await anext(aiter(found), None)


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def opened(wire: Wire) -> AsyncIterator[Catalog]:
    table, content = SqliteTable(":memory:"), MemoryContent()
    cat = Catalog(FaultTable(table, wire), FaultContent(content, wire))
    await cat.create_volume("raw", shards=1)
    wire.sent.clear()
    yield cat
    await cat.close()
    await table.close()


@pytest.mark.parametrize(("method", "arguments"), cases(VOLUME))
async def test_of_a_volume(opened: Catalog, wire: Wire, method: str, arguments: Mapping[str, Any]) -> None:
    volume = await opened.volume("raw")
    wire.sent.clear()
    with pytest.raises(InvalidError) as caught:
        await called(getattr(volume, method), arguments)
    assert "\n" not in str(caught.value) or caught.value.kind == "invalid.expression"  # which points below it
    assert wire.sent == []


@pytest.mark.parametrize(("method", "arguments"), cases(CATALOG))
async def test_of_a_catalog(opened: Catalog, wire: Wire, method: str, arguments: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidError):
        await called(getattr(opened, method), arguments)
    assert wire.sent == []


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"prefix": value} for value in PREFIXES],
        *[{"limit": value} for value in NUMBERS],
        *[
            {"order_by": value}
            for value in ("", "owner", "-path", ("size", "-size"), ("a", "b", "c", "d"), 5, None, [5])
        ],
        *[{"after": value} for value in ("", "token", 5, b"blobcatq1.", "blobcatq1.AAAA")],
    ],
    ids=repr,
)
async def test_of_a_query(opened: Catalog, wire: Wire, wrong: Mapping[str, Any]) -> None:
    from catalog import F

    volume = await opened.volume("raw")
    wire.sent.clear()
    with pytest.raises(InvalidError):
        await anext(aiter(volume.query(F.size > 1, **wrong)), None)
    assert wire.sent == []


async def test_of_what_a_query_is_asked_for(opened: Catalog, wire: Wire) -> None:
    query = (await opened.volume("raw")).query()
    wire.sent.clear()
    for size in (0, -1, 1.5, "5", None, True):
        with pytest.raises(InvalidError):
            await anext(aiter(query.pages(size)))  # type: ignore[arg-type]
    for run in (0, "no", None):
        with pytest.raises(InvalidError):
            await query.explain(run=run)  # type: ignore[arg-type]
    assert wire.sent == []
    assert wire.sent == []


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"name": value} for value in [None, 5, "", "A", "a/b"]],
        *[{"shards": value} for value in [None, 0, 3, 512, True, 4.0, "4"]],
        *[{"root": value} for value in [5, "", "a", "/", "../"]],
        {"layout": "path"},
        {"layout": None},
    ],
    ids=repr,
)
async def test_of_create_volume(opened: Catalog, wrong: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidError):
        await opened.create_volume(**{"name": "other", **wrong})
    assert [volume.name async for volume in opened.volumes()] == ["raw"]


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"url": value} for value in [None, 5, b"memory:", "", "nonsense:", "memory:x"]],
        *[{"writer": value} for value in ["", 5, "a\nb", "x" * 201]],
        *[{"on_event": value} for value in CALLBACKS],
    ],
)
async def test_of_connect(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidError):
        async with connect(**{"url": "memory:", **wrong}):
            pass


@pytest.mark.parametrize("value", SECONDS, ids=repr)
@pytest.mark.parametrize("name", ["timeout_s", "request_timeout_s", "connect_timeout_s", "silence_timeout_s"])
def test_of_settings(name: str, value: Any) -> None:
    with pytest.raises(InvalidError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize("size", [True, "x", 1.5, b"1", NAN], ids=repr)
async def test_of_a_read(opened: Catalog, wire: Wire, size: Any) -> None:
    volume = await opened.volume("raw")
    await volume.put("a", b"12345")
    async with volume.open_seekable("a") as seekable, volume.open("a") as reader:
        wire.sent.clear()
        for each in (seekable, reader):
            with pytest.raises(InvalidError, match="a whole number of bytes, or None"):
                await each.read(size)
        assert wire.sent == []
        assert await seekable.read(None) == await reader.read(None) == b"12345"


SEEKS: Sequence[Any] = [(None,), ("1",), (1.0,), (True,), (-1,), (0, True), (0, 1.0), (0, None), (0, []), (0, 3)]


@pytest.mark.parametrize("to", SEEKS, ids=repr)
async def test_of_a_seek(opened: Catalog, to: Sequence[Any]) -> None:
    volume = await opened.volume("raw")
    await volume.put("a", b"12345")
    async with volume.open_seekable("a") as seekable:
        seekable.seek(2)
        with pytest.raises(InvalidError):
            seekable.seek(*to)
        assert seekable.tell() == 2


TESTED_BELOW = {"query": {"prefix", "limit", "order_by", "after"}, "put_many": {"mode"}}


def test_the_table_knows_every_method_and_every_argument() -> None:
    for kind, table, others in ((Volume, VOLUME, {"name"}), (Catalog, CATALOG, OTHERS)):
        public = {name for name in dir(kind) if not name.startswith("_")}
        assert table.keys() == public - others
        for method, (right, wrong) in table.items():
            parameters = inspect.signature(getattr(kind, method)).parameters.keys() - {"self"}
            assert parameters == {*right, *wrong} | TESTED_BELOW.get(method, set()), method


@pytest.mark.parametrize("mode", MODES, ids=repr)
async def test_of_put_many(opened: Catalog, wire: Wire, mode: Any) -> None:
    async def items() -> AsyncIterator[Any]:
        raise AssertionError("asked for an item")
        yield

    volume = await opened.volume("raw")
    with pytest.raises(InvalidError):
        await anext(aiter(volume.put_many(items(), mode=mode)), None)


async def test_dates_at_the_edges_of_the_calendar_are_kept_or_refused(opened: Catalog) -> None:
    volume = await opened.volume("raw")
    for number, time in enumerate((datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))):
        await volume.put(f"{number}", b"x", modified=time, metadata={"t": time})
        file = await volume.stat(f"{number}")
        assert (file.modified, file.metadata) == (time, {"t": time})
    with pytest.raises(InvalidError, match="'t'"):
        await volume.put("a", b"x", metadata={"t": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))})
