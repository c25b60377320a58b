"""What clients do while things go wrong, and what there must be afterwards when all went well."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from catalog import (
    Catalog,
    CatalogError,
    ConflictError,
    Create,
    DumpedVersion,
    DumpEnd,
    F,
    FileVersion,
    IfMatch,
    IfVersion,
    Item,
    Mode,
    NotFoundError,
    Overwrite,
    UnavailableError,
    Volume,
    parse_dump_line,
)
from catalog.keys import shard_of
from storage import Always, Digests, Headers
from tests.faults.observer import State

Told = FileVersion | CatalogError | bytes | int | None
"""A version, an error, content that was read, or how many files were written."""
Contents = Sequence[bytes | None]

TREE: Mapping[str, bytes] = {"a.txt": b"first", "b/c.txt": b"second", "b/large.bin": b"large " * 8}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A volume `v` in some state, what a client then does to it, and what comes of it when nothing goes wrong."""

    name: str
    act: Callable[[Catalog], Coroutine[Any, Any, Sequence[Told]]]
    then: Mapping[str, Contents] = field(default_factory=dict)
    """The contents of each path's versions, oldest first; None is a delete."""
    given: Mapping[str, Contents] = field(default_factory=dict)
    half_done: Mapping[str, int] = field(default_factory=dict)
    """Paths at which clients were killed in the middle of a put, and after how many of its requests."""
    errors: Sequence[type[CatalogError]] = ()
    shards: int = 1
    change_log: bool = False
    foreign: Mapping[str, bytes] = field(default_factory=dict)
    """Blobs that are there, of others."""
    adopted: bool = False
    """Whether they are adopted already."""
    beside: Sequence[str] = ()
    """Volumes that there are beside `v`."""
    indexes: Sequence[Sequence[str]] = ()
    """The fields of each index that there is."""
    volumes: Sequence[str] = ("v",)
    default: str = "v"

    def __str__(self) -> str:
        return self.name


async def told(call: Awaitable[Told]) -> Told:
    """What a call returned, or the error of ours that it raised."""
    try:
        return await call
    except CatalogError as error:
        return error


async def prepare(catalog: Catalog, scenario: Scenario) -> None:
    """Bring a catalog to the state that a scenario begins with; all but what is half done."""
    volume = await catalog.create_volume("v", shards=scenario.shards, change_log=scenario.change_log)
    for on in scenario.indexes:
        await volume.create_index(*on)
    for name in scenario.beside:
        await catalog.create_volume(name, shards=1)
    for path, contents in scenario.given.items():
        for content in contents:
            await (volume.delete(path) if content is None else volume.put(path, content))
    for name, content in scenario.foreign.items():
        await catalog._content.put(name, content, when=Always(), headers=Headers(md5=Digests.of(content).md5))
    if scenario.adopted:
        await volume.adopt()


def contents(state: State) -> dict[str, list[str]]:
    """The digests of each path's versions as readers see them, in the form of those that `digests` expects."""
    moved = state.moved
    return {
        path: [*(_digest(state, row) for row in rows), *([""] if path in moved else [])]
        for path, rows in state.histories.items()
    }


def _digest(state: State, row: Mapping[str, Any]) -> str:
    """Of an adopted version that of its blob: its row may not know it yet."""
    found: str = row["digest"] if row["kind"] != "adopt" else state.blobs[row["blob"]].digest
    return found


def digests(expected: Mapping[str, Contents]) -> dict[str, list[str]]:
    """The digests of expected contents; a delete has none."""
    return {
        path: ["" if content is None else f"sha256:{sha256(content).hexdigest()}" for content in versions]
        for path, versions in expected.items()
    }


def _put(content: bytes, mode: Mode = Overwrite()) -> Callable[[Catalog], Coroutine[Any, Any, Sequence[Told]]]:
    async def act(catalog: Catalog) -> Sequence[Told]:
        return [await told((await catalog.volume("v")).put("a", content, mode=mode))]

    return act


