"""Somebody else is faster than a reconcile, an apply or an undo: just before one of their requests."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from catalog import ApplyReport, Brake, Catalog, Plan, Settings, UnavailableError, UndoReport
from catalog.reconcile.difference import Difference
from storage import Always, Headers, IfAbsent, IfMatch, Touches
from tests.faults.meddler import Before, Meddler
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock, Wire
from tests.faults.world import outlived
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene

ANY = Brake(fraction=1.0)
ORPHAN = "d/a.txt"
ASIDE = "raw/.quarantine/"


# --- What others do to a blob ----------------------------------------------------------------------------------------


async def touched(scene: Scene, name: str) -> None:
    """Another etag; the same bytes and headers."""
    blob = await scene.content.stat(name)
    assert isinstance(scene.content, Touches)
    await scene.content.touch(name, headers=blob.headers, when=IfMatch(blob.etag))


async def overwritten(scene: Scene, name: str) -> None:
    """Other bytes."""
    await scene.content.put(name, b"a stranger's", when=Always(), headers=Headers())


async def put_by_hand(scene: Scene, name: str) -> None:
    """The bytes of the orphan, with headers that nobody of us has given them."""
    headers = Headers("text/x-other", None, {"by": "hand"})
    await scene.content.put(name, b"left alone", when=IfAbsent(), headers=headers)


async def deleted(scene: Scene, name: str) -> None:
    """Gone."""
    await scene.content.delete(name, when=Always())


Meddling = Callable[[Scene, str], Awaitable[None]]


# --- A reconcile -----------------------------------------------------------------------------------------------------


async def found_by(scene: Scene, meddler: Meddler, **options: object) -> list[Difference]:
    async with scene.client(meddler) as client:
        plan = await client.reconcile("raw", **options)  # type: ignore[arg-type]
    assert meddler.over
    return [*plan.differences()]


def named(each: object) -> str:
    """In every process the same."""
    return str(getattr(each, "__name__", each))


@pytest.mark.parametrize("meddling", [touched, overwritten, deleted])
async def test_a_twin_that_changes_while_it_is_read_heals_nothing(small: Scene, meddling: Meddling) -> None:
    """The next one with the same bytes does."""
    lost, *twins = [(await small.volume.put(name, b"same")).blob for name in "abc"]
    await small.content.delete(lost, when=Always())
    meddler = Meddler(Before("content.open", partial(meddling, small)))
    (found,) = await found_by(small, meddler)
    assert (found.key, found.state, found.action) == (lost, "missing", "heal")
    assert {found.twin, *meddler.met} == {*twins}


async def test_the_only_twin_that_changes_while_it_is_read_is_none(small: Scene) -> None:
    lost, _ = [(await small.volume.put(name, b"same")).blob for name in "ab"]
    await small.content.delete(lost, when=Always())
    (found,) = await found_by(small, Meddler(Before("content.open", partial(overwritten, small))))
    assert (found.key, found.state, found.action, found.twin) == (lost, "missing", "none", "")


@pytest.mark.parametrize(
    ("meddling", "state"), [(touched, "touched"), (overwritten, "foreign-overwrite"), (deleted, "missing")]
)
@pytest.mark.parametrize("suspect", [False, True])
async def test_content_that_changes_while_it_is_read_is_found_as_it_is_then(
    small: Scene, meddling: Meddling, state: str, suspect: bool
) -> None:
    """Whether it was read because all is, or because its etag had moved before."""
    blob = (await small.volume.put("a", b"content")).blob
    if suspect:
        await touched(small, blob)
    (found,) = await found_by(small, Meddler(Before("content.open", partial(meddling, small))), depth="content")
    assert (found.key, found.state) == (blob, state)
    there = (await small.look()).blobs
    assert found.blob_etag == (there[blob].etag if blob in there else "")


async def test_content_is_read_again_where_its_reading_broke_off(small: Scene) -> None:
    """What was read of it counts for nothing; nor is it said to be damaged."""
    await small.volume.put("a", b"content")
    assert await found_by(small, Meddler(Before("content.chunk", Fault.LOST_AFTER)), depth="content") == []


async def test_content_that_cannot_be_read_at_all_is_not_judged(small: Scene) -> None:
    await small.volume.put("a", b"content")
    wire = Meddler(Before("content.chunk", Fault.LOST_BEFORE))
    wire.on = True
    table, content = FaultTable(small.table, wire), FaultContent(small.content, wire)
    client = Catalog(table, content, settings=Settings(timeout_s=1), clock=VirtualClock())
    with pytest.raises(UnavailableError, match="gave up"):
        await client.reconcile("raw", depth="content")
    await client.close()


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"op": "a/b"}, id="no row has it"),
        pytest.param({"op": "a" * 2_000}, id="too long for a row"),
        pytest.param({"op": "a/b", "path": "d/a"}, id="of a file"),
        pytest.param({"op": "' or 1 eq 1", "path": "../.."}, id="of no file"),
        pytest.param({"op": "x", "path": "a" * 2_000}, id="of a path that is too long"),
        pytest.param({"op": "x" * 2_000, "path": "a" * 2_000}, id="all too long"),
    ],
)
async def test_a_foreign_blob_may_say_anything(scene: Scene, told: dict[str, str]) -> None:
    """What it says can be no row's: so there is none, and that is no reason to give up."""
    await scene.content.put("raw/strange", b"x", when=IfAbsent(), headers=Headers(metadata=told))
    plan = await scene.cat.reconcile("raw", depth="content")
    assert [(found.key, found.state) for found in plan.differences()] == [("raw/strange", "foreign-new")]


