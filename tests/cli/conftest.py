"""A catalog to run commands against."""

import os
from pathlib import Path

import pytest

from catalog.cli.completion import PATIENCE
from tests.cli.driver import Blobcat
from tests.harness.branches import LOG


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobcat:
    """In an empty folder, with a url at which there is nothing yet."""
    for name in [name for name in os.environ if name.startswith("BLOBCAT_") and name != LOG]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BLOBCAT_URL", f"local:{tmp_path / 'cat'}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv(PATIENCE, "60")  # a machine may be busy with other tests
    monkeypatch.chdir(tmp_path)
    return Blobcat(tmp_path)


@pytest.fixture
def blobcat(empty: Blobcat) -> Blobcat:
    """With a catalog that has one volume."""
    assert empty("init", "--shards", "2").code == 0
    return empty
