"""What a reconcile must make of each injury."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from catalog.reconcile.plan import Depth
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene

Found = Sequence[tuple[str, str]]
Injury = Callable[[Scene, str], Awaitable[None]]
ON_DISK = {injury.flipped_on_disk, injury.truncated_on_disk, injury.removed_on_disk}
"""What happens to files alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be found of an injury: states, and what is proposed, at each depth as at the one before.

    `ours`: whether it is said who wrote what is wrong.
    """

    etag: Found
    headers: Found | None = None
    content: Found | None = None
    ours: bool = True

    def at(self, depth: Depth) -> Found:
        headers = self.etag if self.headers is None else self.headers
        return {"etag": self.etag, "headers": headers, "content": headers if self.content is None else self.content}[
            depth
        ]


NOTHING: Found = ()
HEAL = ("corrupt", "heal")
MEND = ("index-wrong", "mend-index")
BROKEN = ("history-broken", "none")
CASES: Mapping[Injury, Case] = {
    injury.deleted: Case([("missing", "heal")]),
    injury.deleted_without_twin: Case([("missing", "none")]),
    injury.overwritten: Case([("foreign-overwrite", "heal")]),
    injury.overwritten_same_size: Case([("foreign-overwrite", "heal")]),
    injury.truncated: Case([HEAL]),
    injury.flipped: Case([HEAL]),
    injury.flipped_and_hidden: Case([("touched", "refresh")], content=[HEAL]),
    injury.flipped_on_disk: Case(NOTHING, content=[HEAL]),
    injury.truncated_on_disk: Case(NOTHING, content=[HEAL]),
    injury.removed_on_disk: Case(NOTHING, content=[HEAL]),
    injury.touched: Case([("touched", "refresh")]),
    injury.written_again: Case([("touched", "refresh")]),
    injury.headers_stripped: Case([("stale-metadata", "rewrite-headers")]),
    injury.headers_changed: Case([("stale-metadata", "rewrite-headers")]),
    injury.type_changed: Case([("stale-metadata", "rewrite-headers")]),
    injury.foreign: Case([("foreign-new", "none")], ours=False),
    injury.foreign_in_versions: Case([("invalid-name", "none")], ours=False),
    injury.foreign_with_our_name: Case([("foreign-new", "none")], ours=False),
    injury.not_normal: Case([("invalid-name", "none")], ours=False),
    injury.too_long: Case([("invalid-name", "none")], ours=False),
    injury.only_version_removed: Case([("history-broken", "insert-version")]),
    injury.middle_version_removed: Case([BROKEN, ("orphan-ours", "none")]),
    injury.newest_version_removed: Case([("history-broken", "insert-version")]),
    injury.head_removed: Case([("history-broken", "insert-head")]),
    injury.all_rows_removed: Case([("orphan-ours", "none")]),
    injury.chain_edited: Case(NOTHING, headers=[BROKEN]),
    injury.digest_edited: Case([("history-broken", "insert-version")]),
    injury.size_edited: Case([("history-broken", "insert-version")]),
    injury.content_swapped_in_row: Case([("history-broken", "insert-version")]),
    injury.copy_edited: Case([("touched", "none")], headers=[BROKEN, ("touched", "none")]),
    injury.head_edited: Case([("history-broken", "insert-head")]),
    injury.head_type_edited: Case(NOTHING, headers=[("history-broken", "insert-head")]),
    injury.head_rolled_back: Case([("history-broken", "insert-head")]),
    injury.claim_without_intents: Case([("history-broken", "insert-head")]),
    injury.index_rows_removed: Case([MEND]),
    injury.index_row_edited: Case([MEND]),
    injury.index_row_type_edited: Case(NOTHING, headers=[MEND]),
    injury.index_row_left: Case([MEND]),
    injury.index_rows_of_nobody: Case([MEND], ours=False),
    injury.mark_removed: Case([MEND]),
    injury.mark_of_no_index: Case([MEND]),
    injury.aborted_and_late: Case([("aborted", "settle")]),
    injury.purge_begun: Case([("purging", "finish-purge")]),
    injury.purge_half_done: Case([("purging", "finish-purge")]),
    injury.purge_of_shared: Case([("purging", "none")]),
    injury.purge_of_shared_and_lost: Case([("missing", "heal")]),
    injury.purged_and_back: Case([("orphan-ours", "none")]),
}


def possible(scene: Scene) -> Mapping[Injury, Case]:
    """What can happen to this kind of catalog."""
    return {each: case for each, case in CASES.items() if scene.on_disk or each not in ON_DISK}
