"""Which `except` branches of catalog and storage ran: what no test has seen handled is not known to be handled.

A plugin of pytest. As the two packages are imported, each `except` branch gets a first statement that notes that it
ran, at the cost of a call, and nothing is paid for where no error is handled. (A tracer such as coverage.py
sees the same and doubles the time of the suite; tests of time limits then fail.) At the end of a run of the whole
suite, each branch that nothing ran is named, and where all tests have passed, the run fails for it. A program that a
test starts takes part if it asks to, by `take_part`, before it imports anything of ours.
"""

import ast
import builtins
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from types import CodeType, ModuleType
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("catalog", "storage")
LOG: Final = "BLOBCAT_BRANCHES"
"""The environment variable that names a folder: every process of a run has a file in it, and adds what it ran.

Each its own, which stays small: some processes have a limit on how large a file may grow.
"""

EXCUSED: Final[dict[str, str]] = {}
"""`file:function: what is caught`, and why no test can run it."""

REPORT: Final = pytest.StashKey[list[str]]()
TOTAL: Final = pytest.StashKey[str]()

_noted = set[str]()


@dataclass(frozen=True, slots=True)
class Branch:
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

    @property
    def key(self) -> str:
        """By which it is noted."""
        return f"{self.file}:{self.line} {self.function}: {self.catches}"


def branches(file: str, tree: ast.AST) -> Iterator[tuple[Branch, ast.ExceptHandler]]:
    """All branches of a file."""

    def below(node: ast.AST, function: str) -> Iterator[tuple[Branch, ast.ExceptHandler]]:
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.ExceptHandler):
                caught = ast.unparse(child.type) if child.type else "everything"
                yield Branch(file, function, caught, child.body[0].lineno), child
            yield from below(child, inner)

    yield from below(tree, "")


def all_branches(root: Path = ROOT) -> list[Branch]:
    """Those of both packages."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return [
        branch
        for path in paths
        for branch, _ in branches(path.relative_to(root).as_posix(), ast.parse(path.read_bytes()))
    ]


def findings(found: Sequence[Branch], ran: set[str]) -> list[str]:
    """What is to be said: one line for each branch that no test ran, and for each excuse that is none."""
    missed = [branch for branch in found if branch.key not in ran]
    idle = EXCUSED.keys() - {branch.name for branch in missed}
    return [
        *(f"never ran: {branch.key}" for branch in missed if branch.name not in EXCUSED),
        *(f"excused without need: {name}" for name in sorted(idle)),
    ]


class Noting(SourceFileLoader):
    """Loads a module whose branches say that they ran. Its byte code is not kept: others would find it."""

    def get_code(self, fullname: str) -> CodeType:
        """Always from the source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data: Any, path: Any, **_: Any) -> CodeType:  # type: ignore[override]
        """Put a note at the head of each branch."""
        tree = ast.parse(data, path)
        for branch, handler in branches(Path(path).relative_to(ROOT).as_posix(), tree):
            note = ast.parse(f"__ran__({branch.key!r})").body[0]
            for node in ast.walk(note):
                ast.copy_location(node, handler.body[0])
            handler.body.insert(0, note)
        return compile(tree, path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Finds our modules as ever, and has them loaded by `Noting`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib."""
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin and spec.origin.endswith(".py") and Path(spec.origin).is_relative_to(ROOT):
            spec.loader = Noting(fullname, spec.origin)
        return spec


def install(log: str) -> None:
    """From now on, modules that are imported take part. A branch is written down at once: processes are killed."""

    def ran(key: str) -> None:
        if key not in _noted:
            _noted.add(key)
            own = f"{log}/{os.getpid()}-{os.geteuid()}"  # some are nobody for a while
            with open(own, "a") as file:  # noqa: PTH123 — pathlib may be what is under test, and patched
                file.write(f"{key}\n")

    builtins.__ran__ = ran  # type: ignore[attr-defined]
    sys.meta_path.insert(0, Finder())


def noted(log: Path) -> set[str]:
    """What all processes of a run have added."""
    return {line for file in log.iterdir() for line in file.read_text().splitlines()}


def take_part() -> None:
    """Of a run, where this is a process of one: also one that a test starts and that asks for it."""
    if log := os.environ.get(LOG):
        install(log)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before any `conftest.py` imports what is to take part. The first process makes the folder; workers inherit it."""
    if LOG not in os.environ:
        os.environ[LOG] = mkdtemp(prefix="blobcat-branches-")
        Path(os.environ[LOG]).chmod(0o777)
        early_config.add_cleanup(lambda: rmtree(os.environ.pop(LOG)))
    take_part()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run of everything can be expected to have run every branch: then one that nothing ran is a failure."""
    config, passed = session.config, session.exitstatus == pytest.ExitCode.OK
    if not _is_whole(config) or not (passed or session.exitstatus == pytest.ExitCode.TESTS_FAILED):
        return
    found, ran = all_branches(), noted(Path(os.environ[LOG]))
    config.stash[REPORT] = findings(found, ran)
    config.stash[TOTAL] = f"{len(found)} `except` branches, {len(EXCUSED)} excused"
    if config.stash[REPORT] and passed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_whole(config: pytest.Config) -> bool:
    """Whether this is the process that began a run, and it is one of all tests."""
    chosen = ("sampled", "keyword", "markexpr", "deselect", "ignore", "ignore_glob")
    stopped = ("lf", "stepwise", "maxfail", "collectonly")
    return (
        not hasattr(config, "workerinput")
        and config.args == config.getini("testpaths")
        and not any(config.getoption(name, None) for name in (*chosen, *stopped))
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what is missing."""
    stash = terminalreporter.config.stash
    if TOTAL in stash:
        terminalreporter.section("blobcat: except branches")
        for line in [*stash[REPORT], f"{stash[TOTAL]}, {len(stash[REPORT])} findings"]:
            terminalreporter.line(line)
