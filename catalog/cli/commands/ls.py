"""`blobcat ls`."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..columns import LONG_HEADING, SHORT_HEADING, count, file_row, folder_row, size
from ..errors import QUOTED, UsageError
from ..moments import parsed_moment
from ..options import AsOfOption, LongOption, PrefixArgument
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import FileVersion, Folder

EXAMPLE: Final = "blobcat ls --glob 'a/**'"


async def ls(
    session: Session,
    prefix: PrefixArgument = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All files, not folder by folder.")] = False,
    long: LongOption = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted files as well.")] = False,
    glob: Annotated[
        str | None,
        typer.Option("--glob", "-g", metavar="PATTERN", help="The files whose paths are like this, in quotes."),
    ] = None,
    as_of: AsOfOption = None,
) -> None:
    """List files and folders, in order of path.

    The prefix is taken as it stands: 2026/ lists a folder, 2026 all that begins so. Not on a terminal, and without
    --long, a line is a path and nothing else.

        blobcat ls --glob '2026/**/*.csv'

    With --as-of, what there was at that moment: it never changes, however often it is asked.

    In a glob * is any run of characters within a segment, ? one character, [a-z] one of a set, [!a-z] one not in it, **
    any number of segments, and [*] a star.

    --json: a FileVersion or a Folder (path, kind) per line. See docs/json.md.
    """
    from ... import Folder
    from ...paths import nothing_below

    if glob is not None and (prefix or recursive or deleted):
        raise UsageError(
            "--glob says it all: PREFIX, -r and --deleted do not go with it", QUOTED if prefix else EXAMPLE
        )
    then = parsed_moment("--as-of", as_of)
    folders = files = gone = bytes_ = 0
    async with session.volume() as volume:
        # nothing else may hold on to the walk: whoever stops reading ends it
        async for found in (
            volume.list(prefix, recursive=recursive, deleted=deleted, as_of=then)
            if glob is None
            else volume.glob(glob, as_of=then)
        ):
            if not folders + files + gone:
                session.output.heading(LONG_HEADING if long else SHORT_HEADING)
            if isinstance(found, Folder):
                folders += 1
            elif found.kind == "delete":
                gone += 1
            else:
                files, bytes_ = files + 1, bytes_ + found.size
            session.output.show(found, lambda found: _row(session, found, long=long))
        if prefix and not folders + files + gone:
            raise nothing_below(prefix, volume.name, op="list")
    parts = [
        (folders, count(folders, "folder")),
        (files, f"{count(files, 'file')}, {size(bytes_)}"),
        (gone, f"{gone:,} deleted"),
    ]
    session.output.closing(" · ".join(text for number, text in parts if number) or "nothing here")


def _row(session: Session, found: "FileVersion | Folder", *, long: bool) -> Line:
    from ... import Folder

    if not long and not session.output.terminal:
        return [found.path]
    return folder_row(found.path, long=long) if isinstance(found, Folder) else file_row(found, long=long)
