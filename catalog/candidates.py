"""The versions that may have to go, gathered by the content that they share, in a temporary file.

Memory is not what limits how many there are. The file is SQLite's own kind of temporary database: it has no name, and
is gone with its connection, also where the process is killed. What is needed of a version is kept, and of who else
refers to its blob: copies, moves, restores and changes of metadata share it with the put that wrote it.
"""

import sqlite3
from asyncio import Lock
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import groupby
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from .entities import FileVersion, VersionRow
from .retention import Sharing, Verdict
from .sqlite_errors import translated
from .threads import to_the_end
from .times import EPOCH

T = TypeVar("T")

ADOPTED: Final = "adopted"
WRITTEN_ELSEWHERE: Final = "the version that wrote it"

_TABLE: Final = """
CREATE TABLE row (blob TEXT, goes INT, path TEXT, version INT, newest INT, kind TEXT, op TEXT, size INT, etag TEXT,
                  purging TEXT)
"""
_INSERT: Final = "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INDEX: Final = "CREATE INDEX by_blob ON row (blob, goes)"
_SELECT: Final = "SELECT * FROM row WHERE blob IN (SELECT blob FROM row WHERE goes) ORDER BY blob, goes"


class Candidates:
    """Filled with verdicts first, then asked for what shares a blob."""

    def __init__(self, volume: str, threads: Executor) -> None:
        self._volume = volume
        self._threads = threads
        self._alone = Lock()
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)

    async def __aenter__(self) -> Self:
        await self._run(lambda: self._db.executescript(f"PRAGMA journal_mode = OFF; {_TABLE}").close())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._run(self._db.close)

    async def add(self, verdicts: Sequence[Verdict]) -> None:
        """Note what goes, and what else may share content: a put that stays is missed among those who go."""
        rows = [_values(each) for each in verdicts if each.goes or (each.row.file.kind != "put" and _refers(each.row))]
        if rows:
            await self._run(lambda: self._db.executemany(_INSERT, rows).close())

    async def sharing(self, rows_max: int) -> AsyncGenerator[list[Sharing], None]:
        """All that share a blob which some want to go: in lists of about so many versions, no blob in two of them."""
        await self._run(lambda: self._db.execute(_INDEX).close())
        groups = await self._run(lambda: self._groups(self._db.execute(_SELECT)))
        while batch := await self._run(lambda: _batch(groups, rows_max)):
            yield batch

    def _groups(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[Sharing]:
        for _, group in groupby(rows, key=lambda row: row[0]):
            shared = list(group)
            going = [self._row(row) for row in shared if row[1]]
            yield Sharing(going, {row[2]: row[4] for row in shared if row[1]}, _kept_by(shared))

    def _row(self, row: tuple[Any, ...]) -> VersionRow:
        blob, _, path, version, _, kind, op, size, etag, purging = row
        file = FileVersion(
            self._volume, path, version, kind, op, size, "", None, "", {}, EPOCH, None, "", None, "", blob, "", None
        )
        return VersionRow(file, etag, purging)

    async def _run(self, work: Callable[[], T]) -> T:
        """In a thread, one at a time, and to the end: nothing is closed under who works with it.

        No cursor gets out of it: who drops one resets a statement, that another thread may be using by then.
        """
        async with self._alone:
            with _translated():
                return await to_the_end(self._threads, work)


def _values(verdict: Verdict) -> tuple[object, ...]:
    row, file = verdict.row, verdict.row.file
    place = (file.path, file.version, verdict.newest)
    return (file.blob, verdict.goes, *place, file.kind, file.etag, file.size, row.etag, row.purging)


def _refers(row: VersionRow) -> bool:
    return bool(row.file.blob) and not row.purged


def _kept_by(shared: Sequence[tuple[Any, ...]]) -> str:
    """Why the content stays, whatever those who go want; empty where nothing is known that keeps it."""
    kinds = {row[5] for row in shared}
    stays = next((f"{row[2]}@{row[3]}" for row in shared if not row[1]), "")
    return ADOPTED if "adopt" in kinds else stays or ("" if "put" in kinds else WRITTEN_ELSEWHERE)


def _batch(groups: Iterator[Sharing], rows_max: int) -> list[Sharing]:
    batch, rows = list[Sharing](), 0
    while rows < rows_max and (sharing := next(groups, None)):
        batch.append(sharing)
        rows += len(sharing.rows)
    return batch


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise translated(exc, "the temporary folder", "purge", "") from exc
