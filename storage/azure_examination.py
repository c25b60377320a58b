"""What a Blob account tells of itself: for `doctor`. Pure; the request is the adapter's."""

from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from .abilities import Examination
from .azure_client import AzureClient

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def examination(client: AzureClient, properties: bytes | None) -> Examination:
    """What a client and the service's properties tell; None where the service would not give them.

    Raises: ParseError for what are no properties.
    """
    parts = urlsplit(client.endpoint)
    return Examination(
        endpoint=f"{parts.scheme}://{parts.netloc}",
        encrypted=parts.scheme == "https",
        loopback=parts.hostname in _LOOPBACK,
        credential=client.kind,
        soft_delete_days=None if properties is None else _soft_delete_days(properties),
    )


def _soft_delete_days(properties: bytes) -> int:
    policy = ET.fromstring(properties).find("DeleteRetentionPolicy")  # noqa: S314 — the service's own words
    if policy is None or (policy.findtext("Enabled") or "").lower() != "true":
        return 0
    return int(policy.findtext("Days") or 0)
