"""A process that races: for each line `NAME MODE` it puts as three tasks at once, and prints what they were told."""

import asyncio
import json
import sys

from catalog import ConflictError, Create, IfVersion, Volume, connect

TASKS = 3


async def race(volume: Volume, path: str, version: int) -> list[int]:
    """The versions that the tasks made; 0 for a conflict."""

    async def put(task: int) -> int:
        mode = IfVersion(version) if version else Create()
        try:
            return (await volume.put(path, f"{volume!r}{task}".encode(), mode=mode)).version
        except ConflictError:
            return 0

    return await asyncio.gather(*(put(task) for task in range(TASKS)))


async def main(url: str) -> None:
    """Serve one line after the other, until there are no more."""
    async with connect(url) as catalog:
        volume = await catalog.volume()
        print("ready", flush=True)  # noqa: T201
        while line := await asyncio.to_thread(sys.stdin.readline):
            path, version = line.split()
            print(json.dumps(await race(volume, path, int(version))), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
