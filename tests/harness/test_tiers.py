"""What an ordinary run leaves out, by real runs of pytest that only collect."""

import subprocess
import sys
from pathlib import Path

from tests.harness.tiers import EVERY_NTH

ROOT = Path(__file__).parents[2]
LONG = "tests/catalog/test_moves.py::test_no_state_breaks_an_invariant"


def collected(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments, "tests/catalog/test_moves.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_of_the_longest_tests_every_nth_case_is_tried_and_all_of_the_others() -> None:
    everything, some = collected(), collected("--sampled")
    cases = [line for line in everything if line.startswith(LONG)]
    kept = set(cases[:: EVERY_NTH[LONG]])
    assert 0 < len(kept) < len(cases)
    assert some == [line for line in everything if not line.startswith(LONG) or line in kept]
