"""`blobcat init`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import count
from ..errors import UsageError
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import Catalog, VolumeInfo

DEFAULT_NAME = "main"
DEFAULT_SHARDS = 16


async def init(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The volume; else --volume, else main.")] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            help=f"Partitions, a power of two; fixed for ever. Default: {DEFAULT_SHARDS}.",
        ),
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", metavar="PREFIX", help="What its blobs begin with. Default: NAME/")
    ] = None,
    change_log: Annotated[
        bool, typer.Option("--change-log", help="Every change is logged: blobcat changes shows them.")
    ] = False,
) -> None:
    """Make a catalog with its first volume, or one more volume.

    The first volume becomes the default. Run again, this changes nothing.

    --json: one MadeVolume (name, epoch, layout, shards, root, generation, created, default, adopted, state,
    changes_since, indexes, indexes_made, made). See docs/json.md.
    """
    if name and session.options.volume and name != session.options.volume:
        raise UsageError("two names for one volume", f"blobcat init {name}")
    name = name or session.options.volume or DEFAULT_NAME
    async with session.catalog() as catalog:
        there = await _found(catalog, name)
        if there:
            shards, root = shards or there.shards, root or there.root
            change_log = change_log or there.changes_since is not None
        volume = await catalog.create_volume(
            name, shards=shards or DEFAULT_SHARDS, root=root, change_log=change_log, exist_ok=True
        )
    made = there is None
    session.output.show(volume.info, lambda info: _line(info, made=made), also={"made": made})
    if made:
        session.output.closing("next: blobcat ingest FOLDER, or blobcat put FILE PATH")


async def _found(catalog: "Catalog", name: str) -> "VolumeInfo | None":
    from ...errors import NotFoundError

    try:
        return (await catalog.volume(name)).info
    except NotFoundError:  # nor a catalog, perhaps
        return None


def _line(info: "VolumeInfo", *, made: bool) -> Line:
    state = ("made", "green") if made else ("is there already", "dim")
    default = ", the default" if info.default else ""
    return [("volume ", ""), (info.name, "bold"), " ", state, (f"  {count(info.shards, 'shard')}{default}", "dim")]
