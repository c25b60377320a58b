"""`put`, `get` and `rm`."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.cli.driver import Blobcat

FIELDS = [
    "volume",
    "path",
    "version",
    "kind",
    "etag",
    "size",
    "digest",
    "md5",
    "content_type",
    "metadata",
    "created",
    "modified",
    "writer",
    "request_id",
    "chain",
    "blob",
    "blob_etag",
    "blob_version",
    "source",
    "learned",
    "purged",
]


def parts_left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_put_says_what_is_there_now(blobcat: Blobcat) -> None:
    put = blobcat("put", blobcat.file("a.txt"), "2026/a.txt")
    assert (put.code, put.err) == (0, "")
    assert put.lines == ["2026/a.txt  version 1  6 B  sha256 5891b5b522d5"]


def test_put_json_has_every_field_of_a_version(blobcat: Blobcat) -> None:
    record = blobcat("put", blobcat.file("a.txt"), "a.txt", "--json").record
    assert list(record) == FIELDS
    assert record["digest"] == "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert record["content_type"] == "text/plain"
    assert record["modified"].endswith("Z")


def test_put_reads_standard_input_and_get_writes_standard_output(blobcat: Blobcat) -> None:
    content = bytes(range(256)) * 5000
    assert blobcat("put", "-", "x.bin", stdin=content).code == 0
    assert blobcat("get", "x.bin", "-").stdout == content
    assert blobcat("get", "x.bin", "-", "--json").stdout == content


def test_a_stream_of_no_known_size_arrives_whole(blobcat: Blobcat) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    blobcat("put", "-", "a.tar", stdin=archive.getvalue())
    assert blobcat("stat", "a.tar", "--json").record["size"] == len(archive.getvalue())


def test_metadata_has_types(blobcat: Blobcat) -> None:
    given = [
        "owner=ops",
        "eq=a=b",
        "n:int=5",
        "share:float=0.5",
        "done:bool=true",
        "due:time=2026-11-20T10:00:00+02:00",
    ]
    record = blobcat("put", "-", "x", "--json", *(word for item in given for word in ("--meta", item))).record
    due = "2026-11-20T08:00:00Z"
    assert record["metadata"] == {"owner": "ops", "eq": "a=b", "n": 5, "share": 0.5, "done": True, "due": due}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("owner", "KEY=VALUE"),
        ("=x", "KEY=VALUE"),
        ("n:int=five", "'five' is not a whole number"),
        ("n:number=5", "the type is one of"),
        ("b:bool=yes", "'yes' is not true or false"),
        ("t:time=2026-11-20T10:00:00", "not a time with its zone"),
        ("t:time=soon", "not a time"),
        ("no-name=x", "no identifier"),
        ("f:float=nan", "not a finite number"),
    ],
)
def test_bad_metadata_is_refused_in_one_line(blobcat: Blobcat, item: str, said: str) -> None:
    refused = blobcat("put", "-", "x", "--meta", item)
    assert refused.code == 2
    assert said in refused.err.splitlines()[0]
    assert len(refused.err.splitlines()) <= 2
    assert blobcat("ls").lines == []


def test_metadata_given_twice_is_refused(blobcat: Blobcat) -> None:
    assert "given twice" in blobcat("put", "-", "x", "--meta", "a=1", "--meta", "a=2").err


def test_the_modes_say_expected_and_found(blobcat: Blobcat) -> None:
    etag = blobcat("put", "-", "x", "--create", "--json", stdin=b"1").record["etag"]
    again = blobcat("put", "-", "x", "--create", stdin=b"2")
    assert again.code == 4
    assert again.err.splitlines() == [
        "blobcat: put 'x': expected no file, found version 1",
        "  → look at it with blobcat stat x; if that is to be replaced, --if-version 1",
    ]
    assert blobcat("put", "-", "x", "--if-version", "2", stdin=b"2").code == 4
    assert blobcat("put", "-", "x", "--if-match", etag, stdin=b"2").code == 0
    assert blobcat("put", "-", "x", "--if-version", "2", stdin=b"3").code == 0
    error = blobcat("put", "-", "x", "--if-match", etag, "--json", stdin=b"4").error
    assert (error["kind"], error["op"], error["key"]) == ("conflict.etag", "put", "x")
    assert error["expected"] == f"etag {etag}"


def test_two_modes_exclude_each_other(blobcat: Blobcat) -> None:
    refused = blobcat("put", "-", "x", "--create", "--if-version", "1")
    assert (refused.code, refused.err) == (2, "blobcat: --create and --if-version exclude each other\n")


def test_force_writes_equal_content_again(blobcat: Blobcat) -> None:
    assert [blobcat("put", "-", "x", *force, "--json").record["version"] for force in ([], [], ["--force"])] == [
        1,
        1,
        2,
    ]


def test_content_type_is_taken(blobcat: Blobcat) -> None:
    assert blobcat("put", "-", "x", "--content-type", "a/b", "--json").record["content_type"] == "a/b"


def test_put_of_a_folder_says_ingest(blobcat: Blobcat) -> None:
    (blobcat.folder / "in").mkdir()
    refused = blobcat("put", "in", "x")
    assert (refused.code, refused.err) == (2, "blobcat: in is a folder\n  → blobcat ingest in brings in all of it\n")


def test_put_of_a_missing_file(blobcat: Blobcat) -> None:
    refused = blobcat("put", "nofile", "x")
    assert (refused.code, refused.err) == (3, "blobcat: there is no file nofile\n")


@pytest.mark.parametrize("path", ["", "../x", "/x", "a//b", "a\\b", "C:/x", ".versions/x", "a\nb", "x."])
def test_paths_are_taken_as_they_stand_or_refused(blobcat: Blobcat, path: str) -> None:
    refused = blobcat("put", "-", path)
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1


def test_get_writes_into_this_folder_by_default(blobcat: Blobcat) -> None:
    blobcat("put", "-", "deep/er/a.txt", stdin=b"x")
    got = blobcat("get", "deep/er/a.txt")
    assert got.lines == ["a.txt  version 1  1 B  verified"]
    assert (blobcat.folder / "a.txt").read_bytes() == b"x"
    assert parts_left(blobcat.folder) == []


def test_get_writes_into_a_folder_and_to_a_name(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a.txt", stdin=b"1")
    blobcat("put", "-", "a.txt", stdin=b"2")
    (blobcat.folder / "to").mkdir()
    assert blobcat("get", "a.txt", "to", "--json").record["target"] == "to/a.txt"
    assert blobcat("get", "a.txt", "to/b.txt", "--version", "1").code == 0
    assert [(blobcat.folder / "to" / name).read_bytes() for name in ("a.txt", "b.txt")] == [b"2", b"1"]


def test_get_refuses_to_overwrite_until_forced(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a.txt", stdin=b"new")
    Path("a.txt").write_text("mine")
    refused = blobcat("get", "a.txt")
    assert (refused.code, Path("a.txt").read_text()) == (4, "mine")
    assert refused.err == (
        "blobcat: cannot write a.txt: it is there already\n  → --overwrite replaces it; or name another file\n"
    )
    assert blobcat("get", "a.txt", "--overwrite").code == 0
    assert Path("a.txt").read_text() == "new"


def test_get_replaces_a_link_and_does_not_follow_it(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a.txt", stdin=b"new")
    Path("victim").write_text("mine")
    Path("a.txt").symlink_to("victim")
    Path("b.txt").symlink_to("nowhere")
    assert blobcat("get", "a.txt").code == 4
    assert blobcat("get", "a.txt", "b.txt").code == 4
    assert blobcat("get", "a.txt", "--force").code == 0
    assert Path("victim").read_text() == "mine"
    assert not Path("a.txt").is_symlink()


def test_get_of_damaged_content_leaves_nothing(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a.txt", stdin=b"x" * 100_000)
    stored = blobcat.stored("a.txt")
    stored.write_bytes(b"y" * 100_000)
    damaged = blobcat("get", "a.txt")
    assert damaged.code == 8
    assert "not what was written" in damaged.err
    assert not Path("a.txt").exists()
    Path("a.txt").write_text("mine")
    assert blobcat("get", "a.txt", "--force").code == 8
    assert Path("a.txt").read_text() == "mine"
    stored.unlink()
    assert blobcat("get", "a.txt", "b.txt").code == 8
    assert parts_left(blobcat.folder) == []


def test_get_of_damaged_content_to_standard_output_ends_with_an_error(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a.txt", stdin=b"x")
    blobcat.stored("a.txt").write_bytes(b"y")
    damaged = blobcat("get", "a.txt", "-")
    assert (damaged.code, damaged.stdout) == (8, b"")


def test_get_into_what_is_no_folder(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a")
    assert blobcat("get", "a", "nowhere/b").code == 3
    Path("file").write_text("")
    assert blobcat("get", "a", "file/b").code == 2
    Path("to/a").mkdir(parents=True)
    taken = blobcat("get", "a", "to")
    assert (taken.code, taken.err) == (2, "blobcat: cannot write to/a: a folder is there\n")


@pytest.mark.parametrize("name", ["CON", "nul.txt", "com1", "LPT¹", "x ", "12:00"])
def test_get_asks_for_a_name_where_the_path_has_none_for_every_system(blobcat: Blobcat, name: str) -> None:
    blobcat("put", "-", f"a/{name}")
    assert "say where to" in blobcat("get", f"a/{name}").err
    assert blobcat("get", f"a/{name}", "fine").code == 0


def test_get_of_what_is_not_there(blobcat: Blobcat) -> None:
    missing = blobcat("get", "a/b")
    assert missing.code == 3
    assert missing.err == "blobcat: there is no file 'a/b' in volume 'main'\n  → blobcat ls a/ shows what is there\n"
    assert parts_left(blobcat.folder) == []
    blobcat("put", "-", "x")
    blobcat("rm", "x")
    assert "blobcat get --version N x" in blobcat("get", "x").err


def test_rm_makes_a_version_that_is_a_delete(blobcat: Blobcat) -> None:
    blobcat("put", "-", "x")
    assert blobcat("rm", "x").lines == ["x  version 2  deleted"]
    assert blobcat("rm", "x").code == 3
    assert blobcat("get", "x", "y", "--version", "1").code == 0


def test_rm_json_is_that_version(blobcat: Blobcat) -> None:
    blobcat("put", "-", "x")
    record = blobcat("rm", "x", "--if-version", "1", "--json").record
    assert (list(record), record["kind"], record["version"]) == (FIELDS, "delete", 2)


def test_rm_of_what_is_not_there(blobcat: Blobcat) -> None:
    fine = blobcat("rm", "x", "--missing-ok")
    assert (fine.code, fine.out, fine.err) == (0, "", "x  is not there\n")
    quiet = blobcat("rm", "x", "--missing-ok", "--json")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    blobcat("put", "-", "x")
    assert blobcat("rm", "x", "--if-version", "9").code == 4
