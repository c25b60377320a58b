"""What a reconcile refuses to conclude, and what an apply refuses to do. By the numbers of design 07: R1 to R13."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from catalog import Brake, Catalog, CatalogError, IntegrityError, InvalidError, NotFoundError, Plan, Settings, connect
from catalog.errors import UnavailableError
from catalog.filters import Condition
from catalog.keys import RowRange, head_row, version_row
from catalog.reconcile.brake import collapsed
from catalog.reconcile.counts import fallen
from catalog.reconcile.plan import Header
from catalog.reconcile.watermark import Watermark
from catalog.rows import Entity
from catalog.sqlite_table import SqliteTable
from storage import Always, Blob, Blocks, ContentStore, Headers, IfAbsent, Precondition
from storage.memory import MemoryContent
from tests.faults.ports import FaultContent, FaultTable, VirtualClock, Wire
from tests.faults.world import writes
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene, indexed

ANY = Brake(fraction=1.0)
HASTY = Settings(timeout_s=1)


# --- R1: a partial scan is no scan -----------------------------------------------------------------------------------


class HalfTable(FaultTable):
    """A table that breaks off in the middle of a shard, each time."""

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async with aclosing(super().query(partition, rows, where=where, select=select)) as pages:
            async for page in pages:
                half = len(page) // 2 if partition.endswith("~01") else len(page)
                if half:
                    yield page[:half]
                if partition.endswith("~01"):
                    raise UnavailableError("the service is gone", op="query")


class SlowContent(FaultContent):
    """A store that takes content once it is told to."""

    def __init__(self, content: ContentStore, wire: Wire) -> None:
        super().__init__(content, wire)
        self.began, self.ended = asyncio.Semaphore(0), asyncio.Event()

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        self.began.release()
        await self.ended.wait()
        return await super().put(name, content, when=when, headers=headers)


class HalfContent(FaultContent):
    """A store whose listing breaks off in the middle, each time."""

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        listed = 0
        async for blob in super().list(prefix):
            listed += 1
            if listed > 5:
                raise UnavailableError("the service is gone", op="list")
            yield blob


@pytest.mark.parametrize(
    ("table", "content", "part"), [(HalfTable, FaultContent, "shard-01"), (FaultTable, HalfContent, "blobs-00")]
)
async def test_r1_what_could_not_be_read_to_the_end_proves_nothing(
    small: Scene, table: type[FaultTable], content: type[FaultContent], part: str, tmp_path: Path
) -> None:
    """No finding, whatever there is; nothing is applied; nothing is written."""
    for number in range(20):
        await small.volume.put(f"{number}", b"x")
    await injury.all_rows_removed(small, "orphan")
    before, wire = await small.look(), Wire()
    client = Catalog(table(small.table, wire), content(small.content, wire), settings=HASTY, clock=VirtualClock())
    plan = await client.reconcile("raw", orphans="quarantine", depth="content")
    assert (plan.complete, plan.clean, plan.findings, [*plan.differences()]) == (False, False, 0, [])
    (said,) = plan.header.incomplete
    assert said.startswith(f"{part}: ")
    assert part not in [each["part"] for each in plan.header.certificates]
    for force in (None, plan.sha256):
        with pytest.raises(InvalidError, match=part) as caught:
            await plan.apply(force=force, brake=ANY, journal=tmp_path / "journal")
        assert caught.value.kind == "invalid.incomplete-plan"
    assert writes(wire.sent) == []
    assert (await small.look()).exact == before.exact
    await client.close()


async def test_r1_a_part_that_failed_is_read_again_and_the_others_are_not(small: Scene, tmp_path: Path) -> None:
    """In the same folder."""
    await injury.deleted(small, "a")
    wire = Wire()
    client = Catalog(
        HalfTable(small.table, wire), FaultContent(small.content, wire), settings=HASTY, clock=VirtualClock()
    )
    assert not (await client.reconcile("raw", work=tmp_path)).complete
    await client.close()
    wire = Wire()
    async with small.client(wire) as healthy:
        plan = await healthy.reconcile("raw", work=tmp_path)
    assert plan.header.states == {"missing": 1}
    assert wire.sent.count("content.list") == 0


async def test_a_folder_is_gone_on_with_only_until_its_plan_is_made(small: Scene, tmp_path: Path) -> None:
    """What was read for one plan is too old for the next."""
    await injury.deleted(small, "a")
    assert (await small.cat.reconcile("raw", work=tmp_path)).header.states == {"missing": 1}
    await injury.head_removed(small, "b")
    assert (await small.cat.reconcile("raw", work=tmp_path)).header.states == {"missing": 1, "history-broken": 1}


async def test_r1_an_empty_container_is_not_believed(small: Scene) -> None:
    """Another account, another container: nothing is there, and nothing is concluded from that but what is missing."""
    await small.volume.put("a", b"1")
    await small.volume.put("b", b"1")
    empty = MemoryContent()
    await empty.create()
    elsewhere = Catalog(FaultTable(small.table, Wire()), empty)
    plan = await elsewhere.reconcile("raw", orphans="quarantine")
    assert plan.header.states == {"missing": 2}
    assert plan.header.actions == {}
    assert "the listing is empty" in plan.header.refused[0]
    assert (await plan.apply()).done == {}
    await elsewhere.close()


async def test_r1_a_table_that_lost_its_rows_makes_no_garbage(small: Scene, tmp_path: Path) -> None:
    """Half of the blobs without a version is no crowd of orphans, but a table that lost its rows (S14)."""
    for number in range(4):
        await small.volume.put(f"kept/{number}", b"x")
    for number in range(4):
        await injury.all_rows_removed(small, f"lost/{number}")
    before = await small.look()
    plan = await small.cat.reconcile("raw", orphans="quarantine")
    assert plan.header.states == {"orphan-ours": 4}
    assert "rows of the table lost" in plan.header.refused[0]
    with pytest.raises(InvalidError, match="were rows of the table lost") as caught:
        await plan.apply(brake=ANY, journal=tmp_path / "journal")
    assert caught.value.kind == "invalid.brake"
    assert (await small.look()).exact == before.exact


def test_r1_collapsed_at_half() -> None:
    assert collapsed(blobs=10, wanted=10, missing=4, orphans=4) == []
    assert len(collapsed(blobs=10, wanted=10, missing=5, orphans=0)) == 1
    assert len(collapsed(blobs=10, wanted=10, missing=0, orphans=5)) == 1
    assert len(collapsed(blobs=0, wanted=1, missing=1, orphans=0)) == 1
    assert collapsed(blobs=0, wanted=0, missing=0, orphans=0) == []


async def lost(scene: Scene, *paths: str) -> None:
    """Rows of paths that are gone, as after a table was restored to how it was before they were written."""
    for path in paths:
        file = await scene.volume.stat(path)
        rows = [head_row(path), *(version_row(path, number) for number in range(1, file.version + 1))]
        await scene.remove(path, *rows, *await scene.index_rows(path))


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Scene]:
    """A volume of one shard, with fifty files; and a run of it, in the folder `work`."""
    async with connect("memory:", writer="tests") as cat:
        scene = await indexed(cat, "raw", shards=1)
        for number in range(50):
            await scene.volume.put(f"{number:02}", b"x")
        assert (await cat.reconcile("raw", work=tmp_path / "work")).clean
        yield scene


def kept_in(folder: Path) -> Path:
    """The file that a run of the whole volume has left."""
    (kept,) = folder.glob("*.counts.json")
    return kept


def parts_of(kept: Path) -> dict[str, dict[str, int]]:
    """What it says of each part; but for the watermark."""
    parts = json.loads(kept.read_text("utf-8"))["parts"]
    return {part: {name: n for name, n in counts.items() if name != "until"} for part, counts in parts.items()}


def rows_and_blobs(versions: int, blobs: int, wanted: int | None = None) -> dict[str, dict[str, int]]:
    wanted = blobs if wanted is None else wanted
    return {"blobs raw/": {"blobs": blobs, "wanted": wanted}, "shard-00": {"versions": versions}}


async def test_one_row_may_be_gone_since_the_last_run(one: Scene, tmp_path: Path) -> None:
    """An undo does that. Then others are written, and these are what the next run compares with."""
    kept = kept_in(tmp_path / "work")
    assert parts_of(kept) == rows_and_blobs(50, 50)
    await lost(one, "00")
    plan = await one.cat.reconcile("raw", orphans="quarantine", work=tmp_path / "work")
    assert (plan.header.refused, parts_of(kept)) == ((), rows_and_blobs(49, 50, 49))
    assert (await plan.apply(brake=ANY)).done == {"quarantine": 1}
    for number in range(10):
        await one.volume.put(f"new/{number}", b"x")
    assert (await one.cat.reconcile("raw", work=tmp_path / "work")).clean
    assert parts_of(kept) == rows_and_blobs(59, 59)


@pytest.mark.parametrize("written_since", [0, 30])
async def test_r1_rows_that_were_there_in_the_last_run_are_missed(
    one: Scene, tmp_path: Path, written_since: int
) -> None:
    """Rows are never removed: few are missed beside many, and those that are new hide none that is lost."""
    work = tmp_path / "work"
    kept = kept_in(work)
    told = kept.read_bytes()
    await lost(one, "00", "01", "49")
    for number in range(written_since):
        await one.volume.put(f"new/{number}", b"x")
    before = await one.look()
    reported = await one.cat.reconcile("raw", work=work)
    assert (reported.header.refused, len(reported.notes)) == ((), 1)  # nothing is to be deleted
    plans = [await one.cat.reconcile("raw", orphans="quarantine", work=work) for _ in range(2)]
    for plan in plans:  # what the others have read is not what the next one compares with
        assert (plan.header.actions, plan.notes) == ({"quarantine": 3}, [])
        (why,) = plan.header.refused
        assert "1 of 1 shards lack versions that were there in the last run (shard-00: 47 of 50;" in why
        assert f"was the table restored? remove {kept.name} if" in why
        assert plan.refused == reported.notes == [why.replace(kept.name, str(kept))]
    assert kept.read_bytes() == told
    with pytest.raises(InvalidError, match="was the table restored") as caught:
        await plans[1].apply(brake=ANY, journal=tmp_path / "journal")
    assert (caught.value.kind, str(kept) in str(caught.value)) == ("invalid.brake", True)
    assert (await one.look()).exact == before.exact
    assert (await one.cat.reconcile("raw", orphans="quarantine")).header.refused == ()  # which knows of no other run


async def test_r1_a_write_that_was_under_way_hides_no_lost_row(one: Scene, tmp_path: Path) -> None:
    """It has the date of its intent, and is there only after the run: it is not counted among what was there."""
    content = SlowContent(one.content, Wire())
    client = Catalog(FaultTable(one.table, Wire()), content)
    volume = await client.volume("raw")
    async with asyncio.TaskGroup() as writers:
        for number in range(3):
            writers.create_task(volume.put(f"late/{number}", b"x"))
        for _ in range(3):
            await content.began.acquire()
        await one.volume.put("soon", b"x")
        plan = await one.cat.reconcile("raw", work=tmp_path / "work")
        assert (plan.clean, plan.header.states) == (True, {"in-flight": 3})
        content.ended.set()
    await client.close()
    await lost(one, "00", "01", "02")
    plan = await one.cat.reconcile("raw", orphans="quarantine", work=tmp_path / "work")
    assert "(shard-00: 47 of 50;" in plan.header.refused[0]


async def test_what_was_purged_is_not_missed(one: Scene, tmp_path: Path) -> None:
    """As many blobs are gone as versions have given up: each later run compares with that."""
    work = tmp_path / "work"
    for number in range(40):
        await one.volume.delete(f"{number:02}")
    assert (await one.volume.purge(older_than=timedelta())).purged.versions == 40
    await injury.all_rows_removed(one, "orphan")
    plan = await one.cat.reconcile("raw", orphans="quarantine", work=work)
    assert (plan.header.refused, plan.header.actions) == ((), {"quarantine": 1})
    assert parts_of(kept_in(work)) == rows_and_blobs(90, 11, 10)


async def test_r1_blobs_that_are_gone_beyond_what_was_purged_are_missed(one: Scene, tmp_path: Path) -> None:
    """Until what nobody explains is forced, or settled: the next run that finds nothing is compared with."""
    work = tmp_path / "work"
    kept = kept_in(work)
    for number in range(40):
        await one.content.put(f"raw/.versions/{number}~{ULID()}", b"x", when=IfAbsent(), headers=Headers())
    assert (await one.cat.reconcile("raw", work=work)).header.states == {"foreign-new": 40}
    blobs = [blob.name async for blob in one.content.list("raw/") if not blob.headers.metadata]
    for name in blobs:
        await one.content.delete(name, when=Always())
    for number in range(8):
        await one.content.delete((await one.volume.stat(f"{number:02}")).blob, when=Always())
    await injury.all_rows_removed(one, "orphan")
    plan = await one.cat.reconcile("raw", orphans="quarantine", work=work)
    (why,) = plan.header.refused
    assert "far fewer blobs than in the last run, beyond what was purged (blobs raw/: 43 of 90; another account" in why
    with pytest.raises(InvalidError, match="far fewer blobs"):
        await plan.apply(brake=ANY, force="x" * 8, journal=tmp_path / "journal")
    assert parts_of(kept) == rows_and_blobs(50, 90, 50)
    report = await plan.apply(brake=ANY, force=plan.sha256[:8])
    assert report.done == {"quarantine": 1, "heal": 8}
    assert (await one.cat.reconcile("raw", work=work)).clean
    assert parts_of(kept) == rows_and_blobs(50, 50)


async def test_the_same_state_gives_the_same_plan_whatever_was_before(one: Scene, tmp_path: Path) -> None:
    """And wherever it is made: with no run before, and after some."""
    await injury.touched(one, "a")
    plans = [await one.cat.reconcile("raw", work=tmp_path / "other") for _ in range(3)]
    plans += [await one.cat.reconcile("raw", work=tmp_path / "work"), await one.cat.reconcile("raw")]
    assert len({plan.sha256 for plan in plans}) == 1
    await lost(one, "00", "01")
    for name in ("work", "moved"):
        if name == "moved":
            (tmp_path / "work").rename(tmp_path / name)
        plans.append(await one.cat.reconcile("raw", orphans="quarantine", work=tmp_path / name))
    assert (plans[-1].sha256, len(plans[-1].refused)) == (plans[-2].sha256, 1)


async def test_r1_an_incomplete_run_leaves_nothing_to_compare_with(one: Scene, tmp_path: Path) -> None:
    kept = kept_in(tmp_path / "work")
    before = kept.read_bytes()
    content = HalfContent(one.content, Wire())
    client = Catalog(FaultTable(one.table, Wire()), content, settings=HASTY, clock=VirtualClock())
    plan = await client.reconcile("raw", work=tmp_path / "work")
    assert not plan.complete
    assert kept.read_bytes() == before
    await client.close()


async def test_r1_only_runs_of_the_same_volume_and_prefix_are_compared(one: Scene, tmp_path: Path) -> None:
    work = tmp_path / "work"
    known = {kept_in(work)}

    async def kept(name: str, **options: Any) -> dict[str, dict[str, int]]:
        assert (await one.cat.reconcile(name, **options)).notes == []
        (new,) = {*work.glob("*.counts.json")} - known
        known.add(new)
        return parts_of(new)

    below = await kept("raw", prefix="0", counts=work)
    assert (below["shard-00"], sum(part.get("blobs", 0) for part in below.values())) == ({"versions": 10}, 10)
    other = await one.cat.create_volume("other", shards=1)
    await other.put("a", b"1")
    assert (await kept("other", work=work))["shard-00"] == {"versions": 1}
    await lost(one, "00", "01")
    assert len((await one.cat.reconcile("raw", prefix="0", work=work)).notes) == 1
    assert len((await one.cat.reconcile("raw", work=work)).notes) == 1


@pytest.mark.parametrize(
    "parts", ["", "{", "[]", "{}", '{"a": -1}', '{"a": {}}', '{"a": {"versions": 1, "until": true}}', "null"]
)
async def test_r1_a_file_that_does_not_tell_of_the_last_run_is_not_passed_over(
    one: Scene, tmp_path: Path, parts: str
) -> None:
    kept = kept_in(tmp_path / "work")
    told = kept.read_text("utf-8")
    said = {**json.loads(told), "parts": "HERE"}
    whole = json.dumps(said).replace('"HERE"', parts)
    for text in (parts, whole) if parts != "{}" else (parts,):
        kept.write_text(text)
        with pytest.raises(InvalidError, match="remove it") as caught:
            await one.cat.reconcile("raw", work=tmp_path / "work")
        assert (caught.value.kind, caught.value.key) == ("invalid.counts", str(kept))


def test_r1_fallen_at_its_bounds() -> None:
    def rows(*counts: int) -> dict[str, dict[str, int]]:
        return {f"shard-{number:02x}": {"versions": count, "until": 7} for number, count in enumerate(counts)}

    def blobs(count: int, wanted: int = 0) -> dict[str, dict[str, int]]:
        return {"blobs raw/": {"blobs": count, "wanted": wanted}}

    def why(before: dict[str, dict[str, int]], now: dict[str, dict[str, int]]) -> list[str]:
        return fallen(before, now, "file")

    for before, now in ((rows(9), rows(8)), (rows(9, 9), rows(8, 10)), (rows(), rows(1)), (rows(9), rows())):
        assert why(before, now) == []
    assert len(why(rows(9), rows(7))) == 1
    assert len(why(rows(9, 9, 9), rows(8, 8, 99))) == 1  # of all shards together, and none makes up for another
    for gone, left in ((100, 51), (3, 0), (5, 9)):
        assert why(blobs(gone), blobs(left)) == []
    for gone, left in ((100, 50), (4, 0)):
        assert len(why(blobs(gone), blobs(left))) == 1
    assert why(blobs(100, 100), blobs(10, 10)) == why(blobs(100, 80), blobs(26, 30)) == []
    assert "(blobs raw/: 25 of 50;" in why(blobs(100, 80), blobs(25, 30))[0]
    assert len(why(blobs(100, 50), blobs(50, 90))) == 1  # more is wanted, and less there
    many = why({**rows(*range(10, 16)), **blobs(9)}, {**rows(*[0] * 5, 15), **blobs(0)})
    assert many[0].startswith("5 of 6 shards")
    assert "0 of 12, …" in many[0]


def test_the_watermark_is_before_every_open_write() -> None:
    def after(*rows: tuple[str, int, str]) -> int:
        mark = Watermark()
        for kind, time, state in rows:
            mark.passes(kind, Entity("p", kind, {"state": state}, "e", time))
        return mark.time

    assert after() == 0
    assert after(("g", 9, ""), ("i", 3, "open")) == 0
    assert after(("h", 5, ""), ("h", 7, ""), ("h", 6, ""), ("v", 9, "")) == 7
    assert after(("h", 7, ""), ("i", 5, "aborted"), ("i", 8, "open")) == 7
    assert after(("h", 7, ""), ("i", 6, "open"), ("i", 4, "open")) == 3


# --- R2: one object, one spelling ------------------------------------------------------------------------------------


async def test_r2_paths_are_compared_in_one_spelling(scene: Scene) -> None:
    """Row keys are escaped, blobs are listed by UTF-8, rows by UTF-16; names join, whatever the order."""
    names = [
        "a b",
        "a!b",
        "a/b",
        "a-b",
        "A",
        "a%2Fb",
        "%2e",
        "~",
        "a~b",
        "a~01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "\uffee",
        "\U0001f408",
        "e\u0301",
    ]
    for name in names:
        await scene.volume.put(name, name.encode())
        await scene.volume.put(name, b"2")
    assert (await scene.cat.reconcile("raw", depth="content")).clean


# --- R3: references of a kind that is not known ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (injury.newer_schema, "invalid.newer-schema"),
        (injury.unknown_row, "invalid.unknown-row"),
        (injury.no_row_of_ours, "integrity.row"),
        (injury.row_without_columns, "integrity.row"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "elsewhere/"])
async def test_r3_rows_that_are_not_understood_stop_it(small: Scene, make: Any, kind: str, prefix: str) -> None:
    """What they refer to is not known; so nothing is known to be garbage. Anywhere in a shard, where they may be."""
    await make(small, "a")
    if prefix and make is not injury.unknown_row:
        return
    with pytest.raises(CatalogError) as caught:
        await small.cat.reconcile("raw", prefix=prefix)
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", [False, True], ids=["version", "head"])
@pytest.mark.parametrize("column", ["chain", "content_type", "created", "writer"])
async def test_r3_a_row_that_lost_a_column_stops_it(small: Scene, column: str, head: bool) -> None:
    """At the depths at which all of a row is read: what it says is part of the chain."""
    await injury.column_lost(small, "a", column, head=head)
    for depth in ("headers", "content"):
        with pytest.raises(IntegrityError, match=f"row {'h' if head else 'v'}a"):
            await small.cat.reconcile("raw", depth=depth)


# --- R4, R5: writes under way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_r4_a_write_under_way_is_never_touched(small: Scene, at: int, tmp_path: Path) -> None:
    """A put that began before the scan and ends after the apply: no grace period, its intent is the fence."""
    await small.subject("other/a")
    assert await small.killed(at, lambda _, volume: volume.put("a", b"content"))
    before = await small.look()
    plan = await small.cat.reconcile("raw", orphans="quarantine", foreign="report")
    assert plan.clean
    report = await plan.apply(journal=tmp_path / "journal")
    assert (report.done, report.changed, report.waiting) == ({}, 0, 0)
    assert (await small.look()).exact == before.exact


async def test_r4_a_writer_that_may_be_alive_is_waited_for(small: Scene, tmp_path: Path) -> None:
    """A plan may say that it is old; what is settled is what the service's clock calls old."""
    assert await small.killed(2, lambda _, volume: volume.put("a", b"content"))
    plan = await small.cat.reconcile("raw", patience_s=0)
    report = await plan.apply(journal=tmp_path / "journal")
    assert (report.done, report.waiting, report.ok) == ({}, 1, True)
    report = await plan.apply(journal=tmp_path / "journal", patience_s=0)
    assert (report.done, report.waiting) == ({"settle": 1}, 0)


