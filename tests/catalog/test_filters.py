"""Conditions: what holds for which row, how people spell them, and what is refused."""

import operator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InvalidError
from catalog.filters import DEPTH_MAX, All, Any, Comparison, Condition, F, Literal_, Not, Operator, Row

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_US = 1_767_268_800_000_000

OPERATORS: list[Operator] = ["==", "!=", "<", "<=", ">", ">="]
literals: st.SearchStrategy[Literal_] = st.sampled_from([0, 1, -1, 0.5, 1.0, True, False, "", "a", "b", "1", "é😀"])
rows = st.dictionaries(st.sampled_from(["a", "b"]), literals)
comparisons = st.builds(Comparison, st.sampled_from(["a", "b"]), st.sampled_from(OPERATORS), literals)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons, lambda parts: st.builds(Not, parts) | st.builds(lambda x, y: x & y, parts, parts), max_leaves=5
)


def test_f_cannot_be_changed() -> None:
    for name in ("size", "meta", "nonsense"):
        with pytest.raises(InvalidError, match="not set"):
            setattr(F, name, 1)
    assert isinstance(F.size > 1, Condition)


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


def test_a_condition_reads_as_it_is_written() -> None:
    assert str(~(F.size > 5) & (F.meta["owner"] == 'o"ps')) == r'(~size > 5 & m_owner == "o\"ps")'


# How people spell them.


@pytest.mark.parametrize(
    ("spelt", "expected"),
    [
        (F.size > 1, Comparison("size", ">", 1)),
        (F.size >= 1e6, Comparison("size", ">=", 1_000_000)),
        (F.path == "a/b", Comparison("path", "==", "a/b")),
        (F.etag != "01H", Comparison("op", "!=", "01H")),
        (F.version <= 3, Comparison("version", "<=", 3)),
        (F.created < NOON, Comparison("created", "<", NOON_US)),
        (F.created < NOON.astimezone(timezone(timedelta(hours=5))), Comparison("created", "<", NOON_US)),
        (F.meta["owner"] == "ops", Comparison("m_owner", "==", "ops")),
        (F.meta["n"] == 5.0, Comparison("m_n", "==", 5.0)),
        (F.meta["ok"] == True, Comparison("m_ok", "==", True)),  # noqa: E712 — that is how it is spelt
        (F.meta["due"] > NOON, Comparison("t_due", ">", NOON_US)),
    ],
)
def test_a_field_and_a_literal_make_a_comparison(spelt: Condition, expected: Condition) -> None:
    assert spelt == expected


class NoZone(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, _time: datetime | None) -> None: ...
    def tzname(self, _time: datetime | None) -> None: ...
    def dst(self, _time: datetime | None) -> None: ...


def spell(text: str) -> object:
    """What somebody typed."""
    names = {"F": F, "Comparison": Comparison, "datetime": datetime, "NOON": NOON, "NoZone": NoZone}
    return eval(text, names)  # noqa: S307 — written here


@pytest.mark.parametrize(
    "text",
    [
        "F.nothing",
        "F.Size",
        "F.meta['no identifier']",
        "F.meta[\"a' or 'b\"]",
        "F.meta['']",
        "F.meta[1]",
        "F.size == '5'",
        "F.size == 5.5",
        "F.size == True",
        "F.size == None",
        "F.size == 2**63",
        "F.size > -(10**400)",
        "F.size > 1e400",
        "F.path == 5",
        "F.path == b'a'",
        r"F.path == '\ud800'",
        "F.created > 5",
        "F.created > datetime(2026, 1, 1)",
        "F.created > datetime(2026, 1, 1, tzinfo=NoZone())",
        "F.created > NOON.date()",
        "F.meta['a'] == None",
        "F.meta['a'] == [1]",
        "F.meta['a'] == F.meta['b']",
        "F.meta['a'] == float('nan')",
        "F.meta['a'] == -1e400",
        "F.meta['a'] == 2**63",
        r"F.meta['a'] == '\udfff'",
        "F.meta['a'] > True",
        "F.meta['a'] == datetime(2026, 1, 1)",
        "F.size > 1 and F.size < 5",
        "F.size > 1 or F.size < 5",
        "not F.size > 1",
        "1 < F.size < 5",
        "F.size in (1, 2)",
        "F.size > 1 & F.version == 2",
        "(F.size > 1) & F.version",
        "(F.size > 1) | True",
        "Comparison('a b', '==', 1)",
        "Comparison('a', '=', 1)",
        "Comparison('a', '==', b'1')",
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        spell(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("F.owner", "use meta[...] or one of path, version"),
        ("F.size == '5'", "size is compared with a whole number"),
        ("F.size == 2**63", "size cannot be compared with 9223372036854775808, which does not fit into 64 bits"),
        ("F.meta['a'] == None", "but with text, a number, a truth value or a datetime"),
        ("F.created > datetime(2026, 1, 1)", "a datetime needs a time zone"),
        ("F.size > 1 and F.size < 5", "combine conditions with & | ~"),
        ("F.size > 1 & F.version == 2", "missing parentheses"),
        ("(F.size > 1) & F.version", "missing parentheses"),
    ],
)
def test_a_refusal_says_what_to_do(text: str, advice: str) -> None:
    with pytest.raises(InvalidError) as refused:
        spell(text)
    assert advice in str(refused.value)


def test_tools_may_ask_f_for_anything() -> None:
    assert not hasattr(F, "__wrapped__")
