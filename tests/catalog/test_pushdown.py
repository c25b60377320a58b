"""Push-down loses no row: against services that are stricter or looser than Azure, and on SQLite's own JSON."""

import json
import math
import operator
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any as Anything

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.errors import InvalidError
from catalog.fields import F
from catalog.filters import (
    All,
    Any,
    Comparison,
    Condition,
    Contains,
    Exists,
    In,
    Matches,
    Not,
    Operator,
    Row,
    StartsWith,
)
from catalog.literals import Literal_
from catalog.pushdown import Service, left_open, odata, odata_literal, pushable, sql

AZURE = Service("odata", comparisons_max=12, strict_types=True)
AZURITE = Service("odata", comparisons_max=12)
SQLITE = Service("sql", comparisons_max=200)

OPERATORS: list[Operator] = ["==", "!=", "<", "<=", ">", ">="]
COMPARE: Mapping[str, Callable[[Anything, Anything], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# Rows as heads are: the built-in fields are there, metadata may be anything.
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
likely_numbers = st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, (1 << 63) - 1, 0.1, -0.5, 1.0, 2.0**53, 5e-324, 1.79e308])
numbers = likely_numbers | INT64 | st.floats(allow_nan=False, allow_infinity=False)
texts = st.sampled_from(
    ["", "a", "b", "1", "é", "a~", "a\x7fb", "a\xa0", "\ud7ff", "\uffff", "😀", "a😀b", "a\0b", "it's"]
) | st.text(max_size=3)
values: st.SearchStrategy[Literal_] = st.booleans() | numbers | texts
heads = st.fixed_dictionaries(
    {"size": INT64, "path": texts, "digest": texts},
    optional={"m_a": values, "m_b": values, "t_c": INT64, "md5": texts, "learned_digest": texts},
)
columns = st.sampled_from(["path", "md5", "digest", "m_a", "m_b", "size"])
comparisons = (
    st.builds(Comparison, st.sampled_from(["m_a", "m_b"]), st.sampled_from(OPERATORS), values)
    | st.builds(Comparison, st.sampled_from(["size", "t_c"]), st.sampled_from(OPERATORS), numbers)
    | st.builds(Comparison, st.sampled_from(["path", "md5", "digest"]), st.sampled_from(OPERATORS), texts)
    | st.builds(StartsWith, columns, texts)
    | st.builds(Contains, columns, texts)
    | st.builds(In, columns, st.lists(values, max_size=4) | st.lists(texts, min_size=10, max_size=20))
    | st.builds(Matches, st.sampled_from(["a*", "**", "a*b", "[ab]", "é*", "a~*", "a\ud7ff*", "a😀*", "?"]))
    | st.builds(Exists, st.sampled_from([("m_a", "t_a"), ("md5",), ("size",)]))
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda parts: (
        st.builds(Not, parts)
        | st.builds(All, st.lists(parts, min_size=1, max_size=3).map(tuple))
        | st.builds(Any, st.lists(parts, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=10,
)


def decides(condition: Condition, row: Row, compare: Callable[[Comparison, Literal_], bool]) -> bool:
    """What a service makes of a pushed condition, by how it makes a comparison with a value that is there."""
    match condition:
        case Comparison(column):
            return column in row and compare(condition, row[column])
        case All(parts):
            return all(decides(part, row, compare) for part in parts)
        case Any(parts):
            return any(decides(part, row, compare) for part in parts)
    raise AssertionError(condition)


def strictly(comparison: Comparison, value: Literal_) -> bool:
    """Azure: like with like, text by UTF-16 unit."""
    if type(value) is not type(comparison.literal):
        return False
    sides = [side.encode("utf-16-be") if isinstance(side, str) else side for side in (value, comparison.literal)]
    return COMPARE[comparison.operator](*sides)


def nearly(comparison: Comparison, value: Literal_) -> bool:
    """Azurite and SQLite: numbers of either kind compare, and floating ones are read only nearly right."""
    literal = comparison.literal
    if isinstance(value, str) is not isinstance(literal, str):
        return False
    if isinstance(value, str) or isinstance(literal, int):
        return COMPARE[comparison.operator](value, literal)
    return COMPARE[comparison.operator](math.nextafter(float(value), 0.0), literal)


@given(conditions, heads)
@example(Comparison("m_a", "==", 2**53 + 1), {"m_a": 2**53 + 1})
@example(Not(StartsWith("path", "a~")), {"path": "a\x7fb"})
@example(Not(StartsWith("path", "a😀")), {"path": "a"})
@example(StartsWith("path", "\ud7ff"), {"path": "\ud7ff😀"})
@example(Comparison("digest", "==", "a"), {"digest": "", "learned_digest": "a"})
@example(Not(Comparison("digest", "==", "")), {"digest": "", "learned_digest": "a"})
@example(Comparison("m_a", ">", 1.79e308), {"m_a": 1.7976931348623157e308})
@example(Comparison("m_a", ">=", "😀"), {"m_a": "\uffff"})
@example(Comparison("m_a", ">=", "\uffff"), {"m_a": "😀"})
def test_a_strict_service_loses_no_row(condition: Condition, head: Row) -> None:
    pushed = pushable(condition, replace(AZURE, text_max=3000))
    assert not condition.holds(head) or pushed is None or decides(pushed, head, strictly)


@given(conditions, heads)
@example(Comparison("m_a", "==", 5e-324), {"m_a": 5e-324})
@example(Comparison("m_a", "<=", 1.7976931348623157e308), {"m_a": 1.7976931348623157e308})
def test_a_loose_service_loses_no_row(condition: Condition, head: Row) -> None:
    pushed = pushable(condition, AZURITE)
    assert not condition.holds(head) or pushed is None or decides(pushed, head, nearly)


@given(conditions, heads)
def test_sqlite_loses_no_row(condition: Condition, head: Row) -> None:
    pushed = pushable(condition, SQLITE)
    if pushed is None or not condition.holds(head) or "\\u0000" in json.dumps(head):  # see sqlite_rows for NUL
        return
    text, parameters = sql(pushed, "body")
    with closing(sqlite3.connect(":memory:")) as connection:
        row = "SELECT ? AS body"
        found = connection.execute(f"SELECT 1 FROM ({row}) WHERE {text}", [json.dumps(head), *parameters])  # noqa: S608
        assert found.fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (F.size > 5, "size gt 5L"),
        (~(F.size > 5), "size le 5L"),
        (~(F.path == "a"), "path ne 'a'"),
        (~((F.size > 5) | (F.path == "a")), "(size le 5L and path ne 'a')"),
        (~((F.size > 5) & (F.path == "a")), "(size le 5L or path ne 'a')"),
        (F.meta["a"] == "b", "m_a eq 'b'"),
        (F.meta["a"] == 5, "((m_a ge 5L or m_a ge 4.99999999999995) and (m_a le 5L or m_a le 5.00000000000005))"),
        (F.meta["a"] < 2.5, "((m_a le 3L or m_a le 2.500000000000025))"),
        (F.meta["a"] == True, "m_a eq true"),  # noqa: E712
        ((F.size > 5) & ~(F.meta["a"] == "b"), "(size gt 5L)"),
        (F.path.startswith("2026/"), "(path ge '2026/' and path lt '20260')"),
        (~F.path.startswith("2026/"), "(path lt '2026/' or path ge '20260')"),
        (F.path.startswith("a~"), "(path ge 'a~' and path lt 'a\xa0')"),
        (F.path.startswith("a\ud7ff"), "path ge 'a\ud7ff'"),
        (F.path.startswith("a😀b"), "(path ge 'a' and path lt 'b')"),
        (F.path.glob("2026/*.csv"), "(path ge '2026/' and path lt '20260')"),
        (F.path.glob("2026/a.csv"), "path eq '2026/a.csv'"),
        (F.size.isin([3, 5]), "(size eq 3L or size eq 5L)"),
        (~F.size.isin([3, 5]), "(size ne 3L and size ne 5L)"),
        (F.size.isin(range(100)), "(size ge 0L and size le 99L)"),
        (F.size.between(3, 5), "(size ge 3L and size le 5L)"),
        (F.digest == "d", "(digest eq 'd' or learned_digest eq 'd')"),
        (F.md5.exists() & (F.size > 5), "(size gt 5L)"),
        (F.path.contains("x") & (F.size > 5), "(size gt 5L)"),
    ],
)
def test_what_is_pushed_down(condition: Condition, expected: str) -> None:
    pushed = pushable(condition, AZURE)
    assert (None if pushed is None else odata(pushed)) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (F.meta["a"].contains("b"), ("instr(json_extract(body, ?), ?) > 0", ["$.m_a", "b"])),
        (~F.path.contains("b"), ("instr(json_extract(body, ?), ?) = 0", ["$.path", "b"])),
        (F.md5.exists(), ("(json_type(body, ?) IS NOT NULL)", ["$.md5"])),
        (~F.md5.exists(), ("(json_type(body, ?) IS NULL)", ["$.md5"])),
        (
            F.meta["a"].exists(),
            ("(json_type(body, ?) IS NOT NULL OR json_type(body, ?) IS NOT NULL)", ["$.m_a", "$.t_a"]),
        ),
        (
            ~F.meta["a"].exists(),
            ("(json_type(body, ?) IS NULL AND json_type(body, ?) IS NULL)", ["$.m_a", "$.t_a"]),
        ),
    ],
)
def test_what_sqlite_can_decide_beside(condition: Condition, expected: tuple[str, list[Literal_]]) -> None:
    pushed = pushable(condition, SQLITE)
    assert pushed is not None
    assert sql(pushed, "body") == expected


