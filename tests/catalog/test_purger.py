"""Purging content of a real catalog: what is gone, what stays, and that no single fault is noticed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from catalog import Catalog, CatalogError, Create, NotFoundError, Volume
from catalog.changes import Change
from catalog.columns import parse_version
from catalog.entities import IntentRow, VersionRow
from catalog.exchange import partition_of
from catalog.keys import version_row
from catalog.messages import Found, InsertIntent, ReadSource, Refused
from catalog.op import Op, Phase, intent_of
from catalog.purger import Purger
from catalog.purging import DeleteBlob, Flag, Held, MarkPurged, Purged, PurgeResult, Unfinished
from catalog.retention import Sharing
from storage import Always, Headers, Precondition
from storage.azure_errors import translating
from storage.azure_sender import RefusedAnswerError
from storage.memory import MemoryContent
from tests.faults.ports import ONCE, Fault, FaultContent, Wire
from tests.faults.test_every_fault import for_every_request
from tests.faults.touch import NOTHING
from tests.faults.world import World, outlived
from tests.harness.invariants import check, check_grown

FAR = "f"
"""A path that is not in a's shard."""


@dataclass(frozen=True, slots=True)
class Place:
    """A world with one volume of two shards in it, and who purges there."""

    world: World
    catalog: Catalog
    volume: Volume

    def purger(self, wire: Wire | None = None) -> Purger:
        """Somebody who purges, over a wire of their own."""
        client = self.world.client(wire) if wire else self.catalog
        writer, tools = client._writer, client._tools
        return Purger(writer.committer, tools.lister, tools.content, self.volume.info, writer.deadline, 4)

    async def row(self, path: str, version: int = 1) -> VersionRow:
        """A version row as it is now."""
        key = partition_of(self.volume.info, path)
        entity = await self.world.table.get(key, version_row(path, version))
        assert entity
        return parse_version(self.volume.name, entity)

    async def purge(self, *paths: str, run: str = "run", wire: Wire | None = None) -> PurgeResult:
        """Purge the first versions of some paths, as one run."""
        rows = [await self.row(path) for path in paths]
        (result,) = await self.purger(wire).purge(run, [Sharing(rows, {})])
        return result

    async def begun(self, kind: str, path: str, blob: str) -> IntentRow:
        """The intent of a change that somebody has begun."""
        exchange = self.catalog._writer._exchange(self.volume.info, self.catalog._writer.deadline())
        change = Change("v", path, kind, Create(), "w", {}, "x/y")  # type: ignore[arg-type]
        op = Op("0" * 25 + "Z", change, blob, 1, 0, Phase.INTENT)
        answer = await exchange.send(op, InsertIntent(intent_of(op)))
        assert isinstance(answer, Found)
        assert isinstance(answer.row, IntentRow)
        return answer.row


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with World() as world:
        yield await made(world)


async def made(world: World) -> Place:
    catalog = world.client()
    volume = await catalog.create_volume("v", shards=2)
    assert partition_of(volume.info, "a") != partition_of(volume.info, FAR)
    await volume.put("a", b"old")
    return Place(world, catalog, volume)


async def overwritten(place: Place, path: str = "a") -> None:
    await place.volume.put(path, b"new")


async def test_the_content_of_an_old_version_goes_and_its_row_stays(place: Place) -> None:
    await overwritten(place)
    before = await place.world.look()
    assert await place.purge("a") == Purged()
    after = await place.world.look()
    check_grown(before, after)
    row = await place.row("a")
    assert (row.purging, row.purged) == ("run", True)
    assert before.blobs.keys() - after.blobs.keys() == {row.file.blob}
    assert [file.version async for file in place.volume.history("a")] == [2, 1]
    assert await place.volume.read("a") == b"new"
    assert (await place.volume.verify()).checked == 1
    assert (await place.volume.verify()).ok


async def test_what_was_purged_is_not_found_and_no_damage(place: Place) -> None:
    await overwritten(place)
    old = await place.volume.stat("a", version=1)
    await place.purge("a")
    with pytest.raises(NotFoundError, match="was purged") as read:
        await place.volume.read("a", version=1)
    with pytest.raises(NotFoundError, match="purged, or about to be") as restored:
        await place.volume.restore("a", version=1)
    async with place.volume.open_seekable("a", version=1) as reader:
        with pytest.raises(NotFoundError) as sought:
            await reader.read(1)
    assert {caught.value.kind for caught in (read, restored, sought)} == {"not-found.purged"}
    assert replace(old, purged=True) == await place.volume.stat("a", version=1)
    assert not (await place.world.look()).open_intents


async def test_content_that_others_refer_to_stays_and_so_does_the_flag(place: Place) -> None:
    await place.volume.copy("a", FAR)
    await overwritten(place)
    assert await place.purge("a") == Held(f"{FAR}@1")
    row = await place.row("a")
    assert (row.purging, row.purged) == ("run", False)
    assert await place.volume.read("a", version=1) == await place.volume.read(FAR) == b"old"
    with pytest.raises(NotFoundError, match="about to be"):
        await place.volume.restore("a", version=1)


async def test_a_later_run_takes_over_and_purges_all_that_share_it(place: Place) -> None:
    await place.volume.copy("a", FAR)
    await overwritten(place)
    await place.purge("a")
    await overwritten(place, FAR)
    assert await place.purge("a", FAR, run="later") == Purged()
    assert [(await place.row(path)).purging for path in ("a", FAR)] == ["later", "later"]
    assert await place.purge("a", FAR, run="again") == Purged()


async def test_an_open_intent_holds_the_content_that_it_names(place: Place) -> None:
    await overwritten(place)
    row = await place.begun("copy", FAR, (await place.row("a")).file.blob)
    assert await place.purge("a") == Held(row.intent.op)
    await place.catalog.recover(patience_s=0)
    assert await place.purge("a", run="later") == Purged()


