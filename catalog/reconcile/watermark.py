"""Until when a scan has seen all versions of a shard: what lies before can only become fewer by being lost. Pure.

A version is as old as its intent: `created` is the service's stamp of that row, or just after the version before it.
Heads are read first, then intents, then versions. So at the stamp of a head that was read, every intent of before was
written, and by the time intents are read each is open, or its version is there, or it was given up. The newest stamp
of a head, but before every open intent, is the watermark: no write adds a version that is older. What a `load` brings
is: it has the dates of its dump.
"""

from dataclasses import dataclass

from ..rows import Entity


@dataclass(slots=True)
class Watermark:
    """Of one shard, as its rows pass by."""

    _newest: int = 0
    _open: int | None = None

    def passes(self, kind: str, row: Entity) -> None:
        """Told the next row, and of which kind it is."""
        if kind == "h":
            self._newest = max(self._newest, row.timestamp)
        elif kind == "i" and row.values.get("state") == "open":
            self._open = row.timestamp if self._open is None else min(self._open, row.timestamp)

    @property
    def time(self) -> int:
        """In microseconds since 1970, by the service's clock; 0 where there is no head."""
        return self._newest if self._open is None else max(0, min(self._newest, self._open - 1))
