"""What all tests share: one Azurite for the whole run, or for each process of it; and the sums of what was tried."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azurite.launch import Azurite
from tests.harness import tally


@pytest.fixture(scope="session", autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The temporary folder of a run goes with it: journals of plans that nobody saved are kept for undo, by design."""
    folder = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A real Azurite, in memory, started for the first test that asks for it; of null it says what Azure says."""
    with Azurite(before=Path(__file__).with_name("harness") / "as_azure.mjs") as running:
        yield running


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist hands over what it counted."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = tally.totals()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker is done; one that crashed counted nothing."""
    tally.add(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The sums of all processes."""
    if counts := tally.totals():
        terminalreporter.section("blobcat: what was tried")
        for line in tally.lines(counts):
            terminalreporter.line(line)
