"""Conditions: what holds for which row, and how they are put together."""

import operator
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InvalidError
from catalog.filters import DEPTH_MAX, All, Any, Comparison, Condition, Literal_, Not, Operator, Row

OPERATORS: list[Operator] = ["==", "!=", "<", "<=", ">", ">="]
literals: st.SearchStrategy[Literal_] = st.sampled_from([0, 1, -1, 0.5, 1.0, True, False, "", "a", "b", "1", "é😀"])
rows = st.dictionaries(st.sampled_from(["a", "b"]), literals)
comparisons = st.builds(Comparison, st.sampled_from(["a", "b"]), st.sampled_from(OPERATORS), literals)
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
