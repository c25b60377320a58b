"""From a location to its two ports. The only place that chooses adapters, and imports only those that it chose."""

from dataclasses import dataclass
from typing import Any

from storage import ContentStore

from .errors import InvalidError
from .locations import AzureLocation, LocalLocation, Location, MemoryLocation
from .settings import Settings
from .table import (
    Table,
)


@dataclass(frozen=True, slots=True)
class Backend:
    """The two ports of a catalog."""

    table: Table
    content: ContentStore


def backend(location: Location, credential: Any, settings: Settings) -> Backend:
    """The adapters of a location. Does no I/O. Raises: InvalidError."""
    if credential is not None and not isinstance(location, AzureLocation):
        raise InvalidError("only a catalog on Azure takes a credential", op="connect")
    match location:
        case MemoryLocation():
            return _memory()
        case LocalLocation():
            return _local(location)
        case AzureLocation():
            return _azure(location, credential, settings)


def _memory() -> Backend:
    from storage.memory import MemoryContent

    from .sqlite_table import SqliteTable

    return Backend(SqliteTable(":memory:"), MemoryContent())


def _local(location: LocalLocation) -> Backend:
    from storage.local import LocalContent

    from .sqlite_table import SqliteTable

    folder = location.folder
    table = SqliteTable(folder / "catalog.db", sync=location.sync)
    return Backend(table, LocalContent(folder / "content", sync=location.sync))


def _azure(location: AzureLocation, credential: Any, settings: Settings) -> Backend:
    from storage.azure_blob import AzureBlobContent, blob_client
    from storage.azure_transport import transport

    from .azure_credential import azure_credential
    from .azure_table import AzureTable, table_client

    chosen = azure_credential(location, credential)
    times = {"connection_timeout_s": settings.connect_timeout_s, "read_timeout_s": settings.request_timeout_s}
    remote = location.blob_endpoint.startswith("https:")

    table = table_client(
        location.table_endpoint, location.table, chosen, transport=transport(**times, trust_env=remote)
    )
    blobs = blob_client(
        location.blob_endpoint, location.container, chosen, transport=transport(**times, trust_env=remote)
    )
    return Backend(AzureTable(table), AzureBlobContent(blobs))
