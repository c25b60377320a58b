"""Where the demo plays, and what only an outsider can do there: damage content, and look at the bare rows and blobs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

from azure.storage.blob import BlobClient, ContentSettings

from azurite.launch import Azurite
from catalog import Settings, VolumeInfo
from catalog.backends import Backend, backend
from catalog.columns import parse_intent
from catalog.keys import INTENTS, partition
from catalog.locations import DEFAULT_NAME, parse_location
from storage.local import LocalContent


class Stage(Protocol):
    """One back end."""

    @property
    def url(self) -> str:
        """Of the catalog."""

    @property
    def name(self) -> str:
        """For people."""

    async def flip(self, blob: str) -> None:
        """Flip one bit of a blob's content, without blobcat; a second time, flip it back."""


@dataclass(frozen=True, slots=True)
class LocalStage:
    """A folder."""

    folder: Path
    name: ClassVar[str] = "a local folder"

    @property
    def url(self) -> str:
        """See Stage."""
        return f"local:{self.folder}"

    async def flip(self, blob: str) -> None:
        """See Stage."""
        store = LocalContent(self.folder / "content")
        try:
            file = await store.file_of(blob)
        finally:
            await store.close()
        await asyncio.to_thread(lambda: file.write_bytes(flipped(file.read_bytes())))


@dataclass(frozen=True, slots=True)
class AzuriteStage:
    """An emulator of Azure Storage."""

    azurite: Azurite
    name: ClassVar[str] = "Azurite"

    @property
    def url(self) -> str:
        """See Stage."""
        return self.azurite.url

    async def flip(self, blob: str) -> None:
        """See Stage."""
        await asyncio.to_thread(self._rewrite, blob)

    def _rewrite(self, blob: str) -> None:
        """As someone would who has the account's key and another tool: everything but the bytes stays the same."""
        with BlobClient.from_connection_string(self.azurite.connection_string, DEFAULT_NAME, blob) as client:
            found = client.get_blob_properties()
            kind = ContentSettings(content_type=found.content_settings.content_type)
            content = flipped(client.download_blob().readall())
            client.upload_blob(content, overwrite=True, metadata=found.metadata, content_settings=kind)


def flipped(content: bytes) -> bytes:
    """The content with one bit changed, in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@contextmanager
def stage(folder: Path, *, azurite: bool) -> Iterator[Stage]:
    """The back end that was asked for, running. Raises: AzuriteError."""
    if not azurite:
        yield LocalStage(folder / "catalog")
        return
    with Azurite() as running:
        yield AzuriteStage(running)


class Witness:
    """Sees the rows and blobs as they are: whatever the catalog would rather not show."""

    def __init__(self, url: str) -> None:
        self._ports: Backend = backend(parse_location(url), None, Settings())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._ports.table.close()
        await self._ports.content.close()

    async def open_intents(self, volume: VolumeInfo) -> int:
        """Writes that began and are not settled."""
        number = 0
        for shard in range(volume.shards):
            async for page in self._ports.table.query(partition(volume.epoch, shard), INTENTS):
                number += sum(parse_intent(row).intent.state == "open" for row in page)
        return number

    async def blobs(self, volume: VolumeInfo) -> set[str]:
        """All content that the volume keeps."""
        return {blob.name async for blob in self._ports.content.list(volume.root)}
