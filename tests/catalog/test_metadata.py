"""A user's metadata: the rules, and that they come back from their columns as they were."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from catalog.errors import InvalidError, TooLargeError
from catalog.metadata import Metadata, check_metadata, metadata_values, parse_metadata
from tests.catalog.strategies import METADATA


@given(METADATA)
def test_metadata_come_back_from_their_columns(metadata: Metadata) -> None:
    parsed = parse_metadata({"size": 1, "path": "a", "md5": "00", **metadata_values(metadata)})
    assert parsed == metadata
    assert {key: type(value) for key, value in parsed.items()} == {key: type(value) for key, value in metadata.items()}


@given(METADATA)
def test_metadata_is_copied_and_its_times_are_in_utc(metadata: Metadata) -> None:
    checked = check_metadata(metadata)
    assert checked == metadata
    assert checked is not metadata or not metadata


def test_a_time_of_another_zone_is_the_same_moment_in_utc() -> None:
    east = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    checked = check_metadata({"when": east})["when"]
    assert isinstance(checked, datetime)
    assert checked == east
    assert checked.tzinfo is UTC


WRONG: dict[str, tuple[object, type[InvalidError], str]] = {
    "too many keys": ({f"k{n}": 1 for n in range(201)}, TooLargeError, "at most 200 keys"),
    "no identifier": ({"a-b": 1}, InvalidError, "'a-b' is no identifier"),
    "empty key": ({"": 1}, InvalidError, "is no identifier"),
    "long key": ({"k" * 129: 1}, InvalidError, "is no identifier"),
    "key of another script": ({"ключ": 1}, InvalidError, "is no identifier"),
    "long text": ({"k": "x" * 32_769}, TooLargeError, "32,768 UTF-16 units"),
    "long text, astral": ({"k": "\U0001f600" * 16_385}, TooLargeError, "32,768 UTF-16 units"),
    "nan": ({"k": float("nan")}, InvalidError, "finite"),
    "infinity": ({"k": float("-inf")}, InvalidError, "finite"),
    "naive time": ({"k": datetime(2026, 1, 1)}, InvalidError, "time zone"),  # noqa: DTZ001
    "list": ({"k": ["a"]}, InvalidError, "list"),
    "nested": ({"k": {"a": 1}}, InvalidError, "dict"),
    "none": ({"k": None}, InvalidError, "NoneType"),
    "bytes": ({"k": b"x"}, InvalidError, "bytes"),
    "large int": ({"k": 1 << 63}, InvalidError, "64 bits"),
    "small int": ({"k": -(1 << 63) - 1}, InvalidError, "64 bits"),
    "surrogate": ({"k": "\ud800"}, InvalidError, "surrogate"),
    "no mapping": ("k=v", InvalidError, "mapping"),
    "too much": ({f"k{n}": "x" * 32_000 for n in range(17)}, TooLargeError, "512 KiB"),
}


@pytest.mark.parametrize(("metadata", "error", "words"), WRONG.values(), ids=WRONG.keys())
def test_metadata_outside_the_rules_is_refused_with_the_rule(
    metadata: Metadata, error: type[InvalidError], words: str
) -> None:
    with pytest.raises(error, match=words):
        check_metadata(metadata)


@pytest.mark.parametrize("value", [2**31, 2**53 + 1, -(1 << 63), "", "x" * 32_768, 0.1, True])
def test_metadata_at_the_edge_of_the_rules_is_kept(value: str | float | bool) -> None:
    assert check_metadata({"k": value}) == {"k": value}
