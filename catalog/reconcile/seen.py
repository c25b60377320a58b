"""What was read live of a blob's name, of a path, of a write, each at one moment; and rows as plans name them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from storage import Blob, Digests

from ..entities import FileVersion, Head, IntentRow, VersionRow

UNREADABLE: Final = "its bytes cannot be read"


@dataclass(frozen=True, slots=True)
class SeenBlob:
    """All that is known of a blob's name at one moment."""

    name: str
    blob: Blob | None
    rows: tuple[VersionRow, ...] = ()
    """The versions that refer to it."""
    heads: tuple[Head, ...] = ()
    """The heads that do."""
    intent: IntentRow | None = None
    """Of the write whose id the blob, or its name, tells."""
    content: Digests | str | None = None
    """What its bytes are; UNREADABLE with the reason; None where nobody has read them."""

    @property
    def needed_by(self) -> tuple[FileVersion, ...]:
        """The versions that need it; also one of which only the head is left."""
        known = {(row.file.path, row.file.version) for row in self.rows}
        lost = (head.file for head in self.heads if (head.file.path, head.file.version) not in known)
        return (*(row.file for row in self.rows if row.live), *lost)

    @property
    def agreed(self) -> bool:
        """Whether all rows that need it tell of the same content: where not, some row was edited, and which is open.

        What was adopted may lack a digest or an MD5: then it contradicts none.
        """
        told = (*self.needed_by, *(head.file for head in self.heads))
        digests, md5s = {file.digest for file in told} - {""}, {file.md5 for file in told} - {"", None}
        return max(len(digests), len(md5s), len({file.size for file in told})) <= 1

    def wanted(self, op: str) -> FileVersion:
        """What it should hold, in one version's words; not asked where nobody needs it.

        Its own put's, if it needs it still: best the row, or the head, that knows the blob's etag. Others come second:
        they share what was there.
        """
        files = [file for file in (*self.needed_by, *(head.file for head in self.heads)) if op and file.etag == op]
        known = [file for file in files if self.blob is not None and file.blob_etag == self.blob.etag]
        return (*known, *files, *self.needed_by)[0]


@dataclass(frozen=True, slots=True)
class SeenPath:
    """All rows of a path at one moment."""

    path: str
    head: Head | None
    rows: tuple[VersionRow, ...]
    """Oldest first."""
    move: bool = False
    """Whether there is more of the move that the head speaks of: an intent, or its version at the target."""


@dataclass(frozen=True, slots=True)
class SeenOp:
    """A write's intents at one moment: two, where it is a move between shards."""

    op: str
    rows: tuple[IntentRow, ...]


def rows_of(rows: Iterable[VersionRow], heads: Iterable[Head]) -> dict[str, str]:
    """Rows as plans name them, with their etags."""
    found = {f"v {named(row.file)}": row.etag for row in rows}
    return found | {f"h {head.file.path}": head.row_etag for head in heads}


def named(file: FileVersion) -> str:
    """A version, as plans name it."""
    return f"{file.path}@{file.version}"
