"""Each action of a plan, counted request by request: the estimate is enough, and little more than twice as much."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import get_args

import pytest

from catalog import Brake, connect
from catalog.kinds import UNKNOWN
from catalog.reconcile.difference import Action
from catalog.reconcile.plan import REQUESTS
from tests.reconcile import injuries as injury
from tests.reconcile.cases import Injury
from tests.reconcile.scene import Scene, writes_counted


async def left_open(scene: Scene, path: str) -> None:
    await scene.volume.put(path, b"1")
    assert await scene.killed(2, lambda _, volume: volume.put(path, b"2"))


async def moving(scene: Scene, path: str) -> None:
    await scene.volume.put(path, b"1")
    assert await scene.killed(4, lambda _, volume: volume.move(path, injury.apart(scene, path)))


MAKES: dict[Action, Sequence[Injury]] = {
    "settle": [injury.aborted_and_late, left_open, moving],
    "finish-purge": [injury.purge_begun, injury.purge_half_done],
    "refresh": [injury.touched, injury.written_again],
    "rewrite-headers": [injury.headers_stripped, injury.headers_changed, injury.type_changed],
    "heal": [injury.deleted, injury.overwritten, injury.flipped],
    "insert-head": [injury.head_removed, injury.head_rolled_back, injury.claim_without_intents],
    "insert-version": [injury.newest_version_removed, injury.digest_edited],
    "adopt": [injury.foreign],
    "put-again": [injury.all_rows_removed],
    "quarantine": [injury.purged_and_back],
    "mend-index": [injury.index_rows_removed, injury.index_row_left, injury.mark_removed],
}
CASES = [(action, make) for action, makes in MAKES.items() for make in makes]
DEARER = {injury.claim_without_intents}
"""What is looked for in two places."""
CHEAPER = {injury.foreign}
"""What is adopted in place: no bytes are written."""
MANY = 8
FREE = {"content.chunk", "table.next"}
"""More of what a request has answered: these pages are small."""


@pytest.fixture
async def small() -> AsyncIterator[Scene]:
    """A volume in memory, without indexes: each costs a read more, where a head is changed."""
    async with connect("memory:", writer="tests") as cat:
        yield Scene(cat, await cat.create_volume("raw", shards=4))


@pytest.mark.parametrize(("action", "make"), CASES, ids=lambda each: getattr(each, "__name__", each))
async def test_an_action_takes_what_the_plan_estimates(
    small: Scene, action: Action, make: Injury, tmp_path: Path
) -> None:
    if action == "mend-index":
        await small.volume.create_index("digest")
    for number in range(MANY):
        await make(small, f"{number}/a.txt")
    adopt = action in ("adopt", "put-again")
    plan = await small.cat.reconcile(
        "raw", orphans="adopt" if adopt else "quarantine", foreign="adopt" if adopt else "report", patience_s=0
    )
    saved = plan.save(tmp_path / "plan.jsonl")
    n = plan.header.actions[action]
    async with writes_counted(small) as (client, wire):
        loaded = client.plan(saved)
        report = await loaded.apply(brake=Brake(fraction=1), force=plan.sha256, patience_s=0)
    assert report.done == {action: n}
    sent = sum(name not in FREE for name in wire.sent)
    assert n == MANY
    assert sent <= plan.header.requests or make in DEARER, Counter(wire.sent)
    assert plan.header.requests <= 2.5 * sent or make in CHEAPER, Counter(wire.sent)


async def test_all_purges_of_a_plan_are_finished_by_one_reading(small: Scene, tmp_path: Path) -> None:
    """Before content is deleted, all that may refer to it is read: once, however many purges there are."""
    searched = list[int]()
    for several in (1, MANY):
        for number in range(several):
            await injury.purge_begun(small, f"{several}/{number}/a.txt")
        plan = await small.cat.reconcile("raw", patience_s=0, work=tmp_path / f"{several}")
        async with writes_counted(small) as (client, wire):
            report = await client.plan(plan.path).apply(patience_s=0)
        assert report.done == {"finish-purge": several}
        assert sum(name not in FREE for name in wire.sent) <= plan.header.requests
        searched.append(Counter(wire.sent)["table.query"])
    assert searched == [(3 + len(UNKNOWN)) * small.volume.info.shards] * 2


def test_every_action_is_counted() -> None:
    assert {*MAKES, "none"} == {*get_args(Action)} == {*REQUESTS}
