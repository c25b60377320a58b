"""What all tests share: one Azurite for the whole run, or for each process of it."""

from collections.abc import Iterator

import pytest

from azurite.launch import Azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A real Azurite, in memory, started for the first test that asks for it."""
    with Azurite() as running:
        yield running
