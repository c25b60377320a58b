"""A plan that was made, as people see it, and as `--json` shows it."""

import shlex
from typing import TYPE_CHECKING, Final

from .columns import GAP, count, size
from .differences import Row, rows_of, table
from .output import Output

if TYPE_CHECKING:
    from .. import Plan
    from ..reconcile.plan import Header

COMPARED: Final = {
    "etag": "names, sizes and etags",
    "headers": "names, sizes, etags, headers and chains",
    "content": "names, sizes, etags, headers, chains and bytes",
}
HASH_WIDTH: Final = 16


def record_of(plan: "Plan", place: str | None) -> dict[str, object]:
    """As `--json` shows it; `place` is where it is kept."""
    header = plan.header
    return {
        "volume": header.volume,
        "depth": header.depth,
        "blobs": header.blobs,
        "versions": header.versions,
        "bytes": header.bytes,
        "states": header.states,
        "actions": header.actions,
        "findings": plan.findings,
        "clean": plan.clean,
        "complete": plan.complete,
        "incomplete": header.incomplete,
        "refused": plan.refused,
        "notes": plan.notes,
        "requests": header.requests,
        "plan": place,
        "sha256": plan.sha256,
    }


def show(output: Output, plan: "Plan", place: str | None, seconds: float) -> None:
    """What was compared, what was found, and what to do next."""
    header = plan.header
    rows, quiet = rows_of(plan.differences())
    if plan.complete:
        output.line(*_compared(header))
    if rows:
        table(output, rows)
    for text in quiet:
        output.line((text, "dim"))
    for reason in header.incomplete:
        output.line((f"not read{GAP}", "bold red"), reason)
    for reason in plan.refused:
        output.line((f"brake{GAP}", "bold red"), f"{reason}. Nothing may be deleted by this plan.")
    for note in plan.notes:
        output.line((f"note{GAP}", "bold yellow"), note)
    output.line(*_sum(plan, rows), (f"{GAP}in {seconds:.1f} s", "dim"))
    if place is not None:
        output.line(f"plan{GAP}{place}", (f"{GAP}sha256 {plan.sha256[:HASH_WIDTH]}", "dim"))
    if hint := _next(plan, place):
        output.line((f"  → {hint}", "dim"))


def _compared(header: "Header") -> list[tuple[str, str]]:
    below = f"{GAP}below {header.prefix}" if header.prefix else ""
    part = f", of {header.sample:.2%} of the files".replace(".00%", "%") if header.sample < 1 else ""
    counted = f"{count(header.blobs, 'blob')} ({size(header.bytes)}) and {count(header.versions, 'version')}"
    return [
        (header.volume, "bold"),
        (f"{below}{GAP}{counted}", ""),
        (f"{GAP}{COMPARED.get(header.depth, header.depth)}{part}", "dim"),
    ]


def _sum(plan: "Plan", rows: list[Row]) -> list[tuple[str, str]]:
    if not plan.complete:
        return [("not compared to the end", "bold red"), (f"{GAP}so nothing is concluded", "")]
    if not rows:
        return [("catalog and content agree", "bold green")]
    proposed = sum(row.count for row in rows if row.action != "none")
    found = sum(row.count for row in rows)
    return [
        (count(found, "finding"), "bold red"),
        (f"{GAP}{proposed:,} to repair, {found - proposed:,} to think about", ""),
    ]


def _next(plan: "Plan", place: str | None) -> str:
    if not plan.complete:
        return "the same command again"
    if plan.clean:
        return ""
    if place is None:
        return "the same with --plan FILE tells each finding and its reason" + (
            ", for blobcat apply FILE" if plan.header.actions else ""
        )
    if not plan.header.actions:
        return "the plan tells each finding and its reason; it proposes nothing"
    return f"blobcat apply {shlex.quote(place)}"
