"""SQL over the files of a query: one SELECT from the table `files`, answered by DuckDB.

DuckDB runs in a thread of its own, in memory, and knows nothing but that table: no file, no network, no extension and
no variable of the program, whatever the text says; and its configuration is locked. It asks for the columns that it
needs, and only those are read. Batches are made on the loop as DuckDB takes them, so none pile up.

Fields are columns under their names. A key of metadata is a column `meta_KEY`; those that the text mentions are the
ones that there are. DuckDB says itself which of them it cannot do without, so that `… as meta_sum` stays a name of the
caller's. Their types are what `types` says, else those of the first files.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from .arguments import check_whole
from .arrow import Types, checked_types, column_name, imported, typed_schema
from .arrow_dataset import scannable
from .errors import InvalidError, TooLargeError
from .literals import META
from .metadata import is_key
from .outflow import Outflow
from .selection import NAMES, selected

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY_BYTES: Final = 1 << 30
_LEAST_BYTES: Final = 16 << 20
_INTERRUPTED_EVERY_S: Final = 0.05

_PREFIX: Final = column_name(META)
_EXPLAIN: Final = "explain "
_UNFOLDED: Final = "pragma disable_optimizer"
_FOLDED: Final = "pragma enable_optimizer"
_NO_COLUMN: Final = "COLUMN_NOT_FOUND"

Batches = Callable[[Sequence[str], Types], "AsyncGenerator[pa.RecordBatch, None]"]
"""Of these fields, with these types of those of metadata."""
Guessed = Callable[[Sequence[str]], Awaitable[Types]]
"""The types that these fields of metadata have, by what the first files say."""


def check_sql(text: str, types: Types | None, memory_bytes: int) -> None:
    """Raises: InvalidError for what cannot be asked; what the text says, DuckDB must see."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidError(f"sql is the text of one SELECT, not {text!r}", op="sql")
    checked_types("sql", types)
    check_whole("sql", "memory_bytes", memory_bytes, least=_LEAST_BYTES)