# --- R7: the brake ---------------------------------------------------------------------------------------------------

BOUND = 300


async def orphaned(scene: Scene, orphans: int, blobs: int) -> Plan:
    """A plan that deletes so many of so many blobs."""
    root = scene.volume.info.root
    for number in range(blobs):
        op = injury.op_of(str(number))
        name, told = (f"{root}.versions/{number}~{op}", {"op": op}) if number < orphans else (f"{root}{number}", {})
        await scene.content.put(name, b"x", when=IfAbsent(), headers=Headers(metadata=told))
    plan = await scene.cat.reconcile("raw", orphans="quarantine")
    assert (plan.header.deletions, plan.header.blobs) == (orphans, blobs)
    return plan


@pytest.mark.parametrize(("orphans", "refused"), [(2, False), (3, False), (4, True)])
async def test_r7_the_brake_counts_blobs_of_those_that_were_listed(
    small: Scene, orphans: int, refused: bool, tmp_path: Path
) -> None:
    """At its fraction it lets go; one more, and nothing at all is done."""
    plan = await orphaned(small, orphans, BOUND)
    await check_brake(small, plan, Brake(fraction=0.01), tmp_path, refused=refused)


@pytest.mark.parametrize(("orphans", "refused"), [(99, False), (100, False), (101, True)])
async def test_r7_the_brake_counts_a_number(small: Scene, orphans: int, refused: bool, tmp_path: Path) -> None:
    plan = await orphaned(small, orphans, BOUND)
    await check_brake(small, plan, Brake(fraction=1.0, number=100), tmp_path, refused=refused)


