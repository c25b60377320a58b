"""What a failed request to Azure means: one error of ours for each of theirs.

Theory. A class of ours says what a handler may do, so the question is never what went wrong but what is *known* of the
request. For a write there are three answers:

- It was refused: the service answered 400, 401, 403, 404, 409, 412 or 413. Its status alone decides; SDKs pick their
  classes by error code, and code and status may disagree. A 409 is a conflict only where its code says that somebody
  else won, or where it has none: whoever lost looks again and asks again. All others would be answered so for ever.
- It was never sent, and there is proof: the connection was refused or timed out, the host has no address, TLS failed,
  no token could be had. The proof is the exception of aiohttp inside the SDK's, never the SDK's own: azure-core raises
  `ServiceRequestError` ("No request was sent") also for connections that were lost after the service had applied all.
- Everything else is unknown: 5xx, 408, 429, time-outs, lost connections, answers that a parser chokes on. Hence every
  `Exception` is caught, and cancellation and the like, which are none, pass.

A read that failed is at worst unavailable. The proof of "never sent" holds for one attempt: clients must not send again
by themselves, neither in the SDK nor in aiohttp (see `azure_transport`).

No message here carries what an SDK or a service said, except error codes, host names, and the service's id of a request
that is its own to explain: their texts quote urls, signatures and strings to sign (S15). Where an original does, it is
not chained either. One that is chained has lost its traceback: the frames in it hold requests, with their signatures
and tokens, for whoever prints a traceback with locals.
"""

import re
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import aiohttp
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from .azure_sender import RefusedAnswerError
from .azure_signers import UnsignedError
from .errors import (
    AccessDeniedError,
    CatalogError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
)

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CODE: Final = re.compile(r"[A-Za-z]{1,64}")
_SECRET: Final = re.compile(r"sig=|sharedkey|signature|bearer |accountkey", re.IGNORECASE)
_WITHHELD: Final = "withheld, for it tells a secret"

