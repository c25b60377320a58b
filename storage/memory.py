"""MemoryContent: a dict, as strict as Azure. For tests, and for catalogs that nobody keeps.

Each method takes one turn of the event loop and then does all its work at once; so requests interleave between
methods, as they do on a service, and never inside one. A read holds on to the bytes that it began with.

Several stores may share one `Container`: to each other they are what clients of a service are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from .content import WHOLE, Always, Blob, Blocks, Capabilities, Headers, IfMatch, Opened, Precondition, Span
from .errors import InvalidError, NotFoundError
from .preconditions import decide_put, decide_there
from .requests import (
    check_delete,
    check_discard,
    check_list,
    check_open,
    check_put,
    check_stage,
    check_stat,
    check_touch,
)

CHUNK_BYTES: Final = 1 << 20

_ETAGS = count(1)  # of the whole process, so that no etag comes back, whatever is made anew


@dataclass(slots=True)
class Container:
    """What is stored. It exists once some store has created it."""

    exists: bool = False
    blobs: dict[str, tuple[Blob, bytes]] = field(default_factory=dict)
    staged: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By name, then by block id."""


class MemoryContent:
    """The port `storage.content.ContentStore` over a `Container`."""

    def __init__(self, container: Container | None = None) -> None:
        self._container = container or Container()
        self._closed = False

    def __repr__(self) -> str:
        return f"<MemoryContent {len(self._container.blobs)} blobs{' closed' if self._closed else ''}>"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    async def create(self) -> None:
        await self._turn("create")
        self._container.exists = True

    async def stage(self, name: str, block: str, data: bytes) -> None:
        check_stage(name, block, data)
        await self._turn("stage", name)
        staged = self._reached("stage", name).staged.setdefault(name, {})
        if any(len(other.encode()) != len(block.encode()) for other in staged):
            message = f"stage {name}: all block ids of a blob have the same length, unlike {block!r}"
            raise InvalidError(message, op="stage", key=name, kind="invalid.block")
        staged[block] = data

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        check_put(name, content, when, headers)
        await self._turn("put", name)
        container = self._reached("put", name)
        decide_put(when, self._etag(name), key=name)
        data = self._joined(name, content) if isinstance(content, Blocks) else content
        kept = Headers(headers.content_type, headers.md5, dict(headers.metadata))
        blob = Blob(name, len(data), f"0x{next(_ETAGS):016X}", kept)
        container.blobs[name] = (blob, data)
        container.staged.pop(name, None)
        return blob.etag

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        check_open(name, span, when)
        await self._turn("open", name)
        container = self._reached("open", name)
        decide_there(when, self._etag(name), op="open", key=name)
        blob, data = container.blobs[name]
        end = None if span.length is None else span.start + span.length
        yield Opened(blob, self._chunks(name, data[span.start : end]))

    async def stat(self, name: str) -> Blob:
        check_stat(name)
        await self._turn("stat", name)
        container = self._reached("stat", name)
        decide_there(Always(), self._etag(name), op="stat", key=name)
        return container.blobs[name][0]

    async def delete(self, name: str, *, when: Precondition) -> None:
        check_delete(name, when)
        await self._turn("delete", name)
        container = self._reached("delete", name)
        decide_there(when, self._etag(name), op="delete", key=name)
        del container.blobs[name]

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        """See `abilities.Touches`."""
        check_touch(name, when, headers)
        await self._turn("touch", name)
        container = self._reached("touch", name)
        decide_there(when, self._etag(name), op="touch", key=name)
        blob, data = container.blobs[name]
        kept = Headers(headers.content_type, headers.md5 or blob.headers.md5, dict(headers.metadata))
        touched = Blob(name, blob.size, f"0x{next(_ETAGS):016X}", kept)
        container.blobs[name] = (touched, data)
        return touched.etag

    async def discard(self, name: str) -> None:
        check_discard(name)
        await self._turn("discard", name)
        self._container.staged.pop(name, None)

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        check_list(prefix)
        await self._turn("list", prefix)
        container = self._reached("list", prefix)
        for name in sorted(name for name in container.blobs if name.startswith(prefix)):
            if name in container.blobs:  # still
                yield container.blobs[name][0]

    async def close(self) -> None:
        self._closed = True

    async def _turn(self, op: str, key: str = "") -> None:
        await asyncio.sleep(0)
        if self._closed:
            raise InvalidError(f"{op} {key}: the store is closed", op=op, key=key, kind="invalid.closed")

    def _reached(self, op: str, key: str) -> Container:
        if not self._container.exists:
            message = f"{op} {key}: the container does not exist"
            raise NotFoundError(message, op=op, key=key, kind="not-found.container")
        return self._container

    def _etag(self, name: str) -> str | None:
        found = self._container.blobs.get(name)
        return found[0].etag if found else None

    def _joined(self, name: str, blocks: Blocks) -> bytes:
        staged = self._container.staged.get(name, {})
        for block in blocks.ids:
            if block not in staged:
                message = f"put {name}: the block {block!r} was never staged"
                raise InvalidError(message, op="put", key=name, kind="invalid.block")
        return b"".join(staged[block] for block in blocks.ids)

    async def _chunks(self, name: str, data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), CHUNK_BYTES):
            await self._turn("open", name)
            yield data[start : start + CHUNK_BYTES]
