"""What a run sets of the interpreter is undone after the last run, and what an application has set stays."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from catalog import Catalog, F, Item, Volume, connect
from catalog.garbage import YOUNG, searched_seldom


@pytest.fixture(autouse=True)
def as_python_has_it() -> Iterator[tuple[int, int, int]]:
    """The tests' own setting, held off."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield gc.get_threshold()
    gc.set_threshold(*before)


def test_overlapping_runs_set_it_once_and_the_last_sets_it_back() -> None:
    first, second = searched_seldom(), searched_seldom()
    with first:
        assert gc.get_threshold() == (YOUNG, 10, 10)
        second.__enter__()
    assert gc.get_threshold() == (YOUNG, 10, 10)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


def test_a_run_that_fails_sets_it_back() -> None:
    with pytest.raises(ZeroDivisionError), searched_seldom():
        raise ZeroDivisionError
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (YOUNG * 2, 5, 5)], ids=["switched off", "higher"])
def test_what_an_application_has_set_stays(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with searched_seldom():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def test_what_an_application_sets_meanwhile_stays() -> None:
    with searched_seldom():
        gc.set_threshold(1_000, 10, 10)
    assert gc.get_threshold() == (1_000, 10, 10)


async def test_an_ingest_is_such_a_run(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    seen = list[int]()
    async with connect("memory:") as cat:
        raw = await cat.create_volume("raw")
        await raw.ingest(tmp_path, progress=lambda _: seen.append(gc.get_threshold()[0]))
    assert set(seen) == {YOUNG}
    assert gc.get_threshold()[0] == 700


RUNS: dict[str, Callable[[Catalog, Volume], Awaitable[object]]] = {
    "reconcile": lambda cat, _: cat.reconcile(),
    "create_index": lambda _, volume: volume.create_index("meta.n"),
}


@pytest.mark.parametrize("name", RUNS)
async def test_so_are_others_over_many_files(name: str) -> None:
    seen = list[int]()
    async with connect("memory:", on_event=lambda _: seen.append(gc.get_threshold()[0])) as cat:
        raw = await cat.create_volume("raw")
        await raw.put("a", b"a", metadata={"n": 1})
        assert set(seen) == {700}
        await RUNS[name](cat, raw)
    assert set(seen) == {700, YOUNG}
    assert gc.get_threshold()[0] == 700


async def test_what_hands_things_out_is_none() -> None:
    """Whoever takes them may make cycles, as large as he likes."""

    async def items() -> AsyncIterator[Item]:
        for name in "abc":
            yield Item(name, b"x", metadata={"n": 1})

    async with connect("memory:") as cat:
        raw = await cat.create_volume("raw")
        await raw.create_index("meta.n")
        seen = [gc.get_threshold()[0] async for _ in raw.put_many(items())]
        seen += [gc.get_threshold()[0] async for _ in raw.list()]
        seen += [gc.get_threshold()[0] async for _ in raw.query(F.meta["n"] >= 0)]
    assert seen == [700] * 9
