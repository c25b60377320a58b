"""What is written where a head changes: the head, its rows in the volume's indexes, and in its change log. Pure.

Always in one transaction. `indexes` says which rows there are, and why.
"""

from collections.abc import Sequence

from .columns import file_values, head_values, indexed_values
from .entities import FileVersion, Head, VolumeInfo
from .errors import IntegrityError
from .indexes import index_row
from .keys import change_row, head_row, version_row
from .rows import Values
from .table import Delete, Insert, Operation, Replace
from .times import microseconds


class UnknownIndexError(Exception):
    """A head is in an index that the volume's settings, as they are known here, do not have: they are old.

    Where they are not, the head was edited: `as_damage`.
    """

    def __init__(self, path: str, id_: str) -> None:
        super().__init__(f"{path!r} is in an index {id_!r} of newer settings")
        self._path = path
        self._id = id_

    def as_damage(self) -> IntegrityError:
        """What it is under the settings that are in force."""
        message = (
            f"the head of {self._path!r} says that it is in index {self._id!r}, and its volume has none of that id"
        )
        return IntegrityError(f"{message}: run blobcat reconcile", op="index", key=self._path, kind="integrity.index")


def changed(volume: VolumeInfo, file: FileVersion, base: Head | None) -> tuple[Operation, ...]:
    """A new version as the head of its path, and in its history (S10). Raises: UnknownIndexError."""
    values, row = file_values(file), head_row(file.path)
    into = kept_up(volume, file)
    marked = values | indexed_values(into) if into else values
    head = Replace(row, marked, base.row_etag) if base else Insert(row, marked)
    written = (head, Insert(version_row(file.path, file.version), values), *change_rows(volume, file))
    if not into and (base is None or not base.indexed):
        return written
    return *written, *_moved(_rows_of(volume, base) if base else (), _rows(volume, into, values), values)


def head_inserts(volume: VolumeInfo, file: FileVersion) -> tuple[Insert, ...]:
    """The head of a path that has none yet, of which the versions are there; and its rows in indexes."""
    values, into = file_values(file), kept_up(volume, file)
    head = Insert(head_row(file.path), values | indexed_values(into))
    return head, *(Insert(row, values) for row in _rows(volume, into, values))


def change_rows(volume: VolumeInfo, file: FileVersion) -> tuple[Operation, ...]:
    """A new version in the change log, if the volume has one: all of it, so that nothing else has to be read."""
    if volume.changes_since is None:
        return ()
    return (Insert(change_row(microseconds(file.created), file.path), file_values(file)),)


def rewritten(volume: VolumeInfo, before: Head, after: Head) -> tuple[Operation, ...]:
    """A head of the same version, with something about it changed. The head comes first. Raises: UnknownIndexError."""
    values = head_values(after.file, after.claim)
    head = Replace(head_row(after.file.path), values | indexed_values(after.indexed), before.row_etag)
    there, wanted = _rows_of(volume, before), _rows(volume, after.indexed, values)
    if values == head_values(before.file, before.claim):  # what is there is as it is to be
        kept = {*there} & {*wanted}
        there, wanted = ([row for row in rows if row not in kept] for rows in (there, wanted))
    return head, *_moved(there, wanted, values)


def kept_up(volume: VolumeInfo, file: FileVersion) -> tuple[str, ...]:
    """The indexes that a write gives its version a row in."""
    if not volume.indexes or file.kind == "delete":
        return ()
    return tuple(index.id for index in volume.indexes if index.state != "dropping")


def _rows_of(volume: VolumeInfo, head: Head) -> Sequence[str]:
    return _rows(volume, head.indexed, file_values(head.file)) if head.indexed else ()


def _rows(volume: VolumeInfo, ids: Sequence[str], values: Values) -> Sequence[str]:
    known = {index.id: index for index in volume.indexes}
    for id_ in ids:
        if id_ not in known:
            raise UnknownIndexError(str(values["path"]), id_)
    return [index_row(known[id_], values) for id_ in ids]


def _moved(before: Sequence[str], after: Sequence[str], values: Values) -> tuple[Operation, ...]:
    """What makes rows that are there into those that are to be. They have no etags to ask for: the head's is asked."""
    gone = tuple(Delete(row) for row in before if row not in after)
    return *gone, *(Replace(row, values) if row in before else Insert(row, values) for row in after)
