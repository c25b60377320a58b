"""What a catalog is made of, for those who need what blobcat does not do: the SDK's clients, or paths on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage import ContentStore, Wrapping

from .errors import InvalidError
from .table import Table

if TYPE_CHECKING:
    from .azure_clients import AzureClients


@dataclass(frozen=True, slots=True)
class LocalPaths:
    """Where a catalog of this machine is."""

    table: Path
    """The SQLite database."""
    content: Path
    """The folder of the content."""


def unwrapped(table: Table, content: ContentStore) -> "AzureClients | LocalPaths":
    """What two ports are made of. Raises: InvalidError where that is nothing that could be handed out."""
    parts: Any = tuple(port.unwrap() if isinstance(port, Wrapping) else None for port in (table, content))
    match parts:
        case (Path(), Path()):
            return LocalPaths(*parts)
        case (None, _) | (_, None):
            message = "a catalog in memory has no clients and no paths to hand out"
            raise InvalidError(message, op="unwrap", kind="invalid.unsupported")
    from .azure_clients import AzureClients

    return AzureClients(*parts)
