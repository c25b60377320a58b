"""What is SqliteTable's alone: files, processes, threads, damage. What all tables do is in `contracts/test_table`."""

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
)
from catalog.keys import RowRange
from catalog.rows import Entity
from catalog.sqlite_table import SqliteTable, _transaction
from catalog.table import (
    Delete,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
    Written,
)

ROOT = Path(__file__).parents[2]
P = "p"
ALL = RowRange("", "\uffff")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.db"


@pytest.fixture
async def table(file: Path) -> AsyncIterator[SqliteTable]:
    table = SqliteTable(file)
    await table.create()
    yield table
    await table.close()


async def submit_one(table: SqliteTable, operation: Operation) -> Written:
    (written,) = await table.submit(P, [operation])
    return written


async def read(table: SqliteTable) -> list[Entity]:
    return [entity async for page in table.query(P, ALL) for entity in page]


def sql(file: Path, text: str) -> list[tuple[object, ...]]:
    """Go behind the table's back."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return connection.execute(text).fetchall()


async def test_what_others_wrote_into_a_row_is_read_if_it_is_json_at_all(table: SqliteTable, file: Path) -> None:
    """Else nobody could find, and mend, what is wrong with it."""
    await submit_one(table, Insert("r", {"n": 1}))
    sql(file, r"""UPDATE entities SET body = '{"n": 1, "text": "\ud800", "number": NaN}'""")
    (entity,) = await read(table)
    assert entity.values["text"] == "\ud800"
    assert entity.values["n"] == 1


# Processes.

HEAD = """
import asyncio, sys
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert, RefusedError, Replace
"""

COUNTER = f"""{HEAD}
async def main(file, steps):
    table = SqliteTable(file)
    await table.create()
    try:
        await table.submit("p", [Insert("counter", {{"n": 0}})])
    except RefusedError:
        pass
    while steps:
        row = await table.get("p", "counter")
        try:
            (written,) = await table.submit("p", [Replace("counter", {{"n": row.values["n"] + 1}}, row.etag)])
        except RefusedError:
            continue
        print(written.etag)
        steps -= 1
    await table.close()

asyncio.run(main(sys.argv[1], 60))
"""

WRITER = f"""{HEAD}
async def main(file, first):
    table = SqliteTable(file)
    await table.create()
    for number in range(first, first + 1_000_000):
        await table.submit("p", [Insert(f"{{number:08}}-{{part:02}}", {{}}) for part in range(20)])
        print(number, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def start(program: str, *arguments: object) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *map(str, arguments), stdout=PIPE, stderr=PIPE, cwd=ROOT
    )


async def test_processes_that_race_lose_no_update_and_repeat_no_etag(file: Path) -> None:
    processes = [await start(COUNTER, file) for _ in range(4)]
    answers = [await process.communicate() for process in processes]
    assert [errors.decode() for _, errors in answers] == [""] * 4
    table = SqliteTable(file)
    (counter,) = await read(table)
    await table.close()
    etags = [etag for output, _ in answers for etag in output.split()]
    assert (counter.values, len(etags), len(set(etags))) == ({"n": 240}, 240, 240)


async def test_a_killed_writer_leaves_whole_transactions_and_all_it_acknowledged(file: Path) -> None:
    acknowledged: list[int] = []
    for answers in (1, 2, 5, 17, 40):
        process = await start(WRITER, file, len(acknowledged) + 1000 * answers)
        assert process.stdout is not None
        acknowledged += [int(await process.stdout.readline()) for _ in range(answers)]
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        acknowledged += map(int, rest.splitlines())
    table = SqliteTable(file)
    parts: dict[int, int] = {}
    for entity in await read(table):
        number = int(entity.row.partition("-")[0])
        parts[number] = parts.get(number, 0) + 1
    await table.close()
    assert set(parts.values()) == {20}
    assert set(acknowledged) <= set(parts)


async def test_tables_that_are_made_at_the_same_time_are_one(file: Path) -> None:
    tables = [SqliteTable(file) for _ in range(8)]
    await asyncio.gather(*(table.create() for table in tables))
    for number, table in enumerate(tables):
        await submit_one(table, Insert(f"{number}", {}))
    assert [len(await read(table)) for table in tables] == [8] * 8
    await asyncio.gather(*(table.close() for table in tables))


# Others at work on the same file.


