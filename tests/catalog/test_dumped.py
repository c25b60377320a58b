"""The lines of a dump, and what must hold of them together."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.dumped import (
    LINE_BYTES_MAX,
    DumpedVersion,
    DumpedVolume,
    DumpEnd,
    DumpHeader,
    dump_line,
    parse_dump_line,
)
from catalog.entities import FileVersion, Kind, chain
from catalog.errors import IntegrityError, InvalidError
from catalog.keys import encode
from catalog.ledger import Ledger
from catalog.metadata import METADATA_BYTES_MAX, METADATA_KEYS_MAX
from catalog.paths import check_path
from tests.catalog.strategies import METADATA, TIMES

NOW = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
VOLUME = DumpedVolume("v", "immutable", 4, "v/", NOW, default=True)
FILE = FileVersion(
    volume="v",
    path="a",
    version=1,
    kind="put",
    etag="01M7YCPAKD2GQVXSGKZSN1T2D4",
    size=1,
    digest="sha256:" + "0" * 64,
    md5="0" * 32,
    content_type="text/plain",
    metadata={},
    created=NOW,
    modified=None,
    writer="tests",
    request_id=None,
    chain="",
    blob="v/.versions/a~01M7YCPAKD2GQVXSGKZSN1T2D4",
    blob_etag="0x1",
    blob_version=None,
)


def is_path(text: str) -> bool:
    try:
        return check_path(text) == text
    except InvalidError:
        return False


paths = st.text(st.sampled_from("aAbü日\U0001f408 -_.!~%"), min_size=1, max_size=8).filter(is_path) | st.from_regex(
    r"[a-c]/[a-c-]{1,3}(/[a-c]{1,2})?", fullmatch=True
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def file_of(path: str, version: int, before: str, **fields: Any) -> FileVersion:
    file = replace(FILE, path=path, version=version, blob=f"v/.versions/x~{version}", **fields)
    return replace(file, chain=chain(before, file))


@given(
    path=paths,
    version=st.integers(1, 10**9),
    kind=st.sampled_from([kind for kind in get_args(Kind) if kind != "delete"]),
    metadata=METADATA,
    created=TIMES,
    modified=st.none() | TIMES,
    purging=st.sampled_from(["", "01RUN"]),
    purged=st.booleans(),
)
def test_a_line_says_all_of_a_version_and_is_the_same_again(
    path: str, purging: str, *, purged: bool, **fields: Any
) -> None:
    version = fields.pop("version")
    record = DumpedVersion(file_of(path, version, "", **fields), purging, purged)
    line = dump_line(record)
    found = parse_dump_line(line)
    assert isinstance(found, DumpedVersion)
    assert found == record
    types = {key: type(value) for key, value in record.file.metadata.items()}
    assert {key: type(value) for key, value in found.file.metadata.items()} == types
    assert dump_line(found) == line
    assert line.isascii()
    assert line.count("\n") == 1
    assert chain("", found.file) == record.file.chain


prefixes = st.sampled_from([(), ("",), ("in/", "out/"), ("ünï 🐈",), ("a\u0301/",)])
indexes = st.sampled_from([(), (("meta.owner",),), (("meta.owner", "-created"), ("size",))])


@given(st.lists(st.integers(0, 50), max_size=5), TIMES, prefixes, indexes)
def test_headers_and_ends_are_the_same_again(
    counts: list[int], created: datetime, adopted: tuple[str, ...], on: tuple[tuple[str, ...], ...]
) -> None:
    volumes = tuple(replace(VOLUME, name=f"v{n}", created=created, adopted=adopted, indexes=on) for n in counts)
    line = dump_line(DumpHeader(volumes))
    assert parse_dump_line(line) == DumpHeader(volumes)
    assert json.loads(line)["format_version"] == (2 if counts and on else 1)
    end = DumpEnd(len(counts), sum(counts), 7, "0" * 64)
    assert parse_dump_line(dump_line(end)) == end


def test_a_volume_that_adopts_nothing_has_no_such_field() -> None:
    """So a dump is as it was before there was one, and that is a dump still."""
    (said,) = json.loads(dump_line(DumpHeader((VOLUME,))))["volumes"]
    assert "adopted" not in said


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "in/",
        [],
        [1],
        ["b/", "a/"],
        ["a/", "a/"],
        ["a", "a/b"],
        ["", "a"],
        ["\0"],
        ["x" * 5000],
        [f"{n:02}/" for n in range(31)],
    ],
)
def test_what_cannot_be_adopted_prefixes_is_refused(wrong: object) -> None:
    fields = json.loads(dump_line(DumpHeader((replace(VOLUME, adopted=("in/",)),))))
    fields["volumes"][0]["adopted"] = wrong
    with pytest.raises(IntegrityError, match="adopted"):
        parse_dump_line(json.dumps(fields))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"new": 1},
        {"indexes": None},
        {"indexes": []},
        {"indexes": ["size"]},
        {"indexes": [[]]},
        {"indexes": [[1]]},
        {"indexes": [["frob"]]},
        {"indexes": [["size"], ["size"]]},
        {"indexes": [[f"meta.k{n}"] for n in range(9)]},
    ],
)
def test_what_cannot_be_settings_is_refused(wrong: object) -> None:
    fields = json.loads(dump_line(DumpHeader((VOLUME,))))
    fields["volumes"][0]["settings"] = wrong
    with pytest.raises(IntegrityError, match="settings"):
        parse_dump_line(json.dumps(fields))


@given(st.binary(max_size=200) | texts.map(str.encode))
def test_whatever_a_line_is_it_is_a_record_or_an_error_of_one_line(line: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        parse_dump_line(line)
    assert "\n" not in str(caught.value)


@given(st.data())
def test_a_value_that_breaks_a_rule_is_refused_by_its_name(data: st.DataObject) -> None:
    fields = json.loads(dump_line(DumpedVersion(file_of("a", 1, ""))))
    name = data.draw(st.sampled_from([name for name in fields if name != "record"]))
    wrong = data.draw(st.sampled_from([[], {"x": [1]}, -1, 1.5, 10**30, "\0", "\n", "x" * 5000]))
    with pytest.raises(IntegrityError, match=name):
        parse_dump_line(json.dumps(fields | {name: wrong}))


def test_the_largest_version_that_can_be_fits_into_a_line() -> None:
    """512 KiB of metadata as JSON, and everything else as long as it may be."""
    each = METADATA_BYTES_MAX // METADATA_KEYS_MAX // 6 - 10
    large = {f"k{number}": "\x7f\u00e4" * (each // 2) for number in range(METADATA_KEYS_MAX)}
    file = file_of("\U0001f408" * 60, 10**9, "", metadata=large, content_type="x" * 255, writer="w" * 200)
    assert len(dump_line(DumpedVersion(file))) < LINE_BYTES_MAX // 4


# --- The ledger ------------------------------------------------------------------------------------------------------


def ledger_of(*records: Any) -> Ledger:
    ledger = Ledger()
    for record in (DumpHeader((VOLUME,)), *records):
        ledger.take(record, dump_line(record).encode())
    return ledger


@given(st.lists(paths, min_size=1, max_size=6, unique=True), st.integers(1, 3))
def test_paths_in_the_order_of_the_catalog_follow_each_other_and_no_others(found: list[str], versions: int) -> None:
    ordered, ledger = sorted(found, key=encode), ledger_of()
    for path in ordered:
        before = ""
        for version in range(1, versions + 1):
            file = file_of(path, version, before)
            ledger.take(DumpedVersion(file), b"")
            before = file.chain
    end = ledger.end()
    assert (end.paths, end.versions) == (len(found), len(found) * versions)
    for path in ordered:
        with pytest.raises(IntegrityError):
            ledger.take(DumpedVersion(file_of(path, 1, "")), b"")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"writer": "x"}, None),  # the chain is not over it
        ({"size": 2}, "chain"),
        ({"digest": "sha256:" + "1" * 64}, "chain"),
        ({"metadata": {"a": 1}}, "chain"),
        ({"created": NOW + timedelta(microseconds=1)}, "chain"),
        ({"source": "b@1"}, "chain"),
        ({"volume": "w"}, "not in the header"),
        ({"blob": "w/.versions/a~1"}, "not below the volume's root"),
    ],
)
def test_what_the_chain_is_over_cannot_be_changed(change: dict[str, Any], says: str | None) -> None:
    file, ledger = replace(file_of("a", 1, ""), **change), ledger_of()
    if says is None:
        ledger.take(DumpedVersion(file), b"")
        return
    with pytest.raises(IntegrityError, match=says):
        ledger.take(DumpedVersion(file), b"")


def test_a_chain_of_integers_is_not_that_of_floats() -> None:
    file, ledger = file_of("a", 1, "", metadata={"n": 5}), ledger_of()
    with pytest.raises(IntegrityError, match="chain"):
        ledger.take(DumpedVersion(replace(file, metadata={"n": 5.0})), b"")


def test_an_adopted_blob_lies_in_nobody_elses_root() -> None:
    other, ledger = replace(VOLUME, name="w", root="w/"), Ledger()
    ledger.take(DumpHeader((VOLUME, other)), b"")
    file = replace(FILE, kind="adopt", blob="foreign/x")
    ledger.take(DumpedVersion(replace(file, chain=chain("", file))), b"")
    file = replace(file, path="b", blob="w/.versions/x")
    with pytest.raises(IntegrityError, match="another volume's"):
        ledger.take(DumpedVersion(replace(file, chain=chain("", file))), b"")


@pytest.mark.parametrize("theirs", ["in/", "in/x/", "", "i"])
def test_no_two_volumes_adopt_the_same(theirs: str) -> None:
    one, other = replace(VOLUME, adopted=("in/",)), replace(VOLUME, name="w", root="w/", adopted=(theirs,))
    with pytest.raises(IntegrityError, match="adopts 'in/'"):
        Ledger().take(DumpHeader((one, other)), b"")
    Ledger().take(DumpHeader((one, replace(other, adopted=("inn/", "out/")))), b"")


def test_the_end_is_over_all_lines() -> None:
    ledger = ledger_of(DumpedVersion(file_of("a", 1, "")))
    end = ledger.end()
    for wrong in (
        replace(end, paths=2),
        replace(end, versions=2),
        replace(end, volumes=0),
        replace(end, sha256="1" * 64),
    ):
        with pytest.raises(IntegrityError, match="counts or sha256"):
            ledger.take(wrong, b"")
    ledger.take(end, b"")
    assert ledger.ended
