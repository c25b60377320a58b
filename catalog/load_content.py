"""The content of a volume that is being loaded: found in the container under its name, or copied from another.

A blob that is there is never written again: it is looked up in a listing, and must be of the size and digest that the
version has. One that is not there is copied, If-None-Match: *, under the same name with the same headers; its digest is
computed while it passes, and what is not what was written is not put. So a copy may be sent twice, or by two.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from storage import Blob, ContentStore, Headers, IfAbsent, Span

from .blob_listing import listed as listed_blobs
from .dumped import DumpedVersion
from .entities import FileVersion
from .errors import (
    CatalogError,
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from .inventory import Inventory, Listed
from .reader import Readers
from .retry import Deadline
from .uploads import Ready, Uploads

LISTED_AT_A_TIME: Final = 500


@dataclass(frozen=True, slots=True)
class Origin:
    """Where content is copied from."""

    store: ContentStore
    readers: Readers


@dataclass(slots=True)
class Copied:
    """What was copied so far."""

    blobs: int = 0
    bytes: int = 0


class LoadContent:
    """Finds the content of versions in a store, or brings it there. Made by `listed`."""

    def __init__(
        self,
        uploads: Uploads,
        inventory: Inventory,
        origin: Origin | None,
        deadline: Callable[[], Deadline],
        roots: Sequence[str],
    ) -> None:
        self._store = uploads.store
        self._uploads = uploads
        self._inventory = inventory
        self._origin = origin
        self._deadline = deadline
        self._roots = tuple(roots)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.copied = Copied()

    def __repr__(self) -> str:
        return f"<LoadContent of {self._store!r} from {self._origin!r}>"

    async def find(self, version: DumpedVersion) -> str | CatalogError:
        """The etag of a version's blob in this store; or why there is none. Copied here, if it is not there.

        What is purged, or about to be, may be gone. Raises: UnavailableError, AccessDeniedError.
        """
        file = version.file
        if file.kind == "delete" or version.purged:
            return file.blob_etag
        try:
            return await self._found(file)
        except (NotFoundError, IntegrityError) as exc:
            return exc if version.live else file.blob_etag

    async def _found(self, file: FileVersion) -> str:
        lock = self._locks.setdefault(file.blob, asyncio.Lock())
        async with lock:  # versions share blobs
            if (listed := await self._look(file)) is not None:
                return _agreed(listed, file).etag
            if self._origin is None:
                raise _missing(file, "it is missing")
            blob = await self._copy(file, self._origin)
            self._inventory.add([blob])
            return blob.etag

    async def _look(self, file: FileVersion) -> Listed | None:
        if (listed := self._inventory.find(file.blob)) is not None or file.blob.startswith(self._roots):
            return listed
        blob = await self._stat(self._store, file.blob, self._deadline())  # adopted, so no listing told of it
        if blob is None:
            return None
        self._inventory.add([blob])
        return Listed.of(blob)

    async def _copy(self, file: FileVersion, origin: Origin) -> Blob:
        deadline = self._deadline()
        source = await self._stat(origin.store, file.blob, deadline)
        if source is None:
            raise _missing(file, "it is missing, and so it is where it was to be copied from")
        _agreed(Listed.of(source), file)
        async with (
            origin.readers.open(file, Span()) as content,
            self._uploads.prepare(content, file.blob, deadline) as ready,
        ):
            blob = await self._put(file, ready, source.headers, deadline)
        self.copied.blobs += 1
        self.copied.bytes += blob.size
        return blob

    async def _put(self, file: FileVersion, ready: Ready, headers: Headers, deadline: Deadline) -> Blob:
        """Put what is ready, once: whatever becomes of an answer, what is there in the end is the right blob."""
        while True:
            try:
                await self._uploads.place(deadline)
                try:
                    etag: str = await self._uploads.write(
                        lambda: self._store.put(file.blob, ready.content, when=IfAbsent(), headers=headers),
                        file.size,
                        deadline,
                    )
                finally:
                    self._uploads.places.give(1)
                return Blob(file.blob, file.size, etag, headers)
            except (ConflictError, OutcomeUnknownError, UnavailableError) as exc:
                found = await self._stat(self._store, file.blob, deadline)
                if found is not None:
                    _agreed(Listed.of(found), file)
                    return found
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    @staticmethod
    async def _stat(store: ContentStore, name: str, deadline: Deadline) -> Blob | None:
        try:
            return await deadline.retried(lambda: store.stat(name))
        except NotFoundError as exc:
            if exc.kind == "not-found.container":
                raise InvalidError(exc.message, op="load", key=name, kind="invalid.no-container") from exc
            return None


@asynccontextmanager
async def listed(
    uploads: Uploads, origin: Origin | None, deadline: Callable[[], Deadline], roots: Sequence[str]
) -> AsyncIterator[LoadContent]:
    """The content below these roots, as a listing tells of it. Raises: UnavailableError, AccessDeniedError."""
    with Inventory() as inventory:
        for root in roots:
            await _list(uploads.store, root, inventory, deadline)
        yield LoadContent(uploads, inventory, origin, deadline, roots)


async def _list(store: ContentStore, root: str, inventory: Inventory, begin: Callable[[], Deadline]) -> None:
    """Note what is below a root."""
    gathered: list[Blob] = []
    async with aclosing(listed_blobs(store, root, begin)) as blobs:
        async for blob in blobs:
            gathered.append(blob)
            if len(gathered) >= LISTED_AT_A_TIME:
                inventory.add(gathered)
                gathered.clear()
    inventory.add(gathered)


def _agreed(found: Listed, file: FileVersion) -> Listed:
    """What is there, if it is a version's content, as far as it tells. Raises: IntegrityError."""
    if found.size != file.size:
        raise _missing(file, f"it has {found.size:,} bytes in place of {file.size:,}", "integrity.foreign")
    if file.kind == "put" and found.op != file.etag:
        raise _missing(file, "another write's blob is in its place", "integrity.foreign")
    if found.sha256 and file.digest.startswith("sha256:"):
        same = f"sha256:{found.sha256}" == file.digest
    else:  # adopted: nothing but what the service says of it
        same = not found.md5 or file.md5 is None or found.md5 == file.md5
    if not same:
        raise _missing(file, "another blob is in its place", "integrity.foreign")
    return found


def _missing(file: FileVersion, what: str, kind: str = "integrity.missing") -> IntegrityError:
    message = f"content of {file.path!r} version {file.version} is not there ({file.blob}): {what}"
    return IntegrityError(message, op="load", key=file.path, kind=kind)
