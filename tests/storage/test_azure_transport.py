"""What the environment has a say in: a proxy, and nothing else; how a body is sent; how it all ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.core.credentials import AzureSasCredential
from azure.core.rest import HttpRequest
from yarl import URL

from storage import Always
from storage.azure_blob import AzureBlobContent, blob_client
from storage.azure_transport import (
    CONNECTIONS_MAX,
    PIECE_BYTES,
    ConnectionLostError,
    Pieces,
    SingleShotTransport,
)
from tests.storage.servers import Answer, Server, answer, serving

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """One that answers for everybody."""
    async with serving(answer(202)) as server:
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/account"))
        yield server


async def delete(transport: SingleShotTransport, url: str) -> None:
    store = AzureBlobContent(blob_client(url, "container", AzureSasCredential("sig=x"), transport=transport))
    await store.delete("a", when=Always())
    await store.close()


async def test_a_netrc_is_nobodys_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aiohttp would read it for each request, and send the password that stands there to the service."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(answer(202)) as server:
        transport = SingleShotTransport()
        await transport.open()
        asked = await transport.request("GET", URL(server.url), {}, b"")
        assert "Authorization" not in asked.request_info.headers
        asked.close()
        await transport.send(HttpRequest("GET", server.url))
        await delete(transport, server.url)


async def test_the_environments_proxy_is_asked(proxy: Server) -> None:
    await delete(SingleShotTransport(), "http://account.blob.example")
    assert proxy.requests == ["DELETE http://account.blob.example/container/a?sig=x"]


async def test_so_it_is_by_the_sdks_clients(proxy: Server) -> None:
    transport = SingleShotTransport()
    await transport.open()
    await transport.send(HttpRequest("GET", "http://account.blob.example/box"))
    await transport.close()
    assert proxy.requests == ["GET http://account.blob.example/box"]


async def test_a_host_may_be_excepted(proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with serving(answer(202)) as server:
        await delete(SingleShotTransport(), server.url)
        assert (len(server.requests), proxy.requests) == (1, [])


async def test_who_trusts_no_environment_asks_no_proxy(proxy: Server) -> None:
    async with serving(answer(202)) as server:
        await delete(SingleShotTransport(trust_env=False), server.url)
        assert (len(server.requests), proxy.requests) == (1, [])


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_a_long_body_is_sent_in_pieces_of_itself_as_often_as_need_be(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    pieces = Pieces(body)
    for _ in range(2):
        given = [piece async for piece in pieces]
        assert b"".join(given) == body
        assert all(piece.obj is body and 0 < len(piece) <= PIECE_BYTES for piece in given)


@pytest.mark.parametrize("size", [PIECE_BYTES, PIECE_BYTES + 1, 9 << 20])
async def test_a_body_of_any_length_arrives_with_its_length(size: int) -> None:
    async with serving(answer(201)) as server:
        store = AzureBlobContent(blob_client(server.url, "container", AzureSasCredential("sig=x")))
        await store.stage("a", "000000", bytes(size))
        await store.stage("a", "000001", bytes(1))  # on the same connection: nothing of the other is left over
        await store.close()
        assert len(server.requests) == 2
        assert server.connections == 1


async def test_who_waits_for_a_connection_when_they_are_closed_is_not_cancelled_but_told() -> None:
    """And whoever is cancelled, is."""
    async with serving(Answer(then="hang")) as server:
        transport = SingleShotTransport(trust_env=False)
        asking = [
            asyncio.create_task(transport.request("GET", URL(server.url), {}, b"")) for _ in range(CONNECTIONS_MAX + 2)
        ]
        while len(server.requests) < CONNECTIONS_MAX:
            await server.asked.wait()
            server.asked.clear()
        asking[-1].cancel()
        await asyncio.wait(asking[-1:])
        await transport.close()
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in told] == [ConnectionLostError] * (CONNECTIONS_MAX + 1) + [asyncio.CancelledError]
