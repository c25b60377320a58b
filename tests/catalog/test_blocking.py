"""The synchronous door: the same catalog, for those who wait."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from catalog import (
    ConflictError,
    Create,
    F,
    FileVersion,
    InvalidError,
    Item,
    NotFoundError,
    OutcomeUnknownError,
    blocking,
)
from catalog.portal import Portal, Strand, Work
from catalog.standins import Blocking, iterate
from scripts.blocking_stubs import stubs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def volume() -> Iterator[blocking.Volume]:
    with blocking.connect("memory:") as cat:
        yield cat.create_volume("raw", shards=2)


def test_the_signatures_are_those_of_the_async_classes() -> None:
    """If this fails: scripts/blocking-stubs."""
    text = (ROOT / "catalog" / "blocking.pyi").read_text("utf-8")
    assert text == stubs()
    for line in text.splitlines():
        if line.startswith("class "):
            assert hasattr(blocking, line.removeprefix("class ").rstrip(":"))


def test_calls_wait_and_values_are_values(volume: blocking.Volume) -> None:
    assert volume.put("a", b"one").version == 1
    assert volume.read("a") == b"one"
    assert volume.name == "raw"
    assert volume.put("b", iter([b"1", b"2"])).size == 2
    assert repr(volume) == "<blocking <Volume 'raw', 2 shards, blobs under 'raw/'>>"
    assert "put" in dir(volume)


def test_iterators_are_iterators(volume: blocking.Volume) -> None:
    outcomes = list(volume.put_many(Item(f"k/{number}", bytes(number)) for number in range(5)))
    assert [outcome.ok for outcome in outcomes] == [True] * 5
    assert [entry.path for entry in volume.list()] == ["k/"]
    assert [file.size for file in volume.query(F.size > 2)] == [3, 4]
    with pytest.raises(NotFoundError):
        next(volume.history("no"))


def test_a_query_is_iterable_again_and_again(volume: blocking.Volume) -> None:
    for number in range(5):
        volume.put(f"k/{number}", bytes(number), metadata={"even": number % 2 == 0})
    query = volume.query(F.size > 2)
    assert query.volume == "raw"
    for _ in range(2):
        assert [file.path for file in query] == ["k/3", "k/4"]
    assert list(query.select("size", "meta.even")) == [
        {"size": 3, "meta.even": False},
        {"size": 4, "meta.even": True},
    ]
    assert [(group.values, group.files) for group in volume.count(by=["meta.even"]).groups] == [
        ((True,), 3),
        ((False,), 2),
    ]
    assert query.count().bytes == 7


def test_what_is_not_iterated_to_its_end_is_closed_with_the_catalog(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In its order: the outer generator first. Nothing is printed."""
    with blocking.connect(f"local:{tmp_path}") as cat:
        volume = cat.create_volume("raw", shards=2)
        for name in ("d/a", "d/b", "d/c"):
            volume.put(name, b"x")
        kept = [volume.list("d/", recursive=True), volume.glob("d/*"), iter(volume.query(F.size > 0))]
        for each in kept:
            next(each)
    assert capfd.readouterr() == ("", "")
    for each in kept:
        with pytest.raises((InvalidError, StopIteration)):
            next(each)


def test_what_is_left_early_is_closed(volume: blocking.Volume) -> None:
    volume.put("a", b"1")
    volume.put("b", b"1")
    for _ in volume.list():
        break
    gc.collect()
    listing = volume.list()
    next(listing)
    listing.close()  # type: ignore[attr-defined]
    assert list(listing) == []


def test_context_managers_are_context_managers(volume: blocking.Volume) -> None:
    volume.put("a", b"12345")
    with volume.open("a") as reader:
        assert reader.read(2) == b"12"
        assert b"".join(reader) == b"345"
        assert reader.verified
    with pytest.raises(NotFoundError), volume.open("no"):
        pass


def test_errors_keep_their_traceback(volume: blocking.Volume) -> None:
    volume.put("a", b"1")
    with pytest.raises(ConflictError) as caught:
        volume.put("a", b"2", mode=Create())
    assert (caught.value.expected, caught.value.found) == ("no file", "version 1")
    files = {Path(frame.filename).name for frame in traceback.extract_tb(caught.tb)}
    assert files >= {"test_blocking.py", "writer.py"}


