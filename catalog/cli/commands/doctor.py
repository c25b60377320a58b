"""`blobcat doctor`."""

from typing import TYPE_CHECKING, Final

from ..columns import GAP
from ..errors import FINDINGS, OK
from ..session import Session

if TYPE_CHECKING:
    from ... import DoctorItem

_STYLES: Final = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


async def doctor(session: Session) -> int:
    """Check that the services are there, do what blobcat rests on, and are set up safely.

    A few rows and blobs are written where no volume has any, and removed again.
    The exit code is 1 where something failed; warnings leave it at 0.

    --json: one DoctorReport (items, ok), where items lists DoctorItem (name, status, detail, hint). See docs/json.md.
    """
    async with session.catalog() as catalog:
        report = await catalog.doctor()
    if session.output.json:
        session.output.record({"ok": report.ok, "items": report.items})
        return OK if report.ok else FINDINGS
    width = max(len(item.name) for item in report.items)
    for item in report.items:
        _show(session, item, width)
    failed, warned = (sum(item.status == status for item in report.items) for status in ("fail", "warn"))
    session.output.line(
        ("not well", "bold red") if failed else ("well", "bold green"),
        f"{GAP}{len(report.items)} looked at, {failed} failed, {warned} to think about",
    )
    return OK if report.ok else FINDINGS


def _show(session: Session, item: "DoctorItem", width: int) -> None:
    session.output.line(
        (f"{item.status:4}", _STYLES[item.status]), f"{GAP}", (f"{item.name:{width}}", "bold"), f"{GAP}{item.detail}"
    )
    if item.hint and item.status != "ok":
        session.output.line((f"{' ' * (4 + len(GAP))}{' ' * width}{GAP}→ {item.hint}", "dim"))