async def _if_match(catalog: Catalog) -> Sequence[Told]:
    volume = await catalog.volume("v")
    return [await told(volume.put("a", b"new", mode=IfMatch((await volume.stat("a")).etag)))]


async def _delete(catalog: Catalog) -> Sequence[Told]:
    return [await told((await catalog.volume("v")).delete("a"))]


async def _put_many(catalog: Catalog) -> Sequence[Told]:
    async def items() -> AsyncIterator[Item]:
        for name in "abc":
            yield Item(name, name.encode())

    volume = await catalog.volume("v")
    return [outcome.error or outcome.file async for outcome in volume.put_many(items())]


async def _put_then_delete(catalog: Catalog) -> Sequence[Told]:
    volume = await catalog.volume("v")
    return [await told(volume.put("a", b"1")), await told(volume.delete("a")), await told(volume.put("a", b"3"))]


def _on_volume(*calls: Callable[[Volume], Awaitable[Told]]) -> Callable[[Catalog], Coroutine[Any, Any, Sequence[Told]]]:
    """One call after the other, whatever the one before said."""

    async def act(catalog: Catalog) -> Sequence[Told]:
        volume = await catalog.volume("v")
        return [await told(call(volume)) for call in calls]

    return act


async def _query(volume: Volume) -> Told:
    where = (F.size > 1) & ~(F.path == "d")
    assert [file.path async for file in volume.query(where, prefix="")] == ["b", "c", "e", "f"]
    return None


async def _count(volume: Volume) -> Told:
    report = await volume.count(~(F.path == "d"), by=["size"])
    assert {group.values: group.files for group in report.groups} == {(size,): 1 for size in (1, 2, 3, 5, 6)}
    return None


async def _query_planned(volume: Volume) -> Told:
    """By an index in order of path, by one that is sorted here, in its own order, by paths, in pages; explained."""
    assert [file.path async for file in volume.query(F.kind == "put")] == [*"abcdef"]
    assert [file.path async for file in volume.query(F.size.isin([2, 5]) | (F.size == 3))] == ["b", "c", "e"]
    assert [file.path async for file in volume.query(F.size > 1, order_by="-size", limit=4)] == [*"fedc"]
    assert [file.path async for file in volume.query(F.path.isin([*"bex"]))] == ["b", "e"]
    pages = [page async for page in volume.query(F.kind == "put").pages(4)]
    assert [file.path async for file in volume.query(F.kind == "put", after=pages[0].token)] == ["e", "f"]
    explained = await volume.query(F.size == 2).explain()
    assert (explained.access, explained.index, explained.files) == ("index", ("-size",), 1)
    return None


async def _verify(volume: Volume) -> Told:
    report = await volume.verify()
    for finding in report.findings:
        assert isinstance(finding.error, UnavailableError), "damage where there is none"
        return finding.error
    assert report.checked == 3
    return None


async def _purge(volume: Volume) -> Told:
    """What could not be ended is told, and the next purge goes on with it."""
    report = await volume.purge(keep_versions=1, older_than=timedelta())
    return next((item.error for item in report.items if item.error), None)


async def _range(volume: Volume) -> Told:
    async with volume.open("a", start=3, length=30) as reader:
        assert await reader.read() == b"345678901234567890123456789012"
    return None


def _apart(source: str) -> str:
    """A path in the other one of two shards."""
    paths = (f"to/{number}" for number in range(100))
    return next(path for path in paths if shard_of(path, 2) != shard_of(source, 2))


FAR = _apart("a")


def ingest(tree: Path) -> Scenario:
    """An ingest of a small tree, one file of which is staged in blocks."""

    async def act(catalog: Catalog) -> Sequence[Told]:
        report = await (await catalog.volume("v")).ingest(tree)
        return [report.written, *(failure.error for failure in report.failed)]

    return Scenario(
        "ingest",
        act,
        given={"a.txt": [b"older"]},
        then={"a.txt": [b"older", b"first"], "b/c.txt": [b"second"], "b/large.bin": [b"large " * 8]},
    )


