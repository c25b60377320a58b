"""Urls that read one blob: service SAS by the account's key, or by a user delegation key where we are an identity.

Nothing is asked for the first. For the second the service gives a key of its own, for at most seven days, to whoever
has the role Storage Blob Delegator; it is kept and used again for as long as it outlives the urls. Urls are for
reading, over https only (except to the emulator on this machine), and never logged: who has one has the blob.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeGuard
from urllib.parse import quote
from xml.etree import ElementTree as ET

from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas
from azure.storage.blob.aio import ContainerClient

from .azure_wire import quoted

DELEGATION_MAX: Final = timedelta(days=7)  # "Create a user delegation SAS"
_KEY_LIFE: Final = timedelta(hours=1)  # at least: so that many urls share a key
_CLOCKS_DIFFER: Final = timedelta(minutes=15)  # a key must have begun by the service's clock, when it is used


def signed_url(
    client: ContainerClient, name: str, *, expires: datetime, filename: str, key: UserDelegationKey | None = None
) -> str:
    """A url that reads one blob until `expires`: signed by the key, or by the account's where none is given."""
    url = client.url.partition("?")[0]
    token = generate_blob_sas(
        _account(client),
        client.container_name,
        name,
        account_key=None if key else client.credential.account_key,
        user_delegation_key=key,
        permission=BlobSasPermissions(read=True),
        expiry=expires,
        protocol="https" if url.startswith("https:") else "https,http",
        content_disposition=f"inline; filename*=UTF-8''{quote(filename, safe='')}" if filename else None,
    )
    return f"{url}/{quoted(name)}?{token}"


def reaches(key: UserDelegationKey | None, expires: datetime) -> TypeGuard[UserDelegationKey]:
    """Whether there is a key, and it outlives a url."""
    return key is not None and datetime.fromisoformat(str(key.signed_expiry)) >= expires


def key_request(expires: datetime) -> bytes:
    """The body of "Get User Delegation Key"."""
    now = datetime.now(UTC)
    expiry = max(expires, now + _KEY_LIFE)
    start = max(now - _CLOCKS_DIFFER, expiry - DELEGATION_MAX)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>{_iso(start)}</Start>'
        f"<Expiry>{_iso(expiry)}</Expiry></KeyInfo>"
    ).encode()


def parse_key(body: bytes) -> UserDelegationKey:
    """The answer to it. Raises: ValueError for what is none."""
    found = {part.tag: part.text or "" for part in ET.fromstring(body)}  # noqa: S314 — the service's own words
    names = {
        "signed_oid": "SignedOid",
        "signed_tid": "SignedTid",
        "signed_start": "SignedStart",
        "signed_expiry": "SignedExpiry",
        "signed_service": "SignedService",
        "signed_version": "SignedVersion",
        "value": "Value",
    }
    key = UserDelegationKey()  # type: ignore[no-untyped-call]
    for name, tag in names.items():
        setattr(key, name, found[tag])
    return key


def _account(client: ContainerClient) -> str:
    credential: Any = client.credential
    return str(getattr(credential, "account_name", None) or client.account_name)


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
