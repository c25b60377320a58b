"""What a plan, a journal and a folder of parts must not be able to do; and what is ours to touch."""

import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args

import pytest

from catalog import Brake, InvalidError, Plan
from catalog.exchange import partition_of
from catalog.keys import head_row, intent_row, partition, version_row
from catalog.reconcile.plan import Depth
from catalog.rows import Value
from catalog.table import Delete, Insert
from storage import Always, Headers, IfAbsent
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene

ANY = Brake(fraction=1.0)


async def states(scene: Scene, **options: object) -> list[tuple[str, str]]:
    plan = await scene.cat.reconcile("raw", depth="content", **options)  # type: ignore[arg-type]
    return [(each.state, each.action) for each in plan.differences()]


async def orphaned(scene: Scene, path: str) -> str:
    """A file of which only the blob is left."""
    blob = (await scene.volume.put(path, b"lost")).blob
    await scene.remove(path, head_row(path), version_row(path, 1), *await scene.index_rows(path))
    return blob


def edited(plan: Plan, path: Path, old: str, new: str) -> Path:
    file = plan.save(path)
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    return file


async def test_what_was_given_up_just_now_is_left_to_who_gave_it_up(small: Scene) -> None:
    """Every conflict between writers is so for a moment: it is no finding."""
    await injury.aborted_and_late(small, "a")
    await small.merge("a", intent_row(injury.op_of("a")), {"patience_s": 600})
    plan = await small.cat.reconcile("raw")
    assert [(each.state, each.action, each.quiet) for each in plan.differences()] == [("aborted", "none", True)]
    assert plan.clean
    assert ("aborted", "settle") in await states(small, patience_s=0)


async def test_a_plan_acts_in_its_volume_only(small: Scene, tmp_path: Path) -> None:
    """An edited line that names the content of another volume deletes nothing."""
    blob = await orphaned(small, "a")
    other = await small.cat.create_volume("other", shards=1)
    live = (await other.put("a", b"live")).blob
    plan = await small.cat.reconcile("raw", orphans="quarantine")
    file = edited(plan, tmp_path / "plan", blob, live)
    loaded = small.cat.plan(file)
    report = await loaded.apply(brake=ANY, force=loaded.sha256, journal=tmp_path / "journal")
    assert (dict(report.done), report.changed) == ({}, 1)
    assert await other.read("a") == b"live"


async def test_an_action_that_does_not_fit_its_state_is_refused(small: Scene, tmp_path: Path) -> None:
    await injury.foreign(small, "a")
    plan = await small.cat.reconcile("raw", foreign="adopt")
    file = edited(plan, tmp_path / "plan", '"adopt"', '"quarantine"')
    with pytest.raises(InvalidError):
        small.cat.plan(file)


async def test_content_put_again_counts_as_deleted(small: Scene, tmp_path: Path) -> None:
    await orphaned(small, "a")
    for number in range(9):
        await small.volume.put(f"{number}", b"x")
    plan = await small.cat.reconcile("raw", orphans="adopt")
    assert plan.header.deletions == 1
    with pytest.raises(InvalidError) as caught:
        await plan.apply(journal=tmp_path / "journal")
    assert caught.value.kind == "invalid.brake"


@pytest.mark.parametrize("told", [{"epoch": "another"}, {"op": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}])
async def test_what_another_volume_wrote_or_somebody_copied_is_not_ours(small: Scene, told: dict[str, str]) -> None:
    blob = await small.cat._content.stat(await orphaned(small, "a"))
    await small.cat._content.put(
        blob.name, b"lost", when=Always(), headers=Headers(metadata={**blob.headers.metadata, **told})
    )
    assert await states(small, orphans="quarantine") == [("foreign-new", "none")]


