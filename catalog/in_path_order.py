"""Rows in order of path, however they come: in bounded memory.

Some thousand rows are sorted here. Where there are more, all of them go into a temporary file, SQLite's own kind: it
has no name, and is gone with its connection, also where the process is killed.
"""

import json
import sqlite3
from asyncio import Lock
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from .keys import encode
from .rows import Entity
from .sqlite_errors import translated
from .threads import to_the_end

T = TypeVar("T")

ROWS_IN_MEMORY: Final = 4_000
_AT_A_TIME: Final = 256

_TABLE: Final = """
CREATE TABLE found (path TEXT PRIMARY KEY, version INT, part TEXT, row TEXT, body TEXT, etag TEXT, stamp INT)
WITHOUT ROWID
"""
_INSERT: Final = """
INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
version = excluded.version, part = excluded.part, row = excluded.row, body = excluded.body, etag = excluded.etag,
stamp = excluded.stamp WHERE excluded.version >= version
"""
_SELECT: Final = "SELECT path, part, row, body, etag, stamp FROM found WHERE path > ? ORDER BY path LIMIT ?"


class InPathOrder:
    """Filled first, then emptied. Of a path that comes twice, the newer version stays."""

    def __init__(self, threads: Executor, *, rows_in_memory: int = ROWS_IN_MEMORY) -> None:
        self._threads = threads
        self._rows_in_memory = rows_in_memory
        self._rows: dict[str, Entity] = {}
        self._adding = Lock()
        self._alone = Lock()
        self._db: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._db is not None:
            await self._run(self._db.close)

    async def add(self, rows: Sequence[Entity]) -> None:
        """More of them; `path` and `version` were read of each. Who adds while others' rows go to disk waits for it."""
        async with self._adding:
            for row in rows:
                key = encode(str(row.values["path"]))
                known = self._rows.get(key)
                if known is None or int(known.values["version"]) <= int(row.values["version"]):
                    self._rows[key] = row
            if len(self._rows) > self._rows_in_memory:
                await self._spill()

    async def runs(self) -> AsyncGenerator[Sequence[Entity], None]:
        """All of them, in order."""
        if self._db is None:
            rows = [self._rows[key] for key in sorted(self._rows)]
            for start in range(0, len(rows), _AT_A_TIME):
                yield rows[start : start + _AT_A_TIME]
            return
        await self._spill()
        last = ""
        while found := await self._run(partial(self._page, last)):
            last = found[-1][0]
            yield [Entity(part, row, json.loads(body), etag, stamp) for _, part, row, body, etag, stamp in found]

    async def _spill(self) -> None:
        rows, self._rows = self._rows, {}
        await self._run(partial(self._insert, rows))

    async def _run(self, work: Callable[[], T]) -> T:
        """In a thread, one at a time, and to the end: nothing is closed under who works with it."""
        async with self._alone:
            try:
                return await to_the_end(self._threads, work)
            except sqlite3.Error as exc:
                raise translated(exc, "the temporary folder", "query", "") from exc

    # What follows runs in a thread.

    def _insert(self, rows: Mapping[str, Entity]) -> None:
        if self._db is None:
            self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            self._db.executescript(f"PRAGMA journal_mode = OFF; {_TABLE}").close()
        values = (
            (key, row.values["version"], row.partition, row.row, _body(row), row.etag, row.timestamp)
            for key, row in rows.items()
        )
        self._db.execute("BEGIN")  # one transaction, not one for each
        self._db.executemany(_INSERT, values).close()
        self._db.execute("COMMIT")

    def _page(self, last: str) -> list[tuple[Any, ...]]:
        assert self._db  # noqa: S101 — something was spilled
        return self._db.execute(_SELECT, (last, _AT_A_TIME)).fetchall()


def _body(row: Entity) -> str:
    return json.dumps(dict(row.values), separators=(",", ":"))
