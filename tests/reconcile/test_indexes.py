"""Rows of indexes beside all else that is repaired: whoever writes a head writes them, under the settings in force."""

from collections import Counter
from pathlib import Path

import pytest

from catalog import IntegrityError, NotFoundError
from catalog.keys import REGISTRY, head_row, volume_row
from catalog.table import Delete
from tests.faults.meddler import Before, Meddler
from tests.faults.ports import Wire
from tests.harness.index_rows import amiss_in
from tests.reconcile import injuries as injury
from tests.reconcile.cases import CASES, MEND, Injury, possible
from tests.reconcile.scene import Scene
from tests.reconcile.test_states import said

PATH = "d/a.txt"
OF_HEADS = {"insert-head", "mend-index", "refresh", "rewrite-headers", "heal"}
REPAIRED = [make for make, case in CASES.items() if OF_HEADS & {action for _, action in case.at("etag")}]


async def wrong(scene: Scene) -> list[str]:
    """What is not as it is to be, read from the side."""
    await scene.volume.indexes()
    return await amiss_in(scene.table, scene.volume.info)


async def found(scene: Scene, **options: object) -> list[tuple[str, str]]:
    return said([*(await scene.cat.reconcile("raw", **options)).differences()])  # type: ignore[arg-type]


@pytest.mark.parametrize("make", REPAIRED, ids=lambda each: each.__name__)
async def test_who_repairs_a_head_repairs_its_rows_in_indexes(small: Scene, make: Injury, tmp_path: Path) -> None:
    assert make in possible(small)
    await make(small, PATH)
    assert (await (await small.cat.reconcile("raw", patience_s=0)).apply(journal=tmp_path / "journal")).ok
    assert await wrong(small) == []


async def test_they_are_mended_on_every_kind_of_catalog(scene: Scene, tmp_path: Path) -> None:
    """Of many files at once; and they are as they were again, if somebody wants that."""
    for make in (injury.index_rows_removed, injury.index_row_left, injury.mark_removed, injury.mark_of_no_index):
        for number in range(3):
            await make(scene, f"{make.__name__}/{number}")
    injured, before = await scene.look(), await wrong(scene)
    plan = await scene.cat.reconcile("raw")
    assert said([*plan.differences()]) == [MEND] * 12
    assert (await plan.apply(journal=tmp_path / "journal")).done == {"mend-index": 12}
    assert (before != [], await wrong(scene)) == (True, [])
    assert (await scene.cat.reconcile("raw", depth="headers")).clean
    assert (await scene.cat.undo(tmp_path / "journal")).ok
    assert (await scene.look()).lasting == injured.lasting


async def test_settings_that_were_changed_since_the_plan(small: Scene, tmp_path: Path) -> None:
    """What it says is not so any more: the next plan says what is."""
    await injury.mark_removed(small, PATH)
    plan = await small.cat.reconcile("raw")
    await small.volume.create_index("writer")
    assert (await plan.apply(journal=tmp_path / "1")).changed == 1
    assert (await (await small.cat.reconcile("raw")).apply(journal=tmp_path / "2")).done == {"mend-index": 1}
    assert await wrong(small) == []


@pytest.mark.parametrize("make", [injury.head_removed, injury.mark_removed], ids=lambda each: each.__name__)
async def test_settings_that_are_changed_during_a_repair_refuse_it(small: Scene, make: Injury, tmp_path: Path) -> None:
    """The gate does: a head that is written now would be missing in an index that is filled meanwhile."""
    await make(small, PATH)
    plan = (await small.cat.reconcile("raw")).save(tmp_path / "plan")
    meddler = Meddler(Before("table.submit", lambda _: small.volume.create_index("writer"), small.volume.info.epoch))
    async with small.client(meddler) as client:
        report = await client.apply(plan, journal=tmp_path / "journal")
    assert meddler.over
    assert (report.done, report.changed) == ({}, 1)
    assert (await (await small.cat.reconcile("raw")).apply(journal=tmp_path / "2")).ok
    assert await wrong(small) == []


@pytest.mark.parametrize("shard", range(4))
async def test_nothing_is_wrong_while_indexes_come_and_go(small: Scene, shard: int) -> None:
    """Marks that a scan does not know, rows that it has not seen: each is looked at again, under what is so then."""
    for number in range(20):
        await small.volume.put(f"{number}", b"x" * number)
    part = f"{small.volume.info.epoch}~{shard:02x}"
    made = Before("table.query", lambda _: small.volume.create_index("writer", "-created"), part)
    gone = Before("table.query", lambda _: small.volume.drop_index("writer", "-created"), part)
    for before in (made, gone):
        meddler = Meddler(before)
        async with small.client(meddler) as client:
            assert [*(await client.reconcile("raw")).differences()] == []
        assert meddler.over
    assert await wrong(small) == []


