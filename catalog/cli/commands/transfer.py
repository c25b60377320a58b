"""`blobcat cp`, `mv` and `restore`: what is there already, under another path or once more. No bytes move."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from ..folders import check_file, check_transfer
from ..modes import mode_of
from ..options import ForceOption, IfMatchOption, IfVersionOption, PathArgument, SourceArgument, TargetArgument
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import FileVersion, Mode


async def cp(
    session: Session,
    source: SourceArgument,
    target: TargetArgument,
    force: ForceOption = False,
    if_version: IfVersionOption = None,
    if_match: IfMatchOption = None,
) -> None:
    """Copy a file to another path; no bytes move, and nothing is overwritten unasked.

    --json: one FileVersion, the version that was made; its source says what it was made of. See docs/json.md.
    """
    check_transfer("cp", source, target)
    async with session.volume() as volume:
        file = await volume.copy(source, target, mode=_onto(force=force, if_version=if_version, if_match=if_match))
    session.output.show(file, lambda file: _line(source, file))


async def mv(
    session: Session,
    source: SourceArgument,
    target: TargetArgument,
    force: ForceOption = False,
    if_version: IfVersionOption = None,
    if_match: IfMatchOption = None,
) -> None:
    """Give a file another path; history stays with each path, and nothing is overwritten unasked.

    --json: one FileVersion, the version that was made; its source says what it was made of. See docs/json.md.
    """
    check_transfer("mv", source, target)
    async with session.volume() as volume:
        file = await volume.move(source, target, mode=_onto(force=force, if_version=if_version, if_match=if_match))
    session.output.show(file, lambda file: _line(source, file))


async def restore(
    session: Session,
    path: PathArgument,
    version: Annotated[int, typer.Option("--version", metavar="N", help="The version to bring back.", min=1)],
    if_version: IfVersionOption = None,
    if_match: IfMatchOption = None,
) -> None:
    """Make an older version of a file the current one again, as a new version; of a deleted file, too.

    --json: one FileVersion, the version that was made; its source says what it was made of. See docs/json.md.
    """
    check_file(path, f"blobcat ls --deleted -r {shlex.quote(path)} shows the files that were in it")
    mode = mode_of(if_version=if_version, if_match=if_match)
    async with session.volume() as volume:
        file = await volume.restore(path, version=version, mode=mode)
    session.output.show(file, lambda file: _line(f"{path}@{version}", file))


def _onto(*, force: bool, if_version: int | None, if_match: str | None) -> "Mode":
    asked = force or if_version is not None or if_match is not None
    return mode_of(create=not asked, if_version=if_version, if_match=if_match, force=force)


def _line(source: str, file: "FileVersion") -> Line:
    return [(source, "dim"), " → ", (file.path, "bold"), f"  version {file.version}"]
