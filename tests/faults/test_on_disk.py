"""The matrix of `test_every_fault` on a folder: a table and content that are files, shared by clients that fail."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.sqlite_table import SqliteTable
from storage.local import LocalContent
from tests.faults.ports import CRASHES, ONCE, PERSISTENT, Fault, Wire
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.test_every_fault import a_kill, an_outage, for_every_request, one_fault
from tests.faults.world import SETTINGS, World
from tests.harness.nightly import NIGHTLY

NAMES = ("staged", "move-apart", "delete_volume")
TRIED = [each for each in SCENARIOS if NIGHTLY or each.name in NAMES]
Run = Callable[[World, Scenario, Wire], Awaitable[None]]
PATIENT = replace(SETTINGS, request_timeout_s=0.5)  # a disk that others use takes longer than memory
RUNS: list[tuple[Run, Fault]] = [
    *((one_fault, fault) for fault in ONCE),
    *((an_outage, fault) for fault in PERSISTENT),
    *((a_kill, fault) for fault in CRASHES),
]


@pytest.mark.parametrize(("run", "fault"), RUNS, ids=lambda each: getattr(each, "__name__", str(each)).lower())
@pytest.mark.parametrize("scenario", TRIED, ids=str)
async def test_on_a_folder(scenario: Scenario, run: Run, fault: Fault, tmp_path: Path) -> None:
    async for wire in for_every_request(fault, on=run is an_outage):
        folder = tmp_path / str(wire.at)
        folder.mkdir()
        table = SqliteTable(folder / "catalog.db", page_rows=3)
        async with World(PATIENT, table=table, content=LocalContent(folder / "content")) as world:
            await run(world, scenario, wire)
