"""`purge`: what it says, what it asks, and how it ends."""

import pytest

from tests.cli.driver import Blobcat
from tests.cli.test_browsing import answering


@pytest.fixture
def aged(blobcat: Blobcat) -> Blobcat:
    for content in (b"1", b"22", b"333"):
        blobcat("put", "-", "x/a.txt", stdin=content)
    blobcat("cp", "x/a.txt", "b.txt")
    return blobcat


def cells(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines]


def test_it_says_what_went_what_stays_and_why(aged: Blobcat) -> None:
    aged("put", "-", "x/a.txt", stdin=b"4444")
    done = aged("purge", "--keep-versions", "1", "--yes")
    assert done.code == 0
    assert cells(done.lines)[:3] == [
        ["purged", "2", "versions", "2", "contents", "3", "B"],
        ["held", "1", "version", "1", "content", "3", "B"],
        ["unfinished", "0", "versions", "0", "contents", "0", "B"],
    ]
    assert done.lines[3].startswith("5 versions looked at in ")
    assert done.err == "held    x/a.txt@3  needed by b.txt@1\n"
    assert aged("get", "--version", "3", "x/a.txt", "-").stdout == b"333"
    gone = aged("get", "--version", "1", "x/a.txt", "-")
    assert gone.code == 3
    assert "the content of version 1 of 'x/a.txt' was purged" in gone.err
    assert "blobcat history x/a.txt shows its other versions" in gone.err
    history = aged("history", "x/a.txt")
    assert [line.split()[:4] for line in history.lines] == [
        ["4", "put", "4", "B"],
        ["3", "put", "3", "B"],
        ["2", "put", "purged", history.lines[2].split()[3]],
        ["1", "put", "purged", history.lines[3].split()[3]],
    ]
    shown = aged("history", "x/a.txt", "--json").records
    assert [(each["version"], each["purged"]) for each in shown] == [(4, False), (3, False), (2, True), (1, True)]
    assert "1 bytes, purged" in aged("stat", "x/a.txt", "--version", "1").out


def test_a_dry_run_leaves_all_and_needs_no_yes(aged: Blobcat) -> None:
    said = aged("purge", "--older-than", "0s", "--dry-run")
    assert said.code == 0
    assert said.lines[0].startswith("would go        2 versions")
    assert aged("get", "--version", "1", "x/a.txt", "-").stdout == b"1"


def test_what_is_not_old_stays(aged: Blobcat) -> None:
    report = aged("purge", "--older-than", "90d", "--yes", "--json").record
    assert report["purged"] == {"versions": 0, "contents": 0, "size": 0}
    assert report["scanned"] == 4


def test_a_prefix_limits_it_and_one_that_is_nothing_is_an_error(aged: Blobcat) -> None:
    assert aged("purge", "--keep-versions", "1", "--prefix", "b", "--yes", "--json").record["scanned"] == 1
    missed = aged("purge", "--keep-versions", "1", "--prefix", "typo", "--yes")
    assert missed.code == 3


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1), ("no\n", 1), ("\x04", 1)])
def test_it_asks_with_count_and_size(aged: Blobcat, answer: str, code: int) -> None:
    done, shown = answering(aged, answer, "purge", "--keep-versions", "1")
    assert done == code, shown
    assert "purge 2 versions  2 contents, 3 B: they cannot be brought back  [y/N]" in shown
    assert aged("get", "--version", "1", "x/a.txt", "-").code == (3 if code == 0 else 0)


def test_where_nothing_would_go_it_does_not_ask(aged: Blobcat) -> None:
    done, shown = answering(aged, "", "purge", "--keep-versions", "9")
    assert done == 0
    assert "[y/N]" not in shown


def test_where_nobody_is_there_to_ask_it_wants_a_yes(aged: Blobcat) -> None:
    asked = aged("purge", "--keep-versions", "1")
    assert asked.code == 2
    assert "purge asks before it deletes, and here is nobody to ask" in asked.err
    assert "--dry-run shows what would go" in asked.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "purge needs a rule: what is to be kept?"),
        (["--older-than", "90"], "'90' is no time"),
        (["--older-than", "soon"], "'soon' is no time"),
        (["--older-than", "-1d"], "'-1d' is no time"),
        (["--keep-versions", "-1"], "--keep-versions is a whole number from 0 up, not '-1'"),
    ],
)
def test_what_is_no_rule_is_refused(aged: Blobcat, arguments: list[str], said: str) -> None:
    refused = aged("purge", "--yes", *arguments)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize("text", ["0s", "30m", "12h", "90d", "2w"])
def test_a_time_is_a_number_and_a_unit(aged: Blobcat, text: str) -> None:
    assert aged("purge", "--older-than", text, "--dry-run").code == 0


def test_held_ones_are_listed_up_to_a_few(blobcat: Blobcat) -> None:
    for number in range(7):
        blobcat("put", "-", f"a/{number}", stdin=b"x")
        blobcat("mv", f"a/{number}", f"b/{number}")
    done = blobcat("purge", "--keep-versions", "0", "--prefix", "a/", "--yes")
    assert done.code == 0
    assert len(done.err.splitlines()) == 6
    assert done.err.splitlines()[-1] == "held    2 more: --json lists them"
