"""What can be wrong between a catalog and its content. Pure.

Each blob, and each version that has content, is in exactly one state; that of the first of these which is true of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from ulid import ULID

from ..keys import is_index_row

State = Literal[
    "invalid-name",
    "in-flight",
    "aborted",
    "purging",
    "missing",
    "foreign-overwrite",
    "corrupt",
    "stale-metadata",
    "touched",
    "orphan-ours",
    "foreign-new",
    "history-broken",
    "index-wrong",
    "consistent",
]

MEANING: Final[dict[State, str]] = {
    "invalid-name": "a blob among the volume's whose name can be no file's",
    "in-flight": "a write under way, or left behind by a client that died",
    "aborted": "content of a write that was given up: dead, and proven so",
    "purging": "content that a purge was about to delete",
    "missing": "a version whose content is not there",
    "foreign-overwrite": "content that others have written over",
    "corrupt": "content whose bytes are not what was written",
    "stale-metadata": "a blob with the right bytes and the wrong headers",
    "touched": "a blob that others have touched: another etag, the same bytes and headers",
    "orphan-ours": "a blob that we wrote, and that no version refers to",
    "foreign-new": "a blob that somebody else put there",
    "history-broken": "a path whose rows do not fit together",
    "index-wrong": "a file whose rows in indexes are not as its head says",
    "consistent": "as it should be",
}
"""In order of precedence, with what people are told."""

QUIET: Final[frozenset[State]] = frozenset({"in-flight", "aborted", "purging", "consistent"})
"""What there is in the best of catalogs, while others work or a version needs what a purge has chosen."""

Action = Literal[
    "none",
    "settle",
    "finish-purge",
    "refresh",
    "rewrite-headers",
    "heal",
    "insert-head",
    "insert-version",
    "mend-index",
    "adopt",
    "put-again",
    "quarantine",
]

DOES: Final[dict[Action, str]] = {
    "none": "nothing by itself",
    "settle": "abort it, or find that it was committed; delete its content if it carries its id",
    "finish-purge": "delete its content, once nothing refers to it",
    "refresh": "note the blob's etag in the rows",
    "rewrite-headers": "write the blob's headers as they were, and note its etag in the rows",
    "heal": "write the bytes again, from a blob that has the same",
    "insert-head": "write the head again, as the newest version says",
    "insert-version": "write the version's row again, as the head says",
    "mend-index": "write its rows in indexes again, as the head says",
    "adopt": "make a file of it, in place, where there is none",
    "put-again": "make a file of its bytes, where there is none; then copy it aside, and delete it",
    "quarantine": "copy it aside, then delete it",
}

DELETING: Final[frozenset[Action]] = frozenset({"put-again", "quarantine"})
"""What the brake counts. What `settle` and `finish-purge` delete was given up before by those whose it is."""


FITTING: Final[dict[State, frozenset[Action]]] = {
    "in-flight": frozenset({"settle"}),
    "aborted": frozenset({"settle"}),
    "purging": frozenset({"finish-purge"}),
    "missing": frozenset({"heal"}),
    "foreign-overwrite": frozenset({"heal"}),
    "corrupt": frozenset({"heal"}),
    "stale-metadata": frozenset({"rewrite-headers"}),
    "touched": frozenset({"refresh"}),
    "orphan-ours": frozenset({"put-again", "quarantine"}),
    "foreign-new": frozenset({"adopt"}),
    "history-broken": frozenset({"insert-head", "insert-version"}),
    "index-wrong": frozenset({"mend-index"}),
}
"""What may be proposed about each state, but for nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be, what is proposed, and on which condition."""

    state: State
    key: str
    """A blob's name; of a write, its op id; of a history, its path."""
    path: str = ""
    """The file's, as far as it is known."""
    versions: tuple[str, ...] = ()
    """Those concerned, as `path@version`."""
    op: str = ""
    """Of the write that made it; empty for what is not ours."""
    writer: str = ""
    at: str = ""
    """When that write began, by the service's clock, or by the id it chose: a label. ISO 8601, UTC."""
    why: str = ""
    """What was found, in a line."""
    size: int = 0
    action: Action = "none"
    twin: str = ""
    """To heal from: a blob that ought to have the same bytes."""
    blob_etag: str = ""
    """Conditions of the action: the blob is as it was …"""
    rows: Mapping[str, str] = field(default_factory=dict, hash=False)
    """… and so are these rows, each with its etag: `v path@version`, `h path` for a head, `i op path` for an intent; of
    an index by their keys, which begin with `x`, with no etag where there is none."""

    @property
    def quiet(self) -> bool:
        """Whether it is no finding: somebody may be at work, and nothing is proposed."""
        return self.state in QUIET and self.action == "none"

    @property
    def users(self) -> list[tuple[str, int]]:
        """The versions that it names: path and number."""
        named = {name[2:] for name in self.rows if name.startswith("v ")} | set(self.versions)
        return sorted((path, int(version)) for path, _, version in (name.rpartition("@") for name in named))

    @property
    def intents(self) -> list[str]:
        """Where its write has intents: the path of each."""
        return sorted(name.split(" ", 2)[2] for name in self.rows if name.startswith("i "))

    @property
    def index_rows(self) -> list[str]:
        """The rows of indexes that it names, by their keys."""
        return sorted(name for name in self.rows if is_index_row(name))

    @property
    def order(self) -> tuple[str, str, str]:
        """By which a plan is sorted."""
        return (self.state, self.path, self.key)

    def as_record(self) -> dict[str, Any]:
        """For a line of a plan: what is empty is left out."""
        values = {
            "state": self.state,
            "key": self.key,
            "path": self.path,
            "versions": list(self.versions),
            "op": self.op,
            "writer": self.writer,
            "at": self.at,
            "why": self.why,
            "size": self.size,
            "action": self.action,
            "twin": self.twin,
            "blob_etag": self.blob_etag,
            "rows": dict(sorted(self.rows.items())),
        }
        return {name: value for name, value in values.items() if value or name in ("state", "key", "action")}

    @staticmethod
    def of_record(record: Mapping[str, Any]) -> "Difference":
        """What `as_record` made a record of. Raises: KeyError, TypeError."""
        return Difference(**{**record, "versions": tuple(record.get("versions", ())), "rows": record.get("rows", {})})


def parsed(line: bytes) -> Any:
    """What a line of JSON says. Raises: ValueError for what is none, or has text that no file can have."""
    try:
        said = json.loads(line.decode())
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    if b"\\u" in line:
        json.dumps(said, ensure_ascii=False).encode()  # half a character cannot be written
    return said


def at_of(op: str) -> str:
    """When a write chose its id, as far as its writer's clock was right; empty where the id does not tell."""
    try:
        moment = ULID.from_str(op).datetime
    except ValueError:
        return ""
    return iso(moment)


def iso(moment: datetime) -> str:
    """A time as plans say it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
