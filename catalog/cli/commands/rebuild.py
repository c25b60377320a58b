"""`blobcat rebuild`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import GAP, count, size
from ..errors import FINDINGS, OK
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import RebuildReport


async def rebuild(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="VOLUME", help="The name of the volume that was lost.")],
    root: Annotated[
        str | None,
        typer.Option("--root", metavar="ROOT", help="Where its blobs are; VOLUME/ without it.", show_default=False),
    ] = None,
    shards: Annotated[int, typer.Option("--shards", metavar="N", help="A power of two up to 256.")] = 16,
) -> int:
    """Make a volume again from its blobs, after the table was lost. For emergencies.

    Every blob that says of itself what it is becomes a version; the last one of a path is its file. What blobs cannot
    tell is lost, and is said: deleted files, above all, are back. Blobs that are not the volume's are named on stderr,
    and the exit code is 1. Refused while a volume has that name or that root. Interrupted, run it again.

    --json: one RebuildReport (volume, files, versions, bytes_found, bad, guessed, lost, findings), where findings lists
    RebuildFinding (blob, reason). See docs/json.md.
    """
    async with session.catalog() as catalog:
        report = await catalog.rebuild(name, root=root, shards=shards)
    if not session.output.json:
        for finding in report.findings:
            session.output.note((f"bad{GAP}", "red"), (finding.blob, "bold"), f"{GAP}{finding.reason}")
        for lost in report.lost:
            session.output.note((f"lost{GAP}", "dim"), lost)
    session.output.show(report, _line)
    return OK if report.ok else FINDINGS


def _line(report: "RebuildReport") -> Line:
    guessed = f"{GAP}the order of {count(report.guessed, 'version')} is a guess" if report.guessed else ""
    return [
        (f"{count(report.files, 'file')}", "bold green"),
        f"{GAP}{count(report.versions, 'version')} ({size(report.bytes_found)})",
        (f"{GAP}{count(report.bad, 'blob')} bad" if report.bad else "", "bold red"),
        (guessed, "dim"),
        (f"{GAP}blobcat verify -v {report.volume} reads them all", "dim"),
    ]
