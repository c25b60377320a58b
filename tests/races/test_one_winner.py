"""Twelve race for one path, again and again: one winner a round, the others conflict, history has no gap (S7, S8)."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from catalog import Catalog, Volume, connect
from catalog.sqlite_table import SqliteTable
from storage.memory import Container, MemoryContent
from tests.faults.ports import FaultContent, FaultTable, Wire
from tests.races import racer

CLIENTS = 4
VERSIONS = 5
PATHS = {"memory": 5, "local": 5, "azurite": 3, "processes": 3}
"""A round makes one version of one path: 25 rounds, 15 where each of them takes long."""
ONE_WINNER_OF_TWELVE = CLIENTS * racer.TASKS - 1


@pytest.fixture(params=["memory", "local", "azurite"])
async def clients(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sequence[Catalog]]:
    """Several clients of one catalog, with nothing in common but the service."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            table, content = SqliteTable(":memory:"), MemoryContent(Container())
            stack.push_async_callback(table.close)
            yield [Catalog(FaultTable(table, Wire()), FaultContent(content, Wire())) for _ in range(CLIENTS)]
            return
        url = f"local:{tmp_path}"
        if request.param == "azurite":
            azurite: Azurite = request.getfixturevalue("azurite")
            url = f"{azurite.url}/races?table=t{uuid4().hex}"
        yield [await stack.enter_async_context(connect(url)) for _ in range(CLIENTS)]


async def test_one_winner_a_round(clients: Sequence[Catalog], request: pytest.FixtureRequest) -> None:
    paths = PATHS[request.node.callspec.params["clients"]]
    await clients[0].create_volume("v", shards=1, root=f"{uuid4().hex}/")
    volumes = [await client.volume("v") for client in clients]
    for path in (f"dir/{number}" for number in range(paths)):
        for version in range(VERSIONS):
            told = await asyncio.gather(*(racer.race(volume, path, version) for volume in volumes))
            check_round([made for each in told for made in each], version)
        await check_history(volumes[0], path)


async def test_one_winner_among_processes(tmp_path: Path) -> None:
    async with connect(f"local:{tmp_path}") as catalog:
        volume = await catalog.create_volume("v", shards=1)
        with ExitStack() as stack:
            racers = [stack.enter_context(started(f"local:{tmp_path}")) for _ in range(CLIENTS)]
            assert [line(each) for each in racers] == ["ready"] * CLIENTS
            for path in (f"dir/{number}" for number in range(PATHS["processes"])):
                for version in range(VERSIONS):
                    for each in racers:
                        assert each.stdin
                        each.stdin.write(f"{path} {version}\n")
                        each.stdin.flush()
                    check_round([made for each in racers for made in json.loads(line(each))], version)
                await check_history(volume, path)


def check_round(made: Sequence[int], before: int) -> None:
    assert sorted(made) == [0] * ONE_WINNER_OF_TWELVE + [before + 1]


async def check_history(volume: Volume, path: str) -> None:
    assert [file.version async for file in volume.history(path)] == list(range(VERSIONS, 0, -1))
    await volume.read(path)


def started(url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.races.racer", url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(racer: "subprocess.Popen[str]") -> str:
    assert racer.stdout
    return racer.stdout.readline().strip()
