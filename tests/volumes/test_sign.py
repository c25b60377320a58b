"""Signed urls, and what a catalog says of itself and hands out: on every back end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf, nan
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import aiohttp
import pytest
import yarl
from azure.data.tables.aio import TableClient
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import ContainerClient

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from catalog import AzureClients, Catalog, InvalidError, LocalPaths, NotFoundError, Volume, connect
from catalog.columns import purging_values
from catalog.exchange import partition_of
from catalog.keys import version_row
from catalog.table import Merge
from storage import Always

LONG_AGO: Any = timedelta(days=-1)


@pytest.fixture
async def azure(azurite: Azurite) -> AsyncIterator[Volume]:
    name = f"t{uuid4().hex}"
    async with connect(f"{azurite.url}/{name}?table={name}") as cat:
        yield await cat.create_volume("raw", shards=1)


@asynccontextmanager
async def got(url: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession() as session, session.get(yarl.URL(url, encoded=True), headers=headers) as answer:
        yield answer


async def test_a_url_reads_one_version_and_nothing_else(azure: Volume) -> None:
    await azure.put("a/b c.csv", b"one")
    await azure.put("a/b c.csv", b"two")
    urls = [await azure.sign("a/b c.csv", expires_in=timedelta(minutes=1), version=version) for version in (1, 2, None)]
    for url, content in zip(urls, (b"one", b"two", b"two"), strict=True):
        assert parse_qs(urlsplit(url).query)["sv"] == ["2021-12-02"]  # the SDK's own is refused by older clouds
        async with got(url) as answer:
            assert (answer.status, await answer.read()) == (200, content)
            assert answer.headers["Content-Disposition"] == "inline; filename*=UTF-8''b%20c.csv"
    other = (await azure.put("other", b"x")).blob
    file = (await azure.stat("a/b c.csv")).blob
    async with got(urls[2].replace(_quoted(file), _quoted(other))) as answer:
        assert answer.status == 403
    async with aiohttp.ClientSession() as session, session.delete(yarl.URL(urls[2], encoded=True)) as answer:
        assert answer.status == 403


async def test_a_url_ends_when_it_was_said_to(azure: Volume) -> None:
    await azure.put("a", b"one")
    url = await azure.sign("a", expires_in=90)
    end = datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0])
    assert timedelta(seconds=80) < end - datetime.now(UTC) <= timedelta(seconds=90)
    assert await azure.sign("a", expires_in=timedelta(days=365))  # by the account's key there is no limit


@pytest.mark.parametrize("wrong", [0, -1, 0.5, nan, inf, True, "1h", None, LONG_AGO, timedelta.max, 1e300], ids=repr)
async def test_a_time_that_cannot_be_is_refused(azure: Volume, wrong: Any) -> None:
    with pytest.raises(InvalidError, match="expires_in is") as caught:
        await azure.sign("a", expires_in=wrong)
    assert caught.value.kind == "invalid.expires"


async def test_what_is_not_there_is_not_signed(azure: Volume) -> None:
    await azure.put("a", b"one")
    await azure.delete("a")
    for path, version in (("a", None), ("a", 2), ("a", 3), ("b", None)):
        with pytest.raises(NotFoundError):
            await azure.sign(path, expires_in=60, version=version)


async def test_what_was_purged_is_not_signed(azure: Volume) -> None:
    for content in (b"one", b"two"):
        await azure.put("a", content)
    await azure.purge(keep_versions=1)
    await _refused_as_purged(azure)
    assert await azure.sign("a", expires_in=60, version=2)


@pytest.mark.parametrize("gone", [False, True])
async def test_what_a_purge_was_about_to_delete_is_signed_while_it_is_there(azurite: Azurite, *, gone: bool) -> None:
    """As it is read: a purge that was stopped may have come so far, or not."""
    name = f"t{uuid4().hex}"
    async with connect(f"{azurite.url}/{name}?table={name}") as cat:
        volume = await cat.create_volume("raw", shards=1)
        file = await volume.put("a", b"one")
        await volume.put("a", b"two")
        flag = Merge(version_row("a", 1), purging_values("run"))
        await cat._table.submit(partition_of(volume.info, "a"), [flag])
        if not gone:
            assert await volume.sign("a", expires_in=60, version=1)
            return
        await cat._content.delete(file.blob, when=Always())
        await _refused_as_purged(volume)


async def _refused_as_purged(volume: Volume) -> None:
    with pytest.raises(NotFoundError) as read:
        await volume.read("a", version=1)
    with pytest.raises(NotFoundError) as signed:
        await volume.sign("a", expires_in=60, version=1)
    assert (read.value.kind, read.value.message) == (signed.value.kind, signed.value.message)
    assert (signed.value.kind, signed.value.op) == ("not-found.purged", "sign")


async def test_a_sas_signs_nothing(azurite: Azurite, azure: Volume) -> None:
    await azure.put("a", b"one")
    container = _container(await azure.sign("a", expires_in=60))
    sas = generate_container_sas(
        ACCOUNT_NAME,
        container,
        ACCOUNT_KEY,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    async with connect(f"{azurite.url}/{container}?table={container}", credential=sas) as cat:
        assert not cat.capabilities.signed_urls
        with pytest.raises(InvalidError, match="opened with SAS signs no urls") as caught:
            await cat._content.sign("a", expires=datetime.now(UTC))  # type: ignore[attr-defined]
        assert caught.value.kind == "invalid.unsupported"


async def test_capabilities_tell_who_signs(cat: Catalog, volume: Volume) -> None:
    await volume.put("a", b"one")
    if cat.capabilities.signed_urls:
        assert (await volume.sign("a", expires_in=60)).startswith("http")
        return
    with pytest.raises(InvalidError, match="only a catalog on Azure") as caught:
        await volume.sign("a", expires_in=60)
    assert caught.value.kind == "invalid.unsupported"


async def test_unwrap_hands_out_what_the_catalog_is_made_of(cat: Catalog, volume: Volume) -> None:
    file = await volume.put("a", b"one")
    if repr(cat).count("memory"):
        with pytest.raises(InvalidError, match="no clients"):
            cat.unwrap()
        return
    match cat.unwrap():
        case AzureClients(table, container):
            assert isinstance(table, TableClient)
            assert isinstance(container, ContainerClient)
            assert await container.get_blob_client(file.blob).exists()
        case LocalPaths(table_path, folder):
            assert table_path.is_file()
            assert isinstance(folder, Path)
            (stored,) = (folder / "files").glob(f"{file.blob}*")
            assert stored.read_bytes() == b"one"


def _container(url: str) -> str:
    return urlsplit(url).path.split("/")[2]


def _quoted(blob: str) -> str:
    from urllib.parse import quote

    return quote(blob, safe="/~")
