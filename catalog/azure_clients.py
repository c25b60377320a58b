"""The SDK's clients of a catalog on Azure, typed. Imported when they are asked for: it takes the SDKs along."""

from dataclasses import dataclass

from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient


@dataclass(frozen=True, slots=True)
class AzureClients:
    """What a catalog on Azure sends its requests with. They are its own: closed with it, and never by you.

    They send each request once: no retries, no redirects.
    """

    table: TableClient
    container: ContainerClient