def test_threads_share_one(volume: blocking.Volume) -> None:
    with ThreadPoolExecutor(8) as threads:
        files = list(threads.map(lambda number: volume.put(f"{number}", b"x"), range(64)))
    assert {file.version for file in files} == {1}
    assert len(list(volume.list())) == 64


def test_threads_share_one_iteration(volume: blocking.Volume, capfd: pytest.CaptureFixture[str]) -> None:
    """From its first item on: each item goes to one of them, and all of them come to its end."""
    list(volume.put_many(Item(f"{number:02}", b"x") for number in range(40)))
    threads = 5
    for _ in range(20):
        shared, together = iter(volume.query()), threading.Barrier(threads)

        def all_of(shared: Iterator[FileVersion], together: threading.Barrier) -> list[str]:
            together.wait()
            return [file.path for file in shared]

        with ThreadPoolExecutor(threads) as pool:
            found = pool.map(all_of, [shared] * threads, [together] * threads)
            assert sorted(chain(*found)) == [f"{number:02}" for number in range(40)]
    gc.collect()
    assert capfd.readouterr() == ("", "")


async def numbers() -> AsyncIterator[int]:
    for number in range(3):
        yield number


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    portal.start()
    yield portal
    portal.end()


class Overtaken(Strand):
    """A strand on whose way to the loop something else happens, once."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self.happens: list[Callable[[], None]] = []

    def run(self, work: Work) -> Any:
        if self.happens:
            self.happens.pop()()
        return super().run(work)

    def strand(self) -> Strand:
        return self


def test_an_iteration_that_is_closed_before_its_first_item_is_made_has_none(portal: Portal) -> None:
    strand = Overtaken(portal)
    shared: Any = iterate(numbers(), strand)
    strand.happens.append(shared.close)
    assert list(shared) == []


def test_who_asks_for_an_item_while_another_closes_the_iteration_is_at_its_end(portal: Portal) -> None:
    strand = Overtaken(portal)
    shared: Any = iterate(numbers(), strand)
    assert next(shared) == 0
    strand.happens.append(shared.close)
    assert list(shared) == []


def test_it_works_where_a_loop_is_running(volume: blocking.Volume) -> None:
    async def main() -> int:
        return volume.put("a", b"1").version

    assert asyncio.run(main()) == 1


def test_after_the_end_there_is_an_error_and_no_thread() -> None:
    with blocking.connect("memory:") as cat:
        volume = cat.create_volume("raw", shards=1)
        volume.put("a", b"1")
        left = volume.list()
        next(left)
    with pytest.raises(InvalidError) as caught:
        volume.read("a")
    assert caught.value.kind == "invalid.closed"
    assert not [thread for thread in threading.enumerate() if thread.name == "blobcat-blocking"]


def test_a_url_that_cannot_work_is_refused_and_leaves_no_thread() -> None:
    with pytest.raises(InvalidError), blocking.connect("nonsense:"):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "blobcat-blocking"]


def test_a_callback_may_not_call_back() -> None:
    caught: list[Exception] = []
    with blocking.connect("memory:") as cat:
        volume = cat.create_volume("raw", shards=1)
        volume.put("a", b"1")

        def progress(_checked: int, _read: int) -> None:
            try:
                volume.read("a")
            except InvalidError as exc:
                caught.append(exc)

        assert volume.verify(progress=progress).ok
    assert {exc.kind for exc in caught if isinstance(exc, InvalidError)} == {"invalid.callback"}


class Hanging:
    """Something of the loop that never answers, and knows how it ended."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended: list[str] = []

    async def hang(self) -> None:
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise


def test_an_interrupt_cancels_the_call_and_nothing_else() -> None:
    hanging, portal = Hanging(), Portal()
    portal.start()
    proxy = Blocking(hanging, portal)

    def interrupt() -> None:
        hanging.begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        proxy.hang()
    assert hanging.ended == ["cancelled"]
    assert portal.run(lambda: asyncio.sleep(0, "still there")) == "still there"
    portal.end()


def test_closing_ends_the_calls_of_other_threads() -> None:
    hanging, portal = Hanging(), Portal()
    portal.start()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(Blocking(hanging, portal).hang)
        hanging.begun.wait()
        portal.end()
        with pytest.raises(OutcomeUnknownError, match="closed while"):
            call.result()
    assert hanging.ended == ["cancelled"]


