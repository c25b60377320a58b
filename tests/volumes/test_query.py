"""A query, as an object: what it costs before it is asked, and what it says the second time."""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from catalog import (
    Catalog,
    CatalogError,
    CountGroup,
    CountReport,
    F,
    IntegrityError,
    InvalidError,
    Volume,
    connect,
)
from catalog.keys import heads, partition
from catalog.rows import Entity
from catalog.selection import NAMES
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert
from storage.memory import MemoryContent
from tests.faults.ports import Wire
from tests.faults.world import World


async def filled(volume: Volume, files: int = 6) -> Volume:
    for number in range(files):
        await volume.put(f"d/{number}", bytes(number), metadata={"owner": "ops" if number % 2 else "lab", "n": number})
    return volume


async def test_a_query_without_a_condition_is_of_all_files(volume: Volume) -> None:
    await filled(volume)
    await volume.delete("d/3")
    assert [file.path async for file in volume.query()] == ["d/0", "d/1", "d/2", "d/4", "d/5"]
    assert [file.path async for file in volume.query(prefix="d/4")] == ["d/4"]


async def test_each_iteration_asks_anew(volume: Volume) -> None:
    query = (await filled(volume)).query(F.size > 3)
    assert [file.path async for file in query] == ["d/4", "d/5"]
    await volume.put("d/6", b"123456")
    assert [file.path async for file in query] == ["d/4", "d/5", "d/6"]


async def test_a_limit_holds_for_each_iteration(volume: Volume) -> None:
    query = (await filled(volume)).query(F.size > 1, limit=2)
    for _ in range(2):
        assert [file.path async for file in query] == ["d/2", "d/3"]


async def test_two_iterations_of_one_query_go_side_by_side(volume: Volume) -> None:
    query = (await filled(volume)).query()
    async with aclosing(aiter(query)) as one, aclosing(aiter(query)) as other:
        assert (await anext(one)).path == (await anext(other)).path == "d/0"
        assert (await anext(one)).path == (await anext(other)).path == "d/1"


async def test_nothing_is_asked_before_it_is_iterated_over_and_nothing_for_a_limit_of_0() -> None:
    wire = Wire()
    async with World() as world:
        await filled(await world.client().create_volume("v", shards=1))
        volume = await world.client(wire).volume("v")
        wire.sent.clear()
        query = volume.query(F.size > 1)
        assert [file async for file in volume.query(F.size > 1, limit=0)] == []
        assert wire.sent == []
        assert [file.size async for file in query] == [2, 3, 4, 5]
        assert wire.sent[0] == "table.query"


async def test_wrong_arguments_are_refused_at_once() -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        for wrong in ({"where": "size"}, {"prefix": "/"}, {"limit": -1}, {"timeout_s": 0}):
            with pytest.raises(InvalidError):
                volume.query(**wrong)
        shown = repr(volume.query((F.size > 1) & (F.path == "a"), prefix="b", limit=5))
        assert shown.startswith("<Query of 'raw': ")
        assert shown.endswith("under 'b'>, at most 5>")
        shown = repr(volume.query(F.size > 1, prefix="b", as_of=datetime(2026, 11, 20, tzinfo=UTC)))
        assert shown.startswith("<Query of 'raw': <PastScan of 'raw' at 2026-11-20T00:00:00+00:00: ")
        assert shown.endswith(" size > 1, under 'b'>>")


async def test_a_selection_has_what_the_files_have(volume: Volume) -> None:
    """And None where a file has no such field."""
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    await volume.put("a", b"1", metadata={"owner": "ops", "taken": noon}, modified=noon)
    await volume.put("b", b"22", metadata={"owner": 5, "final": True})
    names = [*NAMES, "meta.owner", "meta.taken", "meta.final", "meta.no"]
    found = [each async for each in volume.query().select(*names)]
    files = [file async for file in volume.query()]
    for each, file in zip(found, files, strict=True):
        assert list(each) == names
        assert {name: each[name] for name in NAMES} == {name: getattr(file, name) for name in NAMES}
        assert {name: each[f"meta.{name}"] for name in ("owner", "taken", "final", "no")} == {
            name: file.metadata.get(name) for name in ("owner", "taken", "final", "no")
        }


async def test_a_selection_is_of_the_files_that_fit(volume: Volume) -> None:
    query = (await filled(volume)).query((F.meta["owner"] == "ops") & ~(F.meta["n"] == 1), limit=1)
    for _ in range(2):
        assert [each async for each in query.select("size")] == [{"size": 3}]


