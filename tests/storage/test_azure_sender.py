"""What a sender does with a refusal, and what is known where there is no signature."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from multidict import CIMultiDict

from storage import Always
from storage.azure_blob import AzureBlobContent, blob_client
from storage.azure_sender import Answer, Sender
from storage.azure_signers import Nobody, UnsignedError
from storage.errors import AccessDeniedError, CatalogError, UnavailableError


class Response:
    """As aiohttp's."""

    def __init__(self, status: int) -> None:
        self.status, self.headers, self.closed = status, CIMultiDict({"WWW-Authenticate": "Bearer x=y"}), 0

    async def read(self) -> bytes:
        return b"body"

    def close(self) -> None:
        self.closed += 1


class Transport:
    """Gives its answers in turn."""

    def __init__(self, *statuses: int) -> None:
        self.answers = [Response(status) for status in statuses]
        self.given: list[Response] = []

    async def request(self, *_: Any) -> Response:
        self.given.append(self.answers.pop(0))
        return self.given[-1]


class Signing(Nobody):
    """Answers a challenge as it was told to."""

    def __init__(self, answer: bool | BaseException) -> None:
        self._answer = answer

    async def answer(self, challenges: Sequence[str], refused: Mapping[str, str]) -> bool:
        assert (list(challenges), refused["x-ms-version"]) == (["Bearer x=y"], "1")
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


async def sent(transport: Any, answer: bool | BaseException) -> Answer:
    return await Sender(transport, Signing(answer), "1").send("GET", "https://a/b", {})


async def test_what_another_signature_may_help_is_sent_again_once() -> None:
    transport = Transport(401, 401, 200)
    assert (await sent(transport, answer=True)).status == 401
    assert [each.closed > 0 for each in transport.given] == [True, True]


@pytest.mark.parametrize("answer", [False, UnsignedError("no token")])
async def test_else_the_refusal_stands(answer: bool | BaseException) -> None:
    """It is proof that nothing was done."""
    transport = Transport(401, 200)
    assert (await sent(transport, answer)).status == 401
    assert len(transport.given) == 1


async def test_nothing_is_left_open_where_somebody_is_cancelled_meanwhile() -> None:
    transport = Transport(401)
    with pytest.raises(KeyboardInterrupt):
        await sent(transport, KeyboardInterrupt())
    assert transport.given[0].closed == 1


def of(status: int, kind: type[HttpResponseError] = HttpResponseError) -> HttpResponseError:
    """As azure-identity raises it of an answer."""
    response: Any = SimpleNamespace(status_code=status, reason="", headers={}, text=lambda: "")
    return kind(message="no", response=response)


NO_TOKEN: dict[str, tuple[Exception, type[CatalogError], str]] = {
    "refused": (of(400, ClientAuthenticationError), AccessDeniedError, "access-denied.credential"),
    "there is none": (of(404), AccessDeniedError, "access-denied.credential"),
    "unavailable": (of(503), UnavailableError, "unavailable.credential"),
    "throttled": (of(429), UnavailableError, "unavailable.credential"),
    "lost": (ServiceRequestError("lost"), UnavailableError, "unavailable.credential"),
    "in no time": (TimeoutError(), UnavailableError, "unavailable.credential"),
    "not configured": (ClientAuthenticationError("no"), AccessDeniedError, "access-denied.credential"),
    "broken": (ValueError("no"), AccessDeniedError, "access-denied.credential"),
}


@pytest.mark.parametrize("name", NO_TOKEN)
async def test_what_has_no_token_was_never_sent(name: str) -> None:
    """Whatever was said of that: it is no answer of the storage's, and so never an unknown outcome."""
    error, kind, told = NO_TOKEN[name]

    class Identity:
        async def get_token(self, *_: str, **__: str) -> None:
            raise error

    store = AzureBlobContent(blob_client("https://account.blob.core.windows.net", "container", Identity()))
    with pytest.raises(CatalogError) as raised:
        await store.delete("a", when=Always())
    await store.close()
    assert (type(raised.value), raised.value.kind) == (kind, told)


async def test_who_gives_tokens_may_not_be_reached() -> None:
    refused = aiohttp.ClientConnectorDNSError(
        SimpleNamespace(host="login", port=443, ssl=True),  # type: ignore[arg-type]
        OSError("no address"),
    )

    class Identity:
        async def get_token(self, *_: str, **__: str) -> None:
            raise ServiceRequestError("lost", error=refused)

    store = AzureBlobContent(blob_client("https://account.blob.core.windows.net", "container", Identity()))
    with pytest.raises(UnavailableError) as raised:
        await store.delete("a", when=Always())
    await store.close()
    assert raised.value.kind == "unavailable.dns"
