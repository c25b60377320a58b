"""The limits of a batch, each at its edge: what Azure takes passes, one more does not. Pure; nothing is sent here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InvalidError, TooLargeError
from catalog.keys import RowRange
from catalog.rows import (
    BOUND_UNITS_MAX,
    ENTITY_BYTES_MAX,
    INT64_MAX,
    INT64_MIN,
    KEY_UNITS_MAX,
    NAME_UNITS_MAX,
    PROPERTIES_MAX,
    STRING_UNITS_MAX,
    Value,
    check_key,
    check_range,
    entity_bytes,
    units,
)
from catalog.table import (
    BATCH_BYTES_MAX,
    OPERATION_BYTES,
    OPERATIONS_MAX,
    Delete,
    Insert,
    Merge,
    Operation,
    Replace,
    check_batch,
    operation_bytes,
    total_bytes,
)

P = "p"


def exactly(size: int) -> dict[str, Value]:
    """Values that make an entity of this size, by Azure's formula, with the keys "p" and "r"."""
    values: dict[str, Value] = {}
    name = 0
    while (rest := size - entity_bytes(P, "r", values)) > 0:
        units_of_text = min((rest - 8 - 2 * 3 - 4) // 2, STRING_UNITS_MAX)
        values[f"n{name:02}"] = "x" * units_of_text
        name += 1
    return values


AT_THE_EDGE: dict[str, list[Operation]] = {
    "operations": [Insert(f"{number}", {}) for number in range(OPERATIONS_MAX)],
    "key": [Insert("r" * KEY_UNITS_MAX, {})],
    "astral key": [Insert("😀" * (KEY_UNITS_MAX // 2), {})],
    "empty key": [Insert("", {})],
    "properties": [Insert("r", {f"n{number}": 1 for number in range(PROPERTIES_MAX)})],
    "name": [Insert("r", {"x" * NAME_UNITS_MAX: 1})],
    "text": [Insert("r", {"a": "x" * STRING_UNITS_MAX})],
    "astral text": [Insert("r", {"a": "😀" * (STRING_UNITS_MAX // 2)})],
    "integers": [Insert("r", {"a": INT64_MIN, "b": INT64_MAX})],
    "entity": [Insert("r", exactly(ENTITY_BYTES_MAX))],
    "body": [Insert(f"{number}", exactly(ENTITY_BYTES_MAX - 2)) for number in range(6)],
    "etag": [Replace("r", {}, "W/\"datetime'2026-11-20T23%3A49%3A47.5497077Z'\"")],
}

OVER_THE_EDGE: dict[str, tuple[list[Operation], type[InvalidError]]] = {
    "no operation": ([], InvalidError),
    "operations": ([Insert(f"{number}", {}) for number in range(OPERATIONS_MAX + 1)], TooLargeError),
    "a row twice": ([Insert("r", {}), Insert("s", {}), Delete("r")], InvalidError),
    "key": ([Insert("r" * (KEY_UNITS_MAX + 1), {})], TooLargeError),
    "astral key": ([Insert("😀" * (KEY_UNITS_MAX // 2 + 1), {})], TooLargeError),
    "slash": ([Delete("a/b")], InvalidError),
    "backslash": ([Delete("a\\b")], InvalidError),
    "hash": ([Delete("a#b")], InvalidError),
    "question mark": ([Delete("a?b")], InvalidError),
    "control": ([Delete("a\x1fb")], InvalidError),
    "DEL": ([Delete("a\x7fb")], InvalidError),
    "C1 control": ([Delete("a\x9fb")], InvalidError),
    "surrogate in a key": ([Delete("a\ud800b")], InvalidError),
    "properties": ([Insert("r", {f"n{number}": 1 for number in range(PROPERTIES_MAX + 1)})], TooLargeError),
    "name": ([Insert("r", {"x" * (NAME_UNITS_MAX + 1): 1})], InvalidError),
    "no identifier": ([Merge("r", {"a-b": 1})], InvalidError),
    "no name": ([Merge("r", {"": 1})], InvalidError),
    "reserved": ([Merge("r", {"RowKey": "s"})], InvalidError),
    "text": ([Insert("r", {"a": "x" * (STRING_UNITS_MAX + 1)})], TooLargeError),
    "astral text": ([Insert("r", {"a": "😀" * (STRING_UNITS_MAX // 2 + 1)})], TooLargeError),
    "surrogate": ([Insert("r", {"a": "\ud800"})], InvalidError),
    "2^63": ([Insert("r", {"a": INT64_MAX + 1})], InvalidError),
    "-2^63 - 1": ([Insert("r", {"a": INT64_MIN - 1})], InvalidError),
    "NaN": ([Insert("r", {"a": float("nan")})], InvalidError),
    "infinity": ([Insert("r", {"a": float("-inf")})], InvalidError),
    "bytes": ([Insert("r", {"a": b"a"})], InvalidError),  # type: ignore[dict-item]
    "None": ([Insert("r", {"a": None})], InvalidError),  # type: ignore[dict-item]
    "entity": ([Insert("r", exactly(ENTITY_BYTES_MAX) | {"one_more": True})], TooLargeError),
    "body": ([Insert(f"{number}", exactly(ENTITY_BYTES_MAX - 4)) for number in range(7)], TooLargeError),
    "no etag": ([Replace("r", {}, "")], InvalidError),
    "etag of two lines": ([Delete("r", "a\r\nHost: evil")], InvalidError),
    "etag beyond ASCII": ([Delete("r", "é")], InvalidError),
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_what_azure_takes_passes(name: str) -> None:
    check_batch(P, AT_THE_EDGE[name])


@pytest.mark.parametrize("name", OVER_THE_EDGE)
def test_one_more_does_not(name: str) -> None:
    operations, error = OVER_THE_EDGE[name]
    with pytest.raises(error):
        check_batch(P, operations)


@pytest.mark.parametrize("partition", ["p" * (KEY_UNITS_MAX + 1), "a/b", "\0", "\ud800"])
def test_a_partition_is_a_key_too(partition: str) -> None:
    with pytest.raises(InvalidError):
        check_batch(partition, [Insert("r", {})])


def test_a_wrong_name_is_refused_every_time() -> None:
    """Names are remembered once they passed, and only then."""
    for _ in range(2):
        with pytest.raises(InvalidError):
            check_batch(P, [Insert("r", {"a b": 1})])


@pytest.mark.parametrize("bound", ["x" * BOUND_UNITS_MAX, "", "\ufffd\ufffd", "\uffff", "x'y", "😀"])
def test_a_bound_is_what_could_be_a_key(bound: str) -> None:
    check_range(P, RowRange("", bound))


@pytest.mark.parametrize("bound", ["x" * (BOUND_UNITS_MAX + 1), "a/b", "\n", "\ud800"])
def test_no_other_bound_is_taken(bound: str) -> None:
    with pytest.raises(InvalidError):
        check_range(P, RowRange(bound, "z"))


def test_a_refusal_names_the_operation_it_was_for() -> None:
    with pytest.raises(InvalidError) as refused:
        check_key("RowKey", "a/b", op="get")
    assert (refused.value.op, refused.value.key) == ("get", "a/b")


@given(st.text(st.characters()))
def test_units_are_those_of_utf16(text: str) -> None:
    assert units(text) == sum(2 if character > "\uffff" else 1 for character in text)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({}, 0),
        ({"a": 1}, 8 + 2 + 8),
        ({"a": 1.5}, 8 + 2 + 8),
        ({"ab": True}, 8 + 4 + 1),
        ({"a": ""}, 8 + 2 + 4),
        ({"a": "xyz"}, 8 + 2 + 4 + 6),
        ({"a": "é"}, 8 + 2 + 4 + 2),
        ({"é": "😀"}, 8 + 2 + 4 + 4),
    ],
)
def test_an_entity_s_size_is_azure_s_formula(values: dict[str, Value], size: int) -> None:
    assert entity_bytes("pp", "rrr", values) == 4 + 2 * 5 + size


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.dictionaries(
        st.text("aé中", min_size=1, max_size=5), st.text(st.characters(exclude_categories=["Cs"])) | st.integers(0, 9)
    ),
)
def test_the_quick_bound_on_a_body_is_one(row: str, values: dict[str, Value]) -> None:
    """`check_batch` counts exactly only where nine times the entities' sizes could be too much."""
    operation = Insert(row, values)
    assert operation_bytes(P, operation) <= OPERATION_BYTES + 9 * entity_bytes(P, row, values)


def test_a_body_is_the_sum_of_its_operations() -> None:
    operations: list[Operation] = [Insert("r", {"a": "x"}), Delete("s")]
    assert total_bytes(P, operations) == sum(operation_bytes(P, operation) for operation in operations)


def test_the_limit_on_bodies_leaves_room_below_the_service_s() -> None:
    assert BATCH_BYTES_MAX < 4 << 20
