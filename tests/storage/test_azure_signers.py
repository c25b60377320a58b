"""Signatures, beside those of the SDKs; tokens, and what a challenge asks for."""

import asyncio
import pickle
import time
from base64 import b64encode
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.data.tables._authentication import SharedKeyCredentialPolicy as TablePolicy
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy as BlobPolicy
from azure.storage.blob._shared.authentication import _storage_header_sort
from hypothesis import given
from hypothesis import strategies as st

from storage.azure_sender import Sender
from storage.azure_signers import BlobKey, Nobody, Sas, TableKey, Token, UnsignedError, in_order, signer
from storage.azure_transport import SingleShotTransport

SECRET = b64encode(b"a key of the account").decode()
KEY = AzureNamedKeyCredential("account", SECRET)
BLOBS, TABLES = "https://account.blob.core.windows.net", "https://account.table.core.windows.net"

identifiers = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
header_names = st.sampled_from(
    [
        "x-ms-date",
        "x-ms-version",
        "x-ms-blob-type",
        "x-ms-blob-content-type",
        "x-ms-blob-content-md5",
        "x-ms-range",
        "x-ms-source-if-match",
    ]
) | identifiers.map("x-ms-meta-{}".format)


@given(names=st.sets(header_names | st.sampled_from(["Content-Type", "If-Match", "Accept"])))
def test_headers_stand_in_the_order_of_the_sdk(names: set[str]) -> None:
    theirs = [name for name, _ in _storage_header_sort([(name, "") for name in names if name.startswith("x-ms-")])]
    assert list(in_order(tuple(names))) == theirs


REQUESTS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "put": (
        "PUT",
        f"{BLOBS}/box/a%20b/%C3%BC~.txt",
        {"If-None-Match": "*", "Content-Length": "5", "Content-MD5": "bQ=="},
    ),
    "put of nothing": ("PUT", f"{BLOBS}/box/a", {"Content-Length": "0", "x-ms-blob-type": "BlockBlob"}),
    "block": ("PUT", f"{BLOBS}/box/a?comp=block&blockid=QUJD%3D", {"Content-Length": "5", "Content-Type": "a/b"}),
    "get": ("GET", f"{BLOBS}/box/a", {"x-ms-range": "bytes=1-2", "If-Match": '"0x8D"'}),
    "metadata": (
        "PUT",
        f"{BLOBS}/box/a?comp=metadata",
        {"x-ms-meta-a_b": "1", "x-ms-meta-a0": "2", "x-ms-meta-ab": ""},
    ),
    "spaces inside": (
        "PUT",
        f"{BLOBS}/box/a",
        {"x-ms-blob-content-type": "text/plain;  a=b", "x-ms-blob-content-disposition": 'inline; filename="a \t b"'},
    ),
    "list": ("GET", f"{BLOBS}/box?restype=container&comp=list&include=metadata&prefix=a%2F%C3%BC&marker=x%20y", {}),
    "emulator": ("DELETE", "http://127.0.0.1:10000/account/box/a//b/", {}),
    "batch": ("POST", f"{TABLES}/$batch", {"Content-Type": "multipart/mixed; boundary=b", "Content-Length": "9"}),
    "entity": ("GET", f"{TABLES}/t(PartitionKey='p',RowKey='a''%C3%A9')", {"Accept": "application/json"}),
    "query": ("GET", f"{TABLES}/t()?$filter=PartitionKey%20eq%20%27p%27&$top=5", {}),
    "table properties": ("GET", f"{TABLES}/?restype=service&comp=properties", {}),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_key_signs_as_the_sdk_does(name: str) -> None:
    method, url, headers = REQUESTS[name]
    tables = name in ("batch", "entity", "query", "table properties")
    ours = {"x-ms-version": "2021-01-01", **headers}
    await signer(KEY, blob=not tables).sign(method, url, ours)
    request = HttpRequest(method, url, headers={name: value for name, value in ours.items() if name != "Authorization"})
    context: Any = SimpleNamespace(transport=AioHttpTransport())
    made: Any = TablePolicy if tables else BlobPolicy
    policy = made(KEY) if tables else made("account", SECRET)
    policy.on_request(PipelineRequest(request, context))
    theirs = request.headers["Authorization"]
    assert ours["Authorization"] == theirs


