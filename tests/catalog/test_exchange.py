"""What one request of the protocol asks of the services: its conditions, each of which somebody's data rests on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from catalog import Overwrite, Volume
from catalog.changes import Change
from catalog.entities import Head, IntentRow
from catalog.errors import ConflictError, NotFoundError, UnavailableError
from catalog.exchange import Exchange, partition_of
from catalog.keys import gate_row
from catalog.messages import (
    ClaimSource,
    Commit,
    DeleteContent,
    Failed,
    Foreign,
    Found,
    InsertIntent,
    PutContent,
    ReadHead,
    Refused,
    StatContent,
    Stored,
)
from catalog.op import Op, Phase, intent_of, source_intent_of, version_of
from catalog.retry import Deadline
from catalog.rows import Entity
from catalog.sqlite_table import SqliteTable
from catalog.table import Delete
from catalog.uploads import Ready, facts_of, with_facts
from storage import Digests, Headers, IfAbsent, IfMatch
from tests.faults.scenarios import FAR
from tests.faults.world import World
from tests.harness.invariants import check

OURS, THEIRS = "0" * 25 + "A", "0" * 25 + "B"


@dataclass(frozen=True, slots=True)
class Place:
    """A world with one volume of two shards in it, and the requests of somebody's op."""

    world: World
    volume: Volume
    exchange: Exchange

    async def head(self, path: str) -> Head:
        """The head as it is now."""
        answer = await self.exchange.send(an_op(path), ReadHead(path))
        assert isinstance(answer, Found)
        assert isinstance(answer.row, Head)
        return answer.row

    async def begun(self, op: Op) -> Op:
        """The op with its intent in place."""
        answer = await self.exchange.send(op, InsertIntent(intent_of(op)))
        assert isinstance(answer, Found)
        assert isinstance(answer.row, IntentRow)
        return op._replace(intent=answer.row)

    async def store(self, name: str, content: bytes, op: str) -> str:
        """Put a blob that says that it is an op's; its etag."""
        headers = with_facts(Headers("x/y", None, {"op": op}), facts_of(Digests.of(content)))
        return await self.world.content.put(name, content, when=IfAbsent(), headers=headers)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with World() as world:
        catalog = world.client()
        volume = await catalog.create_volume("v", shards=2)
        yield Place(world, volume, catalog._writer._exchange(volume.info, catalog._writer.deadline()))


def an_op(path: str, *, kind: str = "put", op: str = OURS, origin: str = "") -> Op:
    change = Change("v", path, kind, Overwrite(), "w", {}, "x/y", origin=origin)  # type: ignore[arg-type]
    facts = facts_of(Digests.of(b"new"))
    return Op(
        op, change, f"v/.versions/{path}~{op}", 1, 0, Phase.COMMIT, facts=facts, origin=origin, apart=bool(origin)
    )


def a_claim(source: Head) -> ClaimSource:
    op = an_op(FAR, kind="move", op=THEIRS, origin="a")._replace(source=source)
    return ClaimSource(source, source_intent_of(op))


async def test_a_head_that_was_claimed_meanwhile_refuses_the_commit(place: Place) -> None:
    """Its version is the same still, so nothing but its etag tells."""
    await place.volume.put("a", b"old")
    base = await place.head("a")
    op = (await place.begun(an_op("a")))._replace(base=base)
    assert op.intent
    await place.store(op.blob, b"new", OURS)
    assert isinstance(await place.exchange.send(op, a_claim(base)), Found)
    assert await place.exchange.send(op, Commit(op.intent.etag, base, version_of(op))) == Refused()
    assert (await place.head("a")).claim


async def test_a_source_that_has_moved_refuses_its_claim(place: Place) -> None:
    await place.volume.put("a", b"old")
    base = await place.head("a")
    await place.volume.put("a", b"newer")
    assert await place.exchange.send(an_op("a"), a_claim(base)) == Refused()
    check(await place.world.look())


async def test_content_is_deleted_only_as_it_was_looked_at(place: Place) -> None:
    op = an_op("a")
    etag = await place.store(op.blob, b"one", OURS)
    assert isinstance(await place.exchange.send(op, StatContent()), Stored)
    headers = Headers("x/y", None, {"op": OURS})
    await place.world.content.put(op.blob, b"two", when=IfMatch(etag), headers=headers)
    assert await place.exchange.send(op, DeleteContent(etag)) == Refused()
    assert (await place.world.content.stat(op.blob)).size == 3


async def test_a_blob_of_this_op_with_other_bytes_is_foreign(place: Place) -> None:
    op, facts = an_op("a"), facts_of(Digests.of(b"new"))
    writing = replace(place.exchange, payload=Ready(None, b"new", facts))  # type: ignore[arg-type]
    await place.store(op.blob, b"old", OURS)
    assert isinstance(await place.exchange.send(op, StatContent()), Stored), "who does not know the content takes it"
    assert await writing.send(op, StatContent()) == Foreign()


async def test_recovery_spares_content_of_another_op(place: Place) -> None:
    op = await place.begun(an_op("a"))
    await place.store(op.blob, b"theirs", THEIRS)
    report = await place.world.client().recover(patience_s=0)
    assert [item.action for item in report.items] == ["aborted"]
    assert (await place.world.content.stat(op.blob)).size == len(b"theirs")


@pytest.mark.parametrize("request_", ["W1", "T2"])
async def test_without_the_gate_of_its_settings_nobody_gets_in(place: Place, request_: str) -> None:
    """A writer with settings that are no longer in force reads them again."""
    await place.volume.put("a", b"old")
    base = await place.head("a")
    await place.world.table.submit(partition_of(place.volume.info, "a"), [Delete(gate_row(1))])
    asked = InsertIntent(intent_of(an_op("a"))) if request_ == "W1" else a_claim(base)
    assert await place.exchange.send(an_op("a"), asked) == Refused()
    assert not (await place.world.look()).of("i")


class Conflicting(SqliteTable):
    """A table that answers a read as no service should: with a conflict."""

    async def get(self, partition: str, row: str) -> Entity | None:
        """See Table."""
        raise ConflictError("409", op="get", key=row)


async def test_a_read_that_is_answered_by_a_conflict_is_no_refusal(place: Place) -> None:
    """A service that moves house may say 409 to anything. It is no word about the head."""
    exchange = replace(place.exchange, table=Conflicting(":memory:"))
    answer = await exchange.send(an_op("a"), ReadHead("a"))
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, UnavailableError)
    await exchange.table.close()


class Homeless:
    """Content whose container was removed."""

    facts = None

    async def put(self, blob: str, headers: Headers, deadline: Deadline, late_at: float) -> str:
        """See Payload."""
        raise NotFoundError("404", op="put", key=blob, kind="not-found.container")


async def test_content_without_a_container_is_a_failure_and_not_an_unknown_outcome(place: Place) -> None:
    writing = replace(place.exchange, payload=Homeless())  # type: ignore[arg-type]
    answer = await writing.send(an_op("a"), PutContent())
    assert isinstance(answer, Failed)
    assert answer.error.kind == "not-found.container"
