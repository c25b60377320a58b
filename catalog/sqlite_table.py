"""The Table port on SQLite: the embedded default, and with ":memory:" the strict stand-in for Azure in tests.

It knows SQL and threads. It is as strict as Azure, since code that was only ever run here must be right there.

A row is `(partition, row, stamp, body)`. `stamp` is the database's own clock: microseconds, taken once for each
transaction as `max(last + 1, now)` and kept in the same transaction, so it never repeats and never runs backwards,
whatever the machine's clock does. It is both the row's timestamp and, as text, its etag; `drop` keeps it. Keys are
blobs in CESU-8, whose bytes sort as UTF-16 units do. Values are one JSON object, which keeps 5.0 apart from 5.

Writes run one at a time on a thread of their own, each in BEGIN IMMEDIATE; reads run on other threads and connections,
which the write-ahead log lets see the last committed state without waiting. Any number of processes may share a file.
Each page of a query is a short read of its own: a slow reader holds nothing back.

A caller who is cancelled leaves its transaction to finish, or, where it has not begun, to be left out.
"""

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeVar

from .errors import (
    AccessDeniedError,
    CatalogError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from .filters import Condition, Literal_
from .keys import RowRange
from .pushdown import pushable, sql
from .table import (
    ANY_ETAG,
    Delete,
    Entity,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
    Values,
    Written,
    check_batch,
    check_key,
    check_range,
    check_values,
)

Sync = Literal["normal", "full"]
MEMORY: Final = ":memory:"
READERS: Final = 4
COMPARISONS_MAX: Final = 200  # well inside SQLite's default limits on variables and on the depth of an expression
PAGE_BYTES: Final = 8192  # rows of a WITHOUT ROWID table spill to overflow pages at a quarter of this
VERSION: Final = 1

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), stamp INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO clock VALUES (1, 0)",
    """
    CREATE TABLE IF NOT EXISTS entities (
        partition BLOB NOT NULL, row BLOB NOT NULL, stamp INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (partition, row)
    ) WITHOUT ROWID
    """,
    f"PRAGMA user_version = {VERSION}",
)
_ROW: Final = "partition = ? AND row = ?"
_AT: Final = f"{_ROW} AND CAST(stamp AS TEXT) = ?"
_T = TypeVar("_T")


