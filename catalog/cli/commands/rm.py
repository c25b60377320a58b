"""`blobcat rm`: one file, or all that is in a folder."""

import shlex
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import GAP, count, size
from ..completion import complete_path
from ..errors import FINDINGS, OK, UsageError
from ..folders import check_file, known_folder
from ..modes import mode_of
from ..options import IfMatchOption, IfVersionOption
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import CatalogError, FileVersion, Volume


async def rm(
    session: Session,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file, or with -r a folder.", autocompletion=complete_path)
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="All that is in a folder, at any depth.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting a folder.")] = False,
    if_version: IfVersionOption = None,
    if_match: IfMatchOption = None,
    missing_ok: Annotated[bool, typer.Option("--missing-ok", help="It is fine if nothing is there.")] = False,
) -> int:
    """Delete a file, or with -r a folder; older versions stay readable.

        blobcat rm -r 2026/scratch

    A folder is counted first, and you are asked. What is written meanwhile stays: a file goes only if it is as it was
    counted. Each file that failed is named on stderr, and the exit code is 1.

    --json: a FileVersion per line, the delete; of a file that failed, a FailedDelete (path, error). Nothing where no
    file was there. See docs/json.md.
    """
    if recursive:
        if if_version is not None or if_match is not None:
            raise UsageError("--if-version and --if-match are about one file, and -r about many")
        return await _folder(session, path, yes=yes, missing_ok=missing_ok)
    check_file(path, f"blobcat rm -r {shlex.quote(path)}")
    mode = mode_of(if_version=if_version, if_match=if_match)
    async with session.volume() as volume, known_folder(volume, path):
        file = await volume.delete(path, mode=mode, missing_ok=missing_ok)
    if file:
        session.output.show(file, _line)
        session.output.closing(f"version {file.version - 1} and older stay readable: blobcat history")
    else:
        session.output.note((path, "bold"), "  is not there")
    return OK


async def _folder(session: Session, path: str, *, yes: bool, missing_ok: bool) -> int:
    from ... import FileVersion

    if not path:
        raise UsageError("rm -r takes a folder, and this is none", "to empty a volume, delete its folders by name")
    folder = path if path.endswith("/") else path + "/"
    async with session.volume() as volume:
        files = [file async for file in volume.list(folder, recursive=True) if isinstance(file, FileVersion)]
        if not files:
            return _nothing(session, folder, volume.name, missing_ok=missing_ok)
        if not yes and not session.output.asks:
            raise UsageError("rm -r asks before it deletes, and here is nobody to ask", "--yes, if you are sure")
        held = f"{count(len(files), 'file')}, {size(sum(file.size for file in files))}"
        if not yes and not await session.output.confirmed(f"delete {folder}", f"{GAP}{held}"):
            session.output.note("nothing was deleted")
            return FINDINGS
        failed = await _deleted(session, volume, files)
    session.output.closing(f"{len(files) - failed:,} deleted · {failed:,} failed · older versions stay readable")
    return FINDINGS if failed else OK


def _nothing(session: Session, folder: str, volume: str, *, missing_ok: bool) -> int:
    from ...paths import nothing_below

    if not missing_ok:
        raise nothing_below(folder, volume, op="delete")
    session.output.note((folder, "bold"), "  is not there")
    return OK


async def _deleted(session: Session, volume: "Volume", files: "list[FileVersion]") -> int:
    """Delete them, many at a time, each if it is as it was found; how many failed."""
    from ... import CatalogError, IfMatch
    from ...flow import concurrently, each
    from ...settings import Settings

    async def delete(file: "FileVersion") -> "tuple[str, FileVersion | CatalogError | None]":
        try:
            return file.path, await volume.delete(file.path, mode=IfMatch(file.etag), missing_ok=True)
        except CatalogError as exc:
            return file.path, exc

    failed = 0
    async with aclosing(concurrently(each(files), delete, limit=Settings().concurrency_max)) as outcomes:
        async for path, outcome in outcomes:
            if isinstance(outcome, CatalogError):
                failed += 1
                _show_failure(session, path, outcome)
            elif outcome:  # else someone was faster
                session.output.show(outcome, _line)
    return failed


def _show_failure(session: Session, path: str, error: "CatalogError") -> None:
    if session.output.json:
        session.output.record({"path": path, "error": error})
    session.output.failed(path, error)


def _line(file: "FileVersion") -> Line:
    return [(file.path, "bold"), f"  version {file.version}  ", ("deleted", "red")]
