"""From a location to its two ports. The only place that chooses adapters, and imports only those that it chose."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from storage import ContentStore

from .errors import InvalidError
from .locations import AzureLocation, LocalLocation, Location, MemoryLocation
from .settings import Settings
from .table import Table


@dataclass(frozen=True, slots=True)
class Backend:
    """The two ports of a catalog."""

    table: Table
    content: ContentStore
    credential: Any = None
    """One that we made ourselves, and so have to close."""

    async def close(self) -> None:
        """Let go of connections, threads and files. May be called twice. One that cannot be closed keeps no other open.

        Raises: whatever the last one that could not be closed raises.
        """
        async with AsyncExitStack() as closing:
            if self.credential is not None:
                closing.push_async_callback(self.credential.close)
            closing.push_async_callback(self.content.close)
            closing.push_async_callback(self.table.close)


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

    folder = location.folder.absolute()
    table = SqliteTable(folder / "catalog.db", sync=location.sync)
    return Backend(table, LocalContent(folder / "content", sync=location.sync))


def _azure(location: AzureLocation, credential: Any, settings: Settings) -> Backend:
    from storage.azure_blob import AzureBlobContent, blob_client
    from storage.azure_transport import transport

    from .azure_credential import azure_credential
    from .azure_table import AzureTable, table_client

    chosen = azure_credential(location, credential)
    made = chosen if credential is None and hasattr(chosen, "close") else None  # keys and SAS hold nothing open
    times = {"connection_timeout_s": settings.connect_timeout_s, "read_timeout_s": settings.request_timeout_s}
    remote = location.blob_endpoint.startswith("https:")

    table = table_client(
        location.table_endpoint, location.table, chosen, transport=transport(**times, trust_env=remote)
    )
    blobs = blob_client(
        location.blob_endpoint, location.container, chosen, transport=transport(**times, trust_env=remote)
    )
    return Backend(AzureTable(table), AzureBlobContent(blobs), made)
