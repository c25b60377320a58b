"""`blobcat adopt`."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import GAP, count, size
from ..errors import FINDINGS, OK
from ..output import Line
from ..progress import AdoptText, progress
from ..session import Session

if TYPE_CHECKING:
    from ... import AdoptReport


async def adopt(
    session: Session,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="What the blobs' names begin with; all without one.")
    ] = "",
    match: Annotated[
        str | None, typer.Option("--match", metavar="GLOB", help="Only these paths: '2026/**/*.csv'.")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="FOLDER", help="The folder of the catalog that takes the prefix's place."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
) -> int:
    """Make files of the blobs that the container has already, in place: nothing is copied or read.

        blobcat adopt 2026/ --match '2026/**/*.csv'

    Adopted blobs are never written to and never removed, whatever becomes of their files; who changes one is found out.
    What is in the catalog is not touched. Blobs that are no files yet, and why, are named on stderr, and the exit code
    is 1; it is 3 where no blob has the prefix. Interrupted, the same command goes on where it was.

    --json: one AdoptReport (listed, adopted, unchanged, left_out, invalid, drifted, conflicts, deleted, failed,
    bytes_adopted, unverifiable, findings), where findings lists AdoptFinding (blob, why, reason, error). See
    docs/json.md.
    """
    from ...adoption import nothing_there

    began = monotonic()
    async with session.volume() as volume:
        with progress(session.output, "adopt") as update:
            report = await volume.adopt(prefix, match=match, into=into, dry_run=dry_run, progress=AdoptText(update))
    if not session.output.json:
        for finding in report.findings:
            session.output.note((f"{finding.why:12}{GAP}", "red"), (finding.blob, "bold"), f"{GAP}{finding.reason}")
    if not report.listed and prefix:
        raise nothing_there(prefix, volume.name)
    session.output.show(report, lambda report: _line(report, monotonic() - began, dry_run=dry_run))
    return OK if report.ok else FINDINGS


def _line(report: "AdoptReport", seconds: float, *, dry_run: bool) -> Line:
    named = {
        "invalid names": report.invalid,
        "drifted": report.drifted,
        "in conflict": report.conflicts,
        "deleted in the catalog": report.deleted,
        "failed": report.failed,
    }
    bad = f"{GAP}".join(f"{number:,} {what}" for what, number in named.items() if number)
    if not report.listed:
        return [("nothing to adopt", "dim"), f"{GAP}the container has no blob"]
    verb = "would be adopted" if dry_run else "adopted"
    return [
        (f"{report.adopted:,} {verb}", "bold green" if report.adopted else "dim"),
        f" ({size(report.bytes_adopted)})" if report.adopted else "",
        f"{GAP}{report.unchanged:,} were already",
        (f"{GAP}{bad}" if bad else "", "bold red"),
        (f"{GAP}{report.left_out:,} left out" if report.left_out else "", "dim"),
        (f"{GAP}{report.unverifiable:,} without an MD5: blobcat verify" if report.unverifiable else "", "dim"),
        (f"{GAP}{count(report.listed, 'blob')} in {seconds:.1f} s", "dim"),
    ]