@pytest.mark.parametrize("op", ["7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "backup"])
async def test_an_orphan_whose_op_tells_no_time_is_reported_without_one(small: Scene, op: str) -> None:
    """A clock that was wrong by ages, or an id that somebody made up."""
    name, headers = f"{small.volume.info.root}.versions/a~{op}", Headers(metadata={"op": op})
    await small.cat._content.put(name, b"x", when=IfAbsent(), headers=headers)
    (found,) = (await small.cat.reconcile("raw")).differences()
    assert (found.state, found.op, found.at, "at" in found.as_record()) == ("orphan-ours", op, "", False)


@pytest.mark.parametrize("how", [injury.headers_stripped, injury.headers_changed, injury.deleted])
async def test_a_repair_writes_all_the_headers_that_a_put_writes(
    small: Scene, how: Callable[[Scene, str], Awaitable[None]], tmp_path: Path
) -> None:
    """Without the epoch, the content of a volume that was deleted would be taken for that of the next one."""
    await how(small, "a")
    repaired, twin = [(await small.volume.stat(path)).blob for path in ("a", "a.twin")]
    report = await (await small.cat.reconcile("raw", depth="headers")).apply(brake=ANY, journal=tmp_path / "journal")
    assert report.ok
    found, put = [(await small.cat._content.stat(blob)).headers.metadata for blob in (repaired, twin)]
    own = {"op": found["op"], "path": "a"}
    assert found == {**put, **own}
    assert (found["writer"], found["epoch"]) == (small.cat._writer.name, small.volume.info.epoch)


async def test_a_repair_keeps_what_a_blob_of_a_volume_before_says_of_itself(small: Scene, tmp_path: Path) -> None:
    """A catalog that was rebuilt refers to content that says the epoch of the one that was lost."""
    blob = await small.cat._content.stat((await small.volume.put("a", b"content")).blob)
    told = {**blob.headers.metadata, "epoch": "before", "writer": "somebody"}
    changed = Headers("text/x", None, told)
    await small.cat._content.put(blob.name, b"content", when=Always(), headers=changed)
    report = await (await small.cat.reconcile("raw", depth="headers")).apply(brake=ANY, journal=tmp_path / "journal")
    assert dict(report.done) == {"rewrite-headers": 1}
    assert dict((await small.cat._content.stat(blob.name)).headers.metadata) == told


async def test_a_history_of_many_versions_of_one_content_is_refreshed(small: Scene, tmp_path: Path) -> None:
    await small.volume.put("a", b"content")
    for number in range(120):
        await small.volume.set_metadata("a", {"n": number})
    await injury.touched(small, "other")
    blob = await small.cat._content.stat((await small.volume.stat("a")).blob)
    await small.cat._content.put(blob.name, b"content", when=Always(), headers=blob.headers)
    plan = await small.cat.reconcile("raw")
    report = await plan.apply(journal=tmp_path / "journal")
    assert (report.ok, report.changed) == (True, 0)
    assert await states(small) == []
    assert await small.volume.read("a", version=1) == b"content"


async def test_a_twin_that_is_damaged_itself_is_passed_over(small: Scene, tmp_path: Path) -> None:
    blobs = [(await small.volume.put(name, b"same")).blob for name in "abc"]
    await small.cat._content.delete(blobs[2], when=Always())
    first = min(blobs[:2])
    whole = await small.cat._content.stat(first)
    await small.cat._content.put(first, b"SAME", when=Always(), headers=whole.headers)
    plan = await small.cat.reconcile("raw", depth="content")
    report = await plan.apply(journal=tmp_path / "journal")
    assert (dict(report.done), await states(small)) == ({"heal": 2}, [])


async def test_no_head_is_written_beside_content_of_a_later_version(small: Scene) -> None:
    """Head and newest version were lost: an older one must not come back as if nothing had been."""
    await small.volume.put("a", b"1")
    await small.volume.put("a", b"2")
    rows = [Delete(head_row("a")), Delete(version_row("a", 2))]
    await small.cat._table.submit(partition_of(small.volume.info, "a"), rows)
    assert await states(small) == [("history-broken", "none"), ("orphan-ours", "none")]


async def test_parts_that_are_old_are_read_anew(small: Scene, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from catalog.reconcile.scan import Scanner, Scope

    await small.volume.put("a", b"1")
    tools, scope = small.cat._tools, Scope(small.volume.info)
    with ThreadPoolExecutor(1) as threads:
        scanner = Scanner(scope, tools.lister, small.cat._content, threads, tmp_path)
        before = await scanner.read("blobs-00")
        await small.volume.put("b", b"2")
        assert await scanner.read("blobs-00") == before
        long_ago = time.time() - 2 * 3_600
        os.utime(scanner.part("blobs-00"), (long_ago, long_ago))
        assert (await scanner.read("blobs-00"))["blobs"] == 2


async def test_a_reconcile_that_fails_beside_others_waits_for_their_threads(small: Scene) -> None:
    """The database of a part was closed under the thread that filled it: that ended the interpreter."""
    for number in range(40):
        await small.volume.put(f"{number}", b"x")
    await injury.newer_schema(small, "0")
    for _ in range(20):
        with pytest.raises(InvalidError, match="newer blobcat"):
            await small.cat.reconcile("raw")


async def test_undo_takes_nothing_from_elsewhere(small: Scene, tmp_path: Path) -> None:
    await small.cat._content.put("elsewhere", b"x", when=IfAbsent(), headers=Headers())
    info = small.volume.info
    header = {"blobcat": "journal", "format": 1, "plan": "p", "volume": "raw", "epoch": info.epoch}
    was = {"name": "raw/x", "etag": "e", "size": 1, "content_type": "a/b", "md5": "", "metadata": {}}
    undo = {"blob": was, "aside": "elsewhere"}
    entry = {"key": "raw/x", "state": "orphan-ours", "action": "quarantine", "phase": "begun", "undo": undo}
    (tmp_path / "journal").write_text("".join(json.dumps(line) + "\n" for line in (header, entry)))
    report = await small.cat.undo(tmp_path / "journal")
    assert [item.undone for item in report.items] == [False]
    assert (await small.cat._content.stat("elsewhere")).size == 1


@pytest.mark.parametrize("touched", [False, True])
async def test_a_wrong_row_of_a_copy_changes_no_content(small: Scene, tmp_path: Path, *, touched: bool) -> None:
    """Content is judged by what its own put says; where others say otherwise, nothing is written."""
    volume = small.volume
    blob = (await volume.put("z", b"GOOD!")).blob
    await volume.copy("z", "a")
    other = await volume.put("t", b"other")
    values: dict[str, Value] = {"digest": other.digest, "md5": other.md5 or ""}
    for row in (version_row("a", 1), head_row("a")):
        await small.merge("a", row, values if touched else {**values, "blob_etag": "of elsewhere"})
    if touched:
        there = await small.content.stat(blob)
        await small.content.put(blob, b"GOOD!", when=Always(), headers=there.headers)
    for depth in get_args(Depth):
        plan = await small.cat.reconcile("raw", depth=depth)
        found = [each for each in plan.differences() if each.key == blob]
        assert [(each.state, each.action) for each in found] == [("touched", "none")]
        assert found[0].why.endswith("; the versions that refer to it do not agree about it")
        await plan.apply(journal=tmp_path / depth)
    assert await volume.read("z") == b"GOOD!"


async def test_where_versions_do_not_agree_lost_content_is_not_made_up(small: Scene, tmp_path: Path) -> None:
    """Nor by a plan that was made when they did."""
    blob = (await small.volume.put("z", b"GOOD!")).blob
    await small.volume.put("twin", b"GOOD!")
    await small.volume.copy("z", "a")
    await small.content.delete(blob, when=Always())
    plan = await small.cat.reconcile("raw")
    other = await small.volume.put("t", b"other")
    await small.merge("a", version_row("a", 1), {"digest": other.digest, "md5": other.md5 or ""})
    report = await plan.apply(journal=tmp_path / "journal")
    assert (dict(report.done), report.changed) == ({}, 1)
    assert ("missing", "none") in await states(small)


@pytest.mark.parametrize("several", [False, True])
async def test_content_of_a_head_whose_version_row_is_lost_is_not_purged(small: Scene, *, several: bool) -> None:
    await small.volume.put("a", b"precious")
    await small.volume.copy("a", "b")
    await small.volume.put("a", b"new")
    if several:
        await small.volume.put("a", b"newer")
    await small.remove("b", version_row("b", 1))
    report = await small.volume.purge(keep_versions=1)
    assert (report.held.versions, report.purged.versions) == (1, int(several))
    assert await small.volume.read("b") == b"precious"
    assert ("history-broken", "insert-version") in await states(small)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("row", ["w z", "v zz 9"])
async def test_rows_that_are_not_known_stop_what_deletes(
    small: Scene, tmp_path: Path, row: str, *, several: bool
) -> None:
    """R3: what they refer to is not known, either."""
    await small.volume.put("a", b"1")
    await small.volume.put("a", b"2")
    if several:
        await small.volume.put("a", b"3")
    await orphaned(small, "o")
    plan = await small.cat.reconcile("raw", orphans="quarantine")
    before = {blob.name async for blob in small.content.list(small.volume.info.root)}
    shard = partition(small.volume.info.epoch, 0)
    await small.table.submit(shard, [Insert(row, {"schema": 2 if row[0] == "v" else 1, "kind": "put"})])
    with pytest.raises(InvalidError, match="upgrade"):
        await plan.apply(brake=ANY, force=plan.sha256, journal=tmp_path / "journal")
    if row[0] == "w":
        report = await small.volume.purge(keep_versions=1)
        assert (report.ok, report.purged.versions) == (False, 0)
    assert {blob.name async for blob in small.content.list(small.volume.info.root)} == before
