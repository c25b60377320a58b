"""What reconcile says of blobs that were adopted, and of those that could be; on every kind of catalog."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from catalog import Brake, Catalog, ConflictError, VolumeInfo
from catalog.columns import volume_values
from catalog.keys import REGISTRY, head_row, version_row, volume_row
from catalog.reconcile.difference import Difference
from catalog.table import Insert, Operation, Written
from catalog.times import EPOCH
from storage import Always, Digests, Headers
from tests.faults.ports import FaultContent, FaultTable, VirtualClock, Wire
from tests.reconcile.scene import Scene

OTHERS = "in"


async def upload(cat: Catalog, name: str, content: bytes, *, metadata: dict[str, str] | None = None) -> None:
    headers = Headers(md5=Digests.of(content).md5, metadata=metadata or {})
    await cat._content.put(name, content, when=Always(), headers=headers)


async def found(cat: Catalog, **options: object) -> list[tuple[str, str, str]]:
    plan = await cat.reconcile("raw", depth="content", **options)  # type: ignore[arg-type]
    return [_said(each) for each in plan.differences()]


def _said(each: Difference) -> tuple[str, str, str]:
    return each.state, each.key, each.action


async def test_what_was_adopted_agrees_and_what_others_do_to_it_is_drift(scene: Scene) -> None:
    cat = scene.cat
    for name in ("same", "changed", "touched", "gone"):
        await upload(cat, f"{OTHERS}/{name}", b"content of " + name.encode())
    report = await scene.volume.adopt(f"{OTHERS}/")
    assert report.adopted == 4
    assert await found(cat) == []
    await upload(cat, f"{OTHERS}/changed", b"other content")
    await upload(cat, f"{OTHERS}/touched", b"content of touched")
    await cat._content.delete(f"{OTHERS}/gone", when=Always())
    await upload(cat, f"{OTHERS}/new", b"new")
    assert await found(cat) == [
        ("foreign-new", "in/new", "none"),
        ("foreign-overwrite", "in/changed", "none"),
        ("missing", "in/gone", "none"),
        ("touched", "in/touched", "refresh"),
    ]


@pytest.mark.parametrize("how", ["into", "move", "both"])
async def test_adopted_content_of_files_elsewhere_is_nobody_elses(small: Scene, how: str) -> None:
    """Of a part of the volume only some rows are read; the files of blobs that are listed may be others."""
    cat, volume = small.cat, small.volume
    for name in ("in/a", "in/b"):
        await upload(cat, name, b"content")
    await volume.adopt("in/", into=None if how == "move" else "old")
    if how in ("move", "both"):
        await volume.move("in/a" if how == "move" else "old/a", "z")
    await upload(cat, "in/new", b"new")
    for prefix in ("", "in/", "in/n"):
        assert await found(cat, prefix=prefix) == [("foreign-new", "in/new", "none")]
    there = {"into": ("in/a", "old/"), "move": ("in/a", "z"), "both": ("in/a", "old/", "z")}
    for prefix in there[how]:
        assert await found(cat, prefix=prefix) == []
    report = await (await cat.reconcile("raw", prefix="in/", foreign="adopt")).apply()
    assert dict(report.done) == {"adopt": 1}


async def test_a_blob_whose_own_name_can_be_no_path_may_be_content_all_the_same(small: Scene) -> None:
    await upload(small.cat, ".versions/x", b"content")
    assert (await small.volume.adopt(".versions/", into="old")).adopted == 1
    for prefix in ("", ".v", "old/"):
        assert await found(small.cat, prefix=prefix) == []


async def test_what_a_pattern_left_out_is_told_of(small: Scene) -> None:
    """It is others', below a prefix that is adopted."""
    for name in ("a.csv", "b.txt"):
        await upload(small.cat, f"in/{name}", b"content")
    await small.volume.adopt("in/", match="**/*.csv")
    assert await found(small.cat) == [("foreign-new", "in/b.txt", "none")]


async def test_where_nothing_tells_what_it_held_a_change_is_not_called_a_touch(small: Scene) -> None:
    await small.cat._content.put("in/a", b"hi", when=Always(), headers=Headers())
    await small.volume.adopt("in/")
    await small.cat._content.put("in/a", b"hy", when=Always(), headers=Headers())
    assert await found(small.cat) == [("foreign-overwrite", "in/a", "none")]


async def test_blobs_of_other_volumes_and_catalogs_among_the_adopted_are_theirs(small: Scene) -> None:
    await upload(small.cat, "in/a", b"1")
    await upload(small.cat, "in/elsewhere/.versions/b~01ARZ3NDEKTSV4RRFFQ69G5FAV", b"2", metadata={"op": "01ARZ"})
    await small.volume.adopt("in/")
    other = await small.cat.create_volume("other", shards=1, root="in/other/")
    await other.put("c", b"3")
    assert await found(small.cat, orphans="quarantine", foreign="adopt") == []


