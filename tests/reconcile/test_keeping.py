"""What cannot be read is kept before it is replaced, or it is left alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.reconcile.blob_changes import BlobChanges
from catalog.reconcile.row_changes import Changed
from catalog.retry import Deadline, SystemClock
from catalog.settings import Settings
from storage import AccessDeniedError, ContentStore, Headers, IfAbsent, IfMatch, InvalidError
from storage.local import LocalContent
from storage.memory import MemoryContent


def changes(store: ContentStore) -> BlobChanges:
    nobody: Any = None
    writer: Any = SimpleNamespace(deadline=lambda: Deadline(SystemClock(), Settings()))
    return BlobChanges(nobody, store, writer)


async def test_a_blob_that_was_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    store = LocalContent(tmp_path)
    await store.create()
    await store.put("a", b"one", when=IfAbsent(), headers=Headers())
    blob = await store.stat("a")
    etag = await store.touch("a", headers=Headers("x/y"), when=IfMatch(blob.etag))
    with pytest.raises(Changed, match="changed meanwhile"):
        await changes(store).keep(blob)
    await store.delete("a", when=IfMatch(etag))
    with pytest.raises(Changed, match="changed meanwhile"):
        await changes(store).keep(blob)
    await store.close()


async def test_where_nothing_can_be_kept_a_person_is_asked_to_look() -> None:
    store = MemoryContent()
    await store.create()
    await store.put("a", b"one", when=IfAbsent(), headers=Headers())
    with pytest.raises(Changed, match="see what is there"):
        await changes(store).keep(await store.stat("a"))


class Refusing(MemoryContent):
    """A disk that is somebody else's."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def keep(self, name: str, *, when: object) -> str:
        raise self.error


@pytest.mark.parametrize("error", [AccessDeniedError("no"), InvalidError("no", kind="invalid.request")])
async def test_what_else_is_wrong_is_told(error: Exception) -> None:
    store = Refusing(error)
    await store.create()
    await store.put("a", b"one", when=IfAbsent(), headers=Headers())
    with pytest.raises(type(error)):
        await changes(store).keep(await store.stat("a"))
