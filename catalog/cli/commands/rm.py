"""`blobcat rm`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..modes import mode_of
from ..options import IfMatchOption, IfVersionOption, PathArgument
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import FileVersion


async def rm(
    session: Session,
    path: PathArgument,
    if_version: IfVersionOption = None,
    if_match: IfMatchOption = None,
    missing_ok: Annotated[bool, typer.Option("--missing-ok", help="It is fine if no such file is there.")] = False,
) -> None:
    """Delete a file; its older versions stay readable.

    --json: the version that the delete is, with all fields as put shows them; nothing where no file was there.
    """
    mode = mode_of(if_version=if_version, if_match=if_match)
    async with session.volume() as volume:
        file = await volume.delete(path, mode=mode, missing_ok=missing_ok)
    if file:
        session.output.show(file, lambda: _line(file))
        session.output.closing(f"version {file.version - 1} and older stay readable: blobcat history")
    else:
        session.output.note((path, "bold"), "  is not there")


def _line(file: "FileVersion") -> Line:
    return [(file.path, "bold"), f"  version {file.version}  ", ("deleted", "red")]
