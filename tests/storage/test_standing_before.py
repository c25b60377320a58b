"""Stores that stand before another one: what that can do, they can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from catalog.pace import Pace, PacedContent
from catalog.retry import SystemClock
from storage import ContentStore, Headers, IfAbsent, IfMatch, InvalidError
from storage.abilities import Keeps, Touches
from storage.local import LocalContent
from storage.memory import MemoryContent
from storage.observed import ObservedContent

BEFORE: dict[str, Callable[[ContentStore], ContentStore]] = {
    "paced": lambda store: PacedContent(store, Pace(SystemClock())),
    "observed": lambda store: ObservedContent(store, lambda _: None),
}


@pytest.mark.parametrize("name", BEFORE)
async def test_what_a_store_can_do_is_passed_on(name: str, tmp_path: Path) -> None:
    beneath = LocalContent(tmp_path)
    store = BEFORE[name](beneath)
    assert isinstance(store, Touches)
    assert isinstance(store, Keeps)
    await store.create()
    etag = await store.put("a", b"bytes", when=IfAbsent(), headers=Headers())
    etag = await store.touch("a", headers=Headers(metadata={"a": "b"}), when=IfMatch(etag))
    assert (await beneath.stat("a")).headers.metadata == {"a": "b"}
    assert Path(await store.keep("a", when=IfMatch(etag))).read_bytes().endswith(b"bytes")
    await store.close()


@pytest.mark.parametrize("name", BEFORE)
async def test_what_it_cannot_is_said(name: str) -> None:
    store = cast("Any", BEFORE[name](MemoryContent()))
    with pytest.raises(InvalidError) as raised:
        await store.keep("a", when=IfMatch("1"))
    assert raised.value.kind == "invalid.unsupported"
