"""Those who are measured beside blobcat, used as their documentation shows; which are here, and in what version.

They are loaded by name when asked for: who has not installed the extra `bench` can still measure the rest.
"""

import importlib
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

PEERS: Final = ("azure-data-tables", "azure-storage-blob", "obstore", "adlfs", "remote-store")
ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public


def loaded(module: str) -> Any | None:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def missing() -> list[str]:
    """The peers that are not installed."""
    return [name for name in PEERS if _version(name) is None]


def machine() -> dict[str, str]:
    """What all this ran on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cpu": cpu or platform.processor() or platform.machine(),
        "cores": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
        "memory": f"{int(memory) / (1 << 20):.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
        **{name: _version(name) or "not installed" for name in PEERS},
    }


def machine_text(found: dict[str, str]) -> str:
    """It, in one sentence."""
    peers = ", ".join(f"{name} {found[name]}" for name in PEERS)
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['memory']}, {found['system']}, Python {found['python']}; "
        f"load {found['load']} at the start; {peers}."
    )


def connection_string(blob: str, table: str) -> str:
    """What the SDKs and adlfs take, for two endpoints."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={blob};TableEndpoint={table};"
    )


def obstore_store(blob: str, container: str) -> tuple[Any, Any] | None:
    """The module, and a store of one container."""
    obstore, stores = loaded("obstore"), loaded("obstore.store")
    if obstore is None or stores is None:
        return None
    store = stores.AzureStore(
        container, account_name=ACCOUNT, account_key=KEY, endpoint=blob, client_options={"allow_http": True}
    )
    return obstore, store


def adlfs_filesystem(blob: str) -> Any | None:
    """A file system of the account."""
    adlfs = loaded("adlfs")
    return adlfs and adlfs.AzureBlobFileSystem(
        connection_string=connection_string(blob, blob), skip_instance_cache=True
    )


def remote_store(blob: str, container: str) -> Any | None:
    """An async store of one container."""
    aio = loaded("remote_store.aio")
    made: Callable[..., Any] | None = getattr(aio, "AsyncAzureBackend", None)
    if aio is None or made is None:
        return None
    return aio.AsyncStore(made(container, hns=False, connection_string=connection_string(blob, blob)))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines() if Path(path).exists() else []
