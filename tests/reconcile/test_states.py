"""Each thing that can be wrong, on each kind of catalog, as each depth sees it: exactly that is found, and no more."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest

from catalog import Create, Overwrite, Plan, Volume
from catalog.columns import parse_version
from catalog.reconcile.difference import DOES, MEANING, Difference
from catalog.reconcile.plan import Depth
from storage import Digests
from tests.reconcile import injuries as injury
from tests.reconcile.cases import CASES, ON_DISK, Case, Injury, possible
from tests.reconcile.scene import Raw, Scene

DEPTHS: Sequence[Depth] = get_args(Depth)


def within(found: Difference, folder: str) -> bool:
    """Whether it is about something in a folder."""
    return f"/{folder}/" in f"/{found.path or found.key}"


def said(found: Sequence[Difference]) -> list[tuple[str, str]]:
    return [(each.state, each.action) for each in found]


@pytest.mark.parametrize("make", [each for each in CASES if each not in ON_DISK], ids=lambda each: each.__name__)
async def test_one_injury_is_one_finding(small: Scene, make: Injury) -> None:
    """Alone in a catalog, at each depth that can see it."""
    await make(small, "d/a.txt")
    for depth in DEPTHS:
        plan = await small.cat.reconcile("raw", depth=depth, patience_s=0)
        assert said([*plan.differences()]) == list(CASES[make].at(depth)), depth
        assert plan.clean == all(each.quiet for each in plan.differences())


async def test_all_injuries_at_once_on_every_kind_of_catalog(scene: Scene) -> None:
    """Each is found as it is alone; blobs and version rows without a finding are consistent, read by other eyes."""
    for make in possible(scene):
        await make(scene, f"{make.__name__}/a.txt")
    raw = await scene.look()
    for depth in DEPTHS:
        plan = await scene.cat.reconcile("raw", depth=depth, patience_s=0)
        found = [*plan.differences()]
        for make, case in possible(scene).items():
            assert said([each for each in found if within(each, make.__name__)]) == list(case.at(depth)), (
                depth,
                make.__name__,
            )
        assert len(found) == sum(len(case.at(depth)) for case in possible(scene).values())
        check_counts(plan, raw)
        for each in found:
            check_explained(each, raw, ours=_case(each).ours)
        if depth == "content":
            check_disjoint_and_total(found, raw)


def _case(found: Difference) -> Case:
    return next(case for make, case in CASES.items() if within(found, make.__name__))


def check_counts(plan: Plan, raw: Raw) -> None:
    """The header says how much there is."""
    assert (plan.header.blobs, plan.header.versions) == (len(raw.blobs), len(raw.versions))
    assert plan.header.bytes == sum(blob.size for blob in raw.blobs.values())


def check_explained(found: Difference, raw: Raw, *, ours: bool) -> None:
    """Who made it, and when, where it is ours; why in words; what it speaks of is there."""
    assert found.why
    assert found.why == found.why.strip(". ")
    assert found.state in MEANING
    assert found.action in DOES
    assert bool(found.op) == (ours or found.state == "orphan-ours")
    assert bool(found.at) == bool(found.op)
    if found.at:
        assert datetime.fromisoformat(found.at).tzinfo
    if found.versions:
        known = {f"{path}@{version}" for path, version in raw.versions} | {f"{found.path}@1"}
        assert set(found.versions) <= known
        assert found.writer == "tests"


def check_disjoint_and_total(found: Sequence[Difference], raw: Raw) -> None:
    """Each blob and each live version row is in one state; what has no finding is consistent."""
    of_paths = [each for each in found if each.state == "history-broken"]
    of_blobs = [each for each in found if each.state != "history-broken"]
    keys = [each.key for each in of_blobs]
    assert len(set(keys)) == len(keys), "a blob is in two states"
    named = [name for each in of_blobs for name in each.versions]
    assert len(set(named)) == len(named), "a version is in two states"
    broken = {each.path for each in of_paths}
    consistent = {name for name, row in raw.versions.items() if f"{name[0]}@{name[1]}" not in named}
    for path, version in consistent:
        row = raw.versions[path, version]
        blob = str(row["blob"])
        if path in broken or (row.get("purging") and blob in keys):
            continue  # its history is the matter, and its content is not; or it is what is the matter with its blob
        assert blob not in keys or _flagged(of_blobs, blob), (path, version)
        data = raw.contents[blob]
        assert data is not None
        assert (Digests.of(data).digest, raw.blobs[blob].etag) == (row["digest"], row["blob_etag"])
    referred = {str(entity.values["blob"]) for (_, row), entity in raw.rows.items() if row[0] == "h"}
    referred |= {str(row["blob"]) for row in raw.versions.values()}
    assert raw.blobs.keys() - referred <= set(keys), "a blob that no version refers to, and nobody says so"


def _flagged(found: Sequence[Difference], blob: str) -> bool:
    """Whether a blob's finding is that another version of it was to be purged."""
    return any(each.key == blob and each.state == "purging" for each in found)


