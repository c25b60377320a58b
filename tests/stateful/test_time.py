"""`as_of` and `changes` against a model: what histories were at any moment, whatever the clocks of the shards say.

Each shard has a clock of its own, minutes or hours apart from the others'; within a partition timestamps never run
backwards, as the service promises. Several clients change files at the same time, while others ask what there was, and
read the change log from cursor to cursor. What they were told must be what the histories say in the end.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog, CatalogError, F, FileVersion, Overwrite, Volume
from catalog.cursor import Cursor
from catalog.filters import Condition
from catalog.keys import RowRange, shard_of
from catalog.pushdown import Pushed
from catalog.rows import Entity
from catalog.sqlite_table import SqliteTable
from catalog.table import Operation, Written
from catalog.times import from_microseconds
from storage.memory import MemoryContent

SHARDS = 4
PATHS = ["a", "b", "c", "d/e", "d/f", "g"]
LEAST = timedelta(microseconds=1)
KINDS = ["put", "put", "delete", "move", "move", "copy", "metadata", "restore"]
ACTION = st.tuples(st.sampled_from(KINDS), st.sampled_from(PATHS), st.sampled_from(PATHS))
SKEWS = st.lists(st.sampled_from([0, -100_000, 100_000, 1_000_000]), min_size=SHARDS, max_size=SHARDS)
"""In seconds: so far apart that nobody waits for a shard's clock to come to another's time."""

Shown = Mapping[str, tuple[int, datetime]]


class Skewed:
    """A table whose partitions have clocks of their own."""

    def __init__(self, inner: SqliteTable, skews_s: Sequence[int]) -> None:
        self._inner = inner
        self._skews_s = skews_s

    def _skew(self, partition: str) -> int:
        shard = partition.partition("~")[2]
        return self._skews_s[int(shard, 16)] * 1_000_000 if shard else 0

    def _told(self, entity: Entity) -> Entity:
        return replace(entity, timestamp=entity.timestamp + self._skew(entity.partition))

    async def create(self) -> None:
        await self._inner.create()

    async def drop(self) -> None:
        await self._inner.drop()

    async def get(self, partition: str, row: str) -> Entity | None:
        found = await self._inner.get(partition, row)
        return found and self._told(found)

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async for page in self._inner.query(partition, rows, where=where, select=select):
            yield [self._told(entity) for entity in page]

    def pushed(self, partition: str, rows: RowRange, where: Condition | None) -> Pushed:
        return self._inner.pushed(partition, rows, where)

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        skew = self._skew(partition)
        written = await self._inner.submit(partition, operations)
        return [each if each.timestamp is None else replace(each, timestamp=each.timestamp + skew) for each in written]

    async def close(self) -> None:
        await self._inner.close()


async def acted(volume: Volume, kind: str, one: str, other: str, number: int) -> None:
    with suppress(CatalogError):  # there is no such file, or both are one
        match kind:
            case "put":
                await volume.put(one, b"%d" % number)
            case "delete":
                await volume.delete(one)
            case "move":
                await volume.move(one, other, mode=Overwrite())
            case "copy":
                await volume.copy(one, other, mode=Overwrite())
            case "metadata":
                await volume.set_metadata(one, {"n": number})
            case _:
                await volume.restore(one, version=1)


async def shown(volume: Volume, moment: datetime) -> Shown:
    """What there was, by three ways of asking."""
    listed = {
        file.path: (file.version, file.created)
        async for file in volume.list(recursive=True, as_of=moment)
        if isinstance(file, FileVersion)
    }
    asked = {file.path: (file.version, file.created) async for file in volume.query(F.version > 0, as_of=moment)}
    assert asked == listed
    for path, (version, _) in listed.items():
        assert (await volume.stat(path, as_of=moment)).version == version
    return listed


def replayed(versions: Sequence[FileVersion], moment: datetime) -> Shown:
    """The model: of each path the newest version up to then, if it is no delete."""
    newest = {file.path: file for file in sorted(versions, key=lambda file: file.version) if file.created <= moment}
    return {path: (file.version, file.created) for path, file in newest.items() if file.kind != "delete"}


async def run(skews_s: Sequence[int], rounds: Sequence[Sequence[tuple[str, str, str]]]) -> None:
    catalog = Catalog(Skewed(SqliteTable(":memory:"), skews_s), MemoryContent())
    volume = await catalog.create_volume("v", shards=SHARDS, change_log=True)
    told: list[tuple[datetime, Shown]] = []
    fed: list[FileVersion] = []
    cursor: str | None = None

    async def ask() -> None:
        """What there was at each moment at which something was written by now."""
        moments = {file.created async for path in _each(PATHS) async for file in _history(volume, path)}
        for moment in sorted(moments)[-4:]:
            with suppress(CatalogError):  # it is still to come by the clock of some shard
                told.append((moment, await shown(await catalog.volume("v"), moment)))

    async def follow() -> None:
        nonlocal cursor
        changes = volume.changes(cursor)
        fed.extend([file async for file in changes])
        cursor = changes.cursor

    for number, actions in enumerate(rounds):
        acts = [acted(volume, *action, number * 10 + index) for index, action in enumerate(actions)]
        await asyncio.gather(*acts, ask(), follow())
    await catalog.recover(patience_s=0)
    await follow()
    versions = [file async for path in _each(PATHS) async for file in _history(volume, path)]
    for moment, answer in told:
        assert answer == replayed(versions, moment)
    for moment in {file.created for file in versions} | {file.created - LEAST for file in versions}:
        with suppress(CatalogError):
            assert await shown(volume, moment) == replayed(versions, moment)
    assert cursor
    ends = [from_microseconds(position.time) for position in Cursor.parse(cursor).positions]
    final = [file for file in versions if file.created < ends[shard_of(file.path, SHARDS)]]
    assert sorted(fed, key=_name) == sorted(final, key=_name)  # moved from a shard that is ahead, one is still to come
    assert len(final) == len(versions) or len(set(skews_s)) > 1
    for path in PATHS:
        numbers = [file.version for file in fed if file.path == path]
        assert numbers == list(range(1, len(numbers) + 1))
    await catalog.close()


async def _each(paths: Sequence[str]) -> AsyncGenerator[str, None]:
    for path in paths:
        yield path


async def _history(volume: Volume, path: str) -> AsyncGenerator[FileVersion, None]:
    with suppress(CatalogError):
        async for file in volume.history(path):
            yield file


def _name(file: FileVersion) -> tuple[str, int]:
    return file.path, file.version


@settings(max_examples=40, deadline=None)
@given(skews_s=SKEWS, rounds=st.lists(st.lists(ACTION, min_size=1, max_size=4), min_size=1, max_size=6))
def test_what_was_told_is_what_histories_say_in_the_end(
    skews_s: Sequence[int], rounds: Sequence[Sequence[tuple[str, str, str]]]
) -> None:
    asyncio.run(run(skews_s, rounds))
