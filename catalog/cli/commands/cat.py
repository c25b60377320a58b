"""`blobcat cat`."""

import shlex
from typing import Annotated

import typer

from ..completion import complete_path
from ..folders import check_file
from ..moments import parsed_moment
from ..options import AsOfOption, VersionOption
from ..session import Session


async def cat(
    session: Session,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…", help="Files of the catalog, one after the other.", autocompletion=complete_path
        ),
    ],
    version: VersionOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Write the content of files to standard output, verified.

        blobcat cat 2026/a.csv 2026/b.csv | wc -l

    What is read goes out as it comes; a file that turns out to be damaged ends it, and the exit code says so.

    --json: content is written as it is; only an error is JSON.
    """
    for path in paths:
        check_file(path, f"blobcat ls -r {shlex.quote(path)} shows the files in it")
    then = parsed_moment("--as-of", as_of)
    async with session.volume() as volume:
        for path in paths:
            async with volume.open(path, version=version, as_of=then) as reader:
                await session.output.content(reader)
