"""A program that a test runs several of at once: counts up one blob by compare-and-swap, and keeps files of its own."""

import asyncio
import sys
from pathlib import Path

from storage.content import Always, ContentStore, Headers, IfAbsent, IfMatch
from storage.errors import ConflictError
from storage.local import LocalContent


async def count_up(store: ContentStore) -> None:
    """Add one to the counter."""
    while True:
        async with store.open("counter") as opened:
            value = int(b"".join([chunk async for chunk in opened.chunks]))
        try:
            await store.put("counter", b"%d" % (value + 1), when=IfMatch(opened.blob.etag), headers=Headers())
        except ConflictError:
            continue
        return


async def main(directory: Path, name: str, times: int) -> None:
    """Say each thing that is done, once it is."""
    store = LocalContent(directory)
    await store.create()
    for number in range(times):
        await count_up(store)
        await store.put(f"own/{name}/{number}", name.encode() * 10_000, when=IfAbsent(), headers=Headers())
        await store.put(f"latest/{name}", b"%d" % number, when=Always(), headers=Headers())
        print(number, flush=True)  # noqa: T201
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
