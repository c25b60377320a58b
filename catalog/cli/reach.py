"""Whether anybody is there at all, asked once before a command begins.

The library goes on trying for a while, as services come back. A person who mistyped an account, or has not started
Azurite, should hear of it at once. Behind a proxy nothing can be told from here, so nothing is asked.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ..locations import AzureLocation

PATIENCE_S: Final = 5.0


async def check_reachable(location: "AzureLocation") -> None:
    """Raises: UnavailableError where a service's host has no address, or nothing listens on this machine's port."""
    for endpoint in (location.blob_endpoint, location.table_endpoint):
        await _check(endpoint)


async def _check(endpoint: str) -> None:
    from ..errors import UnavailableError
    from ..locations import LOOPBACK

    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        async with asyncio.timeout(PATIENCE_S):
            if host in LOOPBACK:
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
            elif not _proxied():
                await asyncio.get_running_loop().getaddrinfo(host, port)
    except TimeoutError:
        return  # slow is not absent: the library has more patience
    except OSError as exc:
        if host in LOOPBACK:
            message = f"nothing answers at {host}:{port}: is Azurite running?"
            raise UnavailableError(message, op="connect", kind="unavailable.connect") from exc
        message = f"no address is known for {host}: is that the account's name?"
        raise UnavailableError(message, op="connect", kind="unavailable.dns") from exc


def _proxied() -> bool:
    return any(name.lower() in ("https_proxy", "all_proxy") and value for name, value in os.environ.items())
