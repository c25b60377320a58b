"""Which versions nobody wants to read any more: the rule, and its verdict on each version. Pure.

A version goes when it is not among the newest `keep_versions` of its path *and* was replaced more than `older_than`
ago; where one of the two is not given, the other decides alone. What counts:

- The newest are counted among the versions that were given content. A delete is none, so of a deleted file as many are
  kept as of any other. One whose content was purged before counts as it did: the same rule twice is the same as once.
- A version is as old as its being replaced: by `created` of the one after it, so by the service's clock. One that was
  written two years ago and overwritten yesterday was in use until yesterday.
- The last version of a path never goes, nor what a delete has as its content: none.
- What a run has flagged goes, whatever the rule is by now: a flag is never taken back, see `purging`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from .arguments import check_whole
from .entities import VersionRow
from .errors import InvalidError
from .times import microseconds


@dataclass(frozen=True, slots=True)
class Retention:
    """What is to be kept, and for how long."""

    keep_versions: int | None
    older_than: timedelta | None


def check_retention(keep_versions: int | None, older_than: timedelta | None) -> Retention:
    """Raises: InvalidError for what is no rule: above all for none, as then everything would go."""
    if keep_versions is None and older_than is None:
        raise InvalidError("purge needs a rule: give keep_versions, older_than, or both", op="purge")
    if keep_versions is not None:
        check_whole("purge", "keep_versions", keep_versions)
    if older_than is not None and (not isinstance(older_than, timedelta) or older_than < timedelta()):
        raise InvalidError(f"older_than is a timedelta, and not negative; {older_than!r} is not", op="purge")
    return Retention(keep_versions, older_than)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the content of a version may go, as far as its own path is concerned."""

    row: VersionRow
    newest: int
    """The newest version of its path that was seen."""
    goes: bool


class Judge:
    """Judges the version rows of a shard, which it is shown in their order: path by path, newest first."""

    def __init__(self, retention: Retention, now_us: int) -> None:
        self._keep = retention.keep_versions or 0
        old_us = 0 if retention.older_than is None else retention.older_than // timedelta(microseconds=1)
        self._replaced_by_us = None if retention.older_than is None else now_us - old_us
        self._path = ""
        self._newest = 0
        self._with_content = 0
        self._replaced_us = 0

    def judge(self, row: VersionRow) -> Verdict:
        """The verdict on the next row."""
        file, first = row.file, row.file.path != self._path
        if first:
            self._path, self._newest, self._with_content = file.path, file.version, 0
        replaced_us, self._replaced_us = self._replaced_us, microseconds(file.created)
        self._with_content += file.kind != "delete"
        if first or file.kind == "delete" or row.purged:
            return Verdict(row, self._newest, goes=False)
        surplus = self._with_content > self._keep
        old = self._replaced_by_us is None or replaced_us <= self._replaced_by_us
        return Verdict(row, self._newest, goes=bool(row.purging) or (surplus and old))


@dataclass(frozen=True, slots=True)
class Sharing:
    """The versions that share a blob and are to go; and who keeps it, where that is known already."""

    rows: Sequence[VersionRow]
    newest: Mapping[str, int]
    """Of each path of theirs the newest version that was seen."""
    kept_by: str = ""
    """A version that stays, as `path@version`, or why else the content does. Empty: nobody was seen."""

    @property
    def size(self) -> int:
        """Of the content, in bytes."""
        return self.rows[0].file.size
