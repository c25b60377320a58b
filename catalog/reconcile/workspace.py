"""A temporary database of what a scan has read. What the two sides do not agree about is asked of it, in SQL.

Each part of a scan (a listing, a shard) is a file of its own, that has its name only when it is complete: a part that
is there need not be read again, whoever has made it. The parts are put together in one database, on disk, so memory
does not grow with the catalog. Joins are by a blob's name or by a path, each in its one spelling, and never by order
(R2). What they find are suspicions: the two sides were not read at one moment.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from .facts import BLOBS, HEADS, INTENTS, VERSIONS, Facts
from .index_facts import ENTRIES, THERE

TABLES: Final = {
    "blobs": BLOBS,
    "versions": VERSIONS,
    "heads": HEADS,
    "intents": INTENTS,
    "suspects": "path",
    "entries": ENTRIES,
}
_INDEXES: Final = (
    "CREATE INDEX blob_by_name ON blobs(name)",
    "CREATE INDEX version_by_blob ON versions(blob)",
    "CREATE INDEX version_by_path ON versions(path, version)",
    "CREATE INDEX head_by_path ON heads(path)",
    f"CREATE INDEX entry_by_path ON entries({ENTRIES})",
)
ROWS_AT_A_TIME: Final = 20
"""In one statement: half the work of one by one, and fewer turns of Python's lock."""
_CACHE_KIB: Final = 4 << 10
_PART_CACHE_KIB: Final = 256
"""Rows are only added, and many parts are in the making at a time."""

_HEADERS_DISAGREE: Final = """
    OR (b.sha256 <> '' AND v.digest <> '' AND 'sha256:' || b.sha256 <> v.digest)
    OR (b.md5 <> '' AND v.md5 <> '' AND b.md5 <> v.md5)
    OR (v.kind = 'put' AND b.op <> v.op)"""

_BLOBS: Final = """
    SELECT v.blob FROM versions v LEFT JOIN blobs b ON b.name = v.blob
      WHERE v.blob <> '' AND NOT v.purged
        AND (b.name IS NULL OR b.etag <> v.etag OR b.size <> v.size OR v.purging <> ''{headers})
    UNION SELECT b.name FROM blobs b LEFT JOIN versions v ON v.blob = b.name AND NOT v.purged WHERE v.blob IS NULL
    UNION SELECT h.blob FROM heads h LEFT JOIN versions v ON v.path = h.path AND v.version = h.version
      WHERE h.blob <> '' AND (v.path IS NULL OR v.etag <> h.etag)
    ORDER BY 1"""

_PATHS: Final = """
    SELECT path FROM suspects
    UNION SELECT g.path FROM
        (SELECT path, count(*) AS rows, max(version) AS newest FROM versions GROUP BY path) g
        LEFT JOIN heads h ON h.path = g.path
      WHERE h.path IS NULL OR h.version <> g.newest OR g.rows <> g.newest
    UNION SELECT h.path FROM heads h LEFT JOIN versions v ON v.path = h.path AND v.version = h.version
      WHERE v.path IS NULL OR v.op <> h.op OR v.chain <> h.chain OR v.blob <> h.blob
        OR v.size <> h.size OR v.digest <> h.digest OR v.record <> h.record
    UNION SELECT v.path FROM versions v JOIN blobs b ON b.name = v.blob AND b.etag = v.etag
      WHERE b.size <> v.size AND NOT v.purged
    UNION SELECT path FROM heads WHERE moving <> ''
    ORDER BY 1"""


class Part:
    """A part of a scan in the making: a file without its name, until `complete`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._making = path.with_suffix(f".{uuid4().hex}.making")  # another run may be reading the same
        self._database = sqlite3.connect(self._making, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_PART_CACHE_KIB}")
        _make_tables(self._database)
        self._database.execute("CREATE TABLE certificate (text)")
        self._database.execute("BEGIN")

    def __repr__(self) -> str:
        return f"<Part {self._path.name}>"

    def add(self, table: str, facts: Sequence[Facts]) -> None:
        """Keep what was read."""
        if not facts:
            return
        row = f"({', '.join('?' * len(facts[0]))})"
        whole = len(facts) - len(facts) % ROWS_AT_A_TIME
        many = f"INSERT INTO {table} VALUES {', '.join([row] * ROWS_AT_A_TIME)}"  # noqa: S608 — names of our own
        for start in range(0, whole, ROWS_AT_A_TIME):
            self._database.execute(many, [*chain.from_iterable(facts[start : start + ROWS_AT_A_TIME])])
        self._database.executemany(f"INSERT INTO {table} VALUES {row}", facts[whole:])  # noqa: S608 — the same

    def clear(self) -> None:
        """Forget what was added: it is read again."""
        self._database.execute("ROLLBACK")
        self._database.execute("BEGIN")

    def complete(self, certificate: Mapping[str, Any]) -> None:
        """It was read to its end: from now on it is there."""
        self._database.execute("INSERT INTO certificate VALUES (?)", [json.dumps(certificate, sort_keys=True)])
        self._database.execute("COMMIT")
        self._database.close()
        self._making.replace(self._path)

    def close(self) -> None:
        """Let go of the file; what is not complete is forgotten. May be called twice."""
        self._database.close()
        self._making.unlink(missing_ok=True)


def _make_tables(database: sqlite3.Connection) -> None:
    for name, columns in TABLES.items():
        database.execute(f"CREATE TABLE {name} ({columns})")


def certificate_of(path: Path) -> dict[str, Any] | None:
    """What a complete part says of itself; None for a file that is none."""
    try:
        with closing(sqlite3.connect(_there(path), uri=True)) as database:
            found = json.loads(database.execute("SELECT text FROM certificate").fetchone()[0])
    except (sqlite3.DatabaseError, TypeError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def versions_until(path: Path, time: int) -> int:
    """How many of a complete part's versions were made by then, in microseconds since 1970."""
    with closing(sqlite3.connect(_there(path), uri=True)) as database:
        (n,) = database.execute("SELECT count(*) FROM versions WHERE created <= ?", [time]).fetchone()
        return int(n)


