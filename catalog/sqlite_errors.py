"""What a failure of SQLite means, in the terms of the one error tree. See `errors`."""

import os
import sqlite3
from collections.abc import Mapping
from typing import Final

from storage.disk_errors import DISK, FULL, Meaning, meaning

from .errors import AccessDeniedError, CatalogError, IntegrityError, NotFoundError, UnavailableError

NOT_COMMITTED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL})
"""Codes of a COMMIT that prove that it had no effect: the write-ahead log lacks the frame that would say so."""

_NO_TABLE: Final[Meaning] = (NotFoundError, "not-found.table", "there is no table")
_BY_CODE: Final[Mapping[int | None, Meaning]] = {
    None: (IntegrityError, "integrity.row", "a stored row is damaged"),
    sqlite3.SQLITE_CORRUPT: (IntegrityError, "integrity.file", "the file is damaged"),
    sqlite3.SQLITE_NOTADB: (IntegrityError, "integrity.file", "the file is no table"),
    sqlite3.SQLITE_PERM: (AccessDeniedError, "access-denied.disk", "no access"),
    sqlite3.SQLITE_CANTOPEN: (AccessDeniedError, "access-denied.disk", "no access"),
    sqlite3.SQLITE_READONLY: (AccessDeniedError, "access-denied.read-only", "no access for writing"),
    sqlite3.SQLITE_BUSY: (UnavailableError, "unavailable.busy", "others are at work on it, and did not end in time"),
    sqlite3.SQLITE_FULL: FULL,
}


def code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None for what Python itself found wrong with a row."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF


def is_busy(error: Exception) -> bool:
    """Whether a transaction could not begin, for others who are at work and did not end in time."""
    return isinstance(error, sqlite3.Error) and code(error) == sqlite3.SQLITE_BUSY


def translated(error: sqlite3.Error | OSError, path: str, op: str, key: str) -> CatalogError:
    """The error of ours. Not raised, and without a cause."""
    if isinstance(error, OSError):  # only from making the folder
        kind_of_error, kind, text = meaning(error.errno, "folder")
    else:
        kind_of_error, kind, text = _meant(error, path, op)
    return kind_of_error(f"{op}: {path}: {text} ({error})", op=op, key=key, kind=kind)


def _meant(error: sqlite3.Error, path: str, op: str) -> Meaning:
    missing = code(error) == sqlite3.SQLITE_CANTOPEN and op != "create" and _is_missing(path)
    if missing or (code(error) == sqlite3.SQLITE_ERROR and str(error).startswith("no such table")):
        return _NO_TABLE
    return _BY_CODE.get(code(error), DISK)


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
