"""What `storage` offers, and what importing it must not cost."""

import subprocess
import sys
from pathlib import Path

import storage

ROOT = Path(__file__).parent.parent.parent


def test_every_public_name_is_there_once() -> None:
    assert all(hasattr(storage, name) for name in storage.__all__)
    assert len(set(storage.__all__)) == len(storage.__all__)


def test_importing_storage_loads_no_sdk_and_no_event_loop() -> None:
    program = "import sys, storage; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    loaded = {module.partition(".")[0] for module in ran.stdout.split()}
    assert loaded & {"azure", "aiohttp", "asyncio", "sqlite3"} == set()
