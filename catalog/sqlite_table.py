"""The Table port on SQLite: the embedded default, and with ":memory:" the strict stand-in for Azure in tests.

It knows files, threads and transactions; rows are `sqlite_rows`' business. It is as strict as Azure, since code that
was only ever run here must be right there.

Writes run on a thread of their own, in BEGIN IMMEDIATE. Batches that wait while it works are its next transaction: each
has a stamp of its own, and nobody is told before all are committed. Where one is refused, or fails, nothing is, and
each is tried again in a transaction of its own. Reads run on other threads and connections, which the write-ahead log
lets see the last committed state without waiting. Any number of processes may share a file. Each page of a query is a
short read of its own: a slow reader holds nothing back.

A caller who is cancelled leaves its batch to finish, or, where it has not begun, to be left out.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

from storage.endings import waited_out
from storage.own_files import OwnFiles
from storage.turns import Call, Turns

from .errors import InvalidError, NotFoundError, OutcomeUnknownError
from .filters import Condition
from .keys import RowRange
from .pushdown import Pushed
from .rows import (
    Entity,
    check_key,
    check_range,
)
from .sqlite_errors import NOT_COMMITTED, code, is_busy, translated
from .sqlite_rows import (
    DROP,
    PAGE_BYTES,
    SCHEMA,
    VERSION,
    Found,
    Statement,
    apply,
    entities,
    first_page,
    one_row,
    page_after,
    pushed,
    tick,
)
from .table import (
    PAGE_ROWS,
    Delete,
    LastPage,
    Operation,
    Written,
    check_batch,
)
from .threads import ShortCalls

Sync = Literal["normal", "full"]
MEMORY: Final = ":memory:"
READERS: Final = 4
LOG_PAGES: Final = 4000  # of 8 KiB, before it is copied into the file: a quarter less work than SQLite's 1,000
BATCHES_MAX: Final = 16
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one caller wants to have done."""

    partition: str
    operations: Sequence[Operation]


class SqliteTable:
    """A table in a file, or in memory for as long as this object is open. Any task of one event loop may use it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: Sync = "normal",
        busy_timeout_s: float = 30.0,
        page_rows: int = PAGE_ROWS,
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
        self._reads = ShortCalls(self._readers)
        self._batches = Turns(self._submit_all, calls_max=BATCHES_MAX)
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._own_files = OwnFiles()
        self._closed = False

    def __repr__(self) -> str:
        return f"<SqliteTable {self._path!r}, {'closed' if self._closed else 'open'}>"

    def unwrap(self) -> Path | None:
        """The database's file; None in memory."""
        return None if self._path == MEMORY else Path(self._path)

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
        check_key("PartitionKey", partition, op="get")
        check_key("RowKey", row, op="get")
        found = await self._read("get", row, one_row(partition, row))
        return entities(partition, found)[0] if found else None

    async def query(
        self,
        partition: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        check_range(partition, rows)
        bodies = select is None or len(select) > 0
        page = first_page(partition, rows.first, rows.stop, where, bodies=bodies, rows_max=self._page_rows)
        while True:
            found = await self._read("query", partition, page)
            read = entities(partition, found, select)
            if len(found) < self._page_rows:
                yield LastPage(read)
                return
            yield read
            page = page_after(found, page)

    def pushed(self, partition: str, rows: RowRange, where: Condition | None) -> Pushed:
        return pushed(partition, rows, where)

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        check_batch(partition, operations)
        self._check_open("submit", partition)
        try:
            stamp = await self._batches.do(self._writer, Batch(partition, tuple(operations)))
        except sqlite3.Error as error:
            raise translated(error, self._path, "submit", partition) from error
        written, gone = Written(str(stamp), stamp), Written(None, None)
        return [gone if isinstance(operation, Delete) else written for operation in operations]

    async def close(self) -> None:
        """Finish what was begun, then let go of threads and files. May be called twice. Cancelled, it does so first."""
        if self._closed:
            return
        self._closed = True
        done = asyncio.get_running_loop().run_in_executor(self._writer, self._let_go)
        self._writer.shutdown(wait=False)  # takes no more work, and ends after what it has
        try:
            await waited_out(done)
        finally:
            self._writer.shutdown()

    async def _run(
        self, threads: ThreadPoolExecutor, op: str, key: str, work: Callable[..., _T], *arguments: object
    ) -> _T:
        self._check_open(op, key)
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)
        except (sqlite3.Error, OSError) as error:
            raise translated(error, self._path, op, key) from error

    async def _read(self, op: str, key: str, statement: Statement) -> Found:
        """Reads of one moment share a thread's turn, as long as they are quick: those of all shards, say."""
        self._check_open(op, key)
        try:
            return await self._reads.run(partial(self._select, statement))
        except (sqlite3.Error, OSError) as error:
            raise translated(error, self._path, op, key) from error
        except RuntimeError:  # its turn had not come, and the threads take no more work
            self._check_open(op, key)
            raise

    def _check_open(self, op: str, key: str) -> None:
        if self._closed:
            raise InvalidError("the table is closed", op=op, key=key, kind="invalid.closed")

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
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            self._check_version(connection)
        except BaseException:
            connection.close()
            raise
        self._hold()
        return connection

    def _hold(self) -> None:
        if self._path != MEMORY:
            self._own_files.hold(Path(self._path))

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise InvalidError(f"{self._path} was written by a newer blobcat", op="open", kind="invalid.newer-schema")

    def _create(self) -> None:
        if self._path != MEMORY:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = self._connection("rwc")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._use_log(connection)
        with _transaction(connection, "create", ""):
            for statement in SCHEMA:
                connection.execute(statement)
        self._hold()  # with the log, by now

    def _use_log(self, connection: sqlite3.Connection) -> None:
        """Turn on the write-ahead log: the one step at which SQLite does not wait for others by itself."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _drop(self) -> None:
        connection = self._connection()
        with _transaction(connection, "drop", ""):
            connection.execute(DROP)

    def _select(self, statement: Statement) -> Found:
        return self._connection().execute(*statement).fetchall()

    def _submit_all(self, calls: Sequence[Call[Batch, int]]) -> None:
        """Several batches by one transaction. Where one of them brings it down, each is tried again alone."""
        try:
            self._submit_together(calls)
        except Exception as error:
            if len(calls) == 1 or isinstance(error, OutcomeUnknownError) or is_busy(error):
                raise
            for call in calls:
                self._submit_alone(call)

    def _submit_alone(self, call: Call[Batch, int]) -> None:
        try:
            self._submit_together([call])
        except Exception as error:  # noqa: BLE001 — whatever it is, it is this one's
            call.fail(error)

    def _submit_together(self, calls: Sequence[Call[Batch, int]]) -> None:
        connection = self._connection()
        with _transaction(connection, "submit", calls[0].request.partition):
            stamps = [self._apply(connection, call.request) if call.wanted else 0 for call in calls]
        for call, stamp in zip(calls, stamps, strict=True):
            call.succeed(stamp)

    def _apply(self, connection: sqlite3.Connection, batch: Batch) -> int:
        """Returns the stamp of its rows. Raises: RefusedError, TooLargeError."""
        stamp = tick(connection, self._clock() // 1000)
        apply(connection, batch.partition, batch.operations, stamp)
        return stamp

    def _let_go(self) -> None:
        if self._readers is not self._writer:
            self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._own_files.let_go()


@contextmanager
def _transaction(connection: sqlite3.Connection, op: str, key: str) -> Iterator[None]:
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
        if code(error) in NOT_COMMITTED:
            raise
        raise OutcomeUnknownError(f"{op}: the commit failed: {error}", op=op, key=key) from error
