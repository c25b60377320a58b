"""A program that a test runs: writes to a local store under a limit on the size of files, and says what it was told."""

import asyncio
import json
import resource
import sys
from pathlib import Path

from tests.harness.branches import take_part

take_part()

from storage.content import Always, Blocks, Headers  # noqa: E402 — what is imported from now on takes part
from storage.errors import CatalogError  # noqa: E402
from storage.local import LocalContent  # noqa: E402


def limit(size: int) -> None:
    """No file grows beyond this from now on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def main(directory: Path) -> None:
    """One line of JSON: the kinds of the errors, in turn."""
    store = LocalContent(directory)
    await store.create()
    await store.put("before", b"x" * 1000, when=Always(), headers=Headers())
    kinds = []
    limit(1 << 20)
    for name, size in (("short-of-room", (1 << 20) + 1), ("before", 5 << 20)):
        try:
            await store.put(name, b"x" * size, when=Always(), headers=Headers())
        except CatalogError as error:
            kinds.append(f"{type(error).__name__} {error.kind}")
    try:
        await store.stage("blocks", "1", b"x" * (1 << 19))
        await store.stage("blocks", "2", b"x" * (1 << 20))
    except CatalogError as error:
        kinds.append(f"{type(error).__name__} {error.kind}")
    await store.put("blocks", Blocks(["1"]), when=Always(), headers=Headers())
    limit((directory / "content.db-wal").stat().st_size)
    try:
        await store.put("no-room-in-the-index", b"x", when=Always(), headers=Headers())
    except CatalogError as error:
        kinds.append(f"{type(error).__name__} {error.kind}")
    limit(1 << 30)
    await store.put("after", b"y", when=Always(), headers=Headers())
    print(json.dumps(kinds))  # noqa: T201
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
