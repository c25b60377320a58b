"""The main job of blobcat, on real files, each claim checked: a demonstration that doubles as an acceptance test.

Reads top to bottom: `play` calls the steps in order. What they show is in `demo_show`, the files in `demo_tree`, the
back ends in `demo_stage`.
"""

import argparse
import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from azurite.launch import AzuriteError
from catalog import (
    Catalog,
    CatalogError,
    F,
    FileVersion,
    IngestProgress,
    IngestReport,
    IntegrityError,
    Volume,
    connect,
)
from scripts.demo_child import child
from scripts.demo_show import Advance, ClaimError, Show
from scripts.demo_stage import Stage, Witness, stage
from scripts.demo_tree import PARTS, Tree, spread

FILES_MIN = 300
AZURITE_FILES_MAX = 3000
CHANGED = 12
LARGE = 100_000
SHOWN = 5
HALF_WAY = 0.4
"""Of the files: when that many are acknowledged, the ingest is killed."""
CHILD_S = 300


async def play(show: Show, where: Stage, tree: Tree) -> None:
    """All steps, in order. Raises: ClaimError."""
    async with connect(where.url, writer="demo") as cat:
        volume = await cat.create_volume("demo")
        await ingest(show, where, volume, tree)
        await query(show, volume, tree)
        changed = await ingest_again(show, volume, tree)
        await history(show, volume, tree, changed)
        await verify(show, where, volume, tree)
    await kill(show, where, tree)


# --- 1 to 4: what is there, what was there ---------------------------------------------------------------------------


async def ingest(show: Show, where: Stage, volume: Volume, tree: Tree) -> None:
    """All files, each half with metadata of its own."""
    with show.step(f"Ingest {len(tree.sizes):,} files, {megabytes(tree.size)}, into {where.name}"):
        for part in PARTS:
            expected = tree.part(part)
            show.by_hand(f"blobcat ingest {part} --prefix {part}/ --meta origin={part}")
            with show.progress(part, len(expected)) as advance:
                report = await volume.ingest(
                    tree.root / part, prefix=part, metadata={"origin": part}, progress=moving(advance)
                )
            show.claim(f"{report.written:,} files of {part} written", ingested(report, len(expected), 0), found=report)
        listed = {file.path: file.size async for file in files(volume)}
        show.claim("the catalog lists exactly the files on disk, with their sizes", listed == tree.sizes)


async def query(show: Show, volume: Volume, tree: Tree) -> None:
    """By built-in fields and by the user's own."""
    with show.step("Query by metadata"):
        show.by_hand("blobcat query --where content_type=text/x-python --where 'size>100kB'")
        large = [file async for file in volume.query((F.content_type == "text/x-python") & (F.size > LARGE))]
        biggest = sorted(large, key=lambda file: -file.size)[:SHOWN]
        show.table(("#size", "path"), [(f"{file.size:,}", file.path) for file in biggest])
        show.claim(
            f"{len(large)} Python files over 100 kB, the same that the disk has",
            [file.path for file in large] == tree.python(larger_than=LARGE),
        )
        show.by_hand("blobcat query --where meta.origin=stdlib")
        ours = {file.path async for file in volume.query(F.meta["origin"] == "stdlib")}
        show.claim(
            f"{len(ours):,} files say that they are of stdlib, all of those and no other",
            ours == {*tree.part("stdlib")},
        )


async def ingest_again(show: Show, volume: Volume, tree: Tree) -> dict[str, bytes]:
    """Change a few files and ingest all; returns what was in the changed ones before."""
    with show.step(f"Change {CHANGED} files and ingest everything again"):
        before = {path: tree.content(path) for path in spread(tree.python(), CHANGED)}
        for path in before:
            tree.append(path, "\n# changed by the demo\n")
        show.by_hand("blobcat ingest .")
        with show.progress("again", len(tree.sizes)) as advance:
            report = await volume.ingest(tree.root, progress=moving(advance))
        unchanged = len(tree.sizes) - CHANGED
        show.claim(
            f"{report.written} written; {report.unchanged:,} unchanged, which cost no write",
            ingested(report, CHANGED, unchanged),
            found=report,
        )
        second = {file.path async for file in volume.query(F.version > 1)}
        show.table(("#version", "path"), [("2", path) for path in sorted(second)[:SHOWN]])
        show.claim("exactly the changed files have version 2", second == before.keys())
        return before


async def history(show: Show, volume: Volume, tree: Tree, before: dict[str, bytes]) -> None:
    """Of one changed file, and its old content."""
    path = max(before, key=lambda path: len(before[path]))
    with show.step("The history of one of them, and its old version"):
        show.by_hand(f"blobcat history {shlex.quote(path)}")
        versions = [version async for version in volume.history(path)]
        rows = [
            (f"{v.version}", f"{v.size:,}", f"{v.created:%H:%M:%S}", v.digest[:20] + "…", v.writer) for v in versions
        ]
        show.table(("#version", "#size", "created", "digest", "writer"), rows)
        show.claim("two versions, the newest first", [v.version for v in versions] == [2, 1], found=versions)
        show.by_hand(f"blobcat get {shlex.quote(path)} --version 1")
        old, new = await volume.read(path, version=1), await volume.read(path)
        show.claim(f"version 1 is what the file was, byte for byte ({len(old):,} bytes)", old == before[path])
        show.claim(f"version 2 is what it is ({len(new):,} bytes)", new == tree.content(path))


# --- 5: is it still true ---------------------------------------------------------------------------------------------


