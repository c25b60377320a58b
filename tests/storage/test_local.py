"""What a local store promises beyond the port: processes that die or compete, disks that fill up, nothing left over."""

import asyncio
import errno
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.content import Always, Blob, Blocks, Headers, IfAbsent, IfMatch, Precondition
from storage.errors import CatalogError, ConflictError, IntegrityError, InvalidError, NotFoundError, UnavailableError
from storage.local import LocalContent
from storage.local_blocks import _copied
from storage.local_errors import CommitError, explained
from storage.local_files import Files, place_of, readable, token_of
from storage.local_index import Index
from storage.local_rows import Kept
from storage.local_sessions import Session
from storage.local_writes import Put
from tests.storage.killed_writer import STATES

PROGRAMS = Path(__file__).parent
ROOT = PROGRAMS.parent.parent
PLAIN = Headers()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalContent]:
    store = LocalContent(tmp_path / "store")
    await store.create()
    yield store
    await store.close()


def command(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tests.storage.{program}", *map(str, arguments)]


async def contents(store: LocalContent) -> dict[str, bytes]:
    """All blobs, each read to its end."""
    found = {}
    async for blob in store.list():
        async with store.open(blob.name, when=IfMatch(blob.etag)) as opened:
            found[blob.name] = b"".join([chunk async for chunk in opened.chunks])
    return found


def files_under(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def assert_tidy(directory: Path) -> None:
    """On the disk are the files of the blobs, and nothing else: no leftover of a session, an upload or a deletion."""
    async with asyncio.timeout(10):
        store = LocalContent(directory)
        blobs = [blob.name async for blob in store.list()]
        expected = {await store.file_of(name) for name in blobs}
        await store.close()
    assert list((directory / "staging").iterdir()) == []
    assert files_under(directory / "files") == expected
    with sqlite3.connect(directory / "content.db") as database:
        assert database.execute("SELECT file FROM garbage").fetchall() == []
    database.close()


# Processes that die.


async def test_a_writer_killed_at_any_call_leaves_a_whole_state(tmp_path: Path) -> None:
    """Before every single call to the system of a scenario; what was acknowledged is there, and no half of the rest."""
    subprocess.run(command("killed_writer", tmp_path), cwd=ROOT, check=True, timeout=100)
    runs = sorted(int(acks.stem) for acks in tmp_path.glob("*.acks"))
    assert len(runs) > 100
    seen = set()
    for run in runs:
        acknowledged = (tmp_path / f"{run}.acks").stat().st_size
        store = LocalContent(tmp_path / f"{run}")
        await store.create()
        found = await contents(store)
        assert found in STATES[acknowledged : acknowledged + 2], f"killed before call {run}"
        seen.add((acknowledged, STATES.index(found)))
        await store.put("afterwards", b"works", when=IfAbsent(), headers=PLAIN)
        assert await contents(store) == {**found, "afterwards": b"works"}
        await store.close()
        await assert_tidy(tmp_path / f"{run}")
    assert {(acks, acks) for acks in range(len(STATES))} <= seen
    assert {(acks, acks + 1) for acks in range(len(STATES) - 1)} <= seen


async def test_rivals_that_are_killed_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    killed: list[str] = []
    chance = random.Random(7)
    seed = LocalContent(tmp_path)
    await seed.create()
    await seed.put("counter", b"0", when=IfAbsent(), headers=PLAIN)
    await seed.close()
    for generation in range(4):
        rivals = [f"{generation}-{number}" for number in range(3)]
        programs = [
            subprocess.Popen(command("rival_writer", tmp_path, name, 10_000), cwd=ROOT, stdout=subprocess.PIPE)
            for name in rivals
        ]
        for name, program in zip(rivals, programs, strict=True):
            assert program.stdout
            for _ in range(chance.randint(3, 30)):
                program.stdout.readline()
            program.kill()
            program.stdout.close()
            program.wait()
            killed.append(name)
    store = LocalContent(tmp_path)
    await store.create()
    found = await contents(store)
    for name in killed:
        latest = int(found[f"latest/{name}"])
        own = {key: content for key, content in found.items() if key.startswith(f"own/{name}/")}
        assert latest + 1 <= len(own) <= latest + 2
        assert set(own.values()) == {name.encode() * 10_000}
    own_in_all = sum(1 for key in found if key.startswith("own/"))
    assert own_in_all <= int(found["counter"]) <= own_in_all + len(killed)
    await store.close()
    await assert_tidy(tmp_path)


async def test_rivals_lose_no_update(tmp_path: Path) -> None:
    seed = LocalContent(tmp_path)
    await seed.create()
    await seed.put("counter", b"0", when=IfAbsent(), headers=PLAIN)
    programs = [subprocess.Popen(command("rival_writer", tmp_path, name, 40), cwd=ROOT) for name in "abc"]
    assert [program.wait() for program in programs] == [0, 0, 0]
    found = await contents(seed)
    assert found["counter"] == b"120"
    assert sum(1 for name in found if name.startswith("own/")) == 120
    await seed.close()
    await assert_tidy(tmp_path)


# Disks that fill up, and files that others touch.


async def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(command("full_disk", tmp_path), cwd=ROOT, check=True, timeout=60, stdout=subprocess.PIPE)
    *too_large, index = json.loads(ran.stdout)
    assert too_large == ["UnavailableError unavailable.disk-full"] * 3
    assert index in {"UnavailableError unavailable.disk", "UnavailableError unavailable.disk-full"}
    store = LocalContent(tmp_path)
    assert await contents(store) == {"before": b"x" * 1000, "blocks": b"x" * (1 << 19), "after": b"y"}
    await store.close()
    await assert_tidy(tmp_path)


async def test_a_file_that_was_cut_or_lengthened_is_reported(store: LocalContent) -> None:
    await store.put("a", b"12345", when=Always(), headers=PLAIN)
    file = await store.file_of("a")
    for damage in (b"1234", b"123456"):
        file.write_bytes(damage)
        with pytest.raises(IntegrityError) as caught:
            async with store.open("a"):
                pass
        assert caught.value.kind == "integrity.size"


async def test_a_file_that_is_missing_is_reported(store: LocalContent) -> None:
    await store.put("a", b"12345", when=Always(), headers=PLAIN)
    (await store.file_of("a")).unlink()
    with pytest.raises(IntegrityError) as caught:
        async with store.open("a"):
            pass
    assert caught.value.kind == "integrity.missing"
    await store.put("a", b"again", when=Always(), headers=PLAIN)
    assert await contents(store) == {"a": b"again"}


async def test_a_file_that_is_cut_while_it_is_read_is_reported(store: LocalContent) -> None:
    await store.put("a", b"x" * 5_000_000, when=Always(), headers=PLAIN)
    file = await store.file_of("a")
    async with store.open("a") as opened:
        assert await anext(opened.chunks)
        os.truncate(file, 1_000_000)
        with pytest.raises(IntegrityError):
            await anext(opened.chunks)


async def test_a_place_that_is_taken_does_not_stop_a_put(store: LocalContent) -> None:
    """The blob is committed; its file stays in staging, and is found there."""
    first = await store.put("a", b"first", when=Always(), headers=PLAIN)
    session, _, number = first.rpartition("-")
    (store._directory / f"files/b~{session}-{int(number) + 1}").mkdir()
    await store.put("b", b"second", when=Always(), headers=PLAIN)
    assert (await store.file_of("b")).parent.name == session
    assert await contents(store) == {"a": b"first", "b": b"second"}
    await store.close()
    (store._directory / f"files/b~{session}-{int(number) + 1}").rmdir()
    again = LocalContent(store._directory)
    await again.create()
    assert await contents(again) == {"a": b"first", "b": b"second"}
    await again.close()
    await assert_tidy(store._directory)


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (OSError(errno.ENOSPC, "no space"), "unavailable.disk-full"),
        (OSError(errno.EDQUOT, "quota"), "unavailable.disk-full"),
        (OSError(errno.EFBIG, "too big"), "unavailable.disk-full"),
        (OSError(errno.EROFS, "read-only"), "access-denied.read-only"),
        (PermissionError(errno.EACCES, "no"), "access-denied.disk"),
        (OSError(errno.EIO, "i/o"), "unavailable.disk"),
        (OSError(errno.EMFILE, "files"), "unavailable.too-many-files"),
        (sqlite3.OperationalError("?"), "unavailable.disk"),
        (CommitError(), "outcome-unknown"),
    ],
)
def test_what_failed_is_named(exc: OSError | sqlite3.Error | CommitError, kind: str) -> None:
    assert explained(exc, op="put", key="a").kind == kind


