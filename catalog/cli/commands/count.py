"""`blobcat count`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..aligned import Table, of_a_file
from ..columns import GAP, size
from ..columns import count as many
from ..conditions import WhereOption, condition_of, hint_of_prefix
from ..errors import UsageError
from ..moments import parsed_moment
from ..options import AsOfOption, PrefixArgument
from ..output import Output
from ..session import Session

if TYPE_CHECKING:
    from ... import CountGroup, CountReport

NONE: Final = "(none)"
SORTS: Final = ("files", "bytes", "value")


def complete_sort(incomplete: str) -> list[str]:
    """Orders that begin like this."""
    return [each for each in SORTS if each.startswith(incomplete)]


async def count(
    session: Session,
    prefix: PrefixArgument = "",
    where: WhereOption = None,
    as_of: AsOfOption = None,
    by: Annotated[
        str | None,
        typer.Option("--by", "-b", metavar="FIELDS", help="For each value of meta.owner,content_type or so."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort", metavar="ORDER", help="files (most first), bytes or value.", autocompletion=complete_sort
        ),
    ] = "files",
) -> None:
    """Count files and their bytes, in all or for each value of some fields.

        blobcat count 2026/ --by meta.owner
        blobcat count --where "size > 1MB" --by content_type,meta.owner --sort bytes

    A file without the field is counted as (none). Only these fields are read from the service; memory is what the
    groups take, so count by what has few values.

    --json: one CountReport (files, bytes, by, groups), where groups lists CountGroup (values, files, bytes). See
    docs/json.md.
    """
    condition, then = condition_of(where), parsed_moment("--as-of", as_of)
    if sort not in SORTS:
        raise UsageError(f"--sort is one of {', '.join(SORTS)}, not {sort!r}")
    names = [name.strip() for name in by.split(",")] if by is not None else []
    async with session.volume() as volume:
        report = await volume.count(condition, by=names, prefix=prefix, as_of=then)
    groups = _sorted(report.groups, sort)
    if session.output.json:
        session.output.record(replace(report, groups=groups))
    elif names:
        _groups(session.output, report, groups)
    else:
        session.output.line(f"{many(report.files, 'file')}", (f"{GAP}{size(report.bytes)}", "green"))
    if not report.files and (hint := hint_of_prefix(prefix, "count")):
        session.output.note(("  → ", "dim"), (hint, "dim"))


def _groups(output: Output, report: "CountReport", groups: "Sequence[CountGroup]") -> None:
    rows = [[group.files, group.bytes, *group.values] for group in groups]
    table = Table(["files", "bytes", *report.by], rows, _shown, nothing=NONE)
    output.heading(*table.heading())
    for row in rows:
        output.line(*table.line(row))
    output.closing(f"{many(len(groups), 'value')}, {many(report.files, 'file')}, {size(report.bytes)}")


def _shown(name: str, value: Any) -> str:
    match name:
        case "files":
            return f"{value:,}"
        case "bytes":
            return size(value)
    return of_a_file(name, value)


def _sorted(groups: "Sequence[CountGroup]", sort: str) -> "Sequence[CountGroup]":
    """In this order; where that is the same, the library's stays: by files, then by value."""
    match sort:
        case "bytes":
            return sorted(groups, key=lambda group: -group.bytes)
        case "value":
            return sorted(groups, key=lambda group: [_place(value) for value in group.values])
    return groups


def _place(value: Any) -> tuple[int, float, str]:
    """Numbers first, then text and times, and at the end what is not there."""
    match value:
        case None:
            return 2, 0, ""
        case int() | float():
            return 0, value, ""
    return 1, 0, str(value)
