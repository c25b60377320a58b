"""The short writes of a local store, as values: what each does before the transaction that it may share, and in it.

`local_disk` says in which order, and what comes afterwards.
"""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from .content import Blob, Headers, IfMatch, Precondition
from .local_blocks import write_at
from .local_files import Files, place_of
from .local_rows import Kept, delete, put, touch


@dataclass(frozen=True, slots=True)
class Begun:
    """A write that is ready for its transaction."""

    etag: str
    """What the blob will have; none where it will be gone."""
    change: Callable[[sqlite3.Connection], str | None]
    """See `local_rows`. Returns the file that is garbage then."""
    file: str | None = None
    """What waits in staging, to be moved."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write a blob of bytes that are all here."""

    op: ClassVar = "put"
    name: str
    data: bytes
    when: Precondition
    headers: Headers

    def begin(self, files: Files) -> Begun:
        """Write the file in staging. What fails leaves nothing. Raises: OSError."""
        token, descriptor = files.create()
        try:
            write_at(descriptor, self.data, 0)
            files.finish(descriptor)
        except BaseException:
            files.remove(token)
            raise
        finally:
            os.close(descriptor)
        kept = Kept(Blob(self.name, len(self.data), token, self.headers), place_of(self.name, token))
        return Begun(token, partial(put, kept=kept, when=self.when), kept.file)


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a blob."""

    op: ClassVar = "delete"
    name: str
    when: Precondition

    def begin(self, _files: Files) -> Begun:
        """Nothing comes before the transaction."""
        return Begun("", partial(delete, name=self.name, when=self.when))


@dataclass(frozen=True, slots=True)
class Touch:
    """Give a blob other headers, and another etag. Its file stays what it is, and where it is."""

    op: ClassVar = "touch"
    name: str
    headers: Headers
    when: IfMatch

    def begin(self, files: Files) -> Begun:
        """Nothing comes before the transaction, but to choose the etag."""
        etag = files.token()
        return Begun(etag, partial(touch, name=self.name, etag=etag, headers=self.headers, when=self.when))


Write = Put | Delete | Touch
