"""What becomes of a run whose `progress` raises: it ends with that very error, and leaves nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, InvalidError, Settings, Volume, connect

SMALL = Settings(one_shot_bytes=1 << 10, block_bytes=1 << 10)
FILES = 12


class Enough(Exception):  # noqa: N818 — it is no error
    """What a caller's own callback may raise."""


async def ingest(volume: Volume, folder: Path, progress: Callable[..., None]) -> object:
    return await volume.ingest(folder / "tree", prefix="again", progress=progress)


async def download(volume: Volume, folder: Path, progress: Callable[..., None]) -> object:
    return await volume.download_tree("tree", folder / "out", progress=progress)


async def verify(volume: Volume, folder: Path, progress: Callable[..., None]) -> object:
    return await volume.verify("tree", progress=progress)


def tasks() -> set[asyncio.Task[object]]:
    """All but the catalog's own, which commit what several callers share, and what the SDK does for those."""
    return {
        task
        for task in asyncio.all_tasks()
        if not task.get_name().startswith("lane ") and "azure.core" not in repr(task).replace("/", ".")
    }


Run = Callable[[Volume, Path, Callable[..., None]], Awaitable[object]]


async def prepared(cat: Catalog, folder: Path) -> Volume:
    """Files of one block and of several."""
    volume = await cat.create_volume("raw", shards=4)
    (folder / "tree").mkdir()
    for number in range(FILES):
        (folder / "tree" / f"{number}").write_bytes(bytes(number * 400))
    assert (await volume.ingest(folder / "tree", prefix="tree")).ok
    return volume


@pytest.mark.parametrize("once", [False, True], ids=["ever after", "once"])
@pytest.mark.parametrize("error", [Enough("now"), InvalidError("one of ours"), KeyError("k")], ids=repr)
@pytest.mark.parametrize("run", [ingest, download, verify])
async def test_what_progress_raises_ends_the_run_and_leaves_nothing(
    url: str, tmp_path: Path, run: Run, error: Exception, once: bool
) -> None:
    async with connect(url, settings=SMALL) as cat:
        volume = await prepared(cat, tmp_path)
        calls: list[Any] = []
        before = tasks()
        for at in (1, 5, FILES):
            calls.clear()

            def progress(*now: Any, at: int = at) -> None:
                calls.append(now)
                if len(calls) == at or (len(calls) > at and not once):
                    raise error

            with pytest.raises(type(error)) as caught:
                await run(volume, tmp_path, progress)
            assert caught.value is error
            assert tasks() == before
        assert (await cat.recover(patience_s=0)).count("failed") == 0
        assert (await volume.verify()).ok
        assert {path.name for path in (tmp_path / "out").rglob("*")} <= {f"{number}" for number in range(FILES)}
        for path in (tmp_path / "out").rglob("*"):
            assert path.read_bytes() == (tmp_path / "tree" / path.name).read_bytes()
    assert asyncio.all_tasks() == before
