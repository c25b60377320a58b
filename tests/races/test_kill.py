"""kill -9 of an ingest: what it acknowledged is there, nothing half-done is seen, and the next one completes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from catalog import FileVersion, connect

FILES = 600


def make_files(root: Path) -> dict[str, bytes]:
    model = {f"d{number % 7}/f{number:04d}": b"%d" % number * 40 for number in range(FILES)}
    for path, content in model.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return model


def killed_after(acknowledged: int, url: str, tree: Path) -> int:
    """Ingest in a process of its own, and kill it once it has told of so many files; how many it told of at last."""
    command = [sys.executable, "-m", "tests.races.ingesting", url, f"{tree}"]
    told = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            told = int(line)
            if told >= acknowledged:
                process.kill()
                break
        told = max([told, *(int(line) for line in process.stdout if line.strip())])
    assert process.returncode == -9, "it ended before it was killed"
    return told


@pytest.mark.parametrize("acknowledged", [0, 1, FILES // 2])
async def test_what_a_killed_ingest_acknowledged_is_there(tmp_path: Path, acknowledged: int) -> None:
    tree = tmp_path / "tree"
    model, url = make_files(tree), f"local:{tmp_path / 'catalog'}"
    async with connect(url) as catalog:
        await catalog.create_volume("v", shards=2)
    told = killed_after(acknowledged, url, tree)
    async with connect(url) as catalog:
        volume = await catalog.volume()
        seen = [entry async for entry in volume.list(recursive=True)]
        assert told <= len(seen) < FILES
        await catalog.recover(patience_s=0)
        assert [entry async for entry in volume.list(recursive=True)] == seen
        verified = await volume.verify()
        assert (verified.checked, verified.findings) == (len(seen), ())
        for file in seen:
            assert isinstance(file, FileVersion)
            assert await volume.read(file.path) == model[file.path]
        report = await volume.ingest(tree)
        assert (report.written, report.unchanged, report.failed) == (FILES - len(seen), len(seen), ())
        assert {entry.path for entry in [entry async for entry in volume.list(recursive=True)]} == model.keys()
        assert (await catalog.recover(patience_s=0)).quiet
        blobs = [blob async for blob in catalog._content.list()]
        files = [file async for file in volume.list(recursive=True) if isinstance(file, FileVersion)]
        assert {blob.name for blob in blobs} == {file.blob for file in files}
