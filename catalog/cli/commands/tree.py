"""`blobcat tree`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..branches import Branch
from ..columns import GAP, count, size
from ..moments import parsed_moment
from ..options import AsOfOption, PrefixArgument
from ..output import Line, drawn
from ..session import Session

if TYPE_CHECKING:
    from ... import FileVersion


async def tree(
    session: Session,
    prefix: PrefixArgument = "",
    level: Annotated[
        int | None,
        typer.Option("--level", "-L", metavar="N", help="So many levels; below, folders are summed up.", min=1),
    ] = None,
    as_of: AsOfOption = None,
) -> None:
    """Draw files and folders as a tree, each folder with what it holds.

        blobcat tree 2026/ -L 2

    --json: a FileVersion or a FolderUsage (path, files, bytes, newest, kind) per line, from top to bottom. See
    docs/json.md.
    """
    from ... import FileVersion
    from ...paths import nothing_below

    folder = prefix[: prefix.rfind("/") + 1]  # a prefix may end inside a name
    root, then = Branch(folder), parsed_moment("--as-of", as_of)
    async with session.volume() as volume:
        async for file in volume.list(prefix, recursive=True, as_of=then):
            assert isinstance(file, FileVersion)  # noqa: S101 — a recursive list has no folders
            root.add(file, level)
        if prefix and not root.files:
            raise nothing_below(prefix, volume.name, op="list")
    if session.output.json:
        for _, twig in root.walk():
            session.output.record(_record(twig))
        return
    session.output.line((folder or (session.options.volume or "."), "bold blue"))
    for guide, twig in root.walk():
        session.output.line(*_row(guide, twig))
    session.output.closing(f"{count(root.files, 'file')}, {size(root.bytes)}" if root.files else "nothing here")


def _record(twig: "Branch | FileVersion") -> object:
    if not isinstance(twig, Branch):
        return twig
    return {"path": twig.path, "files": twig.files, "bytes": twig.bytes, "newest": twig.newest, "kind": "folder"}


def _row(guide: str, twig: "Branch | FileVersion") -> Line:
    name = twig.path.rstrip("/").rpartition("/")[2]
    if isinstance(twig, Branch):
        held = f"{GAP}{count(twig.files, 'file')}, {size(twig.bytes)}"
        return [(drawn(guide), "dim"), (f"{name}/", "bold blue"), (held, "dim")]
    return [(drawn(guide), "dim"), name, (f"{GAP}{size(twig.size)}", "green")]
