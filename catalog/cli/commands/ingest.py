"""`blobcat ingest`."""

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import GAP, count, tree_summary
from ..errors import FINDINGS, OK
from ..metadata import parsed_metadata
from ..options import MetaOption
from ..output import Line
from ..progress import IngestText, progress
from ..session import Session

if TYPE_CHECKING:
    from ... import IngestReport


async def ingest(
    session: Session,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder, or a file.")],
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", "-p", metavar="PREFIX", help="The folder of the catalog that it becomes.", show_default=False
        ),
    ] = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", "-x", metavar="GLOB", help="Leave out names and paths like this. May be repeated."),
    ] = None,
    meta: MetaOption = None,
    trust_mtime: Annotated[
        bool, typer.Option("--trust-mtime", help="Equal size and time mean unchanged; the content is not read.")
    ] = False,
) -> int:
    """Bring a tree of files into the catalog; only what changed is written.

        blobcat ingest ./incoming --prefix 2026/ --exclude '*.tmp' --meta owner=ops

    One bad file stops no other: the failed ones are named on stderr, and the exit code is 1. Nothing is deleted.
    Interrupted, the same command goes on where it was. Files keep the metadata they have unless --meta is given.

    --json: one IngestReport (written, unchanged, bytes_written, failed, links_skipped), where failed lists Failure
    (path, source, error). See docs/json.md.
    """
    metadata = parsed_metadata(meta)
    began = monotonic()
    async with session.volume() as volume:
        with progress(session.output, "ingest") as update:
            report = await volume.ingest(
                Path(source),
                prefix=prefix,
                exclude=exclude or (),
                metadata=metadata,
                trust_mtime=trust_mtime,
                progress=IngestText(update),
            )
    for failure in report.failed:
        session.output.failed(failure.path, failure.error)
    session.output.show(report, lambda report: _line(report, monotonic() - began))
    return OK if report.ok else FINDINGS


def _line(report: "IngestReport", seconds: float) -> Line:
    links = f"{GAP}{count(report.links_skipped, 'link')} to folders left out" if report.links_skipped else ""
    return tree_summary(report, (report.unchanged, "unchanged"), seconds, also=links)
