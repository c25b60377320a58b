"""The list of `scripts/mutants` is in step with the code: its texts are there once, and its tests exist."""

import re
from collections import Counter
from pathlib import Path

import pytest

from scripts.mutant_list import LATER, MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text()
    compile(mutant.applied(source), mutant.file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_must_notice_exist(mutant: Mutant) -> None:
    assert mutant.killers
    for killer in mutant.killers:
        file, _, name = killer.partition("::")
        function = name.partition("[")[0]
        assert re.search(rf"^(async )?def {function}\(", (ROOT / file).read_text(), re.MULTILINE), killer


def test_a_mutant_that_does_not_apply_is_stale() -> None:
    with pytest.raises(ValueError, match="stale: its text is in f 2 times"):
        Mutant("m", "rule", "f", "x", "y", ("t",)).applied("x x")


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert set(Counter([*(mutant.name for mutant in MUTANTS), *LATER]).values()) == {1}
