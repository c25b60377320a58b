"""Urls that read one blob: service SAS by the account's key, or by a user delegation key where we are an identity.

Nothing is asked for the first. For the second the service gives a key of its own, for at most seven days, to whoever
has the role Storage Blob Delegator; it is kept and used again for as long as it outlives the urls. Urls are for
reading, over https only (except to the emulator on this machine), and never logged: who has one has the blob.

What is signed is a list of fields, whose order and number depend on the version that the url names ("Create a service
SAS", "Create a user delegation SAS": "Version 2020-12-06 and later"). The SDK names its newest one, which clouds that
are older refuse; here it is one that all of them know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeGuard
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from azure.core.credentials import AzureNamedKeyCredential

from .azure_signers import signature
from .azure_wire import quoted

SAS_VERSION: Final = "2021-12-02"
"""Others have other fields: from 2025-07-05 on a user delegation SAS has more."""
DELEGATION_MAX: Final = timedelta(days=7)  # "Create a user delegation SAS"
_KEY_LIFE: Final = timedelta(hours=1)  # at least: so that many urls share a key
_CLOCKS_DIFFER: Final = timedelta(minutes=15)  # a key must have begun by the service's clock, when it is used
_SIGNED: Final = {
    "skoid": "SignedOid",
    "sktid": "SignedTid",
    "skt": "SignedStart",
    "ske": "SignedExpiry",
    "sks": "SignedService",
    "skv": "SignedVersion",
}


@dataclass(frozen=True, slots=True)
class DelegationKey:
    """A key that signs for an identity. Printed, it does not show itself (S15)."""

    signed: Mapping[str, str]
    """Whose it is, and for how long, as parameters of the urls."""
    expires: datetime
    value: str = field(repr=False)


def signed_url(
    endpoint: str,
    container: str,
    name: str,
    *,
    expires: datetime,
    filename: str,
    key: AzureNamedKeyCredential | DelegationKey,
) -> str:
    """A url that reads one blob until `expires`. Raises: UnsignedError, where the key is none."""
    asked = {
        "sv": SAS_VERSION,
        "sr": "b",
        "sp": "r",
        "se": _iso(expires.astimezone(UTC)),
        "spr": "https" if endpoint.startswith("https:") else "https,http",
    }
    if filename:
        asked["rscd"] = f"inline; filename*=UTF-8''{quote(filename, safe='')}"
    if isinstance(key, DelegationKey):
        account, value = account_of(endpoint), key.value
        asked |= key.signed
    else:
        account, value = key.named_key
    text = text_to_sign(f"/blob/{account}/{container}/{name}", asked, delegated=isinstance(key, DelegationKey))
    query = "&".join(
        f"{each}={quote(told, safe='')}" for each, told in (asked | {"sig": signature(value, text)}).items()
    )
    return f"{endpoint}/{container}/{quoted(name)}?{query}"


def text_to_sign(resource: str, asked: Mapping[str, str], *, delegated: bool) -> str:
    """What is signed for these parameters: each field in its place, empty where there is none."""
    who = ("skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid") if delegated else ("si",)
    first = [asked.get(each, "") for each in ("sp", "st", "se")]
    then = (*who, "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct")
    return "\n".join([*first, resource, *(asked.get(each, "") for each in then)])


def account_of(endpoint: str) -> str:
    """The account that an endpoint names: as the last part of its path, where it has one, else as its host's first."""
    parts = urlsplit(endpoint)
    return parts.path.strip("/").rpartition("/")[2] or (parts.hostname or "").partition(".")[0]


def reaches(key: DelegationKey | None, expires: datetime) -> TypeGuard[DelegationKey]:
    """Whether there is a key, and it outlives a url."""
    return key is not None and key.expires >= expires


def key_request(expires: datetime) -> bytes:
    """The body of "Get User Delegation Key"."""
    now = datetime.now(UTC)
    expiry = max(expires, now + _KEY_LIFE)
    start = max(now - _CLOCKS_DIFFER, expiry - DELEGATION_MAX)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>{_iso(start)}</Start>'
        f"<Expiry>{_iso(expiry)}</Expiry></KeyInfo>"
    ).encode()


def parse_key(body: bytes) -> DelegationKey:
    """The answer to it. Raises: KeyError, ValueError for what is none."""
    found = {part.tag: part.text or "" for part in ET.fromstring(body)}  # noqa: S314 — the service's own words
    signed = {name: found[tag] for name, tag in _SIGNED.items()}
    return DelegationKey(signed, datetime.fromisoformat(found["SignedExpiry"]), found["Value"])


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
