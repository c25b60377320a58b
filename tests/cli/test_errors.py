"""What bad input and bad days get: one line, a hint, an exit code, and no traceback."""

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from catalog.cli.errors import report
from catalog.cli.hints import hint_of
from catalog.cli.output import Output
from catalog.errors import (
    AccessDeniedError,
    CatalogError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from catalog.token import Token
from tests.cli.driver import PROGRAM, Blobcat

KEY = "c2VjcmV0LWNhbmFyeQ=="
AT_ONCE_S = 20  # it takes 0.6 s, and as much to import the SDKs; whoever waits for an answer waits for a minute


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_without_a_url_it_says_how_to_give_one(empty: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLOBCAT_URL")
    refused = empty("ls")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        "blobcat: where is the catalog? No url was given",
        "  → export BLOBCAT_URL=local:.blobcat, or pass --url",
    ]
    assert empty("ls", "--json").error["kind"] == "usage"


@pytest.mark.parametrize("command", [["ls"], ["volumes"], ["put", "-", "x"], ["get", "x"], ["verify"], ["recover"]])
def test_before_init_it_says_init(empty: Blobcat, command: list[str]) -> None:
    refused = empty(*command)
    assert refused.code == 3
    assert refused.err.splitlines() == [
        f"blobcat: there is no catalog in {empty.folder}/cat yet: it has no table",
        "  → make one with blobcat init",
    ]
    assert empty("ls", "--json").error["kind"] == "not-found.table"
    assert list(empty.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no catalog's url"),
        ("./folder", "local:"),
        ("local:", "needs a folder"),
        ("ftp://x", "unknown scheme"),
        ("https://a.blob.core.windows.net", "connection string"),
        ("azure://UPPER/c", "account's name"),
        ("azurite://example.com:1:2", "this machine only"),
        (f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://example.com;TableEndpoint=http://example.com", "https"),
        (f"azure://user:{KEY}@account", "credential"),
        (f"AccountName=a;SharedAccessSignature=sig={KEY};bad", "NAME=VALUE"),
    ],
)
def test_a_url_that_cannot_work_is_refused_and_no_secret_shown(empty: Blobcat, url: str, said: str) -> None:
    refused = empty("--url", url, "ls")
    assert refused.code == 2
    assert said in refused.err
    assert len(refused.err.splitlines()) == 1
    assert KEY not in refused.err
    debugged = empty("--url", url, "ls", "--debug")
    assert "Traceback" in debugged.err
    assert KEY not in debugged.err


def test_where_no_azurite_is_it_says_so_at_once(empty: Blobcat) -> None:
    port, before = free_port(), time.monotonic()
    refused = empty("-u", f"azurite://127.0.0.1:{port}:{port}", "ls")
    assert time.monotonic() - before < AT_ONCE_S
    assert refused.code == 6
    said, hint = refused.err.splitlines()
    assert said.startswith(f"blobcat: nothing answers at 127.0.0.1:{port}: is Azurite running? (gave up after ")
    assert hint == "  → start it in another terminal: ./scripts/azurite"


def test_a_missing_account_is_said_at_once(empty: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BLOBCAT_CREDENTIAL", KEY)
    before = time.monotonic()
    refused = empty(
        "-u", "azure://nosuchaccount12345?suffix=core.windows.net", "ls", "--table", "ttt", "--container", "ccc"
    )
    if "no address" not in refused.err:
        pytest.skip("this network answers for names that do not exist")
    assert time.monotonic() - before < AT_ONCE_S
    assert refused.code == 6
    said, hint = refused.err.splitlines()
    assert "no address is known for nosuchaccount12345.table.core.windows.net" in said
    assert "check the account's name" in hint
    assert KEY not in refused.err


def test_an_unknown_volume(blobcat: Blobcat) -> None:
    refused = blobcat("ls", "-v", "nope")
    assert refused.code == 3
    assert "there is no volume 'nope'" in refused.err
    assert blobcat("ls", "-v", "No").code == 2


def test_a_folder_without_permission(empty: Blobcat) -> None:
    closed = empty.folder / "closed"
    closed.mkdir(mode=0o500)
    folder = "/sys/blobcat" if os.geteuid() == 0 else closed / "cat"  # root may write everywhere else
    refused = empty("-u", f"local:{folder}", "init")
    assert refused.code == 5
    _, hint = refused.err.splitlines()
    assert hint == "  → choose another place, or see who owns it and who may use it"


def test_a_full_disk(blobcat: Blobcat) -> None:
    big = blobcat.file("big", b"x" * 3_000_000)
    process = blobcat.start(
        "put",
        big,
        "big",
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    _, err = process.communicate()
    assert process.returncode == 6
    assert "make room" in err.decode().splitlines()[1]
    assert blobcat("ls").lines == []


def test_a_disk_that_fills_while_getting(blobcat: Blobcat) -> None:
    blobcat("put", blobcat.file("big", b"x" * 3_000_000), "big")
    process = blobcat.start(
        "get",
        "big",
        "out",
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    _, err = process.communicate()
    assert process.returncode == 6
    assert err.decode().splitlines() == [
        "blobcat: cannot write out: the file would be larger than is allowed here",
        "  → make room, then run the same command again: nothing half-done is visible",
    ]
    assert sorted(path.name for path in blobcat.folder.iterdir()) == ["cat", "in"]


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (OutcomeUnknownError("no answer", token="blobcat1.x"), 7, "blobcat resolve blobcat1.x"),
        (AccessDeniedError("no", kind="access-denied.role"), 5, "Storage Blob Data Contributor"),
        (UnavailableError("gave up", kind="unavailable.deadline"), 6, "is safe"),
        (UnavailableError("is Azurite running?", kind="unavailable.azurite"), 6, "./scripts/azurite"),
        (UnavailableError("is Azurite running?", kind="unavailable.connect"), 6, "the network"),
        (UnavailableError("locked", kind="unavailable.busy"), 6, "others are writing"),
        (UnavailableError("full", kind="unavailable.disk-full"), 6, "make room"),
        (UnavailableError("I/O", kind="unavailable.disk"), 6, "wrong with the disk"),
        (UnavailableError("files", kind="unavailable.too-many-files"), 6, "ulimit -n"),
        (InvalidError("newer", kind="invalid.newer-schema"), 2, "upgrade blobcat"),
        (ExceptionGroup("tasks", [ValueError("x"), UnavailableError("gone")]), 6, "is safe"),
        (CatalogError("odd"), 1, ""),
        (PermissionError(13, "Permission denied", "f"), 5, ""),
        (OSError(28, "No space left on device", "f"), 6, "make room"),
    ],
)
def test_every_class_has_its_code_and_hint(
    error: Exception, code: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error, Output(json=False), debug=False) == code
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("blobcat: ")
    assert hint in "".join(rest)
    assert bool(rest) == bool(hint)


def test_a_bug_is_called_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("x"), Output(json=False), debug=False) == 70
    assert "this is a bug in blobcat: ZeroDivisionError: x" in capsys.readouterr().err


def test_a_token_is_in_the_json_of_an_unknown_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    report(OutcomeUnknownError("no answer", token="blobcat1.x"), Output(json=True), debug=False)
    assert '"token": "blobcat1.x"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frob"], "No such command 'frob'"),
        (["ls", "--frob"], "No such option: --frob"),
        (["put", "x"], "Missing argument 'PATH'"),
        (["put", "x", "x", "--if-version", "abc"], "blobcat: --if-version is a whole number from 1 up, not 'abc'"),
        (["get", "x", "--version", "0"], "blobcat: --version is a whole number from 1 up, not '0'"),
        (["restore", "x", "--version", "1.5"], "blobcat: --version is a whole number from 1 up, not '1.5'"),
        (["query", "--limit", "-1"], "blobcat: --limit is a whole number from 0 up, not '-1'"),
        (["recover", "--patience", "long"], "blobcat: --patience is a number from 0 up, not 'long'"),
        (["reconcile", "--rate", "0"], "blobcat: --rate is a number from 0.01 up, not '0'"),
    ],
)
def test_wrong_usage_is_one_line_and_where_to_read(empty: Blobcat, arguments: list[str], said: str) -> None:
    refused = empty(*arguments)
    assert (refused.code, refused.out) == (2, "")
    first, hint = refused.err.splitlines()
    assert said in first
    assert hint.endswith("--help")
    assert empty(*arguments, "--json").error["kind"] == "usage"


