"""What bytes are: sha256, md5 and size, in one pass over a stream.

The sha256 is the content's identity in the catalog. The md5 is for the service and for tools that know nothing else;
it protects nothing, and it costs more than twice what the sha256 costs: who only compares asks for none. Both
algorithms release the interpreter's lock on large chunks: callers feed a digester from a thread, off the event loop,
and from one thread at a time.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

Chunk = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of some bytes, and how many there were."""

    sha256: str
    """In hexadecimal."""
    md5: bytes
    """Empty where it was not asked for."""
    size: int

    @property
    def digest(self) -> str:
        """As the catalog writes it: the algorithm, then the value."""
        return f"sha256:{self.sha256}"

    @staticmethod
    def of(data: Chunk) -> "Digests":
        """The digests of bytes that are all here."""
        digester = Digester()
        digester.update(data)
        return digester.digests()


class Digester:
    """Takes chunks, in order; says at any time what they are so far. Their MD5 only with `md5`."""

    def __init__(self, *, md5: bool = True) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._updates = [self._sha256.update] + ([self._md5.update] if self._md5 else [])
        self._size = 0

    def update(self, chunk: Chunk) -> None:
        """Take the next bytes."""
        for step in self.steps(chunk):
            step()

    def steps(self, *chunks: Chunk) -> Sequence[Callable[[], None]]:
        """Take the next bytes, by steps that may each run in a thread of its own; all of them, before what is next."""
        self._size += sum(memoryview(chunk).nbytes for chunk in chunks)
        return [partial(_all, update, chunks) for update in self._updates]

    def digests(self) -> Digests:
        """What the bytes so far are. More may follow."""
        return Digests(self._sha256.hexdigest(), self._md5.digest() if self._md5 else b"", self._size)

    def __repr__(self) -> str:
        return f"<Digester of {self._size} bytes>"


def _all(update: Callable[[Chunk], None], chunks: Sequence[Chunk]) -> None:
    for chunk in chunks:
        update(chunk)
