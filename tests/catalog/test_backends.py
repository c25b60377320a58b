"""Backends: what a catalog closes, whatever else goes wrong."""

from typing import Any

import pytest

from catalog.backends import Backend, backend
from catalog.catalog import Catalog
from catalog.errors import InvalidError
from catalog.locations import parse_location
from catalog.settings import Settings


class Part:
    """A port, or a credential, that says that it was closed, and may then fail."""

    def __init__(self, name: str, closed: list[str], *, fails: bool = False) -> None:
        self._name = name
        self._closed = closed
        self._fails = fails

    async def create(self) -> None:
        """Every port has it; nobody makes anything here."""

    async def close(self) -> None:
        self._closed.append(self._name)
        if self._fails:
            raise OSError(self._name)


def parts(closed: list[str], failing: str) -> list[Any]:
    return [Part(name, closed, fails=name in failing.split()) for name in ("table", "content", "credential")]


@pytest.mark.parametrize("failing", ["table", "content", "credential", "table content credential"])
async def test_what_cannot_be_closed_keeps_nothing_else_open(failing: str) -> None:
    closed: list[str] = []
    with pytest.raises(OSError, match=failing.rsplit(maxsplit=1)[-1]):
        await Backend(*parts(closed, failing)).close()
    assert closed == ["table", "content", "credential"]


async def test_a_catalog_closes_its_threads_and_its_credential_whatever_fails() -> None:
    closed: list[str] = []
    table, content, credential = parts(closed, "table")
    catalog = Catalog(table, content, credential=credential)
    with pytest.raises(OSError, match="table"):
        await catalog.close()
    assert closed == ["table", "content", "credential"]
    with pytest.raises(InvalidError, match="closed"):
        catalog._threads.submit(print)


async def test_only_a_credential_that_we_made_is_ours_to_close() -> None:
    from azure.identity.aio import AzureCliCredential, DefaultAzureCredential

    location = parse_location("azure://account/container")
    ours = backend(location, None, Settings())
    assert isinstance(ours.credential, DefaultAzureCredential)
    await ours.close()
    await ours.close()
    for given in (AzureCliCredential(), "c2VjcmV0LWNhbmFyeQ==", "sig=x"):
        theirs = backend(location, given, Settings())
        assert theirs.credential is None
        await theirs.close()