async def test_what_is_current_is_not_even_flagged(place: Place) -> None:
    assert await place.purge("a") == Held("a@1")
    assert (await place.row("a")).live


async def test_a_copy_alone_is_not_purged_without_the_put_that_wrote_its_content(place: Place) -> None:
    await place.volume.copy("a", FAR)
    await overwritten(place, FAR)
    assert await place.purge(FAR) == Held((await place.row("a")).file.blob)
    assert (await place.row(FAR)).live


async def test_a_blob_of_somebody_else_is_not_deleted(place: Place) -> None:
    await overwritten(place)
    blob = (await place.row("a")).file.blob
    await place.world.content.put(blob, b"theirs", when=Always(), headers=Headers("x/y", None, {"op": "theirs"}))
    assert await place.purge("a") == Held(blob)
    assert (await place.world.content.stat(blob)).size == len(b"theirs")
    await place.world.content.delete(blob, when=Always())


async def test_each_write_names_the_etag_of_what_was_looked_at(place: Place) -> None:
    await overwritten(place)
    row, deadline, purger = await place.row("a"), place.catalog._writer.deadline(), place.purger()
    assert isinstance(await purger.send(Flag(row, "one"), deadline), Found)
    assert await purger.send(Flag(row, "two"), deadline) == Refused()
    assert await purger.send(MarkPurged(row), deadline) == Refused()
    assert await purger.send(DeleteBlob(row.file.blob, "another"), deadline) == Refused()
    assert (await place.row("a")).purging == "one"
    assert await place.volume.read("a", version=1) == b"old"


async def test_a_flagged_version_is_no_source(place: Place) -> None:
    await overwritten(place)
    row, deadline = await place.row("a"), place.catalog._writer.deadline()
    exchange = place.catalog._writer._exchange(place.volume.info, deadline)
    op = Op("x", Change("v", FAR, "copy", Create(), "w", {}, "x/y"), "", 1, 0, Phase.SOURCE)
    assert await exchange.send(op, ReadSource(row.file)) == Found(row.file)
    await place.purger().send(Flag(row, "run"), deadline)
    assert not isinstance(await exchange.send(op, ReadSource(row.file)), Found)


async def test_a_container_that_is_gone_is_no_proof_of_anything(place: Place) -> None:
    await overwritten(place)
    purger = replace(place.purger(), content=MemoryContent())
    (result,) = await purger.purge("run", [Sharing([await place.row("a")], {})])
    assert isinstance(result, Unfinished)
    assert result.error.kind == "not-found.container"
    assert not (await place.row("a")).purged
    assert await place.volume.read("a", version=1) == b"old"


async def test_reading_a_live_version_whose_content_is_missing_is_still_damage(place: Place) -> None:
    await overwritten(place)
    row = await place.row("a")
    await place.world.content.delete(row.file.blob, when=Always())
    with pytest.raises(CatalogError) as caught:
        await place.volume.read("a", version=1)
    assert caught.value.kind == "integrity.missing"
    assert await place.purge("a") == Purged()


@pytest.mark.parametrize("fault", [*ONCE, Fault.HELD, Fault.ECHO], ids=lambda fault: fault.name.lower())
async def test_one_fault_is_invisible(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            place = await made(world)
            await place.volume.copy("a", FAR)
            await overwritten(place)
            await overwritten(place, FAR)
            wire.delay = 2
            assert await place.purge("a", FAR, wire=wire) == Purged(), wire
            await wire.settle()
            assert [(await place.row(path)).purged for path in ("a", FAR)] == [True, True], wire
            check(await world.look())
            assert {blob.size for blob in (await world.look()).blobs.values()} == {3}
            assert len((await world.look()).blobs) == 2


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER], ids=lambda fault: fault.name.lower())
async def test_one_who_is_killed_leaves_it_to_the_next(fault: Fault) -> None:
    async for wire in for_every_request(fault):
        async with World() as world:
            place = await made(world)
            await overwritten(place)
            await outlived(wire, place.purge("a", wire=wire))
            check(await world.look())
            assert await place.purge("a", run="later") == Purged(), wire


class Holding(FaultContent):
    """A store that answers a delete as Azure does, where something keeps the blob."""

    code = ""

    async def delete(self, name: str, *, when: Precondition) -> None:
        await self._wire.send("content.delete", lambda: self._refuse(name), NOTHING)

    async def _refuse(self, name: str) -> None:
        with translating("delete", name, write=True):
            raise RefusedAnswerError(409, self.code, "", signed_by_key=False)


async def purged_under(place: Place, code: str) -> tuple[PurgeResult, Wire]:
    await overwritten(place)
    wire = Wire()
    content = Holding(place.world.content, wire)
    content.code = code
    (result,) = await replace(place.purger(), content=content).purge("run", [Sharing([await place.row("a")], {})])
    return result, wire


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("BlobImmutableDueToPolicy", "policy or a legal hold"),
        ("BlobImmutableDueToLegalHold", "policy or a legal hold"),
        ("LeaseIdMissing", "has a lease"),
        ("SnapshotsPresent", "has snapshots"),
    ],
)
async def test_what_the_service_keeps_is_held_and_it_is_told_by_what(place: Place, code: str, why: str) -> None:
    result, wire = await purged_under(place, code)
    assert isinstance(result, Held)
    assert why in result.why
    assert wire.sent.count("content.delete") == 1


async def test_what_the_service_refuses_for_another_reason_is_not_asked_again(place: Place) -> None:
    result, wire = await purged_under(place, "SystemInUse")
    assert isinstance(result, Unfinished)
    assert "409 SystemInUse" in result.error.message
    assert wire.sent.count("content.delete") == 1
