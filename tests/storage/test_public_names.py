"""What `storage` offers, and what importing it must not cost."""

import subprocess
import sys
from pathlib import Path

import storage

ROOT = Path(__file__).parent.parent.parent


def test_all_names_exist_and_are_sorted() -> None:
    assert all(hasattr(storage, name) for name in storage.__all__)
    constants, classes, functions = (
        [name for name in storage.__all__ if kind(name)] for kind in (str.isupper, _is_class, str.islower)
    )
    assert storage.__all__ == sorted(constants) + sorted(classes) + sorted(functions)


def test_importing_storage_loads_no_sdk_and_no_event_loop() -> None:
    program = "import sys, storage; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    loaded = {module.partition(".")[0] for module in ran.stdout.split()}
    assert loaded & {"azure", "aiohttp", "asyncio", "sqlite3"} == set()


def _is_class(name: str) -> bool:
    return not name.isupper() and not name.islower()
