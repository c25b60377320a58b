"""The memory that uploads share, and the pieces that content is cut into."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import Catalog
from catalog.budget import Budget
from catalog.changes import Facts
from catalog.errors import AccessDeniedError, InvalidError, UnavailableError
from catalog.flow import concurrently
from catalog.retry import Deadline
from catalog.settings import Settings
from catalog.sources import Content, pieces
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert, Operation, Written
from catalog.uploads import SmallFile, Uploads, facts_of
from storage import Always, Blocks, Digests, Headers, Precondition
from storage.local import LocalContent
from storage.memory import Container, MemoryContent


async def spin() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_memory_is_given_out_in_order_and_never_more_than_there_is() -> None:
    budget = Budget(10)
    order: list[str] = []

    async def use(name: str, size: int, leave: asyncio.Event) -> None:
        taken = await budget.take(size)
        order.append(name)
        await leave.wait()
        budget.give(taken)

    leaves = [asyncio.Event() for _ in range(4)]
    sizes = [("six", 6), ("seven", 7), ("one", 1), ("huge", 99)]
    tasks = [asyncio.create_task(use(name, size, leave)) for (name, size), leave in zip(sizes, leaves, strict=True)]
    await spin()
    assert order == ["six"]  # "one" would fit, and waits its turn
    leaves[0].set()
    await spin()
    assert order == ["six", "seven", "one"]
    for leave in leaves:
        leave.set()
    await asyncio.gather(*tasks)
    assert repr(budget) == "<Budget: 10 of 10 bytes free>"


async def test_who_is_cancelled_while_waiting_or_holding_gives_all_back() -> None:
    budget = Budget(10)

    async def use(size: int) -> None:
        taken = await budget.take(size)
        try:
            await asyncio.Event().wait()
        finally:
            budget.give(taken)

    tasks = [asyncio.create_task(use(size)) for size in (8, 8, 2)]
    await spin()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert repr(budget) == "<Budget: 10 of 10 bytes free>"


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 60))
def test_pieces_are_all_of_one_size_but_the_last(chunks: list[bytes], size: int) -> None:
    async def cut() -> list[bytes]:
        with ThreadPoolExecutor(1) as threads:
            return [piece async for piece in pieces(iter(chunks), size, threads)]

    cut_up = asyncio.run(cut())
    assert b"".join(cut_up) == b"".join(chunks)
    assert all(len(piece) == size for piece in cut_up[:-1])
    assert all(0 < len(piece) <= size for piece in cut_up)


async def cut(content: Content, size: int) -> list[bytes]:
    with ThreadPoolExecutor(1) as threads:
        return [piece async for piece in pieces(content, size, threads)]


async def test_pieces_are_of_bytes_whatever_a_chunk_counts() -> None:
    assert await cut(iter([memoryview(bytes(range(16))).cast("I")]), 6) == [  # type: ignore[arg-type]  # quietly taken too
        bytes(range(6)),
        bytes(range(6, 12)),
        bytes(range(12, 16)),
    ]


async def test_a_chunk_may_be_a_buffer_that_is_filled_again() -> None:
    async def filled() -> AsyncIterator[bytearray]:
        buffer = bytearray(4)
        for number in range(3):
            buffer[:] = bytes([number]) * 4
            yield buffer

    for size in (3, 4, 5):
        assert b"".join(await cut(filled(), size)) == bytes(4) + b"\1" * 4 + b"\2" * 4  # type: ignore[arg-type]  # quietly taken too


async def test_a_chunk_that_is_a_piece_is_not_copied() -> None:
    chunks = [b"one.", b"two.", b"three"]

    async def given() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    taken = await cut(given(), 4)
    assert taken == [b"one.", b"two.", b"thre", b"e"]
    assert taken[0] is chunks[0]
    assert taken[1] is chunks[1]


class Watched(MemoryContent):
    """A store that remembers how many bytes were on their way at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = self.most = self.staged = 0

    async def stage(self, name: str, block: str, data: bytes) -> None:
        self.under_way += len(data)
        self.most = max(self.most, self.under_way)
        await spin()
        await super().stage(name, block, data)
        self.under_way -= len(data)
        self.staged += len(data)

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        self.under_way += len(content) if isinstance(content, bytes) else 0
        self.most = max(self.most, self.under_way)
        await spin()
        etag = await super().put(name, content, when=when, headers=headers)
        self.under_way -= len(content) if isinstance(content, bytes) else 0
        return etag