# --- Writes under way ------------------------------------------------------------------------------------------------

TARGET = "half/target.txt"
VERBS: Mapping[str, Callable[[Volume, str], Awaitable[object]]] = {
    "create": lambda volume, path: volume.put(f"{path}.new", b"never seen", mode=Create()),
    "overwrite": lambda volume, path: volume.put(path, b"never seen"),
    "delete": lambda volume, path: volume.delete(path),
    "copy": lambda volume, path: volume.copy(path, f"{path}.copied"),
    "move": lambda volume, path: volume.move(path, f"{path}.moved"),
    "move-apart": lambda volume, path: volume.move(path, _apart(volume, path)),
    "set_metadata": lambda volume, path: volume.set_metadata(path, {"n": 1}),
    "restore": lambda volume, path: volume.restore(path, version=1),
}


def _apart(volume: Volume, path: str) -> str:
    from catalog.keys import shard_of

    shards = volume.info.shards
    others = (f"{path}.to-{number}" for number in range(1_000))
    return next(other for other in others if shard_of(other, shards) != shard_of(path, shards))


async def killed_everywhere(scene: Scene, verb: str) -> int:
    """Clients of a verb, killed once each of its requests was applied, each on a file of its own."""
    for at in count(1):
        path = f"half/{verb}-{at}.txt"
        await scene.volume.put(path, b"1")
        await scene.volume.put(path, b"2")
        if not await scene.killed(at, lambda _, volume, path=path: VERBS[verb](volume, path)):  # type: ignore[misc]
            return at - 1
    raise AssertionError


@pytest.mark.parametrize("verb", VERBS)
async def test_a_write_left_behind_is_in_flight(small: Scene, verb: str) -> None:
    """R4, R12: its intent and its blob are so, and no finding; it is settled once it is old, and nothing else is."""
    assert await killed_everywhere(small, verb) >= 2
    raw = await small.look()
    await check_in_flight(small, raw)


async def test_all_writes_left_behind_on_every_kind_of_catalog(scene: Scene) -> None:
    for verb in ("create", "move-apart"):
        await killed_everywhere(scene, verb)
    raw = await scene.look()
    await check_in_flight(scene, raw)
    report = await (await scene.cat.reconcile("raw", patience_s=0)).apply(patience_s=0)
    assert (report.ok, report.changed) == (True, 0)
    assert not (await scene.look()).open_intents
    assert (await scene.cat.reconcile("raw", depth="content", patience_s=0)).clean


async def check_in_flight(scene: Scene, raw: Raw) -> None:
    """The open intents, and the blobs of their writes; alive or not, as patience says."""
    blobs = {name for name in raw.blobs if any(f"~{op}" in name for op in raw.open_intents)}
    assert raw.open_intents
    patient = await scene.cat.reconcile("raw", depth="headers")
    assert {each.key for each in patient.differences()} == raw.open_intents.keys() | blobs
    assert {said([each])[0] for each in patient.differences()} == {("in-flight", "none")}
    assert patient.clean
    old = await scene.cat.reconcile("raw", depth="headers", patience_s=0)
    found = {each.key: each for each in old.differences()}
    assert found.keys() == raw.open_intents.keys() | blobs
    for op, intents in raw.open_intents.items():
        assert (found[op].state, found[op].action) == ("in-flight", "settle")
        assert found[op].writer == "somebody"
        assert found[op].intents == sorted(str(intent["path"]) for intent in intents)
    assert all(found[name].action == "none" for name in blobs)


# --- A clean catalog -------------------------------------------------------------------------------------------------


