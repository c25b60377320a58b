"""The SDK's clients of a catalog on Azure. Imported when they are asked for: it takes the SDKs along."""

from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient

from storage.azure_client import AzureClient
from storage.azure_transport import SENT_ONCE


@dataclass(frozen=True, slots=True)
class AzureClients:
    """Clients of what a catalog on Azure keeps, on its own connections: closed with it, and never by you.

    They send each request once: no retries, no redirects.
    """

    table: TableClient
    container: ContainerClient


class OurTableClient(TableClient):
    """It cannot be pickled: the SDK would take the key along, in plain text (S15)."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds connections and a credential: it cannot be pickled")


def sdk_table_client(client: AzureClient) -> TableClient:
    """The SDK's client of the same table: as the same, on the same connections, each request sent once."""
    return OurTableClient(
        _loopback(client.endpoint), client.name, credential=client.credential, transport=client.transport, **SENT_ONCE
    )


def _loopback(endpoint: str) -> str:
    """The SDK takes any other port of "localhost" than 10002 for Cosmos DB, and speaks another dialect to it."""
    url = urlsplit(endpoint)
    port = "" if url.port is None else f":{url.port}"
    return urlunsplit(url._replace(netloc=f"127.0.0.1{port}")) if url.hostname == "localhost" else endpoint