def test_control_characters_never_reach_a_terminal(blobcat: Blobcat) -> None:
    for path in ("a\x1b[31m", "a\u202eb", "a\x9bb", "\udcff"):
        refused = blobcat("get", path)
        assert refused.code == 2
        assert all(character.isprintable() or character == "\n" for character in refused.err)


def test_nothing_is_made_by_a_command_that_fails(empty: Blobcat) -> None:
    Path("file").write_text("")
    refused = empty("-u", "local:file/x", "init")
    assert refused.code in (2, 3, 5, 6)
    assert len(refused.err.splitlines()) <= 2


def test_a_file_that_is_no_catalog_is_called_that(empty: Blobcat) -> None:
    empty("init")
    (found,) = empty.folder.rglob("catalog.db")
    found.write_bytes(b"not a database " * 100)
    for extra in ("-wal", "-shm"):
        found.with_name(found.name + extra).unlink(missing_ok=True)
    refused = empty("ls")
    assert refused.code == 8
    assert refused.err.splitlines()[1].startswith("  → this is no catalog's file, or a damaged one")


@pytest.mark.parametrize("below", ["", "/cat"])
def test_a_file_in_place_of_the_folder_is_called_that(empty: Blobcat, below: str) -> None:
    (empty.folder / "afile").write_bytes(b"x")
    refused = empty("init", "--url", f"local:{empty.folder / 'afile'}{below}")
    assert refused.code == 2
    assert refused.err.splitlines()[0].endswith("afile is a file, not a folder")


