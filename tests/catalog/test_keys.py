"""The path codec: injective, keeps prefixes, keeps order; and what is built on it."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.errors import InvalidError, TooLargeError
from catalog.keys import (
    ENCODED_UNITS_MAX,
    change_row,
    check_key_length,
    check_shards,
    decode,
    encode,
    gate_row,
    head_row,
    heads,
    intent_row,
    is_index_row,
    partition,
    request_row,
    shard_of,
    version_row,
    versions,
    versions_under,
)
from catalog.rows import (
    KEY_UNITS_MAX,
    check_key,
    units,
)

# All that a path may hold, with what the codec treats specially far more often than chance would.
CHARACTERS = st.one_of(
    st.sampled_from("/ !\"#$%&'()*+,-.09:;<=>?@AZ[]^_`az{|}~é中\uffe4\uffe5\ufffc\ufffd\U00010000\U0001f600\U0010ffff"),
    st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"], exclude_characters="\\\ufffe\uffff"),
)
TEXTS = st.text(CHARACTERS, max_size=12)


@given(TEXTS)
def test_decode_gives_back_what_was_encoded(path: str) -> None:
    assert decode(encode(path)) == path


@given(TEXTS, TEXTS)
def test_prefixes_are_kept(first: str, second: str) -> None:
    assert encode(first + second) == encode(first) + encode(second)
    assert encode(first + second).startswith(encode(first))


@given(TEXTS, TEXTS)
def test_only_a_prefix_of_a_path_encodes_to_a_prefix_of_its_key(first: str, second: str) -> None:
    assert encode(second).startswith(encode(first)) == second.startswith(first)


@given(TEXTS, TEXTS)
@example("a/b", "a-b")
@example("a", "a!")
@example("\uffe5", "\U00010000")
def test_order_is_by_segment_and_by_code_point_within_one(first: str, second: str) -> None:
    assert (encode(first) < encode(second)) == (first.split("/") < second.split("/"))


@given(TEXTS, TEXTS)
def test_python_sqlite_and_azure_order_keys_alike(first: str, second: str) -> None:
    one, two = encode(first), encode(second)
    by_code_point = one < two
    by_byte = one.encode() < two.encode()
    by_utf16_unit = one.encode("utf-16-be") < two.encode("utf-16-be")
    assert by_code_point == by_byte == by_utf16_unit


@given(TEXTS)
def test_keys_hold_nothing_that_azure_refuses(path: str) -> None:
    check_key("RowKey", "h" + encode(path))
    assert "'" not in encode(path)


@given(st.text(max_size=6))
def test_decode_refuses_what_encode_never_emits(text: str) -> None:
    try:
        path = decode(text)
    except InvalidError:
        return
    assert encode(path) == text


@given(TEXTS, TEXTS)
def test_a_prefix_range_holds_exactly_the_paths_with_that_prefix(prefix: str, path: str) -> None:
    for rows, row in ((heads(prefix), head_row(path)), (versions_under(prefix), version_row(path, 3))):
        assert (rows.first <= row < rows.stop) == path.startswith(prefix)


@given(TEXTS, TEXTS, st.integers(1, 10**10 - 2), st.integers(1, 10**10 - 2))
def test_a_version_range_holds_exactly_one_path_newest_first(path: str, other: str, one: int, two: int) -> None:
    rows = versions(path)
    assert rows.first <= version_row(path, one) < rows.stop
    assert (version_row(path, one) < version_row(path, two)) == (one > two)
    if other != path:
        assert not rows.first <= version_row(other, one) < rows.stop


@given(TEXTS, st.integers(1, 10**6), st.integers(0, 10**6))
def test_versions_above_a_version_are_the_newer_ones(path: str, version: int, above: int) -> None:
    rows = versions(path, above=above)
    assert (rows.first <= version_row(path, version) < rows.stop) == (version > above)


def test_the_longest_path_fits_into_a_key_with_everything_beside_it() -> None:
    check_key_length("a" * ENCODED_UNITS_MAX)
    assert units(version_row("a" * ENCODED_UNITS_MAX, 1)) <= KEY_UNITS_MAX
    check_key_length("\U0001f600" * (ENCODED_UNITS_MAX // 2))
    for path in ("a" * (ENCODED_UNITS_MAX + 1), "%" * (ENCODED_UNITS_MAX // 2 + 1)):
        with pytest.raises(TooLargeError):
            check_key_length(path)


@given(TEXTS, st.sampled_from([1, 2, 16, 256]))
def test_a_shard_is_the_first_bytes_of_blake2b_masked(path: str, shards: int) -> None:
    expected = int(hashlib.blake2b(path.encode()).hexdigest()[:16], 16) % shards
    assert shard_of(path, shards) == expected


def test_shards_are_the_same_for_ever() -> None:
    assert [shard_of(path, 16) for path in ("a", "2026/a.csv", "é", "\U0001f600")] == [1, 0, 4, 8]
    assert partition("01ABC", 10) == "01ABC~0a"


def test_paths_spread_over_shards() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_of(f"2026/{number:05}.csv", 16)] += 1
    assert min(counts) > 800
    assert max(counts) < 1200


@pytest.mark.parametrize("shards", [0, -1, 3, 512, True, 1.0, "4"])
def test_shards_are_a_power_of_two(shards: int) -> None:
    with pytest.raises(InvalidError, match="power of two"):
        check_shards(shards)


def test_other_rows_are_none_of_an_index() -> None:
    others = [
        head_row("x"),
        version_row("x", 1),
        intent_row("x"),
        change_row(1, "x"),
        request_row("x", "x"),
        gate_row(1),
    ]
    assert not any(map(is_index_row, others))
