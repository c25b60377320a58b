"""A program that a test kills: it puts a file, or moves one, and says so."""

import asyncio
import sys

from catalog import Settings, connect


async def main(url: str, act: str) -> None:
    """Do it."""
    async with connect(url, settings=Settings(one_shot_bytes=24, block_bytes=8), writer="killed") as catalog:
        volume = await catalog.volume("v")
        await (volume.put("a", b"new") if act == "put" else volume.move("a", "b"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
