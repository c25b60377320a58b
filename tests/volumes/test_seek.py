"""open_seekable: a binary file in all but `await`, whatever is behind it; and what ends."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import Catalog, IntegrityError, InvalidError, NotFoundError, SeekableReader, Settings, Volume, connect
from catalog.sqlite_table import SqliteTable
from storage import Always, Headers
from storage.memory import MemoryContent

DATA = bytes(range(251)) * 4

Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 300), st.just(0)),
        st.tuples(st.just("seek"), st.integers(-300, 1300), st.sampled_from([0, 1, 2])),
    ),
    max_size=12,
)


async def same(reader: SeekableReader, steps: list[Step], data: bytes) -> None:
    """Do the same with both, and find no difference."""
    file = io.BytesIO(data)
    for verb, number, whence in steps:
        if verb == "read":
            assert await reader.read(number) == file.read(number)
        elif (0, file.tell(), len(data))[whence] + number < 0:
            with pytest.raises(InvalidError, match="no position"):
                reader.seek(number, whence)
        else:
            assert reader.seek(number, whence) == file.seek(number, whence)
        assert reader.tell() == file.tell()


async def test_it_does_what_a_binary_file_does(volume: Volume, url: str) -> None:
    await volume.put("a", DATA)
    await volume.put("empty", b"")
    loop = asyncio.get_running_loop()
    examples = 15 if "azurite" in url else 60

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(steps=STEPS, ahead=st.sampled_from([0, 1, 7, 64, 500, 5000]), path=st.sampled_from(["a", "a", "a", "empty"]))
    def check(steps: list[Step], ahead: int, path: str) -> None:
        async def run() -> None:
            async with volume.open_seekable(path, read_ahead_bytes=ahead) as reader:
                await same(reader, steps, DATA if path == "a" else b"")

        asyncio.run_coroutine_threadsafe(run(), loop).result(60)

    await asyncio.to_thread(check)


async def test_read_in_order_to_the_end_it_is_verified(volume: Volume) -> None:
    await volume.put("a", DATA)
    async with volume.open_seekable("a", read_ahead_bytes=64) as reader:
        assert (reader.size, reader.tell(), reader.verified) == (len(DATA), 0, False)
        await reader.read(100)
        reader.seek(-5, os.SEEK_END)
        assert await reader.read() == DATA[-5:]
        assert not reader.verified
        reader.seek(50)
        assert await reader.read() == DATA[50:]
        assert reader.verified


# In memory, where requests can be watched.


class Counted(MemoryContent):
    """Says which spans were asked for, and how many at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int | None]] = []
        self.before: Callable[[], object] = lambda: None

    def open(self, name, *, span=None, when=Always()):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        self.asked.append((span.start, span.length))
        self.before()
        return super().open(name, span=span, when=when)


@pytest.fixture
def content() -> Counted:
    return Counted()


@pytest.fixture
async def opened(content: Counted) -> AsyncIterator[tuple[Catalog, Volume]]:
    cat = Catalog(SqliteTable(":memory:"), content, settings=Settings(timeout_s=5))
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", DATA)
    yield cat, volume
    await cat.close()


async def idle(tasks: int) -> None:
    """Until there are so few tasks."""
    while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 — what ends them is for the test to find out
        await asyncio.sleep(0)


