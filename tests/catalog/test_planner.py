"""No plan loses a file: whatever satisfies a condition stands in the ranges that are read for it. And which plan."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any as Anything

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from catalog import F, InvalidError
from catalog.entities import Index, IndexState, VolumeInfo
from catalog.errors import CatalogError
from catalog.filters import All, Any, Comparison, Condition, Contains, Exists, In, Matches, Not, Operator, StartsWith
from catalog.index_ranges import in_order, reach, whole_in
from catalog.indexes import index_row
from catalog.keys import RowRange, check_key_length, encode, head_row
from catalog.literals import Literal_
from catalog.path_ranges import is_point, path_ranges
from catalog.paths import check_path
from catalog.planner import POINTS_MAX, Plan, Question, check_order, plan
from catalog.ranges import Ranges, common, united
from catalog.rows import Value, check_key, check_range
from catalog.times import EPOCH

OPERATORS: list[Operator] = ["==", "!=", "<", "<=", ">", ">="]
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = [
    "", "a", "b", "ops", "ops\0", "a/b", "a-b", "a.b", "a b", "a~", "\x7f", "é", "\ud7ff", "\uffe5", "\uffff", "😀",
    "a😀", "\U0010ffff", "it's", "#", '"', "$", "%", "&", "'", ".", ">", "?", "[", "\\", "~", "x" * 63, "x" * 64,
    "x" * 65, "x" * 127, "x" * 128, "x" * 200, "x" * 64 + "y", "\U0010ffff" * 70, "\U0010ffff" * 31 + "a",
]  # fmt: skip
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
NUMBERS: list[Literal_] = [0, 1, -1, 2**53, 2**53 + 1, 5, 5.0, 5.5, -0.0, 2**63 - 1, 2.0**63, 5e-324, 1.79e308]
numbers = st.sampled_from(NUMBERS) | INT64 | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Literal_] = texts | numbers | st.booleans()
SEGMENTS = [
    "a",
    "b",
    "a-b",
    "a.b",
    "a b",
    "ab",
    "2026",
    "2026-11",
    "é",
    "😀",
    "\ud7ff",
    "\uffe5",
    "$x",
    "x" * 60,
    "y" * 60,
]
paths = st.lists(st.sampled_from(SEGMENTS) | st.text("ab-. /é~😀\U0010fffd", max_size=3), min_size=1, max_size=9).map(
    "/".join
)


@st.composite
def heads(draw: st.DrawFn) -> dict[str, Value]:
    path = draw(paths)
    try:
        path = check_path(path)
        check_key_length(path)
    except CatalogError:
        assume(condition=False)
    row: dict[str, Value] = {
        "path": path, "kind": "put", "version": 1, "op": "o", "size": draw(INT64), "content_type": draw(texts),
        "digest": draw(st.sampled_from(["", "d", "e"])), "created": draw(st.integers(-100, 100)), "writer": "w",
    }  # fmt: skip
    if draw(st.booleans()):
        row["md5"] = draw(st.sampled_from(["a", "b"]))
    if draw(st.booleans()):
        row["learned_digest"] = draw(st.sampled_from(["d", "e"]))
    for key in ("a", "b"):
        match draw(st.sampled_from(["none", "value", "time"])):
            case "value":
                row[f"m_{key}"] = draw(values)
            case "time":
                row[f"t_{key}"] = draw(st.integers(-3, 3) | INT64)
    return row


columns = st.sampled_from(["m_a", "m_b", "digest", "md5", "content_type"])
leaves = (
    st.builds(Comparison, columns, st.sampled_from(OPERATORS), values)
    | st.builds(Comparison, st.sampled_from(["m_a", "m_b"]), st.just("=="), values)
    | st.builds(
        Comparison,
        st.sampled_from(["size", "t_a", "t_b", "created"]),
        st.sampled_from(OPERATORS),
        numbers | st.integers(-3, 3),
    )
    | st.builds(Comparison, st.just("path"), st.sampled_from(OPERATORS), paths | texts)
    | st.builds(StartsWith, columns | st.just("path"), texts | paths)
    | st.builds(In, columns, st.lists(values, max_size=4) | st.lists(values, min_size=21, max_size=25))
    | st.builds(In, st.just("path"), st.lists(paths | texts, max_size=4))
    | st.builds(Contains, columns, texts)
    | st.builds(Matches, st.sampled_from(["**", "a/*", "a*", "2026/**", "é*/**", "a.b/[xy]*"]))
    | st.builds(Exists, st.sampled_from([("m_a", "t_a"), ("m_a",), ("md5",), ("size",)]))
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda parts: (
        st.builds(Not, parts)
        | st.builds(All, st.lists(parts, min_size=1, max_size=3).map(tuple))
        | st.builds(Any, st.lists(parts, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
names = st.sampled_from(["meta.a", "meta.b", "size", "created", "digest", "md5", "content_type"])
fields = st.lists(names, min_size=1, max_size=3, unique=True).flatmap(
    lambda on: st.tuples(*[st.sampled_from([field, f"-{field}"]) for field in on])
)
indexes = st.builds(Index, st.just("7"), fields, st.just("ready"))


def holding(head: dict[str, Value]) -> st.SearchStrategy[Condition]:
    """Conditions of which many hold for a head: about its own values."""
    own = [
        st.builds(Comparison, st.just(name), st.sampled_from(["==", "<=", ">="]), st.just(value))
        for name, value in head.items()
    ] + [
        st.builds(StartsWith, st.just(name), st.just(value[:2]))
        for name, value in head.items()
        if isinstance(value, str)
    ]
    return st.lists(st.one_of(*own), min_size=1, max_size=4).map(lambda parts: All(tuple(parts)))


cases = heads().flatmap(lambda head: st.tuples(st.just(head), conditions | holding(head)))


def is_in(key: str, ranges: Ranges) -> bool:
    return any(each.first <= key < each.stop for each in ranges)


@given(cases, indexes)
def test_the_row_of_a_file_that_fits_is_in_the_ranges_of_an_index(
    case: tuple[dict[str, Value], Condition], index: Index
) -> None:
    head, condition = case
    if condition.holds(head):
        for narrowed in (None, path_ranges(condition)):
            assert is_in(index_row(index, head), reach(index, condition, narrowed).ranges)


@given(cases)
@example(({"path": "a-b"}, Comparison("path", ">=", "a/b")))
@example(({"path": "a/b"}, Comparison("path", ">=", "a-b")))
@example(({"path": "a-b"}, Comparison("path", "<", "a/b")))
@example(({"path": "a/b/c"}, Comparison("path", ">", "a.b")))
def test_a_path_that_fits_is_in_the_ranges_of_paths(case: tuple[dict[str, Value], Condition]) -> None:
    head, condition = case
    found = path_ranges(condition)
    assert not condition.holds(head) or found is None or is_in(encode(str(head["path"])), found)


LONG: dict[str, Value] = {"kind": "put", "digest": "d", "size": 1, "created": 0, "content_type": "x" * 200}
TIMES: list[Literal_] = [-3, -1, 0, 2, 3, 2.5, -1.5, 3.0, 2**62, "a", True]
PATHS = [
    "a",
    "\U0010fffd",
    "\U0010fffd/a",
    f"{'d' * 60}/{'e' * 28}{' ' * 40}a",  # less than any hash
    *[f"{'d' * 60}/{'e' * size}/{end}" for size in (20, 28, 29, 30, 60) for end in "aé~"],
]


@pytest.mark.parametrize("on", ["meta.a", "-meta.a"])
@pytest.mark.parametrize("path", PATHS[:3])
def test_no_pair_of_values_is_out_of_the_range_of_a_comparison(on: str, path: str) -> None:
    """Cut ones, characters of two units, and paths behind them that begin with the highest there is."""
    index = Index("7", (on,), "ready")
    pairs: list[tuple[str, Sequence[Literal_]]] = [("m_a", TEXTS), ("m_a", [*NUMBERS, True, False]), ("t_a", TIMES)]
    for column, each in pairs:
        for value, literal in product([one for one in each if column == "m_a" or type(one) is int], each):
            head: dict[str, Value] = {**LONG, "path": path, column: value}
            asked = [Comparison(column, operator, literal) for operator in OPERATORS]
            for condition in [
                *asked,
                In(column, (literal,)),
                *([StartsWith(column, literal)] if isinstance(literal, str) else []),
            ]:
                if condition.holds(head):
                    assert is_in(index_row(index, head), reach(index, condition).ranges), condition


@pytest.mark.parametrize("key", ["m_a", "t_a", "m_b"])
def test_a_field_that_is_there_or_missing_is_in_the_range_of_just_that(key: str) -> None:
    for on in ("meta.a", "-meta.a"):
        index, head = Index("7", (on,), "ready"), {**LONG, "path": "\U0010fffd", key: 5}
        there, missing = (reach(index, each).ranges for each in (F.meta["a"].exists(), ~F.meta["a"].exists()))
        assert is_in(index_row(index, head), there) is (key != "m_b")
        assert is_in(index_row(index, head), missing) is (key == "m_b")


def test_no_pair_of_long_paths_is_out_of_the_range_of_a_comparison() -> None:
    """Behind three long values there is room for the beginning of a path, and a hash."""
    index = Index("7", ("meta.a", "-meta.b", "content_type"), "ready")
    fixed = [Comparison(name, "==", "x" * 200) for name in ("m_a", "m_b", "content_type")]
    for one, other in product(PATHS, PATHS):
        head: dict[str, Value] = {**LONG, "path": one, "m_a": "x" * 200, "m_b": "x" * 200}
        for leaf in [StartsWith("path", other[:90]), *[Comparison("path", operator, other) for operator in OPERATORS]]:
            condition = All((*fixed, leaf))
            if condition.holds(head):
                found = reach(index, condition, path_ranges(condition))
                assert found.key is not None
                assert is_in(index_row(index, head), found.ranges), (one, leaf)


@given(heads(), heads(), st.sampled_from(["<", "<=", ">", ">="]))
def test_a_comparison_of_paths_bounds_what_is_read(
    one: dict[str, Value], other: dict[str, Value], sign: Operator
) -> None:
    condition = Comparison("path", sign, str(other["path"]))
    if condition.holds(one):
        assert is_in(encode(str(one["path"])), path_ranges(condition) or ())


@given(conditions, indexes, paths)
def test_ranges_are_in_order_and_apart_and_any_service_takes_them(
    condition: Condition, index: Index, prefix: str
) -> None:
    under = path_ranges(condition, prefix)
    for ranges in (under or (), reach(index, condition, under).ranges):
        assert all(each.first < each.stop for each in ranges)
        assert all(one.stop <= other.first for one, other in pairwise(ranges))
        for each in ranges:
            check_range("p", each)


@given(
    st.lists(st.tuples(st.text("abc", max_size=3), st.text("abc", max_size=3)), max_size=5),
    st.lists(st.tuples(st.text("abc", max_size=3), st.text("abc", max_size=3)), max_size=5),
    st.text("abc", max_size=4),
)
def test_sets_of_ranges_are_sets(one: list[tuple[str, str]], other: list[tuple[str, str]], key: str) -> None:
    first, second = (united(RowRange(*each) for each in given) for given in (one, other))
    assert is_in(key, first) is any(a <= key < b for a, b in one)
    assert is_in(key, common(first, second)) is (is_in(key, first) and is_in(key, second))
    assert is_in(key, united((*first, *second))) is (is_in(key, first) or is_in(key, second))


@given(st.lists(heads(), min_size=2, max_size=6), indexes, st.data())
def test_where_all_fields_are_fixed_keys_are_in_order_of_path_but_for_the_ends_of_long_ones(
    rows: list[dict[str, Value]], index: Index, data: st.DataObject
) -> None:
    one = rows[0]
    same = [{**one, "path": row["path"]} for row in rows]
    equal = [Comparison(name, "==", value) for name, value in one.items() if name not in ("path", "learned_digest")]
    missing = [Not(Exists((f"m_{key}", f"t_{key}"))) for key in "ab" if f"m_{key}" not in one and f"t_{key}" not in one]
    found = reach(index, All((*equal, *missing, *([] if "md5" in one else [Not(Exists(("md5",)))]))))
    assume(one["digest"] != "" or "digest" not in {field.lstrip("-") for field in index.on})
    assert found.key is not None
    whole = whole_in(found.key)
    by_key = sorted(same, key=lambda row: index_row(index, row))
    begun = [encode(str(row["path"]))[:whole] for row in by_key]
    assert begun == sorted(begun)


# Which plan.

READY = tuple(
    Index(str(number), on, "ready")
    for number, on in enumerate(
        [
            ("meta.owner",),
            ("meta.owner", "-created"),
            ("-created",),
            ("size", "meta.owner"),
            ("meta.project", "meta.owner"),
        ],
        1,
    )
)
VOLUME = VolumeInfo("v", "e", "immutable", 4, "v/", 1, EPOCH, default=False, indexes=READY)
OPS = F.meta["owner"] == "ops"


def planned(condition: Condition, prefix: str = "", order: Anything = "path", volume: VolumeInfo = VOLUME) -> Plan:
    return plan(Question(condition, prefix, check_order(order)), volume)


@pytest.mark.parametrize(
    ("condition", "prefix", "access", "ids"),
    [
        (F.path == "a", "", "points", ""),
        ((F.path == "a") | (F.path == "b"), "", "points", ""),
        (F.path.isin(["a", "b"]) & OPS, "", "points", ""),
        (F.path.isin(["a/1", "b"]), "a/", "points", ""),
        (F.path.glob("a/b.csv"), "", "points", ""),
        ((F.path == "a") & (F.path == "b"), "", "nothing", ""),
        (F.path == "b", "a", "nothing", ""),
        (F.path.isin([]), "", "nothing", ""),
        (F.meta["owner"].isin([]), "", "nothing", ""),
        (F.path == "a\x00b", "", "nothing", ""),
        (OPS & (F.meta["owner"] == "lab"), "", "nothing", ""),
        (F.path.isin([str(number) for number in range(POINTS_MAX + 1)]), "", "range", ""),
        (OPS, "", "index", "1"),
        (OPS, "a/", "index", "1"),
        (OPS & (F.size > 5), "", "index", "1"),
        (F.meta["owner"].isin(["ops", "lab"]), "", "index", "1"),
        (OPS & F.created.exists(), "", "index", "1"),
        (OPS & (F.created > EPOCH), "", "index", "2"),
        (OPS & (F.meta["project"] == "x"), "", "index", "5"),
        (OPS & (F.size == 5), "", "index", "4"),
        (OPS | (F.size == 5), "", "scan", ""),
        (~OPS, "", "scan", ""),
        (F.meta["owner"] != "ops", "", "scan", ""),
        (~F.meta["owner"].exists(), "", "index", "1"),
        (F.meta["owner"].startswith("o"), "", "index", "1"),
        (F.meta["owner"].startswith("o"), "a/", "range", ""),
        (F.created > EPOCH, "", "index", "3"),
        (F.created > EPOCH, "a/", "range", ""),
        (F.meta["nobody"] == 5, "", "scan", ""),
        (F.meta["nobody"] == 5, "a", "range", ""),
        (F.path.startswith("a") | F.path.startswith("b"), "", "range", ""),
        (F.path.glob("2026/*.csv"), "", "range", ""),
        (F.path.glob("**/*.csv"), "", "scan", ""),
        (F.path >= "2026", "", "range", ""),
        (F.path.contains("a"), "", "scan", ""),
    ],
)  # fmt: skip
def test_which_way_is_chosen(condition: Condition, prefix: str, access: str, ids: str) -> None:
    found = planned(condition, prefix)
    assert (found.access, found.index.id if found.index else "") == (access, ids)


@pytest.mark.parametrize("state", ["building", "dropping"])
def test_an_index_that_is_not_ready_is_not_used(state: IndexState) -> None:
    indexes = tuple(replace(index, state=state) for index in READY)
    assert planned(OPS, volume=replace(VOLUME, indexes=indexes)).access == "scan"


@pytest.mark.parametrize(
    ("condition", "prefix", "ranges", "sorts"),
    [
        (OPS, "", 1, False),
        (OPS, "a/", 1, False),
        (OPS & (F.path.startswith("a") | F.path.startswith("b")), "", 2, False),
        (F.meta["owner"].isin(["ops", "lab"]), "", 2, True),
        (F.meta["owner"].isin(range(30)), "", 1, True),
        (OPS & (F.created > EPOCH), "", 1, True),
        ((F.size == 5) & F.meta["owner"].isin(["a", "b", "c"]), "", 3, True),
        ((F.size == 5) & F.size.isin([5, 6]), "", 1, True),
        (F.size.isin([5, 6]) & F.meta["owner"].isin(["x", 5, True]), "", 6, True),
    ],
)
def test_how_much_of_an_index_is_read_and_whether_it_must_be_sorted(
    condition: Condition, prefix: str, ranges: int, sorts: bool
) -> None:
    found = planned(condition, prefix)
    assert found.reach
    assert (len(found.reach.ranges), found.sorts) == (ranges, sorts)


@pytest.mark.parametrize(
    ("condition", "order", "ids"),
    [
        (F.size >= 0, "-created", "3"),
        (OPS, "-created", "2"),
        (OPS, ("meta.owner", "-created"), "2"),
        (F.size >= 0, ("meta.owner", "-created"), "2"),
        (F.size >= 0, "meta.owner", "1"),
        (F.size == 5, "meta.owner", "4"),
        (F.size.isin([5, 6]), "size", "4"),
        (F.meta["owner"].isin(["ops", "lab"]), "-created", "3"),
        (F.meta["owner"].isin(["ops", "lab"]), ("meta.owner", "-created"), "2"),
    ],
)  # fmt: skip
def test_an_order_is_that_of_an_index(condition: Condition, order: Anything, ids: str) -> None:
    found = planned(condition, order=order)
    assert (found.access, found.index and found.index.id, found.sorts) == ("index", ids, False)


@pytest.mark.parametrize(
    ("condition", "order", "makes"),
    [
        (F.size > 5, "created", "create_index('created')"),
        (OPS, "created", "create_index('meta.owner', 'created')"),
        (OPS, ("meta.owner", "created"), "create_index('meta.owner', 'created')"),
        (OPS & (F.meta["a"] == 1) & (F.meta["b"] == 2), "created", "create_index('created')"),
        (F.path.isin(["a", "b"]), "size", "create_index('size')"),
        (F.size > 5, ("-meta.owner", "size"), "create_index('-meta.owner', 'size')"),
    ],
)
def test_an_order_without_an_index_says_which_one_to_make(condition: Condition, order: Anything, makes: str) -> None:
    volume = replace(VOLUME, indexes=READY[1:2])
    with pytest.raises(InvalidError) as caught:
        planned(condition, order=order, volume=volume)
    assert caught.value.kind == "invalid.order"
    assert makes in str(caught.value)


def test_an_order_whose_index_is_being_made_says_so() -> None:
    with pytest.raises(InvalidError, match="is not ready yet"):
        planned(F.size > 5, order="-created", volume=replace(VOLUME, indexes=(replace(READY[2], state="building"),)))


def test_a_path_needs_no_order() -> None:
    assert planned(F.path == "a", order="size", volume=replace(VOLUME, indexes=())).access == "points"


@pytest.mark.parametrize(
    "order", ["", "path ", "-path", "owner", ("created", "-created"), ("a", "b", "c", "d"), 5, None, [5]]
)
def test_what_is_no_order_is_refused(order: Anything) -> None:
    with pytest.raises(InvalidError):
        check_order(order)


@given(indexes, conditions, fields)
def test_rows_of_an_index_that_serves_an_order_are_in_it(
    index: Index, condition: Condition, order: tuple[str, ...]
) -> None:
    """By the keys of an index on just these fields, where the ones that are fixed are the same in all rows."""
    assert in_order(index, condition, index.on)
    if in_order(index, condition, order):
        assert in_order(replace(index, on=(*index.on[:2], "kind")), condition, ()) is True


def test_a_point_is_a_point() -> None:
    found = path_ranges(F.path.isin(["a", "a/b", "a b"]))
    assert found is not None
    assert all(map(is_point, found))
    assert [each.first for each in found] == [head_row(path)[1:] for path in ["a", "a/b", "a b"]]
    check_key("RowKey", "h" + found[0].first)