@pytest.fixture
def locked(file: Path, table: SqliteTable) -> Iterator[sqlite3.Connection]:
    """Somebody else's transaction, open."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def test_a_file_that_stays_busy_is_unavailable(file: Path, locked: sqlite3.Connection) -> None:
    impatient = SqliteTable(file, busy_timeout_s=0.01)
    with pytest.raises(UnavailableError) as refused:
        await submit_one(impatient, Insert("r", {}))
    await impatient.close()
    assert refused.value.kind == "unavailable.busy"


async def test_a_table_is_not_made_while_somebody_keeps_its_file(file: Path) -> None:
    """The write-ahead log is not on yet: SQLite does not wait for others to turn it on."""
    impatient = SqliteTable(file, busy_timeout_s=0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError) as refused:
            await impatient.create()
    assert refused.value.kind == "unavailable.busy"
    await impatient.create()
    await impatient.close()


class Failing(sqlite3.Connection):
    """A connection whose disk fails at the commit."""

    errorcode = sqlite3.SQLITE_IOERR_FSYNC

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "COMMIT":
            error = sqlite3.OperationalError("the disk fails")
            error.sqlite_errorcode = self.errorcode
            raise error
        return super().execute(sql, parameters)


@pytest.mark.parametrize(
    ("errorcode", "raised"),
    [(sqlite3.SQLITE_IOERR_FSYNC, OutcomeUnknownError), (sqlite3.SQLITE_FULL, sqlite3.OperationalError)],
)
def test_a_commit_that_fails_is_unknown_unless_that_proves_that_it_did_nothing(
    errorcode: int, raised: type[Exception]
) -> None:
    with closing(sqlite3.connect(":memory:", factory=Failing, isolation_level=None)) as connection:
        connection.errorcode = errorcode
        with pytest.raises(raised), _transaction(connection, "submit", "r"):
            connection.execute("CREATE TABLE t (x)")
        assert not connection.in_transaction


async def test_a_name_that_no_disk_takes_is_no_missing_table(tmp_path: Path) -> None:
    table = SqliteTable(tmp_path / ("x" * 300))
    with pytest.raises(AccessDeniedError):
        await table.get(P, "r")
    await table.close()


async def test_a_busy_file_is_waited_for(table: SqliteTable, locked: sqlite3.Connection) -> None:
    call = asyncio.create_task(submit_one(table, Insert("r", {})))
    await table.get(P, "r")  # by now the call is under way
    locked.execute("ROLLBACK")
    await call
    assert await table.get(P, "r") is not None


async def test_readers_do_not_wait_for_writers(table: SqliteTable, locked: sqlite3.Connection) -> None:
    assert await read(table) == []


async def test_a_caller_who_gives_up_harms_no_other(file: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def clock() -> int:  # asked inside the transaction
        started.set()
        go_on.wait()
        return 0

    table = SqliteTable(file, clock=clock)
    await table.create()
    under_way, waiting, other = (
        asyncio.create_task(submit_one(table, Insert(row, {}))) for row in ("under way", "waiting", "other")
    )
    await asyncio.to_thread(started.wait)
    under_way.cancel()
    waiting.cancel()
    await asyncio.wait([under_way, waiting])
    go_on.set()
    await other
    assert [entity.row for entity in await read(table)] == ["other", "under way"]
    await table.close()


async def test_no_reader_waits_for_a_writer_that_waits(table: SqliteTable, locked: sqlite3.Connection) -> None:
    """Somebody else's transaction is open, and this table's own writer waits for its end."""
    call = asyncio.create_task(submit_one(table, Insert("r", {})))
    async with asyncio.timeout(20):  # the writer waits for 30
        assert await table.get(P, "r") is None
        assert await read(table) == []
    assert not call.done()
    locked.execute("ROLLBACK")
    await call
    assert [entity.row for entity in await read(table)] == ["r"]


# Batches that come together.


@asynccontextmanager
async def together(table: SqliteTable) -> AsyncIterator[list[str]]:
    """Batches that are submitted in here wait for its end, and share a turn. Yields what SQLite is told to do."""
    statements: list[str] = []
    gate = threading.Event()
    table._writer.submit(lambda: table._connection().set_trace_callback(statements.append))
    table._writer.submit(gate.wait)
    try:
        yield statements
        await asyncio.sleep(0)
    finally:
        gate.set()


def transactions(statements: list[str]) -> list[str]:
    """Those that begin or end one."""
    return [text for text in statements if text in {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"}]


def submitted(table: SqliteTable, partition: str, *operations: Operation) -> asyncio.Task[Sequence[Written]]:
    return asyncio.create_task(table.submit(partition, operations))


async def test_a_batch_is_one_transaction(table: SqliteTable) -> None:
    async with together(table) as statements:
        call = submitted(table, P, *(Insert(f"{number}", {}) for number in range(100)))
    assert len({written.etag for written in await call}) == 1
    assert transactions(statements) == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_batches_that_come_together_share_a_transaction_and_no_etag(table: SqliteTable) -> None:
    async with together(table) as statements:
        calls = [submitted(table, f"p{number}", Insert("r", {})) for number in range(10)]
        calls += [submitted(table, "p0", Replace("r", {"n": 1})), submitted(table, "p0", Merge("r", {"m": 2}))]
    etags = [written.etag for (written,) in await asyncio.gather(*calls)]
    assert transactions(statements) == ["BEGIN IMMEDIATE", "COMMIT"]
    assert len(set(etags)) == 12
    entity = await table.get("p0", "r")
    assert entity is not None
    assert (entity.values, entity.etag) == ({"n": 1, "m": 2}, etags[-1])


async def test_a_batch_that_is_refused_keeps_no_other_from_being_carried_out(table: SqliteTable) -> None:
    await submit_one(table, Insert("there", {}))
    async with together(table) as statements:
        first = submitted(table, P, Insert("a", {}))
        refused = submitted(table, P, Insert("b", {}), Insert("there", {}))
        last = submitted(table, P, Replace("a", {"n": 1}))
    answers = await asyncio.gather(first, refused, last, return_exceptions=True)
    assert [type(answer) for answer in answers] == [list, RefusedError, list]
    assert isinstance(answers[1], RefusedError)
    assert answers[1].index == 1
    assert transactions(statements)[:2] == ["BEGIN IMMEDIATE", "ROLLBACK"]
    assert [(entity.row, entity.values) for entity in await read(table)] == [("a", {"n": 1}), ("there", {})]


async def test_a_batch_that_fills_the_disk_fails_alone(table: SqliteTable) -> None:
    async with together(table):
        table._writer.submit(lambda: table._connection().execute("PRAGMA max_page_count = 20"))
        calls = [
            submitted(table, P, Insert("a", {})),
            submitted(table, P, *(Insert(f"{number}", {"a": "x" * 30_000}) for number in range(10))),
            submitted(table, P, Insert("b", {})),
        ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [list, UnavailableError, list]
    assert [entity.row for entity in await read(table)] == ["a", "b"]


async def test_others_who_do_not_end_are_waited_for_once_and_not_by_each(
    file: Path, table: SqliteTable, locked: sqlite3.Connection
) -> None:
    impatient = SqliteTable(file, busy_timeout_s=0.05)
    async with together(impatient) as statements:
        calls = [submitted(impatient, P, Insert(row, {})) for row in "abc"]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [answer.kind for answer in answers if isinstance(answer, UnavailableError)] == ["unavailable.busy"] * 3
    assert transactions(statements) == ["BEGIN IMMEDIATE"]
    await impatient.close()


async def test_a_commit_of_unknown_outcome_is_unknown_to_all_of_its_batches(table: SqliteTable) -> None:
    def no_commit(action: int, what: str | None, *_: str | None) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    async with together(table) as statements:
        table._writer.submit(lambda: table._connection().set_authorizer(no_commit))
        calls = [submitted(table, P, Insert(row, {})) for row in "abc"]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [OutcomeUnknownError] * 3
    assert transactions(statements) == ["BEGIN IMMEDIATE", "ROLLBACK"]


async def test_a_slow_reader_holds_nothing_back(file: Path, table: SqliteTable) -> None:
    """Between two pages there is no read transaction that would pin the write-ahead log."""
    slow = SqliteTable(file, page_rows=2)
    await table.submit(P, [Insert(f"{number}", {}) for number in range(5)])
    async with aclosing(slow.query(P, ALL)) as pages:
        await anext(pages)
        assert sql(file, "PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]
    await slow.close()


# Time.


async def test_a_clock_that_runs_backwards_repeats_no_stamp(file: Path) -> None:
    hours = iter([2000, 1000, 1000, 3000, 10, 5])
    stamps: list[int | None] = []
    for _restart in range(3):
        table = SqliteTable(file, clock=lambda: next(hours) * 3600 * 10**9)
        await table.create()
        stamps += [(await submit_one(table, Insert("r", {}))).timestamp]
        await submit_one(table, Delete("r"))
        await table.close()
    assert all(earlier < later for earlier, later in pairwise(map(int, filter(None, stamps))))


YEARS_S = 10 * 365 * 86_400


async def stamps_at(file: Path, *seconds: int) -> list[int]:
    """The stamps of writes at these times by the machine's clock, each by a table that is opened anew."""
    stamps: list[int] = []
    for now in seconds:
        table = SqliteTable(file, clock=lambda now=now: now * 10**9)  # type: ignore[misc]
        await table.create()
        written = await submit_one(table, Merge("r", {})) if stamps else await submit_one(table, Insert("r", {}))
        stamps.append(written.timestamp or 0)
        await table.close()
    return stamps


