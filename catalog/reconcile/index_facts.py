"""What a scan keeps of indexes: the rows that heads call for, and those that are there. Pure.

Each is an entry: a path, a row's key, and a digest of its columns; and on which side it is. Where all is well they come
in pairs. What a head says that cannot be true is an entry that nothing is like.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from ..columns import parse_indexed
from ..entities import VolumeInfo
from ..indexes import columns_read, index_row
from ..keys import index_beginning
from ..rows import Entity, Values
from .facts import Facts, damaged

ENTRIES: Final = "path, row, columns, side"
WANTED, THERE = 1, -1


class Entries:
    """Makes entries of rows, by the indexes of one volume."""

    def __init__(self, volume: VolumeInfo) -> None:
        self._indexes = {index.id: index for index in volume.indexes}
        self._ready = [index.id for index in volume.indexes if index.state == "ready"]
        self.columns = ("indexed", *columns_read(volume.indexes))
        """What has to be read of a row."""

    def __repr__(self) -> str:
        return f"<Entries of {len(self._indexes)} indexes>"

    def of(self, kind: str, row: Entity) -> Iterator[Facts]:
        """Those of a row of some kind. Raises: IntegrityError, where it lacks a column."""
        try:
            if kind == "h":
                yield from self._of_head(row.values)
            elif kind == "x":
                yield (row.values["path"], row.row, _digest(row.values), THERE)
        except KeyError as exc:
            raise damaged(row, exc) from exc

    def _of_head(self, values: Values) -> Iterator[Facts]:
        marks, path = parse_indexed(values), values["path"]
        if not marks and not self._ready:
            return
        columns = _digest(values)
        for id_ in marks:
            index = self._indexes.get(id_)
            yield (path, index_row(index, values) if index else index_beginning(id_), columns, WANTED)
        if values["kind"] != "delete":
            for id_ in self._ready:
                if id_ not in marks:
                    yield (path, index_beginning(id_), "", WANTED)


def _digest(values: Values) -> str:
    told = sorted((name, value) for name, value in values.items() if name != "indexed")
    return blake2b(repr(told).encode(errors="surrogatepass"), digest_size=16).hexdigest()
