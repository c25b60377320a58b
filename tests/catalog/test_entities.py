"""Records and rows: `parse(format(x)) == x`, and rows that are not ours are refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.columns import (
    SCHEMA,
    VOLUME_SCHEMA,
    file_values,
    intent_values,
    learned_values,
    parse_file,
    parse_intent,
    parse_registry,
    parse_request,
    parse_summary,
    parse_version,
    parse_volume,
    purged_values,
    purging_values,
    registry_values,
    request_values,
    volume_values,
)
from catalog.entities import FileVersion, Index, Intent, Kind, Registry, VersionRow, VolumeInfo, chain
from catalog.errors import IntegrityError, InvalidError
from catalog.rows import (
    Entity,
    Values,
    check_values,
)
from tests.catalog.strategies import FILES, INTS, TEXT

A_FILE = FileVersion(
    "raw", "a", 1, "put", "op", 1, "sha256:00", "00", "text/plain", {}, datetime(2026, 1, 1, tzinfo=UTC), None, "me",
    None, "", "raw/a", "e", None,
)  # fmt: skip

A_VOLUME = VolumeInfo("raw", "01E", "immutable", 16, "raw/", 3, datetime(1970, 1, 1, tzinfo=UTC), default=True)


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


@given(FILES, TEXT)
def test_a_digest_that_was_learned_stands_beside_the_record(file: FileVersion, digest: str) -> None:
    """It is merged into the row of a version that has none; where there is one, it counts for nothing."""
    unread = replace(file, digest="", chain=chain("", replace(file, digest="")))
    learned = parse_file("raw", row(file_values(unread) | learned_values(f"sha256:{digest}")))
    assert learned == replace(unread, digest=f"sha256:{digest}", learned=True)
    assert chain("", learned) == unread.chain
    assert parse_file("raw", row(file_values(learned))) == learned
    assert parse_file("raw", row(file_values(A_FILE) | learned_values("sha256:other"))) == A_FILE


def test_a_version_row_says_what_became_of_its_content() -> None:
    """Columns are merged into it, one after the other; the record stays what it was."""
    values = file_values(A_FILE)
    assert parse_version("raw", row(values)) == VersionRow(A_FILE, "e")
    values |= purging_values("run")
    assert parse_version("raw", row(values)) == VersionRow(A_FILE, "e", "run")
    values |= purged_values()
    assert parse_version("raw", row(values)) == VersionRow(A_FILE, "e", "run", purged=True)
    assert not parse_version("raw", row(values)).live


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
    adopting = replace(info, adopted=("", "日本/\"'"))
    assert parse_volume(row(volume_values(adopting), 0), "raw") == adopting
    assert parse_registry(row(registry_values(Registry("raw")))) == Registry("raw")
    assert parse_registry(row(registry_values(Registry()))) == Registry()
    assert parse_registry(None) == Registry()


def test_a_row_of_a_newer_schema_is_refused_not_misread() -> None:
    values = file_values(A_FILE) | {"schema": SCHEMA + 1}
    with pytest.raises(InvalidError, match=r"newer blobcat.*upgrade"):
        parse_file("raw", row(values))


def test_a_volume_of_which_older_readers_know_too_little_is_of_a_newer_schema() -> None:
    """They would write heads without rows of indexes, or versions without changes; of other volumes nothing changed."""
    index = Index("1", ("size",), "building")
    newer = [
        replace(A_VOLUME, indexes=(index,), indexes_made=1),
        replace(A_VOLUME, indexes_made=1),
        replace(A_VOLUME, changes_since=A_VOLUME.created),
    ]
    for info in newer:
        assert volume_values(info)["schema"] == VOLUME_SCHEMA > SCHEMA
        assert parse_volume(row(volume_values(info), 0), "raw") == info
    assert volume_values(A_VOLUME)["schema"] == SCHEMA
    with pytest.raises(InvalidError, match="newer blobcat"):
        parse_volume(row(volume_values(A_VOLUME) | {"schema": VOLUME_SCHEMA + 1}), "raw")
    with pytest.raises(InvalidError, match="newer blobcat"):
        parse_file("raw", row(file_values(A_FILE) | {"schema": VOLUME_SCHEMA}))


@pytest.mark.parametrize("missing", ["schema", "path", "version", "digest", "blob"])
def test_a_row_that_lacks_something_is_damage(missing: str) -> None:
    values = {name: value for name, value in file_values(A_FILE).items() if name != missing}
    with pytest.raises(IntegrityError):
        parse_file("raw", row(values))


@pytest.mark.parametrize("column", ["created", "modified"])
def test_a_time_that_is_in_no_calendar_is_damage(column: str) -> None:
    with pytest.raises(IntegrityError):
        parse_file("raw", row(file_values(A_FILE) | {column: 2**62}))


def test_a_volume_that_was_made_in_no_calendar_is_damage() -> None:
    with pytest.raises(IntegrityError):
        parse_volume(row(volume_values(A_VOLUME) | {"created": 2**62}), None)


@pytest.mark.parametrize(
    ("parse", "values", "missing"),
    [
        (parse_summary, file_values(A_FILE), "size"),
        (parse_intent, intent_values(Intent("op", "put", "a", "raw/a", 0, "me", 1, 60, "open")), "writer"),
        (parse_request, request_values(A_FILE), "version"),
        (lambda entity: parse_volume(entity, None), volume_values(A_VOLUME), "root"),
    ],
    ids=["head", "intent", "request", "volume"],
)
def test_every_other_row_that_lacks_something_is_damage_too(
    parse: Callable[[Entity], object], values: Values, missing: str
) -> None:
    parse(row(values))
    with pytest.raises(IntegrityError):
        parse(row({name: value for name, value in values.items() if name != missing}))


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