_KEY_HINT: Final = "is it the right account key or SAS, unexpired, and is this machine's clock right?"
_ROLE_HINT: Final = "the identity needs the roles Storage Blob Data Contributor and Storage Table Data Contributor"


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a refusal means, and how to say it in one line."""

    error: type[CatalogError]
    kind: str
    text: str


# By status: these, and no others, prove that a write was not applied.
_BY_STATUS: Final = {
    400: _Meaning(InvalidError, "invalid.request", "the service calls the request invalid"),
    401: _Meaning(AccessDeniedError, "access-denied.credential", f"the service refused the credential: {_KEY_HINT}"),
    403: _Meaning(AccessDeniedError, "access-denied", "the credential may not do this"),
    404: _Meaning(NotFoundError, "not-found", "it does not exist"),
    409: _Meaning(ConflictError, "conflict", "the service reports a conflict"),
    412: _Meaning(ConflictError, "conflict.etag", "it is not what the precondition asks for"),
    413: _Meaning(TooLargeError, "too-large.request", "the request is over the service's limit"),
}

_UNKNOWN_409: Final = _Meaning(InvalidError, "invalid.refused", "the service does not do this, as things stand")
_CONFLICTS: Final = frozenset({"", "ConditionNotMet", "TargetConditionNotMet", "UpdateConditionNotSatisfied"})
"""The codes of a 409 that are conflicts, beside those that `_BY_CODE` calls so."""

_FOR_SUPPORT: Final = frozenset({400, 401, 403})  # what else is refused is nothing to ask anybody about
_THROTTLED: Final = frozenset({429, 503})  # the service says 503 ServerBusy; proxies in front of it, 429

# AuthorizationFailure of a request that a key signed: at Azure the firewall's, but Azurite says it of a wrong key too.
_KEY_TEXT: Final = "the account key is wrong, or the account's firewall does not let this machine in"
_REFUSED_KEY: Final = _Meaning(AccessDeniedError, "access-denied.key", _KEY_TEXT)

_CONFLICT: Final = 409
_SERVERS_FAULT: Final = 500
_NO_SIGNATURE: Final = _Meaning(
    AccessDeniedError, "access-denied.credential", "the credential gives no token or signature"
)

# By error code, within those statuses: the same knowledge of the write, a better word for it.
_BY_CODE: Final = {
    "AccountIsDisabled": _Meaning(AccessDeniedError, "access-denied.account", "the storage account is disabled"),
    "AuthenticationFailed": _Meaning(
        AccessDeniedError, "access-denied.credential", f"the service refused the credential: {_KEY_HINT}"
    ),
    "AuthorizationFailure": _Meaning(
        AccessDeniedError, "access-denied.network", "the account's firewall or the SAS does not allow this"
    ),
    "AuthorizationPermissionMismatch": _Meaning(
        AccessDeniedError, "access-denied.role", f"the credential may not do this: {_ROLE_HINT}"
    ),
    "BlobAlreadyExists": _Meaning(ConflictError, "conflict.exists", "a blob of this name is there already"),
    "BlobArchived": _Meaning(AccessDeniedError, "access-denied.archived", "it is archived: rehydrate it first"),
    "BlobBeingRehydrated": _Meaning(
        AccessDeniedError, "access-denied.archived", "it is archived, and being rehydrated: wait until that is done"
    ),
    "BlobImmutableDueToPolicy": _Meaning(AccessDeniedError, "access-denied.policy", "a policy makes it immutable"),
    "BlobImmutableDueToLegalHold": _Meaning(AccessDeniedError, "access-denied.policy", "a legal hold is on it"),
    "BlobNotFound": _Meaning(NotFoundError, "not-found.blob", "there is no such blob"),
    "BlobUsesCustomerSpecifiedEncryption": _Meaning(
        AccessDeniedError, "access-denied.encryption", "it is encrypted with a key that its writer kept"
    ),
    "ContainerAlreadyExists": _Meaning(ConflictError, "conflict.exists", "the container is there already"),
    "ContainerBeingDeleted": _Meaning(UnavailableError, "unavailable.deleting", "the container is being deleted"),
    "ContainerNotFound": _Meaning(NotFoundError, "not-found.container", "the container does not exist"),
    "EntityAlreadyExists": _Meaning(ConflictError, "conflict.exists", "an entity of this key is there already"),
    "EntityTooLarge": _Meaning(TooLargeError, "too-large.entity", "the entity is larger than the service allows"),
    "LeaseIdMissing": _Meaning(ConflictError, "conflict.leased", "somebody has a lease on it"),
    "InvalidBlobOrBlock": _Meaning(InvalidError, "invalid.block", "the service calls the block id invalid"),
    "InvalidBlockList": _Meaning(InvalidError, "invalid.block", "a block of the list was never staged"),
    "Md5Mismatch": _Meaning(InvalidError, "invalid.md5", "the bytes that arrived have another MD5"),
    "MetadataTooLarge": _Meaning(TooLargeError, "too-large.metadata", "the metadata is over 8 KiB"),
    "RequestBodyTooLarge": _Meaning(TooLargeError, "too-large.request", "the request is over the service's limit"),
    "SnapshotsPresent": _Meaning(ConflictError, "conflict.snapshots", "it has snapshots"),
    "TableAlreadyExists": _Meaning(ConflictError, "conflict.exists", "the table is there already"),
    "TableBeingDeleted": _Meaning(UnavailableError, "unavailable.deleting", "the table is being deleted"),
    "TableNotFound": _Meaning(NotFoundError, "not-found.table", "the table does not exist"),
}


@contextmanager
def translating(op: str, key: str, *, write: bool) -> Iterator[None]:
    """Run a request; raise what its failure means. Errors of our own tree pass; so does cancellation, without its past.

    Raises: any class of the tree, see `translated`.
    """
    try:
        yield
    except CatalogError:
        raise
    except CancelledError as exc:  # a time limit, perhaps: then somebody may print it, with the locals of its frames
        _cleaned(exc)
        raise CancelledError(*exc.args) from None
    except Exception as exc:  # noqa: BLE001 — see above: all that is not cancellation
        meaning, cause = translated(exc, op=op, key=key, write=write), None if _tells_secrets(exc) else exc
        _cleaned(exc)
        try:
            raise meaning from cause
        except CatalogError:
            meaning.__context__ = cause  # no more than what may be shown
            raise


def translated(exc: Exception, *, op: str, key: str, write: bool) -> CatalogError:
    """The error of ours that says what is known after `exc`. Not raised, and without a cause."""
    unsent = None if (refusal := _refusal(exc)) else _never_sent(exc)
    meaning = refusal or unsent or _unknown(exc, write=write)
    shown = "".join(character if character.isprintable() else "?" for character in key)
    where = "" if unsent else " ".join(filter(None, (op, shown)))  # what was never sent is about the host
    return meaning.error(f"{where}: {meaning.text}" if where else meaning.text, op=op, key=key, kind=meaning.kind)


def status_of(exc: BaseException) -> int | None:
    """The HTTP status of the answer that this was raised for; None where there was no answer."""
    if isinstance(exc, RefusedAnswerError):
        return exc.status
    return exc.status_code if isinstance(exc, HttpResponseError) and exc.response is not None else None


def code_of(exc: BaseException) -> str:
    """The service's error code, "" where there is none. It is one word: what is not is not a code."""
    code = exc.code if isinstance(exc, RefusedAnswerError) else getattr(exc, "error_code", None)
    if not code and isinstance(exc, HttpResponseError) and exc.response is not None:
        code = getattr(exc.response, "headers", {}).get("x-ms-error-code")
    text = str(getattr(code, "value", code) or "")
    return text if _CODE.fullmatch(text) else ""