class Refusing(MemoryContent):
    """A store that takes two blocks, and no more."""

    async def stage(self, name: str, block: str, data: bytes) -> None:
        if block == "000002":
            raise AccessDeniedError("the third")
        await super().stage(name, block, data)


class Ticking:
    """A clock that stands still: nothing here may need time."""

    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Somewhere to read and hash."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


SMALL = Settings(one_shot_bytes=4_000, block_bytes=1_000, buffer_bytes=10_000, transfers_max=50)


async def upload(uploads: Uploads, content: Content, blob: str) -> Facts:
    deadline = Deadline(Ticking(), SMALL)
    async with uploads.prepare(content, blob, deadline) as ready:
        await ready.put(blob, Headers(), deadline, math.inf)
        return ready.facts


async def read(store: MemoryContent, blob: str) -> bytes:
    async with store.open(blob) as opened:
        return b"".join([chunk async for chunk in opened.chunks])


async def test_large_content_is_staged_in_bounded_memory(threads: ThreadPoolExecutor) -> None:
    """What the sources have given and the store does not have: the buffer, and a piece and a chunk of each."""
    store = Watched()
    await store.create()
    data = bytes(range(256)) * 400
    given = most = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given, most
        for start in range(0, len(data), 700):
            yield (chunk := data[start : start + 700])
            given += len(chunk)  # and asked for more
            most = max(most, given - store.staged)

    uploads = Uploads(store, threads, SMALL)
    facts = await asyncio.gather(*(upload(uploads, chunks(), f"blob{number}") for number in range(6)))
    assert {each.size for each in facts} == {len(data)}
    assert 0 < store.most <= SMALL.buffer_bytes
    assert most <= SMALL.buffer_bytes + 6 * (SMALL.one_shot_bytes + 1 + 700)
    assert await read(store, "blob3") == data
    assert repr(uploads.budget) == "<Budget: 10,000 of 10,000 bytes free>"