async def test_a_head_that_a_move_holds_is_left_to_it(small: Scene) -> None:
    await small.volume.put(PATH, b"1")
    target = injury.apart(small, PATH)
    for at in range(1, 9):
        assert await small.killed(at, lambda _, volume: volume.move(PATH, target))
        if "moving" in (await small.row(PATH, head_row(PATH))).values:
            break
    await small.remove(PATH, *await small.index_rows(PATH))
    assert {*await found(small)} == {("in-flight", "none")}
    assert (await (await small.cat.reconcile("raw", patience_s=0)).apply(patience_s=0)).ok
    assert await wrong(small) == []
    assert await small.volume.read(PATH) == b"1"


async def test_a_history_that_nobody_can_mend_hides_no_index(small: Scene, tmp_path: Path) -> None:
    await injury.middle_version_removed(small, PATH)
    await small.remove(PATH, *await small.index_rows(PATH))
    plan = await small.cat.reconcile("raw")
    assert said([*plan.differences()])[:2] == [("history-broken", "none"), MEND]
    assert (await plan.apply(journal=tmp_path / "journal")).done == {"mend-index": 1}
    assert await wrong(small) == []


async def test_rows_of_a_head_that_is_lost_are_left_to_who_brings_it_back(small: Scene) -> None:
    await injury.middle_version_removed(small, PATH)
    await small.remove(PATH, head_row(PATH))
    assert ("history-broken", "none") in await found(small)
    assert MEND not in await found(small)


async def test_a_prefix_compares_none(small: Scene) -> None:
    await injury.index_rows_removed(small, PATH)
    assert await found(small, prefix="d/") == []
    assert await found(small) == [MEND]


async def test_a_volume_without_indexes_has_no_more_requests(small: Scene) -> None:
    """Nor has one with some, where nothing is wrong: each shard is read once."""
    for volume in (small.volume, await small.cat.create_volume("plain", shards=4)):
        for number in range(9):
            await volume.put(f"{number}", b"x")
    sent = dict[str, Counter[str]]()
    for name in ("raw", "plain"):
        wire = Wire()
        async with small.client(wire) as client:
            assert (await client.reconcile(name)).clean
        sent[name] = Counter(wire.sent)
    assert sent["raw"] == sent["plain"]


async def test_undo_puts_no_file_into_an_index_that_is_being_dropped(small: Scene, tmp_path: Path) -> None:
    """Its rows are being removed: one that comes back behind whoever does that would be there for ever."""
    await small.subject(PATH)
    older = await small.row(PATH, head_row(PATH))
    for at in range(1, 99):
        assert await small.killed(at, lambda _, volume: volume.drop_index("meta.owner"))
        if any(index.state == "dropping" for index in await small.volume.indexes()):
            break
    assert older.values["indexed"] == (await small.row(PATH, head_row(PATH))).values["indexed"] == "1 2"
    await small.merge(PATH, head_row(PATH), {"size": 7})
    plan = await small.cat.reconcile("raw")
    assert said([*plan.differences()]) == [("history-broken", "insert-head")]
    assert (await plan.apply(journal=tmp_path / "journal")).done == {"insert-head": 1}
    assert (await small.row(PATH, head_row(PATH))).values["indexed"] == "1"
    report = await small.cat.undo(tmp_path / "journal")
    assert [item.why for item in report.kept] == ["the index (meta.owner) is being dropped by now"]
    await small.volume.drop_index("meta.owner")
    assert await wrong(small) == []


async def test_undo_is_refused_where_a_row_of_an_index_was_changed_since(small: Scene, tmp_path: Path) -> None:
    await injury.index_rows_removed(small, PATH)
    plan = await small.cat.reconcile("raw")
    assert (await plan.apply(journal=tmp_path / "journal")).ok
    await small.merge(PATH, (await small.index_rows(PATH))[0], {"size": 7})
    before = await small.look()
    assert not (await small.cat.undo(tmp_path / "journal")).ok
    assert (await small.look()).exact == before.exact


async def test_a_row_of_an_index_that_says_no_path_is_no_row_of_ours(small: Scene) -> None:
    await injury.insert(small, "a", "x1 0a", {"schema": 1})
    with pytest.raises(IntegrityError, match="lacks 'path'"):
        await small.cat.reconcile("raw")


async def test_a_volume_that_is_gone_ends_a_run(small: Scene) -> None:
    """Its settings are asked before anything is said of its indexes."""
    await injury.index_rows_removed(small, PATH)

    async def gone(_: str) -> None:
        await small.table.submit(REGISTRY, [Delete(volume_row("raw"))])

    meddler = Meddler(Before("table.get", gone, small.volume.info.epoch))
    async with small.client(meddler) as client:
        with pytest.raises(NotFoundError, match="was deleted meanwhile"):
            await client.reconcile("raw")
    assert meddler.over