def _refusal(exc: Exception) -> _Meaning | None:
    """The service answered that it did not do it."""
    status, code = status_of(exc), code_of(exc)
    if status not in _BY_STATUS:
        too_large = code == "RequestBodyTooLarge"  # a batch's answer is a 202 with the refusal inside
        return _BY_CODE[code] if too_large and status is not None else None
    meaning = _BY_CODE.get(code) or _BY_STATUS[status]
    if status == _CONFLICT and code not in _BY_CODE and code not in _CONFLICTS:
        meaning = _UNKNOWN_409
    if code == "AuthorizationFailure" and _signed_by_key(exc):
        meaning = _REFUSED_KEY
    told = " ".join(filter(None, (str(status), code)))
    asked = _request_of(exc) if status in _FOR_SUPPORT else ""
    return _Meaning(meaning.error, meaning.kind, f"{meaning.text} ({', '.join(filter(None, (told, asked)))})")


def _request_of(exc: BaseException) -> str:
    """Which request it was, as the service calls it; its support asks for that."""
    request_id = exc.request_id if isinstance(exc, RefusedAnswerError) else ""
    return f"request {request_id}" if request_id else ""


def _signed_by_key(exc: BaseException) -> bool:
    """Whether the request carried an account key's signature; a SAS is in its url, and a token is a bearer's."""
    if isinstance(exc, RefusedAnswerError):
        return exc.signed_by_key
    headers = getattr(getattr(getattr(exc, "response", None), "request", None), "headers", {})
    return str(headers.get("Authorization", "")).startswith("SharedKey")


def _never_sent(exc: Exception) -> _Meaning | None:
    """Proof, from the innermost library, that nothing was sent."""
    if isinstance(exc, ClientAuthenticationError) and status_of(exc) is None:
        return _NO_SIGNATURE
    if isinstance(exc, UnsignedError) and (said := _unsigned(exc)):
        return said
    for link in _chain(exc):
        if isinstance(link, aiohttp.ClientConnectorError):
            return _not_connected(link)
        if isinstance(link, aiohttp.ConnectionTimeoutError):
            return _Meaning(UnavailableError, "unavailable.connect", "no connection in time")
        if isinstance(link, aiohttp.InvalidURL):
            return _Meaning(InvalidError, "invalid.url", "the service's url is not a valid one")
    return None


