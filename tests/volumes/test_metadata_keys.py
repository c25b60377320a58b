"""What a key of metadata is: every door to the catalog has the same rule."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from catalog import F, InvalidError, Volume, connect
from catalog.arrow import checked_types
from catalog.literals import META
from catalog.metadata import KEY_CHARACTERS_MAX, is_key

Door = Callable[[Volume, str], Awaitable[None]]

LONGEST = "k" * KEY_CHARACTERS_MAX
NAMES = ["owner", "_", "Size2", "path", LONGEST]
NO_NAMES = ["", " ", "größe", "ключ", "no name", "a-b", "1a", "a.b", "meta.", "a'", "a\nb", LONGEST + "k"]


async def _drained(answer: AsyncIterable[Any]) -> None:
    async for _ in answer:
        pass


async def _put(volume: Volume, key: str) -> None:
    await volume.put("b", b"1", metadata={key: 1})


async def _field(_volume: Volume, key: str) -> None:
    assert (F.meta[key] == 1) is not None


async def _text(volume: Volume, key: str) -> None:
    await _drained(volume.query(f"{META}{key} = 1"))


async def _select(volume: Volume, key: str) -> None:
    await _drained(volume.query().select(META + key))


async def _count(volume: Volume, key: str) -> None:
    await volume.count(by=[META + key])


async def _arrow(volume: Volume, key: str) -> None:
    await _drained(volume.query().to_arrow(columns=[META + key]))


async def _arrow_types(_volume: Volume, key: str) -> None:
    assert checked_types("to_arrow", {META + key: int}) == {META + key: int}


async def _sql(volume: Volume, key: str) -> None:
    await volume.query().sql(f'select "meta_{key}" from files')  # noqa: S608 — DuckDB sees to what it may reach


async def _sql_types(volume: Volume, key: str) -> None:
    await volume.query().sql("select meta_owner from files", types={META + key: int})


async def _create_index(volume: Volume, key: str) -> None:
    await volume.create_index(META + key)


async def _drop_index(volume: Volume, key: str) -> None:
    await volume.create_index(META + key)
    await volume.drop_index(META + key)


async def _order(volume: Volume, key: str) -> None:
    await volume.create_index("-" + META + key)
    await _drained(volume.query(order_by="-" + META + key))


DOORS = [
    _put, _field, _text, _select, _count, _arrow, _arrow_types, _sql, _sql_types, _create_index, _drop_index, _order,
]  # fmt: skip


@pytest.fixture
async def volume() -> AsyncIterator[Volume]:
    async with connect("memory:") as cat:
        made = await cat.create_volume("raw", shards=1)
        await made.put("a", b"1", metadata={"owner": 1, LONGEST: 2})
        yield made


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("key", NAMES, ids=range(len(NAMES)))
async def test_a_key_is_taken_everywhere(volume: Volume, door: Door, key: str) -> None:
    assert is_key(key)
    await door(volume, key)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("key", NO_NAMES, ids=range(len(NO_NAMES)))
async def test_what_is_no_key_is_refused_everywhere(volume: Volume, door: Door, key: str) -> None:
    assert not is_key(key)
    with pytest.raises(InvalidError):
        await door(volume, key)


@pytest.mark.parametrize("key", [5, None, b"owner", ("owner",)], ids=repr)
def test_a_key_is_text(key: object) -> None:
    assert not is_key(key)
    with pytest.raises(InvalidError):
        F.meta[key]  # type: ignore[index]
