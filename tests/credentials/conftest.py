"""Azurite over https, and a catalog in it that an identity opened."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from azurite.launch import ACCOUNT_NAME, Azurite
from catalog import Catalog, Volume
from catalog.azure_table import AzureTable, table_client
from storage.azure_blob import AzureBlobContent, blob_client
from storage.azure_transport import SingleShotTransport
from tests.credentials.identity import Identity, certificate


@dataclass(frozen=True)
class SecureAzurite:
    server: Azurite
    ca_file: str

    def catalog(self, credential: object, name: str) -> Catalog:
        """What `connect` makes, trusting our certificate."""
        blob, table = (
            f"https://127.0.0.1:{port}/{ACCOUNT_NAME}" for port in (self.server.blob_port, self.server.table_port)
        )
        sends = [SingleShotTransport(ca_file=self.ca_file, trust_env=False) for _ in range(2)]
        return Catalog(
            AzureTable(table_client(table, name, credential, transport=sends[0])),
            AzureBlobContent(blob_client(blob, name, credential, transport=sends[1])),
        )


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureAzurite]:
    paths = certificate(tmp_path_factory.mktemp("tls"))
    with Azurite(https=paths) as running:
        yield SecureAzurite(running, str(paths[0]))


@pytest.fixture
def identity() -> Identity:
    return Identity()


Opener = Callable[[object], Catalog]


@pytest.fixture
async def opener(secure: SecureAzurite) -> AsyncIterator[Opener]:
    """Opens one and the same catalog with one credential or another."""
    name, opened = f"t{uuid4().hex}", list[Catalog]()

    def open_(credential: object) -> Catalog:
        opened.append(secure.catalog(credential, name))
        return opened[-1]

    yield open_
    for each in opened:
        await each.close()


@pytest.fixture
async def cat(opener: Opener, identity: Identity) -> Catalog:
    return opener(identity)


@pytest.fixture
async def volume(cat: Catalog) -> Volume:
    return await cat.create_volume("raw", shards=1)