async def check_brake(scene: Scene, plan: Plan, brake: Brake, folder: Path, *, refused: bool) -> None:
    before = await scene.look()
    if not refused:
        assert (await plan.apply(brake=brake, journal=folder / "journal")).done == {"quarantine": plan.header.deletions}
        return
    for force in (None, "", plan.sha256[:7], "0" * 16, plan.sha256[:8].upper() + "x", plan.sha256[1:17]):
        with pytest.raises(InvalidError, match=plan.sha256[:16]) as caught:
            await plan.apply(brake=brake, force=force, journal=folder / "journal")
        assert caught.value.kind == "invalid.brake"
    assert (await scene.look()).exact == before.exact
    assert not (folder / "journal").exists()
    report = await plan.apply(brake=brake, force=plan.sha256[:8], journal=folder / "journal")
    assert report.done == {"quarantine": plan.header.deletions}


@pytest.mark.parametrize("blobs", [1, 99, 100, 1_000_000, 10**9])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.07, 0.29, 1.0])
def test_r7_a_fraction_at_099_100_and_101_of_its_bound(blobs: int, fraction: float) -> None:
    """Exactly, where the product of the two is no whole number of the machine's, too."""
    from fractions import Fraction

    bound = Fraction(str(fraction)) * blobs
    for deletions in {int(bound * part / 100) for part in (99, 100, 101)} | {int(bound), int(bound) + 1}:
        refused = Brake(fraction, number=10**12).refuses(_header(blobs, deletions))
        assert bool(refused) == (deletions > bound), (deletions, bound)


