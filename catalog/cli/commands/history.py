"""`blobcat history`."""

import shlex

from ..columns import HISTORY_HEADING, history_row
from ..folders import check_file
from ..options import PathArgument
from ..session import Session


async def history(session: Session, path: PathArgument) -> None:
    """Show all versions of a file, newest first; deletes too.

    Every version can still be read, but for those that were purged: blobcat get --version N PATH.

    --json: a FileVersion per line. See docs/json.md.
    """
    check_file(path, f"blobcat ls --deleted -r {shlex.quote(path)} shows the files that are and were in it")
    first = True
    async with session.volume() as volume:
        async for file in volume.history(path):
            if first:
                session.output.heading(HISTORY_HEADING)
            session.output.show(file, history_row)
            first = False
