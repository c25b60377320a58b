"""What a Blob account tells of itself: for `doctor`. Pure; the request is the adapter's."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from .abilities import Examination
from .azure_client import AzureClient

_FLAGS: Final = {"true": True, "false": False}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def examination(client: AzureClient, *, properties: bytes | None, account: Mapping[str, str]) -> Examination:
    """What a client tells, the service's properties, None where it would not give them, and headers of the account.

    Raises: ParseError for what are no properties.
    """
    parts = urlsplit(client.endpoint)
    return Examination(
        endpoint=f"{parts.scheme}://{parts.netloc}",
        encrypted=parts.scheme == "https",
        loopback=parts.hostname in _LOOPBACK,
        credential=client.kind,
        soft_delete_days=None if properties is None else _soft_delete_days(properties),
        hierarchical=_FLAGS.get(account.get("x-ms-is-hns-enabled", "").lower()),
    )


def _soft_delete_days(properties: bytes) -> int:
    policy = ET.fromstring(properties).find("DeleteRetentionPolicy")  # noqa: S314 — the service's own words
    if policy is None or (policy.findtext("Enabled") or "").lower() != "true":
        return 0
    return int(policy.findtext("Days") or 0)