async def every_verb(scene: Scene, folder: Path) -> None:
    """A history of all that can be done."""
    volume = scene.volume
    await volume.put("v/a.txt", b"1", metadata={"n": 1, "f": 1.5, "s": "é", "t": True})
    await volume.put("v/a.txt", b"2")
    await volume.put("v/empty", b"")
    await volume.delete("v/a.txt")
    await volume.put("v/a.txt", b"3", request_id="r")
    for path in ("v/within", "v/b.txt", "v/c.txt", "v/d.txt", "v/\u00e9 \U0001f408 '%2F~.txt"):
        await volume.put(path, path.encode())
    await volume.copy("v/b.txt", _apart(volume, "v/b.txt"))
    await volume.copy("v/b.txt", "v/b2.txt")
    await volume.move("v/c.txt", _apart(volume, "v/c.txt"))
    await volume.move("v/d.txt", "v/e.txt")
    await volume.set_metadata("v/b.txt", {"n": 2})
    await volume.restore("v/a.txt", version=1)
    await volume.put("v/staged.bin", chunks(), mode=Overwrite())
    tree = folder / "tree"
    tree.mkdir()
    (tree / "x.csv").write_bytes(b"x")
    (tree / "y.csv").write_bytes(b"y")
    assert (await volume.ingest(tree, prefix="v/in/")).written == 2


async def chunks() -> Any:
    for _ in range(9):
        yield b"x" * (1 << 20)


async def test_a_catalog_that_nobody_has_hurt_is_clean(scene: Scene, tmp_path: Path) -> None:
    """Whatever was done to it, at every depth; and looking changes nothing (S6)."""
    await every_verb(scene, tmp_path)
    before = await scene.look()
    for depth in DEPTHS:
        plan = await scene.cat.reconcile("raw", depth=depth, patience_s=0)
        assert (plan.clean, [*plan.differences()], dict(plan.header.actions)) == (True, [], {})
        check_counts(plan, before)
    assert (await scene.look()).exact == before.exact


async def test_a_purge_killed_at_any_request_is_found_and_finished(small: Scene) -> None:
    """R8: what was about to be deleted is said to be that, and no leak."""
    for at in count(1):
        path = f"purge/{at}"
        await small.volume.put(path, b"1" * at)
        await small.volume.put(path, b"2")
        row = parse_version("raw", await small.version(path, 1))
        killed = await small.killed(at, lambda client, volume, row=row: injury.purge(client, volume, row))  # type: ignore[misc]
        flagged = (await small.version(path, 1)).values
        plan = await small.cat.reconcile("raw", depth="headers")
        half_done = "purging" in flagged and not flagged.get("purged")
        assert said([*plan.differences()]) == [("purging", "finish-purge")] * half_done
        assert (await plan.apply()).changed == 0
        if half_done:
            assert (await small.version(path, 1)).values["purged"]
        assert (await small.cat.reconcile("raw", depth="headers")).clean
        if not killed:
            assert at > 3
            return


async def test_a_prefix_finds_what_is_below_it_and_nothing_else(scene: Scene) -> None:
    for folder in ("in", "out"):
        await injury.deleted(scene, f"{folder}/missing/a")
        await injury.foreign(scene, f"{folder}/foreign/a")
        await injury.head_removed(scene, f"{folder}/head/a")
        await injury.all_rows_removed(scene, f"{folder}/orphan/a")
    plan = await scene.cat.reconcile("raw", prefix="in/", depth="headers")
    assert dict(plan.header.states) == {"missing": 1, "orphan-ours": 1, "foreign-new": 1, "history-broken": 1}
    assert all(each.path.startswith("in/") for each in plan.differences())


async def test_a_sample_reads_the_same_blobs_each_time(small: Scene) -> None:
    """And so many of them, about."""
    for number in range(60):
        await injury.flipped_and_hidden(small, f"s/{number}")
    once, again = [await small.cat.reconcile("raw", depth="content", sample=0.5) for _ in range(2)]
    assert once.sha256 == again.sha256
    assert 5 < once.header.states["corrupt"] < 55
    assert (await small.cat.reconcile("raw", depth="content", sample=1.0)).header.states == {"corrupt": 60}


async def test_progress_is_told(small: Scene) -> None:
    await injury.deleted(small, "a")
    told: list[tuple[str, int]] = []
    await small.cat.reconcile("raw", depth="content", progress=lambda stage, done: told.append((stage, done)))
    assert ("looked at", 1) in told
    assert any(stage == "bytes" for stage, _ in told)
