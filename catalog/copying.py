"""Copying a blob within a store: as it is, verified on the way, whatever its size, in bounded memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from storage import Blob, Headers, IfMatch, Precondition

from .errors import ConflictError, IntegrityError, NotFoundError, OutcomeUnknownError, UnavailableError
from .retry import Deadline
from .uploads import Ready, Uploads


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies blobs, as what is uploaded."""

    uploads: Uploads

    async def copy(
        self, blob: Blob, name: str, *, when: Precondition, headers: Headers, digest: str, deadline: Deadline
    ) -> str:
        """Write the bytes of a blob under a name; the etag of what was written. What is not `digest` is not written.

        Each block that gets through begins the time limit anew. Raises: as `ContentStore.open` and `put`;
        IntegrityError (the bytes are others than `digest` says), UnavailableError.
        """
        while True:
            try:
                async with self.uploads.prepare(self.bytes_of(blob), name, deadline) as ready:
                    if digest and ready.facts.digest != digest:
                        message = f"the bytes of {blob.name!r} have the digest {ready.facts.digest}, not {digest}"
                        raise IntegrityError(message, op="copy", key=blob.name, kind="integrity.digest")
                    return await self._put(name, ready, when, headers, deadline)
            except UnavailableError as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def bytes_of(self, blob: Blob) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob, as it was described."""
        async with self.uploads.store.open(blob.name, when=IfMatch(blob.etag)) as opened:
            async for chunk in opened.chunks:
                yield chunk

    async def _put(self, name: str, ready: Ready, when: Precondition, headers: Headers, deadline: Deadline) -> str:
        """Put once; where that is unknown, or refused, look: a blob with these headers and this size is what was put.

        The MD5 is that of the bytes, whatever the headers say: a service refuses one that is not.
        """
        store, headers = self.uploads.store, replace(headers, md5=bytes.fromhex(ready.facts.md5))
        try:
            return await deadline.write(lambda: store.put(name, ready.content, when=when, headers=headers))
        except (ConflictError, OutcomeUnknownError) as exc:  # a conflict may be with a first copy of this very request
            try:
                blob = await deadline.retried(lambda: store.stat(name))
            except NotFoundError:
                raise UnavailableError(exc.message, op="copy", key=name) from exc
            same = blob.size == ready.facts.size and blob.headers.metadata == headers.metadata
            if same and (not isinstance(when, IfMatch) or blob.etag != when.etag):
                return blob.etag
            if isinstance(exc, ConflictError):
                raise
            raise UnavailableError(f"{name!r} may or may not have been written ({exc})", op="copy", key=name) from exc
