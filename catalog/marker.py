"""The service's time: that of a marker just written. Labels and patience are compared with it, never with our clock."""

from .columns import SCHEMA
from .commit import Unit
from .entities import VolumeInfo
from .exchange import gate_of
from .listing import Lister
from .table import Merge, RefusedError
from .writer import Writer


async def service_time(volume: VolumeInfo, key: str, writer: Writer, lister: Lister) -> int:
    """The time in a shard's partition, in microseconds. The marker changes nothing: nobody depends on a gate's etag.

    A gate that is gone went with its generation of the settings: then the gate of the volume as it is now.
    Raises: UnavailableError, NotFoundError (the volume is gone), AccessDeniedError.
    """
    gate = gate_of(volume)
    unit = Unit((Merge(gate, {"schema": SCHEMA}),))
    deadline = writer.deadline()
    try:
        written = await deadline.retried(lambda: writer.committer.lane(key).commit(unit))
    except RefusedError:
        current = await writer.current(volume, deadline)
        if current.generation == volume.generation:
            raise
        return await service_time(current, key, writer, lister)
    if written[0].timestamp is not None:
        return written[0].timestamp
    entity = await deadline.retried(lambda: lister.table.get(key, gate))
    return entity.timestamp if entity else 0
