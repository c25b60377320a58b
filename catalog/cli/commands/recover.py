"""`blobcat recover`."""

from typing import TYPE_CHECKING

from ..columns import GAP, count
from ..errors import FINDINGS, OK
from ..options import PatienceOption
from ..output import Line
from ..session import Session

if TYPE_CHECKING:
    from ... import RecoveryReport

SAID = {
    "altered": "its new settings are in force, as somebody had begun to",
    "aborted": "it will never be applied",
    "committed": "it had been applied",
    "deleted": "the volume is gone, as somebody had begun to",
    "kept": "the volume has files, and stays; somebody had begun to delete it",
    "waiting": "its writer may be alive; --patience 0 does not wait for it",
}


async def recover(
    session: Session,
    patience: PatienceOption = None,
) -> int:
    """Settle the writes that were left half-done, in all volumes, and deletions of volumes.

    Safe at any time and from anywhere. Without --patience a write is left alone while its writer may be alive, at least
    ten minutes. Half-done writes are never visible, with or without this.

    --json: one RecoveryReport (items, volumes), where items lists Recovered (volume, path, op, kind, writer, action,
    error), and volumes RecoveredVolume (volume, epoch, action, error). See docs/json.md.
    """
    async with session.catalog() as catalog:
        report = await catalog.recover(patience_s=patience)
    failed = report.count("failed") or any(each.error for each in report.volumes)
    if not session.output.json:
        for each in report.volumes:
            style = "red" if each.error else "bold"
            session.output.line(
                (f"{each.action:9}{GAP}", style), each.volume, (f"{GAP}{each.error or SAID[each.action]}", "dim")
            )
        for item in report.items:
            if item.action not in ("swept", "dropped"):
                reason = str(item.error) if item.error else SAID.get(item.action, "")
                style = "red" if item.action == "failed" else "bold"
                session.output.line(
                    (f"{item.action:9}{GAP}", style), item.path, (f"{GAP}{item.volume}{GAP}{reason}", "dim")
                )
    session.output.show(report, _line)
    return FINDINGS if failed else OK


def _line(report: "RecoveryReport") -> Line:
    if report.quiet:
        return [("nothing to settle", "bold green"), ("  every write is applied or undone", "dim")]
    parts = [
        f"{report.count(action):,} {action}"
        for action in ("aborted", "committed", "waiting", "failed")
        if report.count(action)
    ]
    failed = sum(each.error is not None for each in report.volumes)
    if failed:
        parts.append(f"{count(failed, 'volume')} failed")
    if not report.items:
        return [(", ".join(parts) or f"{count(len(report.volumes), 'volume')} settled", "bold")]
    return [(", ".join(parts), "bold"), (f"  of {count(len(report.items), 'write')}", "dim")]
