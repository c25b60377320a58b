"""The plugin that notes which `except` branches run."""

import ast
import os
import subprocess
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from tests.harness import branches
from tests.harness.branches import EXCUSED, LOG, ROOT, all_branches, findings, noted

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
    log.mkdir()
    command = [sys.executable, "-c", program.format(log=str(log), text=text)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert bool([key for key in noted(log) if key.startswith("catalog/token.py:")]) is ran


def test_this_very_run_is_noted() -> None:
    assert Path(os.environ[LOG]).exists()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another suite, whose one test passes and runs nothing of ours."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text("def test_one(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\naddopts = -p tests.harness.branches\n")
    return tmp_path


def run(folder: Path, *arguments: str, ran: AbstractSet[str] = frozenset()) -> tuple[int, list[str]]:
    """Its exit code, and what it said of branches."""
    log = folder / "log"
    log.mkdir(exist_ok=True)
    (log / "earlier").write_text("".join(f"{key}\n" for key in ran))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=os.environ | {LOG: f"{folder / 'log'}", "PYTHONPATH": f"{ROOT}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.partition("blobcat: except branches")[2].splitlines()[1:]


def test_a_run_of_everything_that_passed_fails_for_a_branch_that_nothing_ran(other: Path) -> None:
    found = all_branches()
    first, *rest = [branch for branch in found if branch.name not in EXCUSED]
    code, said = run(other, ran={branch.key for branch in rest})
    assert (code, said[:1]) == (1, [f"never ran: {first.key}"])
    code, said = run(other, ran={branch.key for branch in [first, *rest]})
    assert (code, said[0]) == (0, f"{len(found)} `except` branches, {len(EXCUSED)} excused, 0 findings")


def test_where_a_test_has_failed_branches_are_named_all_the_same(other: Path) -> None:
    (other / "tests" / "test_two.py").write_text("def test_two(): assert False\n")
    code, said = run(other)
    assert code == 1
    assert [line for line in said if line.startswith("never ran: ")]


@pytest.mark.parametrize(
    "arguments",
    [["tests/test_one.py"], ["-k", "one"], ["--deselect", "x"], ["--collect-only"]],
    ids=str,
)
def test_a_run_of_some_tests_is_not_asked(other: Path, arguments: list[str]) -> None:
    assert run(other, *arguments) == (0, [])
