"""`blobcat load`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from ..columns import GAP, count, size
from ..errors import FINDINGS, OK, UsageError
from ..output import Line
from ..places import no_catalog
from ..progress import LoadText, progress
from ..session import Session, check_folder

if TYPE_CHECKING:
    from ... import LoadReport

NO_SOURCE: Final = "invalid.no-container"


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
    check_folder(content_from or "", "--from")
    async with session.catalog() as catalog:
        with progress(session.output, "load") as update, _explaining(content_from):
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
    if report.missing and not report.volumes:
        hint = "--allow-missing goes without what is missing"
        session.output.note(("  → ", "dim"), (hint if content_from else f"--from URL copies content; {hint}", "dim"))
    return OK if report.volumes else FINDINGS


@contextmanager
def _explaining(content_from: str | None) -> Iterator[None]:
    """Say where there is nothing to copy from, as of the catalog itself. Raises: InvalidError."""
    from ...errors import InvalidError

    try:
        yield
    except InvalidError as exc:
        if exc.kind != NO_SOURCE or content_from is None:
            raise
        message, hint = no_catalog("container", content_from, hint="--from takes the catalog that the dump was made of")
        raise UsageError(message, hint) from exc


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
