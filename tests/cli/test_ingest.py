"""`ingest`, `verify`, `recover` and `resolve`."""

import os
from pathlib import Path

import pytest

from catalog.token import Token
from tests.cli.driver import Blobcat


@pytest.fixture
def tree(blobcat: Blobcat) -> Blobcat:
    for number in range(5):
        blobcat.file(f"d{number}/a.txt", b"x" * number)
    blobcat.file("skip.tmp")
    return blobcat


def test_ingest_writes_what_changed(tree: Blobcat) -> None:
    first = tree("ingest", "in", "--prefix", "2026", "--exclude", "*.tmp", "--meta", "owner=ops")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("5 written (10 B)  0 unchanged  0 failed  5 files in ")
    tree.file("d1/a.txt", b"changed")
    second = tree("ingest", "in", "-p", "2026/", "-x", "*.tmp", "--json").record
    assert second == {"written": 1, "unchanged": 4, "bytes_written": 7, "failed": [], "links_skipped": 0}
    assert tree("stat", "2026/d1/a.txt", "--json").record["metadata"] == {"owner": "ops"}


def test_ingest_trusts_times_where_told(tree: Blobcat) -> None:
    tree("ingest", "in")
    path = Path("in/d4/a.txt")
    times = path.stat()
    path.write_bytes(b"yyyy")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tree("ingest", "in", "--trust-mtime", "--json").record["written"] == 0
    assert tree("ingest", "in", "--json").record["written"] == 1


def test_ingest_names_every_failure_and_goes_on(tree: Blobcat) -> None:
    os.mkfifo("in/pipe")
    Path("in/ctl\x1b[31m.txt").write_text("x")
    failed = tree("ingest", "in", "-x", "*.tmp")
    assert failed.code == 1
    assert failed.out.startswith("5 written (10 B)  0 unchanged  2 failed")
    assert "\x1b" not in failed.err
    assert [line.split()[1] for line in failed.err.splitlines()] == ["ctl\\x1b[31m.txt", "pipe"]
    report = tree("ingest", "in", "-x", "*.tmp", "--json")
    assert (report.code, report.err) == (1, "")
    ctl, pipe = report.record["failed"]
    assert (pipe["path"], pipe["source"], pipe["error"]["kind"]) == ("pipe", "in/pipe", "invalid.source")
    assert ctl["error"]["message"]


def test_ingest_of_what_is_not_there(blobcat: Blobcat) -> None:
    missing = blobcat("ingest", "nowhere")
    assert (missing.code, missing.err) == (3, "blobcat: there is no file or folder nowhere\n")


def test_verify_finds_what_is_damaged_and_what_is_missing(tree: Blobcat) -> None:
    tree("ingest", "in")
    whole = tree("verify")
    assert (whole.code, whole.err) == (0, "")
    assert whole.out.startswith("all whole  6 checked, 16 B read")
    tree.stored("d2/a.txt").write_bytes(b"zz")
    tree.stored("d3/a.txt").unlink()
    found = tree("verify")
    assert found.code == 1
    assert [line.split()[:4] for line in found.lines[:2]] == [
        ["damaged", "d2/a.txt", "version", "1"],
        ["missing", "d3/a.txt", "version", "1"],
    ]
    assert found.lines[2].startswith("2 damaged or missing  6 checked")
    report = tree("verify", "d2/", "--json")
    assert report.code == 1
    (finding,) = report.record["findings"]
    assert (finding["file"]["path"], finding["error"]["kind"]) == ("d2/a.txt", "integrity.digest")
    assert tree("verify", "d4/").code == 0


def test_recover_says_that_there_is_nothing_to_settle(tree: Blobcat) -> None:
    tree("ingest", "in")
    quiet = tree("recover", "--patience", "0")
    assert (quiet.code, quiet.lines) == (0, ["nothing to settle  every write is applied or undone"])
    assert tree("recover", "--json").record == {"items": [], "volumes": []}
    assert tree("recover", "--patience", "-1").code == 2
    assert tree("recover", "--patience", "nan").code == 2


def token_of(blobcat: Blobcat, op: str) -> str:
    (volume,) = blobcat("volumes", "--json").records
    return str(Token(volume["name"], volume["epoch"], "x", op, 0, "put"))


def test_resolve_finds_what_was_applied(blobcat: Blobcat) -> None:
    etag = blobcat("put", "-", "x", "--json", stdin=b"1").record["etag"]
    token = token_of(blobcat, etag)
    assert blobcat("resolve", token).lines == ["applied  x  version 1  1 B  sha256 6b86b273ff34"]
    record = blobcat("resolve", token, "--json").record
    assert (record["applied"], record["file"]["version"]) == (True, 1)


def test_resolve_says_that_something_was_not_applied(blobcat: Blobcat) -> None:
    token = token_of(blobcat, "01M7XQF19PM1HFNJACZWJHWGBN")
    assert blobcat("resolve", token).lines == ["not applied  and it never will be; write it again"]
    assert blobcat("resolve", token, "--json").record == {"applied": False, "file": None}
    assert blobcat("resolve", "nonsense").code == 2
