"""The `except` branches that no test has run: those of catalog and storage whose first line coverage.py never saw.

A branch that cannot be run here is excused below, by its file and what it catches, with the reason. An excuse for a
branch that was run after all, or that is not there, is an error too: excuses do not outlive their reason.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import coverage

PACKAGES: Final = ("catalog", "storage")

EXCUSED: Final[dict[str, str]] = {}
"""`file:function: what is caught`, and why no test can run it."""


@dataclass(frozen=True, slots=True)
class Handler:
    """An `except` branch."""

    file: str
    function: str
    catches: str
    line: int
    """The first one of its body."""

    @property
    def name(self) -> str:
        """By which it is excused: without its line, which moves."""
        return f"{self.file}:{self.function}: {self.catches}"


def handlers(file: str, source: str) -> Iterator[Handler]:
    """All branches of a file."""

    def below(node: ast.AST, function: str) -> Iterator[Handler]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and named else function
            if isinstance(child, ast.ExceptHandler):
                caught = ast.unparse(child.type) if child.type else "everything"
                yield Handler(file, function, caught, child.body[0].lineno)
            yield from below(child, inner)

    yield from below(ast.parse(source), "")


def branches(root: Path) -> list[Handler]:
    """All branches of both packages."""
    return [
        handler
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        for handler in handlers(path.relative_to(root).as_posix(), path.read_text())
    ]


def findings(found: list[Handler], ran: dict[str, set[int]]) -> list[str]:
    """What is to be said: one line for each branch that no test ran, and for each excuse that is none."""
    missed = [handler for handler in found if handler.line not in ran.get(handler.file, set())]
    idle = EXCUSED.keys() - {handler.name for handler in missed}
    return [
        *(f"{each.file}:{each.line} {each.name.partition(':')[2]}" for each in missed if each.name not in EXCUSED),
        *(f"excused without need: {name}" for name in sorted(idle)),
    ]


def lines_of(data: coverage.CoverageData, root: Path) -> dict[str, set[int]]:
    """The lines that ran, by file."""
    ours = [Path(name) for name in data.measured_files() if Path(name).is_relative_to(root)]
    return {path.relative_to(root).as_posix(): set(data.lines(str(path)) or ()) for path in ours}


def main() -> None:
    """Read the data, and say what was found."""
    root, file = Path.cwd(), sys.argv[1] if len(sys.argv) > 1 else ".coverage"
    if not Path(file).exists():
        sys.exit(f"except-coverage: there is no {file}; scripts/test --cov makes it")
    data = coverage.CoverageData(file)
    data.read()
    found = branches(root)
    lines = findings(found, lines_of(data, root))
    print(*lines, sep="\n", end="\n" if lines else "")
    print(f"except-coverage: {len(found)} branches, {len(EXCUSED)} excused, {len(lines)} findings (data: {file})")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
