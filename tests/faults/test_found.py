"""What a hostile review found, each with the schedule that shows it: regression tests of faults that need a partner."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from catalog import FileVersion, OutcomeUnknownError, UnavailableError, connect
from catalog.retry import Clock
from catalog.rows import Entity
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert, Operation, Written
from storage.memory import MemoryContent
from tests.faults.ports import Send, T, Wire
from tests.faults.touch import Touch
from tests.faults.world import SETTINGS, World
from tests.harness.invariants import check_settled

STAGED = b"0123456789" * 5


class Recovered(Wire):
    """The first put of content is applied, its answer lost, and somebody recovers before its sender goes on."""

    world: World | None = None

    async def send(self, name: str, request: Send[T], touch: Touch) -> T:
        if name == "content.put" and (world := self.world):
            self.world = None
            await request()
            await world.client().recover(patience_s=0)
            raise OutcomeUnknownError("the connection was lost", op=name)
        return await super().send(name, request, touch)


async def stream() -> AsyncIterator[bytes]:
    for _ in range(5):
        yield b"0123456789"


async def test_staged_content_that_others_removed_is_staged_again() -> None:
    """Its blocks were used up by the put that was aborted: no reason to call it invalid (S9)."""
    async with World() as world:
        await world.client().create_volume("v", shards=1)
        wire = Recovered()
        volume = await world.client(wire).volume("v")
        wire.world = world
        assert isinstance(await volume.put("a", STAGED), FileVersion)
        assert await volume.read("a") == STAGED


async def test_a_stream_that_others_aborted_says_that_it_cannot_be_had_again() -> None:
    async with World() as world:
        await world.client().create_volume("v", shards=1)
        wire = Recovered()
        volume = await world.client(wire).volume("v")
        wire.world = world
        with pytest.raises(UnavailableError):
            await volume.put("a", stream())
        await world.client().recover(patience_s=0)
        check_settled(await world.look())


class Busy(SqliteTable):
    """A table one partition of which does not answer; and whose commits never do, if told so."""

    partition = ""
    hangs: Clock | None = None

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        self._check(partition)
        if self.hangs and any(isinstance(each, Insert) and each.row[0] == "v" for each in operations):
            await self.hangs.sleep(0.5)
            raise OutcomeUnknownError("the connection was lost", op="submit")
        return await super().submit(partition, operations)

    async def get(self, partition: str, row: str) -> Entity | None:
        self._check(partition)
        return await super().get(partition, row)

    def query(self, partition: str, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN201
        self._check(partition)
        return super().query(partition, *args, **kwargs)  # type: ignore[arg-type]

    def _check(self, partition: str) -> None:
        if self.partition and partition.startswith(self.partition):
            raise UnavailableError("busy", op="get")


async def test_a_volume_that_does_not_answer_keeps_no_other_from_recovery() -> None:
    table = Busy(":memory:")
    async with World(table=table, content=MemoryContent()) as world:
        client = world.client()
        busy = await client.create_volume("alpha", shards=1)
        await client.create_volume("v", shards=1)
        await world.leave_half_done("x", 3)
        table.partition = busy.info.epoch
        report = await world.client().recover(patience_s=0, timeout_s=1)
        table.partition = ""
        assert [(each.volume, each.action) for each in report.volumes] == [("alpha", "failed")]
        assert [(item.path, item.action) for item in report.items] == [("x", "aborted")]
        check_settled(await world.look())


async def test_an_ingest_whose_commits_are_not_answered_gives_up_in_time(tmp_path: Path) -> None:
    """Only waiting for others to fill the transaction stops a file's clock, not waiting for the service."""
    (tmp_path / "file").write_bytes(b"x")
    table = Busy(":memory:")
    async with World(table=table, content=MemoryContent()) as world:
        client = world.client()
        volume = await client.create_volume("v", shards=1)
        table.hangs = client._clock
        began = client._clock.now()
        report = await volume.ingest(tmp_path, timeout_s=1)
        assert [type(failure.error).__name__ for failure in report.failed] == ["OutcomeUnknownError"]
        assert client._clock.now() - began <= 2.25
        table.hangs = None


CHILD = """
import asyncio, sys
from catalog import Settings, connect

async def content():
    for _ in range(3):
        yield b"x" * 1000
    print("staged", flush=True)
    await asyncio.sleep(600)

async def main():
    async with connect(sys.argv[1], settings=Settings(one_shot_bytes=24, block_bytes=1000)) as cat:
        await (await cat.volume("v")).put("a", content())

asyncio.run(main())
"""


async def test_recovery_removes_what_a_killed_process_has_staged(tmp_path: Path) -> None:
    """By a client that was open all the time, and writes nothing (liveness: no temporary file is left)."""
    url = f"local:{tmp_path}"
    async with connect(url, settings=SETTINGS) as cat:
        await (await cat.create_volume("v", shards=1)).put("b", b"1")
        command = [sys.executable, "-c", CHILD, url]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout
            assert child.stdout.readline() == b"staged\n"
            assert staged(tmp_path)
            child.kill()
        await cat.recover(patience_s=0)
        assert staged(tmp_path) == []


def staged(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("staging/**/*") if path.is_file()]
