"""Each guard is taken out of a copy of the code, one at a time, and a named test must notice.

What is taken out, and who notices, stands in `mutant_list`. A mutant whose text is not in its file exactly once is
stale: the code has moved on, and the list has to follow. First the tests must pass on a copy in which nothing changed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.mutant_list import LATER, MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[1]
COPIED: Final = ("azurite", "catalog", "scripts", "storage", "tests")
AT_A_TIME: Final = 2
TEST_S: Final = 300
FAILED: Final = 1  # pytest ran, and a test failed
SAID_MAX: Final = 160

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant. `killer` is the test that noticed; empty where none did."""

    name: str
    killer: str
    seconds: float
    said: str = ""
    """What that test said; or what there is to read, where nothing noticed."""


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the code and the tests, without what is made of them."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        shutil.copy(ROOT / "pyproject.toml", copy)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        if (ROOT / "azurite" / "node_modules").exists():
            (copy / "azurite" / "node_modules").symlink_to((ROOT / "azurite" / "node_modules").resolve())
        yield copy


def run(copy: Path, tests: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run tests on a copy, up to the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": f"{copy}", "COLUMNS": "400", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=TEST_S
    )


def attempt(mutant: Mutant) -> Verdict:
    """Run the tests of a mutant on a copy that has it."""
    began = time.monotonic()
    with copied() as copy:
        target = copy / mutant.file
        try:
            target.write_text(mutant.applied(target.read_text()))
        except ValueError as exc:
            return Verdict(mutant.name, "", 0, f"{exc}")
        done = run(copy, mutant.killers)
    seconds = time.monotonic() - began
    failed = _FAILED.search(done.stdout)
    if done.returncode == FAILED and failed:
        return Verdict(mutant.name, failed[1], seconds, failed[2] or "")
    said = "it survived" if done.returncode == 0 else f"its tests did not run:\n{done.stdout[-3000:]}{done.stderr}"
    return Verdict(mutant.name, "", seconds, said)


def healthy(mutants: Sequence[Mutant]) -> Verdict:
    """Run all those tests on a copy that is as it should be."""
    began = time.monotonic()
    with copied() as copy:
        done = run(copy, sorted({test for mutant in mutants for test in mutant.killers}))
    said = "" if done.returncode == 0 else f"without any mutant these fail:\n{done.stdout[-6000:]}{done.stderr}"
    return Verdict("(none)", "" if said else "all pass", time.monotonic() - began, said)


def tell(verdict: Verdict) -> None:
    """One line of the table."""
    print(f"{verdict.name:<44} {verdict.seconds:5.1f} s  {verdict.killer or verdict.said}", flush=True)
    if verdict.killer and verdict.said:
        print(f"{'':<53} {verdict.said[:SAID_MAX]}", flush=True)


def chosen(names: Sequence[str]) -> Sequence[Mutant]:
    """The mutants of these names; all where none is named."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        raise SystemExit(f"scripts/mutants: there is no {', '.join(sorted(unknown))}; --list names them all")
    return [mutant for mutant in MUTANTS if not names or mutant.name in names]


def main() -> int:
    """Try what the arguments name; the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description="Which test notices that a guard is gone?")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; all without one")
    parser.add_argument("--list", action="store_true", help="name them, with the rule that each breaks")
    arguments = parser.parse_args()
    mutants = chosen(arguments.names)
    if arguments.list:
        for mutant in mutants:
            print(f"{mutant.name:<44} {mutant.rule}")
        return 0
    began = time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as runs:
        pending = [runs.submit(healthy, mutants), *(runs.submit(attempt, mutant) for mutant in mutants)]
        verdicts = []
        for each in pending:
            verdicts.append(each.result())
            tell(verdicts[-1])
    bad = [verdict.name for verdict in verdicts if not verdict.killer]
    print(f"{len(mutants)} mutants in {time.monotonic() - began:.0f} s; not killed: {', '.join(bad) or 'none'}")
    for name, why in LATER.items():
        print(f"later: {name} ({why})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
