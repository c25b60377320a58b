"""Queries by any plan: the same files in the same order, whatever indexes there are, however few requests it takes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import (
    Catalog,
    ConflictError,
    Cost,
    Expression,
    F,
    InvalidError,
    Item,
    RequestEvent,
    Volume,
    connect,
)
from catalog.planner import Question, plan
from tests.harness.naive_query import NUMBERS, Spec, built, holds, specs
from tests.harness.nightly import NIGHTLY
from tests.volumes.conftest import URLS
from tests.volumes.test_expressions import COUNTS, OWNERS, fill

INDEXES = (
    ("meta.owner",),
    ("-meta.owner", "size"),
    ("meta.n",),
    ("-meta.n", "meta.owner"),
    ("size", "-created"),
    ("content_type", "meta.n"),
    ("-modified",),
    ("digest", "kind", "meta.owner"),
)
OPS = F.meta["owner"] == "ops"


owned: st.SearchStrategy[Spec] = (
    st.tuples(st.just("compare"), st.just("meta.owner"), st.just("="), st.sampled_from(OWNERS))
    | st.tuples(st.just("compare"), st.just("meta.n"), st.just("="), st.sampled_from(COUNTS))
    | st.tuples(
        st.just("compare"), st.just("meta.n"), st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(NUMBERS)
    )
    | st.tuples(st.just("compare"), st.just("size"), st.sampled_from(["=", "<", ">="]), st.integers(0, 7))
    | st.tuples(st.just("in"), st.just("meta.owner"), st.lists(st.sampled_from(OWNERS), max_size=30))
    | st.tuples(st.just("startswith"), st.just("meta.owner"), st.sampled_from(["", "a", "\ud7ff", "😀"]))
    | st.tuples(st.just("exists"), st.sampled_from(["meta.owner", "meta.n", "modified"]))
    | st.just(("not", ("exists", "meta.n")))
)
"""Conditions that an index serves, if there is one."""


async def indexed(volume: Volume, *indexes: Sequence[str]) -> Volume:
    for on in indexes:
        await volume.create_index(*on)
    return volume


async def paths(volume: Volume, where: Expression | None = None, **how: Any) -> list[str]:
    return [file.path async for file in volume.query(where, **how)]


async def test_an_index_changes_no_answer(volume: Volume) -> None:
    files = await fill(volume)
    await indexed(volume, *INDEXES)
    everything, loop = volume.info, asyncio.get_running_loop()

    async def found(spec: Spec, prefix: str, indexes: Sequence[int]) -> tuple[str, list[str]]:
        volume.info = replace(everything, indexes=tuple(everything.indexes[number] for number in indexes))
        access = plan(Question(built(spec), prefix), volume.info).access
        return access, await paths(volume, built(spec), prefix=prefix)

    seen = set[str]()

    @settings(
        max_examples=3000 if NIGHTLY else 150,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(
        specs | owned | st.tuples(st.just("and"), st.lists(owned | specs, min_size=2, max_size=3)),
        st.sampled_from(["", "", "n/", "2026/", "a"]),
        st.lists(st.integers(0, len(INDEXES) - 1), min_size=1, unique=True),
    )
    def check(spec: Spec, prefix: str, indexes: Sequence[int]) -> None:
        access, answer = asyncio.run_coroutine_threadsafe(found(spec, prefix, indexes), loop).result(timeout=60)
        seen.add(access)
        assert answer == [file.path for file in files if file.path.startswith(prefix) and holds(spec, file)]

    await asyncio.to_thread(check)
    assert {"index", "scan", "range"} <= seen


@pytest.fixture(params=["local", "azurite"])
def shared(request: pytest.FixtureRequest) -> str:
    """The url of a catalog that several may open."""
    return URLS[request.param](request)


# What it costs.


async def many(volume: Volume, files: int, folder: str, owner: str = "lab") -> None:
    async def items() -> AsyncIterator[Item]:
        for number in range(files):
            yield Item(f"{folder}/{number:05}", b"x", metadata={"owner": owner, "n": number})

    assert all([outcome.ok async for outcome in volume.put_many(items())])


class Counting:
    """What a catalog asks of its table."""

    def __init__(self) -> None:
        self.events = list[RequestEvent]()

    def __call__(self, event: object) -> None:
        if isinstance(event, RequestEvent) and event.port == "table":
            self.events.append(event)

    async def of(self, volume: Volume, where: Expression | None = None, **how: Any) -> tuple[int, int, int]:
        """Files, requests and entities of a query."""
        self.events.clear()
        found = await paths(volume, where, **how)
        return len(found), len(self.events), sum(event.count for event in self.events)


SHARDS = 4


@pytest.fixture
async def counted(url: str) -> AsyncIterator[tuple[Volume, Counting]]:
    counting = Counting()
    async with connect(url, writer="tests", on_event=counting) as cat:
        volume = await cat.create_volume("raw", shards=SHARDS)
        await many(volume, 300, "lab")
        await many(volume, 60, "ops", "ops")
        await volume.create_index("meta.owner")
        await volume.create_index("meta.owner", "-meta.n")
        yield volume, counting


async def test_what_each_way_costs(counted: tuple[Volume, Counting]) -> None:
    volume, counting = counted
    each = SHARDS  # a request to each of them
    assert await counting.of(volume, F.path == "lab/00001") == (1, 1, 1)
    assert await counting.of(volume, F.path.isin(["lab/00001", "lab/00002", "no"])) == (2, 3, 2)
    assert await counting.of(volume, (F.path == "a") & (F.path == "b")) == (0, 0, 0)
    assert await counting.of(volume, prefix="ops/") == (60, each, 60)
    assert await counting.of(volume, F.path.startswith("ops/0000")) == (10, each, 10)
    assert await counting.of(volume, F.path.glob("ops/*5")) == (6, each, 60)
    assert await counting.of(volume, OPS) == (60, each + 1, 60 + 1)
    assert await counting.of(volume, OPS, prefix="ops/0000") == (10, each + 1, 10 + 1)
    assert await counting.of(volume, OPS & (F.meta["n"] == 7)) == (1, each + 1, 1 + 1)
    assert await counting.of(volume, OPS & (F.meta["n"] >= 50)) == (10, each + 1, 10 + 1)
    marks = 3 * each  # whether somebody wrote meanwhile: the gate, the intents, the gate again
    ours = F.meta["owner"].isin(["ops", "nobody"])
    assert await counting.of(volume, ours) == (60, 2 * each + marks + 1, 60 + 2 * each + 1)
    assert await counting.of(volume, OPS, order_by="-meta.n", limit=1) == (1, each + 1, 60 + 1)
    assert await counting.of(volume, F.size == 1) == (360, each, 360)


async def test_a_page_is_not_fetched_that_nobody_wants() -> None:
    counting = Counting()
    async with connect("memory:", on_event=counting) as cat:
        volume = await cat.create_volume("raw", shards=2)
        await many(volume, 2600, "lab")
        assert await counting.of(volume, limit=5) == (5, 2, 2000)
        assert await counting.of(volume, F.meta["n"] <= 999, prefix="lab/", limit=5) == (5, 2, 1000)


async def test_a_prefix_reads_what_is_under_it() -> None:
    """Of 20,000 files the 1,000 under a prefix, and of an index with 20,000 the ones of one value."""
    counting = Counting()
    async with connect("memory:", on_event=counting) as cat:
        volume = await cat.create_volume("raw", shards=16)
        await indexed(volume, ["meta.owner"])
        for folder in range(19):
            await many(volume, 1000, f"f{folder:02}")
        await many(volume, 1000, "g", "ops")
        assert await counting.of(volume, prefix="g/") == (1000, 16, 1000)
        assert await counting.of(volume, OPS) == (1000, 17, 1001)
        assert await counting.of(volume, OPS & (F.meta["n"] == 5)) == (1, 17, 2)


# Order.


async def test_some_fields_are_all_that_is_read_of_an_index(volume: Volume) -> None:
    await many(volume, 9, "ops", "ops")
    await indexed(volume, ["meta.n"], ["meta.owner"])
    for where in (F.meta["n"] >= 7, OPS & (F.meta["n"] >= 7), F.path.isin(["ops/00007", "ops/00008"])):
        assert [each async for each in volume.query(where).select("meta.n")] == [{"meta.n": 7}, {"meta.n": 8}]
        assert (await volume.count(where)).files == 2


async def test_an_order_streams_from_its_index(volume: Volume) -> None:
    await many(volume, 30, "lab")
    await many(volume, 9, "ops", "ops")
    await volume.put("none", b"")
    await indexed(volume, ["-meta.n"], ["meta.owner", "meta.n"])
    newest = [file.metadata.get("n") async for file in volume.query(order_by="-meta.n")]
    assert newest == [*sorted([*range(30), *range(9)], reverse=True), None]
    assert await paths(volume, OPS, order_by="meta.n", limit=3) == ["ops/00000", "ops/00001", "ops/00002"]
    grouped = [file async for file in volume.query(order_by=("meta.owner", "meta.n"))]
    assert [file.path for file in grouped] == [
        "none",
        *[f"lab/{number:05}" for number in range(30)],
        *[f"ops/{number:05}" for number in range(9)],
    ]


async def test_an_order_without_an_index_names_it_and_one_made_since_is_found(shared: str) -> None:
    async with connect(shared) as cat, connect(shared) as other:
        volume = await cat.create_volume("raw", shards=2)
        await many(volume, 3, "lab")
        with pytest.raises(InvalidError, match=r"create_index\('-created'\)") as caught:
            await paths(volume, order_by="-created")
        assert caught.value.kind == "invalid.order"
        await (await other.volume("raw")).create_index("-created")
        assert len(await paths(volume, order_by="-created")) == 3


# Indexes that go.


async def test_an_index_that_is_gone_is_not_missed(shared: str) -> None:
    """By a volume that was opened while it was there."""
    async with connect(shared) as cat, connect(shared) as other:
        volume = await cat.create_volume("raw", shards=2)
        await many(volume, 3, "ops", "ops")
        await volume.create_index("meta.owner")
        assert await paths(volume, OPS) == ["ops/00000", "ops/00001", "ops/00002"]
        await (await other.volume("raw")).drop_index("meta.owner")
        assert [index.state for index in volume.info.indexes] == ["ready"]
        assert await paths(volume, OPS) == ["ops/00000", "ops/00001", "ops/00002"]
        assert volume.info.indexes == ()


async def test_an_order_that_is_gone_is_a_conflict(shared: str) -> None:
    async with connect(shared) as cat, connect(shared) as other:
        volume = await cat.create_volume("raw", shards=2)
        await many(volume, 3, "ops", "ops")
        await volume.create_index("meta.owner")
        token = (await anext(aiter(volume.query(order_by="meta.owner").pages(1)))).token
        await (await other.volume("raw")).drop_index("meta.owner")
        with pytest.raises(ConflictError) as caught:
            await paths(volume, order_by="meta.owner")
        assert caught.value.kind == "conflict.index"
        with pytest.raises(InvalidError) as refused:
            await paths(volume, order_by="meta.owner")
        assert refused.value.kind == "invalid.order"
        await (await other.volume("raw")).create_index("meta.owner")
        with pytest.raises(InvalidError) as stale:
            await paths(volume, order_by="meta.owner", after=token)
        assert stale.value.kind == "invalid.token"


async def test_of_a_volume_that_is_gone_nothing_is_found(cat: Catalog, volume: Volume) -> None:
    await indexed(volume, ["meta.owner"])
    await cat.delete_volume("raw")
    assert await paths(volume, OPS) == []


# Pages.


@pytest.mark.parametrize(
    ("where", "order"),
    [
        (None, "path"),
        (OPS, "path"),
        (F.path.isin([f"ops/{number:05}" for number in range(12)]), "path"),
        (F.meta["n"] >= 4, "path"),
        (F.meta["owner"].isin(["ops", "lab"]), "path"),
        (F.size >= 0, "-meta.n"),
        (OPS, ("meta.owner", "-meta.n")),
    ],
)
async def test_a_token_goes_on_with_the_rest(url: str, where: Expression | None, order: Any) -> None:
    async with connect(url) as cat:
        volume = await cat.create_volume("raw", shards=4)
        await many(volume, 10, "ops", "ops")
        await many(volume, 10, "lab")
        await indexed(volume, ["meta.owner"], ["-meta.n"], ["meta.n", "meta.owner"], ["meta.owner", "-meta.n"])
        whole = await paths(volume, where, order_by=order)
        assert len(whole) >= 10
        for size in (1, 3, len(whole), 1000):
            token, found = None, list[str]()
            while True:
                query = (await cat.volume("raw")).query(where, order_by=order, after=token)
                page = await anext(aiter(query.pages(size)))
                found += [file.path for file in page.files]
                if page.token is None:
                    break
                assert len(page.files) == size
                token = page.token
                assert await paths(volume, where, order_by=order, after=token) == whole[len(found) :]
            assert found == whole


async def test_the_last_page_of_a_limit_says_whether_there_is_more(volume: Volume) -> None:
    await many(volume, 5, "ops")
    pages = [page async for page in volume.query(limit=4).pages(3)]
    assert [(len(page.files), page.token is None) for page in pages] == [(3, False), (1, False)]
    assert await paths(volume, after=pages[-1].token) == ["ops/00004"]
    assert [page.token async for page in volume.query(limit=5).pages(5)] == [None]
    assert [page async for page in volume.query(limit=0).pages(5)] == []


@pytest.mark.parametrize("damage", ["", "blobcatq1.", "blobcatq1.AAAA", "blobcatq1.é", 5, b"x"])
async def test_a_damaged_token_is_refused_at_once(volume: Volume, damage: Any) -> None:
    with pytest.raises(InvalidError) as caught:
        volume.query(after=damage)
    assert caught.value.kind == "invalid.token"


async def test_a_token_is_of_one_volume_and_one_query(cat: Catalog, volume: Volume) -> None:
    await many(volume, 3, "ops", "ops")
    token = (await anext(aiter(volume.query(OPS).pages(1)))).token
    assert token
    assert await paths(volume, OPS, after=token) == ["ops/00001", "ops/00002"]
    other = await cat.create_volume("other", shards=1)
    wrong: list[Any] = [
        lambda: other.query(OPS, after=token),
        lambda: volume.query(after=token),
        lambda: volume.query(OPS, prefix="ops/", after=token),
        lambda: volume.query(OPS, order_by="size", after=token),
        lambda: volume.query(OPS, after=token[:-1]),
        lambda: volume.query(OPS, after=token + "A"),
        lambda: volume.query(OPS, after=token.swapcase()),
    ]
    for ask in wrong:
        with pytest.raises(InvalidError) as caught:
            ask()
        assert caught.value.kind == "invalid.token"


# Paths that are too long for a key.


async def test_long_paths_come_in_order_and_a_token_goes_on_among_them(volume: Volume) -> None:
    """Behind three long values, 40 units of a path stand whole in a key, and a hash in the place of the rest."""
    beginning = f"{'d' * 50}/{'e' * 60}/"
    names = [f"{beginning}{number:02}{'x' * 60}" for number in range(20)] + [f"{'d' * 50}/short{n}" for n in range(5)]
    same = {"a": "a" * 200, "b": "b" * 200}

    async def items() -> AsyncIterator[Item]:
        for name in reversed(names):
            yield Item(name, b"x", metadata=same, content_type="c" * 200)

    assert all([outcome.ok async for outcome in volume.put_many(items())])
    await indexed(volume, ["meta.a", "-meta.b", "content_type"])
    where = (F.meta["a"] == "a" * 200) & (F.meta["b"] == "b" * 200) & (F.content_type == "c" * 200)
    found = plan(Question(where), volume.info)
    assert found.reach
    assert not found.sorts
    assert found.reach.key is not None
    assert await paths(volume, where) == sorted(names)
    assert await paths(volume, where, prefix=beginning) == sorted(names)[:20]
    for size in (1, 7):
        token = (await anext(aiter(volume.query(where).pages(size)))).token
        assert await paths(volume, where, after=token) == sorted(names)[size:]
    assert await paths(volume, where & (F.path >= names[5]) & (F.path < names[7])) == sorted(names)[5:7]


# Explained.


async def test_what_it_costs_is_explained(counted: tuple[Volume, Counting], url: str) -> None:
    volume, counting = counted
    counting.events.clear()
    found = await volume.query(OPS & (F.size == 1) & F.path.contains("7"), prefix="ops/").explain()
    assert (found.access, found.index, found.ranges, found.shards) == ("index", ("meta.owner",), 1, SHARDS)
    assert (found.condition, found.prefix) == ("meta.owner = 'ops' and size = 1 and path contains '7'", "ops/")
    assert (found.order, found.streams, found.limit, found.files) == (("path",), True, None, 6)
    assert found.certainty == "about"
    assert found.probe.requests == 1
    assert found.actual
    assert found.actual.requests == found.estimate.requests == SHARDS + 1
    assert found.actual.requests + found.probe.requests == len(counting.events)
    assert found.actual.entities + found.probe.entities == sum(event.count for event in counting.events)
    if "local" in url or "memory" in url:
        assert "json_extract(body, '$.m_owner') = 'ops'" in found.sent
        assert (found.left, found.actual.entities) == ("", 6 + 1)
    else:
        assert "PartitionKey eq '" in found.sent
        assert found.sent.endswith("(kind ne 'delete' and m_owner eq 'ops' and size eq 1L)")
        assert (found.left, found.actual.entities) == ("path contains '7'", 60 + 1)


async def test_an_explanation_that_is_not_run_reads_a_page_of_a_shard(counted: tuple[Volume, Counting]) -> None:
    volume, counting = counted
    counting.events.clear()
    found = await volume.query(OPS).explain(run=False)
    assert (found.actual, found.files, len(counting.events)) == (None, None, 1)
    assert found.estimate.entities == SHARDS * found.probe.entities + 1


async def test_an_explanation_is_a_table(counted: tuple[Volume, Counting]) -> None:
    volume, _ = counted
    text = str(await volume.query(F.path.isin(["lab/00001", "no"])).explain())
    assert text.splitlines() == [
        "files where   path in ('lab/00001', 'no')",
        "read from     2 rows, by path",
        "in order of   path",
        "                  requests    entities       files",
        "estimated                2           2              at most",
        "actual                   2           1           1  each request is a transaction on the bill",
    ]
    nothing = await volume.query(F.path == "a\0").explain()
    assert (nothing.access, nothing.certainty, nothing.probe.requests) == ("nothing", "exactly", 0)
    assert "nothing: no file can be like that" in str(nothing)
    every = await volume.query(limit=3, prefix="lab/").explain()
    assert (every.condition, every.access, every.files) == ("", "range", 3)
    assert "read from     files by path: 1 range in each of 4 shards" in str(every)
    assert "at most       3 files" in str(every)
    sorted_ = await volume.query(F.meta["owner"].isin(["ops", "lab"])).explain()
    assert (sorted_.ranges, sorted_.streams, sorted_.files) == (2, False, 360)
    assert "in order of   path; sorted here, once all of it is read" in str(sorted_)
    assert (await volume.query(limit=0).explain()).actual == Cost(0, 0)
    scan = await volume.query(F.size > 0).explain(run=False)
    assert "read from     all files" in str(scan)
    assert "actual" not in str(scan)


async def test_of_many_the_estimate_says_that_there_are_more() -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await many(volume, 1001, "lab")
        found = await volume.query().explain()
        assert (found.certainty, found.estimate, found.actual) == ("about, or more", Cost(2, 1000), Cost(2, 1001))
        await volume.create_index("meta.n")
        found = await volume.query(F.meta["n"] >= 0).explain()
        assert found.estimate == Cost(2 + 2 + 3 + 1, 1000 + 1)
        assert found.actual == Cost(2 + 2 + 3 + 1, 2 * 1001 + 2 + 1)
        few = await volume.query(F.meta["n"] >= 2).explain()
        assert (few.certainty, few.estimate, few.actual) == ("about", Cost(2, 1000), Cost(2, 1000))


# Fields, of what an index has.


async def test_many_rows_are_sorted_by_way_of_a_file(url: str) -> None:
    async with connect(url) as cat:
        volume = await cat.create_volume("raw", shards=2)
        await many(volume, 4500, "lab")
        await indexed(volume, ["meta.n"])
        found = await paths(volume, F.meta["n"] >= 100)
        assert found == [f"lab/{number:05}" for number in range(100, 4500)]
        assert await paths(volume, F.meta["n"] >= 100, limit=2) == found[:2]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("-path", "order_by: files are in order of path at last, ascending"),
        (("path", "size"), "order_by: files are in order of path at last"),
        ("owner", "order_by: there is no field 'owner'"),
        (("size", "-size"), "order_by: an index names a field once"),
        (5, "order_by: a field of an index is its name"),
    ],
)
async def test_what_is_no_order_is_said_as_such(volume: Volume, order: Any, why: str) -> None:
    with pytest.raises(InvalidError, match=why) as caught:
        volume.query(order_by=order)
    assert (caught.value.kind, caught.value.op) == ("invalid.order", "query")


async def test_path_at_the_end_of_an_order_says_what_is_so(volume: Volume) -> None:
    await volume.create_index("size")
    for path in ("b", "a"):
        await volume.put(path, b"1")
    assert [file.path async for file in volume.query(order_by=("size", "path"))] == ["a", "b"]


async def test_a_token_goes_on_by_its_own_index_where_there_is_a_better_one_by_now(
    cat: Catalog, volume: Volume
) -> None:
    await volume.create_index("meta.n", "size")
    for number in range(6):
        await volume.put(f"{number}", b"1", metadata={"n": number})
    pages = [page async for page in volume.query(order_by="meta.n").pages(4)]
    await volume.create_index("meta.n")
    rest = (await cat.volume("raw")).query(order_by="meta.n", after=pages[0].token)
    assert [file.path async for file in rest] == ["4", "5"]


async def test_of_many_ranges_of_paths_one_is_read_over_all(volume: Volume) -> None:
    """A request for each of them, in each shard, would cost more than reading what lies between."""
    for number in range(0, 600, 7):
        await volume.put(f"{number:03}/x", b"1")
    where = F.path.startswith("000/")
    for number in range(1, 300):
        where |= F.path.startswith(f"{number:03}/")
    explained = await volume.query(where).explain()
    assert (explained.access, explained.ranges) == ("range", 1)
    assert explained.actual == Cost(4, explained.actual.entities if explained.actual else 0)
    assert [file.path async for file in volume.query(where)] == [f"{number:03}/x" for number in range(0, 300, 7)]
