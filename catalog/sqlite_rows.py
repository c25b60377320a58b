"""How SqliteTable keeps rows: the schema, keys and values as stored, and the SQL of each operation.

It knows one connection, inside a transaction that its caller opens and ends. It knows no threads and no files.

A row is `(partition, row, stamp, body)`. `stamp` is the database's own clock: microseconds, taken once for each batch
and kept in the same transaction, so it never repeats and never runs backwards, whatever the machine's clock does. It is
that clock's time; while that is behind the last stamp, since it was put back, stamps go on from there, a little slower
than time passes: so ages pass nevertheless, and a small lead is lost again. It is both the row's timestamp and, as
text, its etag; a dropped table leaves it behind.

Keys are blobs in CESU-8, whose bytes sort as UTF-16 units do. Values are one JSON object, which keeps 5.0 apart from 5
and every bit of a number.
"""

import json
import re
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

import orjson

from .errors import IntegrityError
from .filters import Condition
from .keys import RowRange
from .literals import Literal_
from .pushdown import Pushed, Service, left_open, pushable, sql
from .rows import Entity, Value, Values, check_values
from .table import (
    ANY_ETAG,
    Delete,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
)

VERSION: Final = 1
PAGE_BYTES: Final = 8192  # rows of a WITHOUT ROWID table spill to overflow pages at a quarter of this
SCHEMA: Final = (
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
LEAD: Final = """
    CREATE TABLE IF NOT EXISTS lead (
        id INTEGER PRIMARY KEY CHECK (id = 1), stamp INTEGER NOT NULL, now INTEGER NOT NULL
    )
"""
"""The machine's time at a stamp that was ahead of it. Made when first needed: so it takes no new VERSION."""
CATCHING_UP: Final = 100  # of the time that passes, one part less
DROP: Final = "DROP TABLE IF EXISTS entities"
SERVICE: Final = Service("sql", comparisons_max=200)
"""Well inside SQLite's default limits on variables and on the depth of an expression."""

Found = list[tuple[bytes, int, str]]
Statement = tuple[str, list[Literal_ | bytes]]

_WHERE: Final = " WHERE "
_ROW: Final = "partition = ? AND row = ?"
_ROW_AT: Final = f"{_ROW} AND CAST(stamp AS TEXT) = ?"


def tick(connection: sqlite3.Connection, now: int) -> int:
    """The stamp of the batch under way; `now` is the machine's time."""
    (last,) = connection.execute("SELECT stamp FROM clock").fetchone()
    stamp = now if now > last else _ahead(connection, int(last), now)
    connection.execute("UPDATE clock SET stamp = ?", (stamp,))
    return stamp


def _ahead(connection: sqlite3.Connection, last: int, now: int) -> int:
    """The stamp after one that the machine's clock has not reached. A blobcat that knows no LEAD only counts on."""
    connection.execute(LEAD)
    found = connection.execute("SELECT now FROM lead WHERE stamp = ?", (last,)).fetchone()
    passed = now - int(found[0]) if found else 0
    stamp = last + max(1, passed - passed // CATCHING_UP)
    connection.execute("INSERT OR REPLACE INTO lead VALUES (1, ?, ?)", (stamp, now))
    return stamp


def apply(connection: sqlite3.Connection, partition: str, operations: Sequence[Operation], stamp: int) -> None:
    """Carry the operations out. Raises: RefusedError, TooLargeError; the caller then rolls back."""
    stored = to_stored(partition)
    for index, operation in enumerate(operations):
        if not _applied(connection, (stored, to_stored(operation.row)), operation, stamp):
            _refuse(connection, (stored, to_stored(operation.row)), operation, index)


def _applied(connection: sqlite3.Connection, key: tuple[bytes, bytes], operation: Operation, stamp: int) -> bool:
    """Whether the operation's condition held; then it is done."""
    match operation:
        case Insert(_, values):
            text = "INSERT INTO entities VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
            return connection.execute(text, (*key, stamp, _json(values))).rowcount == 1
        case Replace(_, values, etag):
            where, parameters = _which(key, etag)
            text = f"UPDATE entities SET stamp = ?, body = ? WHERE {where}"
            return connection.execute(text, (stamp, _json(values), *parameters)).rowcount == 1
        case Merge(row, values, etag):
            where, parameters = _which(key, etag)
            found = connection.execute(f"SELECT body FROM entities WHERE {where}", parameters).fetchone()
            if found is None:
                return False
            merged = {**_bodies([found[0]], row)[0], **values}
            check_values(from_stored(key[0]), row, merged)
            text = f"UPDATE entities SET stamp = ?, body = ? WHERE {_ROW}"
            return connection.execute(text, (stamp, _json(merged), *key)).rowcount == 1
        case Delete(_, etag):
            where, parameters = _which(key, etag)
            return connection.execute(f"DELETE FROM entities WHERE {where}", parameters).rowcount == 1


def _refuse(connection: sqlite3.Connection, key: tuple[bytes, bytes], operation: Operation, index: int) -> NoReturn:
    there = connection.execute(f"SELECT 1 FROM entities WHERE {_ROW}", key).fetchone() is not None
    why = "is already there" if isinstance(operation, Insert) else "has another etag" if there else "is not there"
    raise RefusedError(f"operation {index}: the row {why}", index=index, key=operation.row)


def _which(key: tuple[bytes, bytes], etag: str) -> tuple[str, Sequence[bytes | str]]:
    return (_ROW, key) if etag == ANY_ETAG else (_ROW_AT, (*key, etag))


def one_row(partition: str, row: str) -> Statement:
    """The query for one row."""
    return f"SELECT row, stamp, body FROM entities WHERE {_ROW}", [to_stored(partition), to_stored(row)]


def page_after(found: Found, statement: Statement) -> Statement:
    """The query for what comes after the rows that a query found."""
    text, (partition, _, *parameters) = statement
    return text.replace("row >= ?", "row > ?"), [partition, found[-1][0], *parameters]


def first_page(
    partition: str, first: str, stop: str, where: Condition | None, *, bodies: bool, rows_max: int
) -> Statement:
    """The query for the first rows of a range."""
    body = "body" if bodies else "'{}'"
    condition, literals = _narrowing(where)
    text = f"SELECT row, stamp, {body} FROM entities{_WHERE}partition = ? AND row >= ? AND row < ?{condition}"
    return f"{text} ORDER BY row LIMIT {rows_max}", [to_stored(partition), to_stored(first), to_stored(stop), *literals]


@lru_cache(maxsize=256)
def _narrowing(where: Condition | None) -> tuple[str, Sequence[Literal_]]:
    """What is said of a condition, and its parameters. Found once for all shards."""
    weaker = pushable(where, SERVICE)
    if weaker is None:
        return "", ()
    condition, literals = sql(weaker, "body")
    return rf" AND ({condition} OR instr(body, '\u0000'))", literals  # SQLite's JSON ends a string at its first NUL


def pushed(partition: str, rows: RowRange, where: Condition | None) -> Pushed:
    """What the query for a range says, its parameters filled in, and what it leaves open."""
    text, parameters = first_page(partition, rows.first, rows.stop, where, bodies=True, rows_max=0)
    condition = text[text.index(_WHERE) + len(_WHERE) : text.rindex(" ORDER BY")]
    given = iter(parameters)
    return Pushed(re.sub(r"\?", lambda _: _spelled(next(given)), condition), left_open(where, SERVICE))


def _spelled(parameter: Literal_ | bytes) -> str:
    if isinstance(parameter, bytes):
        parameter = from_stored(parameter)
    return "'" + parameter.replace("'", "''") + "'" if isinstance(parameter, str) else repr(parameter)


def entities(partition: str, found: Found, select: Sequence[str] | None = None) -> list[Entity]:
    """What was found, as the port gives it. Raises: IntegrityError."""
    if not found:
        return []  # as in most shards, where few rows are sought
    bodies = _bodies([body for _, _, body in found], partition)
    if select:
        wanted = frozenset(select)
        for values in bodies:
            for name in values.keys() - wanted:
                del values[name]
    return [
        Entity(partition, from_stored(row), values, str(stamp), stamp)
        for (row, stamp, _), values in zip(found, bodies, strict=True)
    ]


def _json(values: Values) -> str:
    try:
        return orjson.dumps(values).decode()
    except TypeError:  # a subclass of float, such as NumPy's
        return json.dumps(values, separators=(",", ":"))


def _bodies(texts: Sequence[str], key: str) -> list[dict[str, Value]]:
    """Parse many at once, which is several times faster than one by one."""
    try:
        text = f"[{','.join(texts)}]"
        try:
            bodies: Any = orjson.loads(text)
        except ValueError:  # lone surrogates; NaN and the like, which only others can have written
            bodies = json.loads(text)
    except (ValueError, TypeError) as error:
        raise IntegrityError("a stored row is damaged", op="read", key=key, kind="integrity.row") from error
    if len(bodies) != len(texts) or not all(type(body) is dict for body in bodies):
        raise IntegrityError("a stored row is damaged", op="read", key=key, kind="integrity.row")
    return list(bodies)


def to_stored(key: str) -> bytes:
    """A key in CESU-8: UTF-8, but characters beyond the BMP as two surrogates."""
    if key.isascii() or max(key) < "\U00010000":
        return key.encode()
    units = key.encode("utf-16-le")
    halves = (chr(units[at] | units[at + 1] << 8) for at in range(0, len(units), 2))
    return "".join(halves).encode("utf-8", "surrogatepass")


def from_stored(key: bytes) -> str:
    """The key that `to_stored` was given."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass").decode("utf-16-le")
