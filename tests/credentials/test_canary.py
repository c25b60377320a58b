"""Canary secrets go through every request and every kind of failure, with all loggers at debug: nobody sings (S15)."""

import logging
import pickle
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog import Catalog, CatalogError, Settings, connect
from catalog.azure_clients import AzureClients
from catalog.azure_credential import azure_credential
from catalog.keys import RowRange
from catalog.locations import AzureLocation, parse_location
from catalog.table import Insert
from storage import Always, Headers
from tests.credentials.conftest import Opener
from tests.credentials.identity import Identity
from tests.harness.invariants import s15_no_secret_leaves
from tests.storage.servers import Answer, answer, serving

KEY = b64encode(b"canary-account-key-0123456789abcdef").decode()
SIGNATURE = "canarysignature0123456789"
IDENTITY = Identity()
CANARIES = (KEY, KEY.rstrip("="), SIGNATURE, IDENTITY.token, "canary-account-key")
SAS = f"sv=2026-02-06&sp=rwdl&se=2099-01-01&sr=c&sig={SIGNATURE}"
SECRETS = {"key": KEY, "sas": SAS}

ECHO = f"<Error><Code>X</Code><Message>sig={SIGNATURE} SharedKey a:{KEY}</Message></Error>"
FAULTS: dict[str, Answer] = {
    "400": answer(400, "InvalidInput", ECHO),
    "401": answer(401, "InvalidAuthenticationInfo", ECHO),
    "403": answer(403, "AuthenticationFailed", ECHO),
    "404": answer(404, "ResourceNotFound", ECHO),
    "409": answer(409, "Conflict", ECHO),
    "500": answer(500, "InternalError", ECHO),
    "503": answer(503, "ServerBusy", ECHO),
    "redirect": answer(307, "", "", f"Location: http://127.0.0.1:1/x?{SAS}\r\n"),
    "nonsense": answer(200, "", f"sig={SIGNATURE}"),
    "closed": Answer("", "close"),
    "reset": Answer("", "reset"),
    "half": Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "close"),
}
Call = Callable[[Catalog], Awaitable[object]]
NOW = datetime.now(UTC) + timedelta(hours=1)


async def _queried(cat: Catalog) -> object:
    return [page async for page in cat._table.query("p", RowRange("a", "b"))]


async def _listed(cat: Catalog) -> object:
    return [blob async for blob in cat._content.list("a")]


async def _opened(cat: Catalog) -> object:
    async with cat._content.open("a", when=Always()) as opened:
        return [chunk async for chunk in opened.chunks]


