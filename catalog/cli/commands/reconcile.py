"""`blobcat reconcile`."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from ..columns import size
from ..completion import complete_path
from ..errors import FINDINGS, INCOMPLETE, OK, REFUSED, UsageError
from ..options import PatienceOption, RateOption, rate_of
from ..plans import COMPARED, record_of, show
from ..progress import progress
from ..session import Session
from ..shares import parsed_share

if TYPE_CHECKING:
    from ... import Catalog, Plan
    from ...reconcile.plan import Depth, Foreign, Orphans

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


PrefixOption = Annotated[
    str,
    typer.Option(
        "--prefix",
        "-p",
        metavar="PREFIX",
        help="Only paths that begin like this.",
        show_default=False,
        autocompletion=complete_path,
    ),
]
DepthOption = Annotated[
    str,
    typer.Option(
        "--depth",
        metavar="DEPTH",
        help="etag (names, sizes, etags), headers (and digests in them, and the chains of history), or content "
        "(and the bytes). Default etag.",
        autocompletion=complete_depth,
    ),
]
SampleOption = Annotated[
    str,
    typer.Option("--sample", metavar="SHARE", help="With --depth content: read this part of the files, as 1%."),
]
OrphansOption = Annotated[
    str,
    typer.Option(
        "--orphans",
        metavar="POLICY",
        help="Blobs of ours that nothing refers to: report, adopt (files again) or quarantine (copied aside, then "
        "deleted). Default report.",
        autocompletion=complete_orphans,
    ),
]
ForeignOption = Annotated[
    str,
    typer.Option(
        "--foreign",
        metavar="POLICY",
        help="Blobs that others put there: report or adopt (files of them, in place). Default report.",
        autocompletion=complete_foreign,
    ),
]
WorkOption = Annotated[
    str | None,
    typer.Option(
        "--work",
        metavar="DIR",
        help="Keep what was read there: the same command within an hour does not read it again, and later ones "
        "compare how much it was.",
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", metavar="N", help="Read in so many processes; the plan is the same.", min=1)
]
PlanOption = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        help="Write the plan there, for blobcat apply; and beside it how much was read, where there is no --work.",
    ),
]


async def reconcile(
    session: Session,
    prefix: PrefixOption = "",
    depth: DepthOption = "etag",
    sample: SampleOption = "100%",
    orphans: OrphansOption = "report",
    foreign: ForeignOption = "report",
    patience: PatienceOption = None,
    work: WorkOption = None,
    workers: WorkersOption = 1,
    rate: RateOption = None,
    plan: PlanOption = None,
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
    incomplete, refused, notes, requests, plan, sha256); the plan is null where none is kept. See docs/json.md.
    """
    share = parsed_share("--sample", sample, least=SAMPLE_MIN)
    if share < 1 and depth != "content":
        raise UsageError("--sample is a part of the bytes, and those are read with --depth content")
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
                counts=Path(plan).parent if plan and not work else None,
                workers=workers,
                rate=rate_of(rate),
                progress=heard,
            )
        if plan is not None:
            made.save(plan)
        place = str(made.path) if plan or work else None
        if session.output.json:
            session.output.record(record_of(made, place))
        else:
            show(session.output, made, place, monotonic() - began)
        return _code(made)


def _check_place(catalog: "Catalog", plan: str) -> None:
    """Before all the work: whether the plan can be written there, and overwrites nothing but a plan."""
    from tempfile import TemporaryFile

    from ...destination import explaining

    path = Path(plan)
    if plan == "-" or path.is_dir():
        raise UsageError("a plan is a file, as apply reads it more than once", "--plan plan.jsonl")
    if not path.parent.is_dir():
        raise UsageError(
            f"there is no folder {path.parent}", f"make it first: mkdir -p {shlex.quote(str(path.parent))}"
        )
    if path.exists() and path.stat().st_size:
        catalog.plan(path)
    with explaining("", path):
        TemporaryFile(dir=path.parent).close()


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
