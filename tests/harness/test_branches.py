"""The plugin that notes which `except` branches run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import branches
from tests.harness.branches import EXCUSED, LOG, ROOT, all_branches, findings

SOURCE = """
def outer():
    try:
        work()
    except (KeyError, OSError):
        give_up()
    except ValueError as exc:
        raise Trouble from exc
"""


def test_it_finds_each_branch_and_the_first_line_of_its_body() -> None:
    found = [(each.name, each.line) for each, _ in branches.branches("catalog/x.py", ast.parse(SOURCE))]
    assert found == [("catalog/x.py:outer: (KeyError, OSError)", 6), ("catalog/x.py:outer: ValueError", 8)]


def test_it_names_what_never_ran_and_excuses_without_need(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "storage").mkdir()
    (tmp_path / "catalog" / "x.py").write_text(SOURCE)
    found = all_branches(tmp_path)
    first, second = (each.key for each in found)
    idle = [f"excused without need: {name}" for name in sorted(EXCUSED)]
    assert findings(found, {first}) == [f"never ran: {second}", *idle]
    assert findings(found, {first, second}) == idle


@pytest.mark.parametrize(("text", "ran"), [("blobcat1.!!", True), ("", False)])
def test_a_branch_that_runs_is_noted_and_no_other(text: str, ran: bool, tmp_path: Path) -> None:
    program = (
        "from tests.harness.branches import install; install({log!r})\n"
        "from catalog.token import Token\n"
        "try: Token.parse({text!r}) if {text!r} else None\n"
        "except ValueError: pass\n"
    )
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", program.format(log=str(log), text=text)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert bool([key for key in log.read_text().splitlines() if key.startswith("catalog/token.py:")]) is ran


def test_this_very_run_is_noted() -> None:
    import os

    assert Path(os.environ[LOG]).exists()
