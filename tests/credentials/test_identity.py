"""Opened with an identity: a token goes over https, to a real Azurite that looks at it."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import yarl

from azurite.launch import ACCOUNT_KEY
from catalog import AccessDeniedError, Catalog, InvalidError, UnavailableError, Volume, connect
from catalog.azure_table import AzureTable, table_client
from tests.credentials.conftest import Opener, SecureAzurite
from tests.credentials.identity import Identity

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys
from catalog import connect
from tests.credentials.identity import Identity

async def main():
    async with Identity() as identity:
        async with connect(sys.argv[1], credential=identity, container=sys.argv[2], table=sys.argv[2]) as cat:
            volume = await cat.create_volume("raw", shards=1)
            await volume.put("a/b.txt", b"hello")
            print(await volume.read("a/b.txt"), [file.path async for file in volume.list(recursive=True)])
            await volume.delete("a/b.txt")
            print([file.path async for file in volume.list(recursive=True)], (await cat.doctor()).ok)
        print(identity.closed, sorted(set(identity.asked)))

asyncio.run(main())
"""


def test_connect_with_a_credential_object_and_endpoints_alone(secure: SecureAzurite) -> None:
    """As users do it: a process of its own, that trusts the certificate by SSL_CERT_FILE."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, secure.server.endpoints, "connected"],
        env={**os.environ, "SSL_CERT_FILE": secure.ca_file, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "b'hello' ['a/b.txt']",
        "[] True",
        "False ['https://storage.azure.com/.default']",
    ], done.stderr


async def test_an_identity_signs_urls_by_a_key_of_its_own(
    cat: Catalog, volume: Volume, secure: SecureAzurite, identity: Identity
) -> None:
    assert cat.capabilities.signed_urls
    await volume.put("a/ü b.txt", b"one")
    url = await volume.sign("a/ü b.txt", expires_in=60)
    await volume.put("a/ü b.txt", b"two")
    assert "skoid=" in url
    assert "spr=https&" in url
    assert "sp=r&" in url
    assert identity.token not in url
    async with aiohttp.ClientSession() as session:
        async with session.get(_encoded(url), ssl=_trusting(secure)) as answer:
            assert (answer.status, await answer.read()) == (200, b"one")
            assert answer.headers["Content-Disposition"] == "inline; filename*=UTF-8''%C3%BC%20b.txt"
        async with session.get(_encoded(url.replace("sp=r&", "sp=rw&")), ssl=_trusting(secure)) as answer:
            assert answer.status == 403
        async with session.put(
            _encoded(url), data=b"x", headers={"x-ms-blob-type": "BlockBlob"}, ssl=_trusting(secure)
        ) as answer:
            assert answer.status == 403


async def test_many_urls_share_one_delegation_key(volume: Volume) -> None:
    await volume.put("a", b"one")
    first, second = [await volume.sign("a", expires_in=60 + number) for number in range(2)]
    (key,) = {part for url in (first, second) for part in url.split("&") if part.startswith("ske=")}
    longer = await volume.sign("a", expires_in=86_400)
    assert key not in longer.split("&")


async def test_an_identity_signs_for_seven_days_and_no_longer(volume: Volume) -> None:
    await volume.put("a", b"one")
    assert await volume.sign("a", expires_in=7 * 86_400 - 1)
    with pytest.raises(InvalidError, match="at most 7 days") as caught:
        await volume.sign("a", expires_in=7 * 86_400 + 60)
    assert caught.value.kind == "invalid.expires"


@pytest.mark.parametrize(
    "wrong", [Identity(life_s=-30), Identity(audience="https://vault.azure.net")], ids=["old", "other"]
)
async def test_a_token_that_is_not_for_this_is_refused(opener: Opener, wrong: Identity) -> None:
    with pytest.raises(AccessDeniedError) as caught:
        await opener(wrong).create_volume("raw")
    assert caught.value.kind == "access-denied.credential"


async def test_a_certificate_that_nobody_vouches_for_is_refused(secure: SecureAzurite, identity: Identity) -> None:
    endpoint = f"https://127.0.0.1:{secure.server.table_port}/devstoreaccount1"
    table = AzureTable(table_client(endpoint, "ttls", identity))
    try:
        with pytest.raises(UnavailableError) as caught:
            await table.create()
        assert caught.value.kind == "unavailable.tls"
        assert isinstance(caught.value, UnavailableError)
    finally:
        await table.close()


async def test_a_token_does_not_go_over_plain_http(identity: Identity) -> None:
    with pytest.raises(InvalidError, match="over https only"):
        async with connect("azurite:", credential=identity):
            pass
    assert identity.asked == []


@pytest.mark.parametrize("key", ["", "not base64!", ACCOUNT_KEY[:-3]])
async def test_a_key_that_is_none_is_refused_at_once(key: str) -> None:
    with pytest.raises(InvalidError) as caught:
        async with connect("azure://account", credential=key):
            pass
    assert caught.value.kind == "invalid.credential"
    assert not key or key not in str(caught.value)


def _trusting(secure: SecureAzurite) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=secure.ca_file)


def _encoded(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)