def _there(path: Path) -> str:
    """A database by a name that never makes an empty one."""
    return f"{path.absolute().as_uri()}?mode=rw"


class Workspace:
    """All parts of a scan, put together; to be asked what does not agree. Belongs to one thread at a time."""

    def __init__(self, folder: Path, parts: Sequence[Path]) -> None:
        file = folder / "scan.db"
        file.unlink(missing_ok=True)
        self._database = sqlite3.connect(file.absolute(), isolation_level=None, check_same_thread=False, uri=True)
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "temp_store = FILE"):
            self._database.execute(f"PRAGMA {setting}")
        _make_tables(self._database)
        for part in parts:
            self._take(part)
        for index in _INDEXES:
            self._database.execute(index)

    def __repr__(self) -> str:
        return "<Workspace>"

    def _take(self, part: Path) -> None:
        self._database.execute("ATTACH ? AS part", [_there(part)])
        for name in TABLES:
            self._database.execute(f"INSERT INTO main.{name} SELECT * FROM part.{name}")  # noqa: S608 — our own
        self._database.execute("DETACH part")

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._database.close()

    def suspect_blobs(self, *, headers: bool) -> Iterator[str]:
        """Names of blobs about which the two sides disagree, or about which only one knows; in order of name."""
        yield from self._column(_BLOBS.format(headers=_HEADERS_DISAGREE if headers else ""))

    def suspect_paths(self) -> Iterator[str]:
        """Paths whose rows do not fit together, or that are claimed by a move; in order of path."""
        yield from self._column(_PATHS)

    def suspect_entries(self) -> Iterator[str]:
        """Paths whose heads and rows of indexes do not fit together; in order of path."""
        unpaired = "SELECT path FROM entries GROUP BY path, row, columns HAVING sum(side) <> 0"
        yield from self._column(f"SELECT DISTINCT path FROM ({unpaired}) ORDER BY 1")  # noqa: S608 — our own

    def index_rows(self, path: str) -> list[str]:
        """The rows of indexes that say that they are a path's, in order."""
        query = "SELECT DISTINCT row FROM entries WHERE path = ? AND side = ? ORDER BY 1"
        return [row for (row,) in self._database.execute(query, [path, THERE])]

    def open_ops(self) -> Iterator[str]:
        """Writes under way."""
        yield from self._column("SELECT DISTINCT op FROM intents WHERE state = 'open' ORDER BY 1")

    def users(self, blob: str) -> list[tuple[str, int]]:
        """The versions that refer to a blob, purged ones too."""
        return self._database.execute(
            "SELECT path, version FROM versions WHERE blob = ? UNION SELECT path, version FROM heads WHERE blob = ?"
            " ORDER BY 1, 2",
            [blob, blob],
        ).fetchall()

    def listed(self, blob: str) -> tuple[int, str]:
        """Size and etag of a blob, as the listing told."""
        size, etag = self._database.execute("SELECT size, etag FROM blobs WHERE name = ?", [blob]).fetchone()
        return size, etag

    def users_of_op(self, op: str) -> list[tuple[str, str]]:
        """Where an op's intents are: the path of each, and its state."""
        return self._database.execute("SELECT path, state FROM intents WHERE op = ? ORDER BY 1", [op]).fetchall()

    def contents(self) -> Iterator[str]:
        """Blobs that versions refer to, each once, in order of name."""
        yield from self._column("SELECT DISTINCT blob FROM versions WHERE blob <> '' AND NOT purged ORDER BY 1")

    def wanted(self, prefix: str) -> int:
        """How many blobs whose names begin like this versions refer to."""
        where = "blob <> '' AND NOT purged AND blob >= ? AND blob < ?"
        query = f"SELECT count(DISTINCT blob) FROM versions WHERE {where}"  # noqa: S608 — our own
        (n,) = self._database.execute(query, [prefix, f"{prefix}\U0010ffff"]).fetchone()
        return int(n)

    def agrees(self, blob: str, digest: str, md5: str, size: int) -> bool:
        """Whether all versions that refer to a blob say that its bytes are these."""
        others = self._database.execute(
            "SELECT 1 FROM versions WHERE blob = ? AND NOT purged AND (size <> ? OR (digest <> '' AND digest <> ?)"
            " OR (digest = '' AND md5 <> '' AND md5 <> ?))",
            [blob, size, digest, md5],
        )
        return others.fetchone() is None

    def twins(self, digest: str, size: int, name: str) -> list[str]:
        """Other blobs that ought to have the same bytes."""
        return [
            found
            for (found,) in self._database.execute(
                "SELECT DISTINCT v.blob FROM versions v JOIN blobs b ON b.name = v.blob"
                " WHERE v.digest = ? AND v.size = ? AND v.blob <> ? AND v.etag = b.etag AND v.purging = ''"
                " ORDER BY 1 LIMIT 8",
                [digest, size, name],
            )
        ]

    def count(self, what: str, where: str = "1") -> int:
        """How many rows of a table there are."""
        (n,) = self._database.execute(f"SELECT count(*) FROM {what} WHERE {where}").fetchone()  # noqa: S608 — our own
        return int(n)

    def _column(self, query: str) -> Iterator[Any]:
        for (value,) in self._database.execute(query):
            yield value
