"""`blobcat apply`."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..columns import GAP, count
from ..differences import COUNT_WIDTH, actions_table, subject
from ..errors import FINDINGS, OK
from ..options import PatienceOption, RateOption, rate_of
from ..progress import progress
from ..session import Session
from ..shares import parsed_share

if TYPE_CHECKING:
    from ... import Applied, ApplyReport, Plan

NAMED_MAX: Final = 20
PHASES: Final = {"done": "green", "changed": "yellow", "waiting": "yellow", "failed": "bold red"}


async def apply(
    session: Session,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The file that blobcat reconcile --plan has written.")],
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal", metavar="FILE", help="Where each step is noted, for undo. Default PLAN.HASH.journal."
        ),
    ] = None,
    force: Annotated[
        str | None,
        typer.Option(
            "--force", metavar="HASH", help="Against the brake: the first 8 or more characters of the plan's sha256."
        ),
    ] = None,
    max_delete_fraction: Annotated[
        str,
        typer.Option("--max-delete-fraction", metavar="SHARE", help="Refuse a plan that deletes more. Default 1%."),
    ] = "1%",
    max_delete: Annotated[
        int,
        typer.Option("--max-delete", metavar="N", help="Refuse a plan that deletes more. Default 1000.", min=0),
    ] = 1000,
    patience: PatienceOption = None,
    rate: RateOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something is deleted.")] = False,
) -> int:
    """Carry out what a plan proposes. Whatever is no longer as the plan says is left alone.

        blobcat reconcile --plan plan.jsonl
        blobcat apply plan.jsonl
        blobcat undo plan.jsonl.HASH.journal

    The plan names its volume. On a terminal you are asked before anything is deleted, and elsewhere the brake alone
    holds it; what is deleted is copied to the quarantine first. Each step is written to the journal before it is done:
    stopped, the same command goes on. The journal is named after the plan and the beginning of its sha256, and shown at
    the end.

    Exit codes: 0 all done; 1 something had changed, is waiting, or failed, or you said no; 2 refused by the brake (or
    wrong usage, or no plan); 3 the plan is incomplete (or there is no such catalog).

    --json: one ApplyReport (done, changed, waiting, failed, failures, skipped, journal), where failed lists Applied
    (difference, phase, why, error). See docs/json.md.
    """
    from ... import Brake

    brake = Brake(parsed_share("--max-delete-fraction", max_delete_fraction), max_delete)
    async with session.catalog() as catalog:
        made = catalog.plan(plan)
        if not session.output.json:
            _preview(session, made)
        allowed = force is not None or not brake.refuses(made.header)
        if (
            made.header.deletions
            and allowed
            and not yes
            and session.output.asks
            and not await _confirmed(session, made)
        ):
            session.output.note("nothing was changed")
            return FINDINGS
        heard = Heard()
        with progress(session.output, "apply") as update:
            total = sum(made.header.actions.values())

            def hear(one: "Applied") -> None:
                heard.take(one)
                update(heard.count, total, f"{heard.count:,}/{total:,}")

            report = await made.apply(
                journal=journal, brake=brake, force=force, patience_s=patience, rate=rate_of(rate), progress=hear
            )
    if session.output.json:
        session.output.record(report)
    else:
        _show(session, made, heard, report)
    return FINDINGS if report.failures or report.changed or report.waiting else OK


async def _confirmed(session: Session, plan: "Plan") -> bool:
    where = f"{plan.header.root}.quarantine/"
    return await session.output.confirmed(
        f"delete {count(plan.header.deletions, 'blob')}", f"{GAP}after copying to {where}"
    )


def _preview(session: Session, plan: "Plan") -> None:
    from ...reconcile.difference import DELETING

    header = plan.header
    session.output.line(
        (header.volume, "bold"),
        f"{GAP}{count(sum(header.states.values()), 'finding')}, {count(sum(header.actions.values()), 'action')}",
        (f"{GAP}about {count(header.requests, 'request')}{GAP}sha256 {plan.sha256[:16]}", "dim"),
    )
    actions_table(session.output, header.actions.items(), deleting=DELETING)


@dataclass(slots=True)
class Heard:
    """What became of findings: how many had which end, and some of each end that was not done, to be named."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    named: "dict[str, list[Applied]]" = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many findings had an end."""
        return self.ends.total()

    def take(self, one: "Applied") -> None:
        """That became of a finding."""
        self.ends[str(one.difference.action), str(one.phase)] += 1
        named = self.named.setdefault(one.phase, [])
        if one.phase != "done" and len(named) < NAMED_MAX:
            named.append(one)

    def left(self) -> "list[Applied]":
        """Some of what was not done; all that failed first."""
        phases = sorted(self.named, key=lambda phase: (phase != "failed", phase))
        return [one for phase in phases for one in self.named[phase]][:NAMED_MAX]

    def by_action(self) -> Mapping[tuple[str, str], int]:
        """How often each action has ended how, in order of action."""
        order = [*PHASES]
        return dict(sorted(self.ends.items(), key=lambda each: (each[0][0], order.index(each[0][1]))))


def _show(session: Session, plan: "Plan", heard: Heard, report: "ApplyReport") -> None:
    output, total = session.output, sum(plan.header.actions.values())
    if not total:
        output.line(("nothing to do", "bold green"), f"{GAP}the plan proposes nothing")
        return
    named = heard.left()
    for one in named:
        said = str(one.error) if one.error else one.why
        output.line((f"{one.phase:7}{GAP}", PHASES[one.phase]), (subject(one.difference), "bold"), f"{GAP}{said}")
    hidden = sum(number for (_, phase), number in heard.ends.items() if phase != "done") - len(named)
    if hidden:
        output.line((f"{hidden:,} more are in the journal", "dim"))
    width = max(map(len, plan.header.actions))
    for (action, phase), number in heard.by_action().items():
        output.line((f"{number:>{COUNT_WIDTH},}{GAP}", "bold"), f"{action:{width}}{GAP}", (phase, PHASES[phase]))
    before = total - heard.count
    parts = [f"{sum(report.done.values()):,} done"] if heard.count else ["nothing left to do"]
    parts += [f"{number:,} {what}" for number, what in [*_left(report), (before, "done before")] if number]
    style = "bold red" if report.failures else "bold yellow" if report.changed or report.waiting else "bold green"
    output.line((parts[0], style), "".join(f"{GAP}{part}" for part in parts[1:]))
    output.line(f"journal{GAP}{report.journal}")
    if report.done or report.failures or before:  # what failed may have begun
        output.line((f"  → blobcat undo {shlex.quote(report.journal)} takes back what can be", "dim"))


def _left(report: "ApplyReport") -> list[tuple[int, str]]:
    return [
        (report.changed, "changed since, left alone"),
        (report.waiting, "waiting"),
        (report.failures, "failed"),
    ]
