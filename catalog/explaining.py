"""Explaining an answer: its plan, what it should cost by one look at one shard, and what it did cost."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol, Self

from .entities import VolumeInfo
from .explanation import Certainty, Cost, Explanation
from .index_reading import beside_pages
from .keys import ABOVE, RowRange, partition
from .listing import Lister
from .metered import MeteredTable
from .path_ranges import is_point
from .planner import Plan
from .ranges import Ranges, within
from .rows import Entity
from .table import LastPage

_PROBED = ("schema", "path")


class Answer(Protocol):
    """What is explained."""

    @property
    def lister(self) -> Lister:
        """What it reads with."""

    @property
    def info(self) -> VolumeInfo:
        """Of what volume it is, as far as is known."""

    def over(self, table: MeteredTable) -> Self:
        """It, reading through another table."""

    async def plan(self) -> Plan:
        """How it is answered."""

    def runs(self) -> AsyncGenerator[Sequence[Entity], None]:
        """It."""


async def explain(answer: Answer, *, condition: str, limit: int | None, run: bool) -> Explanation:
    """How an answer is found. With `run` it is, and counted. Raises: as `runs`."""
    meter = MeteredTable(answer.lister.table)
    plan = await answer.over(meter).plan()
    shards, ranges = answer.info.shards, _ranges(plan)
    spans = [each for each in ranges if plan.index or not is_point(each)]
    pushed = meter.pushed(partition(answer.info.epoch, 0), spans[0], plan.condition) if spans else None
    estimate, certainty = await _estimated(answer.over(meter), plan, len(ranges) - len(spans), spans)
    actual = MeteredTable(answer.lister.table)
    files = await _counted(answer.over(actual), limit) if run else None
    return Explanation(
        volume=answer.info.name,
        condition=condition,
        prefix=plan.question.prefix,
        order=plan.question.order or ("path",),
        limit=limit,
        access=plan.access,
        index=plan.index.on if plan.index else (),
        ranges=len(ranges),
        shards=0 if plan.access in ("nothing", "points") else shards,
        sent=pushed.text if pushed else "",
        left="" if pushed is None or pushed.left is None else str(pushed.left),
        streams=not plan.sorts,
        estimate=estimate,
        certainty=certainty,
        probe=Cost(meter.requests, meter.entities),
        actual=Cost(actual.requests, actual.entities) if run else None,
        files=files,
    )


def _ranges(plan: Plan) -> Ranges:
    if plan.reach is not None:
        return plan.reach.ranges
    anywhere = (RowRange("", ABOVE),)
    return () if plan.access == "nothing" else within("h", anywhere if plan.paths is None else plan.paths)


async def _estimated(answer: Answer, plan: Plan, points: int, spans: Sequence[RowRange]) -> tuple[Cost, Certainty]:
    if not spans:
        return Cost(points, points), "exactly" if not points else "at most"
    info, where = answer.info, plan.condition
    pages = answer.lister.pages(
        partition(info.epoch, 0), spans[0], where=where, select=sorted({*_PROBED, *where.reads})
    )
    async with aclosing(pages):
        first = await anext(pages, None)
    rows = len(first or ())
    full = first is not None and not isinstance(first, LastPage)
    each, own = info.shards * len(spans), int(plan.index is not None)
    beside = info.shards * beside_pages(len(spans), full=full) if plan.sorts else 0
    cost = Cost(points + each * (1 + full) + beside + own, points + each * rows + own)
    return cost, "about, or more" if full else "about"


async def _counted(answer: Answer, limit: int | None) -> int:
    files = 0
    if limit == 0:
        return files
    async with aclosing(answer.runs()) as runs:
        async for run in runs:
            files += len(run)
            if limit is not None and files >= limit:
                return limit
    return files
