"""`blobcat stat`."""

import shlex
from typing import TYPE_CHECKING

from ..columns import size, time, value
from ..folders import check_file, known_folder
from ..moments import parsed_moment
from ..options import AsOfOption, PathArgument, VersionOption
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import FileVersion


async def stat(session: Session, path: PathArgument, version: VersionOption = None, as_of: AsOfOption = None) -> None:
    """Show all that is known of a file, or of one of its versions, or of the file as it was at a moment.

    --json: one FileVersion. See docs/json.md.
    """
    check_file(path, f"blobcat ls {shlex.quote(path)} or blobcat du {shlex.quote(path)} shows what is in it")
    then = parsed_moment("--as-of", as_of)
    async with session.volume() as volume, known_folder(volume, path, then):
        file = await volume.stat(path, version=version, as_of=then)
    if session.output.json:
        session.output.record(file)
        return
    for name, cells in _details(file):
        session.output.line((f"{name:>12}  ", "dim"), *cells)


def _details(file: "FileVersion") -> list[tuple[str, Line]]:
    details: list[tuple[str, Line]] = [
        ("path", [(file.path, "bold")]),
        ("volume", [file.volume]),
        ("version", [(str(file.version), "bold"), (f"  {file.kind}", "red" if file.kind == "delete" else "dim")]),
        (
            "size",
            [
                (f"{file.size:,} bytes", "green"),
                (f"  {size(file.size)}" if file.size >= 1000 else "", "dim"),  # noqa: PLR2004
                (", purged" if file.purged else "", "red"),
            ],
        ),
        ("digest", [file.digest or "-"]),
        ("md5", [file.md5 or "-"]),
        ("type", [file.content_type or "-"]),
        ("written", [time(file.created), (f"  by {file.writer}", "dim")]),
        ("modified", [time(file.modified) if file.modified else "-"]),
        *(("meta." + key, [(value(item), "cyan")]) for key, item in file.metadata.items()),
        ("etag", [(file.etag, "dim")]),
        ("blob", [(file.blob or "-", "dim")]),
        ("chain", [(file.chain, "dim")]),
    ]
    return details