# --- An apply --------------------------------------------------------------------------------------------------------


async def orphan(scene: Scene) -> tuple[Plan, str]:
    """A plan that puts the one orphan aside."""
    await scene.subject("other/a")
    await injury.all_rows_removed(scene, ORPHAN)
    plan = await scene.cat.reconcile("raw", orphans="quarantine")
    (found,) = plan.differences()
    assert found.action == "quarantine"
    return plan, found.key


async def applied(scene: Scene, plan: Plan, wire: Wire, journal: Path) -> ApplyReport:
    file = plan.save(journal.with_suffix(".plan"))
    async with scene.client(wire) as client:
        return await client.apply(file, journal=journal, brake=ANY, force=plan.sha256)


async def is_there(scene: Scene, name: str) -> bool:
    return name in (await scene.look()).blobs


@pytest.mark.parametrize("meddling", [touched, overwritten])
async def test_an_orphan_that_changes_before_it_is_deleted_stays(
    small: Scene, meddling: Meddling, tmp_path: Path
) -> None:
    plan, blob = await orphan(small)
    meddler = Meddler(Before("content.delete", partial(meddling, small), blob))
    report = await applied(small, plan, meddler, tmp_path / "journal")
    assert meddler.over
    assert (report.ok, report.changed, dict(report.done)) == (True, 1, {})
    assert await small.bytes_of(blob) == (b"left alone" if meddling is touched else b"a stranger's")


async def test_an_orphan_stays_where_its_place_in_the_quarantine_is_taken(small: Scene, tmp_path: Path) -> None:
    """By what is not its content: then deleting it would lose that."""
    plan, blob = await orphan(small)
    meddler = Meddler(Before("content.put", partial(overwritten, small), ASIDE))
    report = await applied(small, plan, meddler, tmp_path / "journal")
    assert (report.ok, report.changed, dict(report.done)) == (True, 1, {})
    assert await small.bytes_of(blob) == b"left alone"
    assert await small.bytes_of(*meddler.met) == b"a stranger's"


async def test_what_is_in_the_quarantine_already_is_taken_over(small: Scene, tmp_path: Path) -> None:
    """With another etag, so that no DELETE that was sent before can reach it."""
    plan, blob = await orphan(small)
    etags = list[str]()

    async def note(name: str) -> None:
        etags.append((await small.content.stat(name)).etag)

    meddler = Meddler(Before("content.put", partial(put_by_hand, small), ASIDE), Before("content.touch", note, ASIDE))
    report = await applied(small, plan, meddler, tmp_path / "journal")
    assert (report.ok, dict(report.done)) == (True, {"quarantine": 1})
    aside, _ = meddler.met
    assert await small.bytes_of(aside) == b"left alone"
    assert (await small.content.stat(aside)).etag not in etags
    assert not await is_there(small, blob)
    assert (await small.cat.undo(tmp_path / "journal")).undone == 1
    assert await small.bytes_of(blob) == b"left alone"
    assert not await is_there(small, aside)


@pytest.mark.parametrize("change", [touched, overwritten, Fault.LOST_AFTER, Fault.LOST_BEFORE], ids=named)
async def test_what_cannot_be_taken_over_keeps_the_orphan(
    small: Scene, change: Meddling | Fault, tmp_path: Path
) -> None:
    """Somebody changes it, or nobody knows whether it was taken over: the same apply again tells."""
    plan, blob = await orphan(small)
    then = change if isinstance(change, Fault) else partial(change, small)
    meddler = Meddler(Before("content.put", partial(put_by_hand, small), ASIDE), Before("content.touch", then, ASIDE))
    report = await applied(small, plan, meddler, tmp_path / "journal")
    assert meddler.over
    assert (report.ok, report.changed, dict(report.done)) == (True, 1, {})
    assert await small.bytes_of(blob) == b"left alone"