@given(conditions, heads)
def test_what_is_not_left_open_is_decided(condition: Condition, head: Row) -> None:
    """Where a service decides all, it finds what fits and nothing else."""
    pushed = pushable(condition, AZURE)
    if left_open(condition, AZURE) is None and pushed is not None:
        assert decides(pushed, head, strictly) is condition.holds(head)


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        (F.size > 5, None),
        (~(F.size > 5), None),
        (F.meta["a"] == "b", None),
        (F.meta["a"] == 5, F.meta["a"] == 5),
        (F.digest == "d", F.digest == "d"),
        (F.path.startswith("a/"), None),
        (F.path.startswith("a😀"), F.path.startswith("a😀")),
        (F.path.glob("a/*"), F.path.glob("a/*")),
        (F.size.isin([1, 2]), None),
        (F.size.isin(range(50)), F.size.isin(range(50))),
        (F.path.contains("a"), F.path.contains("a")),
        ((F.size > 5) & F.path.contains("a"), F.path.contains("a")),
        ((F.size > 5) & F.path.contains("a") & ~F.path.glob("b*"), F.path.contains("a") & ~F.path.glob("b*")),
        ((F.size > 5) | (F.meta["a"] == "b"), None),
        ((F.size > 5) | F.path.contains("a"), (F.size > 5) | F.path.contains("a")),
    ],
)
def test_what_is_left_open(condition: Condition, left: Condition | None) -> None:
    assert left_open(condition, AZURE) == left


