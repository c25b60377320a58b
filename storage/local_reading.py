"""Reading a blob of a local store: an open file, whatever becomes of its name."""

import os
from typing import Final

from .content import Span
from .errors import IntegrityError
from .local_rows import Kept

SMALL_BYTES: Final = 1 << 18
"""Up to here, content is read with the first look and the file closed at once."""
CHUNK_BYTES: Final = 1 << 20


class Reading:
    """The bytes of a blob, or of a span of it. Owns the descriptor. Its methods block.

    Raises: OSError; IntegrityError (the file is not as long as the blob was when it was written).
    """

    def __init__(self, kept: Kept, descriptor: int, span: Span) -> None:
        self.blob = kept.blob
        self.ready: bytes | None = None
        """All of it, where it is small."""
        self._file = kept.file
        self._descriptor = descriptor
        self._at = min(span.start, self.blob.size)
        self._end = self.blob.size if span.length is None else min(span.start + span.length, self.blob.size)
        try:
            self._check_size(os.fstat(descriptor).st_size)
            if self._end - self._at <= SMALL_BYTES:
                self.ready = self.next()
                self.close()
        except BaseException:
            self.close()
            raise

    def next(self) -> bytes:
        """The next bytes; none at the end."""
        wanted = min(CHUNK_BYTES, self._end - self._at)
        if wanted <= 0:
            return b""
        chunk = os.pread(self._descriptor, wanted, self._at)
        if not chunk:
            self._check_size(self._at)
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the file. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _check_size(self, size: int) -> None:
        if size != self.blob.size:
            name = self.blob.name
            message = f"open {name}: its file has {size:,} bytes, not {self.blob.size:,}: {self._file}"
            raise IntegrityError(message, op="open", key=name, kind="integrity.size")
