"""What an apply and its journal hold in memory does not grow with the plan."""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog import Applied, Brake
from catalog.cli.commands.apply import Heard
from catalog.columns import file_values
from catalog.errors import UnavailableError
from catalog.keys import head_row
from catalog.reconcile.apply_report import FAILED_MAX, Tally
from catalog.reconcile.difference import Difference
from catalog.reconcile.entry import Entry
from catalog.reconcile.journal import Journal
from catalog.reconcile.plan import DELETIONS_AT_A_TIME, Header, counted, write
from tests.reconcile.scene import Scene

FEW, MANY = 2_000, 16_000
SLACK = 1 << 20
"""What caches may differ by; one entry in memory takes some 1,000 bytes, so 10,000 more of them ten times this."""


def findings(number: int, scene: Scene) -> Iterator[Difference]:
    """Of blobs outside the volume: each is looked at, and left alone, without a request of its own."""
    for n in range(number):
        name = f"elsewhere/{n:09d}{'x' * 100}"
        yield Difference("orphan-ours", name, path=f"{n:09d}", why="", size=1, blob_etag="e", action="quarantine")


def planned(number: int, scene: Scene, path: Path) -> str:
    info = scene.volume.info
    header = Header(info.name, info.epoch, info.root, "", "etag", 1.0, blobs=number, versions=0, bytes=0)
    return write(path, counted(header, findings(number, scene)), findings(number, scene)).sha256


async def peak(work: Callable[[], Awaitable[object]]) -> int:
    """The most that Python had at a time, above what it had before."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def test_an_apply_holds_no_plan_and_no_journal(small: Scene, tmp_path: Path) -> None:
    """Neither the first time, nor when it goes on behind a journal that tells of all."""
    peaks = list[int]()

    def applying(number: int, sha256: str) -> Callable[[], Awaitable[object]]:
        async def apply() -> None:
            heard, brake = Heard(), Brake(1.0, MANY)
            plan, journal = tmp_path / f"{number}.jsonl", tmp_path / f"{number}.journal"
            report = await small.cat.apply(plan, journal=journal, brake=brake, force=sha256, progress=heard.take)
            assert (report.changed, heard.count, len(heard.left())) == (number, number, 20)

        return apply

    sha256 = ""
    for number in (2 * DELETIONS_AT_A_TIME, MANY):  # while one batch is read, the last one is still there
        sha256 = planned(number, small, tmp_path / f"{number}.jsonl")
        peaks.append(await peak(applying(number, sha256)))
    peaks.append(await peak(applying(MANY, sha256)))
    assert max(peaks[1:]) < peaks[0] + SLACK, peaks


async def test_a_journal_is_gone_on_with_and_taken_back_line_by_line(small: Scene, tmp_path: Path) -> None:
    opened, undone, info = list[int](), list[int](), small.volume.info
    values = file_values(replace(await small.volume.put("a", b"a"), path="nobody"))
    for number in (FEW, MANY):
        path = tmp_path / f"{number}.journal"
        journal = Journal.open(path, plan="p", volume=info.name, epoch=info.epoch)
        undo = {"rows": [{"path": "nobody", "row": head_row("nobody"), "before": None, "after": values}]}
        journal.add(*(Entry(f"{n:09d}", "purging", "finish-purge", "begun", undo=undo) for n in range(number)))
        journal.add(*(Entry(f"{n:09d}", "purging", "finish-purge", "done") for n in range(number - 1)))
        journal.close()

        async def go_on(path: Path = path, last: int = number - 1) -> None:
            again = Journal.open(path, plan="p", volume=info.name, epoch=info.epoch)
            subjects = [("purging", f"{n:09d}", "finish-purge") for n in (0, last)]
            assert [again.earlier.is_done(each) for each in subjects] == [True, False]
            assert [again.earlier.is_begun(each) for each in subjects] == [False, True]
            again.close()

        async def take_back(path: Path = path, number: int = number) -> None:
            report = await small.cat.undo(path)
            assert len(report.kept) == number
            assert [report.items[at].key for at in (0, -1)] == [f"{number - 1:09d}", f"{0:09d}"]

        opened.append(await peak(go_on))
        undone.append(await peak(take_back))
    assert opened[1] < opened[0] + SLACK, opened
    assert undone[1] < undone[0] + 300 * MANY, undone  # a report that names each; no line of the journal


@pytest.mark.parametrize("number", [1, FAILED_MAX, FAILED_MAX + 5])
def test_all_failures_are_counted_and_the_first_are_named(tmp_path: Path, number: int) -> None:
    journal = Journal.open(tmp_path / "journal", plan="p", volume="v", epoch="e")
    tally = Tally(journal, None)
    error = UnavailableError("gone")
    for n in range(number):
        tally.ended(Applied(Difference("touched", f"{n}", action="refresh"), "failed", "gone", error))
    report = tally.report(skipped=0)
    journal.close()
    assert (report.failures, len(report.failed), report.ok) == (number, min(number, FAILED_MAX), False)
