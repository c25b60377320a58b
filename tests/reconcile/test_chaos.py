"""Hundreds of injuries while four writers go on: exactly those are found, repaired as far as can be, and taken back."""

import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any, cast, get_args

import pytest

from catalog import Brake, FileVersion, Plan, UndoReport, connect
from catalog.flow import concurrently, each
from catalog.keys import head_row, version_row
from catalog.reconcile.plan import Depth
from tests.faults.world import writes
from tests.harness.nightly import NIGHTLY
from tests.reconcile.chaos import AT_A_TIME, Chaos, Watched, found_in, keyed
from tests.reconcile.scene import Raw, indexed, writes_counted
from tests.reconcile.writers import at_work, check_told
from tests.volumes.conftest import URLS

SIZES: Mapping[str, tuple[int, int]] = (
    {"local": (20_000, 1_000), "azurite": (5_000, 250)} if NIGHTLY else {"local": (600, 110), "azurite": (100, 52)}
)
"""Files, and how many of them are hurt."""
SEED = 20261121
BRAKE = Brake(fraction=0.5)


@pytest.fixture(params=SIZES)
def place(request: pytest.FixtureRequest) -> tuple[str, int, int]:
    """Where, and how much."""
    return (URLS[request.param](request), *SIZES[request.param])


@pytest.fixture
async def chaos(place: tuple[str, int, int]) -> AsyncIterator[Chaos]:
    """A catalog that is about to be hurt."""
    url, files, injuries = place
    async with connect(url, writer="tests") as cat:
        made = Chaos(Watched(cat, (await indexed(cat, "raw", shards=8)).volume), Random(SEED))
        await made.fill(files, injuries)
        yield made


