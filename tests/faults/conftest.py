"""What the tests of faults on Azurite share."""

from collections.abc import AsyncIterator

import pytest

from azurite.launch import Azurite
from tests.faults.site import Site, site_of


@pytest.fixture
async def site(azurite: Azurite) -> AsyncIterator[Site]:
    async with site_of(azurite) as opened:
        yield opened
