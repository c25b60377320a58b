"""Copying a blob: as it is, verified on the way, whatever its size, in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from storage import Blob, Blocks, ContentStore, Digester, Digests, Discards, Headers, IfMatch, Precondition

from .errors import IntegrityError, OutcomeUnknownError, UnavailableError
from .retry import Deadline
from .settings import Settings
from .threads import waited_out


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies blobs from one store to another, or within one."""

    source: ContentStore
    target: ContentStore
    settings: Settings

    async def copy(
        self, blob: Blob, name: str, *, when: Precondition, headers: Headers, digest: str, deadline: Deadline
    ) -> str:
        """Write the bytes of a blob under a name; the etag of what was written. What is not `digest` is not written.

        Each block that gets through begins the time limit anew. Raises: as `ContentStore.open` and `put`;
        IntegrityError (the bytes are others than `digest` says), UnavailableError.
        """
        try:
            content, found = await self._retried(blob, name, deadline)
            if digest and found.digest != digest:
                message = f"the bytes of {blob.name!r} have the digest {found.digest}, not {digest}"
                raise IntegrityError(message, op="copy", key=blob.name, kind="integrity.digest")
            return await self._put(name, content, found, when, headers, deadline)
        except BaseException:
            if isinstance(self.target, Discards):
                await waited_out(asyncio.ensure_future(self.target.discard(name)))
            raise

    async def _retried(self, blob: Blob, name: str, deadline: Deadline) -> tuple[bytes | Blocks, Digests]:
        while True:
            try:
                return await self._read(blob, name, deadline)
            except UnavailableError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def _read(self, blob: Blob, name: str, deadline: Deadline) -> tuple[bytes | Blocks, Digests]:
        digester, ids, small = Digester(), list[str](), b""
        async with aclosing(self._pieces(blob, deadline)) as pieces:
            async for piece in pieces:
                digester.update(piece)
                if not ids and blob.size <= self.settings.one_shot_bytes:
                    small += piece
                    continue
                ids.append(f"{len(ids):06d}")
                await deadline.retried(lambda piece=piece: self.target.stage(name, ids[-1], piece))  # type: ignore[misc]
                deadline.renew()
        return Blocks(tuple(ids)) if ids else small, digester.digests()

    async def _pieces(self, blob: Blob, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob, in pieces of a block."""
        size, held = self.settings.block_bytes, bytearray()
        async with self.source.open(blob.name, when=IfMatch(blob.etag)) as opened:
            chunks = opened.chunks
            while (chunk := await deadline.read(lambda: anext(chunks, b""))) != b"":
                held += chunk
                while len(held) >= size:
                    yield bytes(held[:size])
                    del held[:size]
        if held:
            yield bytes(held)

    async def _put(  # noqa: PLR0917 — what a put is told
        self,
        name: str,
        content: bytes | Blocks,
        found: Digests,
        when: Precondition,
        headers: Headers,
        deadline: Deadline,
    ) -> str:
        """Put once; after an unknown outcome, look: a blob with these headers and this size is what was put.

        The MD5 is that of the bytes, whatever the headers say: a service refuses one that is not.
        """
        headers = replace(headers, md5=found.md5)
        try:
            return await deadline.write(lambda: self.target.put(name, content, when=when, headers=headers))
        except OutcomeUnknownError as exc:
            blob = await deadline.retried(lambda: self.target.stat(name))
            same = blob.headers.metadata == headers.metadata and blob.headers.md5 == headers.md5
            if blob.size == found.size and same and (not isinstance(when, IfMatch) or blob.etag != when.etag):
                return blob.etag
            raise UnavailableError(f"{name!r} may or may not have been written ({exc})", op="copy", key=name) from exc
