"""`blobcat volumes`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import GAP, time
from ..errors import FINDINGS, OK, UsageError
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import Catalog, VolumeInfo


STATES = {
    "open": "",
    "closing": f"{GAP}being deleted: blobcat recover ends that",
    "opening": f"{GAP}not deleted, and not open again yet: blobcat recover ends that",
    "turning": f"{GAP}its settings are being changed: blobcat recover ends that",
}


async def volumes(
    session: Session,
    set_default: Annotated[
        str | None, typer.Option("--set-default", metavar="NAME", help="Make this the default volume first.")
    ] = None,
    delete: Annotated[
        str | None, typer.Option("--delete", metavar="NAME", help="Delete this volume first, if it has no files.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting a volume.")] = False,
) -> int:
    """List the volumes of the catalog; a star marks the default one.

    Before a volume is deleted you are asked: the history of the files that were in it goes out of reach.

    --json: a VolumeInfo (name, epoch, layout, shards, root, generation, created, default, adopted, state,
    changes_since, indexes, indexes_made) per line. See docs/json.md.
    """
    async with session.catalog() as catalog:
        if set_default is not None:
            await catalog.set_default_volume(set_default)
        if delete is not None:
            if not yes and not await _agreed(session, catalog, delete):
                return FINDINGS
            await catalog.delete_volume(delete)
            session.output.note(("volume ", ""), (delete, "bold"), (" deleted", "green"))
        found = [info async for info in catalog.volumes()]
    widths = [max([len(heading), *map(len, names)]) for heading, names in _columns(found)]
    session.output.heading(f"  {'NAME':{widths[0]}}{GAP}SHARDS{GAP}{'ROOT':{widths[1]}}{GAP}CREATED")
    for info in found:
        session.output.show(info, lambda info: _row(info, *widths))
    if not found and not delete:
        session.output.note("no volumes yet", ("  make one with blobcat init", "dim"))
    return OK


async def _agreed(session: Session, catalog: "Catalog", name: str) -> bool:
    """Whether a volume is to be deleted. Raises: NotFoundError, before anybody is asked; UsageError."""
    from ...errors import NotFoundError

    if name not in [info.name async for info in catalog.volumes()]:
        raise NotFoundError(f"there is no volume {name!r}", op="delete_volume", key=name, kind="not-found.volume")
    if not session.output.asks:
        raise UsageError("volumes --delete asks before it deletes, and here is nobody to ask", "--yes, if you are sure")
    if await session.output.confirmed(f"delete volume {name}", f"{GAP}its history goes out of reach"):
        return True
    session.output.note("nothing was deleted")
    return False


def _columns(found: "list[VolumeInfo]") -> list[tuple[str, list[str]]]:
    return [("NAME", [info.name for info in found]), ("ROOT", [info.root for info in found])]


def _row(info: "VolumeInfo", name_width: int, root_width: int) -> Line:
    return [
        ("* " if info.default else "  ", "green"),
        (f"{info.name:{name_width}}{GAP}", "bold"),
        f"{info.shards:>6}{GAP}",
        (f"{info.root:{root_width}}{GAP}{time(info.created)}", "dim"),
        (STATES[info.state], "yellow"),
    ]
