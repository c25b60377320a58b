"""The truth of a local store: which blobs there are, in a SQLite `content.db`.

A row is a blob: its name, etag, size, headers, and the file with its bytes. A transaction that inserts, replaces or
deletes one is the only commit point of the store; what lies on the disk without a row does not exist. Files of which a
row was replaced or deleted are noted as garbage in the same transaction, so that a killed process cannot leak them;
the notes go in a later transaction, since forgetting them has no hurry.

`content.db` appears whole: it is made under another name and renamed. It is never made by opening it, so that a wrong
folder says "not found". WAL keeps readers and writers out of each other's way. Each thread has a connection of its
own; the threads of one process take turns at writing by a lock, which is much quicker than SQLite's polling.

Changes that come together share a transaction: each is decided and applied in its turn, as if it had its own, and all
are committed at once. Where one brings the transaction down, each is tried again alone.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Final

from .content import Blob, Precondition
from .errors import CatalogError, InvalidError, NotFoundError
from .local_errors import CommitError, is_busy
from .local_rows import COLUMNS, FORGET, SCHEMA, VERSION, Kept, check_put, find, kept_of, put
from .own_files import OwnFiles

_PAGE: Final = f"SELECT {COLUMNS} FROM blob WHERE name >= ? ORDER BY name LIMIT ?"  # noqa: S608 — our own words
_NEXT: Final = f"SELECT {COLUMNS} FROM blob WHERE name > ? ORDER BY name LIMIT ?"  # noqa: S608
_FILES: Final = "SELECT file FROM blob WHERE instr(file, ?)"

LOG_PAGES: Final = 4000
"""Of 4 KiB, before the log is copied into the database, which waits for the disk: SQLite's own measure is 1,000."""

Change = Callable[[sqlite3.Connection], str | None]
"""Something done inside a transaction. One that is refused, by a CatalogError, has changed nothing."""
Outcome = str | None | Exception
"""What a change returned, or what it, or its transaction, raised."""


class Index:
    """The blobs of one store. All methods block; any thread may call them, several at once."""

    def __init__(self, path: Path, *, busy_timeout_s: float, synchronous: str) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._synchronous = synchronous
        self._connections: list[sqlite3.Connection] = []
        self._own_files = OwnFiles()
        self._here = threading.local()
        self._writing = threading.Lock()
        self._forgettable: list[str] = []

    def __repr__(self) -> str:
        return f"<Index {self._path}>"

    def create(self) -> None:
        """Make `content.db` where it is not. The caller holds the lock that keeps other processes from doing so."""
        if self._path.exists():
            return
        new = self._path.with_name(f"{self._path.name}.new")
        for left in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
            left.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)
        new.rename(self._path)

    def check(self) -> None:
        """Raises: NotFoundError (there is no store here), InvalidError (it is of a newer blobcat)."""
        self._connection()

    def get(self, name: str, when: Precondition, *, op: str) -> Kept:
        """The blob of this name. Raises: NotFoundError, ConflictError."""
        return find(self._connection(), name, when, op=op)

    def check_put(self, name: str, when: Precondition) -> None:
        """Look whether the precondition of a put holds. Raises: ConflictError."""
        check_put(self._connection(), name, when)

    def put(self, kept: Kept, when: Precondition) -> str | None:
        """Commit a blob if the precondition holds. Returns the file that it replaces. Raises: ConflictError."""
        with self._transaction() as connection:
            return put(connection, kept, when)

    def commit(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Commit these changes together, in this order, but for those that are refused; one outcome for each."""
        try:
            with self._transaction() as connection:
                return [_decided(change, connection) for change in changes]
        except CommitError as exc:
            return [exc] * len(changes)
        except Exception as exc:  # noqa: BLE001 — it is for whoever asked for the change
            if len(changes) == 1 or is_busy(exc):
                return [exc] * len(changes)
            return [outcome for change in changes for outcome in self.commit([change])]

    def page(self, prefix: str, after: str, rows_max: int) -> Sequence[Blob]:
        """The first blobs beyond the name `after` whose names begin with `prefix`; none where there are no more."""
        text, bound = (_PAGE, prefix) if after < prefix else (_NEXT, after)  # of two bounds SQLite would seek but one
        rows = self._connection().execute(text, (bound, rows_max)).fetchall()
        return [kept_of(row).blob for row in takewhile(lambda row: row[0].startswith(prefix), rows)]

    def files_made_by(self, session: str) -> Sequence[str]:
        """The files of all blobs that this session wrote. Walks all rows: it is for the dead."""
        return [file for (file,) in self._connection().execute(_FILES, (f"~{session}-",))]

    def garbage(self) -> Sequence[str]:
        """The files of former blobs that may still be on the disk."""
        return [file for (file,) in self._connection().execute("SELECT file FROM garbage")]

    def forget(self, files: Iterable[str], *, now: bool = False) -> None:
        """These files are off the disk: drop the notes of them, with the next transaction or with one of their own."""
        self._forgettable.extend(files)
        if now and self._forgettable:
            with self._transaction():
                pass

    def close(self) -> None:
        """Close all connections. No other thread may be at work."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._own_files.let_go()
        self._here = threading.local()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Raises: CommitError where COMMIT failed; before it, nothing is kept of whatever went wrong."""
        connection = self._connection()
        with self._writing:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                forgotten = self._forgettable[:]
                if forgotten:
                    connection.executemany(FORGET, [(file,) for file in forgotten])
                _commit(connection)
            except BaseException:
                _roll_back(connection)
                raise
            del self._forgettable[: len(forgotten)]

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection. Raises: NotFoundError (no such store), InvalidError (of a newer blobcat)."""
        connection: sqlite3.Connection | None = getattr(self._here, "connection", None)
        if connection is None:
            connection = self._here.connection = self._connected()
            self._connections.append(connection)
        return connection

    def _connected(self) -> sqlite3.Connection:
        if not self._path.exists():
            message = f"there is no content store in {self._path.parent}"
            raise NotFoundError(message, op="open", key=str(self._path.parent), kind="not-found.container")
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,  # `close` closes them all, when their threads are done
        )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            connection.close()
            message = f"{self._path} was written by a newer blobcat"
            raise InvalidError(message, op="open", key=str(self._path), kind="invalid.newer-schema")
        self._own_files.hold(self._path, self._path.parent)
        return connection


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as exc:
        raise CommitError from exc


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _decided(change: Change, connection: sqlite3.Connection) -> Outcome:
    try:
        return change(connection)
    except CatalogError as exc:
        return exc
