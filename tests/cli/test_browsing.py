"""`ls --glob`, `tree`, `du`, `cat`, `rm -r` and `completion`."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.cli.completion import PATIENCE
from tests.cli.driver import PROGRAM, Blobcat

FILES = {"2026/a.csv": 1500, "2026/deep/b.csv": 2000, "2026/deep/c.txt": 10, "top.txt": 2}


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    for path, size in FILES.items():
        blobcat("put", "-", path, stdin=b"x" * size)
    blobcat("put", "-", "2026/gone.txt", stdin=b"x")
    blobcat("rm", "2026/gone.txt")
    return blobcat


def answering(blobcat: Blobcat, answer: str, *arguments: str) -> tuple[int, str]:
    """Run on a terminal, at which this was typed already."""
    ours, theirs = pty.openpty()
    process = blobcat.start(
        *arguments, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"TERM": "dumb"}
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = process.communicate()[0].decode()
    os.close(ours)
    return process.returncode, shown


def test_ls_glob_lists_what_the_pattern_stands_for(filled: Blobcat) -> None:
    assert filled("ls", "--glob", "**/*.csv").lines == ["2026/a.csv", "2026/deep/b.csv"]
    assert filled("ls", "-g", "*").lines == ["top.txt"]
    assert [record["path"] for record in filled("ls", "-g", "2026/*", "--json").records] == ["2026/a.csv"]
    assert filled("ls", "-g", "2026/[", "--json").error["kind"] == "invalid.glob"
    assert filled("ls", "2026/", "-g", "*").code == 2


def test_tree_draws_folders_with_what_they_hold(filled: Blobcat) -> None:
    assert filled("tree").lines == [
        ".",
        "├── 2026/  3 files, 3.5 kB",
        "│   ├── a.csv  1.5 kB",
        "│   └── deep/  2 files, 2.0 kB",
        "│       ├── b.csv  2.0 kB",
        "│       └── c.txt  10 B",
        "└── top.txt  2 B",
    ]
    assert filled("tree", "-L", "1").lines == [".", "├── 2026/  3 files, 3.5 kB", "└── top.txt  2 B"]
    assert filled("tree", "2026/deep/").lines == ["2026/deep/", "├── b.csv  2.0 kB", "└── c.txt  10 B"]
    assert filled("tree", "2026/de", "-L", "1").lines == ["2026/", "└── deep/  2 files, 2.0 kB"]


def test_tree_json_is_an_entry_per_line(filled: Blobcat) -> None:
    folder, file = filled("tree", "-L", "1", "--json").records
    newest = folder.pop("newest")
    assert folder == {"path": "2026/", "files": 3, "bytes": 3510, "kind": "folder"}
    assert newest.endswith("Z")
    assert (file["path"], file["kind"], file["size"]) == ("top.txt", "put", 2)


def test_du_adds_up_folders_and_ends_with_the_sum(filled: Blobcat) -> None:
    rows = [line.split() for line in filled("du").lines]
    assert [(*row[:3], *row[5:]) for row in rows] == [
        ("3.5", "kB", "3", "2026/"),
        ("3.5", "kB", "4", "in", "all"),
    ]
    found = [(each["path"], each["files"], each["bytes"]) for each in filled("du", "-d", "9", "--json").records]
    assert found == [("2026/deep/", 2, 2010), ("2026/", 3, 3510), ("", 4, 3512)]
    (alone,) = filled("du", "2026/", "-d", "0", "--json").records
    assert (alone["path"], alone["files"], alone["kind"]) == ("2026/", 3, "folder")


@pytest.mark.parametrize("command", ["du", "tree"])
def test_a_prefix_with_nothing_below_is_not_found(filled: Blobcat, command: str) -> None:
    missing = filled(command, "2026/nothing/")
    assert (missing.code, missing.out) == (3, "")
    assert missing.err.splitlines() == [
        "blobcat: there is nothing below '2026/nothing/' in volume 'main'",
        "  → blobcat ls 2026/ shows what is there",
    ]
    assert filled(command, "nothing", "--json").error["kind"] == "not-found"


def test_an_empty_volume_is_no_error(blobcat: Blobcat) -> None:
    assert blobcat("du", "--json").record == {"path": "", "files": 0, "bytes": 0, "newest": None, "kind": "folder"}
    assert (blobcat("tree").code, blobcat("tree").lines) == (0, ["."])


def test_cat_writes_files_one_after_the_other(filled: Blobcat) -> None:
    filled("put", "-", "top.txt", stdin=b"new")
    assert filled("cat", "top.txt", "2026/deep/c.txt").stdout == b"newxxxxxxxxxx"
    assert filled("cat", "--version", "1", "top.txt").stdout == b"xx"
    missing = filled("cat", "nope", "top.txt")
    assert (missing.code, missing.stdout) == (3, b"")


def test_cat_tells_of_damage(filled: Blobcat) -> None:
    filled.stored("top.txt").write_bytes(b"yy")
    assert filled("cat", "top.txt").code == 8


def test_rm_r_needs_somebody_to_ask_or_yes(filled: Blobcat) -> None:
    refused = filled("rm", "-r", "2026")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert filled("ls", "-r").lines == list(FILES)


def test_rm_r_deletes_a_folder_and_nothing_beside_it(filled: Blobcat) -> None:
    filled("put", "-", "2026-b/x")
    done = filled("rm", "-r", "--yes", "2026", "--json")
    assert done.code == 0
    assert {(record["path"], record["kind"]) for record in done.records} == {
        (path, "delete") for path in FILES if path.startswith("2026/")
    }
    assert filled("ls", "-r").lines == ["2026-b/x", "top.txt"]
    assert filled("cat", "2026/a.csv", "--version", "1").stdout == b"x" * 1500


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nothing/"], 3), (["nothing", "--missing-ok"], 0), ([""], 2), (["2026", "--if-version", "1"], 2)],
)
def test_rm_r_of_nothing(filled: Blobcat, arguments: list[str], code: int) -> None:
    assert filled("rm", "-r", "-y", *arguments).code == code
    assert filled("ls", "-r").lines == list(FILES)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes\n", 0), ("\n", 1), ("no\n", 1), ("\x04", 1)])
def test_rm_r_asks_with_count_and_size(filled: Blobcat, answer: str, code: int) -> None:
    done, shown = answering(filled, answer, "rm", "-r", "2026/")
    assert done == code, shown
    assert "delete 2026/  3 files, 3.5 kB  [y/N]" in shown
    assert filled("ls", "-r").lines == (["top.txt"] if code == 0 else list(FILES))


def test_rm_r_leaves_what_was_written_meanwhile_and_names_it(filled: Blobcat) -> None:
    ours, theirs = pty.openpty()
    process = filled.start("rm", "-r", "2026", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    assert process.stderr
    with process.stderr as err:
        assert err.readline().endswith(b"[y/N]\n")
        filled("put", "-", "2026/a.csv", stdin=b"newer")
        os.write(ours, b"y\n")
        failure = err.read().decode()
    assert process.stdout
    with process.stdout as out:
        deleted = out.read().decode().splitlines()
    os.close(ours)
    assert process.wait() == 1
    assert failure.startswith("failed  2026/a.csv  ")
    assert [line.split()[0] for line in sorted(deleted)] == ["2026/deep/b.csv", "2026/deep/c.txt"]
    assert filled("cat", "2026/a.csv").stdout == b"newer"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(empty: Blobcat, shell: str) -> None:
    script = empty("completion", shell)
    assert script.code == 0
    assert f"_BLOBCAT_COMPLETE=complete_{shell}" in script.out
    if executable := shutil.which(shell):
        subprocess.run([executable, "-n"], input=script.stdout, check=True)


def test_completion_knows_three_shells(empty: Blobcat) -> None:
    refused = empty("completion", "tcsh")
    assert refused.code == 2
    assert refused.err.splitlines()[0] == "blobcat: completion knows bash, zsh and fish, not tcsh"


def offered(line: str) -> list[str]:
    words = line.split(" ")
    asked = {"_BLOBCAT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_tab_offers_commands_volumes_and_paths(filled: Blobcat) -> None:
    assert offered("blobcat comp") == ["completion"]
    assert offered("blobcat completion z") == ["zsh"]
    assert offered("blobcat ls 2026/") == ["2026/a.csv", "2026/deep/"]
    assert offered("blobcat cat to") == ["top.txt"]
    assert offered("blobcat ls --volume m") == ["main"]
    assert offered("blobcat cat --url local:nowhere x") == []
    assert not Path("nowhere").exists()


def test_tab_waits_for_no_longer_than_it_may(filled: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE, "0")
    assert offered("blobcat cat to") == []
    monkeypatch.setenv(PATIENCE, "soon")
    assert offered("blobcat cat to") == []
