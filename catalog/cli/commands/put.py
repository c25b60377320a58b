"""`blobcat put`."""

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import in_short
from ..errors import UsageError
from ..folders import check_file
from ..metadata import parsed_metadata
from ..modes import mode_of
from ..options import IfMatchOption, IfVersionOption, MetaOption, PathArgument
from ..session import Session

if TYPE_CHECKING:
    from ... import Content


async def put(
    session: Session,
    local: Annotated[str, typer.Argument(metavar="FILE", help="The file to write; - reads standard input.")],
    path: PathArgument,
    meta: MetaOption = None,
    content_type: Annotated[
        str | None, typer.Option("--content-type", metavar="TYPE", help="Else the path's extension tells it.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Only if no such file is there.")] = False,
    if_version: IfVersionOption = None,
    if_match: IfMatchOption = None,
    force: Annotated[bool, typer.Option("--force", help="A new version even if nothing changed.")] = False,
) -> None:
    """Write a file, or standard input, to a path.

        blobcat put report.csv 2026/report.csv --meta owner=ops --meta rows:int=5000
        tar c docs | blobcat put - backup/docs.tar --create

    What is there already, with the same content and metadata, makes no new version. --meta replaces all metadata that
    the file had.

    --json: one FileVersion (volume, path, version, kind, etag, size, digest, md5, content_type, metadata, created,
    modified, writer, request_id, chain, blob, blob_etag, blob_version, source, learned, purged): the version that
    is current now. See docs/json.md.
    """
    name = "NAME" if local == "-" else Path(local).name
    check_file(path, f"blobcat put {shlex.quote(local)} {shlex.quote(path + name)}")
    mode = mode_of(create=create, if_version=if_version, if_match=if_match, force=force)
    metadata = parsed_metadata(meta)
    async with session.volume() as volume:
        content, modified = _content(local)
        file = await volume.put(
            path, content, mode=mode, metadata=metadata, content_type=content_type, modified=modified
        )
    session.output.show(file, in_short)


def _content(local: str) -> "tuple[Content, datetime | None]":
    if local == "-":
        return sys.stdin.buffer, None
    from ...times import from_microseconds

    source = Path(local)
    if source.is_dir():
        raise UsageError(f"{local} is a folder", f"blobcat ingest {local} brings in all of it")
    try:
        return source, from_microseconds(source.stat().st_mtime_ns // 1000)
    except OSError:
        return source, None  # reading it says in what way it is missing
