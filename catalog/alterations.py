"""What can be altered about a volume that is there: its settings, as they were and as they are wished. Pure.

An alteration says what is to be so, not what is to be done: where it is so already, it changes nothing. So whoever
tries again, or comes second, finds his wish fulfilled.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from .entities import LOG_IS_BEGINNING, Index, IndexState, VolumeInfo
from .errors import ConflictError
from .indexes import INDEXES_MAX


class Alteration(Protocol):
    """A wish about a volume's settings. A frozen value."""

    def applied(self, info: VolumeInfo) -> VolumeInfo:
        """The settings as wished; the same ones where they are so already. Raises: ConflictError."""


class KeepsIndexes(Protocol):
    """Makes and drops the indexes of volumes: see `indexing`."""

    def within(self, timeout_s: float | None) -> "KeepsIndexes":
        """It, with a time limit for each of its requests. Raises: InvalidError."""

    async def create(self, info: VolumeInfo, on: tuple[str, ...], progress: Callable[[int], None]) -> VolumeInfo:
        """Make an index, or go on making it, until it is ready; the volume as it is then."""

    async def drop(self, info: VolumeInfo, on: tuple[str, ...], progress: Callable[[int], None]) -> VolumeInfo:
        """Drop an index, or go on with that, until nothing of it is left; the volume as it is then."""

    async def current(self, info: VolumeInfo) -> VolumeInfo:
        """The volume as it is by now, open for writes."""


class SwitchesLog(Protocol):
    """Switches the change logs of volumes on and off: see `log_switch`."""

    async def __call__(self, info: VolumeInfo, *, on: bool, timeout_s: float | None) -> VolumeInfo:
        """The volume as it is then."""


@dataclass(frozen=True, slots=True)
class AddIndex:
    """There is an index on these fields, that every write keeps up."""

    on: tuple[str, ...]

    def applied(self, info: VolumeInfo) -> VolumeInfo:
        """See Alteration. Raises: ConflictError (there are too many)."""
        if index_on(info, self.on):
            return info
        if len(info.indexes) >= INDEXES_MAX:
            there = ", ".join("(" + ", ".join(index.on) + ")" for index in info.indexes)
            message = f"volume {info.name!r} has {INDEXES_MAX} indexes, which is as many as there can be: {there}"
            raise ConflictError(message, found=there, op="create_index", key=info.name, kind="conflict.indexes")
        made = info.indexes_made + 1
        return replace(info, indexes=(*info.indexes, Index(str(made), self.on, "building")), indexes_made=made)


@dataclass(frozen=True, slots=True)
class EndIndex:
    """No write adds to this index any more."""

    id: str

    def applied(self, info: VolumeInfo) -> VolumeInfo:
        """See Alteration."""
        return with_index_state(info, self.id, "dropping")


@dataclass(frozen=True, slots=True)
class LogChanges:
    """Every change is in the change log, in its own transaction; or none is."""

    on: bool

    def applied(self, info: VolumeInfo) -> VolumeInfo:
        """See Alteration. Since when all changes are in a log that is switched on now, is found out afterwards."""
        if self.on is (info.changes_since is not None):
            return info
        return replace(info, changes_since=LOG_IS_BEGINNING if self.on else None)


def index_on(info: VolumeInfo, on: tuple[str, ...]) -> Index | None:
    """The index of a volume on these fields, unless it is being dropped."""
    return next((index for index in info.indexes if index.on == on and index.state != "dropping"), None)


def with_index_state(info: VolumeInfo, id_: str, state: IndexState) -> VolumeInfo:
    """The settings with one of its indexes in another state; as they are where it has none of that id."""
    return replace(
        info, indexes=tuple(replace(index, state=state) if index.id == id_ else index for index in info.indexes)
    )


def without_index(info: VolumeInfo, id_: str) -> VolumeInfo:
    """The settings without one of the indexes."""
    return replace(info, indexes=tuple(index for index in info.indexes if index.id != id_))
