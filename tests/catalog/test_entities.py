"""Records and rows: `parse(format(x)) == x`, and rows that are not ours are refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.entities import (
    SCHEMA,
    FileVersion,
    Intent,
    Kind,
    Metadata,
    Registry,
    VolumeInfo,
    chain,
    check_metadata,
    file_values,
    intent_values,
    parse_file,
    parse_intent,
    parse_registry,
    parse_volume,
    registry_values,
    volume_values,
)
from catalog.errors import IntegrityError, InvalidError, TooLargeError
from catalog.rows import (
    Entity,
    Values,
    check_values,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(datetime(1601, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
INTS = st.integers(-(1 << 63), (1 << 63) - 1)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
METADATA = st.dictionaries(
    KEYS, st.one_of(TEXT, INTS, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TIMES), max_size=8
)
FILES = st.builds(
    FileVersion,
    volume=st.just("raw"),
    path=TEXT,
    version=st.integers(1, 10**9),
    kind=st.sampled_from(get_args(Kind)),
    etag=TEXT,
    size=st.integers(0, (1 << 63) - 1),
    digest=TEXT,
    md5=st.none() | TEXT,
    content_type=TEXT,
    metadata=METADATA,
    created=TIMES,
    modified=st.none() | TIMES,
    writer=TEXT,
    request_id=st.none() | TEXT,
    chain=TEXT,
    blob=TEXT,
    blob_etag=TEXT,
    blob_version=st.none() | TEXT,
)
A_FILE = FileVersion(
    "raw", "a", 1, "put", "op", 1, "sha256:00", "00", "text/plain", {}, datetime(2026, 1, 1, tzinfo=UTC), None, "me",
    None, "", "raw/a", "e", None,
)  # fmt: skip


def row(values: Values, timestamp: int = 5) -> Entity:
    return Entity("p", "r", values, "e", timestamp)


@given(FILES)
def test_a_version_comes_back_from_its_row_as_it_was(file: FileVersion) -> None:
    values = file_values(file)
    check_values("p", "r", values)
    parsed = parse_file("raw", row(values))
    assert parsed == file
    assert {key: type(value) for key, value in parsed.metadata.items()} == {
        key: type(value) for key, value in file.metadata.items()
    }


@given(
    st.builds(
        Intent,
        op=TEXT,
        kind=st.sampled_from(get_args(Kind)),
        path=TEXT,
        blob=TEXT,
        base_version=INTS,
        writer=TEXT,
        generation=INTS,
        patience_s=INTS,
        state=st.sampled_from(["open", "aborted"]),
    )
)
def test_an_intent_comes_back_with_its_etag_and_time(intent: Intent) -> None:
    parsed = parse_intent(row(intent_values(intent)))
    assert (parsed.intent, parsed.etag, parsed.timestamp) == (intent, "e", 5)


def test_a_volume_and_the_registry_come_back() -> None:
    info = VolumeInfo("raw", "01E", "immutable", 16, "raw/", 3, datetime(1970, 1, 1, tzinfo=UTC), default=True)
    assert parse_volume(row(volume_values(info), 0), "raw") == info
    assert parse_volume(row(volume_values(info), 0), None) == replace(info, default=False)
    assert parse_registry(row(registry_values(Registry("raw")))) == Registry("raw")
    assert parse_registry(row(registry_values(Registry()))) == Registry()
    assert parse_registry(None) == Registry()


def test_a_row_of_a_newer_schema_is_refused_not_misread() -> None:
    values = file_values(A_FILE) | {"schema": SCHEMA + 1}
    with pytest.raises(InvalidError, match=r"newer blobcat.*upgrade"):
        parse_file("raw", row(values))


@pytest.mark.parametrize("missing", ["schema", "path", "version", "digest", "blob"])
def test_a_row_that_lacks_something_is_damage(missing: str) -> None:
    values = {name: value for name, value in file_values(A_FILE).items() if name != missing}
    with pytest.raises(IntegrityError):
        parse_file("raw", row(values))


@given(FILES, TEXT)
def test_the_chain_covers_what_was_written_and_not_the_services_words(file: FileVersion, previous: str) -> None:
    link = chain(previous, file)
    assert link == chain(previous, replace(file, blob_etag="moved", blob_version="x", chain="y", writer="z"))
    assert link != chain(previous + "x", file)
    assert link != chain(previous, replace(file, digest=file.digest + "0"))
    assert link != chain(previous, replace(file, version=file.version + 1))
    assert link != chain(previous, replace(file, metadata={**file.metadata, "extra_key_of_this_test": 1}))


def test_the_chain_is_the_same_for_ever() -> None:
    assert chain("", A_FILE) == "53b270e4f10f685def6901cb27d66ab7b63394467c58bf5571a73983a4df1cc1"


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
