"""Every public call while all fails, all loggers at debug: errors, reports, events and logs tell no secret (S15).

`test_canary` asks the ports, where each kind of failure is translated; here the question is what is made of it above.
"""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from catalog import Catalog, CatalogError, Event, F, Item, Settings, Volume, connect
from catalog.entities import FileVersion, VolumeInfo
from catalog.reader import check_span
from catalog.token import Token
from tests.credentials.test_canary import CANARIES, SECRETS, all_of, logs, sung
from tests.credentials.test_canary import FAULTS as ANSWERED
from tests.harness.invariants import s15_no_secret_leaves
from tests.storage.servers import Answer, serving

__all__ = ["logs"]  # a fixture

Verb = Callable[[Catalog, Volume, Path], Awaitable[object]]
FAULTS = {**ANSWERED, "silence": Answer("", "hang")}
CASES = [*zip(ANSWERED, cycle(SECRETS), strict=False), ("silence", "key"), ("silence", "sas")]
"""The kinds of secrets take turns; where nothing is answered it is a time limit that speaks, so both."""
EPOCH = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
DUMP = Path(__file__).parents[1] / "data" / "dump-1.jsonl"
INFO = VolumeInfo("v", EPOCH, "immutable", 1, "v/", 1, datetime(2026, 1, 1, tzinfo=UTC), default=True)
HASTY = Settings(timeout_s=0.1, request_timeout_s=0.1, connect_timeout_s=0.1, one_shot_bytes=8, block_bytes=8)


async def taken(entries: AsyncIterable[object]) -> object:
    return [entry async for entry in entries]


async def _put_many(_: Catalog, volume: Volume, __: Path) -> object:
    async def items() -> AsyncIterator[Item]:
        for name in "ab":
            yield Item(name, b"x")

    return await taken(volume.put_many(items()))


async def _opened(_: Catalog, volume: Volume, __: Path) -> object:
    async with volume.open("a") as reader:
        return await reader.read()


async def _opened_seekable(_: Catalog, volume: Volume, __: Path) -> object:
    async with volume.open_seekable("a") as reader:
        return await reader.read(1)


async def _read_of_a_version(_: Catalog, volume: Volume, __: Path) -> object:
    """The row was read before everything failed."""
    when = INFO.created
    file = FileVersion(
        "v", "a", 1, "put", EPOCH, 3, "sha256:0", None, "x/y", {}, when, None, "w", None, "", "v/b", "0x1", None
    )
    async with volume._tools.readers.open(file, check_span(0, None)) as reader:
        return await reader.read()


def _journal(folder: Path) -> Path:
    path = folder.parent / "journal"
    path.write_text('{"blobcat": "journal", "format": 1, "plan": "p", "volume": "w", "epoch": "e"}\n')
    return path


