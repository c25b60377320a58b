"""`blobcat get`."""

import os
import shlex
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import size, tree_summary
from ..errors import FINDINGS, OK, UsageError
from ..folders import check_file, known_folder
from ..moments import parsed_moment
from ..options import AsOfOption, PathArgument, VersionOption
from ..output import Line
from ..progress import DownloadText, progress
from ..session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from ... import DownloadReport, Existing, Volume


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
    as_of: AsOfOption = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="All files below PATH, into the folder LOCAL.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", help="Replace local files that are there.")
    ] = False,
    skip: Annotated[bool, typer.Option("--skip", help="With -r: leave local files that are there alone.")] = False,
    newer: Annotated[bool, typer.Option("--newer", help="With -r: replace local files that are older.")] = False,
) -> int:
    """Read a file, verified, into a local file or to standard output; or a tree of files into a folder.

        blobcat get 2026/report.csv
        blobcat get 2026/report.csv - --version 1 | head
        blobcat get -r 2026/ reports --newer

    A local file appears when all of it is there and is what was written; until then, and after any error, it is not
    touched. Standard output gets what is read as it comes: if it turns out to be damaged, the exit code says so.

    With -r one bad file stops no other: the failed ones are named on stderr, and the exit code is 1. Nothing is written
    outside the folder; a path that is no file's on every system is a failure. Nothing is deleted.

    --json: one ReadFile: a FileVersion, and target, the local file. With - it is content alone that is written. With -r
    one ReadTree (written, skipped, bytes_written, failed, target), where failed lists Failure (path, source, error).
    See docs/json.md.
    """
    existing = _existing(overwrite=overwrite, skip=skip, newer=newer)
    if recursive and (version is not None or local == "-"):
        raise UsageError("--recursive takes neither --version nor -", "blobcat get -r PREFIX FOLDER")
    if not recursive and existing in ("skip", "newer"):
        raise UsageError(f"--{existing} goes with --recursive", "blobcat get -r PREFIX FOLDER")
    if not recursive:
        check_file(path, f"blobcat get -r {shlex.quote(path)} FOLDER")
    then = parsed_moment("--as-of", as_of)
    async with session.volume() as volume:
        if recursive:
            return await _tree(session, volume, path, local, existing, then)
        async with known_folder(volume, path, then):
            if local == "-":
                async with volume.open(path, version=version, as_of=then) as reader:
                    await session.output.content(reader)
            else:
                target = await _found(volume, path, local, version=version, as_of=then)
                await _file(session, volume, path, target, version=version, as_of=then, overwrite=overwrite)
    return OK


async def _found(
    volume: "Volume", path: str, local: str | None, *, version: int | None, as_of: "datetime | None"
) -> Path:
    """Where a file goes. Raises: as `_target_of`, of a file that is there; else that it is not: NotFoundError."""
    from ...errors import InvalidError

    try:
        return _target_of(path, local)
    except InvalidError:
        await volume.stat(path, version=version, as_of=as_of)
        raise


async def _file(
    session: Session,
    volume: "Volume",
    path: str,
    target: Path,
    *,
    version: int | None,
    as_of: "datetime | None",
    overwrite: bool,
) -> None:
    file = await volume.download(path, target, version=version, as_of=as_of, overwrite=overwrite)
    session.output.show(
        file,
        lambda file: [
            (str(target), "bold"),
            f"  version {file.version}  ",
            (size(file.size), "green"),
            ("  verified", "dim"),
        ],
        also={"target": str(target)},
    )


async def _tree(
    session: Session,
    volume: "Volume",
    prefix: str,
    local: str | None,
    existing: "Existing",
    as_of: "datetime | None",
) -> int:
    began = monotonic()
    folder = Path(local) if local is not None else _named(prefix.rstrip("/") or volume.name)
    with progress(session.output, "get") as update:
        told = DownloadText(update)
        report = await volume.download_tree(prefix, folder, as_of=as_of, existing=existing, progress=told)
    for failure in report.failed:
        session.output.failed(failure.path, failure.error)
    session.output.show(report, lambda report: _line(report, folder, monotonic() - began), also={"target": str(folder)})
    return OK if report.ok else FINDINGS


def _line(report: "DownloadReport", folder: Path, seconds: float) -> Line:
    return tree_summary(report, (report.skipped, "skipped"), seconds, where=f" into {folder}")


def _existing(*, overwrite: bool, skip: bool, newer: bool) -> "Existing":
    chosen: list[Existing] = []
    chosen += ["overwrite"] if overwrite else []
    chosen += ["skip"] if skip else []
    chosen += ["newer"] if newer else []
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    return chosen[0] if chosen else "fail"


def _target_of(path: str, local: str | None) -> Path:
    """Where a file of the catalog goes: what was said, or in a folder, by default this one, its own name."""
    if local is not None and not (local.endswith(("/", os.sep)) or Path(local).is_dir()):
        return Path(local)
    return Path(local or "") / _named(path)


def _named(path: str) -> Path:
    """The last part of a path, as a local name. Raises: InvalidError for one that is no file's on every system."""
    from ...placement import check_name

    return Path(check_name(path.rpartition("/")[2]))
