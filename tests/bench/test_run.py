"""The benchmark runs, says what it found in three ways, and its exit status says what it missed. Not how fast it is."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench_report import markdown_of

ROOT = Path(__file__).parents[2]


def test_a_smoke_run_tells_what_it_measured(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "scripts.bench", "--smoke", "--only", "P1,P3,P9", "--json", f"{report}"]
    command += ["--picture", f"{tmp_path / 'goals.png'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(report.read_text("utf-8"))
    assert [row["target"] for row in found["rows"]] == ["P1", "P3", "P3", "P9"]
    assert all(row["ours"]["median"] > 0 for row in found["rows"])
    assert done.returncode == bool(found["missed"])
    assert all(f"missed: {name}" in done.stdout for name in found["missed"])


@pytest.mark.parametrize("arguments", [["--only", "P77"], ["--short", "--long"]])
def test_what_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "scripts.bench", *arguments]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 2


def test_readme_shows_the_latest_run() -> None:
    report = json.loads((ROOT / "docs" / "bench" / "latest.json").read_text("utf-8"))
    table = markdown_of([row["cells"] for row in report["rows"]], "").strip()
    shown = re.search(r"<!-- bench: .*?-->\n(.*)<!-- /bench -->", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert shown
    assert shown[1].strip().startswith(table)
    assert report["machine"]["cpu"] in shown[1]
