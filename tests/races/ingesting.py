"""A process that ingests a tree, and prints after each step how many files are in the catalog for good."""

import asyncio
import sys

from catalog import IngestProgress, connect


def tell(progress: IngestProgress) -> None:
    """Print what is acknowledged."""
    print(progress.written, flush=True)  # noqa: T201


async def main(url: str, tree: str) -> None:
    """Ingest into the default volume."""
    async with connect(url) as catalog:
        await (await catalog.volume()).ingest(tree, progress=tell)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
