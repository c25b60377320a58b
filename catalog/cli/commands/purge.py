"""`blobcat purge`."""

from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..columns import GAP, count, size
from ..completion import complete_path
from ..errors import FINDINGS, OK, UsageError
from ..progress import PurgeText, progress
from ..session import Session
from ..spans import span

if TYPE_CHECKING:
    from ... import PurgeCount, PurgeItem, PurgeReport, Volume
    from ...retention import Retention

HELD_SHOWN: Final = 5

PrefixOption = Annotated[
    str,
    typer.Option(
        "--prefix", metavar="PREFIX", help="Only paths that begin so, such as 2026/.", autocompletion=complete_path
    ),
]
KeepOption = Annotated[
    int | None,
    typer.Option(
        "--keep-versions", metavar="N", help="Keep the newest N versions of each file; a delete is none.", min=0
    ),
]
OlderOption = Annotated[
    str | None,
    typer.Option("--older-than", metavar="TIME", help="Only what was replaced or deleted so long ago: 12h, 90d, 2w."),
]


async def purge(
    session: Session,
    prefix: PrefixOption = "",
    keep_versions: KeepOption = None,
    older_than: OlderOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting content.")] = False,
) -> int:
    """Delete the content of old versions, for good.

        blobcat purge --keep-versions 3 --older-than 90d

    With both options a version goes if both say so. What is at a path now never goes, nor what another version still
    needs. The versions stay in the history, without content. A purge that was stopped is ended by the next.

    It is counted first, and you are asked. The exit code is 1 where something could not be purged, or you said no.

    --json: one PurgeReport (scanned, purged, held, unfinished, purged_before, dry_run, items), where purged, held and
    unfinished are PurgeCount (versions, contents, size), and items lists PurgeItem (path, version, size, action, by,
    why, error). See docs/json.md.
    """
    rule = _rule(keep_versions, older_than)
    if not yes and not dry_run and not session.output.asks:
        raise UsageError(
            "purge asks before it deletes, and here is nobody to ask", "--dry-run shows what would go, --yes does it"
        )
    async with session.volume() as volume:
        if not yes and not dry_run:
            planned = await _run(session, volume, prefix, rule, dry_run=True)
            if planned.purged.versions and not await _agreed(session, planned.purged):
                return FINDINGS
            if not planned.purged.versions:
                return _show(session, planned, None)
        began = monotonic()
        report = await _run(session, volume, prefix, rule, dry_run=dry_run)
    return _show(session, report, monotonic() - began)


def _rule(keep_versions: int | None, older_than: str | None) -> "Retention":
    from ...retention import check_retention

    if keep_versions is None and older_than is None:
        raise UsageError("purge needs a rule: what is to be kept?", "--keep-versions 3, --older-than 90d, or both")
    return check_retention(keep_versions, None if older_than is None else span(older_than, "--older-than 90d"))


async def _run(session: Session, volume: "Volume", prefix: str, rule: "Retention", *, dry_run: bool) -> "PurgeReport":
    from ...paths import nothing_below

    with progress(session.output, "count" if dry_run else "purge") as update:
        report = await volume.purge(
            keep_versions=rule.keep_versions,
            older_than=rule.older_than,
            prefix=prefix,
            dry_run=dry_run,
            progress=PurgeText(update),
        )
    if prefix and not report.scanned:
        raise nothing_below(prefix, volume.name, op="purge")
    return report


async def _agreed(session: Session, planned: "PurgeCount") -> bool:
    held = f"{count(planned.contents, 'content')}, {size(planned.size)}: they cannot be brought back"
    if await session.output.confirmed(f"purge {count(planned.versions, 'version')}", f"{GAP}{held}"):
        return True
    session.output.note("nothing was purged")
    return False


def _show(session: Session, report: "PurgeReport", seconds: float | None) -> int:
    output = session.output
    if output.json:
        output.record(report)
        return OK if report.ok else FINDINGS
    gone = "would go" if report.dry_run else "purged"
    for name, amount, style in (
        (gone, report.purged, "bold green"),
        ("held", report.held, "yellow"),
        ("unfinished", report.unfinished, "bold red"),
    ):
        output.line(
            (f"{name:10}", style if amount.versions else "dim"),
            f"{GAP}{count(amount.versions, 'version'):>14}{GAP}{count(amount.contents, 'content'):>14}",
            (f"{GAP}{size(amount.size):>8}", "green" if amount.versions else "dim"),
        )
    before = f", {report.purged_before:,} purged before" if report.purged_before else ""
    took = "" if seconds is None else f" in {seconds:.1f} s"
    output.line((f"{count(report.scanned, 'version')} looked at{before}{took}", "dim"))
    _show_items(session, report)
    return OK if report.ok else FINDINGS


def _show_items(session: Session, report: "PurgeReport") -> None:
    """On stderr: every one that failed, and some of those that stay, with who needs them."""
    held: list[PurgeItem] = []
    for item in report.items:
        if item.error:
            session.output.failed(f"{item.path}@{item.version}", item.error)
        else:
            held.append(item)
    for item in held[:HELD_SHOWN]:
        why = item.why or f"needed by {item.by}"
        session.output.note(("held    ", "yellow"), (f"{item.path}@{item.version}", "bold"), (f"{GAP}{why}", "dim"))
    if report.held.versions > HELD_SHOWN:
        session.output.note((f"held    {report.held.versions - HELD_SHOWN:,} more: --json lists them", "dim"))
