"""The main job of blobcat, on real files, each claim checked: a demonstration that doubles as an acceptance test.

`play` calls the steps in order. They are told in `demo_story` and `demo_kill`; what they show is in `demo_show`, the
files in `demo_tree`, the back ends in `demo_stage`.
"""

import argparse
import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from azurite.launch import AzuriteError
from catalog import CatalogError, connect
from scripts.demo_kill import kill
from scripts.demo_show import ClaimError, Show, megabytes
from scripts.demo_stage import Stage, stage
from scripts.demo_story import history, ingest, ingest_again, query, verify
from scripts.demo_tree import Tree

FILES_MIN = 300
AZURITE_FILES_MAX = 3000


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
        ("blobcat query --where 'size>1MB'", "by any field, also meta.origin = 'stdlib'"),
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
    kept = chosen.keep is not None
    try:
        perform(show, folder, azurite=chosen.azurite, files_max=files_max)
        kept = not chosen.azurite
    except (ClaimError, CatalogError, AzuriteError) as error:
        kept = not chosen.azurite
        show.failed(f"{error}" + (f"\n  {folder} is left for you to look at" if kept else ""))
        return 1
    except KeyboardInterrupt:
        show.failed("stopped")
        return 130
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
