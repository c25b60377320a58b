"""Rows that come in any order leave in that of their paths: few from memory, many from a temporary file."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import UnavailableError
from catalog.in_path_order import InPathOrder
from catalog.keys import encode
from catalog.rows import Entity, Value
from tests.catalog.test_planner import numbers, paths, texts

rows = st.builds(
    lambda path, version, number, text: Entity(
        "p", f"x{version}", {"path": path, "version": version, "m_n": number, "m_t": text}, f"e{version}", version
    ),
    paths.filter(bool),
    st.integers(1, 3),
    numbers,
    texts,
)


@pytest.fixture
async def threads() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as opened:
        yield opened


async def sorted_by(found: InPathOrder, given: Sequence[Sequence[Entity]]) -> list[Entity]:
    async with found:
        for each in given:
            await found.add(each)
        return [row async for run in found.runs() for row in run]


@pytest.mark.parametrize("rows_in_memory", [0, 3, 1000])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(given=st.lists(st.lists(rows, max_size=5), max_size=4))
async def test_they_are_in_order_of_path_and_each_is_there_once(
    threads: ThreadPoolExecutor, rows_in_memory: int, given: list[list[Entity]]
) -> None:
    newest: dict[str, Entity] = {}
    for row in (row for run in given for row in run):
        path = str(row.values["path"])
        if path not in newest or int(newest[path].values["version"]) <= int(row.values["version"]):
            newest[path] = row
    expected = [newest[path] for path in sorted(newest, key=encode)]
    found = await sorted_by(InPathOrder(threads, rows_in_memory=rows_in_memory), given)
    assert found == expected
    assert [_types(row.values) for row in found] == [_types(row.values) for row in expected]


def _types(values: object) -> list[type]:
    assert isinstance(values, dict)
    return [type(value) for value in values.values()]


async def test_many_come_in_runs(threads: ThreadPoolExecutor) -> None:
    values: list[dict[str, Value]] = [{"path": f"{number:04}", "version": 1} for number in range(1000)]
    async with InPathOrder(threads, rows_in_memory=100) as found:
        for each in reversed(values):
            await found.add([Entity("p", "r", each, "e", 0)])
        runs = [run async for run in found.runs()]
    assert [row.values for run in runs for row in run] == values
    assert max(map(len, runs)) == 256


async def test_a_temporary_file_that_cannot_be_written_is_told(threads: ThreadPoolExecutor) -> None:
    async with InPathOrder(threads, rows_in_memory=0) as found:
        await found.add([Entity("p", "r", {"path": "a", "version": 1}, "e", 0)])
        db = found._db
        assert db
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1)
        with pytest.raises(UnavailableError):
            await found.add([Entity("p", "r", {"path": "b" * 100, "version": 1}, "e", 0)])
