"""The ContentStore port: bytes by blob name, under preconditions.

It knows names, bytes, etags and headers. It knows nothing of paths, versions or tables, and never retries: a method
is one request (a long read may be several), and its caller decides what its failure means.

What every store guarantees, and `tests/contracts` proves for each:

- `put` is atomic and conditional. A reader sees all of it or none, and of N racing puts with `IfAbsent` or with the
  same `IfMatch` exactly one wins; the others get `ConflictError`.
- An etag changes with every change of a blob's content or headers, and never comes back.
- `list` sees every blob whose put was answered before the listing began; in order of name by code point.
- A failure is definite unless it says otherwise: `ConflictError`, `NotFoundError`, `InvalidError`, `AccessDeniedError`
  and `UnavailableError` from a write mean that this request was not applied. `OutcomeUnknownError` means that it may
  have been, or may still be.
- A put of `Blocks` that succeeds drops all blocks that were staged for the name; one that fails drops none.
- Input outside the rules (`requests`, `names`, `metadata`) is refused with InvalidError before anything is asked; and
  everything after `close`, with InvalidError of kind "invalid.closed".

Not guaranteed: that a listing is a snapshot; that staged blocks outlive a week or a killed process, or a put of bytes
of the same name; which of `NotFoundError` and `ConflictError` a read or a delete `IfMatch` raises where no blob is.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """Write only where no blob of this name is."""


@dataclass(frozen=True, slots=True)
class IfMatch:
    """Touch only the blob that carries this etag."""

    etag: str


@dataclass(frozen=True, slots=True)
class Always:
    """Write, or delete, whatever is there."""


Precondition = IfAbsent | IfMatch | Always


@dataclass(frozen=True, slots=True)
class Headers:
    """What is kept with a blob's bytes. Metadata keys are lower-case ASCII identifiers, values any text.

    Together they are at most 8 KiB once the values are percent-encoded, as the wire wants them.
    """

    content_type: str = "application/octet-stream"
    md5: bytes | None = None
    """16 bytes, of the content. Where none is given, a store may fill it in, or describe the blob without."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob as the store describes it. `etag` is bare, without the quotes that some answers put around it."""

    name: str
    size: int
    etag: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Blocks:
    """Content that was staged before: the ids of its blocks, in order. All ids of one blob have the same length."""

    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes from `start`, to the end where `length` is None; as slices go, none beyond the end."""

    start: int = 0
    length: int | None = None


WHOLE = Span()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can do. Callers ask; they do not guess."""

    atomic_rename: bool = False
    real_directories: bool = False
    versions: bool = False
    signed_urls: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A blob that is being read: what it is, and its bytes as they arrive. A span of it where one was asked for."""

    blob: Blob
    chunks: AsyncIterator[bytes]


class ContentStore(Protocol):
    """Where the bytes are. See the module for what all stores guarantee."""

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do; known without a request."""

    async def create(self) -> None:
        """Make the container. It is no error that it is already there."""

    async def stage(self, name: str, block: str, data: bytes) -> None:
        """Upload one block for a later `put(name, Blocks(...))`. Nobody can see it until then.

        Raises: InvalidError, AccessDeniedError, UnavailableError, NotFoundError (no container), OutcomeUnknownError.
        """

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        """Write a blob in one step and return its etag.

        Raises: ConflictError (the precondition does not hold), InvalidError (the name, or a block that was never
        staged), NotFoundError (no container), AccessDeniedError, UnavailableError, OutcomeUnknownError.
        """

    def open(self, name: str, *, span: Span = WHOLE, when: Precondition = ...) -> AbstractAsyncContextManager[Opened]:
        """Read a blob, or a span of it, as a stream; pinned to one etag from the first byte to the last.

        Raises: NotFoundError, ConflictError (another etag than `when` asks for, or the blob changed under the read),
        AccessDeniedError, UnavailableError (also in the middle of the stream), IntegrityError (the bytes are missing or
        cut, where a store can tell).
        """

    async def stat(self, name: str) -> Blob:
        """Describe a blob. Raises: NotFoundError, AccessDeniedError, UnavailableError."""

    async def delete(self, name: str, *, when: Precondition) -> None:
        """Remove a blob.

        Raises: NotFoundError, ConflictError, AccessDeniedError, UnavailableError, OutcomeUnknownError.
        """

    def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        """All blobs whose name begins with `prefix`, in order of name, without staged blocks.

        Raises: NotFoundError (no container), AccessDeniedError, UnavailableError (also in the middle).
        """

    async def close(self) -> None:
        """Let go of connections, threads and files. May be called twice."""


@runtime_checkable
class Discards(Protocol):
    """What a store does beside, if it keeps staged blocks where they cost its user something. Azure drops its own."""

    async def discard(self, name: str) -> None:
        """Forget the blocks that were staged for a blob; the blob itself stays. No error where there are none.

        A put of them that is under way ends first. Raises: InvalidError, UnavailableError.
        """
