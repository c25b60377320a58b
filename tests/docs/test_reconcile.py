"""docs/reconcile.md speaks of every state and action, in the words of the code, and its plan is one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from catalog.reconcile.difference import DOES, MEANING, Difference
from catalog.reconcile.plan import Header
from catalog.reconcile.undo import NOT_UNDONE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reconcile.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]


def examples() -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def test_every_state_is_explained_in_order() -> None:
    assert [(row[0].strip("`"), row[1]) for row in table("What it finds")] == [*MEANING.items()]


def test_every_action_is_explained_and_what_undo_makes_of_it() -> None:
    rows = table("What is done about it")
    assert [(row[0].strip("`"), row[1]) for row in rows] == [item for item in DOES.items() if item[0] != "none"]
    assert {row[0].strip("`") for row in rows if row[2].startswith("no")} == {*NOT_UNDONE}


def test_the_example_is_a_plan() -> None:
    header, finding = examples()
    assert header.pop("blobcat") == "plan"
    assert Header(**header).states == {finding["state"]: 1}
    assert Difference.of_record(finding).as_record() == finding
    assert {*json.loads(Header(**header).as_line())} == {*header, "blobcat"}


@pytest.mark.parametrize("state", MEANING)
def test_the_readme_names_every_state(state: str) -> None:
    assert state == "consistent" or f"`{state}`" in (ROOT / "README.md").read_text("utf-8")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target