def _unsigned(exc: UnsignedError) -> _Meaning | None:
    """What became of asking for a token; None where that is for the connection to say."""
    status = status_of(exc.__cause__) if exc.__cause__ else None
    if status in _THROTTLED or (status or 0) >= _SERVERS_FAULT:
        return _Meaning(UnavailableError, "unavailable.credential", f"who gives tokens answered {status}")
    causes = tuple(_chain(exc))
    if any(isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) for cause in causes):
        return None
    if any(isinstance(cause, aiohttp.ClientError | TimeoutError | ServiceRequestError) for cause in causes):
        return _Meaning(UnavailableError, "unavailable.credential", "who gives tokens did not answer")
    return _NO_SIGNATURE


def _not_connected(exc: aiohttp.ClientConnectorError) -> _Meaning:
    place = f"{exc.host}:{exc.port}"
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return _Meaning(UnavailableError, "unavailable.dns", f"no address is known for {exc.host}")
    if isinstance(exc, aiohttp.ClientSSLError):
        return _Meaning(UnavailableError, "unavailable.tls", f"no trusted TLS connection to {place}")
    if exc.host in _LOOPBACK:
        return _Meaning(UnavailableError, "unavailable.azurite", f"nothing answers at {place}: is Azurite running?")
    return _Meaning(UnavailableError, "unavailable.connect", f"nothing answers at {place}")


def _unknown(exc: Exception, *, write: bool) -> _Meaning:
    """Nothing is known of a write; a read simply did not succeed."""
    status, code = status_of(exc), code_of(exc)
    if status is None:
        text = "the connection was lost, or its answer is not readable"
        text = "no answer in time" if any(isinstance(link, TimeoutError) for link in _chain(exc)) else text
        text = f"{text} ({type(exc).__name__})"
    else:
        told = " ".join(filter(None, (str(status), code)))
        asked = _request_of(exc)
        text = f"the service answered {told}{f' ({asked})' if asked else ''}"
    more = ".throttled" if status in _THROTTLED or code == "ServerBusy" else ""
    if not write:
        return _Meaning(UnavailableError, UnavailableError.default_kind + more, text)
    text = f"{text}; it may or may not be applied"
    return _Meaning(OutcomeUnknownError, OutcomeUnknownError.default_kind + more, text)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """An exception and what it says caused it. Not its context: that may be another attempt."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = (link.inner_exception if isinstance(link, AzureError) else None) or link.__cause__


def _tells_secrets(exc: BaseException) -> bool:
    return any(_SECRET.search(f"{link} {link!r}") for link in _chain(exc))


def _cleaned(exc: BaseException) -> None:
    """Take their tracebacks, and words that tell a secret, from an exception and from all that it came of."""
    todo, seen = [exc], set[int]()
    while todo:
        link = todo.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = None
        if _SECRET.search(f"{link} {link!r}"):
            _withhold(link)
        if isinstance(link, AzureError):
            link.exc_traceback = None
        inner = link.inner_exception if isinstance(link, AzureError) else None
        todo += [each for each in (link.__cause__, link.__context__, inner) if each is not None]


def _withhold(link: BaseException) -> None:
    """It is not chained, but the frames that it came through hold it, and may be printed."""
    link.args = (_WITHHELD,)
    for name, value in list(vars(link).items()):
        if isinstance(value, BaseException):
            continue  # it has its own turn
        if name == "response" or _SECRET.search(f"{value} {value!r}"):
            with suppress(AttributeError):
                setattr(link, name, None if name == "response" else _WITHHELD)
