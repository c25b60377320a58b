"""How a request to Azure proves who sends it: by the account's key, by a SAS, or by a token.

Shared Key ("Authorize with Shared Key") signs the method, some headers and the resource with HMAC-SHA256. The Blob
service signs all of it; the Table service less: no `x-ms-` headers, and of the query `comp` alone. Headers stand in
the service's own order, which is a word list's: hyphens count for nothing, and an underscore comes before all else.
Their values are signed as they are sent: there is no white space around them, for the service would trim it before it
checks, and what is inside one stays. (The documentation has white space made one space there; the SDKs and Azurite do
not, and where it is the user's it is percent-encoded: see `metadata`.)

A SAS is part of the url, and nothing is signed. A token is asked for before it is needed, kept while it is good, and
sent over https only: who gives tokens may fail for minutes, and no request does. Where the service answers 401 with a
challenge, which names a tenant or asks for claims, a new token is got for it, once: a 401 says that nothing was done,
so that request may be sent again.

Credentials are read at each request: a key or a SAS that its owner replaces is used at once, and none is kept here.
"""

import asyncio
import hmac
import time
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from inspect import isawaitable
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import unquote, urlsplit

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

SCOPE: Final = "https://storage.azure.com/.default"
_REFRESH_S: Final = 300.0  # a token that is good for less is replaced, if it can be
_ENDING_S: Final = 10.0  # one that is good for less may be none any more when it arrives
_AGAIN_S: Final = 30.0  # after asking in vain, while the old one is good
_HYPHENS: Final = str.maketrans({"-": None, "_": " "})


class UnsignedError(Exception):
    """There is no signature for a request: it was not sent. What was said of that is the cause."""


class Signer(Protocol):
    """Proves who sends a request."""

    @property
    def by_key(self) -> bool:
        """Whether it is the account's key that signs."""

    @property
    def query(self) -> str:
        """What the url of each request ends with; "" where nothing does."""

    async def sign(self, method: str, url: str, headers: dict[str, str]) -> None:
        """Add what the proof needs to the headers. Raises: UnsignedError."""

    async def answer(self, challenges: Sequence[str], refused: Mapping[str, str]) -> bool:
        """Take a 401's `WWW-Authenticate`, and the headers that it is about.

        Whether the same request, signed anew, may succeed. Raises: UnsignedError.
        """


def signer(credential: Any, *, blob: bool) -> Signer:
    """Who signs for a credential as `azure_credential` gives it; None signs nothing."""
    if isinstance(credential, AzureNamedKeyCredential):
        return BlobKey(credential) if blob else TableKey(credential)
    if isinstance(credential, AzureSasCredential):
        return Sas(credential)
    return Token(credential) if hasattr(credential, "get_token") else Nobody()


class Nobody:
    """Signs nothing: the url says all."""

    by_key = False

    @property
    def query(self) -> str:
        """See Signer."""
        return ""

    async def sign(self, method: str, url: str, headers: dict[str, str]) -> None:
        """See Signer."""

    async def answer(self, challenges: Sequence[str], refused: Mapping[str, str]) -> bool:  # noqa: ARG002 — see Signer
        """See Signer."""
        return False

    def __reduce__(self) -> NoReturn:
        raise TypeError("what signs holds a credential: it cannot be pickled")


class Sas(Nobody):
    """A signature that somebody made before."""

    def __init__(self, credential: AzureSasCredential) -> None:
        self._credential = credential

    @property
    def query(self) -> str:
        """See Signer."""
        return self._credential.signature.removeprefix("?")


class TableKey(Nobody):
    """The account's key, as the Table service wants it."""

    by_key = True

    def __init__(self, credential: AzureNamedKeyCredential) -> None:
        self._credential = credential

    async def sign(self, method: str, url: str, headers: dict[str, str]) -> None:
        """See Signer."""
        headers["x-ms-date"] = _date(int(time.time()))
        account, key = self._credential.named_key
        headers["Authorization"] = f"SharedKey {account}:{signature(key, self.text(method, url, headers, account))}"

    def text(self, method: str, url: str, headers: Mapping[str, str], account: str) -> str:
        """What is signed."""
        path, query = _split(url)
        comp = "".join(f"?comp={value}" for name, value in _parameters(query) if name == "comp")
        return (
            f"{method}\n{headers.get('Content-MD5', '')}\n{headers.get('Content-Type', '')}\n{headers['x-ms-date']}\n"
            f"/{account}{path}{comp}"
        )


