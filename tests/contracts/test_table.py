"""What every Table guarantees (see `catalog.table`), proven for each in `table_factories`."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from itertools import count, pairwise
from time import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog.errors import InvalidError, NotFoundError, TooLargeError
from catalog.filters import All, Any, Comparison, Condition, Not, Operator
from catalog.keys import RowRange
from catalog.rows import (
    INT64_MAX,
    INT64_MIN,
    Entity,
    Value,
    Values,
)
from catalog.table import (
    ANY_ETAG,
    OPERATIONS_MAX,
    Delete,
    Insert,
    LastPage,
    Merge,
    Operation,
    RefusedError,
    Replace,
    Table,
    Written,
)
from tests.contracts.table_factories import TABLES

P = "p"
ALL = RowRange("", "\uffff")
SOME: Values = {"a": 1, "b": "two"}

Change = Callable[[str, str], Operation]
CHANGES: dict[str, Change] = {
    "replace": lambda row, etag: Replace(row, {"new": True}, etag),
    "merge": lambda row, etag: Merge(row, {"new": True}, etag),
    "delete": Delete,
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
few_examples = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
fresh_partitions = map("partition{}".format, count())  # the examples of one Hypothesis test share its table


@pytest.fixture(params=TABLES)
async def absent(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    """A table that is not created yet."""
    table = TABLES[request.param](request)
    yield table
    await table.close()


@pytest.fixture
async def table(absent: Table) -> Table:
    await absent.create()
    return absent


async def put(table: Table, *rows: str, partition: str = P, values: Values = SOME) -> list[str]:
    """Insert rows, and return their etags."""
    etags: list[str] = []
    for start in range(0, len(rows), OPERATIONS_MAX):
        written = await table.submit(partition, [Insert(row, values) for row in rows[start : start + OPERATIONS_MAX]])
        etags += [str(each.etag) for each in written]
    return etags


async def read(
    table: Table,
    rows: RowRange = ALL,
    *,
    partition: str = P,
    where: Condition | None = None,
    select: Sequence[str] | None = None,
) -> list[Entity]:
    """All entities of a query, in the order in which they came."""
    pages = table.query(partition, rows, where=where, select=select)
    return [entity async for page in pages for entity in page]


async def names(table: Table, rows: RowRange = ALL, *, partition: str = P) -> list[str]:
    return [entity.row for entity in await read(table, rows, partition=partition)]


async def get(table: Table, row: str, *, partition: str = P) -> Entity:
    """A row that must be there."""
    entity = await table.get(partition, row)
    assert entity is not None
    return entity


async def submit_one(table: Table, operation: Operation) -> Written:
    (written,) = await table.submit(P, [operation])
    return written


async def former_etag(table: Table, row: str) -> str:
    """Put the row there, and return an etag that it had and has no more."""
    (etag,) = await put(table, row)
    await table.submit(P, [Replace(row, SOME)])
    return etag


# The life of a table.


async def test_get_needs_the_table(absent: Table) -> None:
    with pytest.raises(NotFoundError) as refused:
        await absent.get(P, "r")
    assert refused.value.kind == "not-found.table"


async def test_query_needs_the_table(absent: Table) -> None:
    with pytest.raises(NotFoundError) as refused:
        await read(absent)
    assert refused.value.kind == "not-found.table"


@pytest.mark.parametrize("operation", [Insert("r", {}), *(change("r", ANY_ETAG) for change in CHANGES.values())])
async def test_submit_needs_the_table(absent: Table, operation: Operation) -> None:
    """Its absence is told apart from that of a row."""
    with pytest.raises(NotFoundError) as refused:
        await absent.submit(P, [operation])
    assert refused.value.kind == "not-found.table"


async def test_creating_it_twice_keeps_its_rows(table: Table) -> None:
    await put(table, "r")
    await table.create()
    assert await names(table) == ["r"]


async def test_dropping_it_removes_it(table: Table) -> None:
    await table.drop()
    with pytest.raises(NotFoundError):
        await table.get(P, "r")


async def test_made_again_it_is_empty(table: Table) -> None:
    await put(table, "r")
    await table.drop()
    await table.create()
    assert await names(table) == []


async def test_dropping_it_twice_is_no_error(table: Table) -> None:
    await table.drop()
    await table.drop()


async def test_dropping_what_never_was_is_no_error(absent: Table) -> None:
    await absent.drop()


async def test_closing_it_twice_is_no_error(table: Table) -> None:
    await table.close()
    await table.close()


async def test_closing_it_unused_is_no_error(absent: Table) -> None:
    await absent.close()


async def test_a_closed_table_says_so(table: Table) -> None:
    await table.close()
    with pytest.raises(InvalidError) as refused:
        await table.get(P, "r")
    assert refused.value.kind == "invalid.closed"


# One operation: every kind, on every state of its row.


async def test_insert_adds_a_row(table: Table) -> None:
    await put(table, "r", values=SOME)
    assert (await get(table, "r")).values == SOME


async def test_insert_refuses_a_row_that_is_there(table: Table) -> None:
    await put(table, "r")
    with pytest.raises(RefusedError):
        await submit_one(table, Insert("r", {"other": 1}))


async def test_a_refused_insert_changes_nothing(table: Table) -> None:
    await put(table, "r")
    before = await get(table, "r")
    with pytest.raises(RefusedError):
        await submit_one(table, Insert("r", {"other": 1}))
    assert await get(table, "r") == before


async def test_a_row_may_have_no_values(table: Table) -> None:
    await put(table, "r", values={})
    assert (await get(table, "r")).values == {}


@each_change
@pytest.mark.parametrize("known", [True, False], ids=["former etag", "any etag"])
async def test_a_change_needs_its_row(table: Table, change: Change, known: bool) -> None:
    etag = await former_etag(table, "r") if known else ANY_ETAG
    with pytest.raises(RefusedError):
        await submit_one(table, change("missing", etag))


@each_change
async def test_a_change_refuses_another_etag(table: Table, change: Change) -> None:
    etag = await former_etag(table, "r")
    with pytest.raises(RefusedError):
        await submit_one(table, change("r", etag))


@each_change
async def test_a_refused_change_changes_nothing(table: Table, change: Change) -> None:
    etag = await former_etag(table, "r")
    before = await get(table, "r")
    with pytest.raises(RefusedError):
        await submit_one(table, change("r", etag))
    assert await get(table, "r") == before


AFTER: dict[str, Values | None] = {"replace": {"new": True}, "merge": {**SOME, "new": True}, "delete": None}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("known", [True, False], ids=["right etag", "any etag"])
async def test_a_change_is_made(table: Table, kind: str, known: bool) -> None:
    (etag,) = await put(table, "r")
    await submit_one(table, CHANGES[kind]("r", etag if known else ANY_ETAG))
    after = await table.get(P, "r")
    assert (after.values if after else None) == AFTER[kind]


async def test_a_merge_replaces_values_of_the_same_name(table: Table) -> None:
    await put(table, "r", values={"a": 1, "b": "two", "c": 3.0})
    await submit_one(table, Merge("r", {"a": "now text", "c": 4.0}))
    assert (await get(table, "r")).values == {"a": "now text", "b": "two", "c": 4.0}


async def test_a_merge_of_nothing_keeps_the_values(table: Table) -> None:
    await put(table, "r")
    await submit_one(table, Merge("r", {}))
    assert (await get(table, "r")).values == SOME


async def test_get_finds_nothing_in_another_partition(table: Table) -> None:
    await put(table, "r")
    assert await table.get("other", "r") is None


# Transactions.


async def test_one_answer_for_each_operation_in_order(table: Table) -> None:
    await put(table, "replaced", "merged", "deleted")
    operations: list[Operation] = [
        Delete("deleted"),
        Insert("new", SOME),
        Replace("replaced", SOME),
        Merge("merged", SOME),
    ]
    deleted, *others = await table.submit(P, operations)
    assert deleted == Written(None, None)
    assert [each.etag for each in others] == [(await get(table, row)).etag for row in ("new", "replaced", "merged")]


async def test_the_answer_has_the_time_that_a_reader_sees(table: Table) -> None:
    written = await submit_one(table, Insert("r", SOME))
    assert written.timestamp == (await get(table, "r")).timestamp


FAILING: dict[str, Operation] = {
    "insert": Insert("there", {}),
    "replace": Replace("missing", {}),
    "merge": Merge("missing", {}),
    "delete": Delete("missing"),
}


@pytest.mark.parametrize("kind", FAILING)
@pytest.mark.parametrize(("position", "size"), [(0, 3), (1, 3), (2, 3), (0, 100), (57, 100), (99, 100)])
async def test_a_refusal_names_the_failing_operation(table: Table, kind: str, position: int, size: int) -> None:
    await put(table, "there")
    operations: list[Operation] = [Insert(f"r{index}", SOME) for index in range(size)]
    operations[position] = FAILING[kind]
    with pytest.raises(RefusedError) as refused:
        await table.submit(P, operations)
    assert refused.value.index == position


@pytest.mark.parametrize("position", range(5))
async def test_a_refused_transaction_leaves_nothing_behind(table: Table, position: int) -> None:
    await put(table, "replaced", "merged", "deleted", "there")
    before = await read(table)
    operations: list[Operation] = [Insert("new", SOME), Replace("replaced", {}), Merge("merged", {}), Delete("deleted")]
    operations.insert(position, Insert("there", {}))
    with pytest.raises(RefusedError):
        await table.submit(P, operations)
    assert await read(table) == before


async def test_two_refused_operations_blame_the_first(table: Table) -> None:
    with pytest.raises(RefusedError) as refused:
        await table.submit(P, [Insert("a", {}), Delete("missing"), Insert("b", {}), Delete("missing too")])
    assert refused.value.index == 1


async def test_readers_see_whole_transactions(table: Table) -> None:
    pair = [f"{number:02}" for number in range(40)]
    await put(table, *pair, values={"n": 0})

    async def write() -> None:
        for n in range(1, 15):
            await table.submit(P, [Replace(row, {"n": n}) for row in pair])

    writing = asyncio.create_task(write())
    while not writing.done():
        assert len({entity.values["n"] for entity in await read(table)}) == 1
    await writing


async def test_one_of_forty_wins_a_compare_and_swap(table: Table) -> None:
    (etag,) = await put(table, "r")
    attempts = [table.submit(P, [Replace("r", {"winner": number}, etag)]) for number in range(40)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    winners = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, RefusedError)]
    assert [(await get(table, "r")).values["winner"]] == winners


async def test_one_of_forty_wins_an_insert(table: Table) -> None:
    attempts = [table.submit(P, [Insert("r", {"winner": number})]) for number in range(40)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    winners = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, RefusedError)]
    assert [(await get(table, "r")).values["winner"]] == winners


async def test_submits_at_the_same_time_do_not_disturb_each_other(table: Table) -> None:
    await asyncio.gather(*(put(table, f"{number:02}a", f"{number:02}b") for number in range(40)))
    assert await names(table) == [f"{number:02}{letter}" for number in range(40) for letter in "ab"]


async def test_a_cancelled_caller_harms_no_other(table: Table) -> None:
    calls = [asyncio.create_task(put(table, f"{number:02}")) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert {f"{number:02}" for number in range(1, 20, 2)} <= set(await names(table))


# Etags and timestamps.


async def test_an_etag_never_comes_back(table: Table) -> None:
    operations: list[Operation] = [
        Insert("r", SOME),
        Replace("r", SOME),
        Merge("r", {}),
        Replace("r", SOME),
        Delete("r"),
    ]
    etags = [(await submit_one(table, operation)).etag for _ in range(5) for operation in operations]
    known = [etag for etag in etags if etag is not None]
    assert (len(known), len(set(known))) == (20, 20)


@each_change
async def test_a_row_made_again_refuses_the_etag_of_the_former(table: Table, change: Change) -> None:
    (etag,) = await put(table, "r")
    await table.submit(P, [Delete("r")])
    await put(table, "r")
    with pytest.raises(RefusedError):
        await submit_one(table, change("r", etag))


async def test_get_and_query_give_the_same_entity(table: Table) -> None:
    await put(table, "r")
    assert await read(table) == [await get(table, "r")]


async def test_timestamps_are_microseconds_of_now(table: Table) -> None:
    await put(table, "r")
    assert abs((await get(table, "r")).timestamp - time() * 1e6) < 60e6


async def test_timestamps_never_run_backwards_within_a_partition(table: Table) -> None:
    for number in range(20):
        await put(table, f"{number:02}")
    stamps = [entity.timestamp for entity in await read(table)]
    assert stamps == sorted(stamps)


# Queries.

_ALPHABET = '!"$&(),-.09:;<=>@AZ^_az|~ ¡éßΩЖ中文퟿\ue000\uff5e￥�\uffff\U00010000😀\U0010ffff'


def by_utf16(key: str) -> bytes:
    """What Azure orders keys by."""
    return key.encode("utf-16-be")


def random_keys(seed: int, number: int) -> list[str]:
    chance = random.Random(seed)
    return list({"".join(chance.choices(_ALPHABET, k=chance.randint(1, 6))): None for _ in range(number)})


async def test_rows_come_in_order_of_utf16_units(table: Table) -> None:
    keys = random_keys(1, 3000)
    await put(table, *keys)
    assert await names(table, RowRange("", "\uffff" * 8)) == sorted(keys, key=by_utf16)


async def test_a_range_has_its_first_row_and_not_its_stop(table: Table) -> None:
    await put(table, "a", "b", "c", "d")
    assert await names(table, RowRange("b", "d")) == ["b", "c"]


async def test_ranges_follow_the_same_order(table: Table) -> None:
    keys = random_keys(2, 200)
    await put(table, *keys)
    chance = random.Random(2)
    for _ in range(30):
        first, stop = chance.choice(keys), chance.choice(keys)
        expected = [key for key in keys if by_utf16(first) <= by_utf16(key) < by_utf16(stop)]
        assert await names(table, RowRange(first, stop)) == sorted(expected, key=by_utf16)


@pytest.mark.parametrize("rows", [RowRange("x", "y"), RowRange("a", "a"), RowRange("b", "a"), RowRange("", "")])
async def test_an_empty_range_has_no_rows(table: Table, rows: RowRange) -> None:
    await put(table, "a")
    assert await names(table, rows) == []


async def test_a_query_stays_in_its_partition(table: Table) -> None:
    await put(table, "r", partition="p")
    await put(table, "s", partition="p2")
    await put(table, "t", partition="o")
    assert await names(table, partition="p") == ["r"]


async def test_a_query_goes_on_over_many_pages(table: Table) -> None:
    rows = [f"{number:04}" for number in range(2500)]
    await put(table, *rows, values={})
    pages = [[entity.row for entity in page] async for page in table.query(P, ALL)]
    assert [len(pages) >= 3, [row for page in pages for row in page]] == [True, rows]


@pytest.mark.parametrize("rows", [0, 1, 999, 1000, 1001, 2000])
async def test_behind_what_is_said_to_be_the_last_page_there_is_none(table: Table, rows: int) -> None:
    """So nobody has to ask."""
    names = [f"{number:04}" for number in range(rows)]
    await put(table, *names, values={})
    async with aclosing(table.query(P, ALL)) as query:
        read = list[str]()
        async for page in query:
            read += [entity.row for entity in page]
            if isinstance(page, LastPage):
                assert await anext(query, None) is None
    assert read == names


async def test_rows_that_stay_are_seen_once_whatever_others_do(table: Table) -> None:
    rows = [f"{number:04}" for number in range(1500)]
    await put(table, *rows, values={})
    seen: list[str] = []
    async for page in table.query(P, ALL):
        seen += [entity.row for entity in page]
        if len(seen) < 1500:  # between two pages: remove the last that was read, and add rows on both sides
            await table.submit(P, [Delete(seen[-1]), Insert("0000+", {}), Insert("1499+", {})])
    assert [row for row in seen if not row.endswith("+")] == rows


async def test_a_query_may_be_left_in_the_middle(table: Table) -> None:
    await put(table, *(f"{number:04}" for number in range(1100)), values={})
    pages = table.query(P, ALL)
    async with aclosing(pages):
        await anext(pages)
    assert len(await names(table)) == 1100


async def test_select_brings_the_values_asked_for(table: Table) -> None:
    await put(table, "r", values={"a": 1, "b": "two", "c": 3.0})
    (entity,) = await read(table, select=["a", "c", "missing"])
    assert entity.values in ({"a": 1, "c": 3.0}, {"a": 1, "b": "two", "c": 3.0})


@pytest.mark.parametrize("select", [[], ["a"], ["missing"]])
async def test_select_keeps_row_etag_and_timestamp(table: Table, select: list[str]) -> None:
    await put(table, "r")
    (chosen,), (whole,) = await read(table, select=select), await read(table)
    assert (chosen.row, chosen.etag, chosen.timestamp) == (whole.row, whole.etag, whole.timestamp)


# Values.

texts = st.text(max_size=40)
numbers = st.integers(INT64_MIN, INT64_MAX) | st.floats(allow_nan=False, allow_infinity=False)
literals: st.SearchStrategy[Value] = st.booleans() | numbers | texts
columns = st.sampled_from(["m_a", "m_b", "m_c"])


def exact(values: Values) -> dict[str, tuple[type, Value]]:
    return {name: (type(value), value) for name, value in values.items()}


@few_examples
@given(
    st.dictionaries(st.from_regex(r"[a-z_][a-zA-Z0-9_]{0,8}", fullmatch=True).map("m_{}".format), literals, max_size=8)
)
@example({"a": 2**53 + 1, "b": INT64_MIN, "c": INT64_MAX, "d": 0, "e": 2**31, "f": -(2**31) - 1})
@example({"a": 5.0, "b": 5e-324, "c": 1.7976931348623157e308, "d": -0.0, "e": 0.1, "f": 2.0**53, "g": 1e16, "h": 1e22})
@example({"a": True, "b": False, "c": 1, "d": 1.0, "e": "1", "f": "true"})
@example(
    {"a": "", "b": " ", "c": "'\"\\", "d": "\r\n\t", "e": "é😀\u2028\ufffe", "f": "2026-01-01T00:00:00Z", "g": "a\0b"}
)
@example({"a": "x" * 32_768, "é": "a name", "x" * 255: 1})
async def test_values_keep_type_and_value(table: Table, values: Values) -> None:
    partition = next(fresh_partitions)
    await put(table, "r", partition=partition, values=values)
    assert exact((await get(table, "r", partition=partition)).values) == exact(values)


@pytest.mark.parametrize(
    "key", ["", "a'b", "it''s", 'a"b', "a%b", "a%2Fb", "a+b", "a b ", "a&b", "..", "(a,b)", "é中😀"]
)
async def test_keys_may_be_any_text_that_azure_takes(table: Table, key: str) -> None:
    await table.submit(key, [Insert(key, SOME)])
    await table.submit(key, [Merge(key, {"c": 1})])
    assert (await get(table, key, partition=key)).values == {**SOME, "c": 1}


# Limits: refused before the wire. These tables do not exist, so whatever reaches one is a NotFoundError instead.


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        ([], InvalidError),
        ([Insert(f"{number}", {}) for number in range(101)], TooLargeError),
        ([Insert("same", {}), Delete("same")], InvalidError),
        ([Insert("r" * 513, {})], TooLargeError),
        ([Insert("a/b", {})], InvalidError),
        ([Insert("r", {f"n{number}": 1 for number in range(253)})], TooLargeError),
        ([Insert("r", {"no name": 1})], InvalidError),
        ([Insert("r", {"Timestamp": 1})], InvalidError),
        ([Insert("r", {"a": "x" * 32_769})], TooLargeError),
        ([Insert("r", {"a": INT64_MAX + 1})], InvalidError),
        ([Insert("r", {"a": float("nan")})], InvalidError),
        ([Insert("r", {f"n{number}": "x" * 32_000 for number in range(20)})], TooLargeError),
        ([Insert(f"{row}", {f"n{number}": "x" * 30_000 for number in range(16)}) for row in range(8)], TooLargeError),
        ([Delete("r", "")], InvalidError),
        ([Delete("r", "e\r\nHost: evil")], InvalidError),
    ],
    ids=[
        "no operation", "101 operations", "a row twice", "513 units", "slash", "253 properties", "not an identifier",
        "reserved name", "32,769 units", "2^63", "NaN", "1 MiB", "3.5 MiB", "no etag", "etag of two lines",
    ],
)  # fmt: skip
async def test_a_batch_over_a_limit_is_not_sent(
    absent: Table, operations: list[Operation], error: type[InvalidError]
) -> None:
    with pytest.raises(error):
        await absent.submit(P, operations)


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "\0", "\x7f", "\ud800", "x" * 513, "😀" * 257])
async def test_a_wrong_key_is_not_sent(absent: Table, key: str) -> None:
    with pytest.raises(InvalidError):
        await absent.get(P, key)


@pytest.mark.parametrize("rows", [RowRange("a/b", "c"), RowRange("a", "\ud800"), RowRange("", "x" * 1000)])
async def test_a_wrong_range_is_not_sent(absent: Table, rows: RowRange) -> None:
    with pytest.raises(InvalidError):
        await read(absent, rows)


# Conditions.

OPERATORS: Sequence[Operator] = ("==", "!=", "<", "<=", ">", ">=")
likely_numbers = [0, 1, -1, 2**53, 2**53 + 1, INT64_MAX, 0.0, 1.0, 0.1, -0.5, 2.0**53, 5e-324, 1e300, -1.79e308]
likely: st.SearchStrategy[Value] = st.sampled_from([*likely_numbers, True, False, "", "a", "1", "é", "\uff5e", "😀"])
comparisons = st.builds(Comparison, columns, st.sampled_from(OPERATORS), likely | literals)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda parts: (
        st.builds(Not, parts)
        | st.builds(All, st.lists(parts, min_size=1, max_size=3).map(tuple))
        | st.builds(Any, st.lists(parts, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
rows_of_values = st.lists(st.dictionaries(columns, likely | literals), min_size=1, max_size=20)


@few_examples
@given(rows_of_values, st.lists(conditions, min_size=5, max_size=5))
async def test_a_condition_loses_no_row(table: Table, rows: list[Values], wanted: list[Condition]) -> None:
    """What is pushed down may keep too many rows; evaluated again, exactly the model's are left."""
    partition = next(fresh_partitions)
    await table.submit(partition, [Insert(f"{number:02}", values) for number, values in enumerate(rows)])
    for condition in wanted:
        expected = [f"{number:02}" for number, values in enumerate(rows) if condition.holds(values)]
        found = await read(table, partition=partition, where=condition)
        assert [entity.row for entity in found if condition.holds(entity.values)] == expected