async def test_where_the_clock_was_put_back_stamps_go_on_as_time_passes(file: Path) -> None:
    """Else ages would not pass before it is as late again: for years, after one wrong time."""
    stamps = await stamps_at(file, 1000, YEARS_S, 2000, 2300, 2300, 5000, YEARS_S * 2)
    passed = [later - earlier for earlier, later in pairwise(stamps)]
    assert passed[1:5] == [1, 297_000_000, 1, 2_673_000_000]
    assert stamps[-1] == YEARS_S * 2 * 10**6


async def test_stamps_that_are_a_little_ahead_are_caught_up_with(file: Path) -> None:
    """Also by one who writes all the time: else each time that a clock is put right would add to their lead."""
    seconds = [1010, *range(1000, 2200, 9)]
    times = iter(seconds)
    table = SqliteTable(file, clock=lambda: next(times) * 10**9)
    await table.create()
    stamps = [(await table.submit(P, [Insert(f"{now}", {})]))[0].timestamp or 0 for now in seconds]
    await table.close()
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert stamps[-1] == seconds[-1] * 10**6


async def test_a_blobcat_that_only_counted_on_harms_no_stamp(file: Path) -> None:
    """One that is older wrote in between: for how long is not known."""
    *_, last = await stamps_at(file, YEARS_S, 2000)
    sql(file, "UPDATE clock SET stamp = stamp + 1")
    sql(file, "DELETE FROM entities")
    assert await stamps_at(file, 900_000, 900_100) == [last + 2, last + 2 + 99_000_000]


