"""What a plan proposes is done, once, under its conditions; and taken back, as far as that can be."""

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from catalog import ApplyReport, Brake, InvalidError, NotFoundError, Plan, UndoReport, connect
from catalog.columns import parse_version
from catalog.keys import head_row, version_row
from catalog.metadata import Metadata
from storage import Always, Headers, IfMatch, Touches
from storage.local import LocalContent
from tests.faults.ports import Fault, Wire
from tests.faults.world import outlived, writes
from tests.reconcile import injuries as injury
from tests.reconcile.cases import CASES, ON_DISK, Injury, possible
from tests.reconcile.scene import Raw, Scene, indexed, writes_counted

ANY = Brake(fraction=1.0)
LASTING = {"settle", "finish-purge", "adopt", "heal"}
"""What cannot be taken back."""
PATH = "d/a.txt"
REPAIRED = [
    make
    for make, case in CASES.items()
    if make not in ON_DISK and any(action != "none" for _, action in case.at("content"))
]


async def planned(scene: Scene, *, orphans: str = "report") -> Plan:
    """All that there is to find, with what is proposed about it."""
    return await scene.cat.reconcile(scene.volume.name, depth="content", patience_s=0, orphans=orphans)  # type: ignore[arg-type]


def actions(plan: Plan) -> list[str]:
    return [each.action for each in plan.differences() if each.action != "none"]


async def applied(plan: Plan, journal: Path) -> ApplyReport:
    """Carried out, whatever it deletes."""
    return await plan.apply(journal=journal, brake=ANY, force=plan.sha256, patience_s=0)


async def writes_of(scene: Scene, journal: Path, plan: Plan) -> tuple[ApplyReport, list[str]]:
    """What an apply of a saved plan reports, and what it sent that may have changed something."""
    file = plan.save(journal.with_suffix(".plan"))
    async with writes_counted(scene) as (client, wire):
        report = await client.apply(file, journal=journal, brake=ANY, force=plan.sha256, patience_s=0)
        return report, writes(wire.sent)


# --- Done, and taken back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", REPAIRED, ids=lambda each: each.__name__)
async def test_what_is_wrong_is_repaired_and_can_be_wrong_again(small: Scene, make: Injury, tmp_path: Path) -> None:
    """S6: a second reconcile finds nothing to do, and to apply it writes nothing."""
    await make(small, PATH)
    injured = await small.look()
    plan = await planned(small)
    proposed = actions(plan)
    report = await applied(plan, tmp_path / "journal")
    assert (report.ok, report.changed, report.waiting, sum(report.done.values())) == (True, 0, 0, len(proposed))
    assert dict(report.done) == {action: proposed.count(action) for action in proposed}
    assert report.skipped == plan.findings - len(proposed)
    await check_readable(small)
    second = await planned(small)
    assert actions(second) == []
    assert (await writes_of(small, tmp_path / "second", second))[1] == []
    await check_undone(small, tmp_path / "journal", injured, proposed)


async def test_all_at_once_on_every_kind_of_catalog(scene: Scene, tmp_path: Path) -> None:
    for make in possible(scene):
        await make(scene, f"{make.__name__}/a.txt")
    injured = await scene.look()
    plan = await planned(scene)
    report = await applied(plan, tmp_path / "journal")
    assert [applied.why for applied in report.failed] == []
    assert (report.changed, report.done) == (0, dict(plan.header.actions))
    await check_readable(scene)
    second = await planned(scene)
    assert actions(second) == []
    await check_undone(scene, tmp_path / "journal", injured, actions(plan))


async def check_readable(scene: Scene) -> None:
    """Every file reads as it was written; but what was lost for good, and what has no rows."""
    for make in possible(scene):
        for path in (PATH, f"{make.__name__}/a.txt"):
            try:
                newest = await scene.volume.stat(path)
            except NotFoundError:
                continue
            if newest.version == 2:
                assert await scene.volume.read(path) in (b"2", f"2 of {path}".encode()), path


async def check_undone(scene: Scene, journal: Path, injured: Raw, proposed: Sequence[str]) -> None:
    """Rows and blobs are as they were; what cannot be taken back is said; a second time changes nothing."""
    lasting = [action for action in proposed if action in LASTING]
    report = await scene.cat.undo(journal)
    check_report(report, len(proposed) - len(lasting), lasting)
    undone = await scene.look()
    if lasting:
        assert all(item.why for item in report.kept)
    else:
        assert undone.lasting == injured.lasting
    async with writes_counted(scene) as (client, wire):
        await client.undo(journal)
        assert (await scene.look()).exact == undone.exact, writes(wire.sent)


