"""Headers changed without the bytes: what it asks of Azure, what a death half-way leaves, and who is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from azure.core.credentials import AzureNamedKeyCredential

from azurite.launch import ACCOUNT_KEY, ACCOUNT_NAME, Azurite
from storage.abilities import Touches
from storage.azure_blob import AzureBlobContent, blob_client
from storage.content import Always, ContentStore, Headers, IfMatch
from storage.errors import CatalogError, ConflictError, InvalidError, OutcomeUnknownError, UnavailableError
from storage.events import Event, RequestEvent
from storage.memory import MemoryContent
from storage.observed import ObservedContent
from tests.faults.plan import Plan
from tests.faults.transport import Fault, FaultTransport

OLD = Headers("text/plain", metadata={"op": "old"})
NEW = Headers("text/html", metadata={"op": "new"})


@asynccontextmanager
async def opened(azurite: Azurite, plan: Plan[Fault]) -> AsyncIterator[AzureBlobContent]:
    """A store whose requests fail as the plan says, counted from here; with a blob `a` of OLD headers."""
    endpoint = f"http://127.0.0.1:{azurite.blob_port}/{ACCOUNT_NAME}"
    credential = AzureNamedKeyCredential(ACCOUNT_NAME, ACCOUNT_KEY)
    store = AzureBlobContent(blob_client(endpoint, f"c{uuid4().hex}", credential, transport=FaultTransport(plan)))
    at, plan.at = plan.at, 0
    try:
        await store.create()
        await store.put("a", b"content", when=Always(), headers=OLD)
        plan.requests.clear()
        plan.at = at
        yield store
    finally:
        await store.close()


async def test_content_type_is_a_request_of_its_own_and_only_where_it_changes(azurite: Azurite) -> None:
    plan: Plan[Fault] = Plan()
    async with opened(azurite, plan) as store:
        etag = (await store.stat("a")).etag
        plan.requests.clear()
        etag = await store.touch("a", headers=replace(NEW, content_type="text/plain"), when=IfMatch(etag))
        assert len(plan.requests) == 2
        await store.touch("a", headers=NEW, when=IfMatch(etag))
        assert len(plan.requests) == 5


async def test_what_nobody_names_stays(azurite: Azurite) -> None:
    """Set Blob Properties clears what it is not told."""
    async with opened(azurite, Plan()) as store:
        blob = store.unwrap().get_blob_client("a")
        there = (await blob.get_blob_properties()).content_settings
        there.cache_control, there.content_encoding = "max-age=7", "gzip"
        there.content_language, there.content_disposition = "de", 'inline;  filename="a \t b"'
        await blob.set_http_headers(there)
        await store.touch("a", headers=NEW, when=IfMatch((await store.stat("a")).etag))
        found = (await blob.get_blob_properties()).content_settings
        there.content_type = "text/html"
        assert vars(found) == vars(there)


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE_RST, Fault.REFUSED, Fault.STATUS_503])
async def test_a_touch_that_failed_half_way_has_not_happened_and_can_be_completed(
    azurite: Azurite, fault: Fault
) -> None:
    plan = Plan(at=4, fault=fault)
    async with opened(azurite, plan) as store:
        etag = (await store.stat("a")).etag
        with pytest.raises(OutcomeUnknownError):
            await store.touch("a", headers=NEW, when=IfMatch(etag))
        assert plan.fired == 1
        half = await store.stat("a")
        assert (half.headers.content_type, half.headers.metadata) == ("text/html", {"op": "old"})
        with pytest.raises(ConflictError):
            await store.touch("a", headers=NEW, when=IfMatch(etag))
        last = await store.touch("a", headers=NEW, when=IfMatch(half.etag))
        assert await store.stat("a") == replace(half, etag=last, headers=replace(half.headers, metadata={"op": "new"}))


@pytest.mark.parametrize(
    ("at", "fault", "error"),
    [
        (2, Fault.LOST_BEFORE_RST, UnavailableError),
        (3, Fault.REFUSED, UnavailableError),
        (3, Fault.LOST_AFTER_RST, OutcomeUnknownError),
        (4, Fault.LOST_AFTER_RST, OutcomeUnknownError),
    ],
)
async def test_a_failure_says_what_is_known(azurite: Azurite, at: int, fault: Fault, error: type[CatalogError]) -> None:
    plan = Plan(at=at, fault=fault)
    async with opened(azurite, plan) as store:
        before = await store.stat("a")
        with pytest.raises(CatalogError) as caught:
            await store.touch("a", headers=NEW, when=IfMatch(before.etag))
        assert (plan.fired, type(caught.value)) == (1, error)
        assert (await store.stat("a") == before) is (error is UnavailableError)


async def test_a_touch_is_told_as_any_request() -> None:
    heard: list[Event] = []
    store = ObservedContent(MemoryContent(), heard.append)
    await store.create()
    etag = await store.put("a", b"content", when=Always(), headers=OLD)
    await store.touch("a", headers=NEW, when=IfMatch(etag))
    asked = [event for event in heard if isinstance(event, RequestEvent)]
    assert [(event.op, event.key) for event in asked] == [("create", ""), ("put", "a"), ("touch", "a")]


async def test_a_store_that_cannot_says_so() -> None:
    def deaf(_event: object) -> None:
        raise AssertionError

    class Untouchable(MemoryContent):
        touch = None  # type: ignore[assignment]

    store: ContentStore = Untouchable()
    assert not isinstance(store, Touches)
    with pytest.raises(InvalidError, match="has no way to touch"):
        await ObservedContent(store, deaf).touch("a", headers=NEW, when=IfMatch("0x1"))
