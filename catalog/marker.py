"""The service's time: that of a marker just written. Labels and patience are compared with it, never with our clock."""

from contextlib import aclosing

from .commit import Unit
from .entities import VolumeInfo
from .exchange import gate_merge, gate_of
from .keys import GATES
from .listing import Lister
from .table import RefusedError
from .writer import Writer


async def service_time(volume: VolumeInfo, key: str, writer: Writer, lister: Lister) -> int:
    """The time in a shard's partition, in microseconds. The marker changes nothing: nobody depends on a gate's etag.

    A gate that is gone went with its generation of the settings: then the gate of the volume as it is now.
    Raises: UnavailableError, NotFoundError (the volume is gone), AccessDeniedError.
    """
    deadline = writer.deadline()
    while True:
        unit = Unit((gate_merge(volume),))
        try:
            written = await deadline.retried(lambda unit=unit: writer.committer.lane(key).commit(unit))  # type: ignore[misc]
        except RefusedError as exc:
            if deadline.passed:
                raise deadline.expired(exc) from exc
            current = await writer.current(volume, deadline)
            if current.generation == volume.generation:  # others are turning it, and have not come to this shard
                async with aclosing(lister.rows(key, GATES)) as gates:
                    if await anext(gates, None) is None:
                        raise  # it is lost
                await deadline.pause()
            volume = current
            continue
        if written[0].timestamp is not None:
            return written[0].timestamp
        entity = await deadline.retried(lambda gate=gate_of(volume): lister.table.get(key, gate))  # type: ignore[misc]
        return entity.timestamp if entity else 0