def check_report(report: UndoReport, undone: int, kept: Sequence[str]) -> None:
    assert report.undone == undone, report.kept
    assert sorted(item.action for item in report.kept) == sorted(kept)
    assert report.ok == (not kept)


async def test_an_orphan_is_put_aside_and_comes_back(scene: Scene, tmp_path: Path) -> None:
    """What is deleted on somebody's word is copied first."""
    await scene.subject("other/a")
    await injury.all_rows_removed(scene, PATH)
    injured = await scene.look()
    (orphan,) = (await planned(scene)).differences()
    plan = await planned(scene, orphans="quarantine")
    assert (await applied(plan, tmp_path / "journal")).done == {"quarantine": 1}
    now = await scene.look()
    (aside,) = now.blobs.keys() - injured.blobs.keys()
    assert aside.startswith("raw/.quarantine/")
    assert aside.endswith(orphan.key.removeprefix("raw/"))
    assert injured.blobs.keys() - now.blobs.keys() == {orphan.key}
    assert now.contents[aside] == b"left alone"
    again = await planned(scene, orphans="quarantine")
    assert again.clean
    assert [part.get("quarantined", 0) for part in again.header.certificates if "blobs" in part] == [1]
    await check_undone(scene, tmp_path / "journal", injured, ["quarantine"])


async def test_an_orphan_is_adopted_as_a_version(scene: Scene, tmp_path: Path) -> None:
    await scene.subject("other/a")
    await injury.all_rows_removed(scene, PATH)
    plan = await planned(scene, orphans="adopt")
    assert (await applied(plan, tmp_path / "journal")).done == {"put-again": 1}
    assert await scene.volume.read(PATH) == b"left alone"
    assert (await planned(scene, orphans="adopt")).clean
    assert (await scene.cat.undo(tmp_path / "journal")).undone == 1
    assert await scene.volume.read(PATH) == b"left alone"
    assert actions(await planned(scene, orphans="quarantine")) == ["quarantine"], "the orphan is back, too"


async def test_metadata_of_every_type_come_back(small: Scene, tmp_path: Path) -> None:
    """A row goes through the journal and comes out as it was."""
    text = "gr\u00fc\u00dfe \U0001f408"
    metadata: Metadata = {"i": 2**53 + 1, "small": -(2**63), "f": 5.0, "t": True, "s": text, "e": ""}
    await small.volume.put(PATH, b"1", metadata=metadata)
    await small.merge(PATH, version_row(PATH, 1), {"size": 99})
    await injury.touched(small, "t/a")
    injured = await small.look()
    plan = await planned(small)
    assert sorted(actions(plan)) == ["insert-version", "refresh"]
    await applied(plan, tmp_path / "journal")
    assert (await small.volume.stat(PATH, version=1)).metadata == metadata
    await check_undone(small, tmp_path / "journal", injured, actions(plan))


# --- What has changed since ------------------------------------------------------------------------------------------


async def put_again(scene: Scene) -> None:
    """A new version."""
    await scene.volume.put(PATH, b"3")


async def put_and_purged(scene: Scene) -> None:
    """A new version; and what was the newest is purged."""
    await scene.volume.put(PATH, b"3")
    await injury.purge(scene.cat, scene.volume, parse_version("raw", await scene.version(PATH, 2)))


async def touched_again(scene: Scene) -> None:
    """Every blob of the file has another etag."""
    assert isinstance(scene.content, Touches)
    async for blob in scene.content.list():
        if f"/{PATH}" in blob.name and "twin" not in blob.name:
            await scene.content.touch(blob.name, headers=blob.headers, when=IfMatch(blob.etag))


async def overwritten_again(scene: Scene) -> None:
    """Strangers again."""
    async for blob in scene.content.list():
        if f"/{PATH}" in blob.name and "twin" not in blob.name:
            await scene.content.put(blob.name, b"another stranger's", when=Always(), headers=Headers("text/x-other"))


async def deleted_again(scene: Scene) -> None:
    """Its blobs are gone."""
    async for blob in scene.content.list():
        if f"/{PATH}" in blob.name and "twin" not in blob.name:
            await scene.content.delete(blob.name, when=Always())


async def file_deleted(scene: Scene) -> None:
    """A tombstone."""
    await scene.volume.delete(PATH)


