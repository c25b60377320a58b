"""Ingest on Azurite: how many requests it may take, and that what it leaves is what the model says."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from catalog import Catalog, Event, F, FileVersion, Settings
from catalog.backends import backend
from catalog.events import RetryEvent
from catalog.locations import parse_location
from tests.faults.ports import FaultContent, FaultTable, Wire

RUNS = 3
FILES = 2_000
SHARDS = 16


@dataclass(slots=True)
class Counting(Wire):
    """A wire that does nothing but count."""

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.sent)


def make_files(root: Path) -> dict[str, bytes]:
    """The model: what is under each path."""
    names = (f"d{number % 37:02d}/f{number:04d}.{'txt' if number % 3 else 'bin'}" for number in range(FILES))
    model = {name: b"%d" % number for number, name in enumerate(names)}
    for path, content in model.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    return model


async def test_two_thousand_files_take_no_more_requests_than_they_must(azurite: Azurite, tmp_path: Path) -> None:
    """Where Azurite loses an answer there are more, and another run tells; one that never answers is not to be had."""
    model = make_files(tmp_path)
    for _ in range(RUNS):
        if await undisturbed(azurite, tmp_path, model):
            return
    pytest.fail(f"Azurite lost answers in each of {RUNS} runs")


async def undisturbed(azurite: Azurite, folder: Path, model: dict[str, bytes]) -> bool:
    """Ingest, and look at what it took; False where an answer was lost meanwhile."""
    wire, events = Counting(), list[Event]()
    location = parse_location(f"{azurite.url}/ingest?table=t{uuid4().hex}")
    ports = backend(location, None, Settings())
    catalog = Catalog(FaultTable(ports.table, wire), FaultContent(ports.content, wire), on_event=events.append)
    try:
        volume = await catalog.create_volume("v", shards=SHARDS, root=f"{uuid4().hex}/")
        wire.sent.clear()
        report = await volume.ingest(folder)
        assert (report.written, report.failed) == (FILES, ())
        if any(isinstance(event, RetryEvent) for event in events):
            return False
        assert wire.counts["content.put"] <= FILES
        assert wire.counts["table.submit"] <= FILES / 99 + FILES / 33 + 3 * SHARDS
        assert set(wire.counts) <= {"content.put", "table.submit", "table.query"}

        listed = [entry async for entry in volume.list(recursive=True)]
        assert [entry.path for entry in listed] == sorted(model)
        assert all(isinstance(entry, FileVersion) and entry.size == len(model[entry.path]) for entry in listed)
        where = (F.size == 4) & (F.content_type == "text/plain")
        found = [file.path async for file in volume.query(where, prefix="d1")]
        texts = [path for path, content in model.items() if len(content) == 4 and path.endswith("txt")]
        assert found == sorted(path for path in texts if path.startswith("d1"))

        wire.sent.clear()
        again = await volume.ingest(folder)
        assert (again.written, again.unchanged) == (0, FILES)
        assert set(wire.counts) == {"table.query"}
        assert wire.counts["table.query"] == SHARDS
        return True
    finally:
        await catalog.close()
        await ports.table.close()
        await ports.content.close()