@pytest.mark.timeout(3_600 if NIGHTLY else 300)
async def test_exactly_the_injuries_are_found_repaired_and_taken_back(
    chaos: Chaos, place: tuple[str, int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, files, injuries = place
    scene, began, told = chaos.scene, time.monotonic(), list[str]()

    def note(what: str) -> None:
        told.append(f"{time.monotonic() - began:6.1f} s  {what}")

    before = await chaos.look(at_rest=True)
    async with at_work(url, "raw", SEED) as recorder:
        await chaos.hurt()
        note(f"{len(chaos.expected)} injuries, {len(chaos.findings)} findings expected")
        plan = await reconciled(chaos)
        check_found(chaos, plan, chaos.findings)
        note(f"found {plan.findings}: {dict(plan.header.states)}")
        hurt = await chaos.look()
        report = await plan.apply(journal=tmp_path / "journal", brake=BRAKE)
        assert (report.failed, report.changed, report.waiting) == ((), 0, 0)
        note(f"applied {dict(report.done)}, {len(recorder.calls)} calls of writers")
        await check_repaired(chaos)
        left = await reconciled(chaos)
        check_found(chaos, left, chaos.left)
        await check_nothing_to_do(chaos, left, tmp_path)
        note(f"left {dict(left.header.states)}")
        undone = await scene.cat.undo(tmp_path / "journal")
        check_kept(chaos, undone)
        note(f"undone {undone.undone}, kept {len(undone.kept)}")
        again = await reconciled(chaos)
        check_lasting(chaos, hurt, await chaos.look())
        check_found(chaos, again, chaos.findings - chaos.not_undone)
    after = await chaos.look(at_rest=True)
    check_untouched(chaos, before, after)
    await check_told(scene, recorder, after)
    note("all is as told")
    if NIGHTLY:
        with capsys.disabled():
            sys.stdout.write("\n".join(["", f"chaos: {files} files, {injuries} injuries, {url}", *told, ""]))


async def reconciled(chaos: Chaos) -> Plan:
    """As thoroughly as can be; writers that may be alive are left alone."""
    plan = await chaos.scene.cat.reconcile("raw", depth="content", orphans="quarantine")
    assert plan.complete
    return plan


def check_found(chaos: Chaos, plan: Plan, expected: set[tuple[str, str, str]]) -> None:
    """Precision and recall are one."""
    found = keyed(found_in(plan))
    expected = {one for one in expected if (one[0], one[2]) != ("purging", "none")}  # it waits, and is no finding
    assert chaos.explain(expected - found) == []
    assert chaos.explain(found - expected) == []
    assert found == expected
    assert plan.findings == len(found)


async def check_repaired(chaos: Chaos) -> None:
    """What was acknowledged can be read again, but for what nobody has the bytes or the rows of."""
    lost = {path for path, found in chaos.expected.items() if any(action == "none" for _, _, action in found)}
    files = [
        file
        for path, subject in chaos.scene.subjects.items()
        if path not in lost
        for file in (subject.first, subject.second)
    ]

    async def check(file: FileVersion) -> None:
        row = (await chaos.scene.version(file.path, file.version)).values
        assert (row["op"], row["digest"], row["blob"]) == (file.etag, file.digest, file.blob)
        if not row.get("purged") and not row.get("purging"):
            said = await chaos.scene.volume.read(file.path, version=file.version)
            assert said == f"{file.version} of {file.path}".encode()

    async with aclosing(concurrently(each(files), check, limit=AT_A_TIME)) as checks:
        assert len([none async for none in checks]) == len(files) > 0


async def check_nothing_to_do(chaos: Chaos, plan: Plan, tmp_path: Path) -> None:
    """S6: what is left cannot be repaired, and applying that writes nothing."""
    saved = plan.save(tmp_path / "second.jsonl")
    async with writes_counted(chaos.scene) as (client, wire):
        report = await client.apply(saved, brake=BRAKE)
    assert (dict(report.done), report.changed, report.waiting, report.failed) == ({}, 0, 0, ())
    assert writes(wire.sent) == []


def check_untouched(chaos: Chaos, before: Raw, after: Raw) -> None:
    """Rows and blobs of what nobody has hurt are the very same, etags too."""
    names = {(row, str(entity.values["path"])) for (_, row), entity in before.rows.items() if row[0] in "hv"}
    whole = {row for row, path in names if path in chaos.whole}
    assert {row for path in chaos.whole for row in (head_row(path), version_row(path, 1))} == whole
    kept = {key: entity for key, entity in before.rows.items() if key[1] in whole}
    assert {key: after.rows.get(key) for key in kept} == kept
    assert {name: after.blobs.get(name) for name in before.blobs} == before.blobs
    assert {name: after.contents.get(name) for name in before.blobs} == before.contents


def check_lasting(chaos: Chaos, hurt: Raw, undone: Raw) -> None:
    """Rows, bytes and headers are as they were before the repairs, but for what is not undone."""
    kept = [path for path, found in chaos.expected.items() if found & chaos.not_undone]
    for was, is_ in zip(lasting(hurt, kept), lasting(undone, kept), strict=True):
        assert {key: (was.get(key), is_.get(key)) for key in {*was, *is_} if was.get(key) != is_.get(key)} == {}


def lasting(raw: Raw, without: Collection[str]) -> Sequence[Mapping[Any, Any]]:
    """What undo brings back, but at these paths."""
    rows, blobs = cast("tuple[Mapping[Any, Any], Mapping[Any, Any]]", raw.lasting)
    rows = {key: row for key, row in rows.items() if not str(row.get("path", "")).startswith(tuple(without))}
    return rows, {name: blob for name, blob in blobs.items() if not any(path in name for path in without)}


def check_kept(chaos: Chaos, undone: UndoReport) -> None:
    """What is not undone is what nobody promised."""
    assert {(item.key, item.action) for item in undone.kept} == {each[1:] for each in chaos.not_undone}


ROUNDS = 12 if NIGHTLY else 3


@pytest.fixture(params=["local", "azurite"])
async def calm(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Chaos]]:
    """A catalog that nobody hurts."""
    url = URLS[request.param](request)
    async with connect(url, writer="tests") as cat:
        made = Chaos(Watched(cat, (await indexed(cat, "raw", shards=4)).volume), Random(SEED))
        await made.fill(100, 0)
        yield url, made


async def test_nothing_is_found_while_others_write(calm: tuple[str, Chaos]) -> None:
    """At any depth, however often: what is under way is no finding."""
    url, chaos = calm
    looked = list[int]()
    async with at_work(url, "raw", SEED) as recorder:
        for _ in range(ROUNDS):
            for depth in get_args(Depth):
                plan = await chaos.scene.cat.reconcile("raw", depth=depth, progress=lambda _, done: looked.append(done))
                assert keyed(found_in(plan)) == set()
                assert plan.clean
    assert looked, "no write was caught under way"
    await check_told(chaos.scene, recorder, await chaos.look(at_rest=True))