VERBS: Mapping[str, Verb] = {
    "Volume.put": lambda _, volume, __: volume.put("a", b"x"),
    "Volume.put, staged": lambda _, volume, __: volume.put("a", b"x" * 100),
    "Volume.put_many": _put_many,
    "Volume.delete": lambda _, volume, __: volume.delete("a"),
    "Volume.move": lambda _, volume, __: volume.move("a", "b"),
    "Volume.copy": lambda _, volume, __: volume.copy("a", "b"),
    "Volume.restore": lambda _, volume, __: volume.restore("a", version=1),
    "Volume.set_metadata": lambda _, volume, __: volume.set_metadata("a", {"k": 1}),
    "Volume.ingest": lambda _, volume, folder: volume.ingest(folder),
    "Volume.read": lambda _, volume, __: volume.read("a"),
    "Volume.stat": lambda _, volume, __: volume.stat("a"),
    "Volume.open": _opened,
    "Volume.open, of a version": _read_of_a_version,
    "Volume.open_seekable": _opened_seekable,
    "Volume.history": lambda _, volume, __: taken(volume.history("a")),
    "Volume.list": lambda _, volume, __: taken(volume.list()),
    "Volume.glob": lambda _, volume, __: taken(volume.glob("*")),
    "Volume.folders": lambda _, volume, __: taken(volume.folders()),
    "Volume.query": lambda _, volume, __: taken(volume.query(F.size > 1)),
    "Volume.query, in SQL": lambda _, volume, __: volume.query(F.size > 1).sql("from files"),
    "Volume.query, explained": lambda _, volume, __: volume.query(F.size > 1).explain(),
    "Volume.create_index": lambda _, volume, __: volume.create_index("size"),
    "Volume.drop_index": lambda _, volume, __: volume.drop_index("size"),
    "Volume.indexes": lambda _, volume, __: volume.indexes(),
    "Volume.changes": lambda _, volume, __: taken(volume.changes()),
    "Volume.set_change_log": lambda _, volume, __: volume.set_change_log(True),
    "Volume.list, as of": lambda _, volume, __: taken(volume.list(as_of=INFO.created)),
    "Volume.count": lambda _, volume, __: volume.count(by=["path"]),
    "Volume.purge": lambda _, volume, __: volume.purge(older_than=timedelta()),
    "Volume.verify": lambda _, volume, __: volume.verify(),
    "Volume.sign": lambda _, volume, __: volume.sign("a", expires_in=60),
    "Volume.download": lambda _, volume, folder: volume.download("a", folder / "a"),
    "Volume.download_tree": lambda _, volume, folder: volume.download_tree("", folder),
    "Volume.adopt": lambda _, volume, __: volume.adopt("x/"),
    "Catalog.sql": lambda cat, _, __: cat.sql("select count(*) from files", volume="w"),
    "Catalog.rebuild": lambda cat, _, __: cat.rebuild("w"),
    "Catalog.reconcile": lambda cat, _, __: cat.reconcile("w"),
    "Catalog.undo": lambda cat, _, folder: cat.undo(_journal(folder)),
    "Catalog.dump": lambda cat, _, __: taken(cat.dump("w")),
    "Catalog.load": lambda cat, _, __: cat.load(DUMP),
    "Catalog.create_volume": lambda cat, _, __: cat.create_volume("w"),
    "Catalog.volume": lambda cat, _, __: cat.volume("w"),
    "Catalog.volumes": lambda cat, _, __: taken(cat.volumes()),
    "Catalog.delete_volume": lambda cat, _, __: cat.delete_volume("w"),
    "Catalog.set_default_volume": lambda cat, _, __: cat.set_default_volume("w"),
    "Catalog.recover": lambda cat, _, __: cat.recover(patience_s=0),
    "Catalog.resolve": lambda cat, _, __: cat.resolve(str(Token("v", EPOCH, "a", EPOCH, 0, "put"))),
}
ELSEWHERE = {"Catalog.close", "Catalog.unwrap", "Catalog.doctor", "Catalog.plan", "Catalog.apply"}
"""They send no request, or say what they found in a report; `apply` sends what `undo` does before it goes on."""


def errors_in(thing: object) -> list[BaseException]:
    """The errors that a report holds, at any depth."""
    if isinstance(thing, BaseException):
        return [thing]
    inside: list[object] = []
    if is_dataclass(thing) and not isinstance(thing, type):
        inside = [getattr(thing, each.name) for each in fields(thing)]
    elif isinstance(thing, list | tuple):
        inside = list(thing)
    return [error for each in inside for error in errors_in(each)]


@pytest.mark.parametrize(("fault", "secret_of"), CASES)
async def test_no_verb_sings(fault: str, secret_of: str, tmp_path: Path, logs: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(b"x" * 20)
    events: list[Event] = []
    secret = SECRETS[secret_of]
    async with serving(FAULTS[fault]) as server:
        here = f"http://127.0.0.1:{server.port}/acc"
        url = f"BlobEndpoint={here};TableEndpoint={here};AccountName=acc"
        async with connect(
            url, credential=secret, container="box", table="box", settings=HASTY, on_event=events.append
        ) as cat:
            volume = Volume(INFO, cat._tools)
            for verb in VERBS.values():

                async def call(cat: Catalog, verb: Verb = verb) -> object:
                    said = await verb(cat, volume, tmp_path / "tree")
                    return [said, repr(said), *(text for error in errors_in(said) for text in all_of(error))]

                s15_no_secret_leaves([*await sung(cat, logs, call), repr(volume), repr(events)], CANARIES)
                logs.clear()
    assert len(server.requests) > len(VERBS) / 2, "most of them asked nothing"  # a busy machine may be late for some
    assert events


def test_every_verb_is_here() -> None:
    offered = {
        f"{kind.__name__}.{name}"
        for kind in (Catalog, Volume)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert offered - ELSEWHERE == {name.partition(",")[0] for name in VERBS}


def test_a_canary_in_a_report_is_found() -> None:
    """The net has no hole where reports keep their errors."""
    report = [(1, CatalogError(f"sig={CANARIES[2]}"))]
    with pytest.raises(AssertionError):
        s15_no_secret_leaves([text for error in errors_in(report) for text in all_of(error)], CANARIES)