async def verify(show: Show, where: Stage, volume: Volume, tree: Tree) -> None:
    """All digests; then with one blob damaged; then mended."""
    versions = len(tree.sizes) + CHANGED
    victim = await volume.stat(max(tree.python(), key=tree.sizes.__getitem__))
    with show.step("Verify every version against its digest, and find a damaged one"):
        show.by_hand("blobcat verify")
        show.claim(f"{versions:,} versions are what was written", await damaged(show, volume, versions) == [])
        await where.flip(victim.blob)
        show.say(f"Now one bit of {victim.path} is flipped in storage, behind the catalog's back.")
        found = await damaged(show, volume, versions)
        show.table(("#version", "damaged"), [(f"{file.version}", file.path) for file in found])
        show.claim("exactly that one is reported", found == [victim], found=found)
        show.claim("reading it is an error; damaged bytes are never passed on", await is_refused(volume, victim))
        await where.flip(victim.blob)
        show.claim("flipped back, all is well again", (await volume.verify(victim.path)).ok)


async def damaged(show: Show, volume: Volume, versions: int) -> list[FileVersion]:
    """The versions whose content is not what was written, of so many."""
    with show.progress("verify", versions) as advance:
        report = await volume.verify(progress=lambda checked, size: advance(checked, megabytes(size)))
    if report.checked != versions:
        raise ClaimError(f"verify reads all {versions:,} versions: it read {report.checked:,}")
    return [finding.file for finding in report.findings]


async def is_refused(volume: Volume, file: FileVersion) -> bool:
    """Whether reading it says that it is damaged."""
    try:
        await volume.read(file.path)
    except IntegrityError:
        return True
    return False


# --- 6: kill -9 ------------------------------------------------------------------------------------------------------


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


# --- Small things ----------------------------------------------------------------------------------------------------


async def files(volume: Volume) -> AsyncIterator[FileVersion]:
    """All files of a volume."""
    async for entry in volume.list(recursive=True):
        if isinstance(entry, FileVersion):
            yield entry


async def etags_of(volume: Volume) -> dict[str, str]:
    """The etag of each file, which changes exactly when its version does."""
    return {file.path: file.etag async for file in files(volume)}


def ingested(report: IngestReport, written: int, unchanged: int) -> bool:
    """Whether an ingest did exactly that."""
    return report.ok and (report.written, report.unchanged) == (written, unchanged)


def moving(advance: Advance) -> Callable[[IngestProgress], None]:
    """What moves a bar as an ingest goes on."""
    return lambda now: advance(now.written + now.unchanged + now.failed, megabytes(now.bytes_written))


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:,.0f} MB"


# --- The program -----------------------------------------------------------------------------------------------------


def perform(show: Show, folder: Path, *, azurite: bool, files_max: int | None) -> None:
    """Set the stage, play, and say what to try next."""
    with stage(folder, azurite=azurite) as where:
        tree = Tree.linked(folder / "tree", files_max)
        show.title("blobcat: a demonstration", f"{where.url}, working on links to real files in {tree.root}")
        try:
            asyncio.run(play(show, where, tree))
        finally:
            tree.remove()
        show.summary(f"{len(tree.sizes):,} files on {where.name}")
    show.next(next_azurite() if azurite else next_local(where, folder))


def next_local(where: Stage, folder: Path) -> list[tuple[str, str]]:
    """The catalog is still there."""
    kept = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return [
        ("source .venv/bin/activate", ""),
        (f"export BLOBCAT_URL={shlex.quote(where.url)}", ""),
        ("blobcat volumes", "what the demo made"),
        ("blobcat ls stdlib/", "a folder; ls -r for all below it"),
        ("blobcat query --where 'size>1MB'", "by any field, also meta.origin=stdlib"),
        ("blobcat ingest . --prefix mine/", "files of your own"),
        (f"rm -r {shlex.quote(str(folder))}", f"when you are done: {megabytes(kept)}"),
    ]


def next_azurite() -> list[tuple[str, str]]:
    """Azurite is gone, and what it held."""
    return [
        ("./scripts/azurite", "leave it running, and in another terminal:"),
        ("source .venv/bin/activate", ""),
        ("export BLOBCAT_URL=…", "the line that ./scripts/azurite prints"),
        ("blobcat init", "a volume to begin with"),
        ("blobcat ingest . --prefix mine/", "files of your own"),
        ("blobcat query --where 'size>1MB'", "by any field"),
    ]


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Runs blobcat's main job and checks each claim.")
    parser.add_argument("--azurite", action="store_true", help="on an Azurite that the demo starts and stops")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder, not in a temporary one")
    parser.add_argument(
        "--files", type=int, metavar="N", help=f"work on so many files (default: all; {AZURITE_FILES_MAX:,} on Azurite)"
    )
    chosen = parser.parse_args()
    if chosen.files is not None and chosen.files < FILES_MIN:
        parser.error(f"--files: with fewer than {FILES_MIN} there is not enough to show")
    if chosen.keep and chosen.azurite:
        parser.error("--keep: Azurite keeps its files in memory")
    if chosen.keep and chosen.keep.exists():
        parser.error(f"--keep: {chosen.keep} is there already")
    return chosen


def main() -> int:
    """Run the demo; 0 where all claims hold."""
    chosen, show = options(), Show()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: what was started is ended
    if chosen.keep:
        chosen.keep.mkdir(parents=True)
    folder = (chosen.keep or Path(tempfile.mkdtemp(prefix="blobcat-demo-"))).absolute()
    files_max = chosen.files or (AZURITE_FILES_MAX if chosen.azurite else None)
    try:
        perform(show, folder, azurite=chosen.azurite, files_max=files_max)
    except (ClaimError, CatalogError, AzuriteError) as error:
        show.failed(f"{error}")
        return 1
    except KeyboardInterrupt:
        show.failed("stopped")
        return 130
    finally:
        if chosen.azurite:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