async def test_a_stamp_is_the_clock_s_in_microseconds(file: Path) -> None:
    table = SqliteTable(file, clock=lambda: 1_700_000_000_123_456_789)
    await table.create()
    written = await submit_one(table, Insert("r", {}))
    await table.close()
    assert written.timestamp == 1_700_000_000_123_456


async def test_a_table_made_again_repeats_no_etag() -> None:
    table = SqliteTable(":memory:", clock=lambda: 0)
    etags = set()
    for _ in range(3):
        await table.create()
        etags.add((await submit_one(table, Insert("r", {}))).etag)
        await table.drop()
    await table.close()
    assert len(etags) == 3


# Files.


async def test_constructing_and_reading_make_no_file(file: Path) -> None:
    table = SqliteTable(file)
    with pytest.raises(NotFoundError):
        await table.get(P, "r")
    await table.close()
    assert not file.exists()


async def test_create_makes_the_folder_too(tmp_path: Path) -> None:
    table = SqliteTable(tmp_path / "not" / "there" / "a ?#% name.db")
    await table.create()
    await table.close()
    assert [path.name for path in (tmp_path / "not" / "there").iterdir()] == ["a ?#% name.db"]


async def test_an_empty_file_is_no_table_yet(file: Path) -> None:
    file.touch()
    table = SqliteTable(file)
    with pytest.raises(NotFoundError) as refused:
        await read(table)
    await table.close()
    assert refused.value.kind == "not-found.table"


async def test_rows_outlive_their_table_object(file: Path, table: SqliteTable) -> None:
    await submit_one(table, Insert("r", {"a": 1}))
    before = await read(table)
    await table.close()
    again = SqliteTable(file)
    assert await read(again) == before
    await again.close()


@pytest.mark.parametrize(("sync", "level"), [("normal", 1), ("full", 2)])
async def test_sync_says_how_safe_a_commit_is(file: Path, sync: str, level: int) -> None:
    table = SqliteTable(file, sync=sync)  # type: ignore[arg-type]
    await table.create()
    answer: object = await table._run(table._writer, "", "", table._select, ("PRAGMA synchronous", []))
    assert answer == [(level,)]
    await table.close()


