"""The blobs of a store, as a listing told of them, to be asked by name: in bounded memory, however many they are.

They are kept in SQLite's own temporary database: in memory while they are few, in a file that nobody sees after that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from storage import Blob


@dataclass(frozen=True, slots=True)
class Listed:
    """What a blob says of itself."""

    etag: str
    size: int
    op: str = ""
    """The id of the put that wrote it; empty where it does not say."""
    sha256: str = ""
    md5: str = ""

    @classmethod
    def of(cls, blob: Blob) -> Self:
        """What a store says of a blob."""
        metadata, md5 = blob.headers.metadata, blob.headers.md5
        return cls(blob.etag, blob.size, metadata.get("op", ""), metadata.get("sha256", ""), md5.hex() if md5 else "")


class Inventory:
    """Blobs by name. Blocks, but never for long."""

    def __init__(self) -> None:
        import sqlite3  # noqa: PLC0415 — most who open a catalog load nothing

        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute(
            "CREATE TABLE blob (name TEXT PRIMARY KEY, etag TEXT, size INTEGER, op TEXT, sha256 TEXT, md5 TEXT)"
            " WITHOUT ROWID"
        )

    def __repr__(self) -> str:
        return "<Inventory>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, blobs: Sequence[Blob]) -> None:
        """Note them; what was said of a name before is forgotten."""
        rows = [(blob.name, *_columns(Listed.of(blob))) for blob in blobs]
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def find(self, name: str) -> Listed | None:
        """What is known of a name."""
        found = self._database.execute(
            "SELECT etag, size, op, sha256, md5 FROM blob WHERE name = ?", (name,)
        ).fetchone()
        return None if found is None else Listed(*found)


def _columns(found: Listed) -> tuple[str, int, str, str, str]:
    return found.etag, found.size, found.op, found.sha256, found.md5
