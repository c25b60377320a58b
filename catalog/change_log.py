"""Reading a volume's change log: every committed change, once, from a cursor on.

Theory. Whoever changes a file inserts a row `c<created><path>` in the very transaction. A run asks first until when the
history of each shard is final (`finality`), and then reads the rows of each between its position and that moment: none
will ever appear there later. So the moment is the next position, and nothing is read twice or passed over, whatever
anybody writes meanwhile. Rows of the moments after it are left to the next run.

Whether there is a log, and since when, is read after these moments: it is the same log that was there while they were
found, for one that is begun anew begins later.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

from .columns import parse_file
from .cursor import Cursor, Position
from .entities import LOG_IS_BEGINNING, FileVersion, VolumeInfo
from .errors import InvalidError, UnavailableError
from .finality import Finality, check_time
from .keys import change_time, changes_between, partition
from .listing import Lister, merged
from .rows import Entity
from .times import microseconds
from .writer import Writer

_BEGINNING = Position()


class Changes:
    """The changes of a volume since a cursor, oldest first within a shard: `async for file in changes`.

    An iteration ends where it has read all that was final when it began; the next one goes on from there. `cursor` says
    how far it is, at any time, and another process can go on from that.
    """

    def __init__(
        self, volume: VolumeInfo, since: str | datetime | None, finality: Finality, writer: Writer, lister: Lister
    ) -> None:
        self.volume = volume.name
        self._info = volume
        self._finality = finality
        self._writer = writer
        self._lister = lister
        self._after = check_time("changes", "since", since) if isinstance(since, datetime) else None
        self._positions = list(_positions(volume, since, self._after))

    def __repr__(self) -> str:
        return f"<Changes of {self.volume!r}>"

    @property
    def cursor(self) -> str:
        """Where to go on: behind the last change that was given out; after the end, behind all that there were."""
        return str(Cursor(self._info.epoch, tuple(self._positions)))

    async def __aiter__(self) -> AsyncGenerator[FileVersion, None]:
        """The changes, each as the version that it made; a delete is one, too.

        Raises: InvalidError (`invalid.no-change-log`: the volume has none; `invalid.cursor-too-old`: the log begins
        later, so that something may be missing; `invalid.cursor`: it is of a time that is still to come),
        NotFoundError, AccessDeniedError (a marker is written), UnavailableError (`unavailable.change-log`: it is being
        switched on).
        """
        ends = await self._ends()
        keys = [partition(self._info.epoch, shard) for shard in range(self._info.shards)]
        pages = [
            self._lister.pages(key, changes_between(position.time, max(end, position.time)))
            for key, position, end in zip(keys, self._positions, ends, strict=True)
        ]
        skipped = [position.seen for position in self._positions]
        async with aclosing(merged(pages)) as runs:
            async for run in runs:
                for row, shard in _of_shards(run, keys):
                    at, time = self._positions[shard], change_time(row.row)
                    if time == at.time and skipped[shard]:
                        skipped[shard] -= 1
                        continue
                    self._positions[shard] = Position(time, at.seen + 1 if time == at.time else 1)
                    yield parse_file(self.volume, row)
        for shard, end in enumerate(ends):
            if end > self._positions[shard].time:
                self._positions[shard] = Position(end)

    async def _ends(self) -> Sequence[int]:
        """Until when there is something to be read, of each shard."""
        deadline = self._writer.deadline()
        if self._after is not None:
            await self._finality.reach(self._after, self._writer, self._lister, deadline)
        found = await self._finality.now(self._writer, self._lister, deadline)
        volume = await self._writer.within(deadline.left_s).current(self._info, deadline)
        if volume.changes_since is None:
            message = f"volume {volume.name!r} has no change log: set_change_log(True) switches it on, from now on"
            raise InvalidError(message, op="changes", key=volume.name, kind="invalid.no-change-log")
        if volume.changes_since == LOG_IS_BEGINNING:
            message = (
                f"the change log of volume {volume.name!r} is not whole yet: set_change_log(True) goes on with that"
            )
            raise UnavailableError(message, op="changes", key=volume.name, kind="unavailable.change-log")
        begun = microseconds(volume.changes_since)
        for shard, position in enumerate(self._positions):
            final, now = found[shard]
            if position == _BEGINNING:
                self._positions[shard] = Position(begun)
            elif position.time < begun:
                message = (
                    f"the change log of volume {volume.name!r} begins at {volume.changes_since.isoformat()}, after this"
                    " cursor: begin anew, with what list(as_of=…) shows and changes(since=…) of the same moment"
                )
                raise InvalidError(message, op="changes", key=volume.name, kind="invalid.cursor-too-old")
            elif position.time > max(now, final):
                message = "this cursor is of a time that the service's clock has not come to: it is another catalog's"
                raise InvalidError(message, op="changes", key=volume.name, kind="invalid.cursor")
        return [found[shard][0] for shard in range(volume.shards)]


def _positions(volume: VolumeInfo, since: object, after: int | None) -> Sequence[Position]:
    """Where to begin. Raises: InvalidError."""
    if since is None:
        return [_BEGINNING] * volume.shards
    if after is not None:
        return [Position(max(0, after + 1))] * volume.shards
    if not isinstance(since, str):
        message = f"since is a cursor, a datetime with a time zone, or None, not {since!r}"
        raise InvalidError(message, op="changes", kind="invalid.cursor")
    cursor = Cursor.parse(since)
    if cursor.epoch != volume.epoch or len(cursor.positions) != volume.shards:
        message = f"this cursor is not of volume {volume.name!r}: of another one, or of one that had its name before"
        raise InvalidError(message, op="changes", key=volume.name, kind="invalid.other-volume")
    return cursor.positions


def _of_shards(run: Sequence[Entity], keys: Sequence[str]) -> Sequence[tuple[Entity, int]]:
    """Rows, and which shard each is of."""
    shards = {key: shard for shard, key in enumerate(keys)}
    return [(row, shards[row.partition]) for row in run]