def test_each_credential_has_its_signer() -> None:
    assert type(signer(KEY, blob=True)) is BlobKey
    assert type(signer(KEY, blob=False)) is TableKey
    assert type(signer(AzureSasCredential("sig=x"), blob=True)) is Sas
    assert type(signer(Identity(), blob=True)) is Token
    assert type(signer(None, blob=True)) is Nobody
    assert [signer(each, blob=True).by_key for each in (KEY, AzureSasCredential("sig=x"), Identity(), None)] == [
        True,
        False,
        False,
        False,
    ]


async def test_a_key_that_its_owner_replaces_is_used_at_once() -> None:
    credential = AzureNamedKeyCredential("account", SECRET)
    signing, headers = signer(credential, blob=True), dict[str, str]()
    await signing.sign("GET", f"{BLOBS}/box", headers)
    before = headers["Authorization"]
    credential.update("account", b64encode(b"another").decode())
    await signing.sign("GET", f"{BLOBS}/box", headers)
    assert headers["Authorization"] != before


def test_a_sas_that_its_owner_replaces_is_used_at_once() -> None:
    credential = AzureSasCredential("?sig=one")
    signing = signer(credential, blob=True)
    assert signing.query == "sig=one"
    credential.update("sig=two")
    assert signing.query == "sig=two"


async def test_a_key_that_is_none_proves_that_nothing_was_sent() -> None:
    with pytest.raises(UnsignedError) as raised:
        await signer(AzureNamedKeyCredential("account", "no base64 at all"), blob=True).sign("GET", f"{BLOBS}/box", {})
    assert "base64" not in str(raised.value)
    assert raised.value.__cause__ is None


# Tokens.


class Identity:
    """Gives tokens, one after the other, each good for so long; remembers what it was asked for."""

    def __init__(self, *lives_s: float) -> None:
        self.lives_s = list(lives_s)
        self.asked: list[tuple[tuple[str, ...], dict[str, str]]] = []

    async def get_token(self, *scopes: str, **options: str) -> AccessToken:
        self.asked.append((scopes, options))
        await asyncio.sleep(0)
        life_s = self.lives_s.pop(0) if len(self.lives_s) > 1 else self.lives_s[0]
        return AccessToken(f"token{len(self.asked)}", int(time.time() + life_s))


class BlockingIdentity(Identity):
    """One of the synchronous kind."""

    def get_token(self, *scopes: str, **options: str) -> AccessToken:  # type: ignore[override]
        self.asked.append((scopes, options))
        return AccessToken(f"token{len(self.asked)}", int(time.time() + 3600))


async def bearer(signing: Any, url: str = f"{BLOBS}/box") -> str:
    headers = dict[str, str]()
    await signing.sign("GET", url, headers)
    return headers["Authorization"]


async def test_a_token_is_asked_for_once_by_all_who_need_it() -> None:
    identity = Identity(3600)
    signing = signer(identity, blob=True)
    assert set(await asyncio.gather(*(bearer(signing) for _ in range(20)))) == {"Bearer token1"}
    assert identity.asked == [(("https://storage.azure.com/.default",), {})]


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Clocked(Identity):
    """One by that clock; it fails while it is told to."""

    def __init__(self, clock: Clock, *lives_s: float) -> None:
        super().__init__(*lives_s)
        self.clock = clock
        self.fails = False

    async def get_token(self, *scopes: str, **options: str) -> AccessToken:
        found = await super().get_token(*scopes, **options)
        if self.fails:
            raise ConnectionError("who gives tokens is gone")
        return AccessToken(found.token, int(self.clock.now_s + found.expires_on - time.time() + 0.5))


async def test_a_token_that_ends_soon_is_replaced() -> None:
    clock = Clock()
    signing = Token(Clocked(clock, 3600), now_s=clock)
    told = list[str]()
    for passed_s in (0, 3299, 2, 0):
        clock.now_s += passed_s
        told.append(await bearer(signing))
    assert told == ["Bearer token1", "Bearer token1", "Bearer token2", "Bearer token2"]


async def test_a_token_that_is_still_good_is_used_while_no_other_can_be_had() -> None:
    """Somebody asks every 30 seconds, and no request fails until ten are left; then each asks."""
    clock = Clock()
    identity = Clocked(clock, 3600)
    signing = Token(identity, now_s=clock)
    assert await bearer(signing) == "Bearer token1"
    identity.fails = True
    clock.now_s += 3310
    for asked in range(2, 11):  # 290 s are left, and in the end 20
        assert await bearer(signing) == "Bearer token1"
        clock.now_s += 29
        assert await bearer(signing) == "Bearer token1"
        assert len(identity.asked) == asked
        clock.now_s += 1
    clock.now_s += 11
    for asked in (11, 12):
        with pytest.raises(UnsignedError) as raised:
            await bearer(signing)
        assert isinstance(raised.value.__cause__, ConnectionError)
        assert len(identity.asked) == asked
    identity.fails = False
    assert await bearer(signing) == "Bearer token13"


