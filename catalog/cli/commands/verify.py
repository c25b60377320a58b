"""`blobcat verify`."""

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from ..columns import GAP, size
from ..errors import FINDINGS, OK
from ..options import PrefixArgument
from ..progress import VerifyText, progress
from ..session import Session

if TYPE_CHECKING:
    from ... import Finding


WHAT = {"integrity.missing": "missing", "integrity.drift": "drifted"}  # others changed what was adopted


async def verify(session: Session, prefix: PrefixArgument = "") -> int:
    """Read all content again, and compare it with what was written.

    Old versions count: history is only as good as its bytes.
    Whatever is damaged, missing or could not be read is named, and the exit code is 1.

    --json: one VerifyReport (checked, bytes_read, findings), where findings lists Finding (file, error). See
    docs/json.md.
    """
    from ...paths import nothing_below

    began = monotonic()
    async with session.volume() as volume:
        with progress(session.output, "verify") as update:
            report = await volume.verify(prefix, progress=VerifyText(update))
        if prefix and not report.checked and not report.findings:
            raise nothing_below(prefix, volume.name, op="verify")
    if session.output.json:
        session.output.record(report)
        return OK if report.ok else FINDINGS
    for finding in report.findings:
        _show(session, finding)
    session.output.line(
        (
            summary(report.findings) or "all whole",
            "bold red" if report.findings else "bold green",
        ),
        f"{GAP}{report.checked:,} checked, {size(report.bytes_read)} read",
        (f"{GAP}in {monotonic() - began:.1f} s", "dim"),
    )
    return OK if report.ok else FINDINGS


def summary(findings: "Sequence[Finding]") -> str:
    """How many contents are not as they should be, and of how many nobody knows."""
    unread = sum(not finding.error.kind.startswith("integrity") for finding in findings)
    told = {"damaged or missing": len(findings) - unread, "not read": unread}
    return ", ".join(f"{number:,} {what}" for what, number in told.items() if number)


def _show(session: Session, finding: "Finding") -> None:
    """On a terminal the reason goes below: it is long."""
    kind = finding.error.kind
    damage = WHAT.get(kind, "damaged" if kind.startswith("integrity") else "unread")
    head = (f"{damage:7}{GAP}", "bold red"), (finding.file.path, "bold"), f"{GAP}version {finding.file.version}"
    if session.output.terminal:
        session.output.line(*head)
        session.output.line((f"{' ' * 9}{finding.error}", "dim"))
    else:
        session.output.line(*head, f"{GAP}{finding.error}")
