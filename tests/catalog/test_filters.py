"""Conditions: what holds for which row, and how they are put together."""

import operator
import pickle
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InvalidError
from catalog.filters import (
    DEPTH_MAX,
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

OPERATORS: list[Operator] = ["==", "!=", "<", "<=", ">", ">="]
literals: st.SearchStrategy[Literal_] = st.sampled_from([0, 1, -1, 0.5, 1.0, True, False, "", "a", "b", "1", "é😀"])
rows = st.dictionaries(st.sampled_from(["a", "b"]), literals)
names = st.sampled_from(["a", "b"])
comparisons = (
    st.builds(Comparison, names, st.sampled_from(OPERATORS), literals)
    | st.builds(StartsWith, names, st.sampled_from(["", "a"]))
    | st.builds(In, names, st.lists(literals))
    | st.builds(Exists, st.tuples(names))
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons, lambda parts: st.builds(Not, parts) | st.builds(lambda x, y: x & y, parts, parts), max_leaves=5
)


# What holds.


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("==", "b"), ("!=", "ac"), ("<", "a"), ("<=", "ab"), (">", "c"), (">=", "bc")],
)
@pytest.mark.parametrize(
    "values", [("a", "b", "c"), (1, 2, 3), (1, 2.0, 3), (0.5, 1, 1.5), ("", "0", "1"), ("Z", "a", "é")]
)
def test_an_operator_compares_values_of_one_type(
    operator: Operator, expected: str, values: tuple[Literal_, Literal_, Literal_]
) -> None:
    condition = Comparison("x", operator, values[1])
    assert "".join(name for name, value in zip("abc", values, strict=True) if condition.holds({"x": value})) == expected


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("one", "other"), [(1, "1"), (1, True), (0, False), (1.0, True), ("True", True), (0, "")])
def test_values_of_two_types_do_not_compare(operator: Operator, one: Literal_, other: Literal_) -> None:
    held = [Comparison("x", operator, one).holds({"x": other}), Comparison("x", operator, other).holds({"x": one})]
    assert held == [False, False]


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_comparison_holds_for_a_missing_column(operator: Operator) -> None:
    assert not Comparison("x", operator, 1).holds({"y": 1})


def test_whole_and_floating_numbers_compare_exactly() -> None:
    assert Comparison("x", ">", float(2**53)).holds({"x": 2**53 + 1})
    assert not In("x", (float(2**53),)).holds({"x": 2**53 + 1})
    assert In("x", (5.0,)).holds({"x": 5})


@pytest.mark.parametrize(
    ("condition", "holding", "failing"),
    [
        (StartsWith("x", "a"), ["a", "ab"], ["", "ba", 1, True]),
        (StartsWith("x", ""), ["", "a"], [0, False]),
        (Contains("x", "a"), ["a", "bab"], ["", "b", 1]),
        (Contains("x", ""), ["", "a"], [0]),
        (In("x", ("a", 1, True)), ["a", 1, 1.0, True], ["b", 0, False, "1"]),
        (In("x", (1,)), [1], [True]),
        (In("x", (True,)), [True], [1]),
        (In("x", ()), [], ["", 0, False]),
        (Exists(("x", "y")), ["", 0, False], []),
        (Exists(("y",)), [], ["", 1]),
    ],
    ids=str,
)
def test_what_else_holds(condition: Condition, holding: list[Literal_], failing: list[Literal_]) -> None:
    assert [value for value in holding if not condition.holds({"x": value})] == []
    assert [value for value in failing if condition.holds({"x": value})] == []
    assert not condition.holds({})


def test_a_glob_is_about_the_path() -> None:
    matches = Matches("2026/**/*.csv")
    assert [matches.holds({"path": path}) for path in ("2026/a.csv", "2026/b/a.csv", "a.csv")] == [True, True, False]
    assert not matches.holds({"m_path": "2026/a.csv"})
    assert matches.glob.literal == "2026/"