def test_a_missing_argument_gets_the_usage(empty: Blobcat) -> None:
    refused = empty("put", "n.txt")
    assert refused.code == 2
    assert refused.err.splitlines()[1] == "  → blobcat put FILE PATH; more with blobcat put --help"


def test_without_a_volume_the_hint_makes_one(blobcat: Blobcat) -> None:
    refused = blobcat("ls", "-v", "nope")
    assert refused.err.splitlines() == [
        "blobcat: there is no volume 'nope'",
        "  → blobcat volumes shows those that are there, blobcat init --volume nope makes it",
    ]
    error = NotFoundError("this catalog has no volume yet", op="volume", kind="not-found.volume")
    assert hint_of(error) == "make one with blobcat init"


@pytest.mark.parametrize("volume", ["main", "other"])
def test_a_token_of_another_catalog_is_called_that(blobcat: Blobcat, volume: str) -> None:
    other = "01M7XQF19PM1HFNJACZWJHWGBN"
    refused = blobcat("resolve", str(Token(volume, other, "x", other, 0, "put")))
    assert refused.code == 2
    assert refused.err.splitlines() == [
        f"blobcat: the token belongs to another catalog: this one never had that volume '{volume}'",
        "  → give the --url of the catalog that the write went to",
    ]


@pytest.mark.parametrize("arguments", [("ls", "typo"), ("verify", "typo"), ("tree", "typo"), ("du", "typo")])
def test_a_prefix_with_nothing_below_is_not_found(blobcat: Blobcat, arguments: tuple[str, ...]) -> None:
    """Of `verify` above all: nothing checked is no all-clear."""
    blobcat("put", blobcat.file("a"), "a")
    refused = blobcat(*arguments)
    assert refused.code == 3
    assert refused.err.startswith("blobcat: there is nothing below 'typo' in volume 'main'\n  → ")


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_stream_that_was_closed_is_no_trouble(blobcat: Blobcat, stream: str) -> None:
    """`blobcat ls >&-`, as some schedulers start what they start."""
    number = ["stdin", "stdout", "stderr"].index(stream)
    program = f"import os, sys; os.close({number}); os.execv(sys.executable, [sys.executable, '-c', {PROGRAM!r}, 'ls'])"
    ran = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_tree_is_drawn_with_what_marks_there_are(blobcat: Blobcat) -> None:
    blobcat("put", blobcat.file("a"), "d/e/a")
    blobcat("put", blobcat.file("a"), "d/b")
    with blobcat.start("tree", stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"}) as tree:
        drawn = tree.communicate()[0].decode().splitlines()
    assert [line.rpartition("  ")[0] for line in drawn[1:]] == ["`-- d/", "    |-- b", "    `-- e/", "        `-- a"]