CALLS: dict[str, Call] = {
    "table.create": lambda cat: cat._table.create(),
    "table.get": lambda cat: cat._table.get("p", "r"),
    "table.query": _queried,
    "table.submit": lambda cat: cat._table.submit("p", [Insert("r", {"a": 1})]),
    "table.drop": lambda cat: cat._table.drop(),
    "content.create": lambda cat: cat._content.create(),
    "content.stage": lambda cat: cat._content.stage("a", "1", b"x"),
    "content.put": lambda cat: cat._content.put("a", b"x", when=Always(), headers=Headers()),
    "content.open": _opened,
    "content.stat": lambda cat: cat._content.stat("a"),
    "content.delete": lambda cat: cat._content.delete("a", when=Always()),
    "content.list": _listed,
    "content.examine": lambda cat: cat._content.examine(),  # type: ignore[attr-defined]
    "content.sign": lambda cat: cat._content.sign("a", expires=NOW),  # type: ignore[attr-defined]
    "doctor": lambda cat: cat.doctor(),
}


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Every logger there is, at debug."""
    for name in (
        "azure",
        "azure.core.pipeline.policies.http_logging_policy",
        "aiohttp",
        "asyncio",
        "catalog",
        "storage",
    ):
        caplog.set_level(logging.DEBUG, name)
    caplog.set_level(logging.DEBUG)
    return caplog


async def sung(cat: Catalog, logs: pytest.LogCaptureFixture, call: Call) -> list[str]:
    """All that anyone could come to see of one call: its error, with the locals of its frames, and the logs."""
    seen = [repr(cat), repr(cat._table), repr(cat._content)]
    try:
        seen.append(str(await call(cat)) if call is not CALLS["content.sign"] else "")
    except CatalogError as exc:
        seen += all_of(exc)
        seen.append(repr(pickle.loads(pickle.dumps(exc)).__dict__))  # noqa: S301 — our own
    seen += [f"{record.getMessage()} {record.args!r} {record.__dict__}" for record in logs.records]
    return seen


def all_of(exc: BaseException | None) -> list[str]:
    """An error and what it came of, also where that is not to be shown, with the locals of all frames."""
    seen, texts, todo = set[int](), list[str](), [exc]
    while todo:
        link = todo.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        texts += [repr(link), repr(getattr(link, "args", ""))]
        texts += traceback.TracebackException.from_exception(link, capture_locals=True).format(chain=False)
        todo += [link.__cause__, link.__context__, getattr(link, "inner_exception", None)]
    return texts


@asynccontextmanager
async def _catalog(port: int, secret: str) -> Any:
    url = f"BlobEndpoint=http://127.0.0.1:{port}/acc;TableEndpoint=http://127.0.0.1:{port}/acc;AccountName=acc"
    settings = Settings(timeout_s=1, request_timeout_s=1, connect_timeout_s=0.2)
    async with connect(url, credential=SECRETS[secret], container="box", table="box", settings=settings) as cat:
        yield cat


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_canary_sings(fault: str, secret: str, logs: pytest.LogCaptureFixture) -> None:
    """Asserts too that the logs said something: silence would prove nothing."""
    async with serving(FAULTS[fault]) as server, _catalog(server.port, secret) as cat:
        for name, call in CALLS.items():
            if name == "doctor" and fault in ("500", "503", "closed", "reset", "half"):
                continue  # it would only wait
            s15_no_secret_leaves(await sung(cat, logs, call), CANARIES)
    assert len(logs.records) > 10


@pytest.mark.parametrize("secret", SECRETS)
async def test_no_canary_sings_where_nobody_answers(secret: str, logs: pytest.LogCaptureFixture) -> None:
    async with _catalog(1, secret) as cat:
        for call in CALLS.values():
            s15_no_secret_leaves(await sung(cat, logs, call), CANARIES)


async def test_no_token_sings(opener: Opener, logs: pytest.LogCaptureFixture) -> None:
    """Before there is a table and a container, all that asks for them fails; then nothing does."""
    cat = opener(IDENTITY)
    for name in sorted(CALLS, key=lambda name: name.endswith((".create", ".drop"))):
        s15_no_secret_leaves(await sung(cat, logs, CALLS[name]), CANARIES)
    for call in CALLS.values():
        s15_no_secret_leaves(await sung(cat, logs, call), CANARIES)


BAD = {
    "a connection string": f"AccountName=acc;AccountKey={KEY};EndpointSuffix=evil.example",
    "an endpoint": f"AccountKey={KEY};AccountName=a;BlobEndpoint=http://[;TableEndpoint=http://x",
    "a sas in a url": f"azure://acc?{SAS}&tabel=x",
    "a sas in no url": f"https://acc.blob.core.windows.net/c?{SAS}",
    "a container": f"azure://acc/UPPER?{SAS}",
}


@pytest.mark.parametrize("name", BAD)
async def test_a_url_that_is_refused_does_not_sing(name: str) -> None:
    with pytest.raises(CatalogError) as caught:
        async with connect(BAD[name]):
            pass
    s15_no_secret_leaves(all_of(caught.value), CANARIES)


async def test_a_credential_that_is_refused_does_not_sing() -> None:
    with pytest.raises(CatalogError) as caught:
        async with connect("azure://acc", credential=KEY + "!"):
            pass
    s15_no_secret_leaves(all_of(caught.value), CANARIES)


@pytest.mark.parametrize("secret", SECRETS)
async def test_no_pickle_holds_one(secret: str) -> None:
    location = parse_location(f"AccountName=acc;AccountKey={KEY}" if secret == "key" else f"azure://acc?{SAS}")
    assert isinstance(location, AzureLocation)
    s15_no_secret_leaves([repr(location), str(location), repr(azure_credential(location, None))], CANARIES)
    async with _catalog(1, secret) as cat:
        clients = cat.unwrap()
        assert isinstance(clients, AzureClients)
        for thing in (location, cat, cat._table, cat._content, clients, clients.table, clients.container):
            with pytest.raises(TypeError, match=r"pickle"):
                pickle.dumps(thing)
