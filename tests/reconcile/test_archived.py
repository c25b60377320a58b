"""Content that the service keeps, and gives to nobody for now: it is archived, not damaged, and nobody says it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from catalog import AccessDeniedError, Brake, Catalog
from catalog.cli.commands.verify import summary
from catalog.cli.hints import hint_of
from storage import WHOLE, Always, ContentStore, Opened, Precondition, Span
from storage.azure_errors import translating
from storage.azure_sender import RefusedAnswerError
from tests.faults.ports import FaultContent, FaultTable, VirtualClock, Wire
from tests.reconcile.scene import Scene


class ArchivedContent(FaultContent):
    """A store that answers as Azure does, where blobs are asked for whose bytes are archived."""

    def __init__(self, content: ContentStore, wire: Wire) -> None:
        super().__init__(content, wire)
        self.archived: set[str] = set()

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        if name in self.archived:
            with translating("open", name, write=False):
                raise RefusedAnswerError(409, "BlobArchived", "", signed_by_key=False)
        async with super().open(name, span=span, when=when) as opened:
            yield opened


@asynccontextmanager
async def archiving(scene: Scene, *blobs: str) -> AsyncIterator[Catalog]:
    wire = Wire()
    content = ArchivedContent(scene.content, wire)
    content.archived.update(blobs)
    client = Catalog(FaultTable(scene.table, wire), content, writer="somebody", clock=VirtualClock())
    yield client
    await client.close()


async def test_a_read_says_that_it_is_archived_and_not_that_it_was_changed(small: Scene) -> None:
    file = await small.volume.put("a", b"content")
    async with archiving(small, file.blob) as client:
        volume = await client.volume("raw")
        with pytest.raises(AccessDeniedError, match="rehydrate it first") as caught:
            await volume.read("a")
        assert caught.value.kind == "access-denied.archived"
        assert "nothing is damaged" in hint_of(caught.value)
        assert (await volume.stat("a")).size == file.size


async def test_verify_names_it_beside_what_is_damaged(small: Scene) -> None:
    archived, gone = [(await small.volume.put(path, path.encode())).blob for path in "ab"]
    await small.volume.put("c", b"whole")
    await small.content.delete(gone, when=Always())
    async with archiving(small, archived) as client:
        report = await (await client.volume("raw")).verify()
    assert report.checked == 3
    assert [found.error.kind for found in report.findings] == ["access-denied.archived", "integrity.missing"]
    assert summary(report.findings) == "1 damaged or missing, 1 not read"
    assert summary(report.findings[:1]) == "1 not read"


async def test_a_reconcile_that_must_read_it_says_so_at_once(small: Scene) -> None:
    file = await small.volume.put("a", b"content")
    async with archiving(small, file.blob) as client:
        assert (await client.reconcile("raw", depth="headers")).clean
        with pytest.raises(AccessDeniedError, match="rehydrate it first") as caught:
            await client.reconcile("raw", depth="content")
    assert caught.value.key == file.blob


async def test_an_archived_twin_heals_nothing(small: Scene, tmp_path: Path) -> None:
    """Another one does; and where there is none, that is said of the one blob, and the run goes on."""
    lost, *twins = [(await small.volume.put(name, b"same")).blob for name in "abc"]
    await small.content.delete(lost, when=Always())
    async with archiving(small, *twins) as client:
        (found,) = (await client.reconcile("raw")).differences()
        assert (found.key, found.state, found.action) == (lost, "missing", "none")
    async with archiving(small, twins[0]) as client:
        plan = await client.reconcile("raw")
        (found,) = plan.differences()
        assert (found.action, found.twin) == ("heal", twins[1])
    async with archiving(small, *twins) as client:
        report = await client.apply(plan.save(tmp_path / "plan"), journal=tmp_path / "journal", brake=Brake(fraction=1))
    assert (report.ok, dict(report.done)) == (False, {})
    assert lost not in (await small.look()).blobs
