"""Blocking work: where it runs, and how the threads end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from catalog.threads import ENDING_S, end, in_thread


def named(prefix: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


async def test_work_runs_elsewhere_and_no_thread_is_left() -> None:
    threads = ThreadPoolExecutor(2, "blobcat-test")
    assert await in_thread(threads, threading.current_thread) is not threading.current_thread()
    threads.submit(time.sleep, 0.1)  # nobody waits for it any more
    await end(threads)
    await end(threads)
    assert named("blobcat") == []


async def test_a_thread_that_is_held_for_ever_holds_nobody_else() -> None:
    threads, held = ThreadPoolExecutor(1, "blobcat-test"), threading.Event()
    stuck = threads.submit(held.wait)
    dropped = threads.submit(time.sleep, 60)
    before = time.monotonic()
    await end(threads)
    assert ENDING_S <= time.monotonic() - before < ENDING_S + 5
    assert (stuck.done(), dropped.cancelled()) == (False, True)
    held.set()
    threads.shutdown()
    assert stuck.result()
