"""What bytes are: sha256, md5 and size, in one pass over a stream.

The sha256 is the content's identity in the catalog. The md5 is for the service and for tools that know nothing else;
it protects nothing. Both algorithms release the interpreter's lock on large chunks: callers feed a digester from a
thread, off the event loop, and from one thread at a time.
"""

import hashlib
from dataclasses import dataclass

Chunk = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of some bytes, and how many there were."""

    sha256: str
    """In hexadecimal."""
    md5: bytes
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
    """Takes chunks, in order; says at any time what they are so far."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def update(self, chunk: Chunk) -> None:
        """Take the next bytes."""
        with memoryview(chunk) as view:
            self._sha256.update(view)
            self._md5.update(view)
            self._size += view.nbytes

    def digests(self) -> Digests:
        """What the bytes so far are. More may follow."""
        return Digests(self._sha256.hexdigest(), self._md5.digest(), self._size)

    def __repr__(self) -> str:
        return f"<Digester of {self._size} bytes>"
