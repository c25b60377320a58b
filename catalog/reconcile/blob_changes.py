"""Changes blobs as they were looked at, If-Match: their headers, where they are, whether they are there.

What is deleted is copied aside first. Who finds a copy there takes it over, by another etag: so no undo removes it.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from storage import Blob, ContentStore, Digester, Headers, IfAbsent, IfMatch, Keeps, Touches
from storage.abilities import unsupported

from ..copying import Copier
from ..entities import FileVersion, VolumeInfo
from ..errors import ConflictError, IntegrityError, InvalidError, NotFoundError, OutcomeUnknownError, UnavailableError
from ..exchange import OP
from ..purger import KEPT
from ..writer import Writer
from .difference import Difference
from .look import Looker
from .names import QUARANTINE, name_of
from .row_changes import Changed


@dataclass(slots=True)
class BlobChanges:
    """Changes blobs of one volume."""

    looker: Looker
    content: ContentStore
    writer: Writer

    @property
    def volume(self) -> VolumeInfo:
        """Which."""
        return self.looker.volume

    async def described(self, name: str) -> dict[str, Any] | None:
        """A blob as it is, for the journal; None where there is none."""
        blob = await self.looker.stat(name)
        if blob is None:
            return None
        headers, md5 = blob.headers, blob.headers.md5
        return {
            "name": name,
            "etag": blob.etag,
            "size": blob.size,
            "content_type": headers.content_type,
            "md5": md5.hex() if md5 else "",
            "metadata": dict(headers.metadata),
        }

    async def file(self, found: Difference) -> FileVersion:
        """A version that tells what a blob should hold. Raises: Changed, where none needs it, or they do not agree."""
        seen = await self.looker.blob(found.key, found.users)
        if not seen.needed_by:
            raise Changed("no version refers to it any more")
        if not seen.agreed:
            raise Changed("the versions that refer to it do not agree about it")
        return seen.wanted(name_of(self.volume, found.key).op)

    async def present(self, found: Difference) -> Blob:
        """The blob as it was found. Raises: Changed."""
        blob = await self.looker.stat(found.key)
        if blob is None or blob.etag != found.blob_etag:
            raise Changed("it was changed meanwhile")
        return blob

    def headers(self, name: str, file: FileVersion, there: Blob | None) -> Headers:
        """As the put wrote them, as far as its version tells, and the blob, where it is that put's."""
        said, md5 = name_of(self.volume, name), file.md5 or ""
        found = there.headers.metadata if there and there.headers.metadata.get(OP) == said.op else {}
        written = {
            name: found.get(name) or own for name, own in (("writer", file.writer), ("epoch", self.volume.epoch))
        }
        metadata = {
            OP: said.op,
            "path": said.path,
            "sha256": file.digest.removeprefix("sha256:"),
            "md5": md5,
            **written,
        }
        return Headers(file.content_type, bytes.fromhex(md5) or None, {**metadata, "size": f"{file.size}"})

    def aside(self, found: Difference) -> str:
        """Where a blob is kept that is deleted: each of those that had its name by itself."""
        state = blake2b(found.blob_etag.encode(), digest_size=4).hexdigest()
        return f"{self.volume.root}{QUARANTINE}/{state}/{found.key.removeprefix(self.volume.root)}"

    async def touch(self, name: str, etag: str, headers: Headers) -> str:
        """Give a blob other headers, as it was looked at; its new etag. Raises: Changed."""
        store, deadline = self.content, self.writer.deadline()
        if not isinstance(store, Touches):
            raise Changed("this store cannot change headers")
        while True:
            try:
                return await deadline.write(lambda: store.touch(name, headers=headers, when=IfMatch(etag)))
            except (ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError) as exc:
                blob = await self.looker.stat(name)
                if blob is not None and blob.etag != etag and shows(blob, headers):
                    return blob.etag  # an answer was lost, and this is what it was about
                if blob is None or blob.etag != etag:
                    raise Changed(f"{name!r} was changed meanwhile") from exc
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def bytes_of(self, blob: Blob) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob; an error in place of the last, where they are not what its headers say."""
        digester, said = Digester(), blob.headers.metadata.get("sha256", "")
        async with self.content.open(blob.name, when=IfMatch(blob.etag)) as opened:
            async for chunk in opened.chunks:
                digester.update(chunk)
                yield chunk
        if said and digester.digests().sha256 != said:
            message = f"the bytes of {blob.name!r} are not those that its headers tell of"
            raise IntegrityError(message, op="adopt", key=blob.name, kind="integrity.digest")

    async def put_aside(self, blob: Blob, name: str) -> None:
        """Copy a blob to the quarantine. What is there already is taken over: no undo may remove it any more."""
        copier = Copier(self.writer.uploads)
        while True:
            try:
                await copier.copy(
                    blob, name, when=IfAbsent(), headers=blob.headers, digest="", deadline=self.writer.deadline()
                )
            except ConflictError as exc:
                there = await self.looker.stat(name)
                if there is None:
                    continue  # it was undone just now
                if await self.looker.digests(there) != await self.looker.digests(blob):
                    raise Changed(f"{name!r} is in the quarantine already, with other content") from exc
                await self.rotate(there)
            return

    async def keep(self, blob: Blob) -> None:
        """Keep a blob that cannot be read, as far as it is there. Raises: Changed, where this store cannot."""
        store = self.content
        try:
            if not isinstance(store, Keeps):
                raise unsupported(store, "keep", blob.name)
            await self.writer.deadline().retried(lambda: store.keep(blob.name, when=IfMatch(blob.etag)))
        except InvalidError as exc:
            if exc.kind != "invalid.unsupported":
                raise
            message = "its bytes cannot be read, and so not be kept: see what is there, and remove it yourself"
            raise Changed(message) from exc
        except (ConflictError, NotFoundError) as exc:
            raise Changed(f"{blob.name!r} was changed meanwhile") from exc

    async def rotate(self, blob: Blob) -> None:
        """Give a blob another etag: no DELETE that was sent before can reach it. Raises: Changed, CatalogError."""
        store = self.content
        if not isinstance(store, Touches):
            raise Changed(f"{blob.name!r} cannot be kept from those who may be deleting it")
        try:
            await self.writer.deadline().write(
                lambda: store.touch(blob.name, headers=blob.headers, when=IfMatch(blob.etag))
            )
        except (ConflictError, OutcomeUnknownError) as exc:
            raise Changed(f"{blob.name!r} was changed meanwhile: the next run tells") from exc

    async def delete(self, name: str, etag: str) -> None:
        """Delete a blob as it was looked at. Raises: Changed."""
        deadline = self.writer.deadline()
        while True:
            try:
                await deadline.write(lambda: self.content.delete(name, when=IfMatch(etag)))
            except NotFoundError:
                return
            except ConflictError as exc:
                held = exc.kind in KEPT
                raise Changed(str(exc) if held else f"{name!r} was changed meanwhile") from exc
            except (OutcomeUnknownError, UnavailableError) as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc
            else:
                return


def shows(blob: Blob, headers: Headers) -> bool:
    """Whether a blob has these headers. Not asked of its MD5, which a store may fill in."""
    return (blob.headers.content_type, dict(blob.headers.metadata)) == (headers.content_type, dict(headers.metadata))