@pytest.mark.parametrize("number", [0, 1, 100, 1_000])
def test_r7_a_number_at_099_100_and_101_of_its_bound(number: int) -> None:
    for deletions in (number * 99 // 100, number, number + max(1, number // 100)):
        refused = Brake(1.0, number).refuses(_header(10**9, deletions))
        assert bool(refused) == (deletions > number)


def _header(blobs: int, deletions: int) -> Header:
    return Header("v", "e", "v/", "", "etag", 1.0, blobs, blobs, blobs, actions={"quarantine": deletions})


# --- R9: time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [0.0, 4e9])
async def test_r9_a_wrong_clock_changes_what_is_proposed_and_nothing_else(now: float, tmp_path: Path) -> None:
    """In the year 1970 and in the year 2096: what is settled is what the service's clock calls old."""
    table, content = SqliteTable(":memory:"), MemoryContent()
    async with connect("memory:") as cat:
        scene = await indexed(cat, "raw", shards=1)
        await injury.deleted(scene, "d/a")
        assert await scene.killed(2, lambda _, volume: volume.put("a", b"content"))
        from dataclasses import replace

        cat._reconciling = replace(cat._reconciling, now=lambda: now)
        before = await scene.look()
        plan = await cat.reconcile("raw")
        report = await plan.apply(journal=tmp_path / "journal")
        assert (report.done, report.waiting) == ({"heal": 1}, int(now > 1e9))
        assert (await scene.look()).open_intents == before.open_intents
    await table.close()
    await content.close()


# --- R13: shared content ---------------------------------------------------------------------------------------------


async def test_r13_content_that_a_copy_refers_to_is_nobodys_garbage(small: Scene, tmp_path: Path) -> None:
    """Though all rows of the file that it was put for are lost; also for who looks at a part of the volume."""
    await small.volume.put("here/a", b"content")
    copy = injury.apart(small, "there/b")
    await small.volume.copy("here/a", copy)
    before = await small.look()
    rows = [row for (_, row), entity in before.rows.items() if entity.values.get("path") == "here/a"]
    await small.remove("here/a", *rows)
    assert (await small.cat.reconcile("raw", orphans="quarantine")).clean
    part = await small.cat.reconcile("raw", prefix="here/", orphans="quarantine")
    assert part.clean
    assert await small.volume.read(copy) == b"content"


# --- A prefix that nothing has ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_prefix_below_which_there_is_nothing_is_refused(workers: int, tmp_path: Path) -> None:
    """Mistyped, perhaps. In a folder, too, where the next run is to look anew."""
    async with connect(f"local:{tmp_path}/catalog") as cat:
        volume = await cat.create_volume("raw", shards=2)
        await volume.put("data/a", b"1")
        with pytest.raises(NotFoundError, match="'dtaa/'") as caught:
            await cat.reconcile("raw", prefix="dtaa/", work=tmp_path / "work", workers=workers)
        assert (caught.value.kind, caught.value.key) == ("not-found.prefix", "dtaa/")
        await volume.put("dtaa/a", b"1")
        assert (await cat.reconcile("raw", prefix="dtaa/", work=tmp_path / "work", workers=workers)).header.blobs == 1


@pytest.mark.parametrize("left", ["tombstone", "blob", "write"])
async def test_what_little_is_left_below_a_prefix_is_compared(small: Scene, left: str) -> None:
    """While others write elsewhere, too."""
    await injury.begun(small, "elsewhere", "delete")
    if left == "tombstone":
        await small.volume.put("data/a", b"1")
        await small.volume.delete("data/a")
        await small.volume.purge(keep_versions=1)
    elif left == "blob":
        await injury.foreign(small, "data/a")
    else:
        await injury.begun(small, "data/a", "delete")
    assert (await small.cat.reconcile("raw", prefix="data/")).complete
    with pytest.raises(NotFoundError):
        await small.cat.reconcile("raw", prefix="dtaa/")


# --- Plans of other places -------------------------------------------------------------------------------------------


async def test_a_volume_with_another_prefix_finds_nothing_of_this_one(small: Scene) -> None:
    """What lies below the root of another volume is that one's."""
    await small.cat.create_volume("inner", shards=1)
    inner = Scene(small.cat, await small.cat.volume("inner"))
    await injury.foreign(inner, "theirs")
    await small.volume.put("a", b"1")
    assert (await small.cat.reconcile("raw")).clean
    assert (await small.cat.reconcile("inner")).header.states == {"foreign-new": 1}


async def test_a_plan_of_another_catalog_or_of_a_volume_made_anew_is_refused(small: Scene, tmp_path: Path) -> None:
    await injury.touched(small, "d/a")
    plan = await small.cat.reconcile("raw")
    file = plan.save(tmp_path / "plan")
    await plan.apply(journal=tmp_path / "journal")
    async with connect("memory:") as other:
        await other.create_volume("raw", shards=1)
        for call in (lambda: other.apply(file), lambda: other.undo(tmp_path / "journal")):
            with pytest.raises(InvalidError, match="another volume") as caught:
                await call()
            assert caught.value.kind == "invalid.other-volume"


# --- Plans that are not what they were -------------------------------------------------------------------------------


def cut(lines: list[str]) -> list[str]:
    return lines[:-1]


def cut_within(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1][:-9]]


