"""What every ContentStore guarantees, on each of them: `storage/content.py`, line by line."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from hashlib import md5

import pytest

from storage.abilities import Touches
from storage.content import (
    WHOLE,
    Always,
    Blob,
    Blocks,
    ContentStore,
    Discards,
    Headers,
    IfAbsent,
    IfMatch,
    Precondition,
    Span,
)
from storage.errors import CatalogError, ConflictError, InvalidError, NotFoundError, TooLargeError
from tests.contracts.content_factories import CONTENTS, Connect

PLAIN = Headers()
ODD_NAMES = [
    "a b",
    " led and trailed by spaces ",
    "a+b",
    "a&b=c;d,e",
    "a#b",
    "what?",
    "100%",
    "%2F",
    "%2e%2e",
    "%",
    "'single' and \"double\"",
    "(a)[b]{c}<d>",
    "a|b^c`d~e",
    "@:$!*",
    "日本語/中文.txt",
    "שלום",
    "e\u0301 is two, é is one",
    "😀/\U0001f680",
    "\uff21\ue000",
    "A",
    "a",
    "a/b",
    "a.b/..c/...d",
    "x" * 300 + "/" + "y" * 300,
    "/".join("s" * 254),
    "日" * 1024,
]
BAD_NAMES: list[object] = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/./b",
    "a.",
    "a./b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "a\ud800b",
    "a\uffffb",
    "x" * 1025,
    "😀" * 513,
    "/".join("s" * 255),
    None,
    7,
    b"bytes",
]


@pytest.fixture(params=CONTENTS)
def connect(request: pytest.FixtureRequest) -> Connect:
    return CONTENTS[request.param](request)


@pytest.fixture
async def store(connect: Connect) -> AsyncIterator[ContentStore]:
    async with AsyncExitStack() as stack:
        store = connect()
        stack.push_async_callback(store.close)
        await store.create()
        yield store


async def put(store: ContentStore, name: str, content: bytes | Blocks = b"", when: Precondition = Always()) -> str:
    return await store.put(name, content, when=when, headers=PLAIN)


async def read(store: ContentStore, name: str, span: Span = WHOLE, when: IfMatch | Always = Always()) -> bytes:
    async with store.open(name, span=span, when=when) as opened:
        return b"".join([chunk async for chunk in opened.chunks])


async def names(store: ContentStore, prefix: str = "") -> list[str]:
    return [blob.name async for blob in store.list(prefix)]


async def etag_of(store: ContentStore, name: str) -> str | None:
    try:
        return (await store.stat(name)).etag
    except NotFoundError:
        return None


# Bytes, as they were given.


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
async def test_content_of_any_size_comes_back(store: ContentStore, size: int) -> None:
    content = bytes(index % 251 for index in range(1000)) * (size // 1000 + 1)
    await put(store, "a", content[:size])
    assert await read(store, "a") == content[:size]
    assert (await store.stat("a")).size == size


async def test_open_stat_and_list_describe_a_blob_alike(store: ContentStore) -> None:
    headers = Headers("text/csv; charset=utf-8", md5(b"x,y", usedforsecurity=False).digest(), {"owner": "ops"})
    etag = await store.put("a.csv", b"x,y", when=IfAbsent(), headers=headers)
    described = Blob("a.csv", 3, etag, headers)
    async with store.open("a.csv") as opened:
        assert opened.blob == described
    async with store.open("a.csv", span=Span(1, 1)) as opened:
        assert opened.blob == described
    assert await store.stat("a.csv") == described
    assert [blob async for blob in store.list()] == [described]


@pytest.mark.parametrize("content_type", ["text/csv;  a=b", 'a/b; c=" \\"  d"', "no type at all"])
async def test_a_content_type_is_kept_as_it_is_written(store: ContentStore, content_type: str) -> None:
    await store.put("a", b"x", when=IfAbsent(), headers=Headers(content_type))
    assert (await store.stat("a")).headers.content_type == content_type
    assert [blob.headers.content_type async for blob in store.list()] == [content_type]


async def test_an_etag_is_bare(store: ContentStore) -> None:
    etag = await put(store, "a")
    assert etag
    assert '"' not in etag


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        " spaces ",
        "a  b \t c\t",
        "100% and %41",
        "naïve Ω 日本語 😀",
        "a\nb\0c",
        "\ud800",
        '"<>&\\,;=',
        "%",
    ],
)
async def test_metadata_values_are_any_text(store: ContentStore, text: str) -> None:
    await store.put("a", b"", when=Always(), headers=Headers(metadata={"key": text, "other_1": "x"}))
    assert (await store.stat("a")).headers.metadata == {"key": text, "other_1": "x"}
    assert [blob.headers.metadata async for blob in store.list()] == [{"key": text, "other_1": "x"}]


async def test_a_put_replaces_headers_and_content_as_one(store: ContentStore) -> None:
    await store.put("a", b"one", when=Always(), headers=Headers("text/plain", None, {"old": "1"}))
    await store.put("a", b"two!", when=Always(), headers=Headers("text/html", None, {"new": "2"}))
    blob = await store.stat("a")
    assert (blob.size, blob.headers.content_type, blob.headers.metadata) == (4, "text/html", {"new": "2"})


# Spans.


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(), b"0123456789"),
        (Span(0, 10), b"0123456789"),
        (Span(0, 1), b"0"),
        (Span(9, 1), b"9"),
        (Span(3, 4), b"3456"),
        (Span(3), b"3456789"),
        (Span(8, 100), b"89"),
        (Span(0, 0), b""),
        (Span(5, 0), b""),
        (Span(10), b""),
        (Span(10, 5), b""),
        (Span(1000, 5), b""),
    ],
)
async def test_a_span_is_a_slice(store: ContentStore, span: Span, expected: bytes) -> None:
    etag = await put(store, "a", b"0123456789")
    async with store.open("a", span=span, when=IfMatch(etag)) as opened:
        assert b"".join([chunk async for chunk in opened.chunks]) == expected
        assert (opened.blob.size, opened.blob.etag) == (10, etag)


@pytest.mark.parametrize("span", [Span(), Span(0, 1), Span(0, 0), Span(7), Span(7, 7)])
async def test_every_span_of_an_empty_blob_is_empty(store: ContentStore, span: Span) -> None:
    await put(store, "a")
    assert await read(store, "a", span) == b""


@pytest.mark.parametrize("span", [Span(-1), Span(0, -1)])
async def test_a_span_before_the_beginning_is_invalid(store: ContentStore, span: Span) -> None:
    await put(store, "a", b"x")
    with pytest.raises(InvalidError):
        await read(store, "a", span)


# Preconditions.


async def test_if_absent_writes_only_where_nothing_is(store: ContentStore) -> None:
    await put(store, "a", b"first", IfAbsent())
    with pytest.raises(ConflictError) as caught:
        await put(store, "a", b"second", IfAbsent())
    assert caught.value.kind == "conflict.exists"
    assert await read(store, "a") == b"first"


async def test_if_match_writes_only_over_its_etag(store: ContentStore) -> None:
    first = await put(store, "a", b"first")
    second = await put(store, "a", b"second", IfMatch(first))
    with pytest.raises(ConflictError) as caught:
        await put(store, "a", b"third", IfMatch(first))
    assert caught.value.kind == "conflict.etag"
    assert await read(store, "a", when=IfMatch(second)) == b"second"


async def test_if_match_never_creates(store: ContentStore) -> None:
    with pytest.raises(ConflictError):
        await put(store, "a", b"", IfMatch("0x1"))
    assert await names(store) == []


async def test_a_read_or_a_delete_of_another_etag_is_a_conflict(store: ContentStore) -> None:
    old = await put(store, "a", b"old")
    await put(store, "a", b"new")
    with pytest.raises(ConflictError):
        await read(store, "a", when=IfMatch(old))
    with pytest.raises(ConflictError):
        await read(store, "a", Span(0, 0), IfMatch(old))
    with pytest.raises(ConflictError):
        await store.delete("a", when=IfMatch(old))
    assert await read(store, "a") == b"new"


async def test_what_is_not_there_is_not_found(store: ContentStore) -> None:
    for attempt in (
        store.stat("a"),
        read(store, "a"),
        read(store, "a", Span(0, 0)),
        store.delete("a", when=Always()),
    ):
        with pytest.raises(NotFoundError) as caught:
            await attempt
        assert (caught.value.kind, caught.value.key) == ("not-found.blob", "a")


async def test_what_is_not_there_has_not_the_etag_either(store: ContentStore) -> None:
    """Services differ in which of the two they find first."""
    for attempt in (read(store, "a", when=IfMatch("0x1")), store.delete("a", when=IfMatch("0x1"))):
        with pytest.raises((NotFoundError, ConflictError)):
            await attempt


async def test_a_delete_removes_the_etag_it_names(store: ContentStore) -> None:
    etag = await put(store, "a", b"x")
    await put(store, "b", b"y")
    await store.delete("a", when=IfMatch(etag))
    await store.delete("b", when=Always())
    assert await names(store) == []


async def test_an_etag_never_comes_back(store: ContentStore) -> None:
    etags = []
    for _ in range(5):
        etags += [await put(store, "a", b"same"), await put(store, "a", b"same")]
        await store.delete("a", when=Always())
    assert len(set(etags)) == len(etags)


async def test_only_writes_and_reads_of_the_right_kind_take_a_precondition(store: ContentStore) -> None:
    await put(store, "a", b"x")
    with pytest.raises(InvalidError):
        await store.delete("a", when=IfAbsent())
    with pytest.raises(InvalidError):
        async with store.open("a", when=IfAbsent()):
            pass
    with pytest.raises(InvalidError):
        await put(store, "a", b"", IfMatch('"quoted"'))
    assert await read(store, "a") == b"x"


# Races.


async def test_of_forty_creations_one_wins(store: ContentStore, connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        stores = [store, *(connect() for _ in range(3))]
        for other in stores[1:]:
            stack.push_async_callback(other.close)
        racing = [put(stores[each % 4], "a", b"%d" % each, IfAbsent()) for each in range(40)]
        await assert_one_wins(store, await asyncio.gather(*racing, return_exceptions=True))


async def test_of_forty_replacements_of_one_etag_one_wins(store: ContentStore) -> None:
    etag = await put(store, "a", b"before")
    racing = [put(store, "a", b"%d" % each, IfMatch(etag)) for each in range(40)]
    await assert_one_wins(store, await asyncio.gather(*racing, return_exceptions=True))


async def assert_one_wins(store: ContentStore, outcomes: Sequence[str | BaseException]) -> None:
    winners = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert len(winners) == 1
    assert {type(outcome) for index, outcome in enumerate(outcomes) if index not in winners} == {ConflictError}
    assert await read(store, "a", when=IfMatch(str(outcomes[winners[0]]))) == b"%d" % winners[0]


async def test_a_replacement_and_a_deletion_of_one_etag_exclude_each_other(store: ContentStore) -> None:
    for _ in range(10):
        etag = await put(store, "a", b"before")
        replaced, deleted = await asyncio.gather(
            put(store, "a", b"after", IfMatch(etag)), store.delete("a", when=IfMatch(etag)), return_exceptions=True
        )
        assert isinstance(replaced, str) != (deleted is None)
        assert await etag_of(store, "a") == (replaced if isinstance(replaced, str) else None)


async def test_readers_never_see_a_mixture(store: ContentStore) -> None:
    contents = {bytes([letter]) * 300_000 for letter in b"abcd"}
    await put(store, "a", b"a" * 300_000)

    async def write() -> None:
        for content in sorted(contents) * 3:
            await put(store, "a", content)

    async def reads() -> list[bytes]:
        return [await read(store, "a") for _ in range(8)]

    _, *seen = await asyncio.gather(write(), reads(), reads())
    assert {content for each in seen for content in each} <= contents


@pytest.mark.parametrize("change", ["replace", "delete"])
async def test_a_read_that_has_begun_is_pinned(store: ContentStore, change: str) -> None:
    """To the old bytes to the end, or to a clear error: never anything else."""
    old = b"old!" * 1_500_000
    await put(store, "a", old)
    seen = b""
    try:
        async with store.open("a") as opened:
            async for chunk in opened.chunks:
                if not seen:
                    await (
                        put(store, "a", b"new" * 2_000_000) if change == "replace" else store.delete("a", when=Always())
                    )
                seen += chunk
    except ConflictError:
        assert old.startswith(seen)
    else:
        assert seen == old


# Headers changed, and bytes left as they are.


@pytest.fixture
def touching(store: ContentStore) -> Touches:
    assert isinstance(store, Touches)
    return store


@pytest.mark.parametrize("content_type", ["text/plain", "text/html"])
@pytest.mark.parametrize("digest", [None, md5(b"content", usedforsecurity=False).digest(), b"0123456789abcdef"])
async def test_a_touch_replaces_headers_and_leaves_the_bytes(
    store: ContentStore, touching: Touches, content_type: str, digest: bytes | None
) -> None:
    own = md5(b"content", usedforsecurity=False).digest()
    etag = await store.put("a", b"content", when=Always(), headers=Headers("text/plain", own, {"old": "1", "b": "2"}))
    headers = Headers(content_type, digest, {"new": "grüße", "b": ""})
    touched = await touching.touch("a", headers=headers, when=IfMatch(etag))
    expected = Blob("a", 7, touched, Headers(content_type, digest or own, headers.metadata))
    assert touched != etag
    assert await store.stat("a") == expected
    assert [blob async for blob in store.list()] == [expected]
    assert await read(store, "a", when=IfMatch(touched)) == b"content"


async def test_a_touch_that_changes_nothing_changes_the_etag(store: ContentStore, touching: Touches) -> None:
    headers = Headers("text/plain", md5(b"", usedforsecurity=False).digest(), {"key": "value"})
    etags = [await store.put("a", b"", when=Always(), headers=headers)]
    for _ in range(3):
        etags.append(await touching.touch("a", headers=headers, when=IfMatch(etags[-1])))
    assert len(set(etags)) == 4
    assert await store.stat("a") == Blob("a", 0, etags[-1], headers)


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/html"])
async def test_a_touch_of_another_etag_changes_nothing(
    store: ContentStore, touching: Touches, content_type: str
) -> None:
    old = await put(store, "a", b"old")
    await put(store, "a", b"new")
    there = await store.stat("a")
    with pytest.raises(ConflictError) as caught:
        await touching.touch("a", headers=Headers(content_type, metadata={"key": "value"}), when=IfMatch(old))
    assert caught.value.kind == "conflict.etag"
    assert await store.stat("a") == there


async def test_what_is_not_there_cannot_be_touched(store: ContentStore, touching: Touches) -> None:
    etag = await put(store, "a")
    await store.delete("a", when=Always())
    with pytest.raises(NotFoundError) as caught:
        await touching.touch("a", headers=PLAIN, when=IfMatch(etag))
    assert (caught.value.kind, caught.value.key) == ("not-found.blob", "a")
    assert await names(store) == []


async def test_who_is_pinned_to_the_etag_before_a_touch_gets_a_conflict(store: ContentStore, touching: Touches) -> None:
    etag = await put(store, "a", b"content")
    await touching.touch("a", headers=PLAIN, when=IfMatch(etag))
    for attempt in (
        read(store, "a", when=IfMatch(etag)),
        put(store, "a", b"other", when=IfMatch(etag)),
        touching.touch("a", headers=PLAIN, when=IfMatch(etag)),
        store.delete("a", when=IfMatch(etag)),
    ):
        with pytest.raises(ConflictError):
            await attempt
    assert await read(store, "a") == b"content"


async def test_of_touches_of_one_etag_one_wins(store: ContentStore, touching: Touches) -> None:
    etag = await put(store, "a", b"content")
    touches = (touching.touch("a", headers=Headers(metadata={"n": f"{n}"}), when=IfMatch(etag)) for n in range(10))
    outcomes = await asyncio.gather(*touches, return_exceptions=True)
    [winner] = [(n, outcome) for n, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert all(isinstance(outcome, str | ConflictError) for outcome in outcomes)
    blob = await store.stat("a")
    assert (blob.etag, blob.headers.metadata) == (winner[1], {"n": f"{winner[0]}"})


async def test_a_touched_blob_is_replaced_and_deleted_as_any(store: ContentStore, touching: Touches) -> None:
    etag = await put(store, "a", b"one")
    touched = await touching.touch("a", headers=PLAIN, when=IfMatch(etag))
    replaced = await put(store, "a", b"two", when=IfMatch(touched))
    assert await read(store, "a") == b"two"
    last = await touching.touch("a", headers=PLAIN, when=IfMatch(replaced))
    assert len({etag, touched, replaced, last}) == 4
    await store.delete("a", when=IfMatch(last))
    assert await names(store) == []


@pytest.mark.parametrize("when", [Always(), IfAbsent(), IfMatch(""), None])
async def test_a_touch_names_an_etag(connect: Connect, when: IfMatch) -> None:
    store = connect()
    assert isinstance(store, Touches)
    with pytest.raises(InvalidError):
        await store.touch("a", headers=PLAIN, when=when)
    await store.close()


async def test_before_create_and_after_close_nothing_is_touched(connect: Connect) -> None:
    store = connect()
    assert isinstance(store, Touches)
    with pytest.raises(NotFoundError) as caught:
        await store.touch("a", headers=PLAIN, when=IfMatch("0x1"))
    assert caught.value.kind == "not-found.container"
    await store.close()
    with pytest.raises(InvalidError) as refused:
        await store.touch("a", headers=PLAIN, when=IfMatch("0x1"))
    assert refused.value.kind == "invalid.closed"


# Blocks.


async def test_blocks_become_a_blob_in_the_order_of_the_put(store: ContentStore) -> None:
    for block in ("b-2", "b-0", "b-1"):
        await store.stage("a", block, block.encode() * 1000)
    etag = await put(store, "a", Blocks(["b-0", "b-1", "b-2"]), IfAbsent())
    assert await read(store, "a", when=IfMatch(etag)) == b"b-0" * 1000 + b"b-1" * 1000 + b"b-2" * 1000


@pytest.mark.parametrize("size", [4095, 4096, 4097])
async def test_blocks_of_any_size_are_joined_exactly(store: ContentStore, size: int) -> None:
    content = bytes(index % 253 for index in range(3 * 4096 + size))
    pieces = [content[start : start + 4096] for start in range(0, len(content), 4096)]
    await asyncio.gather(*(store.stage("a", f"{index:04}", piece) for index, piece in enumerate(pieces)))
    await put(store, "a", Blocks([f"{index:04}" for index in range(len(pieces))]))
    assert await read(store, "a") == content


async def test_a_block_may_be_staged_again_left_out_or_named_twice(store: ContentStore) -> None:
    for block, data in (("1", b"wrong"), ("2", b"unused"), ("1", b"right"), ("3", b"-")):
        await store.stage("a", block, data)
    await put(store, "a", Blocks(["1", "3", "1"]))
    assert await read(store, "a") == b"right-right"


async def test_staged_blocks_are_invisible(store: ContentStore) -> None:
    await put(store, "there", b"old")
    await store.stage("there", "1", b"new")
    await store.stage("absent", "1", b"new")
    assert await read(store, "there") == b"old"
    assert await names(store) == ["there"]
    with pytest.raises(NotFoundError):
        await store.stat("absent")


async def test_a_put_of_no_blocks_is_empty(store: ContentStore) -> None:
    await put(store, "a", Blocks([]))
    assert await read(store, "a") == b""


async def test_a_condition_is_looked_at_before_the_blocks(store: ContentStore) -> None:
    """So that the second copy of a put is refused, as that of any other: its blocks are gone with the first."""
    await store.stage("a", "1", b"x")
    await put(store, "a", Blocks(["1"]))
    with pytest.raises(ConflictError):
        await put(store, "a", Blocks(["1"]), when=IfAbsent())
    with pytest.raises(ConflictError):
        await put(store, "a", Blocks(["1"]), when=IfMatch("0x1"))


async def test_a_block_that_was_never_staged_is_invalid(store: ContentStore) -> None:
    await store.stage("a", "1", b"x")
    with pytest.raises(InvalidError) as caught:
        await put(store, "a", Blocks(["1", "2"]))
    assert caught.value.kind == "invalid.block"
    assert await names(store) == []


@pytest.mark.parametrize("committed", [Blocks(["1"]), Blocks([])])
async def test_a_put_of_blocks_consumes_all_that_was_staged(store: ContentStore, committed: Blocks) -> None:
    await store.stage("a", "1", b"one")
    await store.stage("a", "2", b"two")
    await put(store, "a", committed)
    for block in ("1", "2"):
        with pytest.raises(InvalidError):
            await put(store, "a", Blocks([block]))


async def test_a_put_that_failed_leaves_what_was_staged(store: ContentStore) -> None:
    await put(store, "a", b"old")
    await store.stage("a", "1", b"new")
    with pytest.raises(ConflictError):
        await put(store, "a", Blocks(["1"]), IfAbsent())
    await put(store, "a", Blocks(["1"]))
    assert await read(store, "a") == b"new"


async def test_blocks_of_two_names_are_apart(store: ContentStore) -> None:
    await store.stage("a", "1", b"of a")
    await store.stage("b", "1", b"of b")
    await put(store, "a", Blocks(["1"]))
    await put(store, "b", Blocks(["1"]))
    assert (await read(store, "a"), await read(store, "b")) == (b"of a", b"of b")


@pytest.fixture
async def discarding(store: ContentStore) -> Discards:
    """The stores that can; the others drop staged blocks in their own time."""
    if not isinstance(store, Discards):
        pytest.skip("keeps staged blocks for as long as it likes")
    return store


async def test_discarded_blocks_are_gone_and_the_blob_stays(store: ContentStore, discarding: Discards) -> None:
    await put(store, "a", b"old")
    await store.stage("a", "1", b"new")
    await store.stage("b", "1", b"another's")
    await discarding.discard("a")
    with pytest.raises(InvalidError):
        await put(store, "a", Blocks(["1"]))
    assert await read(store, "a") == b"old"
    await put(store, "b", Blocks(["1"]))
    assert await read(store, "b") == b"another's"


async def test_after_a_discard_blocks_may_be_staged_anew(store: ContentStore, discarding: Discards) -> None:
    await store.stage("a", "1", b"first")
    await discarding.discard("a")
    await store.stage("a", "22", b"second")
    await put(store, "a", Blocks(["22"]))
    await discarding.discard("a")
    assert await read(store, "a") == b"second"


async def test_where_nothing_is_staged_there_is_nothing_to_discard(connect: Connect) -> None:
    store = connect()
    if isinstance(store, Discards):
        await store.discard("a")
        with pytest.raises(InvalidError) as caught:
            await store.discard("a//b")
        assert caught.value.kind == "invalid.name"
    await store.close()
    if isinstance(store, Discards):
        with pytest.raises(InvalidError) as caught:
            await store.discard("a")
        assert caught.value.kind == "invalid.closed"


async def test_a_discard_spares_a_put_that_is_under_way(store: ContentStore, discarding: Discards) -> None:
    for turns in range(8):
        await store.stage("a", "1", b"x" * 100_000)
        putting = asyncio.create_task(put(store, "a", Blocks(["1"])))
        for _ in range(turns):
            await asyncio.sleep(0)
        await discarding.discard("a")
        outcome = (await asyncio.gather(putting, return_exceptions=True))[0]
        assert isinstance(outcome, str | InvalidError)
        if isinstance(outcome, str):
            assert await read(store, "a", when=IfMatch(outcome)) == b"x" * 100_000


async def test_of_racing_puts_of_blocks_one_wins(store: ContentStore) -> None:
    for each in range(20):
        await store.stage("a", f"{each:02}", b"%d" % each)
    racing = [put(store, "a", Blocks([f"{each:02}"]), IfAbsent()) for each in range(20)]
    outcomes = await asyncio.gather(*racing, return_exceptions=True)
    winners = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert len(winners) == 1
    assert {type(each) for each in outcomes if not isinstance(each, str)} <= {ConflictError, InvalidError}
    assert await read(store, "a") == b"%d" % winners[0]


@pytest.mark.parametrize("block", ["22", "", "x" * 65, "é", "\ud800"])
async def test_block_ids_are_short_and_of_one_length(store: ContentStore, block: str) -> None:
    await store.stage("a", "1", b"x")
    with pytest.raises(InvalidError) as caught:
        await store.stage("a", block, b"x")
    assert caught.value.kind == "invalid.block"


async def test_a_block_is_not_empty(store: ContentStore) -> None:
    with pytest.raises(InvalidError):
        await store.stage("a", "1", b"")


# Listings.


async def test_a_listing_is_in_order_of_code_point(store: ContentStore) -> None:
    """Also where UTF-16, the order of some services, puts the astral planes before the end of the basic one."""
    given = [
        "b",
        "a/b",
        "a-b",
        "a",
        "A",
        "a/ü",
        "x\U0001f600",
        "x\ue000",
        "x\uff5e",
        "x日",
        "x😀y",
        "x\ue000y",
        "x",
        "~",
    ]
    await asyncio.gather(*(put(store, name) for name in given))
    assert await names(store) == sorted(given)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "%", "b&=?#+ ", "日", "nothing"])
async def test_a_prefix_is_the_beginning_of_names(store: ContentStore, prefix: str) -> None:
    given = ["a", "a/b", "a/b/c", "a/bc", "ab", "A/b", "%2F", "%", "b&=?#+ c", "日本", "c"]
    await asyncio.gather(*(put(store, name) for name in given))
    assert await names(store, prefix) == sorted(name for name in given if name.startswith(prefix))


async def test_a_listing_goes_on_over_pages(store: ContentStore) -> None:
    given = [f"{index % 7}/{index:04}" for index in range(1203)]
    await asyncio.gather(*(put(store, name) for name in given))
    assert await names(store) == sorted(given)
    assert await names(store, "3/") == sorted(name for name in given if name.startswith("3/"))


# Names.


async def test_odd_names_are_kept_as_they_are(store: ContentStore) -> None:
    for name in ODD_NAMES:
        await put(store, name, name.encode(), IfAbsent())
    assert await names(store) == sorted(ODD_NAMES)
    for name in ODD_NAMES:
        assert await read(store, name) == name.encode()
        assert await names(store, name) == sorted(other for other in ODD_NAMES if other.startswith(name))
    for name in ODD_NAMES:
        await store.delete(name, when=IfMatch((await store.stat(name)).etag))
    assert await names(store) == []


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:12])
async def test_a_bad_name_is_refused_before_anything_is_asked(connect: Connect, name: str) -> None:
    """Nothing was created: a request would have said not found."""
    store = connect()
    for attempt in (
        put(store, name),
        store.stage(name, "1", b"x"),
        store.stat(name),
        read(store, name),
        store.delete(name, when=Always()),
    ):
        with pytest.raises(InvalidError) as caught:
            await attempt
        assert caught.value.kind == "invalid.name"
        assert "\n" not in str(caught.value)
    await store.close()


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        (Headers(metadata={"Key": ""}), InvalidError),
        (Headers(metadata={"a-b": ""}), InvalidError),
        (Headers(metadata={"": ""}), InvalidError),
        (Headers(metadata={"schlüssel": ""}), InvalidError),
        (Headers(metadata={"key": 1}), InvalidError),  # type: ignore[dict-item]
        (Headers(metadata={"key": "x" * 8190}), TooLargeError),
        (Headers(metadata={"key": "ü" * 1400}), TooLargeError),
        (Headers(content_type=""), InvalidError),
        (Headers(content_type="text/plain\r\nx-ms-meta-a: b"), InvalidError),
        (Headers(md5=b"short"), InvalidError),
    ],
)
async def test_bad_headers_are_refused_before_anything_is_asked(
    connect: Connect, headers: Headers, error: type[CatalogError]
) -> None:
    store = connect()
    with pytest.raises(error):
        await store.put("a", b"", when=Always(), headers=headers)
    assert isinstance(store, Touches)
    with pytest.raises(error):
        await store.touch("a", headers=headers, when=IfMatch("0x1"))
    await store.close()


async def test_metadata_of_eight_kibibytes_fits(store: ContentStore) -> None:
    metadata = {f"key_{index}": "x" * 1000 for index in range(8)}
    await store.put("a", b"", when=Always(), headers=Headers(metadata=metadata))
    assert (await store.stat("a")).headers.metadata == metadata


@pytest.mark.parametrize("content", ["text", None, bytearray(b"x")])
async def test_content_is_bytes(store: ContentStore, content: bytes) -> None:
    with pytest.raises(InvalidError):
        await put(store, "a", content)


# The store itself.


async def test_before_create_nothing_is_found(connect: Connect) -> None:
    store = connect()
    for attempt in (
        put(store, "a", b"x"),
        store.stage("a", "1", b"x"),
        store.stat("a"),
        read(store, "a"),
        store.delete("a", when=Always()),
        names(store),
    ):
        with pytest.raises(NotFoundError) as caught:
            await attempt
        assert caught.value.kind == "not-found.container"
    await store.close()


async def test_create_is_for_all_clients_and_repeatable(store: ContentStore, connect: Connect) -> None:
    await put(store, "a", b"x")
    other = connect()
    assert await read(other, "a") == b"x"
    await asyncio.gather(other.create(), store.create(), other.create())
    await put(other, "b", b"y")
    assert await names(store) == ["a", "b"]
    await other.close()


async def test_creating_at_once_is_no_error(connect: Connect) -> None:
    stores = [connect() for _ in range(8)]
    await asyncio.gather(*(store.create() for store in stores))
    await asyncio.gather(*(put(store, f"{index}") for index, store in enumerate(stores)))
    assert await names(stores[0]) == [f"{index}" for index in range(8)]
    await asyncio.gather(*(store.close() for store in stores))


async def test_close_may_be_called_twice_and_is_for_good(connect: Connect) -> None:
    store = connect()
    await store.create()
    await put(store, "a", b"x")
    await store.close()
    await store.close()
    for attempt in (put(store, "a"), store.stat("a"), read(store, "a"), names(store), store.create()):
        with pytest.raises(InvalidError) as caught:
            await attempt
        assert caught.value.kind == "invalid.closed"
    assert "closed" in repr(store)


async def test_a_client_that_was_never_used_can_be_closed(connect: Connect) -> None:
    await connect().close()


async def test_a_cancelled_put_is_all_or_nothing(store: ContentStore) -> None:
    await put(store, "a", b"old")
    for turns in range(12):
        task = asyncio.create_task(put(store, "a", b"new" * 100_000))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await read(store, "a") in (b"old", b"new" * 100_000)
    await put(store, "b", b"fine")
    assert await read(store, "b") == b"fine"
