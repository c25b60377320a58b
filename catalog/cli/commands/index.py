"""`blobcat index`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import GAP, count
from ..errors import UsageError
from ..ordering import parsed_field, shown_fields
from ..output import Line
from ..progress import IndexText, progress
from ..session import Session

if TYPE_CHECKING:
    from ... import Index

STATES = {
    "ready": ("ready", "green"),
    "building": ("not ready: the same command with its fields goes on", "yellow"),
    "dropping": ("being dropped: --drop with its fields goes on", "yellow"),
}


async def index(
    session: Session,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FIELD]...", help="meta.KEY, created, size …; with :desc after it, highest first."),
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Drop the index on these fields.")] = False,
) -> None:
    """Make, list or drop indexes: a query by their fields reads what matches, and no more.

        blobcat index meta.owner created:desc
        blobcat query --where "meta.owner = 'ops'"

    Without fields, those that there are are listed. Several fields make one index, in order of the first, then of the
    second. Everybody may go on working while it is made; from then on each write keeps it up, and costs a row more.
    Stopped, the same command goes on.

    --json: an Index (id, on, state) per line: the one that was made, or all that there are; none with --drop. See
    docs/json.md.
    """
    if drop and not fields:
        raise UsageError("which index is to be dropped?", "blobcat index --drop FIELD …; blobcat index lists them")
    on = [parsed_field(each) for each in fields or ()]
    async with session.volume() as volume:
        if not on:
            _list(session, await volume.indexes())
            return
        with progress(session.output, "drop" if drop else "index") as update:
            text = IndexText(update)
            if drop:
                await volume.drop_index(*on, progress=text)
                session.output.note(("index ", ""), (shown_fields(on), "bold"), (" dropped", "green"))
                return
            made = await volume.create_index(*on, progress=text)
    added = f"{count(text.files, 'file')} added" if text.files else ""
    session.output.show(made, lambda made: _row(made, added))


def _list(session: Session, found: "tuple[Index, ...]") -> None:
    for each in found:
        session.output.show(each, lambda each: _row(each, ""))
    if not found:
        session.output.note("no indexes yet", ("  blobcat index meta.KEY makes one", "dim"))


def _row(index: "Index", more: str) -> Line:
    said, style = STATES[index.state]
    return [(shown_fields(index.on), "bold"), (f"{GAP}{said}", style), (f"{GAP}{more}" if more else "", "dim")]
