"""Indexes: what they can be on, the keys of their rows, and what is written where a head changes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.alterations import AddIndex, EndIndex, index_on, with_index_state, without_index
from catalog.columns import file_values, head_values, parse_volume, volume_values
from catalog.entities import Claim, FileVersion, Head, Index, VolumeInfo
from catalog.errors import ConflictError, InvalidError
from catalog.head_rows import UnknownIndexError, changed, kept_up, rewritten
from catalog.indexes import all_of, check_index, index_row
from catalog.keys import ENCODED_UNITS_MAX, encode, fitted, head_row, index_id, is_index_row, version_row
from catalog.rows import Entity, check_key
from catalog.table import Delete, Insert, Operation, Replace
from catalog.times import EPOCH
from tests.catalog.strategies import FILES

OWNER = Index("1", ("meta.owner",), "ready")
NEWEST = Index("2", ("kind", "-created"), "building")
GONE = Index("3", ("size",), "dropping")
BARE = VolumeInfo("raw", "E", "immutable", 1, "raw/", 1, EPOCH, default=False)
VOLUME = replace(BARE, indexes=(OWNER, NEWEST, GONE), indexes_made=3)


def a_file(path: str = "a", version: int = 1, **more: Any) -> FileVersion:
    fields: dict[str, Any] = {
        "volume": "raw", "path": path, "version": version, "kind": "put", "etag": f"op{version}", "size": version,
        "digest": "sha256:0", "md5": None, "content_type": "text/csv", "metadata": {}, "modified": None, "writer": "w",
        "created": datetime(2026, 1, 1, second=version, tzinfo=UTC), "request_id": None, "chain": "c", "blob": "b",
        "blob_etag": "e", "blob_version": None,
    }  # fmt: skip
    return FileVersion(**fields | more)


def rows(operations: tuple[Operation, ...]) -> dict[str, type[Operation]]:
    """The rows in indexes that are written, and how."""
    return {operation.row: type(operation) for operation in operations if is_index_row(operation.row)}


def key(index: Index, file: FileVersion) -> str:
    return index_row(index, file_values(file))


@pytest.mark.parametrize("on", [["meta.owner"], ["-created"], ["kind", "meta.a", "-meta.b"], ["digest", "size"]])
def test_an_index_is_on_fields(on: list[str]) -> None:
    assert check_index(on) == tuple(on)


@pytest.mark.parametrize(
    ("on", "why"),
    [
        ([], "one to 3 fields, not on 0"),
        (["a", "b", "c", "d"], "there is no field 'a'"),
        (["size", "kind", "etag", "md5"], "one to 3 fields, not on 4"),
        (["path"], "in order of path already"),
        (["-path", "size"], "in order of path already"),
        (["owner"], "there is no field 'owner': use meta.KEY or one of version, kind"),
        (["meta.not one"], "'meta.not one' is no metadata key"),
        (["meta."], "'meta.' is no metadata key"),
        (["size", "-size"], "names a field once"),
        ([5], "its name, such as 'meta.owner' or '-created', not 5"),
        ([None], "its name"),
    ],
)
def test_what_is_no_index_is_said(on: list[Any], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        check_index(on)


@given(FILES, st.sampled_from([OWNER, NEWEST, GONE, Index("z", ("meta.n", "meta.owner", "-modified"), "ready")]))
def test_every_file_has_a_key_that_any_service_takes(file: FileVersion, index: Index) -> None:
    row = key(index, replace(file, path="2026/a b/é#😀.csv"))
    check_key("RowKey", row)
    assert all_of(index).first <= row < all_of(index).stop
    assert is_index_row(row)
    assert index_id(row) == index.id


def test_rows_are_in_order_of_the_fields_and_then_of_the_path() -> None:
    by = Index("1", ("meta.owner", "-size"), "ready")
    written = [
        a_file("a", 1, metadata={"owner": "developers"}),
        a_file("a-b", 2, metadata={"owner": "dev"}),
        a_file("a/b", 2, metadata={"owner": "dev"}),
        a_file("z", 5),  # without an owner
        a_file("b", 9, metadata={"owner": "dev"}),
    ]
    assert [file.path for file in sorted(written, key=lambda file: key(by, file))] == ["z", "b", "a/b", "a-b", "a"]


def test_a_time_of_a_user_is_a_time_and_a_learned_digest_a_digest() -> None:
    due = Index("1", ("meta.due",), "ready")
    early, late = (a_file(metadata={"due": datetime(year, 1, 1, tzinfo=UTC)}) for year in (1969, 2026))
    assert key(due, a_file(metadata={"due": "text"})) < key(due, early) < key(due, late)
    learned = a_file(digest="sha256:5", learned=True)
    by = Index("1", ("digest",), "ready")
    assert key(by, learned) == key(by, replace(learned, learned=False))


def test_long_paths_have_keys_of_their_own() -> None:
    paths = ["x" * (ENCODED_UNITS_MAX - 1) + end for end in "ab"]
    by = Index("1", ("meta.a", "meta.b", "meta.c"), "ready")
    metadata = {"a": "y" * 300, "b": "y" * 300, "c": "y" * 300}
    keys = {key(by, a_file(path, metadata=metadata)) for path in paths}
    assert len(keys) == 2
    for each in keys:
        check_key("RowKey", each)


@given(st.text("ab/ '", min_size=1, max_size=80), st.integers(34, 60))
def test_a_path_that_is_cut_is_no_other_path(path: str, room: int) -> None:
    """It has U+0020 before its hash, which no encoded path contains."""
    found = fitted(path, room)
    assert len(found) <= room
    assert (found == encode(path)) == (" " not in found)


def test_a_new_file_gets_a_row_in_each_index_that_is_kept_up() -> None:
    file = a_file(metadata={"owner": "ops"})
    head, version, *more = changed(VOLUME, file, None)
    assert head == Insert(head_row("a"), file_values(file) | {"indexed": "1 2"})
    assert version == Insert(version_row("a", 1), file_values(file))
    assert more == [Insert(key(index, file), file_values(file)) for index in (OWNER, NEWEST)]


def test_the_next_version_takes_the_rows_of_the_last_one_with_it() -> None:
    """Those that its mark names: also of an index that is being dropped, and not of one it was never in."""
    first = a_file(metadata={"owner": "ops"})
    second = a_file(version=2, metadata={"owner": "ops"})
    written = changed(VOLUME, second, Head(first, "etag", None, ("1", "3")))
    assert written[0] == Replace(head_row("a"), file_values(second) | {"indexed": "1 2"}, "etag")
    assert rows(written) == {key(OWNER, second): Replace, key(NEWEST, second): Insert, key(GONE, first): Delete}


def test_a_delete_leaves_no_row() -> None:
    first, gone = a_file(), a_file(version=2, kind="delete")
    written = changed(VOLUME, gone, Head(first, "etag", None, ("1", "2")))
    assert written[0] == Replace(head_row("a"), file_values(gone), "etag")
    assert rows(written) == {key(OWNER, first): Delete, key(NEWEST, first): Delete}


def test_a_volume_without_indexes_writes_what_it_always_did() -> None:
    assert len(changed(BARE, a_file(), None)) == 2
    assert changed(BARE, a_file(version=2), Head(a_file(), "e"))[0] == Replace(
        head_row("a"), file_values(a_file(version=2)), "e"
    )


def test_a_claim_is_in_every_row_of_the_file() -> None:
    head = Head(a_file(), "etag", None, ("1", "2"))
    claimed = replace(head, claim=Claim("m", "b", 4))
    written = rewritten(VOLUME, head, claimed)
    values = head_values(head.file, claimed.claim)
    assert written[0] == Replace(head_row("a"), values | {"indexed": "1 2"}, "etag")
    assert list(written[1:]) == [Replace(key(index, head.file), values) for index in (OWNER, NEWEST)]


def test_filling_touches_no_row_that_is_there() -> None:
    head = Head(a_file(), "etag", None, ("1",))
    _, *more = rewritten(VOLUME, head, replace(head, indexed=("1", "2")))
    assert more == [Insert(key(NEWEST, head.file), file_values(head.file))]


def test_a_row_moves_where_its_key_changes() -> None:
    by = Index("1", ("digest",), "ready")
    volume = replace(BARE, indexes=(by,))
    before = Head(a_file(digest=""), "etag", None, ("1",))
    after = replace(before, file=replace(before.file, digest="sha256:7", learned=True))
    assert rows(rewritten(volume, before, after)) == {key(by, before.file): Delete, key(by, after.file): Insert}


def test_a_mark_that_is_not_known_is_of_newer_settings() -> None:
    head = Head(a_file(), "etag", None, ("1", "9"))
    with pytest.raises(UnknownIndexError, match="'a' is in an index '9'"):
        changed(VOLUME, a_file(version=2), head)
    with pytest.raises(UnknownIndexError):
        rewritten(VOLUME, head, replace(head, claim=Claim("m", "b")))


def test_what_is_kept_up() -> None:
    assert kept_up(VOLUME, a_file()) == ("1", "2")
    assert kept_up(VOLUME, a_file(kind="delete")) == ()


def test_alterations_change_nothing_where_it_is_so() -> None:
    added = AddIndex(("size",)).applied(BARE)
    assert [(index.id, index.on, index.state) for index in added.indexes] == [("1", ("size",), "building")]
    assert AddIndex(("size",)).applied(added) == added
    ended = EndIndex("1").applied(added)
    assert [index.state for index in ended.indexes] == ["dropping"]
    assert EndIndex("1").applied(ended) == ended == EndIndex("7").applied(ended)
    assert index_on(ended, ("size",)) is None


def test_an_index_that_is_made_again_has_another_id() -> None:
    ended = EndIndex("1").applied(AddIndex(("size",)).applied(BARE))
    both = AddIndex(("size",)).applied(ended)
    assert [(index.id, index.state) for index in both.indexes] == [("1", "dropping"), ("2", "building")]
    assert AddIndex(("size",)).applied(without_index(without_index(both, "1"), "2")).indexes[0].id == "3"
    assert with_index_state(both, "2", "ready").indexes[1].state == "ready"


def test_there_are_eight_at_most() -> None:
    info = BARE
    for number in range(8):
        info = AddIndex((f"meta.k{number}",)).applied(info)
    assert AddIndex(("meta.k3",)).applied(info) == info
    with pytest.raises(ConflictError, match="has 8 indexes, which is as many as there can be") as caught:
        AddIndex(("meta.k9",)).applied(info)
    assert caught.value.kind == "conflict.indexes"


def test_a_volume_keeps_its_indexes_in_its_row() -> None:
    row = Entity("~", "vraw", volume_values(VOLUME), "etag", 0)
    assert parse_volume(row, None) == VOLUME
