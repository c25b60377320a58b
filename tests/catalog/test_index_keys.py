"""Values as parts of keys: order of parts = order of values, in what any service may have as a key."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.index_keys import PART_UNITS_MAX, kind_of_part, part, text_beginning
from catalog.rows import INT64_MAX, INT64_MIN, Value, check_key, units

EDGES = (INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX, 2**53 - 1, 2**53, 2**53 + 1, 2**62 + 1, -(2**53) - 1)
NUMBERS = st.one_of(
    st.sampled_from([*EDGES, 0, -0.0, 0.0, 5, 5.0, 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308]),
    st.integers(-3, 3),
    st.integers(INT64_MIN, INT64_MAX),
    st.floats(allow_nan=False, allow_infinity=False),
)
TEXTS = st.one_of(
    st.text("ab", max_size=4),
    st.text(
        "\0\x1f !\"#$%&'()./0>?@[\\]~\x7f\x80\x9f\xa0\ud7ff\ue000\uffe4\uffe5\uffff\U00010000\U0010ffff", max_size=5
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
TIMES = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@settings(max_examples=500)
@given(st.one_of(st.tuples(NUMBERS, NUMBERS), st.tuples(TEXTS, TEXTS), st.tuples(st.booleans(), st.booleans())))
@example((2**53 + 1, float(2**53)))
@example((INT64_MAX, float(2**63)))
@example((5, 5.0))
@example(("a", "a\0"))
@example(("/", "."))
def test_parts_sort_as_values_do(two: tuple[Value, Value]) -> None:
    first, second = two
    for descending in (False, True):
        low, high = part(first, descending=descending), part(second, descending=descending)
        if descending:
            low, high = high, low
        assert (low < high) == (first < second)  # type: ignore[operator]
        assert (low == high) == (first == second)
        assert (low.encode() < high.encode()) == (low < high), "SQLite orders by byte"
        assert (low.encode("utf-16-be") < high.encode("utf-16-be")) == (low < high), "Azure orders by UTF-16 unit"


@given(TIMES, TIMES)
def test_times_sort_as_they_follow_each_other(first: int, second: int) -> None:
    assert (part(first, time=True) < part(second, time=True)) == (first < second)
    assert (part(first, time=True, descending=True) > part(second, time=True, descending=True)) == (first < second)


@given(st.lists(st.one_of(NUMBERS, TEXTS, st.booleans(), st.none()), min_size=2, max_size=2))
def test_types_do_not_mix(values: list[Value | None]) -> None:
    """What is missing comes first, then truth values, numbers, text; and the other way round where it descends."""
    kinds = [_kind(value) for value in values]
    if kinds[0] != kinds[1]:
        low, high = sorted(values, key=_kind)
        assert part(low) < part(high)
        assert part(low, descending=True) > part(high, descending=True)
        assert part(high) < part(0, time=True)
        assert part(high, descending=True) > part(0, time=True, descending=True)


def _kind(value: Value | None) -> int:
    match value:
        case None:
            return 0
        case bool():
            return 1
        case str():
            return 3
        case _:
            return 2


@given(st.one_of(NUMBERS, TEXTS, st.booleans(), st.none()), st.booleans())
def test_a_part_can_stand_in_a_key(value: Value | None, descending: bool) -> None:
    found = part(value, descending=descending)
    check_key("RowKey", found)
    assert " " not in found[:-1]
    assert units(found) <= PART_UNITS_MAX + 1


@given(TEXTS, TEXTS, st.booleans())
def test_texts_that_begin_alike_have_parts_that_do(first: str, second: str, descending: bool) -> None:
    assert part(first + second, descending=descending).startswith(text_beginning(first, descending=descending))
    if not second.startswith(first):
        assert not part(second, descending=descending).startswith(text_beginning(first, descending=descending))


@given(st.one_of(NUMBERS, TEXTS, st.booleans()), st.booleans())
def test_values_of_a_kind_have_parts_that_begin_alike(value: Value, descending: bool) -> None:
    assert part(value, descending=descending).startswith(kind_of_part(value, descending=descending))


@pytest.mark.parametrize("descending", [False, True])
def test_long_texts_are_cut_and_still_in_order(descending: bool) -> None:
    texts = ["x" * 126, "x" * 127, "x" * 200, "x" * 127 + "y", "x" * 50 + "'" * 300, "y"]
    parts = [part(text, descending=descending) for text in sorted(texts)]
    assert parts == sorted(parts, reverse=descending)