@pytest.mark.parametrize("names", [[], ["nope"], ["meta."], ["meta.a-b"], [5], ["size", "size"], ["op"]], ids=repr)
async def test_what_is_no_field_is_refused_at_once(names: Any) -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        with pytest.raises(InvalidError):
            volume.query().select(*names)


class Recording(SqliteTable):
    """Notes which columns it is asked for."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.asked: list[Sequence[str] | None] = []

    def query(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Sequence[Entity], None]:
        self.asked.append(kwargs.get("select"))
        return super().query(*args, **kwargs)


async def test_only_what_is_needed_is_read() -> None:
    table = Recording()
    cat = Catalog(table, MemoryContent())
    volume = await filled(await cat.create_volume("raw", shards=1))
    own = {"schema", "path", "kind", "moving"}
    query = volume.query((F.meta["owner"] == "ops") | ~(F.size > 1))
    for asking, read in (
        (lambda: drained(query), None),
        (lambda: drained(query.select("version")), {*own, "m_owner", "size", "version"}),
        (
            lambda: drained(query.select("digest", "meta.n")),
            {*own, "m_owner", "size", "digest", "learned_digest", "m_n", "t_n"},
        ),
        (lambda: drained(query.select("metadata")), None),
        (lambda: drained(query.select(*[f"meta.k{number}" for number in range(60)])), None),
        (query.count, {*own, "m_owner", "size"}),
        (lambda: volume.count(by=["meta.n"]), {*own, "size", "m_n", "t_n"}),
    ):
        table.asked.clear()
        await asking()
        (asked,) = table.asked
        assert (asked and set(asked)) == read
    await volume.create_index("meta.n")
    table.asked.clear()
    await drained(volume.query(F.meta["n"] >= 0).select("size"))
    # Sorted here: of a path that comes twice, the newer version is kept.
    assert {*own, "version", "size", "m_n"} in [set(asked or ()) for asked in table.asked]
    await cat.close()
    await table.close()


async def drained(items: AsyncIterable[object]) -> None:
    async for _ in items:
        pass


async def test_a_count_by_nothing_is_of_all(volume: Volume) -> None:
    await filled(volume)
    assert await volume.count() == CountReport(6, 15, (), ())
    assert await volume.count(F.size > 3) == CountReport(2, 9, (), ())
    assert await volume.count(prefix="no/") == CountReport(0, 0, (), ())


async def test_a_count_by_values_has_the_most_files_first_and_those_without_last(volume: Volume) -> None:
    for path, owner in (
        ("a", "ops"),
        ("b", "lab"),
        ("c", "ops"),
        ("d", None),
        ("e", 5),
        ("f", 5.0),
        ("g", True),
        ("h", "5"),
    ):
        await volume.put(path, b"x" * 10, metadata={} if owner is None else {"owner": owner})
    report = await volume.count(by=["meta.owner"])
    assert report == CountReport(
        8,
        80,
        ("meta.owner",),
        tuple(
            CountGroup((value,), files, files * 10)
            for value, files in ((5, 2), ("ops", 2), ("5", 1), (True, 1), ("lab", 1), (None, 1))
        ),
    )


async def test_a_count_by_two_fields_has_each_pair_that_there_is(volume: Volume) -> None:
    await filled(volume)
    report = await volume.count(F.size < 4, by=["meta.owner", "version"])
    assert [(group.values, group.files, group.bytes) for group in report.groups] == [
        (("lab", 1), 2, 2),
        (("ops", 1), 2, 4),
    ]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"schema": 2}, InvalidError),
        ({"schema": 1, "size": 5}, IntegrityError),
        ({"size": 5}, IntegrityError),
        ({"schema": 1, "path": "h", "size": 5, "kind": "put", "created": 2**62}, IntegrityError),
    ],
    ids=["newer", "lacks a column", "no schema", "a time in no calendar"],
)
async def test_a_row_that_cannot_be_read_is_an_error(values: dict[str, Any], error: type[CatalogError]) -> None:
    table = SqliteTable(":memory:")
    cat = Catalog(table, MemoryContent())
    volume = await cat.create_volume("raw", shards=1)
    await table.submit(partition(volume.info.epoch, 0), [Insert(heads("x").first, {"kind": "put", **values})])
    for asking in (
        drained(volume.query().select("path", "created")),
        volume.count(by=["created"]),
        drained(volume.query()),
    ):
        with pytest.raises(error):
            await asking
    await cat.close()
    await table.close()
