"""How values look to people: sizes, times, digests, and the rows that they make. The path comes last, whole."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from .output import Cell, Line

if TYPE_CHECKING:
    from .. import DownloadReport, FileVersion, IngestReport

SIZE_WIDTH: Final = 8
TIME_WIDTH: Final = 16
DIGEST_WIDTH: Final = 12
GAP: Final = "  "

SHORT_HEADING: Final = f"{'SIZE':>{SIZE_WIDTH}}{GAP}{'WRITTEN':{TIME_WIDTH}}{GAP}PATH"
LONG_HEADING: Final = (
    f"{'SIZE':>{SIZE_WIDTH}}{GAP}{'WRITTEN':{TIME_WIDTH}}{GAP}{'VER':>4}{GAP}{'SHA256':{DIGEST_WIDTH}}{GAP}PATH"
)
HISTORY_HEADING: Final = (
    f"{'VER':>4}{GAP}{'KIND':8}{GAP}{'SIZE':>{SIZE_WIDTH}}{GAP}{'WRITTEN':{TIME_WIDTH}}{GAP}"
    f"{'SHA256':{DIGEST_WIDTH}}{GAP}WRITER"
)


def size(count: float) -> str:
    """`12 B`, `1.2 kB`, `34.5 MB`: decimal, three digits at least where there are as many."""
    if count < 1000:  # noqa: PLR2004
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        count /= 1000
        if count < 999.95 or unit == "PB":  # noqa: PLR2004 — what would be rounded to 1000.0
            return f"{count:.1f} {unit}"
    raise AssertionError


def time(moment: datetime) -> str:
    """Local time, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def digest(text: str) -> str:
    """Enough of a digest to tell it from others."""
    return text.removeprefix("sha256:")[:DIGEST_WIDTH] or "-"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 file`, `5,123 files`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def metadata(values: Mapping[str, object]) -> str:
    """`owner=ops reviewed=true`."""
    return GAP.join(f"{key}={value(item)}" for key, item in values.items())


def value(item: object) -> str:
    """A value of metadata as a person reads it."""
    match item:
        case bool():
            return str(item).lower()
        case datetime():
            return item.isoformat().replace("+00:00", "Z")
    return str(item)


def file_row(file: "FileVersion", *, long: bool) -> Line:
    """A file of a listing."""
    gone = file.kind == "delete"
    cells: list[Cell] = [
        (f"{'deleted' if gone else size(file.size):>{SIZE_WIDTH}}", "red" if gone else "green"),
        (GAP + f"{time(file.created):{TIME_WIDTH}}" + GAP, "dim"),
    ]
    if long:
        cells += [f"{file.version:>4}", (f"{GAP}{digest(file.digest):{DIGEST_WIDTH}}{GAP}", "dim")]
    cells.append((file.path, "dim strike" if gone else ""))
    if long and file.metadata:
        cells.append((GAP + metadata(file.metadata), "dim cyan"))
    return cells


def folder_row(path: str, *, long: bool) -> Line:
    """A folder of a listing."""
    blank = SIZE_WIDTH + TIME_WIDTH + 2 * len(GAP) + (4 + DIGEST_WIDTH + 2 * len(GAP) if long else 0)
    return [(f"{'-':>{SIZE_WIDTH}}".ljust(blank), "dim"), (path, "bold blue")]


def history_row(file: "FileVersion") -> Line:
    """A version of a history."""
    gone = file.kind == "delete"
    held = "-" if gone else "purged" if file.purged else size(file.size)
    return [
        (f"{file.version:>4}{GAP}", "bold"),
        (f"{file.kind:8}{GAP}", "red" if gone else ""),
        (f"{held:>{SIZE_WIDTH}}{GAP}", "red" if file.purged else "green"),
        f"{time(file.created)}{GAP}",
        (f"{digest(file.digest):{DIGEST_WIDTH}}{GAP}{file.writer}", "dim"),
    ]


def in_short(file: "FileVersion") -> Line:
    """A version, as what a command did."""
    return [
        (file.path, "bold"),
        f"{GAP}version {file.version}{GAP}",
        (size(file.size), "green"),
        (f"{GAP}sha256 {digest(file.digest)}", "dim"),
    ]


def tree_summary(
    report: "IngestReport | DownloadReport", left: tuple[int, str], seconds: float, *, also: str = "", where: str = ""
) -> Line:
    """What became of a tree of files. `left`: how many were left as they are, and the word for it."""
    total = report.written + left[0] + len(report.failed)
    rate = f", {size(report.bytes_written / max(seconds, 0.001))}/s" if report.written else ""
    return [
        (f"{report.written:,} written", "bold green" if report.written else "dim"),
        f" ({size(report.bytes_written)})" if report.written else "",
        f"{GAP}{left[0]:,} {left[1]}{GAP}",
        (f"{len(report.failed):,} failed", "bold red" if report.failed else "dim"),
        also,
        (f"{GAP}{count(total, 'file')}{where} in {seconds:.1f} s{rate}", "dim"),
    ]
