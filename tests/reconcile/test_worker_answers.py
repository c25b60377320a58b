"""Processes that read: what they cannot read is said as if it had been read here."""

import asyncio
import io
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from catalog import CatalogError, Rate, connect
from catalog.keys import shard_of
from catalog.reconcile.scan import Scope
from catalog.reconcile.workers import READY, Workers, _asked, _started
from catalog.worker import serve
from tests.reconcile import injuries as injury
from tests.reconcile.cases import Injury
from tests.reconcile.scene import Scene, indexed


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Scene]:
    async with connect(f"local:{tmp_path / 'catalog'}", writer="tests") as cat:
        yield await indexed(cat, "raw", shards=2)


@pytest.mark.parametrize("make", [injury.newer_schema, injury.no_row_of_ours], ids=lambda each: each.__name__)
async def test_what_a_worker_meets_is_raised_as_by_one(local: Scene, make: Injury) -> None:
    await make(local, "a")
    with pytest.raises(CatalogError) as alone:
        await local.cat.reconcile("raw")
    with pytest.raises(CatalogError) as together:
        await local.cat.reconcile("raw", workers=2)
    one, other = alone.value, together.value
    assert type(other) is type(one)
    assert (other.message, other.kind, other.op, other.key) == (one.message, one.kind, one.op, one.key)


def test_a_worker_says_what_it_cannot_read_and_reads_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In this process; `test_resume` has them killed."""
    first, bad = asyncio.run(_hurt(tmp_path))
    good = next(task for task in ("shard-00", "shard-01") if task != bad)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{bad}\n{good}\n"))
    serve(json.loads(first))
    ready, said, read = map(json.loads, capfd.readouterr().out.splitlines())
    assert ready == READY
    assert (said["error"], said["kind"]) == ("InvalidError", "invalid.newer-schema")
    assert read["read"]["part"] == good
    assert [part.name.removesuffix(".part").partition("-")[2] for part in (tmp_path / "work").glob("*.part")] == [good]


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [({"url": "nowhere:"}, "invalid.url"), ({"folder": "/dev/null"}, "invalid.folder"), ({"rate": 5}, "")],
)
def test_what_ends_a_worker_is_its_last_answer(
    wrong: dict[str, object],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, bad = asyncio.run(_hurt(tmp_path))
    good = next(task for task in ("shard-00", "shard-01") if task != bad)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{good}\n"))
    serve(json.loads(first) | wrong)
    said = json.loads(capfd.readouterr().out.splitlines()[-1])
    if kind:
        assert (said["kind"], said["ends"]) == (kind, True)
    else:
        assert said == {"failed": "TypeError; with one worker there is more to see"}


def test_a_worker_ends_where_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, bad = asyncio.run(_hurt(tmp_path))
    reads, writes = os.pipe()
    os.close(reads)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{bad}\n{bad}\n"))
    with os.fdopen(writes, "w") as nowhere:
        monkeypatch.setattr(sys, "stdout", nowhere)
        serve(json.loads(first))
    assert sys.stdin.readline() == f"{bad}\n", "it has read on"


async def test_a_process_that_has_ended_has_read_nothing() -> None:
    """Whether it ended before it was asked, or while it was."""
    before = await asyncio.create_subprocess_exec("true", stdin=PIPE, stdout=PIPE)
    assert before.stdin
    with suppress(ConnectionError):
        while True:  # until its end has come to be known here
            before.stdin.write(b"\n")
            await before.stdin.drain()
    assert await _asked(before, "shard-00") is None
    meanwhile = await asyncio.create_subprocess_exec("sh", "-c", "read line; printf half", stdin=PIPE, stdout=PIPE)
    assert await _asked(meanwhile, "shard-00") is None
    for process in (before, meanwhile):
        await process.communicate()  # and its pipes are closed
        assert process.returncode == 0


async def test_who_is_cancelled_while_a_process_ends_waits_for_its_end() -> None:
    """Else it would be left to a loop that may be closed by then, and nobody would reap it."""
    begun, over = asyncio.Event(), asyncio.Event()
    processes = list[Process]()

    async def use() -> None:
        async with _started() as process:
            processes.append(process)
            begun.set()
            await over.wait()

    using = asyncio.create_task(use())
    await begun.wait()
    over.set()
    await asyncio.sleep(0)  # it is killed
    using.cancel()
    await asyncio.wait([using])
    assert (using.cancelled(), [process.returncode for process in processes]) == (True, [-signal.SIGKILL])


async def test_nobody_waits_for_ever_for_who_holds_the_pipes_of_a_process_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "python"
    file.write_text("#!/bin/sh\nsleep 600 &\necho $!\nread line\n")
    file.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(file))
    async with _started() as process:
        assert process.stdout
        held_by = int(await process.stdout.readline())
    try:
        assert process.returncode == -signal.SIGKILL
    finally:
        os.kill(held_by, signal.SIGKILL)  # raises if it has ended


async def _hurt(folder: Path) -> tuple[str, str]:
    """What a worker is told first, and the part that it cannot read."""
    async with connect(f"local:{folder / 'catalog'}", writer="tests") as cat:
        scene = await indexed(cat, "raw", shards=2)
        await injury.newer_schema(scene, "a")
        info = scene.volume.info
        (folder / "work").mkdir()
        origin, settings = cat._reconciling.origin, cat._reconciling.settings
        assert origin
        told = Workers(origin, settings, Rate(), 1)._first(Scope(info), folder / "work")
        return json.dumps(told), f"shard-{shard_of('a', info.shards):02x}"
