"""How a catalog was opened: for another process that is to open the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import Secret

from .errors import InvalidError


@dataclass(frozen=True, slots=True)
class Origin:
    """How a catalog was opened, so that another process can do the same."""

    url: Any
    """A Secret: a url may hold a signature."""
    credential: Any
    container: str | None
    table: str | None
    folder: Path | None
    """Where a catalog on this machine is, whichever folder a process is in by then."""

    def opening(self) -> dict[str, Any]:
        """For the first line to a worker. Raises: InvalidError for what only this process has."""
        if isinstance(self.url, Secret) and self.url.reveal().startswith("memory:"):
            raise InvalidError("a catalog in memory is in this process alone: use one worker", op="reconcile")
        if self.credential is not None and not isinstance(self.credential, Secret):
            kind = type(self.credential).__name__
            message = f"a {kind} cannot be handed to other processes: use one worker, or connect with a key or a SAS"
            raise InvalidError(message, op="reconcile")
        credential = self.credential.reveal() if self.credential else ""
        return {
            "url": self.url.reveal(),
            "credential": credential,
            "container": self.container,
            "table": self.table,
            "catalog": str(self.folder) if self.folder else None,
        }