class BlobKey(TableKey):
    """The account's key, as the Blob service wants it."""

    def text(self, method: str, url: str, headers: Mapping[str, str], account: str) -> str:
        """See TableKey."""
        path, query = _split(url)
        length = headers.get("Content-Length", "")
        ours = "\n".join(f"{name}:{headers[name]}" for name in in_order(tuple(headers)))
        asked = "".join(f"\n{name.lower()}:{unquote(value)}" for name, value in sorted(_parameters(query)))
        return (
            f"{method}\n\n\n{'' if length == '0' else length}\n{headers.get('Content-MD5', '')}\n"
            f"{headers.get('Content-Type', '')}\n\n\n{headers.get('If-Match', '')}\n{headers.get('If-None-Match', '')}"
            f"\n\n\n{ours}\n/{account}{path}{asked}"
        )


class Token(Nobody):
    """An identity's token."""

    def __init__(self, credential: Any, *, now_s: Callable[[], float] = time.time) -> None:
        self._credential = credential
        self._now_s = now_s
        self._token = ""
        self._expires = self._ask_at = 0.0
        self._asking = asyncio.Lock()

    async def sign(self, method: str, url: str, headers: dict[str, str]) -> None:  # noqa: ARG002 — see Signer
        """See Signer."""
        if not url.startswith("https:"):
            raise UnsignedError("a token is sent over https only")
        if self._is_due():
            async with self._asking:
                if self._is_due():
                    await self._refresh()
        headers["x-ms-date"] = _date(int(time.time()))
        headers["Authorization"] = f"Bearer {self._token}"

    async def answer(self, challenges: Sequence[str], refused: Mapping[str, str]) -> bool:
        """See Signer. Of many that were refused at once, the first gets the token for all."""
        async with self._asking:
            if refused.get("Authorization") != f"Bearer {self._token}":
                return True
            self._expires = 0.0  # whatever it was, it is good no more
            more = _asked_for(challenges)
            if more:
                await self._ask(**more)
            return bool(more)

    def _is_due(self) -> bool:
        now_s = self._now_s()
        left_s = self._expires - now_s
        return left_s < _ENDING_S or (left_s < _REFRESH_S and now_s >= self._ask_at)

    async def _refresh(self) -> None:
        """Get another token, or go on with this one. Raises: UnsignedError, where it is good no more."""
        self._ask_at = self._now_s() + _AGAIN_S  # in case that it fails, or gives one that is hardly better
        try:
            await self._ask()
        except UnsignedError:
            if self._expires - self._now_s() < _ENDING_S:
                raise

    async def _ask(self, **more: str) -> None:
        try:
            found = self._credential.get_token(SCOPE, **more)
            if isawaitable(found):  # as the SDKs have it: credentials come in both kinds
                found = await found
        except Exception as exc:
            raise UnsignedError("the credential gives no token") from exc
        self._token, self._expires = found.token, float(found.expires_on)


@lru_cache(maxsize=1024)
def in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the headers that are the service's own, in the order in which they are signed."""
    return tuple(sorted((name for name in names if name.startswith("x-ms-")), key=_rank))


@lru_cache(maxsize=8)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _rank(name: str) -> str:
    return name.translate(_HYPHENS)


def signature(key: str, text: str) -> str:
    """The HMAC-SHA256 of a text, by a key in base64. Raises: UnsignedError."""
    try:
        return b64encode(hmac.digest(b64decode(key), text.encode(), "sha256")).decode()
    except ValueError:  # its text may show the key
        raise UnsignedError("the account's key is none") from None


def _split(url: str) -> tuple[str, str]:
    """The path and the query of a url, as they are written."""
    path, _, query = url[url.index("/", url.index("://") + 3) :].partition("?")
    return path, query


def _parameters(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]


def _asked_for(challenges: Sequence[str]) -> dict[str, str]:
    """What the next token is to be asked for with; nothing where no challenge says so, or none can be read."""
    asked = dict(parameter for challenge in challenges for parameter in _challenged(challenge))
    if claims := asked.get("claims"):
        with suppress(ValueError):
            return {"claims": urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).decode()}
    tenant = urlsplit(asked.get("authorization_uri", "")).path.strip("/").partition("/")[0]
    return {"tenant_id": tenant} if tenant else {}


def _challenged(challenge: str) -> list[tuple[str, str]]:
    """The parameters of `WWW-Authenticate: Bearer a=b, c="d"`."""
    scheme, _, rest = challenge.strip().partition(" ")
    if scheme.lower() != "bearer":
        return []
    parts = (part.partition("=") for part in rest.replace(",", " ").split())
    return [(name.strip(), value.strip(' "')) for name, _, value in parts]
