"""How `content.db` keeps blobs: the schema, a blob as a row, and the SQL of each change.

It knows one connection, inside a transaction that its caller opens and ends. A change looks first and writes then, so
one that is refused has changed nothing: others may share its transaction.

Order is SQLite's BINARY on UTF-8, which is order of code point.
"""

import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Final

from .content import Blob, Headers, IfAbsent, IfMatch, Precondition
from .preconditions import decide_put, decide_there, no_such_blob

VERSION: Final = 1
SCHEMA: Final = f"""
    CREATE TABLE blob (
        name TEXT PRIMARY KEY, etag TEXT NOT NULL, size INTEGER NOT NULL, content_type TEXT NOT NULL,
        md5 BLOB, metadata TEXT NOT NULL, file TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE garbage (file TEXT PRIMARY KEY) WITHOUT ROWID;
    PRAGMA user_version = {VERSION};
"""
COLUMNS: Final = "name, etag, size, content_type, md5, metadata, file"
FORGET: Final = "DELETE FROM garbage WHERE file = ?"

_FIND: Final = f"SELECT {COLUMNS} FROM blob WHERE name = ?"  # noqa: S608 — our own words
_FIND_FILE: Final = "SELECT etag, file FROM blob WHERE name = ?"
_PUT: Final = f"INSERT OR REPLACE INTO blob ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_INSERT: Final = f"INSERT INTO blob ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING"  # noqa: S608
_DELETE: Final = "DELETE FROM blob WHERE name = ?"
_DISCARD: Final = "INSERT OR IGNORE INTO garbage (file) VALUES (?)"

_json = json.JSONEncoder().encode

Row = tuple[str, str, int, str, bytes | None, str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A blob, and the file with its bytes, relative to the store's folder."""

    blob: Blob
    file: str


def find(connection: sqlite3.Connection, name: str, when: Precondition, *, op: str) -> Kept:
    """The blob of this name. Raises: NotFoundError, ConflictError."""
    row: Row | None = connection.execute(_FIND, (name,)).fetchone()
    if row is None:
        raise no_such_blob(op, name)
    decide_there(when, row[1], op=op, key=name)
    return kept_of(row)


def check_put(connection: sqlite3.Connection, name: str, when: Precondition) -> str | None:
    """See whether the precondition of a put holds. Returns the file that it would replace. Raises: ConflictError."""
    found: tuple[str, str] | None = connection.execute(_FIND_FILE, (name,)).fetchone()
    decide_put(when, found[0] if found else None, key=name)
    return found[1] if found else None


def put(connection: sqlite3.Connection, kept: Kept, when: Precondition) -> str | None:
    """Put a blob if the precondition holds. Returns the file that it replaces. Raises: ConflictError."""
    if isinstance(when, IfAbsent) and connection.execute(_INSERT, _row(kept)).rowcount == 1:
        return None
    replaced = check_put(connection, kept.blob.name, when)
    connection.execute(_PUT, _row(kept))
    if replaced is not None:
        connection.execute(_DISCARD, (replaced,))
    return replaced


def delete(connection: sqlite3.Connection, name: str, when: Precondition) -> str:
    """Remove a blob. Returns its file. Raises: NotFoundError, ConflictError."""
    found: tuple[str, str] | None = connection.execute(_FIND_FILE, (name,)).fetchone()
    if found is None:
        raise no_such_blob("delete", name)
    etag, file = found
    decide_there(when, etag, op="delete", key=name)
    connection.execute(_DELETE, (name,))
    connection.execute(_DISCARD, (file,))
    return file


def touch(connection: sqlite3.Connection, name: str, etag: str, headers: Headers, when: IfMatch) -> None:
    """Give a blob other headers, and with them another etag. Raises: NotFoundError, ConflictError."""
    kept = find(connection, name, when, op="touch")
    same = replace(headers, md5=headers.md5 or kept.blob.headers.md5)
    connection.execute(_PUT, _row(Kept(Blob(name, kept.blob.size, etag, same), kept.file)))


def kept_of(row: Row) -> Kept:
    """A row as a blob."""
    name, etag, size, content_type, md5, metadata, file = row
    headers = Headers(content_type, md5, json.loads(metadata) if metadata else {})
    return Kept(Blob(name, size, etag, headers), file)


def _row(kept: Kept) -> Row:
    blob, headers = kept.blob, kept.blob.headers
    metadata = _json(dict(headers.metadata)) if headers.metadata else ""
    return blob.name, blob.etag, blob.size, headers.content_type, headers.md5, metadata, kept.file
