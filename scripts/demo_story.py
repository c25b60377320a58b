"""Steps 1 to 5 of the demo, each a function: what is there, what was there, and is it still true."""

import shlex
from collections.abc import AsyncIterator, Callable

from catalog import F, FileVersion, IngestProgress, IngestReport, IntegrityError, Volume
from scripts.demo_show import Advance, ClaimError, Show, megabytes
from scripts.demo_stage import Stage
from scripts.demo_tree import PARTS, Tree, spread

CHANGED = 12
LARGE = 100_000
SHOWN = 5


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
        show.by_hand("blobcat query --where \"content_type = 'text/x-python' and size > 100kB\"")
        large = [file async for file in volume.query((F.content_type == "text/x-python") & (F.size > LARGE))]
        biggest = sorted(large, key=lambda file: -file.size)[:SHOWN]
        show.table(("#size", "path"), [(f"{file.size:,}", file.path) for file in biggest])
        show.claim(
            f"{len(large)} Python files over 100 kB, the same that the disk has",
            [file.path for file in large] == tree.python(larger_than=LARGE),
        )
        show.by_hand("blobcat query --where \"meta.origin = 'stdlib'\"")
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