def test_no_condition_leaves_nothing_open() -> None:
    assert left_open(None, AZURE) is None


@pytest.mark.parametrize(
    "condition",
    [
        ~(F.meta["a"] == "b"),  # holds where there is no m_a
        ~(F.md5 == "b"),
        F.meta["a"] != 5,  # holds for most
        F.meta["a"] > "\uffff",  # services and Python sort differently here
        F.meta["a"] == "a\nb",  # no url should hold it
        (F.size > 5) | (F.meta["a"] != 5),
        Not(Comparison("size", ">", "text")),
        Comparison("m_a", ">", True),
        F.meta["a"].exists(),
        F.size.exists(),
        F.path.contains("a"),
        F.path.startswith(""),
        F.path.startswith("😀"),
        F.path.glob("**"),
        ~F.path.glob("a/*"),
        ~F.path.startswith("a~"),
        ~F.meta["a"].startswith("b"),
        F.meta["a"].isin([]),
        F.meta["a"].isin([*"abcdefghijkl", 5]),
    ],
)
def test_what_is_not_pushed_down(condition: Condition) -> None:
    assert pushable(condition, AZURE) is None


def test_no_condition_is_none() -> None:
    assert pushable(None, AZURE) is None


def test_what_is_too_much_loses_its_last_parts() -> None:
    first, second, third = (Comparison(f"m_{name}", "==", "x") for name in "abc")
    assert pushable(first & second & third, replace(AZURE, comparisons_max=2)) == All((first, second))


def test_a_part_that_is_too_much_does_not_take_what_fits_along() -> None:
    condition = F.meta["a"].isin([*"abc", 5]) & (F.size > 5)
    assert pushable(condition, replace(AZURE, comparisons_max=2)) == All((F.size > 5,))


def test_alternatives_that_are_too_many_are_not_pushed() -> None:
    condition = Any(tuple(Comparison("m_a", "==", f"{number}") for number in range(13)))
    assert pushable(condition, AZURE) is None


def test_text_is_measured_as_a_url_holds_it() -> None:
    """Nine characters for a Chinese one."""
    condition = F.meta["a"] == "中" * 100
    assert [pushable(condition, replace(AZURE, text_max=room)) for room in (900, 1000)] == [
        None,
        condition,
    ]


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (5, "5L"),
        (-5, "-5L"),
        (5.0, "5.0"),
        (1e16, "10000000000000000.0"),
        (1e-7, "0.0000001"),
        (-0.0, "-0.0"),
        (True, "true"),
        (False, "false"),
        ("", "''"),
        ("it's", "'it''s'"),
        ("''", "'" * 6),
        ("é😀", "'é😀'"),
    ],
)
def test_a_literal_says_its_type(literal: Literal_, expected: str) -> None:
    assert odata_literal(literal) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_floating_literal_is_exact_and_has_no_exponent(number: float) -> None:
    text = odata_literal(number)
    assert (float(text), "e" in text.lower(), "." in text) == (number, False, True)


@pytest.mark.parametrize("say", [odata, lambda condition: sql(condition, "body")])
def test_what_is_not_pushable_has_no_words(say: Callable[[Condition], object]) -> None:
    with pytest.raises(InvalidError):
        say(Not(F.size > 5))
