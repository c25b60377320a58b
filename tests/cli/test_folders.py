"""A folder where a file is wanted: one line says so, and one what to do, which then works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.driver import PROGRAM, Blobcat


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    for path in ("x/a.txt", "x/d/b c.txt", "top.txt"):
        assert blobcat("put", "-", path, stdin=path.encode()).code == 0
    return blobcat


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["get", "x/"], "blobcat get -r x/ FOLDER"),
        (["cat", "top.txt", "x/"], "blobcat ls -r x/ shows the files in it"),
        (["stat", "x/"], "blobcat ls x/ or blobcat du x/ shows what is in it"),
        (["history", "x/"], "blobcat ls --deleted -r x/ shows the files that are and were in it"),
        (["restore", "x/", "--version", "1"], "blobcat ls --deleted -r x/ shows the files that were in it"),
        (["sign", "x/"], "blobcat ls -r x/ shows the files in it"),
        (["rm", "x/"], "blobcat rm -r x/"),
        (["put", "-", "x/"], "blobcat put - x/NAME"),
        (["put", "in/n.txt", "x/"], "blobcat put in/n.txt x/n.txt"),
        (["mv", "top.txt", "x/"], "blobcat mv top.txt x/top.txt"),
        (["cp", "x/d/b c.txt", "y/"], "blobcat cp 'x/d/b c.txt' 'y/b c.txt'"),
    ],
)
def test_a_folder_is_called_that_and_the_hint_says_what_to_do(
    filled: Blobcat, arguments: list[str], instead: str
) -> None:
    refused = filled(*arguments)
    assert (refused.code, refused.out) == (2, "")
    said, hint = refused.err.splitlines()
    assert said.endswith("/ is a folder, and this takes a file's path")
    assert hint == f"  → {instead}"


@pytest.mark.parametrize("target", ["y/", "y", "o'dd $d/"])
def test_the_hint_for_a_folder_that_is_to_move_moves_it(filled: Blobcat, target: str, tmp_path: Path) -> None:
    refused = filled("mv", "x/", target)
    assert refused.code == 2
    said, hint = refused.err.splitlines()
    assert said == "blobcat: x/ is a folder, and mv takes one file"
    program = tmp_path / "bin" / "blobcat"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    program.chmod(0o700)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    line = hint.removeprefix("  → ")
    subprocess.run(["/usr/bin/env", "bash", "-c", line], env=os.environ | {"PATH": path}, check=True)
    folder = target.rstrip("/")
    assert sorted(filled("ls", "-r").lines) == sorted([f"{folder}/a.txt", f"{folder}/d/b c.txt", "top.txt"])


def test_nobody_is_asked_about_a_folder_that_is_not_there(filled: Blobcat) -> None:
    gone = filled("rm", "-r", "nosuch")
    assert (gone.code, gone.err.splitlines()[0]) == (3, "blobcat: there is nothing below 'nosuch/' in volume 'main'")
    assert filled("rm", "-r", "nosuch", "--missing-ok").code == 0
    asked = filled("rm", "-r", "x")
    assert (asked.code, "here is nobody to ask" in asked.err) == (2, True)
    assert len(filled("ls", "-r").lines) == 3


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["get", "x/d"], "blobcat get -r x/d/ FOLDER"),
        (["get", "x", "-"], "blobcat get -r x/ FOLDER"),
        (["rm", "x"], "blobcat rm -r x/"),
        (["stat", "x"], "blobcat ls x/ or blobcat du x/ shows what is in it"),
    ],
)
def test_a_folder_without_its_slash_is_known_for_one(filled: Blobcat, arguments: list[str], instead: str) -> None:
    path = arguments[1]
    refused = filled(*arguments)
    assert (refused.code, refused.out) == (3, "")
    said, hint = refused.err.splitlines()
    assert said.startswith(f"blobcat: there is no file '{path}' ")
    assert said.endswith(f": {path}/ is a folder")
    assert hint == f"  → {instead}"
    filled("rm", "-r", path, "--yes")
    assert "is a folder" not in filled(*arguments).err


def test_what_is_no_file_is_called_that_before_its_name_is_judged(filled: Blobcat) -> None:
    assert filled("get", "*.csv").err.startswith("blobcat: there is no file '*.csv' in volume 'main'\n")
    filled("put", "-", "*.csv")
    refused = filled("get", "*.csv")
    assert (refused.code, "is no file's name on every system" in refused.err) == (2, True)
