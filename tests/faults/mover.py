"""A program that a test kills: it goes through one scenario."""

import asyncio
import sys

from catalog import Settings, connect
from tests.faults.scenarios import SCENARIOS


async def main(url: str, name: str) -> None:
    """Do it."""
    scenario = next(each for each in SCENARIOS if each.name == name)
    async with connect(url, settings=Settings(one_shot_bytes=24, block_bytes=8), writer="killed") as catalog:
        await scenario.act(catalog)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
