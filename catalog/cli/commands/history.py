"""`blobcat history`."""

from ..columns import HISTORY_HEADING, history_row
from ..options import PathArgument
from ..session import Session


async def history(session: Session, path: PathArgument) -> None:
    """Show all versions of a file, newest first; deletes too.

    Every version can still be read: blobcat get --version N PATH.

    --json: a FileVersion per line. See docs/json.md.
    """
    first = True
    async with session.volume() as volume:
        async for file in volume.history(path):
            if first:
                session.output.heading(HISTORY_HEADING)
            session.output.show(file, lambda file=file: history_row(file))  # type: ignore[misc]
            first = False
