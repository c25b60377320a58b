"""Every kind of catalog that there is, with a volume to be injured."""

from collections.abc import AsyncIterator

import pytest

from catalog import connect
from tests.reconcile.scene import Scene, indexed
from tests.volumes.conftest import URLS


@pytest.fixture(params=URLS)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """A volume on each kind."""
    async with connect(URLS[request.param](request), writer="tests") as cat:
        yield await indexed(cat, "raw", shards=4)


@pytest.fixture
async def small() -> AsyncIterator[Scene]:
    """A volume in memory."""
    async with connect("memory:", writer="tests") as cat:
        yield await indexed(cat, "raw", shards=4)