def make_tree(root: Path) -> Path:
    """The tree that `ingest` takes in."""
    for path, content in TREE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def _index(*calls: Callable[[Volume], Awaitable[object]]) -> Callable[[Catalog], Coroutine[Any, Any, Sequence[Told]]]:
    """What makes or drops indexes, of which nothing is said but errors; and what is written between."""

    async def act(catalog: Catalog) -> Sequence[Told]:
        volume, said = await catalog.volume("v"), list[Told]()
        for call in calls:
            try:
                found = await call(volume)
            except CatalogError as error:
                said.append(error)
            else:
                said += [found] if isinstance(found, FileVersion) else []
        return said

    return act


async def _indexes(volume: Volume) -> None:
    assert [index.on for index in await volume.indexes()] == [("kind", "-created"), ("size",)]


async def _recover(catalog: Catalog) -> Sequence[Told]:
    return [item.error for item in (await catalog.recover(patience_s=0)).items if item.error]


async def _reconcile(catalog: Catalog) -> Sequence[Told]:
    """Finds what was left half-done, settles it, and is told that this cannot be undone."""
    with TemporaryDirectory() as folder:
        plan, journal = await catalog.reconcile("v", patience_s=0, work=folder), Path(folder) / "journal"
        if not plan.complete:
            return [UnavailableError(plan.header.incomplete[0])]
        report = await catalog.apply(plan.path, journal=journal, patience_s=0)
        assert report.changed == 0
        undone = await catalog.undo(journal)
        assert len(undone.kept) == len(undone.items)
        return [applied.error for applied in report.failed]


async def _create_volume(catalog: Catalog) -> Sequence[Told]:
    try:
        await catalog.create_volume("w", shards=1)
    except CatalogError as error:
        return [error]
    return []


async def _once() -> AsyncIterator[bytes]:
    """Content that can be had once: where its write would have to start over, it could not."""
    for _ in range(5):
        yield b"0123456789"


async def _adopt(catalog: Catalog) -> Sequence[Told]:
    volume = await catalog.volume("v")
    try:
        report = await volume.adopt()
    except CatalogError as error:
        return [error]
    return [report.adopted, *(finding.error for finding in report.findings if finding.error)]


async def _volumes(catalog: Catalog) -> Sequence[Told]:
    try:
        names = [info.name async for info in catalog.volumes()]
    except CatalogError as error:
        return [error]
    assert names == ["v", "w"]
    return []


def _delete_volume(name: str) -> Callable[[Catalog], Coroutine[Any, Any, Sequence[Told]]]:
    async def delete(catalog: Catalog) -> Sequence[Told]:
        try:
            await catalog.delete_volume(name)
        except CatalogError as error:
            return [error]
        return []

    return delete


async def _set_default(catalog: Catalog) -> Sequence[Told]:
    try:
        await catalog.set_default_volume("w")
    except CatalogError as error:
        return [error]
    return []


async def _dump(catalog: Catalog) -> Sequence[Told]:
    try:
        lines = [parse_dump_line(line) async for line in catalog.dump("v")]
    except CatalogError as error:
        return [error]
    versions = [(each.file.path, each.file.version) for each in lines if isinstance(each, DumpedVersion)]
    assert versions == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert lines[-1] == DumpEnd(1, 2, 4, lines[-1].sha256 if isinstance(lines[-1], DumpEnd) else "")
    return []


async def _as_of(catalog: Catalog) -> Sequence[Told]:
    """What was there when `a` was at its first version: that, and not `b`."""
    volume = await catalog.volume("v")
    try:
        (then,) = [file.created async for file in volume.history("a") if file.version == 1]
        listed = [entry.path async for entry in volume.list(recursive=True, as_of=then)]
        found = [file.version async for file in volume.query(F.size == 1, as_of=then)]
    except CatalogError as error:
        return [error]
    assert (listed, found) == (["a"], [1])
    return [await told(volume.read("a", as_of=then))]