async def all_rows_gone(scene: Scene) -> None:
    """The service lost what was left."""
    keys = [row for (_, row), entity in (await scene.look()).rows.items() if entity.values.get("path") == PATH]
    await scene.remove(PATH, *(row for row in keys if row[0] in "hv"))


async def applied_by_another(scene: Scene) -> None:
    """Somebody else has repaired it."""
    plan = await planned(scene, orphans="quarantine")
    await plan.apply(brake=ANY, force=plan.sha256, patience_s=0)


Change = Callable[[Scene], Awaitable[None]]
OF_BLOBS = (put_again, put_and_purged, touched_again, overwritten_again, deleted_again, file_deleted)
OF_ORPHANS = (touched_again, overwritten_again, deleted_again)
CHANGES: Mapping[Injury, Sequence[Change]] = {
    injury.deleted: (put_again, file_deleted),
    injury.overwritten: OF_BLOBS,
    injury.flipped: OF_BLOBS,
    injury.flipped_and_hidden: OF_BLOBS,
    injury.touched: OF_BLOBS,
    injury.headers_stripped: OF_BLOBS,
    injury.head_removed: (all_rows_gone,),
    injury.newest_version_removed: (all_rows_gone, file_deleted),
    injury.head_rolled_back: (all_rows_gone,),
    injury.size_edited: (put_again, file_deleted, all_rows_gone),
    injury.all_rows_removed: OF_ORPHANS,
    injury.aborted_and_late: OF_ORPHANS,
    injury.purged_and_back: OF_ORPHANS,
}
EACH = [
    pytest.param(make, change, id=f"{make.__name__}-{change.__name__}")
    for make, changes in CHANGES.items()
    for change in (*changes, applied_by_another)
]


@pytest.mark.parametrize(("make", "change"), EACH)
async def test_what_has_changed_since_is_left_alone(small: Scene, make: Injury, change: Change, tmp_path: Path) -> None:
    """Nothing at all is written, and that is counted; the next plan knows."""
    await small.subject("other/a")
    await make(small, PATH)
    plan = await planned(small, orphans="quarantine")
    assert len(actions(plan)) == 1
    await change(small)
    before = await small.look()
    report = await applied(plan, tmp_path / "journal")
    assert (report.done, report.changed, report.ok) == ({}, 1, True), report
    assert (await small.look()).exact == before.exact
    await small.cat.undo(tmp_path / "journal")
    assert (await small.look()).exact == before.exact, "what was not done was taken back"


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Scene]:
    """A volume of files."""
    async with connect(f"local:{tmp_path / 'catalog'}", writer="tests") as cat:
        yield await indexed(cat, "raw", shards=4)


def kept(scene: Scene) -> list[bytes]:
    """What is left of damaged files."""
    assert isinstance(scene.content, LocalContent)
    return [file.read_bytes() for file in (scene.content.unwrap() / "kept").glob("*")]


@pytest.mark.parametrize(
    ("make", "left"), [(injury.truncated_on_disk, [b"2 o"]), (injury.removed_on_disk, [])], ids=["truncated", "removed"]
)
async def test_a_file_that_cannot_be_read_is_kept_when_it_is_healed(
    disk: Scene, make: Injury, left: list[bytes], tmp_path: Path
) -> None:
    await make(disk, PATH)
    assert (await applied(await planned(disk), tmp_path / "journal")).done == {"heal": 1}
    assert await disk.volume.read(PATH) == f"2 of {PATH}".encode()
    assert kept(disk) == left
    await disk.volume.delete(PATH)
    await disk.volume.purge(keep_versions=0)
    assert kept(disk) == left