def more(lines: list[str]) -> list[str]:
    return [*lines, lines[-1]]


def no_json(lines: list[str]) -> list[str]:
    return [lines[0], "nonsense\n", *lines[2:]]


def other_action(lines: list[str]) -> list[str]:
    """A deletion that the header does not count."""
    return [line.replace('"action": "none"', '"action": "quarantine"') for line in lines]


def other_state(lines: list[str]) -> list[str]:
    return [line.replace('"state": "foreign-new"', '"state": "orphan-ours"') for line in lines]


def _record(lines: list[str], **values: object) -> list[str]:
    return [*lines[:-1], json.dumps({**json.loads(lines[-1]), **values}) + "\n"]


def unknown_state(lines: list[str]) -> list[str]:
    return _record(lines, state="haunted")


def unknown_action(lines: list[str]) -> list[str]:
    return _record(lines, action="exorcise")


def unknown_column(lines: list[str]) -> list[str]:
    return _record(lines, mood="bad")


def wrong_rows(lines: list[str]) -> list[str]:
    return _record(lines, rows=5)


def wrong_versions(lines: list[str]) -> list[str]:
    return _record(lines, versions="a@1")


def wrong_key(lines: list[str]) -> list[str]:
    return _record(lines, key=5)


def _head(lines: list[str], **values: object) -> list[str]:
    return [json.dumps({**json.loads(lines[0]), **values}) + "\n", *lines[1:]]


