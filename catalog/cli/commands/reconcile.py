"""`blobcat reconcile`."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from ..columns import GAP, count, size
from ..completion import complete_path
from ..differences import Row, rows_of, table
from ..errors import FINDINGS, INCOMPLETE, OK, REFUSED, UsageError
from ..options import PatienceOption
from ..progress import progress
from ..session import Session
from ..shares import parsed_share

if TYPE_CHECKING:
    from ... import Catalog, Plan
    from ...reconcile.plan import Depth, Foreign, Header, Orphans

COMPARED: Final = {
    "etag": "names, sizes and etags",
    "headers": "names, sizes, etags, headers and chains",
    "content": "names, sizes, etags, headers, chains and bytes",
}
HASH_WIDTH: Final = 16
SAMPLE_MIN: Final = 1e-9


def complete_depth(incomplete: str) -> list[str]:
    """Depths that begin like this."""
    return [depth for depth in COMPARED if depth.startswith(incomplete)]


def complete_orphans(incomplete: str) -> list[str]:
    """Policies that begin like this."""
    return [policy for policy in ("report", "adopt", "quarantine") if policy.startswith(incomplete)]


def complete_foreign(incomplete: str) -> list[str]:
    """Policies that begin like this."""
    return [policy for policy in ("report", "adopt") if policy.startswith(incomplete)]


async def reconcile(
    session: Session,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix",
            "-p",
            metavar="PREFIX",
            help="Only paths that begin like this.",
            show_default=False,
            autocompletion=complete_path,
        ),
    ] = "",
    depth: Annotated[
        str,
        typer.Option(
            "--depth",
            metavar="DEPTH",
            help="etag (names, sizes, etags), headers (and digests in them, and the chains of history), or content "
            "(and the bytes). Else etag.",
            autocompletion=complete_depth,
        ),
    ] = "etag",
    sample: Annotated[
        str,
        typer.Option("--sample", metavar="SHARE", help="With --depth content: read this part of the files, as 1%."),
    ] = "100%",
    orphans: Annotated[
        str,
        typer.Option(
            "--orphans",
            metavar="POLICY",
            help="Blobs of ours that nothing refers to: report, adopt or quarantine. Else report.",
            autocompletion=complete_orphans,
        ),
    ] = "report",
    foreign: Annotated[
        str,
        typer.Option(
            "--foreign",
            metavar="POLICY",
            help="Blobs that others put there: report or adopt. Else report.",
            autocompletion=complete_foreign,
        ),
    ] = "report",
    patience: PatienceOption = None,
    work: Annotated[
        str | None,
        typer.Option(
            "--work",
            metavar="DIR",
            help="Keep what was read there: stopped, the same command goes on.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", help="Read in so many processes; the plan is the same.", min=1)
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="N", help="Take at most so many requests a second. Else 5,000.", min=0.01),
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="FILE", help="Write the plan there, for blobcat apply.")
    ] = None,
) -> int:
    """Compare the catalog with what is really there, and propose what makes them agree. Changes nothing.

        blobcat reconcile
        blobcat reconcile --depth content --sample 1% --plan plan.jsonl
        blobcat apply plan.jsonl

    Every row and the name of every blob is read once, and each suspicion again, so what is said is so. Everybody may go
    on working meanwhile. A plan is a file that people can read: line by line what was found, why, and what is proposed.

    Exit codes: 0 they agree; 1 there are findings; 2 so much is missing that nothing may be deleted by this plan (or
    wrong usage); 3 something could not be read to the end, so nothing was concluded (or there is no such catalog).

    --json: one Reconciled (volume, depth, blobs, versions, bytes, states, actions, findings, clean, complete,
    incomplete, refused, requests, plan, sha256); the plan is null where none is kept. See docs/json.md.
    """
    share = parsed_share("--sample", sample, least=SAMPLE_MIN)
    if share < 1 and depth != "content":
        raise UsageError("--sample is a part of the bytes, and those are read with --depth content")
    from ... import Rate

    began = monotonic()
    async with session.catalog() as catalog:
        if plan is not None:
            _check_place(catalog, plan)
        with _watched(session) as heard:
            made = await catalog.reconcile(
                session.options.volume,
                prefix=prefix,
                depth=cast("Depth", depth),
                sample=share,
                orphans=cast("Orphans", orphans),
                foreign=cast("Foreign", foreign),
                patience_s=patience,
                work=work,
                workers=workers,
                rate=Rate() if rate is None else Rate(rate, min(rate, Rate().partition)),
                progress=heard,
            )
        if plan is not None:
            made.save(plan)
        place = str(made.path) if plan or work else None
        if session.output.json:
            session.output.record(_record(made, place))
        else:
            _show(session, made, place, monotonic() - began)
        return _code(made)


def _check_place(catalog: "Catalog", plan: str) -> None:
    """Before all the work: whether the plan can be written there, and overwrites nothing but a plan."""
    path = Path(plan)
    if plan == "-" or path.is_dir():
        raise UsageError("a plan is a file, as apply reads it more than once", "--plan plan.jsonl")
    if not path.parent.is_dir():
        raise UsageError(
            f"there is no folder {path.parent}", f"make it first: mkdir -p {shlex.quote(str(path.parent))}"
        )
    if path.exists() and path.stat().st_size:
        catalog.plan(path)


@contextmanager
def _watched(session: Session) -> Iterator[Callable[[str, int], None]]:
    with progress(session.output, "reconcile") as update:
        update(0, None, "reading names and rows")
        heard_of = Counter[str]()

        def heard(stage: str, number: int) -> None:
            heard_of[stage] += number
            parts = [
                size(so_far) + " read" if each == "bytes" else f"{so_far:,} {each}" for each, so_far in heard_of.items()
            ]
            update(heard_of[stage], None, " · ".join(parts))

        yield heard


def _code(plan: "Plan") -> int:
    if not plan.complete:
        return INCOMPLETE
    if plan.header.refused:
        return REFUSED
    return OK if plan.clean else FINDINGS


def _record(plan: "Plan", place: str | None) -> dict[str, object]:
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
        "refused": header.refused,
        "requests": header.requests,
        "plan": place,
        "sha256": plan.sha256,
    }


def _show(session: Session, plan: "Plan", place: str | None, seconds: float) -> None:
    output, header = session.output, plan.header
    rows, quiet = rows_of(plan.differences())
    if plan.complete:
        output.line(*_compared(header))
    if rows:
        table(output, rows)
    if quiet:
        output.line((f"{count(quiet, 'write')} under way, left alone", "dim"))
    for reason in header.incomplete:
        output.line((f"not read{GAP}", "bold red"), reason)
    for reason in header.refused:
        output.line((f"brake{GAP}", "bold red"), f"{reason} Nothing may be deleted by this plan.")
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
