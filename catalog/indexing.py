"""Makes and drops secondary indexes, online: the settings first, then head by head (`filling`), then settings again.

    building    every write keeps it up; files that were there before are being added      `create_index` goes on
    ready       all files are in it; queries use it
    dropping    no write adds to it; its rows are being removed                            `drop_index` goes on

Stopped anywhere, the same call goes on from there, in any process; and several may do so at the same time.
"""

from .alterations import AddIndex, EndIndex, index_on, with_index_state, without_index
from .altering import Altering
from .entities import Index, VolumeInfo
from .errors import OutcomeUnknownError, UnavailableError
from .filling import Filled, Filling, StaleError
from .retry import Deadline
from .table import RefusedError


class Indexing:
    """Makes and drops the indexes of the volumes of one catalog."""

    def __init__(self, altering: Altering) -> None:
        self._altering = altering

    def __repr__(self) -> str:
        return f"<Indexing by {self._altering.writer!r}>"

    def within(self, timeout_s: float | None) -> "Indexing":
        """It, with a time limit for each of its requests. Raises: InvalidError."""
        return Indexing(self._altering.within(timeout_s))

    async def create(self, info: VolumeInfo, on: tuple[str, ...], progress: Filled) -> VolumeInfo:
        """Make an index, or go on making it, until it is ready; the volume as it is then.

        Raises: ConflictError (there are too many), NotFoundError (the volume is gone), AccessDeniedError,
        UnavailableError, OutcomeUnknownError.
        """
        info = await self._altering.altered(info, AddIndex(on), "create_index")
        index = index_on(info, on)  # unless others have dropped it already
        return info if index is None else await self._cared_for(info, index, progress)

    async def drop(self, info: VolumeInfo, on: tuple[str, ...], progress: Filled) -> VolumeInfo:
        """Drop an index, or go on with that, until nothing of it is left; the volume as it is then.

        Raises: as `create`.
        """
        info = await self.current(info)
        if index := index_on(info, on):
            info = await self._altering.altered(info, EndIndex(index.id), "drop_index")
        for left in [index for index in info.indexes if index.on == on]:
            info = await self._cared_for(info, left, progress)
        return info

    async def current(self, info: VolumeInfo) -> VolumeInfo:
        """The volume as it is by now, open for writes. Raises: NotFoundError, UnavailableError."""
        return await self._altering.current(info)

    async def _cared_for(self, info: VolumeInfo, index: Index, progress: Filled) -> VolumeInfo:
        """Fill or sweep, as long as there is need to; whoever else does so may be faster."""
        deadline = self._altering.deadline()
        while True:
            info = await self.current(info)
            found = _same(info, index)
            if found is None or found.state == "ready":
                return info
            try:
                if info.state == "open":  # else its gates are being turned once more
                    await Filling(info, found, self._altering.writer, self._altering.lister, progress).run()
                    deadline = self._altering.deadline()  # not before: all heads may take their time
                    await self._noted(info, found, deadline)
                    continue
            except StaleError:
                deadline = self._altering.deadline()
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                if deadline.passed:
                    raise
                await deadline.pause(exc)
                continue
            await deadline.pause()

    async def _noted(self, info: VolumeInfo, index: Index, deadline: Deadline) -> None:
        """Note that it was brought to its end; not if it is another's turn by now. Raises: as `Volumes.turn`."""
        row = await self._altering.volumes.row(info, deadline)
        if row and _same(row.info, index) == index:
            ready = index.state == "building"
            to = with_index_state(row.info, index.id, "ready") if ready else without_index(row.info, index.id)
            await self._altering.volumes.turn(row, to, deadline)


def _same(info: VolumeInfo, index: Index) -> Index | None:
    return next((each for each in info.indexes if each.id == index.id), None)
