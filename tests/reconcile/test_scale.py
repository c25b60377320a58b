"""A reconcile of many files takes no more memory than one of few, and as many requests as their pages."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.reconcile.synthetic import SHARDS

FEW = 100_000 if NIGHTLY else 30_000
MANY = 1_000_000 if NIGHTLY else 120_000
"""With fewer than FEW not all caches are full."""


@cache
def took(files: int) -> dict[str, Any]:
    """What a reconcile of so many files took, in a process of its own."""
    command = [sys.executable, "-m", "tests.reconcile.synthetic", f"{files}"]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


@pytest.mark.timeout(TIMEOUT_S)
def test_memory_is_flat() -> None:
    few, many = took(FEW), took(MANY)
    assert (many["blobs"], many["versions"], many["states"]) == (MANY, MANY, {})
    assert many["rss"] <= 1.2 * few["rss"], (few, many)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("files", [FEW, MANY])
def test_reading_takes_as_many_requests_as_there_are_pages(files: int) -> None:
    """Each row is read once, and each blob listed once: 1,000 rows a page of a shard, 5,000 blobs a page."""
    found = took(files)
    least = 2 * files / 1_000 + files / 5_000
    assert least <= found["requests"] <= least + 2 * SHARDS + 2
    assert found["requests"] <= found["requests_read"] <= found["requests"] + SHARDS + 1
