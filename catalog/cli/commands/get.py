"""`blobcat get`."""

import sys
from typing import Annotated

import typer

from ..columns import size
from ..download import Download, target_of
from ..options import PathArgument, VersionOption
from ..records import record_of
from ..session import Session


async def get(
    session: Session,
    path: PathArgument,
    local: Annotated[
        str | None,
        typer.Argument(
            metavar="LOCAL|-", help="A file or folder; - writes to standard output. Else the path's last part."
        ),
    ] = None,
    version: VersionOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the local file if there is one.")] = False,
) -> None:
    """Read a file, verified, into a local file or to standard output.

        blobcat get 2026/report.csv
        blobcat get 2026/report.csv - --version 1 | head

    The local file appears when all of it is there and is what was written; until then, and after any error, it is not
    touched. Standard output gets what is read as it comes: if it turns out to be damaged, the exit code says so.

    --json: the version that was read, with all fields as put shows them, and target: the local file. With - it is
    content alone that is written.
    """
    async with session.volume() as volume:
        if local == "-":
            async with volume.open(path, version=version) as reader:
                async for chunk in reader:
                    sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        target = target_of(path, local)
        with Download(target, replace=force) as download:
            async with volume.open(path, version=version) as reader:
                async for chunk in reader:
                    download.write(chunk)
        file = reader.file
    session.output.show(
        record_of(file) | {"target": str(target)},
        lambda: [
            (str(target), "bold"),
            f"  version {file.version}  ",
            (size(file.size), "green"),
            ("  verified", "dim"),
        ],
    )