@pytest.mark.parametrize(
    ("row", "held"),
    [
        ({"digest": "d"}, True),
        ({"digest": "", "learned_digest": "d"}, True),
        ({"digest": "e", "learned_digest": "d"}, False),
        ({"digest": ""}, False),
        ({}, False),
    ],
)
def test_a_learned_digest_is_the_digest(row: Row, held: bool) -> None:
    conditions = (
        Comparison("digest", "==", "d"),
        StartsWith("digest", "d"),
        Contains("digest", "d"),
        In("digest", ("d",)),
    )
    assert [condition.holds(row) for condition in conditions] == [held] * 4
    assert all(condition.reads == {"digest", "learned_digest"} for condition in conditions)


def test_a_digest_that_nobody_knows_is_empty_text() -> None:
    assert Comparison("digest", "==", "").holds({"digest": ""})
    assert not Comparison("digest", "==", "").holds({"digest": "", "learned_digest": "d"})


def test_a_condition_says_what_it_reads() -> None:
    condition = ~(StartsWith("path", "a") & Comparison("size", ">", 1)) | Exists(("m_a", "t_a")) | Matches("a*")
    assert condition.reads == {"path", "size", "m_a", "t_a"}


@given(conditions, rows)
def test_not_is_the_plain_complement(condition: Condition, row: Row) -> None:
    assert (~condition).holds(row) is not condition.holds(row)


@given(conditions, conditions, rows)
def test_and_holds_where_both_do(one: Condition, other: Condition, row: Row) -> None:
    assert (one & other).holds(row) is (one.holds(row) and other.holds(row))


@given(conditions, conditions, rows)
def test_or_holds_where_either_does(one: Condition, other: Condition, row: Row) -> None:
    assert (one | other).holds(row) is (one.holds(row) or other.holds(row))


# How they are built.

A, B, C = (Comparison(name, "==", 1) for name in "abc")


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (A & B & C, All((A, B, C))),
        (A & (B & C), All((A, B, C))),
        (A | B | C, Any((A, B, C))),
        ((A & B) | C, Any((All((A, B)), C))),
        (~~A, A),
        (~(A & B), Not(All((A, B)))),
    ],
)
def test_groups_of_one_kind_are_flat(built: Condition, expected: Condition) -> None:
    assert built == expected


def test_a_long_chain_is_not_a_deep_one() -> None:
    assert reduce(operator.and_, [A] * 1000).depth == 2


def nested(depth: int) -> Condition:
    condition: Condition = A
    while condition.depth < depth:
        condition = (condition | B) if condition.depth % 2 else (condition & B)
    return condition


def test_conditions_may_be_nested_so_deep() -> None:
    assert nested(DEPTH_MAX).depth == DEPTH_MAX


def test_conditions_may_not_be_nested_deeper() -> None:
    with pytest.raises(InvalidError):
        nested(DEPTH_MAX + 1)


def test_conditions_can_be_hashed_and_compared() -> None:
    assert len({A & B, A & B, A | B}) == 2


def test_true_is_another_literal_than_one() -> None:
    assert Comparison("a", "==", literal=True) != Comparison("a", "==", 1)
    assert Comparison("a", "==", 1) == Comparison("a", "==", 1.0)


def test_lists_with_the_same_values_are_equal() -> None:
    assert In("a", ("b", 2, "a", 1, 2, True)) == In("a", (True, 1, 2, "a", "b"))
    assert In("a", (1,)) != In("a", (2,))
    assert In("a", (1,)) != In("a", (True,))
    assert In("a", (2, 1)) != In("a", (2, True))
    assert In("a", (1,)) == In("a", (1.0,))


def test_a_condition_survives_pickling() -> None:
    """For it is what a pool of processes is given."""
    condition = (A & ~Matches("a/*")) | In("a", (1, "b"))
    assert pickle.loads(pickle.dumps(condition)) == condition  # noqa: S301 — written here


def test_a_time_in_no_calendar_has_a_text() -> None:
    """Which says what it is, though nobody can have given it as a datetime."""
    assert str(Comparison("created", "<", 2**63 - 1)) == "created < 9223372036854775807"
