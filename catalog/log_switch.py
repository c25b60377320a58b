"""Switches the change log of a volume on and off: the settings first, through the gates; then since when it is whole.

Once the gates are turned, every change is in the log. What was written before is not, and may be labelled with a time
later than now: a version is younger than the one before it, and than both ends of its move, by their shards' clocks. So
the log is whole only behind the latest of all markers that are written now, and of all versions that are current now.
That moment is noted under the etag of the volume's row as it was read before: if the log was switched off meanwhile,
and on again, it is another one. Stopped in between, the same call goes on from there.
"""

from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from .alterations import LogChanges
from .altering import Altering
from .entities import LOG_IS_BEGINNING, VolumeInfo
from .errors import NotFoundError, OutcomeUnknownError, UnavailableError
from .filters import Comparison
from .keys import heads, partition
from .marker import service_time
from .table import RefusedError
from .times import from_microseconds


class LogSwitch:
    """Switches the change logs of the volumes of one catalog."""

    def __init__(self, altering: Altering) -> None:
        self._altering = altering

    def __repr__(self) -> str:
        return f"<LogSwitch by {self._altering.writer!r}>"

    async def __call__(self, info: VolumeInfo, *, on: bool, timeout_s: float | None) -> VolumeInfo:
        """The volume with its log on, and since when; or without one.

        Raises: NotFoundError (the volume is gone), AccessDeniedError, UnavailableError, OutcomeUnknownError.
        """
        it = LogSwitch(self._altering.within(timeout_s))
        info = await it._altering.altered(info, LogChanges(on), "set_change_log")
        return await it._begun(info) if on else info

    async def _begun(self, info: VolumeInfo) -> VolumeInfo:
        volumes, deadline = self._altering.volumes, self._altering.deadline()
        while True:
            now = await self._altering.current(info)
            row = await deadline.retried(lambda: volumes.row(info, deadline))  # noqa: B023 — awaited at once
            if row is None:
                message = f"volume {info.name!r} was deleted"
                raise NotFoundError(message, op="set_change_log", key=info.name, kind="not-found.volume")
            if row.info.changes_since != LOG_IS_BEGINNING:  # it is noted; or others have switched it off
                return now
            try:
                if row.info.state == "open":
                    begins = replace(row.info, changes_since=await self._whole_since(row.info))
                    deadline = self._altering.deadline()  # not before: all heads may take their time
                    await volumes.turn(row, begins, deadline)
                    continue
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise
            else:
                await deadline.pause()

    async def _whole_since(self, info: VolumeInfo) -> datetime:
        """The first moment from which on every change is in the log."""
        lister, keys = self._altering.lister, [partition(info.epoch, shard) for shard in range(info.shards)]
        last = max([await service_time(info, key, self._altering.writer, lister) for key in keys])
        later = lister.shards(info, heads(""), where=Comparison("created", ">=", last), select=("created",))
        async with aclosing(later) as rows:
            async for row in rows:
                last = max(last, int(row.values["created"]))
        return from_microseconds(last + 1)
