"""The memory that uploads share, and the pieces that content is cut into."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.flow import concurrently
from catalog.settings import Settings
from catalog.sources import pieces
from catalog.uploads import Budget, Uploads
from storage import Always, Blocks, Headers
from storage.memory import MemoryContent


async def spin() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_memory_is_given_out_in_order_and_never_more_than_there_is() -> None:
    budget = Budget(10)
    order: list[str] = []

    async def use(name: str, size: int, leave: asyncio.Event) -> None:
        async with budget.hold(size):
            order.append(name)
            await leave.wait()

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
        async with budget.hold(size):
            await asyncio.Event().wait()

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


class Watched(MemoryContent):
    """A store that remembers how many bytes were on their way at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = self.most = 0

    async def stage(self, name: str, block: str, data: bytes) -> None:
        self.under_way += len(data)
        self.most = max(self.most, self.under_way)
        await spin()
        await super().stage(name, block, data)
        self.under_way -= len(data)


class Ticking:
    """A clock that stands still: nothing here may need time."""

    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


async def test_large_content_is_staged_in_bounded_memory() -> None:
    store = Watched()
    await store.create()
    data = bytes(range(256)) * 400
    settings = Settings(one_shot_bytes=4_000, block_bytes=1_000, buffer_bytes=10_000, transfers_max=50)

    def chunks() -> Iterator[bytes]:
        yield from (data[start : start + 700] for start in range(0, len(data), 700))

    async def upload(number: int) -> None:
        async with uploads.prepare(chunks(), f"blob{number}") as ready:
            assert isinstance(ready.content, Blocks)
            await store.put(f"blob{number}", ready.content, when=Always(), headers=Headers())
            assert ready.facts.size == len(data)

    with ThreadPoolExecutor(2) as threads:
        uploads = Uploads(store, threads, settings, Ticking())
        await asyncio.gather(*(upload(number) for number in range(6)))
    assert 0 < store.most <= settings.buffer_bytes
    async with store.open("blob3") as opened:
        assert b"".join([chunk async for chunk in opened.chunks]) == data


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