class SqliteTable:
    """A table in a file, or in memory for as long as this object is open. Any task of any event loop may use it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: Sync = "normal",
        busy_timeout_s: float = 30.0,
        page_rows: int = 1000,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """No I/O. `sync`: "normal" survives a killed process, "full" also a power cut. `clock` gives nanoseconds."""
        self._path = MEMORY if os.fspath(path) == MEMORY else str(Path(path).absolute())
        self._sync = sync
        self._busy_timeout_s = busy_timeout_s
        self._page_rows = page_rows
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = self._writer if self._path == MEMORY else ThreadPoolExecutor(READERS, "sqlite-reader")
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<SqliteTable {self._path!r}, {'closed' if self._closed else 'open'}>"

    async def create(self) -> None:
        """Make the file, and the folder it is in, and the table. It is no error that they are already there."""
        await self._run(self._writer, "create", "", self._create)

    async def drop(self) -> None:
        """Remove the table with all its rows; the file stays. It is no error that there is none."""
        try:
            await self._run(self._writer, "drop", "", self._drop)
        except NotFoundError:
            return

    async def get(self, partition: str, row: str) -> Entity | None:
        """Read one row; None where there is none."""
        check_key("PartitionKey", partition, op="get")
        check_key("RowKey", row, op="get")
        return await self._run(self._readers, "get", row, self._get, partition, row)

    async def query(
        self,
        partition: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncIterator[Sequence[Entity]]:
        """Read a range of rows, page by page."""
        check_range(partition, rows)
        bound, first = ">=", _encoded(rows.first)
        condition, parameters = _where(where)
        body = "'{}'" if select is not None and not select else "body"
        while True:
            text = (
                f"SELECT row, stamp, {body} FROM entities WHERE partition = ? AND row {bound} ? AND row < ?"
                f"{condition} ORDER BY row LIMIT {self._page_rows}"
            )
            values = [_encoded(partition), first, _encoded(rows.stop), *parameters]
            found = await self._run(self._readers, "query", partition, self._select, text, values)
            yield _entities(partition, found, select)
            if len(found) < self._page_rows:
                return
            bound, first = ">", found[-1][0]

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        """Apply all operations, or none, in one transaction."""
        check_batch(partition, operations)
        stamp = await self._run(self._writer, "submit", partition, self._apply, partition, tuple(operations))
        written, gone = Written(str(stamp), stamp), Written(None, None)
        return [gone if isinstance(operation, Delete) else written for operation in operations]

    async def close(self) -> None:
        """Finish what was begun, then let go of threads and files. May be called twice."""
        if self._closed:
            return
        self._closed = True
        done = asyncio.get_running_loop().run_in_executor(self._writer, self._let_go)
        self._writer.shutdown(wait=False)  # takes no more work, and ends after what it has
        await done
        self._writer.shutdown()

    async def _run(
        self, threads: ThreadPoolExecutor, op: str, key: str, work: Callable[..., _T], *arguments: object
    ) -> _T:
        if self._closed:
            raise InvalidError("the table is closed", op=op, key=key, kind="invalid.closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)
        except (sqlite3.Error, OSError) as error:
            raise _translated(error, self._path, op, key) from error

    # What follows runs on the threads.

    def _connection(self, mode: Literal["rw", "rwc"] = "rw") -> sqlite3.Connection:
        """This thread's connection. Only "rwc" makes a file that is not there."""
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._opened(mode)
            self._connections.append(connection)
        return connection

    def _opened(self, mode: str) -> sqlite3.Connection:
        name = f"file:{MEMORY}" if self._path == MEMORY else f"{Path(self._path).as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            name, uri=True, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute(f"PRAGMA synchronous = {self._sync}")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except BaseException:
            connection.close()
            raise
        if version > VERSION:
            connection.close()
            raise InvalidError(f"{self._path} was written by a newer blobcat", op="open", kind="invalid.newer")
        return connection

    def _create(self) -> None:
        if self._path != MEMORY:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = self._connection("rwc")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._use_log(connection)
        with self._transaction(connection, "create", ""):
            for statement in _SCHEMA:
                connection.execute(statement)

    def _use_log(self, connection: sqlite3.Connection) -> None:
        """Turn on the write-ahead log: the one step at which SQLite does not wait for others by itself."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _drop(self) -> None:
        connection = self._connection()
        with self._transaction(connection, "drop", ""):
            connection.execute("DROP TABLE IF EXISTS entities")

    def _get(self, partition: str, row: str) -> Entity | None:
        text = f"SELECT row, stamp, body FROM entities WHERE {_ROW}"
        found = self._select(text, [_encoded(partition), _encoded(row)])
        return _entities(partition, found, None)[0] if found else None

    def _select(self, text: str, parameters: Sequence[Literal_ | bytes]) -> list[tuple[bytes, int, str]]:
        return self._connection().execute(text, parameters).fetchall()

    def _apply(self, partition: str, operations: Sequence[Operation]) -> int:
        connection = self._connection()
        with self._transaction(connection, "submit", partition):
            stamp = self._tick(connection)
            for index, operation in enumerate(operations):
                if not _applied(connection, partition, operation, stamp):
                    _refuse(connection, partition, operation, index)
        return stamp

    def _tick(self, connection: sqlite3.Connection) -> int:
        (last,) = connection.execute("SELECT stamp FROM clock").fetchone()
        stamp = max(int(last) + 1, self._clock() // 1000)
        connection.execute("UPDATE clock SET stamp = ?", (stamp,))
        return stamp

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection, op: str, key: str) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.rollback()
            if _code(error) in _NOT_COMMITTED:
                raise
            raise OutcomeUnknownError(f"the commit failed: {error}", op=op, key=key) from error

    def _let_go(self) -> None:
        if self._readers is not self._writer:
            self._readers.shutdown()
        for connection in self._connections:
            connection.close()


def _applied(connection: sqlite3.Connection, partition: str, operation: Operation, stamp: int) -> bool:
    """Whether the operation's condition held; then it is done."""
    key = [_encoded(partition), _encoded(operation.row)]
    match operation:
        case Insert(_, values):
            text = "INSERT INTO entities VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
            return connection.execute(text, [*key, stamp, _json(values)]).rowcount == 1
        case Replace(_, values, etag):
            text, which = f"UPDATE entities SET stamp = ?, body = ? WHERE {_which(etag)}", _with(key, etag)
            return connection.execute(text, [stamp, _json(values), *which]).rowcount == 1
        case Merge(row, values, etag):
            found = connection.execute(f"SELECT body FROM entities WHERE {_which(etag)}", _with(key, etag)).fetchone()
            if found is None:
                return False
            merged = json.loads(found[0]) | dict(values)
            check_values(partition, row, merged)
            text = f"UPDATE entities SET stamp = ?, body = ? WHERE {_ROW}"
            return connection.execute(text, [stamp, _json(merged), *key]).rowcount == 1
        case Delete(_, etag):
            text = f"DELETE FROM entities WHERE {_which(etag)}"
            return connection.execute(text, _with(key, etag)).rowcount == 1