# Damage.


async def test_a_file_of_something_else_is_an_integrity_error(file: Path) -> None:
    file.write_bytes(b"no database at all, but long enough to look like one" * 100)
    table = SqliteTable(file)
    with pytest.raises(IntegrityError):
        await read(table)
    await table.close()


async def test_a_damaged_page_is_an_integrity_error(file: Path, table: SqliteTable) -> None:
    await table.submit(P, [Insert(f"{number:03}", {"a": "x" * 1000}) for number in range(100)])
    await table.close()
    content = bytearray(file.read_bytes())
    content[-8192 * 10 :] = b"\xff" * 8192 * 10
    file.write_bytes(content)
    again = SqliteTable(file)
    with pytest.raises(IntegrityError):
        await read(again)
    await again.close()


@pytest.mark.parametrize("body", ["'{'", "'[1] '", "CAST(x'ff' AS TEXT)", "x'7b7d'", "'{},{}'"])
async def test_a_damaged_row_is_an_integrity_error(file: Path, table: SqliteTable, body: str) -> None:
    await table.submit(P, [Insert("r", {}), Insert("s", {})])
    sql(file, f"UPDATE entities SET body = {body} WHERE row = x'72'")  # noqa: S608
    with pytest.raises(IntegrityError):
        await table.get(P, "r")


async def test_a_damaged_row_cannot_be_merged(file: Path, table: SqliteTable) -> None:
    await submit_one(table, Insert("r", {}))
    sql(file, "UPDATE entities SET body = '{'")
    with pytest.raises(IntegrityError):
        await submit_one(table, Merge("r", {"a": 1}))


async def test_a_file_of_a_newer_blobcat_is_refused(file: Path, table: SqliteTable) -> None:
    sql(file, "PRAGMA user_version = 99")
    newer = SqliteTable(file)
    with pytest.raises(InvalidError) as refused:
        await newer.get(P, "r")
    await newer.close()
    assert refused.value.kind == "invalid.newer-schema"


# Permissions and room.


