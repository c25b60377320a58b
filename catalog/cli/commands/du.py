"""`blobcat du`."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..columns import GAP, SIZE_WIDTH, TIME_WIDTH, size, time
from ..moments import parsed_moment
from ..options import AsOfOption, PrefixArgument
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import FolderUsage

FILES_WIDTH: Final = 9
HEADING: Final = f"{'SIZE':>{SIZE_WIDTH}}{GAP}{'FILES':>{FILES_WIDTH}}{GAP}{'NEWEST':{TIME_WIDTH}}{GAP}FOLDER"


async def du(
    session: Session,
    prefix: PrefixArgument = "",
    depth: Annotated[
        int,
        typer.Option("--depth", "-d", metavar="N", help="Folders down to so many levels; 0 for the sum alone.", min=0),
    ] = 1,
    as_of: AsOfOption = None,
) -> None:
    """Show how much each folder holds: bytes, files, and when the newest was written.

    A folder counts what is in it at any depth, as it is now; older versions take room as well. Inner folders come
    before what they are in, and the sum of all last.

    --json: a FolderUsage (path, files, bytes, newest, kind) per line; the last one is the sum, its path the prefix. See
    docs/json.md.
    """
    from ...paths import nothing_below

    first, then = True, parsed_moment("--as-of", as_of)
    async with session.volume() as volume:
        async for usage in volume.folders(prefix, depth=depth, as_of=then):
            if prefix and not usage.files:  # the sum, and all there is
                raise nothing_below(prefix, volume.name, op="list")
            if first:
                session.output.heading(HEADING)
            first = False
            session.output.show(usage, lambda usage: _row(usage, total=usage.path == prefix))


def _row(usage: "FolderUsage", *, total: bool) -> Line:
    newest = time(usage.newest) if usage.newest else "-"
    return [
        (f"{size(usage.bytes):>{SIZE_WIDTH}}{GAP}", "green"),
        f"{usage.files:>{FILES_WIDTH},}{GAP}",
        (f"{newest:{TIME_WIDTH}}{GAP}", "dim"),
        (usage.path or "in all", "bold" if total else "bold blue"),
    ]
