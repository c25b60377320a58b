"""Injuries by the hundred, at random paths of a catalog, each with the findings that explain it, and with what is left.

What is expected is known from how an injury was made, and from raw rows; nothing of it is asked of the reconciler.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Final

from catalog import Catalog, Create, Item, Overwrite, Plan, Volume
from catalog.columns import parse_version
from catalog.exchange import partition_of
from catalog.flow import concurrently, each
from catalog.keys import INTENTS, intent_row, partition
from catalog.reconcile.difference import Difference
from catalog.rows import Entity
from storage import Blob
from tests.reconcile import injuries as injury
from tests.reconcile.scene import ALL, Raw, Scene, Subject
from tests.reconcile.writers import FOLDER

AT_A_TIME: Final = 12
FOLDERS: Final = 89
REQUESTS_MAX: Final = 9
"""Of the writes that are killed: about as many as the longest of them makes."""

Finding = tuple[str, str, str]
"""State, key and action."""
NOT_UNDONE: Final = frozenset({"settle", "finish-purge", "heal"})
"""Actions that nobody promises to take back."""


@dataclass(frozen=True, slots=True)
class Watched(Scene):
    """A scene that remembers the files it was asked to make."""

    subjects: dict[str, Subject] = field(default_factory=dict)

    async def subject(self, path: str) -> Subject:
        """See Scene."""
        self.subjects[path] = await Scene.subject(self, path)
        return self.subjects[path]


Injury = Callable[[Watched, str], Awaitable[None]]
Names = Callable[[Watched, str], Awaitable[str]]


# --- What a finding is about -----------------------------------------------------------------------------------------


async def the_path(scene: Watched, path: str) -> str:
    return path


async def second(scene: Watched, path: str) -> str:
    """The blob of the second version."""
    return scene.subjects[path].second.blob


async def first(scene: Watched, path: str) -> str:
    """The blob of the first version, as its row says."""
    return str((await scene.version(path, 1)).values["blob"])


async def lost_first(scene: Watched, path: str) -> str:
    """The blob of the first version, whether or not there is a row of it."""
    return scene.subjects[path].first.blob


async def the_only_blob(scene: Watched, path: str) -> str:
    """The one blob that was written for a path."""
    (blob,) = [blob async for blob in scene.content.list(f"{scene.volume.info.root}.versions/{path}~")]
    return blob.name


async def by_op(scene: Watched, path: str) -> str:
    return injury.blob_of(scene, path)


def named(pattern: str) -> Names:
    """A blob of this name below the root."""

    async def name(scene: Watched, path: str) -> str:
        return scene.volume.info.root + pattern.format(path=path, op=injury.op_of(path))

    return name


Explained = Sequence[tuple[str, Names, str]]
HEAL: Explained = [("corrupt", second, "heal")]
FOREIGN: Explained = [("foreign-overwrite", second, "heal")]
TOUCHED: Explained = [("touched", second, "refresh")]
STALE: Explained = [("stale-metadata", second, "rewrite-headers")]
VERSION: Explained = [("history-broken", the_path, "insert-version")]
HEAD: Explained = [("history-broken", the_path, "insert-head")]
MEND: Explained = [("index-wrong", the_path, "mend-index")]
BROKEN = ("history-broken", the_path, "none")
PURGING: Explained = [("purging", first, "finish-purge")]
KINDS: Final[Mapping[Injury, Explained]] = {
    injury.deleted: [("missing", second, "heal")],
    injury.deleted_without_twin: [("missing", first, "none")],
    injury.overwritten: FOREIGN,
    injury.overwritten_same_size: FOREIGN,
    injury.truncated: HEAL,
    injury.flipped: HEAL,
    injury.flipped_and_hidden: HEAL,
    injury.touched: TOUCHED,
    injury.written_again: TOUCHED,
    injury.headers_stripped: STALE,
    injury.headers_changed: STALE,
    injury.type_changed: STALE,
    injury.foreign: [("foreign-new", named("{path}"), "none")],
    injury.foreign_in_versions: [("invalid-name", named(".versions/{path}"), "none")],
    injury.foreign_with_our_name: [("foreign-new", named(".versions/{path}~{op}.txt"), "none")],
    injury.not_normal: [("invalid-name", named("{path}e\u0301"), "none")],
    injury.too_long: [("invalid-name", named("{path}" + "x" * 300), "none")],
    injury.only_version_removed: VERSION,
    injury.middle_version_removed: [BROKEN, ("orphan-ours", second, "quarantine")],
    injury.newest_version_removed: VERSION,
    injury.head_removed: HEAD,
    injury.all_rows_removed: [("orphan-ours", the_only_blob, "quarantine")],
    injury.chain_edited: [BROKEN],
    injury.digest_edited: VERSION,
    injury.size_edited: VERSION,
    injury.content_swapped_in_row: VERSION,
    injury.head_edited: HEAD,
    injury.head_type_edited: HEAD,
    injury.head_rolled_back: HEAD,
    injury.claim_without_intents: HEAD,
    injury.index_rows_removed: MEND,
    injury.index_row_edited: MEND,
    injury.index_row_type_edited: MEND,
    injury.index_row_left: MEND,
    injury.index_rows_of_nobody: MEND,
    injury.mark_removed: MEND,
    injury.mark_of_no_index: MEND,
    injury.aborted_and_late: [("aborted", by_op, "settle")],
    injury.purge_begun: PURGING,
    injury.purge_half_done: PURGING,
    injury.purge_of_shared: [("purging", first, "none")],
    injury.purge_of_shared_and_lost: [("missing", first, "heal")],
    injury.purged_and_back: [("orphan-ours", lost_first, "quarantine")],
}
ON_DISK: Final[Mapping[Injury, Explained]] = {
    injury.flipped_on_disk: HEAL,
    injury.truncated_on_disk: HEAL,
    injury.removed_on_disk: HEAL,
}
UNREADABLE: Final = {injury.truncated_on_disk.__name__, injury.removed_on_disk.__name__}
"""Whose bytes, such as they are, no reader gets."""
SHOWN_THEN: Final[Mapping[Injury, Explained]] = {injury.purge_of_shared_and_lost: [("purging", first, "none")]}
"""What a repair brings to light: before, something of higher precedence was the matter."""


# --- Clients that are killed -----------------------------------------------------------------------------------------


async def purged(scene: Scene, client: Catalog, volume: Volume, path: str) -> object:
    return await injury.purge(client, volume, parse_version(volume.name, await scene.version(path, 1)))


VERBS: Final[Mapping[str, Callable[[Scene, Catalog, Volume, str], Awaitable[object]]]] = {
    "create": lambda scene, client, volume, path: volume.put(f"{path}.new", b"never seen", mode=Create()),
    "overwrite": lambda scene, client, volume, path: volume.put(path, b"never seen", mode=Overwrite()),
    "delete": lambda scene, client, volume, path: volume.delete(path),
    "copy": lambda scene, client, volume, path: volume.copy(path, f"{path}.copied"),
    "move": lambda scene, client, volume, path: volume.move(path, f"{path}.moved"),
    "move-apart": lambda scene, client, volume, path: volume.move(path, injury.apart(scene, path)),
    "purge": purged,
}


async def left_behind(scene: Watched, path: str, verb: str, at: int) -> set[Finding]:
    """Kill a client in the middle of a write or of a purge, or at its end; what is to be found of it then.

    Its intent asks for no patience any more, so that it is old enough at once; those of the living still do.
    """
    await scene.subject(path)
    await scene.killed(at, lambda client, volume: VERBS[verb](scene, client, volume, path))
    row = (await scene.version(path, 1)).values
    found = {("purging", str(row["blob"]), "finish-purge")} if row.get("purging") and not row.get("purged") else set()
    partitions = {partition_of(scene.volume.info, each) for each in (path, f"{path}.new", f"{path}.copied")}
    partitions |= {partition_of(scene.volume.info, each) for each in (f"{path}.moved", injury.apart(scene, path))}
    for key in partitions:
        for intent in [entity.values async for entity in scene.cat._tools.lister.rows(key, INTENTS)]:
            if intent["state"] == "open" and str(intent["path"]).startswith(path):
                at_path, op = str(intent["path"]), str(intent["op"])
                await scene.merge(at_path, intent_row(op), {"patience_s": 0})
                found.add(("in-flight", op, "settle"))
    return found


# --- All of it -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Chaos:
    """A catalog, and what was done to it."""

    scene: Watched
    choose: Random
    whole: dict[str, bytes] = field(default_factory=dict)
    """What was acknowledged, and nobody has hurt."""
    expected: dict[str, set[Finding]] = field(default_factory=dict)
    """Of each path that was hurt."""
    left: set[Finding] = field(default_factory=set)
    """What is to be found after all repairs: nobody has the bytes or the rows, or nobody may say whose it is."""
    kinds: dict[str, str] = field(default_factory=dict)

    async def fill(self, files: int, injuries: int) -> None:
        """Write files, and choose the paths that will be hurt: their own files are made when that happens."""
        paths = [f"d{number % FOLDERS:02d}/f{number:06d}.txt" for number in range(files)]
        hurt = set(self.choose.sample(paths, injuries))
        self.whole = {path: f"content of {path}".encode() for path in paths if path not in hurt}
        self.expected = {path: set() for path in sorted(hurt)}

        async def items() -> AsyncIterator[Item]:
            for path, content in self.whole.items():
                yield Item(path, content)

        async for outcome in self.scene.volume.put_many(items()):
            assert outcome.ok, outcome.error

    async def hurt(self) -> None:
        """All injuries, each kind about as often, many at a time."""
        kinds: list[Injury | str] = [*KINDS, *(ON_DISK if self.scene.on_disk else ()), *VERBS, *VERBS]
        drawn = [kinds[number % len(kinds)] for number in range(len(self.expected))]
        self.choose.shuffle(drawn)
        todo = list(zip(self.expected, drawn, strict=True))

        async def work() -> None:
            while todo:
                await self._hurt(*todo.pop())

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(work())

    async def _hurt(self, path: str, kind: Injury | str) -> None:
        if isinstance(kind, str):
            await self._kill(path, kind)
            return
        self.kinds[path] = kind.__name__
        await kind(self.scene, path)
        for state, name, action in {**KINDS, **ON_DISK}[kind]:
            self.expected[path].add((state, await name(self.scene, path), action))
        self.left |= {one for one in self.expected[path] if one[2] == "none"}
        for state, name, action in SHOWN_THEN.get(kind, ()):
            self.left.add((state, await name(self.scene, path), action))

    async def _kill(self, path: str, verb: str) -> None:
        """Kill clients of a verb after some of their requests, until one leaves something behind."""
        for at in self.choose.sample(range(1, REQUESTS_MAX + 1), REQUESTS_MAX):
            self.kinds[path] = f"{verb} killed after {at}"
            self.expected[path] = await left_behind(self.scene, f"{path}.{at}", verb, at)
            if self.expected[path]:
                return
        raise AssertionError(f"{verb} leaves nothing behind")

    @property
    def findings(self) -> set[Finding]:
        """All that explains an injury."""
        return {one for found in self.expected.values() for one in found}

    @property
    def not_undone(self) -> set[Finding]:
        """What stays repaired: also what could not be read, so that its bytes could not be kept."""
        unread = {path for path, kind in self.kinds.items() if kind in UNREADABLE}
        return {one for path, found in self.expected.items() for one in found if path in unread or one[2] in NOT_UNDONE}

    async def look(self, *, at_rest: bool = False) -> Raw:
        """Everything there is; what the writers own, only when nobody is changing it."""
        info, rows, lister = self.scene.volume.info, dict[tuple[str, str], Entity](), self.scene.cat._tools.lister
        for shard in range(info.shards):
            key = partition(info.epoch, shard)
            rows |= {(key, one.row): one async for one in lister.rows(key, ALL) if at_rest or not _theirs(one)}
        listed = await lister.deadline().retried(self._listed)
        blobs = {blob.name: blob for blob in listed if at_rest or f"/{FOLDER}" not in blob.name}

        async def read(name: str) -> tuple[str, bytes | None]:
            return name, await lister.deadline().retried(lambda: self.scene.bytes_of(name))

        async with aclosing(concurrently(each(blobs), read, limit=AT_A_TIME)) as contents:
            return Raw(rows, blobs, {name: content async for name, content in contents})

    async def _listed(self) -> list[Blob]:
        return [blob async for blob in self.scene.content.list(self.scene.volume.info.root)]

    def explain(self, wrong: Collection[Finding]) -> list[str]:
        """For a test that fails: what was done where."""
        return [f"{one}: {kind}" for one in wrong for path, kind in self.kinds.items() if path in one[1]]


def _theirs(entity: Entity) -> bool:
    return str(entity.values.get("path", FOLDER)).startswith(FOLDER)


def found_in(plan: Plan) -> list[Difference]:
    """The findings, without writes that may be under way."""
    return [each for each in plan.differences() if not each.quiet]


def keyed(found: Sequence[Difference]) -> set[Finding]:
    """As they are expected."""
    return {(each.state, each.key, each.action) for each in found}
