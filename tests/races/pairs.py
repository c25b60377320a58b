"""Two calls at the same time: what there was before, and how they may end."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog import (
    Catalog,
    ConflictError,
    Create,
    FileVersion,
    IfVersion,
    Mode,
    NotFoundError,
    Overwrite,
    UnavailableError,
)
from tests.faults.scenarios import FAR
from tests.harness.recorder import Recorded

Call = Callable[[Catalog, Recorded], Awaitable[object]]
Ends = Sequence[set[type]]
"""Each end that may be: what is returned or raised, in any order."""

OLD: Mapping[str, Sequence[bytes | None]] = {"a": [b"old"]}
BOTH_OLD: Mapping[str, Sequence[bytes | None]] = {"a": [b"a"], "b": [b"b"]}


def put(content: bytes, mode: Mode = Overwrite(), path: str = "a") -> Call:
    async def call(_: Catalog, volume: Recorded) -> object:
        return await volume.put(path, content, mode=mode)

    return call


async def delete(_: Catalog, volume: Recorded) -> object:
    return await volume.delete("a")


def move(source: str, target: str, mode: Mode = Overwrite()) -> Call:
    async def call(_: Catalog, volume: Recorded) -> object:
        return await volume.move(source, target, mode=mode)

    return call


async def copy(_: Catalog, volume: Recorded) -> object:
    return await volume.copy("a", "b")


async def restore(_: Catalog, volume: Recorded) -> object:
    return await volume.restore("a", 1)


async def set_metadata(_: Catalog, volume: Recorded) -> object:
    return await volume.set_metadata("a", {"n": 1})


def read(*paths: str) -> Call:
    """Look at paths, twice, in every way there is."""

    async def call(_: Catalog, volume: Recorded) -> object:
        for path in paths * 2:
            for look in (volume.stat, volume.read):
                try:
                    await look(path)
                except NotFoundError:
                    continue
        return list(paths)

    return call


async def recover(catalog: Catalog, volume: Recorded) -> object:
    """Recovery of the one volume: what `Catalog.recover` does after it has found the volumes."""
    return await catalog._recovery.run(volume.volume.info, patience_s=0)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two calls at the same time, the contents that there were before, and what they may return, as types."""

    name: str
    calls: tuple[Call, Call]
    ends: Ends
    given: Mapping[str, Sequence[bytes | None]] = field(default_factory=dict)
    shards: int = 1
    every: bool = False
    """Whether all its interleavings are tried in an ordinary run, too."""
    half_done: bool = False
    """Whether a put to `a` was left half-done before."""

    def __str__(self) -> str:
        return self.name


FILE, CONFLICT, GONE = FileVersion, ConflictError, NotFoundError
BOTH: Ends = [{FILE}]
ONE: Ends = [{FILE, CONFLICT}]
EITHER: Ends = [{FILE}, {FILE, CONFLICT}]
FOUND: Ends = [{FILE}, {FILE, GONE}]
SWAPPED: Ends = [*FOUND, {UnavailableError}, {FILE, UnavailableError}]
"""Two who claim each other's target release each other, and in lockstep neither ever wins: only chance parts them."""

PAIRS = (
    Pair("create-create", (put(b"1", Create()), put(b"2", Create())), ONE, every=True),
    Pair(
        "create-create-on-tombstone",
        (put(b"1", Create()), put(b"2", Create())),
        ONE,
        given={"a": [b"old", None]},
        every=True,
    ),
    Pair("overwrite-overwrite", (put(b"1"), put(b"2")), BOTH, OLD, every=True),
    Pair("overwrite-create", (put(b"1"), put(b"2", Create())), EITHER, every=True),
    Pair("if-version-if-version", (put(b"1", IfVersion(1)), put(b"2", IfVersion(1))), ONE, OLD, every=True),
    Pair("if-version-delete", (put(b"1", IfVersion(1)), delete), EITHER, OLD, every=True),
    Pair("overwrite-delete", (put(b"1"), delete), BOTH, OLD, every=True),
    Pair("create-delete", (put(b"1", Create()), delete), EITHER, OLD, every=True),
    Pair("delete-delete", (delete, delete), [{FILE, GONE}], OLD, every=True),
    Pair("create-recover", (put(b"1", Create()), recover), [{FILE, list}], every=True),
    Pair("overwrite-recover", (put(b"1"), recover), [{FILE, list}], OLD, every=True),
    Pair("delete-recover", (delete, recover), [{FILE, list}], OLD, every=True),
    Pair("recover-recover", (recover, recover), [{list}], OLD, every=True, half_done=True),
    Pair("delete-recover-half-done", (delete, recover), [{FILE, list}], OLD, half_done=True),
    Pair("read-put", (read("a"), put(b"1")), [{FILE, list}], OLD),
    Pair("read-move", (read("a", "b"), move("a", "b")), [{FILE, list}], BOTH_OLD),
    Pair("read-move-apart", (read("a", FAR), move("a", FAR)), [{FILE, list}], OLD, shards=2),
    Pair("move-put-on-source", (move("a", "b"), put(b"1")), BOTH, OLD),
    Pair("move-put-on-source-apart", (move("a", FAR), put(b"1")), BOTH, OLD, shards=2),
    Pair("move-put-on-target", (move("a", "b"), put(b"1", path="b")), BOTH, BOTH_OLD),
    Pair("move-put-on-target-apart", (move("a", FAR), put(b"1", path=FAR)), BOTH, OLD, shards=2),
    Pair("move-create-on-target", (move("a", "b", Create()), put(b"1", Create(), "b")), ONE, OLD),
    Pair("move-create-on-target-apart", (move("a", FAR, Create()), put(b"1", Create(), FAR)), ONE, OLD, shards=2),
    Pair("move-delete", (move("a", "b"), delete), [{FILE, GONE}], OLD),
    Pair("move-delete-apart", (move("a", FAR), delete), [{FILE, GONE}], OLD, shards=2),
    Pair("move-move-of-one-source", (move("a", "b"), move("a", "c")), [{FILE, GONE}], OLD),
    Pair("move-move-of-one-source-apart", (move("a", FAR), move("a", "b")), [{FILE, GONE}], OLD, shards=2),
    Pair("move-move-to-one-target", (move("a", "c", Create()), move("b", "c", Create())), ONE, BOTH_OLD),
    Pair(
        "move-move-to-one-target-apart",
        (move("a", FAR, Create()), move("b", FAR, Create())),
        ONE,
        BOTH_OLD,
        shards=2,
    ),
    Pair("move-move-swap", (move("a", "b"), move("b", "a")), FOUND, BOTH_OLD),
    Pair("move-move-swap-apart", (move("a", FAR), move(FAR, "a")), SWAPPED, {"a": [b"a"], FAR: [b"f"]}, shards=2),
    Pair("move-recover-apart", (move("a", FAR), recover), [{FILE, list}], OLD, shards=2),
    Pair("copy-delete", (copy, delete), FOUND, OLD),
    Pair("copy-put", (copy, put(b"1")), BOTH, OLD),
    Pair("restore-put", (restore, put(b"1")), BOTH, {"a": [b"old", b"newer"]}),
    Pair("set_metadata-put", (set_metadata, put(b"1")), BOTH, OLD),
    Pair("set_metadata-delete", (set_metadata, delete), FOUND, OLD),
)
