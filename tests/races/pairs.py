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


STAGED = b"of five blocks, as they are in these tests"


def put(
    content: bytes, mode: Mode = Overwrite(), path: str = "a", *, request_id: str | None = None, streamed: bool = False
) -> Call:
    async def call(_: Catalog, volume: Recorded) -> object:
        return await volume.put(path, content, mode=mode, request_id=request_id, streamed=streamed)

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
    many: bool = False
    """Whether it has too many interleavings for an ordinary run."""
    many_with_a_loss: bool = False
    """The same, where an answer is lost."""
    endless: bool = False
    """Whether the two may undo each other's work for ever, so that who has paused is to let the other one pass."""
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
    Pair("create-create", (put(b"1", Create()), put(b"2", Create())), ONE),
    Pair(
        "create-create-on-tombstone",
        (put(b"1", Create()), put(b"2", Create())),
        ONE,
        given={"a": [b"old", None]},
        many_with_a_loss=True,
    ),
    Pair("overwrite-overwrite", (put(b"1"), put(b"2")), BOTH, OLD),
    Pair("overwrite-create", (put(b"1"), put(b"2", Create())), EITHER),
    Pair("if-version-if-version", (put(b"1", IfVersion(1)), put(b"2", IfVersion(1))), ONE, OLD),
    Pair("if-version-delete", (put(b"1", IfVersion(1)), delete), EITHER, OLD),
    Pair("overwrite-delete", (put(b"1"), delete), BOTH, OLD),
    Pair("create-delete", (put(b"1", Create()), delete), EITHER, OLD),
    Pair("delete-delete", (delete, delete), [{FILE, GONE}], OLD),
    Pair("create-recover", (put(b"1", Create()), recover), [{FILE, list}]),
    Pair("overwrite-recover", (put(b"1"), recover), [{FILE, list}], OLD),
    Pair("delete-recover", (delete, recover), [{FILE, list}], OLD),
    Pair("recover-recover", (recover, recover), [{list}], OLD, half_done=True),
    Pair("delete-recover-half-done", (delete, recover), [{FILE, list}], OLD, half_done=True),
    Pair("read-put", (read("a"), put(b"1")), [{FILE, list}], OLD),
    Pair("read-move", (read("a", "b"), move("a", "b")), [{FILE, list}], BOTH_OLD, many_with_a_loss=True),
    Pair("read-move-apart", (read("a", FAR), move("a", FAR)), [{FILE, list}], OLD, shards=2, many_with_a_loss=True),
    Pair("move-put-on-source", (move("a", "b"), put(b"1")), BOTH, OLD),
    Pair(
        "move-put-on-source-apart",
        (move("a", FAR), put(b"1")),
        BOTH,
        OLD,
        shards=2,
        endless=True,
        many_with_a_loss=True,
    ),
    Pair("move-put-on-target", (move("a", "b"), put(b"1", path="b")), BOTH, BOTH_OLD),
    Pair("move-put-on-target-apart", (move("a", FAR), put(b"1", path=FAR)), BOTH, OLD, shards=2),
    Pair("move-create-on-target", (move("a", "b", Create()), put(b"1", Create(), "b")), ONE, OLD),
    Pair("move-create-on-target-apart", (move("a", FAR, Create()), put(b"1", Create(), FAR)), ONE, OLD, shards=2),
    Pair("move-delete", (move("a", "b"), delete), [{FILE, GONE}], OLD),
    Pair(
        "move-delete-apart",
        (move("a", FAR), delete),
        [{FILE, GONE}],
        OLD,
        shards=2,
        endless=True,
        many_with_a_loss=True,
    ),
    Pair("move-move-of-one-source", (move("a", "b"), move("a", "c")), [{FILE, GONE}], OLD),
    Pair(
        "move-move-of-one-source-apart",
        (move("a", FAR), move("a", "b")),
        [{FILE, GONE}],
        OLD,
        shards=2,
        endless=True,
        many_with_a_loss=True,
    ),
    Pair("move-move-to-one-target", (move("a", "c", Create()), move("b", "c", Create())), ONE, BOTH_OLD),
    Pair(
        "move-move-to-one-target-apart",
        (move("a", FAR, Create()), move("b", FAR, Create())),
        ONE,
        BOTH_OLD,
        shards=2,
    ),
    Pair("move-move-swap", (move("a", "b"), move("b", "a")), FOUND, BOTH_OLD),
    Pair(
        "move-move-swap-apart",
        (move("a", FAR), move(FAR, "a")),
        SWAPPED,
        {"a": [b"a"], FAR: [b"f"]},
        shards=2,
        endless=True,
        many=True,
        many_with_a_loss=True,
    ),
    Pair(
        "move-recover-apart", (move("a", FAR), recover), [{FILE, list}], OLD, shards=2, many=True, many_with_a_loss=True
    ),
    Pair("copy-delete", (copy, delete), FOUND, OLD),
    Pair("copy-put", (copy, put(b"1")), BOTH, OLD),
    Pair("restore-put", (restore, put(b"1")), BOTH, {"a": [b"old", b"newer"]}),
    Pair("set_metadata-put", (set_metadata, put(b"1")), BOTH, OLD),
    Pair("set_metadata-delete", (set_metadata, delete), FOUND, OLD),
    Pair("staged-overwrite", (put(STAGED), put(b"1")), BOTH, OLD),
    Pair("staged-recover", (put(STAGED), recover), [{FILE, list}], OLD, many_with_a_loss=True),
    Pair("streamed-overwrite", (put(STAGED, streamed=True), put(b"1")), BOTH, OLD),
    Pair(
        "streamed-recover",
        (put(STAGED, streamed=True), recover),
        [{FILE, list}, {UnavailableError, list}],
        OLD,
        many_with_a_loss=True,
    ),
    Pair("same-request", (put(b"1", request_id="r"), put(b"1", request_id="r")), BOTH, OLD),
    Pair("same-request-delete", (put(b"1", request_id="r"), delete), BOTH, OLD),
)
