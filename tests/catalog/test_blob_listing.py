"""A listing of blobs goes on where it broke, and rests on the order of names: another one is an error."""

from collections.abc import AsyncIterator, Sequence

import pytest

from catalog.blob_listing import listed
from catalog.errors import InvalidError, UnavailableError
from catalog.retry import Deadline
from catalog.settings import Settings
from storage import Blob, Headers
from storage.memory import MemoryContent
from tests.faults.ports import VirtualClock

HIERARCHICAL = ("a/b", "a-b", "a.b")  # "/" comes first there; here it comes behind "-" and "."


class Listing(MemoryContent):
    """A store that lists these names, and breaks off once behind so many of them."""

    def __init__(self, names: Sequence[str], breaks_at: int | None = None) -> None:
        super().__init__()
        self.names = names
        self.breaks_at = breaks_at

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        stop, self.breaks_at = self.breaks_at, None
        for at, name in enumerate(self.names):
            if at == stop:
                raise UnavailableError("the connection was lost", op="list")
            yield Blob(name, 1, "1", Headers())


async def names(store: Listing) -> list[str]:
    clock = VirtualClock()
    return [blob.name async for blob in listed(store, "", lambda: Deadline(clock, Settings()))]


@pytest.mark.parametrize("breaks_at", [None, 0, 1, 2, 3])
async def test_each_blob_comes_once_wherever_it_breaks(breaks_at: int | None) -> None:
    assert await names(Listing(["a", "b", "c"], breaks_at)) == ["a", "b", "c"]


@pytest.mark.parametrize("breaks_at", [None, 0, 1, 2])
async def test_another_order_is_an_error_and_no_blob_is_skipped(breaks_at: int | None) -> None:
    with pytest.raises(InvalidError, match="'a-b' behind 'a/b'") as caught:
        await names(Listing(HIERARCHICAL, breaks_at))
    assert caught.value.kind == "invalid.unordered"
