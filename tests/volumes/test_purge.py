"""Purging by retention, on every kind of catalog: what goes, what stays, and what is told."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from catalog import Catalog, InvalidError, NotFoundError, PurgeCount, PurgeItem, Volume
from catalog.columns import purging_values
from catalog.exchange import partition_of
from catalog.keys import head_row, version_row
from catalog.table import Delete, Insert, Merge
from tests.faults.meddler import Before, Meddler
from tests.faults.observer import look
from tests.faults.ports import Fault, FaultContent, FaultTable
from tests.faults.world import outlived

NOW = timedelta()
DAY = timedelta(days=1)


async def written(volume: Volume, path: str, *contents: bytes | None) -> None:
    for content in contents:
        await (volume.delete(path) if content is None else volume.put(path, content))


async def readable(volume: Volume, path: str) -> list[int]:
    """The versions of a path whose content can be read, newest first."""
    found = []
    async for file in volume.history(path):
        try:
            await volume.read(path, version=file.version)
        except NotFoundError as error:
            assert error.kind in ("not-found.purged", "not-found.deleted")  # noqa: PT017 — others are readable
        else:
            found.append(file.version)
    return found


async def blobs(cat: Catalog) -> int:
    return len((await look(cat._table, cat._content)).blobs)


async def test_all_but_the_newest_versions_go_and_the_history_stays(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"1", b"22", b"333", b"4444")
    await written(volume, "b/c", b"1", b"2")
    report = await volume.purge(keep_versions=2)
    assert report.purged == PurgeCount(2, 2, 3)
    assert (report.scanned, report.purged_before, report.items, report.ok) == (6, 0, (), True)
    assert await readable(volume, "a") == [4, 3]
    assert await readable(volume, "b/c") == [2, 1]
    history = [file async for file in volume.history("a")]
    assert [(file.version, file.purged) for file in history] == [(4, False), (3, False), (2, True), (1, True)]
    assert (await volume.stat("a", version=1)) == history[-1]
    assert history[-1].size == 1
    assert await blobs(cat) == 4
    assert (await volume.verify()).checked == 4
    assert (await volume.verify()).ok


async def test_a_purge_after_a_purge_finds_it_done(volume: Volume) -> None:
    await written(volume, "a", b"1", b"2", b"3")
    await volume.purge(keep_versions=1)
    again = await volume.purge(keep_versions=1)
    assert (again.purged, again.held, again.purged_before, again.scanned) == (PurgeCount(), PurgeCount(), 2, 3)


async def test_what_was_replaced_long_ago_goes(volume: Volume) -> None:
    """Age is that of the replacement: here nothing is a day old, and all but the current is older than nothing."""
    await written(volume, "a", b"1", b"2", b"3")
    assert (await volume.purge(older_than=DAY)).purged == PurgeCount()
    assert (await volume.purge(older_than=NOW)).purged.versions == 2
    assert await readable(volume, "a") == [3]


async def test_where_both_are_given_both_must_hold(volume: Volume) -> None:
    await written(volume, "a", b"1", b"2", b"3", b"4")
    assert (await volume.purge(keep_versions=1, older_than=DAY)).purged == PurgeCount()
    assert (await volume.purge(keep_versions=3, older_than=NOW)).purged.versions == 1
    assert await readable(volume, "a") == [4, 3, 2]


async def test_what_is_current_never_goes(volume: Volume) -> None:
    await written(volume, "a", b"1")
    report = await volume.purge(keep_versions=0, older_than=NOW)
    assert (report.purged, report.held) == (PurgeCount(), PurgeCount())
    assert await volume.read("a") == b"1"


async def test_a_delete_is_not_one_of_the_newest(volume: Volume) -> None:
    await written(volume, "a", b"1", b"2", None)
    assert (await volume.purge(keep_versions=1)).purged.versions == 1
    assert await readable(volume, "a") == [2]
    assert (await volume.restore("a", version=2)).version == 4


async def test_of_a_deleted_file_all_may_go(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"1", None, b"2", None)
    assert (await volume.purge(keep_versions=0)).purged.versions == 2
    assert await blobs(cat) == 0
    assert [file.kind async for file in volume.history("a")] == ["delete", "put", "delete", "put"]
    assert (await volume.put("a", b"3")).version == 5


async def test_a_prefix_limits_it(volume: Volume) -> None:
    await written(volume, "in/a", b"1", b"2")
    await written(volume, "inside", b"1", b"2")
    report = await volume.purge(keep_versions=1, prefix="in/")
    assert (report.scanned, report.purged.versions) == (2, 1)
    assert await readable(volume, "inside") == [2, 1]


async def test_content_that_another_version_needs_is_held_and_not_even_flagged(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"11")
    await volume.copy("a", "b")
    await volume.set_metadata("a", {"n": 1})
    await written(volume, "a", b"new")
    report = await volume.purge(keep_versions=1)
    assert report.held == PurgeCount(2, 1, 2)
    assert report.items == (PurgeItem("a", 2, 2, "held", "b@1"), PurgeItem("a", 1, 2, "held", "b@1"))
    assert report.ok
    assert not [row for row in (await look(cat._table, cat._content)).of("v") if "purging" in row]
    assert (await volume.restore("a", version=1)).version == 4


async def test_versions_that_share_content_go_together(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"11")
    await volume.copy("a", "b")
    await volume.move("b", "c/d")
    await written(volume, "c/d", b"new")
    await volume.set_metadata("a", {"n": 1})
    await written(volume, "a", None)
    assert (await volume.purge(keep_versions=0)).purged == PurgeCount(4, 1, 2)
    assert await blobs(cat) == 1
    assert await volume.read("c/d") == b"new"


async def test_a_version_outside_the_prefix_holds_content(volume: Volume) -> None:
    await written(volume, "old/a", b"1")
    await volume.move("old/a", "new/a")
    report = await volume.purge(keep_versions=0, prefix="old/")
    assert [(item.path, item.by) for item in report.items] == [("old/a", "new/a@1")]
    assert await volume.read("new/a") == b"1"
    assert await readable(volume, "old/a") == [1]
    await written(volume, "new/a", b"2")
    assert (await volume.purge(keep_versions=0)).purged == PurgeCount(2, 1, 1)


async def test_where_the_version_that_wrote_it_is_outside_the_prefix_nothing_is_flagged(volume: Volume) -> None:
    await written(volume, "old/a", b"1")
    await volume.move("old/a", "new/a")
    await written(volume, "new/a", b"2")
    report = await volume.purge(keep_versions=0, prefix="new/")
    assert [(item.path, item.by) for item in report.items] == [("new/a", "the version that wrote it")]
    assert (await volume.restore("new/a", version=1)).version == 3


async def test_a_dry_run_says_what_would_go_and_leaves_it(volume: Volume) -> None:
    await written(volume, "a", b"1", b"22", b"333")
    said = await volume.purge(keep_versions=1, older_than=NOW, dry_run=True)
    assert (said.purged, said.dry_run) == (PurgeCount(2, 2, 3), True)
    assert await readable(volume, "a") == [3, 2, 1]
    done = await volume.purge(keep_versions=1, older_than=NOW)
    assert replace(said, dry_run=False) == done


async def lost(cat: Catalog, volume: Volume, path: str, row: str) -> None:
    await cat._table.submit(partition_of(volume.info, path), [Delete(row)])


async def lost_version(cat: Catalog, volume: Volume) -> None:
    """Of a copy, whose head alone says that it needs the content."""
    await written(volume, "a", b"1")
    await volume.copy("a", "b")
    await written(volume, "a", b"2")
    await lost(cat, volume, "b", version_row("b", 1))


async def lost_head(cat: Catalog, volume: Volume) -> None:
    """Of a path whose newest version is the only one that says what it was."""
    await written(volume, "a", b"1", b"2", b"3")
    await lost(cat, volume, "a", head_row("a"))


async def flagged(cat: Catalog, volume: Volume) -> None:
    """By a run that was killed."""
    await written(volume, "a", b"1", b"2")
    flag = Merge(version_row("a", 1), purging_values("a run that was killed"))
    await cat._table.submit(partition_of(volume.info, "a"), [flag])


async def needed_elsewhere(_: Catalog, volume: Volume) -> None:
    """By a version that the prefix leaves out."""
    await written(volume, "a", b"1")
    await volume.copy("a", "outside")
    await written(volume, "a", b"2", b"3")


async def shared(_: Catalog, volume: Volume) -> None:
    """By versions that all go."""
    await written(volume, "a", b"1")
    await volume.copy("a", "a/b")
    await written(volume, "a", b"2")
    await written(volume, "a/b", None)


async def under_way(cat: Catalog, volume: Volume) -> None:
    """By a copy of whose client nothing was heard since."""
    await written(volume, "a", b"1")
    wire = Meddler(Before("table.submit", Fault.CRASH_AFTER))
    client = Catalog(FaultTable(cat._table, wire), FaultContent(cat._content, wire))
    there = await client.volume(volume.name)
    assert await outlived(wire, there.copy("a", "b")) is None
    await client.close()
    await written(volume, "a", b"2")


async def unknown(cat: Catalog, volume: Volume) -> None:
    """By a row that nobody here can read."""
    await written(volume, "a", b"1", b"2")
    await cat._table.submit(partition_of(volume.info, "a"), [Insert("k-strange", {"schema": 1})])


@pytest.mark.parametrize(
    ("state", "versions", "by"),
    [
        (lost_version, 0, ["b@1"]),
        (lost_head, 2, []),
        (flagged, 1, []),
        (needed_elsewhere, 1, ["outside@1"]),
        (shared, 2, []),
        (under_way, 0, ["an op"]),
        (unknown, 0, []),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_a_dry_run_finds_what_the_run_finds(
    cat: Catalog,
    volume: Volume,
    state: Callable[[Catalog, Volume], Awaitable[None]],
    versions: int,
    by: list[str],
) -> None:
    await state(cat, volume)
    before = await look(cat._table, cat._content)
    said = await volume.purge(keep_versions=1 - (state is shared), prefix="a", dry_run=True)
    assert await look(cat._table, cat._content) == before
    done = await volume.purge(keep_versions=1 - (state is shared), prefix="a")
    assert said.purged.versions == versions
    held = [item.by if "@" in item.by else "an op" for item in said.items if item.action == "held"]
    assert held == by
    assert [(item.path, item.version, item.action, item.by, str(item.error)) for item in said.items] == [
        (item.path, item.version, item.action, item.by, str(item.error)) for item in done.items
    ]
    assert replace(said, dry_run=False, items=()) == replace(done, items=())


async def test_what_a_killed_run_has_flagged_goes_whatever_the_rule_is_by_now(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"1", b"2", b"3")
    flag = Merge(version_row("a", 1), purging_values("a run that was killed"))
    await cat._table.submit(partition_of(volume.info, "a"), [flag])
    assert (await volume.purge(older_than=DAY, prefix="b")).purged == PurgeCount()
    assert (await volume.purge(older_than=DAY)).purged == PurgeCount(1, 1, 1)
    assert await readable(volume, "a") == [3, 2]


async def test_adopted_content_is_never_deleted(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"1", b"2")
    row = version_row("a", 1)
    await cat._table.submit(partition_of(volume.info, "a"), [Merge(row, {"schema": 1, "kind": "adopt"})])
    report = await volume.purge(keep_versions=1)
    assert report.items == (PurgeItem("a", 1, 1, "held", "adopted"),)
    assert await readable(volume, "a") == [2, 1]


async def test_what_was_purged_is_refused_by_name(volume: Volume) -> None:
    await written(volume, "a", b"1", b"2")
    await volume.purge(keep_versions=1)
    with pytest.raises(NotFoundError, match="the content of version 1 of 'a' was purged") as read:
        await volume.read("a", version=1)
    with pytest.raises(NotFoundError, match="the content to restore to 'a' is purged") as restored:
        await volume.restore("a", version=1)
    assert {read.value.kind, restored.value.kind} == {"not-found.purged"}


async def test_progress_hears_of_each_version(volume: Volume) -> None:
    await written(volume, "a", b"1", b"2", b"3")
    await written(volume, "b", b"11")
    await volume.move("b", "c")
    heard: list[PurgeItem] = []
    await volume.purge(keep_versions=1, progress=heard.append)
    assert sorted((item.path, item.version, item.action) for item in heard) == [
        ("a", 1, "purged"),
        ("a", 2, "purged"),
    ]


async def test_what_progress_raises_ends_it(volume: Volume) -> None:
    await written(volume, "a", b"1", b"2", b"3")

    def stop(_: PurgeItem) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await volume.purge(keep_versions=1, progress=stop)
    assert (await volume.purge(keep_versions=1)).ok


async def test_without_a_rule_it_is_refused(volume: Volume) -> None:
    with pytest.raises(InvalidError, match="give keep_versions, older_than, or both"):
        await volume.purge()


async def test_a_volume_that_is_gone_has_no_clock(cat: Catalog, volume: Volume) -> None:
    await written(volume, "a", b"1", None)
    await cat.delete_volume("raw")
    with pytest.raises(NotFoundError):
        await volume.purge(older_than=NOW)
