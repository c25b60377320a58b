"""`blobcat undo`."""

from collections import Counter
from typing import Annotated

import typer

from ..columns import GAP, count
from ..errors import FINDINGS, OK
from ..options import RateOption, rate_of
from ..session import Session


async def undo(
    session: Session,
    journal: Annotated[str, typer.Argument(metavar="JOURNAL", help="The file that blobcat apply has written.")],
    rate: RateOption = None,
) -> int:
    """Take back what an apply did: rows as they were, blobs out of the quarantine.

    What was changed since stays as it is, and so does what cannot be taken back: writes that were settled, content that
    was purged, content that was healed, files that were adopted. Each is named with its reason, and the exit code is 1.
    May be repeated.

    --json: one UndoReport (items), where items lists Undone (key, action, undone, why, error). See docs/json.md.
    """
    async with session.catalog() as catalog:
        report = await catalog.undo(journal, rate=rate_of(rate))
    if session.output.json:
        session.output.record(report)
        return OK if report.ok else FINDINGS
    for item in report.kept:
        style = "bold red" if item.error else "yellow"
        session.output.line(
            (f"{'failed' if item.error else 'kept':6}{GAP}", style),
            (item.key, "bold"),
            f"{GAP}{item.action}: {item.why}",
        )
    taken = Counter(item.action for item in report.items if item.undone)
    what = ", ".join(f"{number:,} {action}" for action, number in sorted(taken.items()))
    if not report.items:
        session.output.line(("nothing to undo", "bold green"), f"{GAP}the journal tells of no action")
        return OK
    session.output.line(
        (f"{count(report.undone, 'action')} taken back", "bold green" if report.ok else "bold yellow"),
        f"{GAP}{what}" if what else "",
        (f"{GAP}{len(report.kept):,} kept" if report.kept else "", "bold yellow"),
    )
    return OK if report.ok else FINDINGS
