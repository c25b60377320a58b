"""What a failed disk or a failed SQLite means: one error of ours for each of theirs.

All that a local store does before the commit leaves nothing behind, so any failure there is definite. Of a commit
itself SQLite says whether it can be: a full disk or a refused write ends the transaction without its last frame, and
what has no last frame never happened. After any other failure (a flush, a lock) nobody can tell.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .disk_errors import DENIED, DISK, FULL, Meaning, meaning
from .errors import (
    AccessDeniedError,
    CatalogError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
    another,
)

_NO_FOLDER: Final[Meaning] = (InvalidError, "invalid.folder", "a file is where the store's folder should be")
_OWN: Final[dict[int | None, Meaning]] = {
    errno.ENOENT: (NotFoundError, "not-found.container", "the store's folder is gone"),
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
}
_BY_SQLITE: Final[dict[int, Meaning]] = {
    sqlite3.SQLITE_BUSY: (UnavailableError, "unavailable.busy", "other processes are writing, and did not end in time"),
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: DENIED,
    sqlite3.SQLITE_PERM: DENIED,
    sqlite3.SQLITE_READONLY: (AccessDeniedError, "access-denied.read-only", "content.db is read-only"),
    sqlite3.SQLITE_CORRUPT: (IntegrityError, "integrity.file", "content.db is damaged"),
    sqlite3.SQLITE_NOTADB: (IntegrityError, "integrity.file", "content.db is no database"),
}
_NOT_COMMITTED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})


class CommitError(Exception):
    """COMMIT failed, with the sqlite3.Error as its cause."""


@contextmanager
def explaining(op: str, key: str) -> Iterator[None]:
    """Do something on the disk; raise what its failure means. Errors of our own tree pass."""
    try:
        yield
    except (OSError, sqlite3.Error, CommitError) as exc:
        raise explained(exc, op=op, key=key) from exc


def explained(exc: OSError | sqlite3.Error | CommitError, *, op: str, key: str) -> CatalogError:
    """The error of ours that says what is known after `exc`."""
    error, kind, text = _meant(exc)
    return error(f"{op} {key}: {text} ({_detail(exc)})", op=op, key=key, kind=kind)


def own_error(exc: Exception, *, op: str, key: str) -> Exception:
    """What to tell one of several whom the same failure may have met: raising an error adds to its traceback."""
    if not isinstance(exc, OSError | sqlite3.Error | CommitError):
        return another(exc)
    error = explained(exc, op=op, key=key)
    error.__cause__ = exc
    return error


def leaves_unknown(exc: BaseException) -> bool:
    """Whether a transaction that raised this may be committed after all."""
    return isinstance(exc, CommitError) and not {_code(exc), _code(exc) & 0xFF} & _NOT_COMMITTED


def is_busy(exc: BaseException) -> bool:
    """Whether a transaction could not begin, for others who are writing."""
    return _code(exc) & 0xFF == sqlite3.SQLITE_BUSY


def _meant(exc: BaseException) -> Meaning:
    if leaves_unknown(exc):
        return OutcomeUnknownError, OutcomeUnknownError.default_kind, "the disk fails; it may or may not be applied"
    if isinstance(exc, OSError):
        return meaning(exc.errno, "folder", _OWN)
    return _BY_SQLITE.get(_code(exc) & 0xFF, DISK)


def _code(exc: BaseException) -> int:
    cause = exc.__cause__ if isinstance(exc, CommitError) else exc
    return getattr(cause, "sqlite_errorcode", 0)


def _detail(exc: BaseException) -> str:
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    return str(exc.__cause__ or exc)