def newer_format(lines: list[str]) -> list[str]:
    return _head(lines, format=2)


def unknown_header(lines: list[str]) -> list[str]:
    return _head(lines, mood="bad")


def wrong_states(lines: list[str]) -> list[str]:
    return _head(lines, states=[1])


def wrong_actions(lines: list[str]) -> list[str]:
    return _head(lines, actions={"quarantine": "many"})


def wrong_number(lines: list[str]) -> list[str]:
    return _head(lines, blobs="many")


def no_plan(lines: list[str]) -> list[str]:
    return _head(lines, blobcat="journal")


def no_text(lines: list[str]) -> list[str]:
    return [*lines[:-1], "\udcff" + lines[-1]]


def nothing(_: list[str]) -> list[str]:
    return []


EDITS = [
    cut, cut_within, more, no_json, other_action, other_state, unknown_state, unknown_action, unknown_column,
    wrong_rows, wrong_versions, wrong_key, newer_format, unknown_header, wrong_states, wrong_actions, wrong_number,
    no_plan, no_text, nothing,
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda each: each.__name__)
async def test_a_plan_that_was_cut_or_edited_is_refused(
    small: Scene, edit: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    await injury.foreign(small, "f/a")
    await injury.touched(small, "t/a")
    file = (await small.cat.reconcile("raw")).save(tmp_path / "plan")
    assert small.cat.plan(file).findings == 2
    lines = edit(file.read_text("utf-8").splitlines(keepends=True))
    file.write_text("".join(lines), "utf-8", errors="surrogateescape")
    before = await small.look()
    with pytest.raises(InvalidError) as caught:
        await small.cat.apply(file, brake=ANY)
    assert caught.value.kind in ("invalid.plan", "invalid.newer-plan")
    assert "\n" not in str(caught.value)
    assert (await small.look()).exact == before.exact


async def test_where_there_is_no_plan(small: Scene, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InvalidError) as caught:
            small.cat.plan(path)
        assert caught.value.kind == "invalid.plan"


async def test_conditions_that_were_edited_do_not_hold(small: Scene, tmp_path: Path) -> None:
    """A plan proves nothing: what it says is looked at again."""
    await injury.touched(small, "t/a")
    file = (await small.cat.reconcile("raw")).save(tmp_path / "plan")
    header, line = file.read_text("utf-8").splitlines()
    record = json.loads(line)
    file.write_text("\n".join([header, json.dumps({**record, "blob_etag": "0x1"}), ""]))
    report = await small.cat.apply(file)
    assert (report.done, report.changed) == ({}, 1)


async def test_a_blob_that_no_store_here_would_open_is_named(small: Scene) -> None:
    """Others may choose names that we do not: they are said, and in nobody's way."""
    content = small.content
    assert isinstance(content, MemoryContent)
    await injury.foreign(small, "x")
    blob, data = content._container.blobs["raw/x"]
    for name in ("raw/a//b", "raw/dot./c", "raw/back\\slash", "raw/.versions/ctrl\x07", "raw/.versions//a~b"):
        content._container.blobs[name] = (Blob(name, blob.size, blob.etag, blob.headers), data)
    plan = await small.cat.reconcile("raw", depth="content", orphans="quarantine")
    assert plan.header.states == {"invalid-name": 5, "foreign-new": 1}
    assert (await plan.apply(brake=ANY)).ok
