"""The SDK's client of a container. Imported when somebody asks for one: it takes the SDK along."""

from typing import NoReturn

from azure.storage.blob.aio import ContainerClient

from .azure_client import AzureClient
from .azure_transport import SENT_ONCE


class OurContainerClient(ContainerClient):
    """It cannot be pickled: the SDK would take the key along, in plain text (S15)."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds connections and a credential: it cannot be pickled")


def container_client(client: AzureClient) -> ContainerClient:
    """The SDK's client of the same container: as the same, on the same connections, each request sent once."""
    return OurContainerClient(client.endpoint, client.name, client.credential, transport=client.transport, **SENT_ONCE)
