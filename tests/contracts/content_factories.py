"""Every kind of content store there is: one dict, from which all suites take theirs.

A factory chooses a container that nobody has used before, and returns what makes one more client of it. `create` was
not called on it; whoever makes a client closes it.
"""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from azure.core.credentials import AzureNamedKeyCredential

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from storage.azure_blob import AzureBlobContent, blob_client
from storage.content import ContentStore
from storage.local import LocalContent
from storage.memory import Container, MemoryContent

Connect = Callable[[], ContentStore]
Factory = Callable[[pytest.FixtureRequest], Connect]


def _memory(_request: pytest.FixtureRequest) -> Connect:
    container = Container()
    return lambda: MemoryContent(container)


def _local(request: pytest.FixtureRequest) -> Connect:
    folder: Path = request.getfixturevalue("tmp_path") / uuid4().hex
    return lambda: LocalContent(folder)


def _local_full(request: pytest.FixtureRequest) -> Connect:
    folder: Path = request.getfixturevalue("tmp_path") / uuid4().hex
    return lambda: LocalContent(folder, sync="full")


def _azurite(request: pytest.FixtureRequest) -> Connect:
    azurite: Azurite = request.getfixturevalue("azurite")
    endpoint = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT_NAME}"
    container = f"c{uuid4().hex}"
    credential = AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)
    return lambda: AzureBlobContent(blob_client(endpoint, container, credential))


CONTENTS: dict[str, Factory] = {"memory": _memory, "local": _local, "local-full": _local_full, "azurite": _azurite}
