"""The doctor finds every back end well, leaves nothing behind, and finds each broken promise."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from ulid import ULID

from catalog import AccessDeniedError, Catalog, DoctorReport, Volume, connect
from catalog.content_checks import PREFIX
from catalog.doctor import Doctor, _version
from catalog.keys import RowRange
from catalog.retry import Deadline, SystemClock
from catalog.safety import safety
from catalog.settings import Settings
from catalog.sqlite_table import SqliteTable
from catalog.table import Insert, Operation, RefusedError, Replace, Table, Written
from catalog.table_checks import PARTITION
from storage import Always, Blocks, ConflictError, ContentStore, Examination, Headers, IfAbsent, Precondition
from storage.memory import MemoryContent

CHECKS = [
    "versions", "capabilities",
    "table", "table writes", "clock", "table conditions", "table batches", "table listings",
    "content", "content writes", "content conditions", "content blocks", "content listings",
    "credential",
]  # fmt: skip


async def left(table: Table, content: ContentStore) -> list[str]:
    rows = [row.row async for page in table.query(PARTITION, RowRange("0", "~")) for row in page]
    return rows + [blob.name async for blob in content.list(PREFIX)]


async def test_every_back_end_is_well_and_stays_clean(cat: Catalog, volume: Volume) -> None:
    report = await cat.doctor()
    assert [(item.name, item.detail) for item in report.items if item.status != "ok"] == []
    assert [item.name for item in report.items][: len(CHECKS)] == CHECKS
    assert report.ok
    assert await left(cat._table, cat._content) == []
    assert (await cat.recover()).quiet


async def test_a_catalog_that_was_never_made_is_told_so(cat: Catalog) -> None:
    report = await cat.doctor()
    assert not report.ok
    assert [(item.name, item.hint) for item in report.items if item.status == "fail"] == [
        ("table", "blobcat init makes it"),
        ("content", "blobcat init makes it"),
    ]


async def test_what_a_killed_doctor_left_is_removed_when_it_is_old(cat: Catalog, volume: Volume) -> None:
    old, young = str(ULID.from_timestamp(time.time() - 7200)), str(ULID())
    for doctor in (old, young, "not a doctor"):
        await cat._table.submit(PARTITION, [Insert(f"{doctor}.a", {"number": 1})])
        await cat._content.put(f"{PREFIX}{doctor}/a", b"x", when=Always(), headers=Headers())
    assert (await cat.doctor()).ok
    kept = (young, "not a doctor")
    expected = [f"{each}.a" for each in kept] + [f"{PREFIX}{each}/a" for each in kept]
    assert sorted(await left(cat._table, cat._content)) == sorted(expected)


# --- Promises that are broken --------------------------------------------------------------------------------


class Table_(SqliteTable):  # noqa: N801 — the word is taken
    """A table with one fault."""

    fault = ""

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        if self.fault == "read-only":
            raise AccessDeniedError("no", op="submit")
        try:
            return await super().submit(partition, operations)
        except RefusedError:
            match self.fault, operations:
                case "inserts overwrite", [Insert(row, values)]:
                    return await super().submit(partition, [Replace(row, values)])
                case "etags are ignored", [Replace(row, values, _)]:
                    return await super().submit(partition, [Replace(row, values)])
                case "batches are split", [first, _]:
                    await super().submit(partition, [first])
            raise


class Content_(MemoryContent):  # noqa: N801 — the word is taken
    fault = ""

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        if self.fault == "read-only":
            raise AccessDeniedError("no", op="put")
        if self.fault == "bytes are bent" and isinstance(content, bytes):
            content = content[:-1]
        try:
            return await super().put(name, content, when=when, headers=headers)
        except ConflictError:
            if self.fault == ("if-none-match" if isinstance(when, IfAbsent) else "if-match"):
                return await super().put(name, content, when=Always(), headers=headers)
            raise


async def examined(
    table_fault: str = "", content_fault: str = "", now_s: Callable[[], float] = time.time
) -> tuple[DoctorReport, list[str]]:
    table, content = Table_(":memory:"), Content_()
    await table.create()
    await content.create()
    table.fault, content.fault = table_fault, content_fault
    report = await Doctor(table, content, lambda: Deadline(SystemClock(), Settings()), now_s=now_s).run()
    leftovers = await left(table, content)
    await table.close()
    await content.close()
    return report, leftovers


@pytest.mark.parametrize(
    ("faults", "check", "words"),
    [
        (("inserts overwrite", ""), "table conditions", "second insert"),
        (("etags are ignored", ""), "table conditions", "old etag"),
        (("batches are split", ""), "table batches", "has left a row"),
        (("", "bytes are bent"), "content writes", "not read as it was written"),
        (("", "if-none-match"), "content conditions", "If-None-Match"),
        (("", "if-match"), "content conditions", "If-Match"),
    ],
    ids=str,
)
async def test_a_broken_promise_is_found(faults: tuple[str, str], check: str, words: str) -> None:
    report, leftovers = await examined(*faults)
    assert [item.name for item in report.items if item.status == "fail"] == [check]
    (found,) = [item for item in report.items if item.name == check]
    assert words in found.detail
    assert "do not write" in found.hint
    assert leftovers == []


async def test_who_may_only_read_is_warned_and_no_more() -> None:
    report, leftovers = await examined("read-only", "read-only")
    assert report.ok
    assert [item.name for item in report.items if item.status == "warn"] == ["table writes", "content writes"]
    assert leftovers == []


@pytest.mark.parametrize(("ahead_s", "words"), [(3600, "1:00:00 ahead of"), (-400, "0:06:40 behind")])
async def test_a_wrong_clock_is_measured(ahead_s: float, words: str) -> None:
    report, _ = await examined(now_s=lambda: time.time() + ahead_s)
    (clock,) = [item for item in report.items if item.name == "clock"]
    assert (clock.status, words in clock.detail, report.ok) == ("warn", True, True)


GOOD = Examination("https://a.blob.core.windows.net", True, False, "token", 14)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({}, {}, "token"),
        ({"credential": "account key"}, {"credential"}, "whole account"),
        ({"credential": "account key", "loopback": True}, {}, "emulator"),
        ({"credential": "none"}, {"credential"}, "pass a credential"),
        ({"credential": "SAS"}, {}, "a SAS"),
        ({"encrypted": False}, {"transport"}, "plain http"),
        ({"soft_delete_days": 0}, {"soft delete"}, "enable-delete-retention"),
        ({"soft_delete_days": 2}, {"soft delete"}, "only 2 days"),
        ({"soft_delete_days": None}, {}, "cannot tell"),
        ({"hierarchical": False}, {}, "token"),
    ],
    ids=str,
)
def test_what_is_unsafe_is_warned_of(change: dict[str, Any], status: set[str], words: str) -> None:
    items = safety(replace(GOOD, **change))
    assert {item.name for item in items if item.status == "warn"} == set(status)
    assert words in " ".join(f"{item.detail} {item.hint}" for item in items)


def test_a_hierarchical_account_fails() -> None:
    (item,) = [item for item in safety(replace(GOOD, hierarchical=True)) if item.status == "fail"]
    assert (item.name, "not supported yet" in item.detail) == ("namespace", True)


async def test_where_nothing_answers_the_report_says_so() -> None:
    async with connect("azurite://127.0.0.1:1:1", settings=Settings(timeout_s=1, connect_timeout_s=0.1)) as cat:
        report = await cat.doctor()
    assert [(item.name, item.status) for item in report.items[2:]] == [("table", "fail"), ("content", "fail")]
    assert "nothing answers at 127.0.0.1:1" in report.items[2].detail


def test_a_package_that_is_not_there_is_named_all_the_same() -> None:
    assert _version("blobcat-has-no-such-package") == "(not installed)"
