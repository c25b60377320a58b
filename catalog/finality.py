"""Until when the history of a volume is final, shard by shard.

A version is as old as its write's intent in its shard, or younger (see `op.version_of` and `moves`). So a marker is
written, and then the open intents are read: a write that began before the marker is among them, or its version is there
by now, or it will never be. The marker's time, or that of the oldest open intent if it is less, is the shard's
*watermark*: whatever is read from now on, no version appears that is older. Watermarks only grow, so they are kept.

It rests on one promise of the service, which `doctor` and the contract suite look at: timestamps of a partition never
run backwards. Nothing is settled here: whom somebody left half-done stands in the way until recovery comes by.
"""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Final

from .columns import parse_intent
from .entities import IntentRow, VolumeInfo
from .errors import InvalidError, UnavailableError
from .filters import Comparison
from .flow import concurrently, each, for_each
from .keys import INTENTS, partition
from .listing import Lister
from .marker import service_time
from .retry import Deadline
from .times import from_microseconds, in_calendar, microseconds
from .writer import Writer

SHARDS_AT_A_TIME: Final = 32
LAST_LOOK_S: Final = 0.1
"""With less than that left, nobody looks once more: it would only end in another error, that says less."""
OPEN: Final = Comparison("state", "==", "open")


def check_time(op: str, name: str, time: datetime) -> int:
    """A moment in microseconds since 1970. Raises: InvalidError for what is none."""
    if not isinstance(time, datetime) or not in_calendar(time):
        raise InvalidError(f"{name} is a datetime with a time zone, such as datetime.now(UTC), not {time!r}", op=op)
    return microseconds(time)


class Finality:
    """The watermarks of a volume's shards, as far as they are known."""

    def __init__(self, volume: VolumeInfo) -> None:
        self._volume = volume
        self._known: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Finality of {self._volume.name!r}, {len(self._known)} of {self._volume.shards} shards known>"

    async def reach(
        self, time: int, writer: Writer, lister: Lister, deadline: Deadline, shards: Iterable[int] | None = None
    ) -> None:
        """Return once all versions up to a moment (microseconds) are there, in these shards or in all.

        Where that is known no request is sent. A moment that has not come yet, and writes under way that began before
        it, are waited for. Raises: InvalidError (the moment is so far ahead that it will not come in time),
        UnavailableError (`unavailable.not-final`: a write is still open), NotFoundError, AccessDeniedError.
        """
        wanted = range(self._volume.shards) if shards is None else shards
        waiting = [shard for shard in wanted if self._known.get(shard, 0) <= time]

        async def reach(shard: int) -> None:
            marker = await self._marker(shard, time, writer, lister, deadline)
            while (first := await self._look(shard, marker, lister, deadline)) and first.timestamp <= time:
                await deadline.pause()
                if deadline.remaining < LAST_LOOK_S:
                    raise _not_final(time, first)

        await for_each(waiting, reach, limit=SHARDS_AT_A_TIME)

    async def now(self, writer: Writer, lister: Lister, deadline: Deadline) -> dict[int, tuple[int, int]]:
        """Of each shard the watermark as it is now, and the service's time; waits for nobody. Raises: as `reach`."""

        async def look(shard: int) -> tuple[int, tuple[int, int]]:
            marker = await self._marker(shard, 0, writer, lister, deadline)
            await self._look(shard, marker, lister, deadline)
            return shard, (self._known[shard], marker)

        async with aclosing(concurrently(each(range(self._volume.shards)), look, limit=SHARDS_AT_A_TIME)) as found:
            return dict([one async for one in found])

    async def _marker(self, shard: int, time: int, writer: Writer, lister: Lister, deadline: Deadline) -> int:
        """The time of a marker that is written after a moment."""
        key = partition(self._volume.epoch, shard)
        while True:
            left_s = deadline.left_s
            marker = await service_time(self._volume, key, writer.within(left_s), lister.within(left_s))
            if marker > time:
                return marker
            if time - marker > deadline.remaining * 1_000_000:
                message = f"{_text(time)} is still to come: the service's clock says {_text(marker)}"
                raise InvalidError(message, op="as_of", kind="invalid.future")
            await deadline.pause()

    async def _look(self, shard: int, marker: int, lister: Lister, deadline: Deadline) -> IntentRow | None:
        """The oldest open intent, read after the marker was written; and the watermark that follows is kept."""
        oldest: IntentRow | None = None
        key, lister = partition(self._volume.epoch, shard), lister.within(deadline.left_s)
        async with aclosing(lister.rows(key, INTENTS, where=OPEN)) as rows:
            async for row in rows:
                intent = parse_intent(row)
                oldest = intent if oldest is None or intent.timestamp < oldest.timestamp else oldest
        final = marker if oldest is None else min(marker, oldest.timestamp)
        self._known[shard] = max(final, self._known.get(shard, 0))
        return oldest


def _text(time: int) -> str:
    return from_microseconds(time).isoformat(timespec="milliseconds")


def _not_final(time: int, row: IntentRow) -> UnavailableError:
    intent = row.intent
    message = (
        f"what there was at {_text(time)} is not final: the {intent.kind} of {intent.path!r} by {intent.writer}, begun "
        f"{_text(row.timestamp)}, is still open: try again later, or recover the catalog if its writer is gone"
    )
    return UnavailableError(message, op="as_of", key=intent.path, kind="unavailable.not-final")
