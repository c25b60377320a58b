"""`blobcat load`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..columns import GAP, count, size
from ..errors import FINDINGS, OK
from ..output import Line
from ..progress import LoadText, progress
from ..session import Session

if TYPE_CHECKING:
    from ... import LoadReport


async def load(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A dump, unpacked where it ends in .gz; - is stdin.")],
    content_from: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="URL", help="Copy content that is not there from this catalog.", show_default=False
        ),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Make the volumes, though content is missing.")
    ] = False,
) -> int:
    """Make the volumes of a dump, with all of their history, under the names that they had.

        blobcat load catalog.jsonl.gz --from azure://OLD/blobcat

    The dump is checked as a whole first. Content is looked for under its old names, where azcopy may have put it, or
    copied with --from; BLOBCAT_FROM_CREDENTIAL holds a key or SAS for that. Where content is missing it is named, no
    volume is made and the exit code is 1. Nobody sees a volume before all of it is there; interrupted, the same command
    goes on. With --volume only that volume of the dump is made.

    --json: one LoadReport (volumes, paths, versions, copied, bytes_copied, missing, sha256, findings), where findings
    lists Finding (file, error). See docs/json.md.
    """
    began = monotonic()
    async with session.catalog() as catalog:
        with progress(session.output, "load") as update:
            report = await catalog.load(
                cast("Any", _lines() if file == "-" else Path(file)),
                volume=session.options.volume,
                content_from=content_from,
                content_credential=os.environ.get("BLOBCAT_FROM_CREDENTIAL") if content_from else None,
                allow_missing=allow_missing,
                progress=LoadText(update),
            )
    if not session.output.json:
        for finding in report.findings:
            session.output.line(("missing", "bold red"), f"{GAP}{finding.error}")
    session.output.show(report, lambda report: _line(report, monotonic() - began))
    return OK if report.volumes else FINDINGS


def _line(report: "LoadReport", seconds: float) -> Line:
    made = ("loaded", "bold green") if report.volumes else ("nothing loaded", "bold red")
    missing = f"{GAP}{report.missing:,} missing" if report.missing else ""
    return [
        made,
        f"{GAP}{count(report.versions, 'version')} of {count(report.paths, 'path')}",
        f"{GAP}{count(report.copied, 'blob')} copied ({size(report.bytes_copied)})",
        (missing, "bold red"),
        (f"{GAP}in {seconds:.1f} s", "dim"),
    ]


def _lines() -> Iterator[str]:
    """Standard input, no more of a line than a dump's may be long."""
    from ...dumped import LINE_BYTES_MAX

    while line := sys.stdin.buffer.readline(LINE_BYTES_MAX + 1):
        yield line.decode("latin-1")  # whatever is not ASCII is refused as such
