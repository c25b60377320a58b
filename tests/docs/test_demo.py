"""The demo holds on a few hundred files: all of its claims, `kill -9` included, and it leaves behind what it says."""

import subprocess
import sys
from pathlib import Path

from catalog import connect

ROOT = Path(__file__).parents[2]
FILES = 900


async def test_the_demo_holds_and_leaves_a_catalog(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "scripts.demo", "--files", f"{FILES}", "--keep", f"{folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "claims, all hold" in done.stdout
    assert f"export BLOBCAT_URL=local:{folder}/catalog" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["catalog"]
    async with connect(f"local:{folder}/catalog") as cat:
        assert [info.name async for info in cat.volumes()] == ["again", "demo"]
        assert len([file async for file in (await cat.volume()).list(recursive=True)]) == FILES