async def test_what_lies_in_the_root_of_a_volume_that_was_deleted_is_adopted_by_nobody(small: Scene) -> None:
    """The volume may be made again: the blob would be two volumes'."""
    await upload(small.cat, "in/a", b"1")
    await small.volume.adopt("in/")
    await small.cat.create_volume("other", shards=1, root="in/other/")
    await small.cat.delete_volume("other")
    await upload(small.cat, "in/other/b", b"2")
    assert await found(small.cat, foreign="adopt") == []


async def test_a_volume_in_the_root_of_one_that_was_deleted_is_compared_as_any(small: Scene) -> None:
    await small.cat.create_volume("other", shards=1, root="around/")
    await small.cat.delete_volume("other")
    for number, root in enumerate(("around/", "around/within/")):
        volume = await small.cat.create_volume(f"anew{number}", shards=1, root=root)
        await upload(small.cat, f"{root}theirs", b"1")
        plan = await small.cat.reconcile(volume.name)
        assert [_said(each) for each in plan.differences()] == [("foreign-new", f"{root}theirs", "none")]
        await small.cat._content.delete(f"{root}theirs", when=Always())
        await small.cat.delete_volume(volume.name)


async def test_no_blob_becomes_that_of_a_volume_in_whose_root_it_lies_by_now(small: Scene, tmp_path: Path) -> None:
    """The plan is of before; the blob has another's root around it since."""
    await upload(small.cat, "in/a", b"1")
    await small.volume.adopt("in/")
    for name in ("in/b", "in/other/c"):
        await upload(small.cat, name, b"2")
    plan = await small.cat.reconcile("raw", foreign="adopt")
    other = VolumeInfo("other", "e" * 26, small.volume.info.layout, 1, "in/other/", 1, created=EPOCH, default=False)
    await small.cat._table.submit(REGISTRY, [Insert(volume_row("other"), volume_values(other))])
    report = await plan.apply(journal=tmp_path / "journal")
    assert (dict(report.done), report.changed) == ({"adopt": 1}, 1)
    assert [file.path async for file in small.volume.list(recursive=True)] == ["in/a", "in/b"]


class Beside(FaultTable):
    """A table below a client that makes a volume: just before that is written, others work."""

    others: Callable[[], Awaitable[object]] | None = None

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        others, self.others = self.others, None
        if others:
            await others()
        return await super().submit(partition, operations)


async def test_a_volume_that_is_made_beside_an_apply_meets_what_it_adopts(small: Scene, tmp_path: Path) -> None:
    """What it has listed before is not there any more: the note of the apply makes it look again."""
    await upload(small.cat, "in/a", b"1")
    await small.volume.adopt("in/")

    async def others() -> None:
        await upload(small.cat, "in/other/b", b"2")
        plan = await small.cat.reconcile("raw", foreign="adopt")
        assert dict((await plan.apply(journal=tmp_path / "journal")).done) == {"adopt": 1}

    table, wire = Beside(small.table, Wire()), Wire()
    table.others = others
    client = Catalog(table, FaultContent(small.content, wire), clock=VirtualClock())
    with pytest.raises(ConflictError) as caught:
        await client.create_volume("other", shards=1, root="in/other/")
    await client.close()
    assert caught.value.kind == "conflict.adopted-root"


async def test_foreign_blobs_are_adopted_in_place_where_that_is_asked_for(scene: Scene) -> None:
    await upload(scene.cat, "raw/others/x.txt", b"theirs")
    await scene.volume.put("taken", b"ours")
    await upload(scene.cat, "raw/taken", b"theirs, too")
    plan = await scene.cat.reconcile("raw", foreign="adopt")
    report = await plan.apply()
    assert (dict(report.done), report.changed) == ({"adopt": 1}, 1)
    assert await scene.volume.read("others/x.txt") == b"theirs"
    assert (await scene.volume.stat("others/x.txt")).blob == "raw/others/x.txt"
    assert await scene.volume.read("taken") == b"ours"
    assert await found(scene.cat) == [("foreign-new", "raw/taken", "none")]


@pytest.mark.parametrize("there", [False, True])
async def test_an_orphan_becomes_a_file_where_there_is_none(scene: Scene, there: bool) -> None:
    file = await scene.volume.put("a", b"lost and found")
    blob = file.blob
    await scene.remove("a", head_row("a"), version_row("a", 1), *await scene.index_rows("a"))
    if there:
        await scene.volume.put("a", b"newer")
    plan = await scene.cat.reconcile("raw", orphans="adopt")
    assert [_said(each) for each in plan.differences()] == [("orphan-ours", blob, "put-again")]
    report = await plan.apply(brake=Brake(1.0), force=plan.sha256)
    assert (report.done.get("put-again", 0), report.changed) == ((0, 1) if there else (1, 0))
    assert await scene.volume.read("a") == (b"newer" if there else b"lost and found")
    assert await found(scene.cat) == ([("orphan-ours", blob, "none")] if there else [])
