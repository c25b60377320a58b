"""`blobcat verify`."""

from time import monotonic

from ..columns import GAP, count, size
from ..errors import FINDINGS, OK
from ..options import PrefixArgument
from ..progress import VerifyText, progress
from ..session import Session


async def verify(session: Session, prefix: PrefixArgument = "") -> int:
    """Read all content again, and compare it with what was written.

    Old versions count: history is only as good as its bytes.
    Whatever is damaged or missing is named, and the exit code is 1.

    --json: one report (checked, bytes_read, findings), where findings lists file, with all fields, and error.
    """
    began = monotonic()
    async with session.volume() as volume:
        with progress(session.output, "verify") as update:
            report = await volume.verify(prefix, progress=VerifyText(update))
    if session.output.json:
        session.output.show(report, list)
        return OK if report.ok else FINDINGS
    for finding in report.findings:
        what = {"integrity.missing": "missing", "integrity.digest": "damaged"}.get(finding.error.kind, "unreadable")
        head = (f"{what}{GAP}", "bold red"), (finding.file.path, "bold"), f"{GAP}version {finding.file.version}"
        session.output.line(*head, (f"{GAP}{finding.error}", "dim"))
    session.output.line(
        (
            f"{len(report.findings):,} damaged" if report.findings else "all whole",
            "bold red" if report.findings else "bold green",
        ),
        f"{GAP}{count(report.checked, 'version')}, {size(report.bytes_read)} read",
        (f"{GAP}in {monotonic() - began:.1f} s", "dim"),
    )
    return OK if report.ok else FINDINGS
