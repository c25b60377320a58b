"""Whoever reads, however often he is killed: the plan is the same to the byte."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from catalog import Brake, InvalidError, Rate, connect
from catalog.reconcile.workers import AGAIN
from catalog.scratch import LOCK
from tests.harness.nightly import NIGHTLY
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene, indexed
from tests.volumes.conftest import URLS

SHARDS = 16
PARTS = SHARDS + 1
SLOWLY = Rate(account=20)
"""So that there is time to be killed in."""
PROGRAM = """
import asyncio, sys
from catalog import Rate, connect
async def main(url, work):
    async with connect(url) as cat:
        await cat.reconcile("raw", depth="headers", patience_s=0, work=work, rate=Rate(account=60))
asyncio.run(main(*sys.argv[1:]))
"""
KILLS = 24 if NIGHTLY else 5
SEED = 20261121


@pytest.fixture(params=["local", "azurite"])
async def hurt(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Scene]]:
    """A catalog with a few findings, in which nobody is at work."""
    url = URLS[request.param](request)
    async with connect(url, writer="tests") as cat:
        scene = await indexed(cat, "raw", shards=SHARDS)
        for make in (injury.deleted, injury.touched, injury.foreign, injury.head_removed, injury.chain_edited):
            for number in range(3):
                await make(scene, f"{make.__name__}/{number}")
        yield url, scene


Progress = Callable[[str, int], None]


async def made(
    scene: Scene, work: Path, *, workers: int = 1, rate: Rate = Rate(), progress: Progress | None = None
) -> bytes:
    """The plan, as it stands in its file."""
    plan = await scene.cat.reconcile(
        "raw", depth="headers", patience_s=0, work=work, workers=workers, rate=rate, progress=progress
    )
    assert (plan.complete, plan.findings) == (True, 15)
    return plan.path.read_bytes()


async def test_workers_make_the_same_plan(hurt: tuple[str, Scene], tmp_path: Path) -> None:
    _, scene = hurt
    assert await made(scene, tmp_path / "two", workers=2) == await made(scene, tmp_path / "one")


async def test_a_reconcile_that_was_killed_goes_on_to_the_same_plan(hurt: tuple[str, Scene], tmp_path: Path) -> None:
    """Killed with -9, several times: what was read to its end by then is not read again."""
    url, scene = hurt
    choose, kept, work = Random(SEED), set[Path](), tmp_path / "work"
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, url, f"{work}"])
        wanted = min(len(kept) + choose.randint(0, 2), PARTS - 1)
        await until(lambda wanted=wanted: len(parts(work)) >= wanted and making(work))  # type: ignore[misc]
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        assert kept <= parts(work)
        kept = parts(work)
    assert 0 < len(kept) < PARTS
    resumed, undisturbed = Counter[str](), Counter[str]()
    plan = await made(scene, work, progress=lambda stage, n: resumed.update({stage: n}))
    assert plan == await made(scene, tmp_path / "other", progress=lambda stage, n: undisturbed.update({stage: n}))
    assert resumed["rows"] + resumed["blobs"] < undisturbed["rows"] + undisturbed["blobs"]


async def test_what_a_killed_reconcile_has_left_is_removed_by_the_next(
    hurt: tuple[str, Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its databases may be large. Those of one that is at work stay."""
    url, scene = hurt
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    kept = await scene.cat.reconcile("raw")
    program, told = PROGRAM.replace("work=work, ", ""), {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen([sys.executable, "-c", program, url, ""], env=told)
    await until(lambda: {file.name for file in temporary.glob("*/*.making")} - {f"{LOCK}.making"})
    process.kill()
    process.wait()
    assert len([*temporary.iterdir()]) == 2
    await scene.cat.reconcile("raw")
    assert [*temporary.iterdir()] == [kept.path.parent]
    assert kept.path.exists()


async def test_an_unsaved_plan_has_one_journal(small: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once all is checked: a refused apply leaves nothing behind; what was stopped goes on with it."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    await injury.touched(small, "a")
    await injury.all_rows_removed(small, "b")
    plan = await small.cat.reconcile("raw", orphans="quarantine")
    for _ in range(2):
        with pytest.raises(InvalidError, match="force it by its hash"):
            await plan.apply(brake=Brake(number=0))
    assert [*temporary.glob("blobcat-journal-*")] == []

    def stop(_: object) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped") as caught:
        await plan.apply(brake=Brake(fraction=1.0), progress=stop)
    (folder,) = temporary.glob("blobcat-journal-*")
    (journal,) = folder.iterdir()
    assert caught.value.__notes__ == [f"what was done is in the journal {journal}"]
    report = await plan.apply(brake=Brake(fraction=1.0))
    assert (report.journal, report.ok) == (str(journal), True)
    assert [*temporary.glob("blobcat-journal-*")] == [folder]
    assert (await small.cat.undo(journal)).ok


async def test_one_reconcile_works_in_a_folder(small: Scene, tmp_path: Path) -> None:
    """The other is told so, at once; the folder stays good."""
    await injury.touched(small, "a")
    work = tmp_path / "work"
    results = await asyncio.gather(*(small.cat.reconcile("raw", work=work) for _ in range(3)), return_exceptions=True)
    errors = [each for each in results if isinstance(each, BaseException)]
    assert [getattr(error, "kind", error) for error in errors] == ["invalid.work-in-use"] * 2
    assert str(work) in str(errors[0])
    assert (await small.cat.reconcile("raw", work=work)).findings == 1


@pytest.mark.parametrize("content", [b"", b"no database"])
async def test_a_part_that_is_not_complete_is_read_again(small: Scene, tmp_path: Path, content: bytes) -> None:
    await injury.touched(small, "a")
    work, taken = tmp_path / "work", set[str]()
    wanted = (await small.cat.reconcile("raw", work=work, progress=lambda *_: taken.update(names(work)))).sha256
    assert taken
    for name in taken:
        (work / name).write_bytes(content)
    assert (await small.cat.reconcile("raw", work=work)).sha256 == wanted


def names(work: Path) -> set[str]:
    return {part.name for part in parts(work)}


def parts(work: Path) -> set[Path]:
    return set(work.glob("*.part"))


def making(work: Path) -> bool:
    return any(work.glob("*.making"))


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 — others tell by files and processes
        await asyncio.sleep(0)


async def test_a_part_whose_process_was_killed_is_read_by_another(hurt: tuple[str, Scene], tmp_path: Path) -> None:
    _, scene = hurt
    work = tmp_path / "work"
    running = asyncio.create_task(made(scene, work, workers=2, rate=SLOWLY))
    before = set[int]()
    for _ in range(AGAIN):  # as often as a part is read again, if it is one part that they all read
        await until(lambda: running.done() or (children() - before and making(work)))
        victim = min(children() - before)
        os.kill(victim, signal.SIGKILL)
        before.add(victim)
    assert not running.done()
    assert await running == await made(scene, tmp_path / "undisturbed")


async def test_a_part_that_kills_whoever_reads_it_leaves_the_plan_incomplete(
    hurt: tuple[str, Scene], tmp_path: Path
) -> None:
    """And nothing is concluded (R1); read by somebody who lives, it is complete."""
    _, scene = hurt
    work = tmp_path / "work"
    running = asyncio.create_task(scene.cat.reconcile("raw", depth="headers", patience_s=0, work=work, workers=2))
    killed = set[int]()
    while not running.done():
        for child in children() - killed:
            os.kill(child, signal.SIGKILL)
            killed.add(child)
        await asyncio.sleep(0)
    plan = await running
    assert not plan.complete
    assert [*plan.differences()] == []
    assert len(plan.header.incomplete) == PARTS
    assert all(one.endswith("each process that read it ended, the last with -9") for one in plan.header.incomplete)
    assert len(killed) >= 3 * PARTS
    assert await made(scene, work) == await made(scene, tmp_path / "undisturbed")


def children(*, dead: bool = False) -> set[int]:
    """The processes that read for this one, and are alive; or all of this one, also those that wait to be reaped."""
    found = set[int]()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = status.read_text().partition(" ")
            state, parent = rest.rpartition(")")[2].split()[:2]
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if parent == f"{os.getpid()}" and (dead or (state != "Z" and b"catalog.worker" in command)):
            found.add(int(pid))
    return found