def test_closing_tells_also_those_who_waited_for_their_turn() -> None:
    hanging, portal = Hanging(), Portal()
    portal.start()
    strand = portal.strand()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(strand.run, hanging.hang)
        hanging.begun.wait()
        second = threads.submit(strand.run, hanging.hang)
        while repr(strand) != "<Strand, 1 waiting>":
            portal.run(lambda: asyncio.sleep(0))
        portal.end()
        for call in (first, second):
            with pytest.raises(OutcomeUnknownError, match="closed while"):
                call.result()
    assert hanging.ended == ["cancelled"]


def test_closing_ends_what_a_strand_of_another_thread_does() -> None:
    hanging, portal = Hanging(), Portal()
    portal.start()
    strand = portal.strand()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(strand.run, hanging.hang)
        hanging.begun.wait()
        portal.end()
        with pytest.raises(OutcomeUnknownError, match="closed while"):
            call.result()
    assert hanging.ended == ["cancelled"]


def test_a_fork_is_refused_and_does_not_hang() -> None:
    """In a process of its own: this one has other threads, and must not fork."""
    program = """
import os
from catalog import InvalidError, blocking
with blocking.connect("memory:") as cat:
    volume = cat.create_volume("raw", shards=1)
    if (child := os.fork()) == 0:
        try:
            volume.put("a", b"1")
        except InvalidError as exc:
            os._exit(7 if exc.kind == "invalid.forked" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    print(volume.put("a", b"1").version)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "1"


@pytest.mark.parametrize("place", ["memory:", "local:"])
def test_a_process_ends_that_never_leaves_the_block(tmp_path: Path, place: str) -> None:
    """What is open then is closed, and nothing is printed of it; later code of the process is refused, not held up."""
    program = """
import sys
from catalog import InvalidError, Item, blocking

class Late:
    def __del__(self):
        try:
            volume.put("late", b"1")
        except InvalidError as exc:
            print(exc.kind)

def endless():
    for number in range(100):
        yield Item(f"more/{number}", b"1")

opened = blocking.connect(sys.argv[1])
volume = opened.__enter__().create_volume("raw", shards=1)
volume.put("a", b"1")
outcomes, files = volume.put_many(endless()), iter(volume.query())
print(next(outcomes).ok, next(files).path)
reading = volume.open("a")
reader = reading.__enter__()
late = Late()
print("end of script")
"""
    url = place if place == "memory:" else f"{place}{tmp_path}"
    command = [sys.executable, "-W", "always", "-c", program, url]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines() == ["True a", "end of script", "invalid.closed"]
    assert ran.stderr == ""


def test_a_process_ends_that_opens_a_catalog_at_its_end() -> None:
    """Too late to be closed: nobody waits for its thread."""
    program = """
import atexit
from catalog import blocking

def late():
    global opened
    opened = blocking.connect("memory:")
    print(opened.__enter__().capabilities.signed_urls)

atexit.register(late)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "False\n"


def test_what_was_closed_says_so_instead_of_waiting_for_ever(volume: blocking.Volume) -> None:
    volume.put("a", b"one")
    with volume.open("a") as reader:
        assert reader.read() == b"one"
    with pytest.raises(InvalidError, match="closed"):
        reader.read()
    with volume.open_seekable("a") as seekable:
        assert seekable.read(1) == b"o"
    with pytest.raises(InvalidError, match="closed"):
        seekable.read(1)


@pytest.fixture(params=[True, False], ids=["woken", "not woken"])
def woken(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether a signal interrupts what the thread waits for: it does not where it comes just before the wait begins."""
    if not request.param:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    yield request.param
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@pytest.mark.usefixtures("woken")
def test_an_interrupt_does_not_wait_for_a_callers_generator(volume: blocking.Volume) -> None:
    begun, let_go = threading.Event(), threading.Event()
    waited: list[bool] = []

    def chunks() -> Iterator[bytes]:
        begun.set()
        waited.append(let_go.wait(20))
        yield b"too late"

    def interrupt() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        volume.put("a", chunks())
    assert waited == []
    assert volume.put("b", b"1").version == 1
    let_go.set()
    with pytest.raises(NotFoundError):
        volume.stat("a")