async def test_a_condition_spares_the_reader_rows(table: Table) -> None:
    await table.submit(P, [Insert(f"{number:02}", {"m_n": number, "m_t": f"{number:02}"}) for number in range(50)])
    where = All((Comparison("m_n", ">", 20), Comparison("m_t", "==", "42")))
    assert [entity.row for entity in await read(table, where=where)] == ["42"]


INJECTIONS = [
    "x' or PartitionKey eq 'y",
    "' or '1' eq '1",
    "x'' or ''x'' eq ''x",
    "'",
    "''",
    "'; DROP TABLE entities; --",
    '" OR 1=1 --',
    "%27 or 1 eq 1",
    "\\' or true or \\'",
    "x\\",
    "$.m_t",
    "ＳＥＬＥＣＴ＇é😀",
    "a\r\nb",
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_a_literal_is_never_more_than_a_literal(table: Table, text: str) -> None:
    await table.submit(P, [Insert(f"{number:02}", {"m_t": each}) for number, each in enumerate([*INJECTIONS, "x", ""])])
    await put(table, "foreign", partition="y", values={"m_t": text})
    where = Comparison("m_t", "==", text)
    found = [entity.values["m_t"] for entity in await read(table, where=where) if where.holds(entity.values)]
    assert found == [text]


@pytest.mark.parametrize("text", ["x' or PartitionKey eq 'y", "' or '1' eq '1", "x'' or ''x'' eq ''x", "%27 or 1 eq 1"])
async def test_a_key_is_never_more_than_a_key(table: Table, text: str) -> None:
    await put(table, "foreign", partition="y")
    assert await names(table, RowRange(text, "\uffff"), partition=text) == []


@pytest.mark.parametrize("column", ["a eq 1 or b", "m_a'", "m_a) or (1", "m-a", "", "$.a"])
def test_a_column_is_never_more_than_a_name(column: str) -> None:
    with pytest.raises(InvalidError):
        Comparison(column, "==", 1)


def test_these_literals_are_sorted_out_by_type_alone() -> None:
    """The model itself: a comparison of other types holds for no operator."""
    values: list[Value] = [True, "1", 1, True, 1.0, "1"]
    pairs = list(pairwise(values))
    assert not any(Comparison("a", operator, one).holds({"a": other}) for one, other in pairs for operator in OPERATORS)
