"""The change log: every committed change once, from a cursor on, on every kind of catalog."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from catalog import (
    Catalog,
    ConflictError,
    Create,
    FileVersion,
    InvalidError,
    NotFoundError,
    Overwrite,
    UnavailableError,
    Volume,
)
from catalog.alterations import LogChanges
from catalog.cursor import Cursor, Position
from catalog.exchange import partition_of
from catalog.keys import change_row, changes_between, encode, head_row, shard_of, version_row
from catalog.table import Merge
from catalog.times import from_microseconds, microseconds
from tests.faults.meddler import Before, Meddler
from tests.faults.ports import FaultContent, FaultTable, VirtualClock
from tests.volumes.test_as_of import LEAST, begun


@pytest.fixture
async def logged(cat: Catalog) -> Volume:
    """An empty volume with a change log."""
    return await cat.create_volume("logged", shards=4, change_log=True)


async def some_changes(volume: Volume, prefix: str = "") -> list[FileVersion]:
    """One of each kind; each as it was told."""
    far = next(f"{prefix}far{n}" for n in range(100) if shard_of(f"{prefix}far{n}", 4) != shard_of(f"{prefix}a", 4))
    made = [await volume.put(f"{prefix}a", b"1"), await volume.put(f"{prefix}a", b"2", metadata={"n": 1})]
    made.append(await volume.set_metadata(f"{prefix}a", {"n": 2}))
    made.append(await volume.copy(f"{prefix}a", f"{prefix}b"))
    made.append(await volume.move(f"{prefix}a", far))
    made.append(await volume.stat(f"{prefix}a", version=4))
    made.append(await volume.restore(f"{prefix}a", version=1))
    gone = await volume.delete(f"{prefix}b")
    assert gone is not None
    return [*made, gone]


def by_path(files: list[FileVersion]) -> list[FileVersion]:
    return sorted(files, key=lambda file: (file.path, file.version))


async def test_every_change_comes_once_and_in_order(logged: Volume) -> None:
    made = await some_changes(logged)
    changes = logged.changes()
    found = [file async for file in changes]
    assert by_path(found) == by_path(made)
    for shard in range(4):
        own = [file.created for file in found if shard_of(file.path, 4) == shard]
        assert own == sorted(own)
    assert [file async for file in changes] == []
    more = await some_changes(logged, "more/")
    assert by_path([file async for file in changes]) == by_path(more)
    assert [file async for file in logged.changes(changes.cursor)] == []


async def test_a_cursor_is_behind_what_was_given_out(cat: Catalog, logged: Volume) -> None:
    """Whoever stops anywhere, and goes on elsewhere from the cursor, misses nothing and gets nothing twice."""
    made = await some_changes(logged)
    found: list[FileVersion] = []
    cursor = None
    while True:
        changes = (await cat.volume("logged")).changes(cursor)
        file = await anext(aiter(changes), None)
        cursor = changes.cursor
        if file is None:
            break
        found.append(file)
    assert by_path(found) == by_path(made)


async def test_with_what_was_there_at_a_moment_changes_since_it_are_everything(logged: Volume) -> None:
    made = await some_changes(logged)
    for moment in {file.created for file in made} | {made[0].created - LEAST}:
        there = {file.path: file async for file in logged.list(recursive=True, as_of=moment)}
        changes = logged.changes(since=moment)
        after = [file async for file in changes]
        assert by_path(after) == by_path([file for file in made if file.created > moment])
        for file in after:
            there[file.path] = file
        now = {file.path: file async for file in logged.list(recursive=True)}
        assert {path: file for path, file in there.items() if isinstance(file, FileVersion) and file.size} == now
        assert [file async for file in logged.changes(changes.cursor)] == []


async def test_a_write_under_way_holds_up_what_came_after_it(cat: Catalog, logged: Volume) -> None:
    before = await logged.put("a", b"1")
    await begun(cat, logged, "a")
    beside = next(f"x{n}" for n in range(100) if shard_of(f"x{n}", 4) == shard_of("a", 4))
    after = await logged.put(beside, b"1")
    changes = logged.changes()
    assert [file async for file in changes] == [before]
    assert [file async for file in changes] == []
    await cat.recover(patience_s=0)
    assert [file async for file in changes] == [after]


async def write_much(volume: Volume, name: str) -> None:
    for turn in range(6):
        await volume.put(f"{name}/x", f"{name}{turn}".encode(), metadata={"turn": turn})
        await volume.put(f"{name}/{turn}", b"old")
        await volume.set_metadata(f"{name}/{turn}", {"turn": turn})
        await volume.move(f"{name}/{turn}", f"{name}/moved{turn}")
        await volume.copy(f"{name}/x", f"{name}/copy", mode=Overwrite())
        if turn % 2:
            await volume.delete(f"{name}/moved{turn}")
            await volume.restore(f"{name}/{turn}", version=1)


async def fed(volume: Volume, copy: Volume, cursor: str | None) -> str:
    """Do to another volume what was done to this one since."""
    changes = volume.changes(cursor)
    async for file in changes:
        if file.kind == "delete":
            await copy.delete(file.path, missing_ok=True)
        else:
            content = await volume.read(file.path, version=file.version)
            await copy.put(file.path, content, metadata=file.metadata, content_type=file.content_type)
    return changes.cursor


async def test_a_second_catalog_that_is_fed_ends_up_equal(cat: Catalog, logged: Volume) -> None:
    """While others go on writing, from cursor to cursor."""
    copy = await cat.create_volume("copy", shards=2)
    done = asyncio.Event()

    async def keep_up() -> str:
        cursor: str | None = None
        while not done.is_set():
            cursor = await fed(logged, copy, cursor)
        return await fed(logged, copy, cursor)

    async with asyncio.TaskGroup() as tasks:
        kept_up = tasks.create_task(keep_up())
        async with asyncio.TaskGroup() as writes:
            for name in "abc":
                writes.create_task(write_much(logged, name))
        done.set()
    assert kept_up.result()

    async def state(volume: Volume) -> list[tuple[object, ...]]:
        files = [file async for file in volume.list(recursive=True)]
        return [(each.path, each.digest, each.metadata) for each in files if isinstance(each, FileVersion)]

    assert await state(copy) == await state(logged)
    assert len(await state(copy)) > 10


async def test_paths_of_any_length_are_logged(logged: Volume) -> None:
    paths = ["a/" * 200 + "x" * 95, "a/" * 200 + "x" * 96, "a/" * 200 + "x" * 100, "!" * 250]
    for path in paths:
        assert len(change_row(0, path)) <= 512
        await logged.put(path, b"1")
    assert {file.path async for file in logged.changes()} == set(paths)


async def test_two_long_paths_that_begin_alike_have_two_rows() -> None:
    one, other = "x" * 499 + "a", "x" * 499 + "b"
    assert len(encode(one)) == 500
    assert change_row(5, one) != change_row(5, other)
    found = changes_between(5, 6)
    assert found.first <= change_row(5, one) < found.stop


async def test_a_volume_without_a_log_says_so(volume: Volume, logged: Volume) -> None:
    assert volume.info.changes_since is None
    assert logged.info.changes_since is not None
    with pytest.raises(InvalidError, match="has no change log") as caught:
        [file async for file in volume.changes()]
    assert caught.value.kind == "invalid.no-change-log"


async def test_a_cursor_of_another_volume_is_refused(cat: Catalog, logged: Volume) -> None:
    other = await cat.create_volume("other", shards=4, change_log=True)
    with pytest.raises(InvalidError, match="not of volume 'logged'") as caught:
        logged.changes(other.changes().cursor)
    assert caught.value.kind == "invalid.other-volume"


async def test_a_cursor_of_the_future_is_refused(logged: Volume) -> None:
    far = Cursor(logged.info.epoch, (Position(10**15 * 5),) * 4)
    with pytest.raises(InvalidError, match="has not come to") as caught:
        [file async for file in logged.changes(str(far))]
    assert caught.value.kind == "invalid.cursor"


async def test_a_cursor_from_before_the_log_began_is_refused(cat: Catalog, logged: Volume) -> None:
    """Something may be missing: the log was off in between."""
    old = logged.changes(datetime(2026, 1, 1, tzinfo=UTC)).cursor
    row = await cat._volumes.row(logged.info, cat._deadline(None))
    assert row is not None
    begun = (await logged.put("a", b"1")).created
    await cat._volumes.turn(row, replace(row.info, changes_since=begun), cat._deadline(None))
    with pytest.raises(InvalidError, match="after this cursor: begin anew") as caught:
        [file async for file in logged.changes(old)]
    assert caught.value.kind == "invalid.cursor-too-old"
    assert [file.path async for file in logged.changes()] == ["a"]


async def test_what_is_no_cursor_is_refused(logged: Volume) -> None:
    good = logged.changes().cursor
    for bad in ["", "x", good[:-1], good + "A", good[:-2] + "AA", good.upper(), 5, b"x", datetime(2026, 1, 1)]:  # noqa: DTZ001
        with pytest.raises(InvalidError):
            logged.changes(bad)  # type: ignore[arg-type]


async def test_a_deleted_volume_has_no_changes(cat: Catalog, logged: Volume) -> None:
    await cat.delete_volume("logged")
    with pytest.raises(NotFoundError):
        [file async for file in logged.changes()]


async def test_a_request_that_is_repeated_is_one_change(logged: Volume) -> None:
    for _ in range(2):
        await logged.put("a", b"1", request_id="r")
    with pytest.raises(ConflictError):
        await logged.put("a", b"2", mode=Create())
    assert [file.version async for file in logged.changes()] == [1]
    everything = changes_between(0, 10**16 - 1)
    async with aclosing(logged._tools.lister.rows(partition_of(logged.info, "a"), everything)) as rows:
        assert len([row async for row in rows]) == 1


async def test_all_who_read_rows_know_those_of_the_log(cat: Catalog, logged: Volume) -> None:
    made = await some_changes(logged)
    plan = await cat.reconcile("logged")
    assert plan.clean
    report = await logged.purge(older_than=timedelta(), keep_versions=1)
    assert not report.unfinished.versions
    assert (await logged.verify()).ok
    assert by_path([file async for file in logged.changes()]) == by_path(made)
    assert len([line async for line in cat.dump("logged")]) > len(made)
    for file in [file async for file in logged.list(recursive=True)]:
        await logged.delete(file.path)
    await cat.delete_volume("logged")
    assert [info.name async for info in cat.volumes()] == []


async def test_a_log_is_switched_on_for_a_volume_that_is_there(cat: Catalog, volume: Volume) -> None:
    """Also for a writer who was never told: his gate is gone."""
    old = await cat.volume("raw")
    await volume.put("before", b"1")
    with pytest.raises(InvalidError, match=r"has no change log: set_change_log\(True\) switches it on"):
        await anext(aiter(volume.changes()), None)
    await volume.set_change_log(True)
    begun_at = volume.info.changes_since
    assert begun_at is not None
    made = [await old.put("after", b"2"), await old.put("before", b"3"), *await some_changes(volume)]
    changes = (await cat.volume("raw")).changes()
    assert by_path([file async for file in changes]) == by_path(made)
    assert all(file.created >= begun_at for file in made)
    await volume.set_change_log(True)
    assert volume.info.changes_since == begun_at
    assert (await volume.stat("before", version=1)).created < begun_at


async def test_a_log_that_is_begun_anew_knows_no_older_cursor(volume: Volume) -> None:
    await volume.set_change_log(True)
    await volume.put("a", b"1")
    changes = volume.changes()
    assert len([file async for file in changes]) == 1
    await volume.set_change_log(False)
    assert volume.info.changes_since is None
    await volume.put("a", b"2")
    with pytest.raises(InvalidError) as caught:
        await anext(aiter(volume.changes(changes.cursor)), None)
    assert caught.value.kind == "invalid.no-change-log"
    await volume.set_change_log(True)
    with pytest.raises(InvalidError, match="begins at") as caught:
        await anext(aiter(volume.changes(changes.cursor)), None)
    assert caught.value.kind == "invalid.cursor-too-old"
    assert [file async for file in volume.changes()] == []


async def test_a_log_that_somebody_left_half_switched_on_says_so(cat: Catalog, volume: Volume) -> None:
    """Nothing is passed over in silence; the same call goes on from there."""
    await volume.put("a", b"1")
    deadline = cat._deadline()
    await cat._removal.alter(volume.info, LogChanges(on=True), deadline, op="set_change_log")
    with pytest.raises(UnavailableError, match=r"is not whole yet: set_change_log\(True\) goes on") as caught:
        await anext(aiter(volume.changes(timeout_s=2)), None)
    assert caught.value.kind == "unavailable.change-log"
    await volume.put("a", b"2")
    await volume.set_change_log(True)
    made = await volume.put("a", b"3")
    assert [file async for file in volume.changes()] == [made]


async def test_a_log_begins_behind_every_label_that_there_is(cat: Catalog, volume: Volume) -> None:
    """A version may be labelled with a time later than now; it is in no log, and no log says that it is whole there."""
    file = await volume.put("a", b"1")
    lister = volume._tools.lister
    key = partition_of(volume.info, "a")
    ahead = microseconds(file.created) + 3_600_000_000
    for row in (head_row("a"), version_row("a", 1)):
        await lister.table.submit(key, [Merge(row, {"created": ahead})])
    await volume.set_change_log(True)
    assert volume.info.changes_since == from_microseconds(ahead + 1)
    made = await volume.put("a", b"2")
    assert made.created == volume.info.changes_since


async def test_a_log_is_switched_on_however_long_its_volume_takes_to_be_read(cat: Catalog, volume: Volume) -> None:
    """The time limit is each request's: reading all heads takes longer, and what is noted then has its own."""
    clock = VirtualClock()

    async def takes_long(_: str) -> None:
        await clock.sleep(3_600)

    meddler = Meddler(Before("table.query", takes_long, "\0h"))
    client = Catalog(FaultTable(cat._table, meddler), FaultContent(cat._content, meddler), clock=clock)
    await (await client.volume("raw")).set_change_log(True)
    assert meddler.over
    await client.close()
    made = await volume.put("a", b"1")
    assert [file async for file in (await cat.volume("raw")).changes()] == [made]
