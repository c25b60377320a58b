"""Events: what a callback hears, what the log says, and that neither can hurt or cost."""

import asyncio
import logging
import sys
from typing import Any

import pytest

from catalog import (
    AbortEvent,
    Catalog,
    CommitEvent,
    ConflictError,
    Create,
    Event,
    F,
    RecoveredEvent,
    RequestEvent,
    RetryEvent,
    Settings,
    ThrottledEvent,
    connect,
)
from catalog.errors import UnavailableError
from catalog.events import Listener
from catalog.observed import ObservedTable
from catalog.retry import Deadline, SystemClock, ToldClock
from catalog.sqlite_table import SqliteTable
from storage.memory import MemoryContent
from storage.observed import ObservedContent
from tests.faults.ports import Fault, FaultContent, FaultTable, VirtualClock, Wire


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if type(event) is kind]


async def test_a_put_tells_of_its_requests_and_its_commit() -> None:
    events: list[Event] = []
    async with connect("memory:", on_event=events.append) as cat:
        volume = await cat.create_volume("raw", shards=1)
        events.clear()
        file = await volume.put("a", b"12345")
    requests = of(events, RequestEvent)
    assert [(each.port, each.op, each.error) for each in requests] == [
        ("table", "get", ""), ("table", "submit", ""), ("content", "put", ""), ("table", "submit", "")
    ]  # fmt: skip
    (stored,) = (each for each in requests if each.port == "content")
    assert (stored.key, stored.count) == (file.blob, 5)
    (commit,) = of(events, CommitEvent)
    assert (commit.versions, commit.size) == (1, 5)
    assert commit.key.endswith("~00")
    assert all(each.duration_s >= 0 for each in events)
    assert of(events, RetryEvent) == of(events, AbortEvent) == []


async def test_reading_and_listing_count_what_moved() -> None:
    events: list[Event] = []
    async with connect("memory:", on_event=events.append) as cat:
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("a", b"12345")
        events.clear()
        await volume.read("a")
        assert [file.path async for file in volume.query(F.size > 1)] == ["a"]
    told = [(each.port, each.op, each.count) for each in of(events, RequestEvent)]
    assert told == [("table", "get", 1), ("content", "open", 5), ("table", "query", 1)]


async def test_an_error_of_a_request_is_told_by_its_kind() -> None:
    events: list[Event] = []
    async with connect("memory:", on_event=events.append) as cat:
        volume = await cat.create_volume("raw", shards=1)
        await volume.put("a", b"1")
        events.clear()
        with pytest.raises(ConflictError):
            await volume.put("a", b"2", mode=Create())
    assert [each.error for each in of(events, RequestEvent) if each.error] == ["conflict.refused"]
    assert [(each.op, each.key) for each in of(events, AbortEvent)] == [("put", "a")]
    wire = Wire(at=1, fault=Fault.REFUSED)
    table = ObservedTable(FaultTable(SqliteTable(":memory:"), wire), Listener(events.append))
    with pytest.raises(UnavailableError):
        await table.get("p", "r")
    assert of(events, RequestEvent)[-1].error == "unavailable.connect"


async def test_a_lost_answer_is_a_retry(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    table, content, wire = SqliteTable(":memory:"), MemoryContent(), Wire()
    cat = Catalog(
        FaultTable(table, wire), FaultContent(content, wire), clock=VirtualClock(), writer="t", on_event=events.append
    )
    volume = await cat.create_volume("raw", shards=1)
    wire.sent.clear()
    events.clear()
    wire.at, wire.fault = 2, Fault.LOST_AFTER
    with caplog.at_level(logging.WARNING, "catalog"):
        await volume.put("a", b"1")
    await cat.close()
    await table.close()
    assert wire.fired == 1
    (retry,) = of(events, RetryEvent)
    assert retry.error.startswith("outcome-unknown")
    assert retry.failures == 1
    assert "outcome-unknown" in caplog.text


async def test_recovery_tells_whom_it_aborted() -> None:
    events: list[Event] = []
    table, content = SqliteTable(":memory:"), MemoryContent()
    wire = Wire(fault=Fault.REFUSED, at=99)
    dying = Catalog(FaultTable(table, wire), FaultContent(content, wire), clock=VirtualClock(), writer="dying")
    volume = await dying.create_volume("raw", shards=1)
    wire.sent.clear()
    wire.at, wire.on = 3, True  # the intent is written, and then nothing answers
    with pytest.raises(UnavailableError):
        await volume.put("a", b"1")
    cat = Catalog(table, content, on_event=events.append)
    report = await cat.recover(patience_s=0)
    assert report.count("aborted") == 1
    (abort,), (recovered,) = of(events, AbortEvent), of(events, RecoveredEvent)
    assert (abort.op, abort.key, abort.writer) == ("put", "a", "dying")
    assert (recovered.key, recovered.volume, recovered.action, recovered.id) == ("a", "raw", "aborted", abort.id)
    await dying.close()
    await cat.close()


async def test_what_the_service_says_of_load_is_throttling(caplog: pytest.LogCaptureFixture) -> None:
    busy = UnavailableError("503 ServerBusy", op="get", key="p", kind="unavailable.throttled")
    events: list[Event] = []
    deadline = Deadline(ToldClock(VirtualClock(), Listener(events.append)), Settings())
    await deadline.pause(busy)
    (event,) = of(events, ThrottledEvent)
    assert (event.op, event.key, event.failures) == ("get", "p", 1)
    assert "slow down" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError(), GeneratorExit()], ids=repr)
async def test_a_callback_that_raises_hurts_no_write_and_is_logged_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def broken(event: Event) -> None:
        heard.append(event)
        raise error

    async with connect("memory:", on_event=broken) as cat:
        volume = await cat.create_volume("raw", shards=1)
        assert (await volume.put("a", b"1")).version == 1
        assert await volume.read("a") == b"1"
    assert len(heard) > 5
    assert [record.levelname for record in caplog.records if "on_event" in record.message] == ["ERROR"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_a_callback_may_be_interrupted(interrupt: type[BaseException]) -> None:
    def interrupted(_: Event) -> None:
        raise interrupt

    with pytest.raises(interrupt):
        Listener(interrupted)(Event(op="put", key="a"))


async def test_who_does_not_listen_pays_nothing() -> None:
    """Nothing stands between the catalog and its ports; a pause alone looks for a listener."""
    async with connect("memory:") as cat:
        assert type(cat._tools.lister.table) is SqliteTable
        assert type(cat._writer._content) is MemoryContent
        clock = cat._clock
        assert isinstance(clock, ToldClock)
        assert clock.now.__func__ is SystemClock.now  # type: ignore[attr-defined]
    async with connect("memory:", on_event=lambda _: None) as cat:
        assert type(cat._tools.lister.table) is ObservedTable
        assert type(cat._writer._content) is ObservedContent


async def test_each_package_logs_its_requests_to_its_own_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "catalog"), caplog.at_level(logging.DEBUG, "storage"):
        async with connect("memory:") as cat:
            await (await cat.create_volume("raw", shards=1)).put("a", b"secret content")
    assert {record.name for record in caplog.records} >= {"catalog", "storage"}
    assert any(record.message.startswith("put raw/.versions/a~") for record in caplog.records)
    assert "secret content" not in caplog.text


@pytest.mark.parametrize("name", ["catalog", "storage"])
def test_a_library_does_not_print(name: str) -> None:
    assert "catalog.events" in sys.modules
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger(name).handlers)