async def test_a_token_that_is_hardly_better_is_not_asked_for_at_each_request() -> None:
    clock = Clock()
    identity = Clocked(clock, 200)
    signing = Token(identity, now_s=clock)
    assert [await bearer(signing) for _ in range(3)] == ["Bearer token1"] * 3
    clock.now_s += 30
    assert [await bearer(signing) for _ in range(3)] == ["Bearer token2"] * 3


async def test_a_refused_token_is_replaced_at_once_though_nobody_could_give_one_just_now() -> None:
    clock = Clock()
    identity = Clocked(clock, 3600)
    signing = Token(identity, now_s=clock)
    await bearer(signing)
    clock.now_s += 3400
    identity.fails = True
    refused = {"Authorization": await bearer(signing)}
    identity.fails = False
    assert not await signing.answer([], refused)
    assert await bearer(signing) == "Bearer token3"


async def test_a_credential_may_be_of_the_synchronous_kind() -> None:
    assert await bearer(signer(BlockingIdentity(), blob=False)) == "Bearer token1"


async def test_a_token_is_sent_over_https_only() -> None:
    identity = Identity(3600)
    with pytest.raises(UnsignedError):
        await bearer(signer(identity, blob=True), "http://account.blob.core.windows.net/box")
    assert identity.asked == []


CHALLENGES = {
    "a tenant": (
        "Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize resource_id=https://x",
        {"tenant_id": "TENANT"},
    ),
    "a tenant, quoted": (
        'Bearer authorization_uri="https://login.microsoftonline.com/TENANT", resource_id="x"',
        {"tenant_id": "TENANT"},
    ),
    "claims that are none, but a tenant": (
        'Bearer authorization_uri="https://login/TENANT", error="insufficient_claims", claims="\u00ff"',
        {"tenant_id": "TENANT"},
    ),
    "claims": (
        'Bearer realm="", authorization_uri="https://login/x", error="insufficient_claims", claims="eyJhIjoxfQ"',
        {"claims": '{"a":1}'},
    ),
}


@pytest.mark.parametrize("name", CHALLENGES)
async def test_a_challenge_gets_the_token_that_it_asks_for(name: str) -> None:
    challenge, asked = CHALLENGES[name]
    identity = Identity(3600)
    signing = signer(identity, blob=True)
    assert await signing.answer([challenge], {"Authorization": await bearer(signing)})
    assert identity.asked[-1] == (("https://storage.azure.com/.default",), asked)
    assert await bearer(signing) == "Bearer token2"


@pytest.mark.parametrize("challenge", ["", "Bearer", "Basic realm=x", "Bearer error=x", "Bearer claims", "Bearer ==="])
async def test_what_asks_for_nothing_gets_nothing(challenge: str) -> None:
    identity = Identity(3600)
    signing = signer(identity, blob=True)
    assert not await signing.answer([challenge], {"Authorization": await bearer(signing)})
    assert not await signer(KEY, blob=True).answer([challenge], {})
    assert len(identity.asked) == 1


async def test_a_token_that_was_refused_is_not_used_again() -> None:
    signing = signer(Identity(3600), blob=True)
    assert not await signing.answer([], {"Authorization": await bearer(signing)})
    assert await bearer(signing) == "Bearer token2"


async def test_a_challenge_may_stand_behind_another() -> None:
    signing = signer(Identity(3600), blob=True)
    challenges = ['PoP nonce="x"', CHALLENGES["claims"][0]]
    assert await signing.answer(challenges, {"Authorization": await bearer(signing)})


async def test_of_many_that_are_refused_one_gets_the_token_for_all() -> None:
    identity = Identity(3600)
    signing = signer(identity, blob=True)
    refused = {"Authorization": await bearer(signing)}
    answers = await asyncio.gather(*(signing.answer([CHALLENGES["a tenant"][0]], refused) for _ in range(20)))
    assert answers == [True] * 20
    assert len(identity.asked) == 2


@pytest.mark.parametrize("blob", [True, False])
@pytest.mark.parametrize("credential", [KEY, AzureSasCredential("sig=x"), None])
def test_what_signs_cannot_be_pickled(credential: Any, blob: bool) -> None:
    signing = signer(credential, blob=blob)
    for held in (signing, Sender(SingleShotTransport(), signing, "1")):
        with pytest.raises(TypeError):
            pickle.dumps(held)
