"""Carries a plan out. Each finding is looked at again; what is no longer as the plan says is left alone.

An action is one of `repairs`, a purge, or recovery, under the conditions that the look has just confirmed: rows and
blobs are changed If-Match. So it is safe beside writers, readers, recoverers and other reconcilers, and repeated.
Deletions and purges come last, some thousand at a time: before any of them deletes, all rows of the volume have to be
read, once for all. So what is held in memory is one such batch, whatever the plan.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import TypeVar

from ..entities import VersionRow
from ..errors import CatalogError, ConflictError
from ..flow import concurrently, each
from ..purging import Held, PurgeResult, Unfinished
from ..recovery import Recovery
from .apply_report import Applied, ApplyReport, Tally
from .difference import DELETING, Difference
from .entry import Entry, Phase
from .history import judge_path
from .indexed import judge_indexes
from .journal import Journal
from .judge import judge_blob, judge_op
from .look import NO_BLOB
from .plan import DELETIONS_AT_A_TIME, PURGES_AT_A_TIME, PlanFile
from .repairs import Repairs
from .row_changes import Changed

ACTIONS_AT_A_TIME = 16
NOTING = frozenset({"heal", "rewrite-headers", "refresh"})
"""Actions that end with the blob's etag in the rows."""
SEARCHING = DELETING | {"finish-purge"}
"""Actions before which all rows of the volume are read, once for many: they come after the others."""

T = TypeVar("T")