async def test_what_goes_from_the_quarantine_meanwhile_is_put_there_again(small: Scene, tmp_path: Path) -> None:
    """An undo has taken it out: what it meant was another run's."""
    plan, blob = await orphan(small)
    again = Meddler(
        Before("content.put", partial(put_by_hand, small), ASIDE),
        Before("content.stat", _nothing, ASIDE),
        Before("content.stat", partial(deleted, small), ASIDE),
    )
    report = await applied(small, plan, again, tmp_path / "journal")
    assert again.over
    assert (report.ok, dict(report.done)) == (True, {"quarantine": 1})
    assert await small.bytes_of(again.met[0]) == b"left alone"
    assert not await is_there(small, blob)


async def _nothing(_: str) -> None:
    """This one is let pass."""


# --- An undo ---------------------------------------------------------------------------------------------------------


async def undone(scene: Scene, wire: Wire, journal: Path) -> UndoReport:
    async with scene.client(wire) as client:
        return await client.undo(journal)


async def half_applied(scene: Scene, journal: Path) -> tuple[str, str]:
    """An orphan whose apply was killed before it deleted it, and its copy in the quarantine."""
    plan, blob = await orphan(scene)
    killed = Meddler(Before("content.put", _nothing, ASIDE), Before("content.delete", Fault.CRASH_BEFORE, blob))
    assert await outlived(killed, applied(scene, plan, killed, journal)) is None
    aside, _ = killed.met
    assert await is_there(scene, aside)
    return blob, aside


async def test_an_orphan_that_never_went_is_kept_from_who_is_about_to_delete_it(small: Scene, tmp_path: Path) -> None:
    blob, aside = await half_applied(small, tmp_path / "journal")
    before = (await small.content.stat(blob)).etag
    assert (await small.cat.undo(tmp_path / "journal")).ok
    assert (await small.content.stat(blob)).etag != before
    assert not await is_there(small, aside)


@pytest.mark.parametrize("change", [touched, overwritten, Fault.LOST_AFTER, Fault.LOST_BEFORE], ids=named)
async def test_what_may_still_be_deleted_is_left_in_the_quarantine(
    small: Scene, change: Meddling | Fault, tmp_path: Path
) -> None:
    """It is said, and the same undo again takes it back; but for what is no more as it was."""
    blob, aside = await half_applied(small, tmp_path / "journal")
    then = change if isinstance(change, Fault) else partial(change, small)
    meddler = Meddler(Before("content.touch", then, blob))
    report = await undone(small, meddler, tmp_path / "journal")
    assert meddler.over
    assert [item.undone for item in report.items] == [False]
    assert await small.bytes_of(aside) == b"left alone"
    again = await small.cat.undo(tmp_path / "journal")
    assert again.ok == (change is not overwritten)
    assert await is_there(small, aside) == (change is overwritten)
    assert await small.bytes_of(blob) == (b"a stranger's" if change is overwritten else b"left alone")


@pytest.mark.parametrize("before", [False, True])
async def test_undo_leaves_alone_what_others_have_put_in_its_place(small: Scene, before: bool, tmp_path: Path) -> None:
    """Before the undo, or while it is under way."""
    plan, blob = await orphan(small)
    assert (await applied(small, plan, Wire(), tmp_path / "journal")).done == {"quarantine": 1}
    meddler = Meddler(Before("content.put", partial(overwritten, small), blob))
    if before:
        await overwritten(small, blob)
        meddler = Meddler()
    report = await undone(small, meddler, tmp_path / "journal")
    assert meddler.over
    (item,) = report.items
    assert (item.undone, item.why) == (False, f"there is another blob {blob!r} by now")
    assert await small.bytes_of(blob) == b"a stranger's"
    (aside,) = [name for name in (await small.look()).blobs if name.startswith(ASIDE)]
    assert await small.bytes_of(aside) == b"left alone"


async def test_what_others_have_brought_back_is_back(small: Scene, tmp_path: Path) -> None:
    """By hand, out of the quarantine: its bytes are what counts."""
    plan, blob = await orphan(small)
    await applied(small, plan, Wire(), tmp_path / "journal")
    await put_by_hand(small, blob)
    assert (await small.cat.undo(tmp_path / "journal")).ok
    assert await small.bytes_of(blob) == b"left alone"
    assert [name for name in (await small.look()).blobs if name.startswith(ASIDE)] == []


async def test_what_is_put_aside_again_while_it_is_taken_out_stays_there(small: Scene, tmp_path: Path) -> None:
    plan, blob = await orphan(small)
    await applied(small, plan, Wire(), tmp_path / "journal")
    meddler = Meddler(Before("content.put", _nothing, blob), Before("content.stat", partial(deleted, small), blob))
    report = await undone(small, meddler, tmp_path / "journal")
    assert meddler.over
    assert [item.undone for item in report.items] == [False]
    (aside,) = [name for name in (await small.look()).blobs if name.startswith(ASIDE)]
    assert await small.bytes_of(aside) == b"left alone"
