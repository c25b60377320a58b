"""A purge, and what others do to the same content at the same time."""

from dataclasses import dataclass

from catalog import Catalog, FileVersion, NotFoundError, PurgeReport
from tests.faults.scenarios import FAR
from tests.harness.recorder import Recorded
from tests.races.pairs import OLD, Call, Pair, delete, move, put, recover, restore, set_metadata

TWO = {"a": [b"old", b"newer"]}
FILE, GONE, REPORT = FileVersion, NotFoundError, PurgeReport
BOTH = [{FILE, REPORT}]


@dataclass(frozen=True, slots=True)
class Purges:
    """After some other calls of the same client, a purge of all but the newest versions."""

    keep: int
    before: tuple[Call, ...] = ()

    async def __call__(self, catalog: Catalog, volume: Recorded) -> object:
        for call in self.before:
            await call(catalog, volume)
        return await volume.volume.purge(keep_versions=self.keep)


def copy(target: str) -> Call:
    async def call(_: Catalog, volume: Recorded) -> object:
        return await volume.copy("a", target)

    return call


OVERWRITES = Purges(1, (put(b"newest"),))
"""What the other one looks at as the current content is an old one's by then."""

PURGE_PAIRS = (
    Pair("copy", (copy("b"), OVERWRITES), BOTH, OLD),
    Pair("copy-apart", (copy(FAR), OVERWRITES), BOTH, OLD, shards=2),
    Pair("copy-back", (copy("a/0"), OVERWRITES), BOTH, OLD, shards=2),
    Pair("move", (move("a", "b"), OVERWRITES), BOTH, OLD),
    Pair("move-apart", (move("a", FAR), OVERWRITES), BOTH, OLD, shards=2, endless=True),
    Pair("set_metadata", (set_metadata, OVERWRITES), BOTH, OLD),
    Pair("restore", (restore, Purges(1)), [*BOTH, {GONE, REPORT}], TWO),
    Pair("restore-deleted", (restore, Purges(0, (delete,))), [*BOTH, {GONE, REPORT}], OLD),
    Pair("put", (put(b"1"), Purges(1)), BOTH, TWO),
    Pair("delete", (delete, Purges(0)), BOTH, TWO),
    Pair("purge", (Purges(1), Purges(1)), [{REPORT}], TWO),
    Pair("purge-of-more", (Purges(1), Purges(0, (delete,))), [{REPORT}], TWO, many=True),
    Pair("recover", (recover, Purges(1)), [{list, REPORT}], TWO, half_done=True),
)