class Applier:
    """Carries out plans for one volume."""

    def __init__(
        self,
        recovery: Recovery,
        repairs: Repairs,
        *,
        patience_s: float | None,
        at_a_time: int = ACTIONS_AT_A_TIME,
        listener: Callable[[Applied], None] | None,
    ) -> None:
        self._looker = repairs.looker
        self._volume = repairs.volume
        self._recovery = recovery
        self._repairs = repairs
        self._patience_s = patience_s
        self._at_a_time = min(ACTIONS_AT_A_TIME, at_a_time)
        self._listener = listener

    def __repr__(self) -> str:
        return f"<Applier to {self._volume.name!r}>"

    async def run(self, plan: PlanFile, journal: Journal) -> ApplyReport:
        """Carry out what a plan proposes, and what an earlier run of it has not done."""
        tally = Tally(journal, self._listener)
        actions = (found for found in _todo(plan, journal) if found.action not in SEARCHING)
        await self._carry_out(actions, frozenset(), journal, tally)
        deletions = (found for found in _todo(plan, journal) if found.action in DELETING)
        while batch := [*islice(deletions, DELETIONS_AT_A_TIME)]:
            references = await self._looker.referred(frozenset(found.key for found in batch))
            await self._carry_out(batch, references, journal, tally)
        purges = (found for found in _todo(plan, journal) if found.action == "finish-purge")
        while batch := [*islice(purges, PURGES_AT_A_TIME)]:
            await self._purge(batch, journal, tally)
        proposed = sum(plan.header.actions.values())
        return tally.report(skipped=sum(plan.header.states.values()) - proposed)

    async def _carry_out(
        self, actions: Iterable[Difference], references: frozenset[str], journal: Journal, tally: Tally
    ) -> None:
        """Carry out actions; `references` are those blobs to be deleted that somebody refers to by now."""

        async def act(found: Difference) -> Applied:
            return await self._ended(found, lambda: self._act(found, journal, references))

        async with aclosing(concurrently(each(actions), act, limit=self._at_a_time)) as acts:
            async for applied in acts:
                tally.ended(applied)

    async def _ended(self, found: Difference, work: Callable[[], Awaitable[T]]) -> T | Applied:
        """What comes of work on a finding of this volume's, where an error is an end."""
        try:
            if not self._is_ours(found):
                return Applied(found, "changed", "it lies outside the volume")
            return await work()
        except (Changed, ConflictError) as exc:
            return Applied(found, "changed", str(exc))
        except CatalogError as exc:
            phase: Phase = "changed" if exc.kind == NO_BLOB else "failed"  # others were faster
            return Applied(found, phase, str(exc), exc)

    async def _act(self, found: Difference, journal: Journal, references: frozenset[str]) -> Applied:
        if found.key in references:
            raise Changed("somebody refers to it by now")
        now = await self._now(found)
        if journal.earlier.is_begun(_subject(found)):
            return await self._go_on(found, now, journal)
        _check_unchanged(found, now)
        if found.action == "settle":
            return await self._settle(found, journal)
        prepared = await self._repairs.prepare(found)
        journal.add(_entry(found, "begun", undo=prepared.record))
        await self._repairs.carry_out(found, prepared)
        return Applied(found, "done")

    # --- Purges ------------------------------------------------------------------------------------------------------

    async def _purge(self, batch: Sequence[Difference], journal: Journal, tally: Tally) -> None:
        """Bring these purges to their end, by one reading of the volume."""
        flagged = list[tuple[Difference, Sequence[VersionRow]]]()

        async def look(found: Difference) -> tuple[Difference, Sequence[VersionRow] | Applied]:
            return found, await self._ended(found, lambda: self._flagged(found, journal))

        async with aclosing(concurrently(each(batch), look, limit=self._at_a_time)) as looks:
            async for found, seen in looks:
                if isinstance(seen, Applied):
                    tally.ended(seen)
                else:
                    flagged.append((found, seen))
        journal.add(*[_entry(found, "begun") for found, _ in flagged])
        results = await self._repairs.purge([rows for _, rows in flagged])
        for (found, _), result in zip(flagged, results, strict=True):
            tally.ended(_purged(found, result))

    async def _flagged(self, found: Difference, journal: Journal) -> Sequence[VersionRow] | Applied:
        """The versions whose content is to go, as they are now. Raises: Changed."""
        seen = await self._looker.blob(found.key, found.users)
        now = judge_blob(self._volume, seen)
        if journal.earlier.is_begun(_subject(found)) and (now is None or now.action == found.action):
            if now is None:
                return Applied(found, "done", "an earlier run has done it")
        else:
            _check_unchanged(found, now)
        return [row for row in seen.rows if row.purging and not row.purged]

    # --- Looks -------------------------------------------------------------------------------------------------------

    def _is_ours(self, found: Difference) -> bool:
        """Whether what a plan names is this volume's: it was written by a program, and may have been edited."""
        if found.state in ("history-broken", "index-wrong", "in-flight"):
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
        if found.action in NOTING and now.action == "refresh":
            await self._repairs.rows.note(now, now.blob_etag)
            return Applied(found, "done")
        _check_unchanged(found, now)
        await self._repairs.carry_out(found, await self._repairs.prepare(found))
        return Applied(found, "done")

    async def _now(self, found: Difference) -> Difference | None:
        match found.state:
            case "history-broken":
                return judge_path(await self._looker.path(found.key))
            case "index-wrong":
                return judge_indexes(await self._looker.indexes(found.key, found.index_rows))
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


def _todo(plan: PlanFile, journal: Journal) -> Iterator[Difference]:
    """What is proposed, and was not brought to its end by an earlier run."""
    proposed = (found for found in plan.differences() if found.action != "none")
    return (found for found in proposed if not journal.earlier.is_done(_subject(found)))


def _purged(found: Difference, result: PurgeResult) -> Applied:
    match result:
        case Held(by, why):
            return Applied(found, "changed", why or f"{by} refers to it")
        case Unfinished(error):
            return Applied(found, "failed", str(error), error)
    return Applied(found, "done")


def _check_unchanged(found: Difference, now: Difference | None) -> None:
    """Raises: Changed, where it is not as the plan says any more."""
    if now is None:
        raise Changed("it is as it should be by now")
    if now.state != found.state:
        raise Changed(f"it is {now.state} by now")
    if (now.blob_etag, now.rows) != (found.blob_etag, found.rows):
        raise Changed("it was changed since the plan was made")


def _entry(found: Difference, phase: Phase, why: str = "", undo: Mapping[str, object] | None = None) -> Entry:
    return Entry(found.key, found.state, found.action, phase, why, undo or {})
