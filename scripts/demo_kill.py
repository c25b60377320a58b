"""Step 6 of the demo: `kill -9` half-way through an ingest, and what is left of it."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from catalog import Catalog, Volume, connect
from scripts.demo_child import child
from scripts.demo_show import Show
from scripts.demo_stage import Stage, Witness
from scripts.demo_story import etags_of, files
from scripts.demo_tree import Tree

HALF_WAY = 0.4
"""Of the files: when that many are acknowledged, the ingest is killed."""
CHILD_S = 300


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a process had written when it was killed: by its own word, and as another one saw it."""

    files: int
    etags: dict[str, str]


async def kill(show: Show, where: Stage, tree: Tree) -> None:
    """Kill an ingest in another process; recover; look for what is missing or half-done; and carry on."""
    ingest = ("--url", where.url, "--volume", "again", "ingest", f"{tree.root}")
    with show.step("kill -9 an ingest half-way, recover, and carry on"):
        show.by_hand("blobcat --volume again ingest .  &  kill -9 $!")
        async with connect(where.url, writer="demo") as cat:
            acknowledged = await killed_half_way(show, await cat.create_volume("again"), ingest, len(tree.sizes))
        async with connect(where.url, writer="demo") as cat, Witness(where.url) as witness:  # opened again
            volume = await cat.volume("again")
            await recover(show, cat, volume, witness, acknowledged)
            await carry_on(show, volume, witness, ingest, tree)


async def killed_half_way(show: Show, volume: Volume, ingest: Sequence[str], total: int) -> Acknowledged:
    """Start an ingest in a process of its own, and kill it when it has acknowledged part of its files."""
    etags: dict[str, str] = {}
    with show.progress("another process", total) as advance:
        async with asyncio.timeout(CHILD_S), child(*ingest) as process:
            async for done in process.progress():
                advance(done, "")
                if done >= HALF_WAY * total:
                    process.stop()  # while it is looked at what it has written
                    etags = await etags_of(volume)
                    await process.kill()
    show.claim(
        f"killed after it had acknowledged {process.done:,} of {total:,} files",
        process.status == -signal.SIGKILL and 0 < process.done < total,
        found=f"status {process.status}",
    )
    return Acknowledged(process.done, etags)


async def recover(show: Show, cat: Catalog, volume: Volume, witness: Witness, acknowledged: Acknowledged) -> None:
    """What the killed process left behind, before and after."""
    begun, there = await witness.open_intents(volume.info), await etags_of(volume)
    loose = len(await witness.blobs(volume.info)) - len(there)
    show.say(f"Left behind in storage: {begun:,} writes that began and did not end, {loose:,} contents of theirs.")
    show.claim("it was killed in the middle of writing", begun > 0)
    report = await volume.verify()
    show.claim(
        f"none of that is visible: {len(there):,} files are listed, each of them whole",
        report.ok and report.checked == len(there),
        found=report,
    )
    show.by_hand("blobcat recover --patience 0")
    recovery = await cat.recover(patience_s=0)
    settled, left = recovery.count("aborted") + recovery.count("committed"), await witness.open_intents(volume.info)
    show.claim(f"{settled:,} writes settled, none left open", settled == begun and left == 0, found=recovery)
    now = await etags_of(volume)
    show.claim(
        f"all {acknowledged.files:,} acknowledged files are there, unchanged",
        len(now) >= acknowledged.files and acknowledged.etags.items() <= now.items(),
        found=len(now),
    )
    contents = {file.blob async for file in files(volume)}
    show.claim(
        "nothing half-done is left: contents and versions match one to one",
        await witness.blobs(volume.info) == contents,
    )


async def carry_on(show: Show, volume: Volume, witness: Witness, ingest: Sequence[str], tree: Tree) -> None:
    """The same command once more, to its end."""
    there = await etags_of(volume)
    show.by_hand("blobcat --volume again ingest .")
    with show.progress("carries on", len(tree.sizes)) as advance:
        async with asyncio.timeout(CHILD_S), child(*ingest) as process:
            async for done in process.progress():
                advance(done, "")
    show.claim("started again, the ingest carries on to its end", process.status == 0, found=f"status {process.status}")
    now = {file.path: file async for file in files(volume)}
    show.claim(f"all {len(now):,} files are there", {path: file.size for path, file in now.items()} == tree.sizes)
    show.claim(
        "each was written once: those that were there cost no write",
        there.items() <= {path: file.etag for path, file in now.items()}.items()
        and {file.version for file in now.values()} == {1}
        and await witness.blobs(volume.info) == {file.blob for file in now.values()},
    )
