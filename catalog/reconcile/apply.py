"""Carries a plan out. Each finding is looked at again; what is no longer as the plan says is left alone.

An action is one of `repairs`, `quarantine` or recovery, under the conditions that the look has just confirmed: rows and
blobs are changed If-Match. So it is safe beside writers, readers, recoverers and other reconcilers, and repeated.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ..errors import CatalogError, ConflictError
from ..flow import concurrently, each
from ..recovery import Recovery
from .difference import DELETING, Action, Difference
from .journal import Entry, Journal, Phase
from .judge import judge_blob, judge_op, judge_path
from .look import NO_BLOB, Looker
from .plan import PlanFile
from .repairs import Changed, Repairs

ACTIONS_AT_A_TIME = 16
NOTING = frozenset({"heal", "rewrite-headers", "refresh"})
"""Actions that end with the blob's etag in the rows."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a finding."""

    difference: Difference
    phase: Phase
    why: str = ""
    error: CatalogError | None = None


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What was done, and what was not."""

    done: Mapping[Action, int] = field(default_factory=dict)
    changed: int = 0
    """How many were no longer as the plan says."""
    waiting: int = 0
    """Writes whose writers may be alive."""
    failed: Sequence[Applied] = ()
    skipped: int = 0
    """Findings about which the plan proposes nothing."""
    journal: str = ""
    """The file that `undo` takes."""

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


class Applier:
    """Carries out plans for one volume."""

    def __init__(
        self,
        looker: Looker,
        recovery: Recovery,
        repairs: Repairs,
        *,
        patience_s: float | None,
        listener: Callable[[Applied], None] | None,
    ) -> None:
        self._looker = looker
        self._volume = looker.volume
        self._recovery = recovery
        self._repairs = repairs
        self._patience_s = patience_s
        self._listener = listener or (lambda _applied: None)

    def __repr__(self) -> str:
        return f"<Applier to {self._volume.name!r}>"

    async def run(self, plan: PlanFile, journal: Journal) -> ApplyReport:
        """Carry out what a plan proposes, and what an earlier run of it has not done."""
        done, phases, failed = Counter[Action](), Counter[str](), list[Applied]()
        references = await self._references(plan)

        async def act(found: Difference) -> Applied:
            return await self._act(found, journal, references)

        todo = (found for found in plan.differences() if found.action != "none")
        left = (found for found in todo if _subject(found) not in journal.ended)
        async with aclosing(concurrently(each(left), act, limit=ACTIONS_AT_A_TIME)) as acts:
            async for applied in acts:
                journal.add(_entry(applied.difference, applied.phase, applied.why))
                phases[applied.phase] += 1
                if applied.phase == "done":
                    done[applied.difference.action] += 1
                if applied.phase == "failed":
                    failed.append(applied)
                self._listener(applied)
        return ApplyReport(
            dict(sorted(done.items())),
            phases["changed"],
            phases["waiting"],
            tuple(sorted(failed, key=lambda one: one.difference.order)),
            sum(plan.header.states.values()) - sum(plan.header.actions.values()),
            str(journal.path),
        )

    async def _references(self, plan: PlanFile) -> frozenset[str]:
        """Which of the blobs that a plan would delete somebody refers to by now."""
        names = frozenset(found.key for found in plan.differences() if found.action in DELETING)
        return await self._looker.referred(names) if names else names

    async def _act(  # noqa: PLR0911 — one line per end
        self, found: Difference, journal: Journal, references: frozenset[str]
    ) -> Applied:
        try:
            if not self._is_ours(found):
                return Applied(found, "changed", "it lies outside the volume")
            if found.key in references:
                return Applied(found, "changed", "somebody refers to it by now")
            now = await self._now(found)
            if _subject(found) in journal.begun:
                return await self._go_on(found, now, journal)
            if (why := _changed(found, now)) is not None:
                return Applied(found, "changed", why)
            if found.action == "settle":
                return await self._settle(found, journal)
            prepared = await self._repairs.prepare(found)
            journal.add(_entry(found, "begun", undo=prepared.record))
            await self._repairs.carry_out(found, prepared)
        except (Changed, ConflictError) as exc:
            return Applied(found, "changed", str(exc))
        except CatalogError as exc:
            phase: Phase = "changed" if exc.kind == NO_BLOB else "failed"  # others were faster
            return Applied(found, phase, str(exc), exc)
        return Applied(found, "done")

    def _is_ours(self, found: Difference) -> bool:
        """Whether what a plan names is this volume's: it was written by a program, and may have been edited."""
        if found.state in ("history-broken", "in-flight"):
            return True
        volume = self._volume
        own = all(name.startswith(volume.root) for name in (found.key, found.twin) if name)
        return own or (found.action in ("adopt", "refresh", "none") and found.key.startswith(volume.adopted))

    async def _go_on(self, found: Difference, now: Difference | None, journal: Journal) -> Applied:
        """Bring to its end what an earlier run has begun, wherever that stopped."""
        if found.action == "settle":
            return await self._settle(found, journal)  # whatever was done of it
        if now is None:
            return Applied(found, "done", "an earlier run has done it")
        if found.action in NOTING and now.state == "touched":
            await self._repairs.note(now, now.blob_etag)
            return Applied(found, "done")
        if found.action == "finish-purge" and now.action == found.action:
            await self._repairs.carry_out(now, await self._repairs.prepare(now))
            return Applied(found, "done")
        if (why := _changed(found, now)) is not None:
            return Applied(found, "changed", why)
        await self._repairs.carry_out(found, await self._repairs.prepare(found))
        return Applied(found, "done")

    async def _now(self, found: Difference) -> Difference | None:
        match found.state:
            case "history-broken":
                return judge_path(await self._looker.path(found.key))
            case "in-flight":
                return judge_op(await self._looker.op(found.key, found.intents), settle=True)
            case "corrupt" | "foreign-overwrite" | "missing" | "stale-metadata" | "touched":
                return judge_blob(self._volume, await self._looker.whole(found.key, found.users))
            case _:
                return judge_blob(self._volume, await self._looker.blob(found.key, found.users))

    async def _settle(self, found: Difference, journal: Journal) -> Applied:
        journal.add(_entry(found, "begun", "an abort cannot be undone"))
        for path in found.intents:
            item = await self._recovery.settle(self._volume, path, found.op, patience_s=self._patience_s)
            if item is not None and item.action == "waiting":
                return Applied(found, "waiting", "its writer may be alive")
            if item is not None and item.action == "failed":
                return Applied(found, "failed", str(item.error), item.error)
        return Applied(found, "done")


def _subject(found: Difference) -> tuple[str, str, str]:
    return (found.state, found.key, found.action)


def _changed(found: Difference, now: Difference | None) -> str | None:
    """What is different from what the plan says; None where nothing is."""
    if now is None:
        return "it is as it should be by now"
    if now.state != found.state:
        return f"it is {now.state} by now"
    if (now.blob_etag, now.rows) != (found.blob_etag, found.rows):
        return "it was changed since the plan was made"
    return None


def _entry(found: Difference, phase: Phase, why: str = "", undo: Mapping[str, object] | None = None) -> Entry:
    return Entry(found.key, found.state, found.action, phase, why, undo or {})