@pytest.fixture
def protected() -> Iterator[Path]:
    """A folder with a table in it, both of which this process may read and not write."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(_make(folder / "table.db"))
        folder.chmod(0o555)
        (folder / "table.db").chmod(0o444)
        root = os.geteuid() == 0
        if root:  # who may do everything: be nobody for a while
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


async def _make(file: Path) -> None:
    table = SqliteTable(file)
    await table.create()
    await table.close()


async def test_no_access_to_the_folder_is_access_denied(protected: Path) -> None:
    table = SqliteTable(protected / "other.db")
    with pytest.raises(AccessDeniedError):
        await table.create()
    await table.close()


async def test_no_right_to_make_a_folder_is_access_denied(protected: Path) -> None:
    table = SqliteTable(protected / "folder" / "other.db")
    with pytest.raises(AccessDeniedError):
        await table.create()
    await table.close()


async def test_no_right_to_write_is_access_denied(protected: Path) -> None:
    table = SqliteTable(protected / "table.db")
    with pytest.raises(AccessDeniedError):
        await submit_one(table, Insert("r", {}))
    await table.close()


async def test_a_folder_in_the_place_of_the_file_is_access_denied(tmp_path: Path) -> None:
    table = SqliteTable(tmp_path)
    with pytest.raises(AccessDeniedError):
        await table.create()
    await table.close()


async def test_a_full_disk_is_unavailable_and_changes_nothing(table: SqliteTable) -> None:
    await table._run(table._writer, "", "", table._select, ("PRAGMA max_page_count = 20", []))
    with pytest.raises(UnavailableError) as refused:
        await table.submit(P, [Insert(f"{number}", {"a": "x" * 30_000}) for number in range(10)])
    assert (refused.value.kind, await read(table)) == ("unavailable.disk-full", [])


async def test_after_a_full_disk_it_goes_on(table: SqliteTable) -> None:
    await table._run(table._writer, "", "", table._select, ("PRAGMA max_page_count = 20", []))
    with pytest.raises(UnavailableError):
        await table.submit(P, [Insert(f"{number}", {"a": "x" * 30_000}) for number in range(10)])
    await submit_one(table, Insert("small", {}))
    assert [entity.row for entity in await read(table)] == ["small"]


# As strict as Azure where Azurite is not.


async def test_a_merge_that_makes_too_many_properties_is_refused(table: SqliteTable) -> None:
    await submit_one(table, Insert("r", {f"n{number}": 1 for number in range(250)}))
    with pytest.raises(TooLargeError):
        await table.submit(P, [Insert("s", {}), Merge("r", {"a": 1, "b": 2, "c": 3})])
    assert await table.get(P, "s") is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=10))
def test_floating_numbers_keep_every_bit(numbers: list[float]) -> None:
    async def round_trip() -> list[object]:
        table = SqliteTable(":memory:")
        await table.create()
        await submit_one(table, Insert("r", {f"n{index}": number for index, number in enumerate(numbers)}))
        entity = await table.get(P, "r")
        await table.close()
        assert entity is not None
        return list(entity.values.values())

    assert list(map(repr, asyncio.run(round_trip()))) == list(map(repr, numbers))


async def test_an_etag_of_another_spelling_is_another_etag(table: SqliteTable) -> None:
    written = await submit_one(table, Insert("r", {}))
    with pytest.raises(RefusedError):
        await submit_one(table, Delete("r", f"0{written.etag}"))


# The end.


async def test_close_leaves_no_thread(table: SqliteTable) -> None:
    await submit_one(table, Insert("r", {}))
    await read(table)
    await table.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite")]


async def test_close_leaves_no_file_but_the_table_s(file: Path, table: SqliteTable) -> None:
    await submit_one(table, Insert("r", {}))
    await read(table)
    await table.close()
    assert list(file.parent.iterdir()) == [file]


async def test_close_waits_for_what_was_begun(file: Path, table: SqliteTable) -> None:
    calls = [asyncio.create_task(submit_one(table, Insert(f"{number}", {}))) for number in range(10)]
    await asyncio.sleep(0)
    await table.close()
    await asyncio.gather(*calls)
    again = SqliteTable(file)
    assert len(await read(again)) == 10
    await again.close()


async def test_a_close_that_is_cancelled_is_done_before_it_is(file: Path, table: SqliteTable) -> None:
    await read(table)
    held = threading.Event()
    table._writer.submit(held.wait)
    closing = asyncio.create_task(table.close())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    asyncio.get_running_loop().call_soon(held.set)
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite")]
    assert list(file.parent.iterdir()) == [file]


async def test_its_repr_says_where_and_how_it_is(file: Path, table: SqliteTable) -> None:
    open_repr = repr(table)
    await table.close()
    assert (open_repr, repr(table)) == (f"<SqliteTable {str(file)!r}, open>", f"<SqliteTable {str(file)!r}, closed>")


async def test_a_batch_that_fails_in_whatever_way_takes_no_other_along(file: Path) -> None:
    """Those of one turn share a transaction; here the third in it finds a clock that has just stopped, once."""
    told: Iterator[int | None] = iter([*range(1, 4), None, *range(4, 1_000)])

    def clock() -> int:
        time = next(told)
        if time is None:
            raise ZeroDivisionError
        return time * 1_000_000

    table = SqliteTable(file, clock=clock)
    await table.create()
    await table.submit("first", [Insert("r", {"n": 1})])
    batches = (table.submit(f"{number}", [Insert("r", {"n": number})]) for number in range(10))
    outcomes = await asyncio.gather(*batches, return_exceptions=True)
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [(await row_of(table, f"{number}")) for number in range(10)] == [{"n": number} for number in range(10)]
    await table.close()


async def row_of(table: SqliteTable, partition: str) -> object:
    found = await table.get(partition, "r")
    return found and found.values


async def test_reads_that_wait_for_their_turn_end_with_the_table(tmp_path: Path) -> None:
    """Those that had it are answered; to the others it is closed, and no thread's own error comes out."""
    table = SqliteTable(tmp_path / "table.db")
    await table.create()
    await table.submit("p", [Insert(f"r{number}", {"n": number}) for number in range(50)])
    reads = [asyncio.create_task(table.get("p", f"r{number}")) for number in range(50)]
    await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
    more = [asyncio.create_task(table.get("p", "r0")) for _ in range(200)]
    closing = asyncio.create_task(table.close())
    said = await asyncio.gather(*reads, *more, return_exceptions=True)
    await closing
    kinds = {getattr(each, "kind", "a row") for each in said}
    assert kinds == {"a row", "invalid.closed"}, said
    assert not isinstance(said[0], BaseException)
