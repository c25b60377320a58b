"""`blobcat query`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import LONG_HEADING, SHORT_HEADING, count, file_row, size
from ..options import LongOption, PrefixArgument
from ..output import Line
from ..session import Session
from ..where import parsed_where

if TYPE_CHECKING:
    from ... import FileVersion


async def query(
    session: Session,
    prefix: PrefixArgument = "",
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", "-w", metavar="CONDITION", help="FIELD OPERATOR VALUE, in quotes. All of them must hold."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="At most so many.", min=0)] = None,
    long: LongOption = False,
) -> None:
    """Find files by their fields and metadata.

        blobcat query 2026/ --where 'size>1MB' --where 'meta.owner=ops'

    Operators are = != < <= > >=. Fields are path, version, kind, etag, size, digest, md5, content_type, created,
    modified, writer, and meta.KEY. Sizes may be 1kB, 1MB or 1MiB. Times are 2026-11-20, 2026-11-20T10:00 (local) or
    2026-11-20T10:00:00Z. A value of metadata is a number, true or false, or a time if it looks like one; quotes make it
    text: 'meta.code="007"'. A file without the key satisfies no condition on it, not even !=.

    --json: a FileVersion per line. See docs/json.md.
    """
    condition = parsed_where(where)
    files = bytes_ = 0
    async with session.volume() as volume:
        async for file in volume.query(condition, prefix=prefix, limit=limit):
            if not files:
                session.output.heading(LONG_HEADING if long else SHORT_HEADING)
            files, bytes_ = files + 1, bytes_ + file.size
            session.output.show(file, lambda file: _row(session, file, long=long))
    session.output.closing(f"{count(files, 'file')}, {size(bytes_)}" if files else "no file is like that")


def _row(session: Session, file: "FileVersion", *, long: bool) -> Line:
    return file_row(file, long=long) if long or session.output.terminal else [file.path]
