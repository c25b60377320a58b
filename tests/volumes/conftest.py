"""Every kind of catalog there is: one dict, from which all tests of this folder take theirs."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from catalog import Catalog, Volume, connect


def _local(request: pytest.FixtureRequest) -> str:
    folder: Path = request.getfixturevalue("tmp_path")
    return f"local:{folder / 'catalog'}"


def _azurite(request: pytest.FixtureRequest) -> str:
    azurite: Azurite = request.getfixturevalue("azurite")
    name = f"t{uuid4().hex}"
    return f"{azurite.url}/{name}?table={name}"


URLS: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "memory": lambda _request: "memory:",
    "local": _local,
    "azurite": _azurite,
}


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    """The url of a catalog that nobody has used before."""
    return URLS[request.param](request)


@pytest.fixture
async def cat(url: str) -> AsyncIterator[Catalog]:
    """A catalog without volumes, open."""
    async with connect(url, writer="tests") as opened:
        yield opened


@pytest.fixture
async def volume(cat: Catalog) -> Volume:
    """An empty volume, of few shards so that it is made fast."""
    return await cat.create_volume("raw", shards=4)
