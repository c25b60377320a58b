"""Temporary folders: whose process is gone is removed by the next one, and nobody else's."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from catalog.scratch import LOCK, Scratch, sweep

PREFIX = "blobcat-tests-"
HOLDS = """
import sys, tempfile
from catalog.scratch import Scratch
tempfile.tempdir = sys.argv[1]
scratch = Scratch(sys.argv[2])
(scratch.path / "large").write_bytes(b"x")
print(scratch.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def holder(place: Path) -> tuple["subprocess.Popen[bytes]", Path]:
    """A process that uses a folder; which."""
    command = [sys.executable, "-c", HOLDS, str(place), PREFIX]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    return process, Path(process.stdout.readline().decode().strip())


def test_what_a_killed_process_has_left_is_removed_and_what_a_living_one_uses_is_not(place: Path) -> None:
    killed, theirs = holder(place)
    living, used = holder(place)
    ours = Scratch(PREFIX)
    with killed, living:
        sweep(PREFIX)
        assert {*place.iterdir()} == {theirs, used, ours.path}
        killed.kill()
        killed.wait()
        sweep(PREFIX)
        assert {*place.iterdir()} == {used, ours.path}
        assert (used / "large").exists()
        living.kill()
    sweep("blobcat-of-another-kind-")
    assert used.exists()
    ours.close()
    ours.close()
    sweep(PREFIX)
    assert not [*place.iterdir()]


def test_what_is_not_certainly_ours_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not locked yet, a link, and what was made where the machine had another name."""
    elsewhere = place / "elsewhere"
    with Scratch(PREFIX) as scratch:
        shutil.copytree(scratch.path, elsewhere)
        scratch.path.with_name(f"{scratch.path.name}-link").symlink_to(elsewhere)
        in_the_making = scratch.path.with_name(f"{scratch.path.name}-new")
        in_the_making.mkdir()
        dead = scratch.path.with_name(f"{scratch.path.name}-dead")
        shutil.copytree(scratch.path, dead)
        before = {*place.iterdir()}
        monkeypatch.setattr("platform.node", lambda: "another")
        sweep(PREFIX)
        assert {*place.iterdir()} == before
        monkeypatch.undo()
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        sweep(PREFIX)
        assert {*place.iterdir()} == before - {dead}
        assert (elsewhere / LOCK).exists()
