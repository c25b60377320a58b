"""The script that looks for `except` branches which no test has run."""

from pathlib import Path

from scripts.except_coverage import EXCUSED, branches, findings, handlers

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
    found = [(each.name, each.line) for each in handlers("catalog/x.py", SOURCE)]
    assert found == [("catalog/x.py:outer: (KeyError, OSError)", 6), ("catalog/x.py:outer: ValueError", 8)]


def test_it_names_what_never_ran_and_excuses_without_need(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "storage").mkdir()
    (tmp_path / "catalog" / "x.py").write_text(SOURCE)
    found = branches(tmp_path)
    idle = [f"excused without need: {name}" for name in sorted(EXCUSED)]
    assert findings(found, {"catalog/x.py": {6}}) == ["catalog/x.py:8 outer: ValueError", *idle]
    assert findings(found, {"catalog/x.py": {6, 8}}) == idle