# Others at work.


async def test_a_writer_that_waits_too_long_says_busy_while_readers_go_on(tmp_path: Path) -> None:
    store = LocalContent(tmp_path, busy_timeout_s=0.05)
    await store.create()
    await store.put("a", b"x", when=Always(), headers=PLAIN)
    other = sqlite3.connect(tmp_path / "content.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError) as caught:
        await store.put("a", b"y", when=Always(), headers=PLAIN)
    assert caught.value.kind == "unavailable.busy"
    assert await contents(store) == {"a": b"x"}
    other.execute("ROLLBACK")
    other.close()
    await store.put("a", b"z", when=Always(), headers=PLAIN)
    await store.close()
    await assert_tidy(tmp_path)


async def test_a_living_session_is_left_alone(tmp_path: Path) -> None:
    living, sweeping = LocalContent(tmp_path), LocalContent(tmp_path)
    await living.create()
    await living.stage("a", "1", b"staged")
    await sweeping.create()
    await sweeping.put("b", b"x", when=Always(), headers=PLAIN)
    await living.put("a", Blocks(["1"]), when=IfAbsent(), headers=PLAIN)
    assert await contents(sweeping) == {"a": b"staged", "b": b"x"}
    await living.close()
    await sweeping.close()
    await assert_tidy(tmp_path)


async def test_a_store_of_a_newer_blobcat_is_refused(store: LocalContent, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store" / "content.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    newer = LocalContent(tmp_path / "store")
    with pytest.raises(InvalidError) as caught:
        await newer.stat("a")
    assert caught.value.kind == "invalid.newer-schema"
    await newer.close()


async def test_a_wrong_folder_is_not_found_and_not_made(tmp_path: Path) -> None:
    store = LocalContent(tmp_path / "wrong")
    for attempt in (store.stat("a"), store.put("a", b"", when=Always(), headers=PLAIN), store.stage("a", "1", b"x")):
        with pytest.raises(NotFoundError):
            await attempt
    await store.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_relative_folder_is_where_it_was_when_the_store_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = LocalContent(Path("store"))
    await store.create()
    os.chdir("elsewhere")
    await store.put("a", b"1", when=IfAbsent(), headers=PLAIN)
    assert await contents(store) == {"a": b"1"}
    assert store.unwrap() == tmp_path / "store"
    await store.close()
    await assert_tidy(tmp_path / "store")


async def test_a_file_in_the_way_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = LocalContent(tmp_path / "file")
    with pytest.raises(CatalogError) as caught:
        await store.create()
    assert caught.value.kind == "invalid.folder"
    await store.close()


async def test_no_reader_waits_for_a_writer_that_waits(store: LocalContent, tmp_path: Path) -> None:
    """Somebody else's transaction is open, and this store's own writer waits for its end."""
    await store.put("a", b"x", when=Always(), headers=PLAIN)
    with closing(sqlite3.connect(tmp_path / "store" / "content.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = begun(store, "a", b"y", Always())
        async with asyncio.timeout(20):  # the writer waits for 30
            assert (await store.stat("a")).size == 1
            assert await contents(store) == {"a": b"x"}
        assert not writing.done()
        other.execute("ROLLBACK")
    await writing
    assert await contents(store) == {"a": b"y"}


# Writes that come together.


@asynccontextmanager
async def together(store: LocalContent) -> AsyncIterator[list[str]]:
    """Writes that are begun in here wait for its end, and share a turn. Yields what SQLite is told to do for them."""
    statements: list[str] = []
    gate = threading.Event()
    await asyncio.wrap_future(
        store._writer.submit(lambda: store._disk.index._connection().set_trace_callback(statements.append))
    )
    store._writer.submit(gate.wait)
    try:
        yield statements
        await asyncio.sleep(0)
    finally:
        gate.set()


async def all_done(*tasks: asyncio.Task[Any]) -> list[str]:
    """What became of each: its etag's place among them, or the kind of its error."""
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    return [answer.kind if isinstance(answer, CatalogError) else "done" for answer in answers]


def begun(store: LocalContent, name: str, content: bytes, when: Precondition) -> asyncio.Task[str]:
    return asyncio.create_task(store.put(name, content, when=when, headers=PLAIN))


async def test_puts_that_come_together_share_a_transaction(store: LocalContent) -> None:
    async with together(store) as statements:
        puts = [begun(store, f"{number}", b"%d" % number, IfAbsent()) for number in range(40)]
    etags = await asyncio.gather(*puts)
    assert [text for text in statements if text in {"BEGIN IMMEDIATE", "COMMIT"}] == ["BEGIN IMMEDIATE", "COMMIT"]
    assert len(set(etags)) == 40
    assert await contents(store) == {f"{number}": b"%d" % number for number in range(40)}
    await store.close()
    await assert_tidy(store._directory)


async def test_of_writes_that_come_together_each_is_decided_after_those_before_it(store: LocalContent) -> None:
    there = await store.put("there", b"0", when=IfAbsent(), headers=PLAIN)
    async with together(store):
        tasks: list[asyncio.Task[Any]] = [
            begun(store, "a", b"1", IfAbsent()),
            begun(store, "a", b"2", IfAbsent()),
            begun(store, "there", b"3", IfMatch(there)),
            begun(store, "there", b"4", IfMatch(there)),
            asyncio.create_task(store.delete("a", when=Always())),
            asyncio.create_task(store.delete("a", when=Always())),
            begun(store, "b", b"5", IfAbsent()),
            begun(store, "b", b"6", Always()),
            asyncio.create_task(store.touch("b", when=IfMatch("another"), headers=PLAIN)),
        ]
    assert await all_done(*tasks) == [
        "done",
        "conflict.exists",
        "done",
        "conflict.etag",
        "done",
        "not-found.blob",
        "done",
        "done",
        "conflict.etag",
    ]
    assert await contents(store) == {"there": b"3", "b": b"6"}
    await store.close()
    await assert_tidy(store._directory)


async def test_a_file_that_cannot_be_made_fails_its_own_put_alone(store: LocalContent) -> None:
    first = await store.put("first", b"", when=Always(), headers=PLAIN)
    session, _, number = first.rpartition("-")
    in_the_way = store._directory / "staging" / session / f"{int(number) + 2}"
    in_the_way.mkdir()
    async with together(store):
        tasks = [begun(store, name, name.encode(), IfAbsent()) for name in "abc"]
    assert await all_done(*tasks) == ["done", "invalid.folder", "done"]
    in_the_way.rmdir()
    assert await contents(store) == {"first": b"", "a": b"a", "c": b"c"}


def test_a_file_that_does_not_fit_on_the_disk_is_removed(tmp_path: Path) -> None:
    files = Files(tmp_path, full=False)
    with files.creating():
        files.begin()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 22, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            Put("a", bytes((1 << 22) + 1), Always(), PLAIN).begin(files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files_under(tmp_path) == set()
    files.close()


async def test_a_row_that_brings_the_transaction_down_fails_its_own_put_alone(store: LocalContent) -> None:
    await store.put("first", b"", when=Always(), headers=PLAIN)
    with sqlite3.connect(store._directory / "content.db") as database:
        database.execute(
            "CREATE TRIGGER t BEFORE INSERT ON blob WHEN NEW.name = 'b' BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
        )
    database.close()
    async with together(store):
        tasks = [begun(store, name, name.encode(), IfAbsent()) for name in "abc"]
    assert await all_done(*tasks) == ["done", "unavailable.disk", "done"]
    assert await contents(store) == {"first": b"", "a": b"a", "c": b"c"}
    await store.close()
    await assert_tidy(store._directory)


async def test_a_commit_that_fails_leaves_all_of_its_writes_unknown(store: LocalContent, tmp_path: Path) -> None:
    def no_commit(action: int, what: str | None, *_: str | None) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    async with together(store) as statements:
        index = store._disk.index
        store._writer.submit(lambda: index._connection().set_authorizer(no_commit))
        tasks = [begun(store, name, name.encode(), IfAbsent()) for name in "ab"]
    assert await all_done(*tasks) == ["outcome-unknown"] * 2
    assert statements.count("BEGIN IMMEDIATE") == 1  # what may be committed is not tried again
    assert len(files_under(tmp_path / "store" / "staging")) == 2  # as they may be committed, the sweep decides
    await asyncio.wrap_future(store._writer.submit(lambda: index._connection().set_authorizer(None)))
    assert await contents(store) == {}


async def test_others_who_do_not_end_are_waited_for_once_and_not_by_each(tmp_path: Path) -> None:
    store = LocalContent(tmp_path / "store", busy_timeout_s=0.05)
    await store.create()
    with closing(sqlite3.connect(tmp_path / "store" / "content.db", isolation_level=None)) as other:
        async with together(store) as statements:
            other.execute("BEGIN IMMEDIATE")
            tasks = [begun(store, name, b"", IfAbsent()) for name in "abc"]
        assert await all_done(*tasks) == ["unavailable.busy"] * 3
        assert statements == ["BEGIN IMMEDIATE"]
    await store.close()
    await assert_tidy(tmp_path / "store")


async def test_a_folder_that_cannot_be_flushed_fails_them_all_and_leaves_nothing(tmp_path: Path) -> None:
    store = LocalContent(tmp_path / "store", sync="full")
    await store.create()
    reading, writing = os.pipe()
    session = store._disk.files._session
    assert session
    kept = os.dup(session._descriptor)
    async with together(store):
        tasks = [begun(store, name, b"", IfAbsent()) for name in "ab"]
        os.dup2(reading, session._descriptor)  # a pipe cannot be flushed
    assert await all_done(*tasks) == ["unavailable.disk"] * 2
    os.dup2(kept, session._descriptor)
    for descriptor in (reading, writing, kept):
        os.close(descriptor)
    assert await contents(store) == {}
    await store.close()
    await assert_tidy(tmp_path / "store")


async def test_flushes_of_long_and_of_short_content_wait_for_none_of_each_other(tmp_path: Path) -> None:
    store = LocalContent(tmp_path / "store", sync="full", threads=2)
    await store.create()
    sizes = {f"{number}": size for number, size in enumerate([100_000, 10, 100_000, 20, 100_000, 30, 100_000, 40])}
    async with together(store):
        tasks = [begun(store, name, b"x" * size, IfAbsent()) for name, size in sizes.items()]
    async with asyncio.timeout(60):
        assert await all_done(*tasks) == ["done"] * len(sizes)
    assert {name: len(content) for name, content in (await contents(store)).items()} == sizes
    await store.close()


async def test_who_is_cancelled_before_his_turn_is_left_out(store: LocalContent) -> None:
    async with together(store):
        first, second = begun(store, "a", b"", IfAbsent()), begun(store, "b", b"", IfAbsent())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
    await second
    assert await contents(store) == {"b": b""}


async def test_close_waits_for_what_was_begun(store: LocalContent) -> None:
    async with together(store):
        tasks = [begun(store, f"{number}", b"", IfAbsent()) for number in range(5)]
    await store.close()
    assert await all_done(*tasks) == ["done"] * 5
    await assert_tidy(store._directory)


# Blocks.


async def test_blocks_that_are_a_file_already_are_not_copied(store: LocalContent, tmp_path: Path) -> None:
    for block in "123":
        await store.stage("a", block, block.encode() * 1000)
    (part,) = files_under(tmp_path / "store" / "staging")
    inode = part.stat().st_ino
    await store.put("a", Blocks(["1", "2", "3"]), when=IfAbsent(), headers=PLAIN)
    assert (await store.file_of("a")).stat().st_ino == inode


async def test_a_put_of_bytes_drops_what_was_staged(store: LocalContent, tmp_path: Path) -> None:
    await store.stage("a", "1", b"x")
    await store.put("a", b"bytes", when=Always(), headers=PLAIN)
    with pytest.raises(InvalidError):
        await store.put("a", Blocks(["1"]), when=Always(), headers=PLAIN)
    assert files_under(tmp_path / "store" / "staging") == set()


async def test_blocks_staged_during_a_put_spoil_nothing(store: LocalContent) -> None:
    for _ in range(20):
        await store.stage("a", "1", b"1" * 100_000)
        await asyncio.gather(
            store.put("a", Blocks(["1"]), when=Always(), headers=PLAIN),
            *(store.stage("a", f"{number}", b"x" * 100_000) for number in range(2, 6)),
        )
        assert (await contents(store))["a"] == b"1" * 100_000


# Nothing outlives close.


async def test_threads_files_and_staged_blocks_end_with_close(tmp_path: Path) -> None:
    threads, descriptors = threading.active_count(), open_files()
    store = LocalContent(tmp_path)
    await store.create()
    await asyncio.gather(*(store.put(f"{number}", b"x" * 100_000, when=Always(), headers=PLAIN) for number in range(9)))
    await store.stage("staged", "1", b"x")
    async with store.open("1") as opened:
        assert opened.blob.size == 100_000
    await store.close()
    assert (threading.active_count(), open_files()) == (threads, descriptors)
    await assert_tidy(tmp_path)


async def test_staged_blocks_that_cannot_be_removed_are_not_held_open(tmp_path: Path) -> None:
    threads, descriptors = threading.active_count(), open_files()
    store = LocalContent(tmp_path)
    await store.create()
    for name in ("a", "b"):
        await store.stage(name, "1", b"x")
        with pytest.raises(InvalidError):
            await store.put(name, Blocks(["2"]), when=Always(), headers=PLAIN)
        await store.stage(name, "1", b"x")  # in another file, since a put has looked at the first
    first, *_ = staged = sorted(files_under(tmp_path / "staging"))
    assert len(staged) == 4
    first.unlink()
    (first / "in the way").mkdir(parents=True)
    await store.close()
    assert (threading.active_count(), open_files()) == (threads, descriptors)
    assert files_under(tmp_path / "staging") == set()


async def test_a_put_whose_blocks_cannot_be_removed_has_succeeded(store: LocalContent, tmp_path: Path) -> None:
    """The blob is there: nobody is to be told that it failed."""
    await store.stage("a", "1", b"x")
    with pytest.raises(InvalidError):
        await store.put("a", Blocks(["3"]), when=Always(), headers=PLAIN)
    await store.stage("a", "2", b"y")
    first = min(files_under(tmp_path / "store" / "staging"))
    first.unlink()
    (first / "in the way").mkdir(parents=True)
    await store.put("a", Blocks(["1", "2"]), when=Always(), headers=PLAIN)
    assert await contents(store) == {"a": b"xy"}


async def test_a_close_that_is_cancelled_is_done_before_it_is(tmp_path: Path) -> None:
    threads, descriptors = threading.active_count(), open_files()
    store = LocalContent(tmp_path)
    await store.create()
    await store.stage("staged", "1", b"x")
    held = threading.Event()
    store._writer.submit(held.wait)
    closing = asyncio.create_task(store.close())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    asyncio.get_running_loop().call_soon(held.set)
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (threading.active_count(), open_files()) == (threads, descriptors)
    await assert_tidy(tmp_path)


async def test_a_cancelled_read_leaves_no_file_open(store: LocalContent) -> None:
    await store.put("a", b"x" * 1_000_000, when=Always(), headers=PLAIN)
    await store.stat("a")
    descriptors = open_files()

    async def read() -> None:
        async with store.open("a") as opened:
            async for _ in opened.chunks:
                await asyncio.sleep(0)

    for turns in range(30):
        task = asyncio.create_task(read())
        for _ in range(turns % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.stat("a")  # the reading thread is done with what came before
    await store.stat("a")
    assert open_files() <= descriptors + 1  # the index's, of the thread for long content


async def test_a_deletion_leaves_no_empty_folders(store: LocalContent, tmp_path: Path) -> None:
    for name in ("a/b/c/d", "a/x"):
        await store.put(name, b"x", when=Always(), headers=PLAIN)
    await store.delete("a/b/c/d", when=Always())
    assert [path.name[:2] for path in (tmp_path / "store/files/a").iterdir()] == ["x~"]
    await store.delete("a/x", when=Always())
    assert list((tmp_path / "store/files").iterdir()) == []


# Where people find the bytes.


async def test_a_file_is_where_its_name_says(store: LocalContent, tmp_path: Path) -> None:
    etag = await store.put('raw/2026/what?.csv"', b"x,y", when=Always(), headers=PLAIN)
    file = await store.file_of('raw/2026/what?.csv"')
    assert file == tmp_path / "store" / "files" / "raw" / "2026" / f"what%3F.csv%22~{etag}"
    assert file.read_bytes() == b"x,y"


async def test_the_file_of_nothing_is_not_found(store: LocalContent) -> None:
    with pytest.raises(NotFoundError):
        await store.file_of("a")
    with pytest.raises(ConflictError):
        await store.put("a", b"", when=IfMatch("x"), headers=PLAIN)


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=254).map("/".join))
def test_a_place_fits_any_disk_and_keeps_its_token(name: str) -> None:
    name = name.replace("\0", "").encode("utf-8", "ignore").decode() or "x"
    place = place_of(name, "0123456789abcdef-42")
    assert token_of(place) == "0123456789abcdef-42"
    assert max(len(segment.encode()) for segment in place.split("/")) <= 255
    assert len(place.encode()) < 2048


def test_plain_names_stay_as_they_are() -> None:
    assert readable("raw/2026/übersicht 日本.csv") == "raw/2026/übersicht 日本.csv"


# Disks that refuse, one step at a time.


async def test_garbage_that_cannot_be_removed_stops_no_put(store: LocalContent) -> None:
    await store.put("a", b"old", when=Always(), headers=PLAIN)
    file = await store.file_of("a")
    file.unlink()
    file.mkdir()  # a file's removal does not remove it
    await store.put("a", b"new", when=Always(), headers=PLAIN)
    assert await contents(store) == {"a": b"new"}
    assert file.is_dir()


async def test_a_staged_block_that_is_cut_is_a_clear_error_and_leaves_nothing(
    store: LocalContent, tmp_path: Path
) -> None:
    for block in ("1", "2"):
        await store.stage("a", block, b"x" * 1000)
    before = files_under(tmp_path / "store" / "staging")
    (part,) = before
    os.truncate(part, 500)
    with pytest.raises(CatalogError):
        await store.put("a", Blocks(("2", "1")), when=Always(), headers=PLAIN)
    assert files_under(tmp_path / "store" / "staging") == before
    assert await contents(store) == {}


def test_blocks_are_copied_where_the_system_cannot_copy_by_itself(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(b"0123456789")
    source = os.open(tmp_path / "from", os.O_RDONLY)
    target = os.open(tmp_path / "to", os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # copy_file_range refuses O_APPEND
    try:
        assert _copied(source, 2, 5, target) == 5
    finally:
        os.close(source)
        os.close(target)
    assert (tmp_path / "to").read_bytes() == b"23456"


async def test_a_folder_that_is_left_in_a_dead_session_stops_no_write(store: LocalContent, tmp_path: Path) -> None:
    """Somebody else's, or a disk's: nothing of ours is a folder there. It stays, and what is ours goes."""
    dead = tmp_path / "store" / "staging" / "dead"
    (dead / "stray" / "deep").mkdir(parents=True)
    (dead / "1").write_bytes(b"never committed")
    await store.sweep()
    again = LocalContent(tmp_path / "store")
    await again.put("a", b"1", when=IfAbsent(), headers=PLAIN)
    await again.close()
    assert [path.name for path in dead.iterdir()] == ["stray"]
    assert (dead / "stray" / "deep").is_dir()


def test_a_session_that_has_ended_meanwhile_is_not_taken_over(tmp_path: Path) -> None:
    assert Session.taken_over(tmp_path / "gone") is None


def test_a_page_of_a_listing_costs_the_same_wherever_it_is(tmp_path: Path) -> None:
    """So a listing's cost grows with its blobs, and not with their square."""
    index = Index(tmp_path / "content.db", busy_timeout_s=1, synchronous="off")
    index.create()
    names = [f"d/{number:04d}" for number in range(1_000)]
    for name in names:
        index.put(Kept(Blob(name, 0, "etag", PLAIN), name), IfAbsent())
    steps: list[int] = []
    index._connection().set_progress_handler(lambda: steps.append(1), 10)
    costs = list[int]()
    for after in ("", names[99], names[899]):
        steps.clear()
        assert len(index.page("d/", after, 100)) == 100
        costs.append(len(steps))
    index.close()
    assert 0 < max(costs) <= 1.1 * min(costs)


async def test_what_fails_after_the_commit_fails_nobody(store: LocalContent, tmp_path: Path) -> None:
    """One of five puts of a turn leaves staged blocks behind, of which the file cannot be removed."""
    await store.stage("victim", "000000", b"block")
    (staged,) = [path for path in files_under(tmp_path / "store" / "staging") if path.read_bytes() == b"block"]
    staged.unlink()
    staged.mkdir()
    (staged / "in-the-way").touch()
    names = ["a", "b", "victim", "c", "d"]
    puts = (store.put(name, b"x", when=Always(), headers=PLAIN) for name in names)
    etags = await asyncio.gather(*puts)
    assert [(await store.stat(name)).etag for name in names] == etags
    (staged / "in-the-way").unlink()
    staged.rmdir()


async def test_each_is_told_of_a_failure_by_an_error_of_his_own(tmp_path: Path) -> None:
    """Raising one adds to its traceback."""
    store = LocalContent(tmp_path / "none")
    puts = (store.put(f"{number}", b"x", when=Always(), headers=PLAIN) for number in range(5))
    errors = await asyncio.gather(*puts, return_exceptions=True)
    assert {type(error) for error in errors} == {NotFoundError}
    assert len({id(error) for error in errors}) == 5
    await store.close()
