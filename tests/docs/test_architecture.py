"""docs/architecture.md is the map: every module stands on it, and nothing that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("package", ["catalog", "catalog/cli", "catalog/reconcile", "storage"])
def test_every_module_is_on_the_map(package: str) -> None:
    section = MAP.partition(f"## {package}\n")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    there = {
        path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert named == there - {"__init__"}