async def test_only_who_reads_on_is_read_ahead_for(content: Counted, opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    alone = len(asyncio.all_tasks())
    async with volume.open_seekable("a", read_ahead_bytes=80) as reader:
        reader.seek(500)
        assert await reader.read(3) == DATA[500:503]
        await idle(alone)
        assert content.asked == [(500, 10)]
        assert await reader.read(3) == DATA[503:506]
        await idle(alone)
        assert content.asked == [(start, 10) for start in range(500, 590, 10)]
        assert await reader.read(44) == DATA[506:550]
        assert "9 of 9 blocks" in repr(reader._window)


async def test_memory_is_bounded_however_much_is_read(content: Counted, opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    async with volume.open_seekable("a", read_ahead_bytes=80) as reader:
        most = 0

        def watch() -> None:
            nonlocal most
            most = max(most, len(reader._window._blocks))

        content.before = watch
        assert await reader.read() == DATA
        assert most == 9


async def test_a_cancelled_read_is_as_if_it_never_was(opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    async with volume.open_seekable("a", read_ahead_bytes=80) as reader:
        read = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        with pytest.raises(InvalidError, match="another read is under way"):
            await reader.read(1)
        read.cancel()
        await asyncio.wait([read])
        assert read.cancelled()
        assert reader.tell() == 0
        assert await reader.read() == DATA
        assert reader.verified


async def test_left_early_it_leaves_no_task(opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    before = asyncio.all_tasks()
    async with volume.open_seekable("a", read_ahead_bytes=80) as reader:
        await reader.read(1)
    assert asyncio.all_tasks() == before


async def test_damage_is_found_at_the_end_of_a_read_in_order(content: Counted, opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    there = await volume.stat("a")
    stat = await content.stat(there.blob)
    await content.put(there.blob, DATA[:-1] + b"!", when=Always(), headers=stat.headers)
    async with volume.open_seekable("a") as reader:
        assert await reader.read(10) == DATA[:10]
        for _ in range(2):
            with pytest.raises(IntegrityError, match="not what was written"):
                await reader.read()
        assert (reader.tell(), reader.verified) == (10, False)


async def test_all_blocks_are_of_one_blob(content: Counted, opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    there = await volume.stat("a")
    stat = await content.stat(there.blob)
    async with volume.open_seekable("a", read_ahead_bytes=0) as first, volume.open_seekable("a") as second:
        second.seek(3)
        first._window.block_bytes = 10
        assert await first.read(10) == DATA[:10]
        await content.put(there.blob, DATA, when=Always(), headers=stat.headers)
        with pytest.raises(IntegrityError, match="changed while it was read"):
            await first.read(10)
        assert await second.read(1) == DATA[3:4]  # the same content, says its blob
    await content.put(there.blob, DATA, when=Always(), headers=Headers())
    async with volume.open_seekable("a") as reader:
        with pytest.raises(IntegrityError, match="another blob"):
            await reader.read(1)


async def test_a_blob_that_is_missing_or_too_short_is_an_integrity_error(
    content: Counted, opened: tuple[Catalog, Volume]
) -> None:
    _, volume = opened
    await content.delete((await volume.stat("a")).blob, when=Always())
    async with volume.open_seekable("a") as reader:
        with pytest.raises(IntegrityError, match="it is missing"):
            await reader.read(1)


@pytest.mark.parametrize("ahead", [-1, 1.5, True, None])
async def test_a_read_ahead_that_cannot_be_is_refused(opened: tuple[Catalog, Volume], ahead: int) -> None:
    _, volume = opened
    with pytest.raises(InvalidError, match="read_ahead_bytes"):
        async with volume.open_seekable("a", read_ahead_bytes=ahead):
            pass


async def test_seek_takes_what_a_file_takes(opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    async with volume.open_seekable("a") as reader:
        for wrong in ((1, 3), (1.5, 0), ("1", 0)):
            with pytest.raises(InvalidError, match="seek takes"):
                reader.seek(*wrong)


async def test_a_delete_cannot_be_opened(opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    await volume.delete("a")
    for version in (None, 2):
        with pytest.raises(NotFoundError):
            async with volume.open_seekable("a", version=version):
                pass


async def test_a_closed_reader_says_so(opened: tuple[Catalog, Volume]) -> None:
    _, volume = opened
    async with volume.open_seekable("a") as seekable, volume.open("a") as reader:
        pass
    for use in (seekable.tell, lambda: seekable.seek(0)):
        with pytest.raises(InvalidError, match="is closed"):
            use()
    for closed in (seekable, reader):
        with pytest.raises(InvalidError, match="is closed"):
            await closed.read(1)
        assert not closed.verified


async def test_a_reader_that_outlives_its_catalog_says_so(url: str) -> None:
    cat = await (opening := connect(url)).__aenter__()
    volume = await cat.create_volume("raw", shards=1)
    await volume.put("a", DATA)
    tasks = asyncio.all_tasks()
    async with volume.open_seekable("a", read_ahead_bytes=80) as seekable, volume.open("a") as reader:
        await seekable.read(1)
        await reader.read(1)
        await opening.__aexit__(None, None, None)
        assert asyncio.all_tasks() <= tasks
        for closed in (seekable, reader):
            with pytest.raises(InvalidError, match="is closed") as caught:
                await closed.read(1)
            assert caught.value.kind == "invalid.closed"