async def _changes(catalog: Catalog) -> Sequence[Told]:
    """All there are, in two runs."""
    volume = await catalog.volume("v")
    changes = volume.changes()
    try:
        made = [(file.path, file.version) async for file in changes]
        assert [file async for file in volume.changes(changes.cursor)] == []
    except CatalogError as error:
        return [error]
    assert sorted(made) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    return []


async def _read(catalog: Catalog) -> Sequence[Told]:
    return [await told((await catalog.volume("v")).read("a"))]


async def _read_back(catalog: Catalog) -> Sequence[Told]:
    volume = await catalog.volume("v")
    listed = [entry async for entry in volume.list(recursive=True)]
    history = [file async for file in volume.history("a")]
    assert [file.version for file in history] == [2, 1]
    assert [entry.path for entry in listed] == ["a", "b"]
    return history


PLAIN = (
    Scenario("create", _put(b"new", Create()), then={"a": [b"new"]}),
    Scenario("overwrite-nothing", _put(b"new"), then={"a": [b"new"]}),
    Scenario("overwrite", _put(b"new"), given={"a": [b"old"]}, then={"a": [b"old", b"new"]}),
    Scenario("overwrite-same", _put(b"old"), given={"a": [b"old"]}, then={"a": [b"old"]}),
    Scenario("if-version", _put(b"new", IfVersion(1)), given={"a": [b"old"]}, then={"a": [b"old", b"new"]}),
    Scenario("if-match", _if_match, given={"a": [b"old"]}, then={"a": [b"old", b"new"]}),
    Scenario(
        "create-on-tombstone", _put(b"new", Create()), given={"a": [b"old", None]}, then={"a": [b"old", None, b"new"]}
    ),
    Scenario(
        "create-conflict", _put(b"new", Create()), given={"a": [b"old"]}, then={"a": [b"old"]}, errors=[ConflictError]
    ),
    Scenario("streamed", _on_volume(lambda volume: volume.put("a", _once())), then={"a": [b"0123456789" * 5]}),
    Scenario("staged", _put(b"0123456789" * 5), then={"a": [b"0123456789" * 5]}),
    Scenario("delete", _delete, given={"a": [b"old"]}, then={"a": [b"old", None]}),
    Scenario("put-delete-put", _put_then_delete, then={"a": [b"1", None, b"3"]}),
    Scenario("put_many", _put_many, given={"b": [b"old"]}, then={"a": [b"a"], "b": [b"old", b"b"], "c": [b"c"]}),
    Scenario("recover", _recover, given={"a": [b"old"]}, then={"a": [b"old"]}, half_done={"x": 2, "y": 3, "a": 3}),
    Scenario(
        "adopt",
        _adopt,
        given={"a": [b"old", None], "b": [b"old"]},
        foreign={"a": b"a", "b": b"b", "c": b"c", "c/d": b"d"},
        then={"a": [b"old", None], "b": [b"old"], "c": [b"c"], "c/d": [b"d"]},
    ),
    Scenario("adopt-nothing", _adopt, foreign={"a": b"a"}, adopted=True, then={"a": [b"a"]}),
    Scenario(
        "read-adopted",
        _on_volume(lambda volume: volume.read("a"), lambda volume: volume.read("a")),
        foreign={"a": b"a"},
        adopted=True,
        then={"a": [b"a"]},
    ),
    Scenario("reconcile", _reconcile, given={"a": [b"old"]}, then={"a": [b"old"]}, half_done={"x": 3}),
    Scenario("create_volume", _create_volume, volumes=("v", "w")),
    Scenario(
        "create_volume-among-adopted",
        _create_volume,
        foreign={"a": b"a"},
        adopted=True,
        then={"a": [b"a"]},
        volumes=("v", "w"),
    ),
    Scenario("volumes", _volumes, beside=["w"], volumes=("v", "w")),
    Scenario("delete_volume", _delete_volume("w"), beside=["w"]),
    Scenario(
        "delete_volume-refused",
        _delete_volume("v"),
        given={"a": [b"old"]},
        then={"a": [b"old"]},
        errors=[ConflictError],
    ),
    Scenario("set_default_volume", _set_default, beside=["w"], volumes=("v", "w"), default="w"),
    Scenario(
        "copy",
        _on_volume(lambda volume: volume.copy("a", FAR)),
        shards=2,
        given={"a": [b"old"]},
        then={"a": [b"old"], FAR: [b"old"]},
    ),
    Scenario(
        "restore",
        _on_volume(lambda volume: volume.restore("a", version=1)),
        given={"a": [b"1", b"2", None]},
        then={"a": [b"1", b"2", None, b"1"]},
    ),
    Scenario(
        "set_metadata",
        _on_volume(lambda volume: volume.set_metadata("a", {"n": 1, "s": "é"})),
        given={"a": [b"old"]},
        then={"a": [b"old", b"old"]},
    ),
    Scenario(
        "move",
        _on_volume(lambda volume: volume.move("a", "b")),
        given={"a": [b"1", b"2"]},
        then={"a": [b"1", b"2", None], "b": [b"2"]},
    ),
    Scenario(
        "move-apart",
        _on_volume(lambda volume: volume.move("a", FAR)),
        shards=2,
        given={"a": [b"1", b"2"]},
        then={"a": [b"1", b"2", None], FAR: [b"2"]},
    ),
    Scenario(
        "move-apart-onto",
        _on_volume(lambda volume: volume.move("a", FAR, mode=Overwrite(), request_id="r")),
        shards=2,
        given={"a": [b"1"], FAR: [b"old"]},
        then={"a": [b"1", None], FAR: [b"old", b"1"]},
    ),
    Scenario(
        "move-apart-conflict",
        _on_volume(lambda volume: volume.move("a", FAR)),
        shards=2,
        given={"a": [b"1"], FAR: [b"old"]},
        then={"a": [b"1"], FAR: [b"old"]},
        errors=[ConflictError],
    ),
    Scenario(
        "logged",
        _on_volume(
            lambda volume: volume.put("a", b"2"),
            lambda volume: volume.move("a", "b"),
            lambda volume: volume.delete("b"),
        ),
        change_log=True,
        given={"a": [b"1"]},
        then={"a": [b"1", b"2", None], "b": [b"2", None]},
    ),
    Scenario(
        "logged-move-apart",
        _on_volume(lambda volume: volume.move("a", FAR)),
        shards=2,
        change_log=True,
        given={"a": [b"1", b"2"]},
        then={"a": [b"1", b"2", None], FAR: [b"2"]},
    ),
    Scenario("move-nothing", _on_volume(lambda volume: volume.move("a", "b")), errors=[NotFoundError]),
    Scenario(
        "request",
        _on_volume(*[lambda volume: volume.put("a", b"new", request_id="r", mode=Overwrite(force=True))] * 2),
        given={"a": [b"old"]},
        then={"a": [b"old", b"new"]},
    ),
    Scenario(
        "request-delete",
        _on_volume(*[lambda volume: volume.delete("a", request_id="r")] * 2),
        given={"a": [b"old"]},
        then={"a": [b"old", None]},
    ),
    Scenario(
        "stat",
        _on_volume(lambda volume: volume.stat("a"), lambda volume: volume.stat("a", version=1)),
        given={"a": [b"1", b"2"]},
        then={"a": [b"1", b"2"]},
    ),
    Scenario(
        "query",
        _on_volume(_query, _count),
        given={name: [b"x" * size] for size, name in enumerate("abcdef", 1)},
        then={name: [b"x" * size] for size, name in enumerate("abcdef", 1)},
    ),
    Scenario(
        "query-planned",
        _on_volume(_query_planned),
        given={name: [b"x" * size] for size, name in enumerate("abcdef", 1)},
        then={name: [b"x" * size] for size, name in enumerate("abcdef", 1)},
        indexes=[("kind",), ("-size",)],
    ),
    Scenario(
        "verify",
        _on_volume(_verify),
        given={"a": [b"1", b"2"], "b": [b"3", None]},
        then={"a": [b"1", b"2"], "b": [b"3", None]},
    ),
    Scenario(
        "purge",
        _on_volume(_purge),
        shards=2,
        given={"a": [b"1", b"2", b"3"], FAR: [b"4", b"5", None]},
        then={"a": [b"1", b"2", b"3"], FAR: [b"4", b"5", None]},
    ),
    Scenario("open-range", _on_volume(_range), given={"a": [b"0123456789" * 5]}, then={"a": [b"0123456789" * 5]}),
    Scenario(
        "dump",
        _dump,
        given={"a": [b"1", b"2"], "b": [b"3", None]},
        then={"a": [b"1", b"2"], "b": [b"3", None]},
    ),
    Scenario("as_of", _as_of, shards=2, given={"a": [b"1", b"2"], "b": [b"3"]}, then={"a": [b"1", b"2"], "b": [b"3"]}),
    Scenario(
        "changes",
        _changes,
        shards=2,
        change_log=True,
        given={"a": [b"1", b"2"], "b": [b"3", None]},
        then={"a": [b"1", b"2"], "b": [b"3", None]},
    ),
    Scenario("read", _read, given={"a": [b"old", b"new"]}, then={"a": [b"old", b"new"]}),
    Scenario(
        "list-and-history", _read_back, given={"a": [b"1", b"2"], "b": [b"3"]}, then={"a": [b"1", b"2"], "b": [b"3"]}
    ),
    Scenario(
        "create_index",
        _index(lambda volume: volume.create_index("kind", "-created")),
        shards=2,
        given={"a": [b"1", b"2"], FAR: [b"3"], "gone": [b"4", None]},
        then={"a": [b"1", b"2"], FAR: [b"3"], "gone": [b"4", None]},
    ),
    Scenario(
        "set_change_log",
        _index(
            lambda volume: volume.set_change_log(True),
            lambda volume: volume.put("c", b"3"),
            lambda volume: volume.set_change_log(False),
            lambda volume: volume.put("c", b"4"),
        ),
        shards=2,
        given={"a": [b"1", b"2"], FAR: [b"3"]},
        then={"a": [b"1", b"2"], FAR: [b"3"], "c": [b"3", b"4"]},
    ),
    Scenario(
        "create_index-beside-others",
        _index(lambda volume: volume.create_index("size")),
        given={"a": [b"1"], "b": [b"2"]},
        then={"a": [b"1"], "b": [b"2"]},
        indexes=[("kind", "-created")],
    ),
    Scenario(
        "drop_index",
        _index(lambda volume: volume.drop_index("size"), lambda volume: volume.put("c", b"3")),
        shards=2,
        given={"a": [b"1", b"2"], FAR: [b"3"]},
        then={"a": [b"1", b"2"], FAR: [b"3"], "c": [b"3"]},
        indexes=[("kind", "-created"), ("size",)],
    ),
    Scenario(
        "indexes",
        _index(_indexes),
        given={"a": [b"1"]},
        then={"a": [b"1"]},
        indexes=[("kind", "-created"), ("size",)],
    ),
)
INDEXED = ("overwrite", "put-delete-put", "put_many", "set_metadata", "move", "move-apart", "move-apart-onto", "copy")
"""Changes that are tried once more in a volume with indexes: in the same transactions, and as many."""
SCENARIOS = (
    *PLAIN,
    *(
        replace(scenario, name=f"{scenario.name}-indexed", indexes=[("kind", "-created"), ("size",)])
        for scenario in PLAIN
        if scenario.name in INDEXED
    ),
)
