"""What stands below an error is about the command that was typed, and in words of the command line."""

import re
import shlex
from pathlib import Path
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from catalog.cli.messages import message_of
from catalog.errors import CatalogError, InvalidError, UnavailableError
from tests.cli.driver import Blobcat


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    for path in ("2026/a.csv", "2026/b.csv", "top.txt"):
        assert blobcat("put", "-", path, "--meta", "owner=ops", stdin=path.encode()).code == 0
    return blobcat


def test_a_token_that_a_query_cannot_take_is_spoken_of_as_a_querys(filled: Blobcat) -> None:
    after = filled("query", "--limit", "1", "--json").records[-1]["after"]
    for arguments in (["--after", "bad"], ["--after", after, "--where", "size > 1"]):
        refused = filled("query", *arguments)
        assert refused.code == 2
        assert refused.err.splitlines()[1:] == [
            "  → pass what --limit showed after --after, whole, with the same --where, PREFIX, --order-by and --as-of"
        ]


def test_where_there_is_no_catalog_the_place_is_named(empty: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who is in the wrong folder makes a second one there."""
    empty("-u", "local:data", "init")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert empty("ls", "-u", "local:data").err.splitlines() == [
        f"blobcat: there is no catalog in {empty.folder}/below/data yet: it has no table",
        "  → make one with blobcat init; local:data is looked for from the folder where you are",
    ]
    monkeypatch.setenv("HOME", str(empty.folder))
    for url in (f"local:{empty.folder}/typo", "local:~/typo"):
        assert empty("ls", "-u", url).err.splitlines() == [
            f"blobcat: there is no catalog in {empty.folder}/typo yet: it has no table",
            "  → make one with blobcat init",
        ]


def test_where_there_is_no_catalog_in_an_account_its_place_is_named_without_its_key(
    empty: Blobcat, azurite: Azurite
) -> None:
    name = f"t{uuid4().hex}"
    remote = ["-u", f"{azurite.url}/{name}?table={name}"]
    said = empty("ls", *remote).err.splitlines()
    place = f"http://127.0.0.1:{azurite.table_port}/devstoreaccount1/{name}"
    assert said == [f"blobcat: there is no catalog at {place} yet: it has no table", "  → make one with blobcat init"]
    empty("init", *remote)
    other = empty("put", empty.file("a"), "a", "-u", f"{azurite.url}/{name}2?table={name}").err
    place = f"http://127.0.0.1:{azurite.blob_port}/devstoreaccount1/{name}2"
    assert other.startswith(f"blobcat: there is no catalog at {place} yet: it has no container\n")


@pytest.mark.parametrize("condition", ["size > 1", "meta.owner = 'ops'", "path ~ '2026/*.csv'"])
@pytest.mark.parametrize("command", ["query", "count", "ls"])
def test_a_condition_in_place_of_a_prefix_is_taken_for_one(filled: Blobcat, command: str, condition: str) -> None:
    verb = command if command != "ls" else "query"
    hint = f"  → a condition goes with --where: blobcat {verb} --where {shlex.quote(condition)}"
    assert filled(command, condition).err.splitlines()[-1] == hint
    assert filled(command, "2026/none").err.count("--where") == 0
    assert "--where" not in filled(command, condition, "--json").err
    assert filled(*shlex.split(hint.partition("blobcat ")[2])).out != ""


def test_a_prefix_is_taken_for_a_condition_only_where_nothing_is_below_it(filled: Blobcat) -> None:
    filled("put", "-", "a = b/c")
    for command in (["query"], ["query", "--columns", "path"], ["count"], ["ls"]):
        assert filled(*command, "a = b/").err == ""
    assert "--where" in filled("query", "a = c", "--columns", "path").err


PYTHON = re.compile(r"`|\w\((?:True|'|…)|=…|\{'|as_of|order_by|timedelta|\btypes\b|FileVersion|OutcomeUnknown")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("query --order-by size:desc,created", "blobcat: volume 'main' has no index in order of size:desc, created"),
        ("query --order-by path,size", "blobcat: --order-by: files are in order of path at last, "),
        ("query --order-by size --as-of 2026-01-01", ": --as-of takes no --order-by"),
        ("query --explain --as-of 2026-01-01", ": with --as-of there is no plan to explain"),
        ("changes", "blobcat: volume 'main' has no change log\n  → blobcat changes --on\n"),
        ("changes --since x", "blobcat: this is no cursor of changes, or not all of it\n  → blobcat changes without "),
        ("resolve x", "blobcat: this is no token\n  → blobcat resolve TOKEN, "),
        ("query --after x", "blobcat: this is no token of a query, or not all of it\n"),
        ("query -o f.parquet --type n:int", "blobcat: --type names meta.n, which is not among the columns"),
        ("query -o f.parquet -c meta.n --type n:int", ", but its column is of int, as --type says\n  → --type KEY:"),
        ("query -o f.parquet -c meta.n --type n:time", ", but its column is of time, as --type says\n"),
        ("stat top.txt --version 1 --as-of 2026-01-01", "blobcat: --version and --as-of exclude each other"),
        ("rm top.txt --if-match=", "blobcat: --if-match takes the etag of a version, not ''\n"),
        ("sign top.txt --expires-in 0s", "blobcat: --expires-in is a time from 1s up\n"),
        ("ls -u DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a;BlobEndpoint=https://x.org;TableEndpoint=https://x.org",
         " is no host of Azure Storage ("),
    ],
)  # fmt: skip
def test_who_types_commands_reads_of_commands(filled: Blobcat, arguments: str, said: str) -> None:
    filled("put", "-", "texts", "--meta", "n=many")
    err = filled(*arguments.split()).err
    assert said in err
    assert not PYTHON.search(err)


def test_the_words_of_the_first_files_stay(filled: Blobcat) -> None:
    filled("put", "-", "2026/0", "--meta", "owner:int=1")
    assert (
        "its column is of int, as the first files have it" in filled("query", "-o", "f.parquet", "-c", "meta.owner").err
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InvalidError("begins, after this cursor: begin anew, with what list(as_of=…) shows and changes(since=…)",
                         kind="invalid.cursor-too-old"),
            "begins, after this cursor",
        ),
        (UnavailableError("not whole yet: set_change_log(True) goes on with that", kind="unavailable.change-log"),
         "not whole yet"),
    ],
)  # fmt: skip
def test_rarer_words_are_translated_too(error: CatalogError, said: str) -> None:
    assert message_of(error) == said


def test_a_pattern_that_the_shell_has_replaced_is_to_be_quoted(filled: Blobcat) -> None:
    for names in (["a.csv", "b.csv"], ["a.csv", "b.csv", "c.csv"]):
        refused = filled("ls", "--glob", *names)
        assert refused.code == 2
        assert refused.err.endswith("\n  → put the pattern in quotes, else the shell makes names of it: --glob 'a/*'\n")
    assert "in quotes" not in filled("ls", "a.csv", "b.csv").err
    assert "in quotes" not in filled("ls", "-r", "--glob", "**").err