async def test_files_that_grow_before_their_turn_take_the_memory_that_they_need_by_then(
    threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    store, path = Watched(), tmp_path / "file"
    await store.create()
    path.write_bytes(bytes(SMALL.one_shot_bytes))
    uploads, deadline = Uploads(store, threads, SMALL), Deadline(Ticking(), SMALL)
    files = [SmallFile(uploads, path, 1) for _ in range(20)]
    await asyncio.gather(*(file.put(f"{n}", Headers(), deadline, math.inf) for n, file in enumerate(files)))
    assert await read(store, "19") == path.read_bytes()
    assert SMALL.one_shot_bytes < store.most <= SMALL.buffer_bytes
    assert repr(uploads.budget) == "<Budget: 10,000 of 10,000 bytes free>"


async def test_a_file_that_grows_large_before_its_turn_is_refused(threads: ThreadPoolExecutor, tmp_path: Path) -> None:
    store, path = Watched(), tmp_path / "file"
    path.write_bytes(bytes(SMALL.one_shot_bytes + 1))
    uploads = Uploads(store, threads, SMALL)
    with pytest.raises(InvalidError, match="has grown since") as caught:
        await SmallFile(uploads, path, 1).put("a", Headers(), Deadline(Ticking(), SMALL), math.inf)
    assert caught.value.kind == "invalid.source-changed"
    assert repr(uploads.budget) == "<Budget: 10,000 of 10,000 bytes free>"


async def test_of_files_and_bytes_no_more_is_in_memory_than_the_buffer(
    threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    store = Watched()
    await store.create()
    (tmp_path / "file").write_bytes(bytes(20_000))
    uploads = Uploads(store, threads, SMALL)
    contents: list[Any] = [tmp_path / "file", bytes(20_000), bytearray(20_000), memoryview(bytes(3_000))]
    await asyncio.gather(*(upload(uploads, content, f"blob{number}") for number, content in enumerate(contents * 5)))
    assert store.most <= SMALL.buffer_bytes
    assert await read(store, "blob16") == bytes(20_000)
    assert await read(store, "blob19") == bytes(3_000)


async def test_what_is_staged_and_not_yet_digested_is_still_in_memory() -> None:
    store = Watched()
    await store.create()
    held = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(held.wait)
        uploads = Uploads(store, threads, SMALL)
        uploading = asyncio.create_task(upload(uploads, bytes(9_000), "blob"))
        await spin()
        await spin()
        there = (store.staged, repr(uploads.budget))
        held.set()
        assert await uploading == facts_of(Digests.of(bytes(9_000)))
    assert there == (1_000, "<Budget: 8,000 of 10,000 bytes free>")  # the next piece waits, and has memory too
    assert repr(uploads.budget) == "<Budget: 10,000 of 10,000 bytes free>"


async def test_a_block_that_is_refused_ends_it_while_others_are_digested(threads: ThreadPoolExecutor) -> None:
    store = Refusing()
    await store.create()
    uploads = Uploads(store, threads, SMALL)
    before = asyncio.all_tasks()
    with pytest.raises(AccessDeniedError, match="the third"):
        await upload(uploads, bytes(20_000), "blob")
    assert asyncio.all_tasks() == before
    assert repr(uploads.budget) == "<Budget: 10,000 of 10,000 bytes free>"


async def test_streams_that_never_end_hold_up_nobody(threads: ThreadPoolExecutor, tmp_path: Path) -> None:
    store = Watched()
    await store.create()
    uploads = Uploads(store, threads, SMALL)

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(7_777)
        await asyncio.Event().wait()

    endless_ones = [asyncio.create_task(upload(uploads, endless(), f"endless{number}")) for number in range(20)]
    await spin()
    for name, size in (("small", 100), ("full", SMALL.one_shot_bytes), ("large", 30_000)):
        (tmp_path / name).write_bytes(bytes(size))
        for content in (tmp_path / name, BytesIO(bytes(size)), bytes(size), iter([bytes(size)])):
            assert (await upload(uploads, content, name)).size == size
            await store.delete(name, when=Always())
    for task in endless_ones:
        task.cancel()
    await asyncio.gather(*endless_ones, return_exceptions=True)
    assert repr(uploads.budget) == "<Budget: 10,000 of 10,000 bytes free>"


async def test_one_producer_may_feed_several_puts(threads: ThreadPoolExecutor) -> None:
    store = Watched()
    await store.create()
    uploads = Uploads(store, threads, SMALL)
    queues = [asyncio.Queue[bytes](1) for _ in range(12)]

    async def taken(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
        while chunk := await queue.get():
            yield chunk

    async def produce() -> None:
        for chunk in (*[bytes(900)] * 40, b""):
            for queue in queues:
                await queue.put(chunk)

    producer = asyncio.create_task(produce())
    facts = await asyncio.gather(
        *(upload(uploads, taken(queue), f"blob{number}") for number, queue in enumerate(queues))
    )
    assert [each.size for each in facts] == [36_000] * 12
    await producer


@pytest.mark.parametrize("size", [0, 1, 3_999, 4_000, 4_001, 5_000, 12_345])
async def test_a_stream_of_any_size_arrives_whole(threads: ThreadPoolExecutor, size: int) -> None:
    store = MemoryContent()
    await store.create()
    data = bytes(index % 251 for index in range(size))
    facts = await upload(Uploads(store, threads, SMALL), BytesIO(data), "blob")
    assert facts == facts_of(Digests.of(data))
    assert await read(store, "blob") == data


class Silent(MemoryContent):
    """A store that has lost its voice: no block of it is ever answered, once so many were."""

    def __init__(self, clock: "Stepping", answers: int) -> None:
        super().__init__()
        self.clock = clock
        self.answers = answers

    async def stage(self, name: str, block: str, data: bytes) -> None:
        self.clock.time += 7.0  # that is how long it takes
        if not self.answers:
            raise UnavailableError("no answer", kind="unavailable.timeout")
        self.answers -= 1
        await super().stage(name, block, data)


class Stepping:
    """A clock that goes on as it is slept on, and looked at from outside."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.mark.parametrize("answers", [0, 30])
async def test_the_callers_limit_holds_while_blocks_are_staged(threads: ThreadPoolExecutor, answers: int) -> None:
    """Not how long the transfer takes is limited, but how long the service lets nothing through."""
    clock = Stepping()
    store = Silent(clock, answers)
    await store.create()
    deadline = Deadline(clock, SMALL, 20)
    with pytest.raises(UnavailableError, match="gave up"):
        async with Uploads(store, threads, SMALL).prepare(bytes(50_000), "blob", deadline):
            raise AssertionError
    assert answers * 7 <= clock.now() < answers * 7 + 60


async def test_reading_the_callers_content_takes_none_of_its_limit(threads: ThreadPoolExecutor) -> None:
    clock = Stepping()
    store = MemoryContent()
    await store.create()
    deadline = Deadline(clock, SMALL, 20)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(20):
            clock.time += 1_000.0
            yield bytes(999)

    async with Uploads(store, threads, SMALL).prepare(slow(), "blob", deadline) as ready:
        assert not deadline.passed
        await ready.put("blob", Headers(), deadline, math.inf)


@pytest.mark.parametrize("local", [False, True])
async def test_blocks_of_a_put_that_failed_are_discarded(
    threads: ThreadPoolExecutor, tmp_path: Path, local: bool
) -> None:
    container = Container()
    store = LocalContent(tmp_path / "content") if local else MemoryContent(container)
    await store.create()
    uploads = Uploads(store, threads, SMALL)

    async def failing() -> AsyncIterator[bytes]:
        yield bytes(9_000)
        raise LookupError

    async def endless() -> AsyncIterator[bytes]:
        yield bytes(9_000)
        started.set()
        await asyncio.Event().wait()

    started = asyncio.Event()
    with pytest.raises(LookupError):
        await upload(uploads, failing(), "source")
    with pytest.raises(KeyError):
        async with uploads.prepare(bytes(9_000), "afterwards", Deadline(Ticking(), SMALL)):
            raise KeyError
    async with uploads.prepare(bytes(9_000), "aborted", Deadline(Ticking(), SMALL)):
        pass
    task = asyncio.create_task(upload(uploads, endless(), "cancelled"))
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert container.staged == {}
    assert [path for path in (tmp_path / "content").rglob("staging/*/*") if path.is_file()] == []
    assert (await upload(uploads, bytes(9_000), "fine")).size == 9_000
    await store.close()


class Overtaken(MemoryContent):
    """A store through which the first put comes so late that it was aborted meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.overtake: Callable[[], Awaitable[object]] | None = None

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        overtake, self.overtake = self.overtake, None
        if overtake:
            await overtake()
        return await super().put(name, content, when=when, headers=headers)


class Recorded(SqliteTable):
    """A table that remembers for how long its intents asked to be left alone."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.patience_s: list[object] = []

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        self.patience_s += [
            operation.values["patience_s"]
            for operation in operations
            if isinstance(operation, Insert) and "patience_s" in operation.values
        ]
        return await super().submit(partition, operations)


@pytest.mark.parametrize("size", [10, 10_000])
async def test_a_write_that_starts_over_asks_for_as_much_patience_as_before(size: int) -> None:
    table, content = Recorded(), Overtaken()
    cat = Catalog(table, content, settings=SMALL)
    volume = await cat.create_volume("raw", shards=1)
    content.overtake = partial(cat.recover, patience_s=0)
    await volume.put("a", bytes(size), timeout_s=5_000)
    assert table.patience_s == [5_001, 5_001]
    await cat.close()


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_work_is_done_many_at_a_time_and_never_more() -> None:
    under_way = most = 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await spin()
        under_way -= 1
        return number

    assert sorted([result async for result in concurrently(numbers(30), work, limit=7)]) == list(range(30))
    assert most == 7


async def test_an_error_of_the_work_or_of_the_source_ends_it_and_leaves_no_task() -> None:
    async def failing(number: int) -> int:
        if number == 3:
            raise ValueError(number)
        await asyncio.Event().wait()
        return number

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise LookupError

    before = asyncio.all_tasks()
    with pytest.raises(ValueError, match="3"):
        [result async for result in concurrently(numbers(9), failing, limit=5)]
    with pytest.raises(LookupError):
        [result async for result in concurrently(broken(), spin_on, limit=5)]
    assert asyncio.all_tasks() == before


async def spin_on(number: int) -> int:
    await spin()
    return number


async def test_results_that_nobody_takes_hold_the_source_back() -> None:
    taken: list[int] = []

    async def counted() -> AsyncIterator[int]:
        async for number in numbers(100):
            taken.append(number)
            yield number

    results = concurrently(counted(), spin_on, limit=4)
    await anext(results)
    await spin()
    assert len(taken) <= 4 + 2
    await results.aclose()