async def test_what_cannot_be_kept_is_not_healed(disk: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some disks have no second names."""
    await injury.truncated_on_disk(disk, PATH)
    file, plan = await disk.file_of((await disk.volume.stat(PATH)).blob), await planned(disk)

    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    report = await applied(plan, tmp_path / "journal")
    assert (report.done, len(report.failed)) == ({}, 1)
    assert file.read_bytes() == b"2 o"
    monkeypatch.undo()
    assert (await applied(plan, tmp_path / "journal")).done == {"heal": 1}
    assert kept(disk) == [b"2 o"]


async def test_an_orphan_that_somebody_refers_to_by_now_stays(small: Scene, tmp_path: Path) -> None:
    """R5, S5: rows came back from a backup between plan and apply, in whatever shard."""
    await small.subject("other/a")
    await small.volume.put(PATH, b"content")
    rows = {row: (await small.row(PATH, row)).values for row in (head_row(PATH), version_row(PATH, 1))}
    await small.remove(PATH, *rows, *await small.index_rows(PATH))
    plan = await planned(small, orphans="quarantine")
    await injury.insert(
        small, "elsewhere", version_row("elsewhere", 1), {**rows[version_row(PATH, 1)], "path": "elsewhere"}
    )
    report = await applied(plan, tmp_path / "journal")
    assert (report.done, report.changed) == ({}, 1)
    assert str(rows[head_row(PATH)]["blob"]) in (await small.look()).blobs


# --- Again -----------------------------------------------------------------------------------------------------------


async def several(scene: Scene) -> None:
    """One of each action."""
    for make in (injury.deleted, injury.overwritten, injury.touched, injury.headers_stripped, injury.head_removed):
        await make(scene, f"{make.__name__}/a.txt")
    for make in (injury.newest_version_removed, injury.all_rows_removed, injury.purge_begun, injury.aborted_and_late):
        await make(scene, f"{make.__name__}/a.txt")


async def test_the_same_plan_again_does_nothing(small: Scene, tmp_path: Path) -> None:
    """With its journal there is nothing left to do; with another, nothing is as the plan says."""
    await several(small)
    plan = await planned(small, orphans="quarantine")
    first = await applied(plan, tmp_path / "journal")
    assert (first.ok, sum(first.done.values())) == (True, 9)
    again, sent = await writes_of(small, tmp_path / "journal", plan)
    assert (again.done, again.changed, sent) == ({}, 0, [])
    other, sent = await writes_of(small, tmp_path / "other", plan)
    assert (other.done, other.changed, sent) == ({}, 9, [])


async def test_what_was_left_alone_is_looked_at_again(small: Scene, tmp_path: Path) -> None:
    """As long as it is not as the plan says, each run says so; none says that nothing is left to do."""
    await injury.touched(small, PATH)
    await injury.head_removed(small, "b")
    plan, journal = await planned(small), tmp_path / "journal"
    blob = await small.content.stat((await small.volume.stat(PATH)).blob)
    assert isinstance(small.content, Touches)
    await small.content.touch(blob.name, headers=blob.headers, when=IfMatch(blob.etag))
    first = await applied(plan, journal)
    assert (first.done, first.changed) == ({"insert-head": 1}, 1)
    again, sent = await writes_of(small, journal, plan)
    assert (again.done, again.changed, sent) == ({}, 1, [])
    assert [item.action for item in (await small.cat.undo(journal)).items] == ["insert-head"]


async def test_the_journal_of_another_plan_is_refused(small: Scene, tmp_path: Path) -> None:
    await injury.touched(small, PATH)
    await applied(await planned(small), tmp_path / "journal")
    await injury.touched(small, "other/a")
    plan, before = await planned(small), (tmp_path / "journal").read_bytes()
    with pytest.raises(InvalidError, match="another plan") as caught:
        await applied(plan, tmp_path / "journal")
    assert caught.value.kind == "invalid.journal"
    assert (tmp_path / "journal").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "nonsense\n", "[1]\n", '{"blobcat": "plan"}\n', '{"blobcat": "journal", "format": 99}\n']
)
async def test_what_is_no_journal_is_refused(small: Scene, tmp_path: Path, text: str) -> None:
    (tmp_path / "journal").write_text(text)
    with pytest.raises(InvalidError) as caught:
        await small.cat.undo(tmp_path / "journal")
    assert caught.value.kind == "invalid.journal"
    if text:
        plan = await planned(small)
        with pytest.raises(InvalidError):
            await applied(plan, tmp_path / "journal")


async def test_a_line_that_was_cut_off_was_not_acted_upon(small: Scene, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    await injury.touched(small, PATH)
    plan = await planned(small)
    injured = await small.look()
    await applied(plan, journal)
    journal.write_bytes(journal.read_bytes()[:-5])
    assert (await applied(plan, journal)).ok
    await check_undone(small, journal, injured, ["refresh"])


async def test_progress_is_told(small: Scene, tmp_path: Path) -> None:
    await several(small)
    plan = await planned(small, orphans="quarantine")
    told: list[tuple[str, str]] = []
    await plan.apply(
        journal=tmp_path / "journal",
        brake=ANY,
        force=plan.sha256,
        patience_s=0,
        progress=lambda each: told.append((each.difference.action, each.phase)),
    )
    assert sorted(told) == sorted((action, "done") for action in actions(plan))


# --- Killed in the middle --------------------------------------------------------------------------------------------

BROKEN_OFF = [
    injury.deleted,
    injury.overwritten,
    injury.touched,
    injury.headers_stripped,
    injury.head_removed,
    injury.newest_version_removed,
    injury.all_rows_removed,
    injury.purge_begun,
    injury.aborted_and_late,
]


@pytest.mark.parametrize("make", BROKEN_OFF, ids=lambda each: each.__name__)
async def test_an_apply_killed_at_any_write_goes_on_and_can_be_undone(
    small: Scene, make: Injury, tmp_path: Path
) -> None:
    """R11: with the same journal; and undone it is as it was."""
    async for scene, injured, plan, journal in broken_off(small, make, "quarantine", tmp_path):
        report = await applied(plan, journal)
        assert (report.ok, report.changed) == (True, 0)
        assert actions(await planned(scene, orphans="quarantine")) == [], "it was not brought to its end"
        undone = await scene.cat.undo(journal)
        if not LASTING & {*actions(plan)}:
            assert [item.why for item in undone.kept] == []
            assert (await scene.look()).lasting == injured.lasting


async def test_an_adoption_killed_at_any_write_goes_on(small: Scene, tmp_path: Path) -> None:
    """What it leaves behind is a write under way, as any writer that dies does."""
    async for scene, _, plan, journal in broken_off(small, injury.all_rows_removed, "adopt", tmp_path):
        assert (await applied(plan, journal)).ok
        assert {*actions(await planned(scene, orphans="adopt"))} <= {"settle"}
        assert await scene.volume.read(PATH) == b"left alone"


async def broken_off(
    small: Scene, make: Injury, orphans: str, folder: Path
) -> AsyncIterator[tuple[Scene, Raw, Plan, Path]]:
    """Volumes with one injury, and plans for them whose first apply was killed: before any write, and after each."""
    kills: list[tuple[int, Fault]] = [(0, Fault.CRASH_AFTER)]
    for number, (at, fault) in enumerate(kills):
        scene = await indexed(small.cat, f"v{number}", shards=1)
        await scene.subject("other/a")
        await make(scene, PATH)
        injured, plan = await scene.look(), await planned(scene, orphans=orphans)
        assert len(actions(plan)) == 1
        wire, file = Wire(at, fault), plan.save(folder / f"{number}.plan")
        async with scene.client(wire) as client:
            journal = folder / (f"{number}" if at else "whole")
            apply = client.apply(file, journal=journal, brake=ANY, force=plan.sha256, patience_s=0)
            await outlived(wire, apply)
        if at:
            assert wire.fired
            yield scene, injured, plan, folder / f"{number}"
        else:  # nobody was killed: now it is known what is sent
            sent = [number for number, name in enumerate(wire.sent, 1) if writes([name])]
            kills += [(sent[0], Fault.CRASH_BEFORE), *((number, Fault.CRASH_AFTER) for number in sent)]


@pytest.mark.parametrize(
    "make", [injury.deleted, injury.overwritten, injury.headers_stripped], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("change", [overwritten_again, applied_by_another], ids=lambda each: each.__name__)
async def test_undo_leaves_alone_what_was_changed_since(
    small: Scene, make: Injury, change: Change, tmp_path: Path
) -> None:
    """What somebody else put there after the repair stays, and that is said."""
    await make(small, PATH)
    await applied(await planned(small), tmp_path / "journal")
    await overwritten_again(small)
    if change is applied_by_another:
        await applied_by_another(small)
    before = await small.look()
    report = await small.cat.undo(tmp_path / "journal")
    if change is overwritten_again:
        assert (await small.look()).exact == before.exact
        assert [item.undone for item in report.items] == [False]
    assert await small.volume.read("d/a.txt.twin") == b"2 of d/a.txt"


async def test_what_strangers_overwrite_twice_is_healed_twice(small: Scene, tmp_path: Path) -> None:
    """R12: what lies in the quarantine from before is in nobody's way."""
    await injury.overwritten(small, PATH)
    for number in range(3):
        plan = await planned(small)
        assert (await applied(plan, tmp_path / f"{number}")).done == {"heal": 1}
        assert await small.volume.read(PATH) == b"2 of d/a.txt"
        await small.content.put(
            (await small.volume.stat(PATH)).blob, b"x" * (number + 1), when=Always(), headers=Headers()
        )
