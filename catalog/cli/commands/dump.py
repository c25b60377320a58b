"""`blobcat dump`."""

import gzip
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, cast

import typer

from ..columns import GAP, count
from ..local_file import local_file
from ..progress import progress
from ..session import Session

if TYPE_CHECKING:
    from ... import Catalog, DumpEnd

PROGRESS_LINES = 500


async def dump(
    session: Session,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="A local file, packed where it ends in .gz; - is standard output.")
    ] = "-",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", help="Replace a local file that is there.")
    ] = False,
) -> None:
    """Write all that is known of the catalog as lines of JSON: every version of every file, but no content.

        blobcat dump catalog.jsonl.gz
        blobcat dump --volume main | grep '"path":"2026/'

    All volumes, or the one that --volume or BLOBCAT_VOLUME names. The file has its name when all of it is there. What
    stands in it docs/dump.md tells; blobcat load makes volumes of it again, anywhere.

    --json: with FILE one DumpReport (volumes, paths, versions, sha256, target); else it is the dump that is written.
    See docs/json.md.
    """
    async with session.catalog() as catalog:
        if file == "-":
            await _written(session, catalog, sys.stdout.buffer.write)
            sys.stdout.buffer.flush()
            return
        end = await _to_file(session, catalog, Path(file), overwrite=overwrite)
    session.output.show(
        end,
        lambda end: [
            (file, "bold"),
            f"{GAP}{count(end.versions, 'version')} of {count(end.paths, 'path')}",
            (f"{GAP}{count(end.volumes, 'volume')}{GAP}sha256 {end.sha256[:12]}", "dim"),
        ],
        also={"target": file},
    )


async def _to_file(session: Session, catalog: "Catalog", path: Path, *, overwrite: bool) -> "DumpEnd":
    with local_file(path, overwrite=overwrite) as file, ExitStack() as stack:
        write: Callable[[bytes], object] = file.write
        if path.suffix == ".gz":
            raw = cast("IO[bytes]", file)
            write = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0)).write
        return await _written(session, catalog, write)


async def _written(session: Session, catalog: "Catalog", write: Callable[[bytes], object]) -> "DumpEnd":
    from ...dumped import DumpEnd, parse_dump_line

    number, line = 0, ""
    with progress(session.output, "dump") as update:
        async for line in catalog.dump(session.options.volume):
            write(line.encode())
            number += 1
            if number % PROGRESS_LINES == 0:
                update(number, None, f"{number:,} versions")
    end = parse_dump_line(line)
    assert isinstance(end, DumpEnd)  # noqa: S101 — it is the last line
    return end