def _refuse(connection: sqlite3.Connection, partition: str, operation: Operation, index: int) -> NoReturn:
    text, key = f"SELECT 1 FROM entities WHERE {_ROW}", (_encoded(partition), _encoded(operation.row))
    there = connection.execute(text, key).fetchone() is not None
    why = "is already there" if isinstance(operation, Insert) else "has another etag" if there else "is not there"
    raise RefusedError(f"operation {index}: the row {why}", index=index, key=operation.row)


def _which(etag: str) -> str:
    return _ROW if etag == ANY_ETAG else _AT


def _with(key: list[bytes], etag: str) -> Sequence[bytes | str]:
    return key if etag == ANY_ETAG else [*key, etag]


def _where(condition: Condition | None) -> tuple[str, list[Literal_]]:
    weaker = pushable(condition, strict_types=False, comparisons_max=COMPARISONS_MAX)
    if weaker is None:
        return "", []
    text, parameters = sql(weaker, "body")
    return rf" AND ({text} OR instr(body, '\u0000'))", parameters  # SQLite's JSON ends a string at its first NUL


# Keys and values, as they are stored.

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _encoded(key: str) -> bytes:
    if key.isascii() or max(key) < "\U00010000":
        return key.encode("utf-8", "surrogatepass")
    halves = key.encode("utf-16-le", "surrogatepass")
    return "".join(chr(halves[at] | halves[at + 1] << 8) for at in range(0, len(halves), 2)).encode(
        "utf-8", "surrogatepass"
    )


def _decoded(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _entities(
    partition: str, found: Sequence[tuple[bytes, int, str]], select: Sequence[str] | None
) -> Sequence[Entity]:
    try:
        parsed = json.loads("[" + ",".join([body for _, _, body in found]) + "]")  # one call is several times faster
        bodies: list[Values] = parsed if not select else [_some(values, select) for values in parsed]
        return [
            Entity(partition, _decoded(row), values, str(stamp), stamp)
            for (row, stamp, _), values in zip(found, bodies, strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise IntegrityError("a stored row is damaged", op="read", key=partition) from error


def _some(values: Values, select: Sequence[str]) -> Values:
    return {name: values[name] for name in select if name in values}


# Errors.

_Meaning = tuple[type[CatalogError], str, str]
_NOT_COMMITTED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL})
_BY_CODE: Final[Mapping[int | None, _Meaning]] = {
    None: (IntegrityError, "integrity.row", "a stored row is damaged"),
    sqlite3.SQLITE_CORRUPT: (IntegrityError, "integrity.file", "the file is damaged"),
    sqlite3.SQLITE_NOTADB: (IntegrityError, "integrity.file", "the file is no table"),
    sqlite3.SQLITE_PERM: (AccessDeniedError, "access-denied", "no access"),
    sqlite3.SQLITE_CANTOPEN: (AccessDeniedError, "access-denied", "no access"),
    sqlite3.SQLITE_READONLY: (AccessDeniedError, "access-denied.read-only", "no access for writing"),
    sqlite3.SQLITE_BUSY: (UnavailableError, "busy", "others are at work on it, and did not end in time"),
    sqlite3.SQLITE_FULL: (UnavailableError, "disk-full", "the disk is full"),
}
_NO_TABLE: Final = (NotFoundError, "not-found.table", "there is no table")
_ELSE: Final = (UnavailableError, "disk", "the disk fails")


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code; None for what Python itself found wrong with a row."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _meaning(error: sqlite3.Error, path: str) -> _Meaning:
    code = _code(error)
    missing = code == sqlite3.SQLITE_CANTOPEN and _is_missing(path)
    if missing or (code == sqlite3.SQLITE_ERROR and str(error).startswith("no such table")):
        return _NO_TABLE
    return _BY_CODE.get(code, _ELSE)


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _translated(error: sqlite3.Error | OSError, path: str, op: str, key: str) -> CatalogError:
    if isinstance(error, OSError):  # only from making the folder
        return AccessDeniedError(f"{op}: {path}: {error.strerror}", op=op, key=key)
    kind_of_error, kind, text = _meaning(error, path)
    return kind_of_error(f"{op}: {path}: {text} ({error})", op=op, key=key, kind=kind)