class Sql:
    """One statement, and where its table comes from. Constructing it asks nobody."""

    def __init__(self, text: str, types: Types | None, memory_bytes: int, batches: Batches, guessed: Guessed) -> None:
        check_sql(text, types, memory_bytes)
        self._text = text
        self._types = types or {}
        self._memory_bytes = memory_bytes
        self._batches = batches
        self._guessed = guessed
        self._pa: Any = None
        self._duckdb: Any = None
        self._connection: duckdb.DuckDBPyConnection
        self._outflows: list[Outflow[pa.RecordBatch]] = []

    def __repr__(self) -> str:
        return f"<Sql {self._text!r}>"

    async def answer(self) -> "pa.Table":
        """What the statement says. Cancelled, DuckDB is interrupted first, and then it is.

        Raises: InvalidError (with what DuckDB says of the text), TooLargeError (more memory than it may have), and what
        reading the files raises.
        """
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="blobcat-sql")
        try:
            await self._in(thread, self._open)
            with closing(self._connection):
                mentioned = await self._in(thread, self._mentioned)
                unsaid = [name for name in mentioned if name not in self._types]
                types = {**(await self._guessed(unsaid) if unsaid else {}), **self._types}
                known = {name: types[name] for name in mentioned}
                return await self._in(thread, lambda: self._executed(known, loop))
        finally:
            for outflow in self._outflows:
                await outflow.end()
            thread.shutdown()

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], Any]) -> Any:
        """What comes of it in the thread. Cancelled, it sees to it that the thread has nothing left to wait for."""
        running = asyncio.get_running_loop().run_in_executor(thread, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():
                if self._pa is not None:
                    self._connection.interrupt()
                for outflow in list(self._outflows):
                    await outflow.end()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([running], timeout=_INTERRUPTED_EVERY_S)
            if not running.cancelled():
                running.exception()  # the cancellation is what counts
            raise

    # --- In the thread -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """A database that knows nothing and may do nothing. Raises: InvalidError where there is no DuckDB."""
        pa, self._duckdb = imported("sql"), _imported()
        config = {
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "temp_directory": "",
            "memory_limit": f"{self._memory_bytes}B",
            "errors_as_json": True,
        }
        self._connection = self._duckdb.connect(":memory:", config=config)
        self._connection.execute("set TimeZone = 'UTC'")
        self._pa = pa

    def _mentioned(self) -> Sequence[str]:
        """The fields of metadata that the text may mean, once it is sure to be one SELECT."""
        try:
            statements = self._connection.extract_statements(self._text)
        except self._duckdb.Error as exc:
            raise self._refused(exc) from exc
        if len(statements) != 1 or statements[0].type != self._duckdb.StatementType.SELECT:
            raise InvalidError("sql takes one SELECT, and nothing else", op="sql", kind="invalid.sql")
        found: dict[str, str] = {}
        for name in self._identifiers():
            key = name[len(_PREFIX) :]
            if not name.startswith(_PREFIX) or not is_key(key):
                continue
            if (other := found.setdefault(key.lower(), key)) != key:
                message = f"SQL cannot tell {_PREFIX}{key} from {_PREFIX}{other}: use metadata['{key}']"
                raise InvalidError(message, op="sql", kind="invalid.sql")
        return [META + key for key in found.values()]

    def _identifiers(self) -> Iterator[str]:
        """What the text calls by name."""
        tokens = self._duckdb.tokenize(self._text)
        text = self._text.encode()  # its offsets are of bytes
        for index, (start, kind) in enumerate(tokens):
            if kind == self._duckdb.token_type.identifier:
                end = tokens[index + 1][0] if index + 1 < len(tokens) else len(text)
                token = text[start:end].decode().strip()
                yield token[1:-1].replace('""', '"') if token.startswith('"') else token

    def _executed(self, known: Types, loop: asyncio.AbstractEventLoop) -> "pa.Table":
        try:
            self._bind(known, loop)
            self._connection.execute(_FOLDED)
            self._connection.execute("set lock_configuration = true")
            return self._told(self._connection.sql(self._text).to_arrow_table())
        except Exception as exc:
            errors = [outflow.error for outflow in self._outflows if outflow.error is not None]
            if not errors and isinstance(exc, self._duckdb.Error):
                raise self._refused(exc) from exc
            if not errors:
                raise
        raise errors[0]  # DuckDB tells it in its own words: this is what was raised, and its cause is its own

    def _bind(self, known: Types, loop: asyncio.AbstractEventLoop) -> None:
        """Register the table, with those fields of metadata that DuckDB finds no other meaning for."""
        taken: dict[str, type] = {}
        while True:
            self._connection.register("files", self._table(taken, loop))
            try:
                self._connection.execute(_UNFOLDED)  # else what is constant would be made, and printed
                self._connection.execute(_EXPLAIN + self._text)
            except self._duckdb.Error as exc:
                told = _parsed(exc)
                left = {name: kind for name, kind in known.items() if name not in taken}
                missing = str(told.get("name", "")).lower() if told.get("error_subtype") == _NO_COLUMN else ""
                named = {name: kind for name, kind in left.items() if column_name(name).lower() == missing}
                if not left:
                    raise self._refused(exc, before=len(_EXPLAIN)) from exc
                taken |= named or left
            else:
                return

    def _table(self, types: Types, loop: asyncio.AbstractEventLoop) -> Any:
        """The table `files`, as DuckDB scans one of Arrow: it tells which columns it wants, and of which rows."""
        fields = selected("sql", [*NAMES, *types])
        names = {column_name(field.name): field.name for field in fields}

        def batches(columns: Sequence[str]) -> Outflow["pa.RecordBatch"]:
            read = [names[column] for column in columns]
            outflow = Outflow(self._batches(read, {name: types[name] for name in read if name in types}), loop)
            self._outflows.append(outflow)
            return outflow

        return scannable(typed_schema(fields, types), batches)

    def _told(self, table: "pa.Table") -> "pa.Table":
        """With sums of whole numbers as such, where they fit: DuckDB makes decimals of them. No name stands twice."""
        pa, names = self._pa, list[str]()
        for name in table.column_names:
            again = (f"{name}_{number}" for number in count(1))
            names.append(name if name not in names else next(other for other in again if other not in names))
        table = table.rename_columns(names)
        for index, field in enumerate(table.schema):
            if pa.types.is_decimal(field.type) and field.type.scale == 0:
                with suppress(pa.ArrowInvalid):
                    whole = table.column(index).cast(pa.int64())
                    table = table.set_column(index, pa.field(field.name, pa.int64()), whole)
        return table

    def _refused(self, exc: Exception, *, before: int = 0) -> InvalidError:
        told = _parsed(exc)
        said = " ".join(str(told.get("exception_message", exc)).partition("\n")[0].split())
        if isinstance(exc, self._duckdb.OutOfMemoryException):
            message = f"sql: this takes more than {self._memory_bytes:,} bytes of memory: give it more memory_bytes"
            return TooLargeError(message, op="sql", kind="too-large.memory")
        return InvalidError(f"sql: {said}{self._place(told, before)}", op="sql", kind="invalid.sql")

    def _place(self, told: Mapping[str, Any], before: int) -> str:
        """Where in the text, as people count."""
        position = str(told.get("position", ""))
        if not position.isdecimal():
            return ""
        above = self._text.encode()[: int(position) - before].decode(errors="ignore")
        lines = above.split("\n")
        return f" (line {len(lines)}, column {len(lines[-1]) + 1})"


def _imported() -> Any:
    try:
        import duckdb
    except ImportError as exc:
        message = "SQL needs duckdb, which is not installed: pip install 'blobcat[sql]'"
        raise InvalidError(message, op="sql", kind="invalid.missing-extra") from exc
    return duckdb


def _parsed(exc: Exception) -> dict[str, Any]:
    """An error of DuckDB, taken apart; empty where it cannot be."""
    _, _, text = str(exc).partition(": ")
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
