"""`get -r`: a tree of files into a folder."""

import os
from pathlib import Path

import pytest

from tests.cli.driver import Blobcat


@pytest.fixture
def tree(blobcat: Blobcat) -> Blobcat:
    for path in ("2026/a", "2026/d/b", "other"):
        assert blobcat("put", "-", path, stdin=path.encode()).code == 0
    return blobcat


def below(folder: str) -> dict[str, str]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_tree_goes_into_a_folder(tree: Blobcat) -> None:
    got = tree("get", "-r", "2026/", "to")
    assert (got.code, got.err) == (0, "")
    assert got.out.startswith("2 written (14 B)  0 skipped  0 failed  2 files into to in ")
    assert below("to") == {"a": "2026/a", "d/b": "2026/d/b"}


def test_without_a_folder_it_is_the_last_part_of_the_path_or_the_volume(tree: Blobcat) -> None:
    assert tree("get", "-r", "2026/d").code == 0
    assert below("d") == {"b": "2026/d/b"}
    assert tree("get", "-r", "").code == 0
    assert below("main") == {"2026/a": "2026/a", "2026/d/b": "2026/d/b", "other": "other"}


def test_what_is_there_fails_is_replaced_or_stays(tree: Blobcat) -> None:
    tree("get", "-r", "2026", "to")
    Path("to/a").write_text("mine")
    failed = tree("get", "-r", "2026", "to")
    assert (failed.code, failed.out[:31]) == (1, "0 written  0 skipped  2 failed ")
    assert failed.err.splitlines()[0] == "failed  2026/a  cannot write to/a: it is there already"
    assert tree("get", "-r", "2026", "to", "--skip", "--json").record == {
        "written": 0,
        "skipped": 2,
        "bytes_written": 0,
        "failed": [],
        "target": "to",
    }
    assert tree("get", "-r", "2026", "to", "--newer", "--json").record["skipped"] == 2
    assert below("to")["a"] == "mine"
    os.utime("to/a", (0, 0))
    assert tree("get", "-r", "2026", "to", "--newer", "--json").record["written"] == 1
    assert below("to")["a"] == "2026/a"
    assert tree("get", "-r", "2026", "to", "--overwrite", "--json").record["written"] == 2


def test_every_failure_is_named_and_the_rest_is_written(tree: Blobcat) -> None:
    tree("put", "-", "2026/NUL", stdin=b"")
    tree("put", "-", "2026/A", stdin=b"")
    failed = tree("get", "-r", "2026", "to")
    assert failed.code == 1
    assert [line.split()[:2] for line in failed.err.splitlines()] == [["failed", "2026/NUL"], ["failed", "2026/a"]]
    assert below("to") == {"A": "", "d/b": "2026/d/b"}
    report = tree("get", "-r", "2026", "to", "--skip", "--json").record
    assert [(each["path"], each["error"]["kind"]) for each in report["failed"]] == [
        ("2026/NUL", "invalid.name"),
        ("2026/a", "invalid.collision"),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-r", "x", "-"], "neither --version nor -"),
        (["-r", "x", "--version", "1"], "neither --version nor -"),
        (["x", "--skip"], "--skip goes with --recursive"),
        (["x", "--newer"], "--newer goes with --recursive"),
        (["-r", "x", "--newer", "--skip"], "--skip and --newer exclude each other"),
    ],
)
def test_what_does_not_go_together_is_refused(tree: Blobcat, options: list[str], said: str) -> None:
    refused = tree("get", *options)
    assert refused.code == 2
    assert said in refused.err


def test_nothing_there_is_not_found(tree: Blobcat) -> None:
    missing = tree("get", "-r", "nothing", "to")
    assert missing.code == 3
    assert missing.err.splitlines() == [
        "blobcat: there is nothing below 'nothing/' in volume 'main'",
        "  → blobcat ls shows what is there",
    ]
    assert not Path("to").exists()


def test_a_folder_that_is_a_file_is_one_clear_line(tree: Blobcat) -> None:
    Path("to").write_text("")
    refused = tree("get", "-r", "2026", "to")
    assert (refused.code, refused.err) == (2, "blobcat: cannot write to: a file is where a folder must be\n")
