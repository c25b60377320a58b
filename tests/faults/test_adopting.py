"""Adopting while requests go wrong: killed anywhere it is taken up again, counts exactly, and harms no blob."""

import asyncio
from collections.abc import Mapping

import pytest

from catalog import AdoptReport, Catalog, NotFoundError, Volume, VolumeInfo
from catalog.adopt import Adopt
from catalog.adoption import Enrolled, Where
from catalog.commit import Seat
from catalog.exchange import partition_of
from storage import Always, Digests, Headers
from tests.faults.meddler import Before, Meddler
from tests.faults.observer import Bytes
from tests.faults.ports import CRASHES, ONCE, Fault, Wire
from tests.faults.test_every_fault import for_every_request
from tests.faults.world import World, outlived

NAMES = [f"{folder}/{number}" for folder in "ab" for number in range(3)]


async def prepared(world: World) -> Mapping[str, Bytes]:
    """A volume, and blobs of others, one of whose paths is taken."""
    volume = await world.client().create_volume("v", shards=2)
    await volume.put("a/0", b"taken")
    for name in NAMES:
        content = name.encode()
        headers = Headers("text/plain", Digests.of(content).md5, {"owner": "others"})
        await world.content.put(name, content, when=Always(), headers=headers)
    return (await world.look()).blobs


async def adopt(catalog: Catalog) -> AdoptReport:
    return await (await catalog.volume("v")).adopt()


async def check_adopted(world: World, blobs: Mapping[str, Bytes]) -> None:
    volume = await world.client().volume("v")
    assert [await volume.read(name) for name in NAMES] == [b"taken", *(name.encode() for name in NAMES[1:])]
    assert (await world.look()).blobs == blobs


def counts(report: AdoptReport) -> tuple[int, int, int, int]:
    return report.listed, report.adopted + report.unchanged, report.conflicts, report.left_out


@pytest.mark.parametrize("fault", [*CRASHES, Fault.CRASH_HELD], ids=lambda fault: fault.name.lower())
async def test_killed_anywhere_it_is_taken_up_again_and_counts_exactly(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            blobs = await prepared(world)
            await outlived(wire, adopt(world.client(wire)))
            if wire.fired % 2:
                await world.client().recover(patience_s=0)
            there = len((await world.look()).histories) - 1
            report = await adopt(world.client())
            assert counts(report) == (7, 5, 1, 1), wire
            assert report.unchanged == there, wire
            await wire.settle()
            await world.client().recover(patience_s=0)
            await check_adopted(world, blobs)


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name.lower())
async def test_one_transient_fault_is_not_in_the_counts(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            blobs = await prepared(world)
            report = await adopt(world.client(wire))
            assert (counts(report), report.adopted, report.failed) == ((7, 5, 1, 1), 5, 0), wire
            await check_adopted(world, blobs)


async def test_an_aborted_adoption_leaves_the_blob_alone() -> None:
    """Whoever recovers while it is under way; the run adopts it all the same, under another op."""
    aborted = 0
    async for wire in for_every_request(Fault.CRASH_AFTER):
        async with World() as world:
            blobs = await prepared(world)
            await outlived(wire, adopt(world.client(wire)))
            report = await world.client().recover(patience_s=0)
            aborted += report.count("aborted")
            assert {item.kind for item in report.items} <= {"adopt"}
            assert (await world.look()).blobs == blobs, wire
    assert aborted > 0


async def test_of_two_runs_at_once_each_blob_is_adopted_by_one() -> None:
    async with World() as world:
        blobs = await prepared(world)
        reports = await asyncio.gather(*(adopt(world.client(Wire())) for _ in range(3)))
        assert all(counts(report) == (7, 5, 1, 1) for report in reports)
        assert sum(report.adopted for report in reports) == 5
        await check_adopted(world, blobs)


async def test_a_put_and_an_adoption_of_one_path_exclude_each_other() -> None:
    """Whoever is first: nothing is lost, and the blob stays."""
    for turns in range(40):
        async with World() as world:
            blobs = await prepared(world)
            adopting = asyncio.create_task(adopt(world.client()))
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            volume = await world.client().volume("v")
            written = await volume.put("b/2", b"written")
            report = await adopting
            history = [file.kind async for file in volume.history("b/2")]
            assert history == (["put", "adopt"] if written.version == 2 else ["put"])
            assert report.adopted + report.conflicts == 6
            assert await volume.read("b/2") == b"written"
            after = (await world.look()).blobs
            assert {name: after[name] for name in NAMES} == {name: blobs[name] for name in NAMES}


async def test_what_was_deleted_meanwhile_is_not_adopted_after_all() -> None:
    """The heads were read, and there was none; somebody made a file since, and deleted it."""
    async for wire in for_every_request(Fault.LOST_BEFORE, on=True):
        async with World() as world:
            await prepared(world)
            client = world.client(wire)
            wire.fault, meant = None, wire.fault
            volume = await client.volume("v")

            async def noted(info: VolumeInfo = volume.info) -> Enrolled:
                return Enrolled(info, ())

            run = Adopt(
                Enrolled(volume.info, ()),
                Where(""),
                note=noted,
                writer=client._writer,
                lister=client._tools.lister,
                store=world.content,
                listener=None,
            )
            await volume.put("b/1", b"mine")
            await volume.delete("b/1")
            adopting = run._adopting("b/1", await world.content.stat("b/1"))
            wire.at, wire.fault = wire.at + len(wire.sent), meant
            await run._write(adopting, Seat(client._writer.committer.lane(partition_of(volume.info, "b/1"))))
            found = run._tally.report()
            assert (found.adopted, found.deleted, found.failed) == (0, not wire.fired, bool(wire.fired)), wire
            assert [file.kind async for file in world_volume(volume, wire).history("b/1")] == ["delete", "put"]


def world_volume(volume: Volume, wire: Wire) -> Volume:
    """The same, once all is well again."""
    wire.heal()
    return volume


async def test_of_a_volume_that_is_deleted_while_it_writes_nothing_is_left() -> None:
    """Its window was noted while the volume was there."""
    async with World() as world:
        other = world.client()
        await other.create_volume("v", shards=1)
        await world.content.put("theirs", b"x", when=Always(), headers=Headers())
        meddler = Meddler(Before("table.submit", lambda _: other.delete_volume("v"), "i"))
        with pytest.raises(NotFoundError):
            await adopt(world.client(meddler))
        assert meddler.over
        assert [volume async for volume in other.volumes()] == []
        assert (await world.look()).blobs.keys() == {"theirs"}
