"""What must hold of the lines of a dump together: checked as they come, and as they are written. Pure.

The header comes first and the end last; volumes follow each other as in the header, their paths in the catalog's order,
the versions of a path from 1 up without a gap. Each version's chain is computed again. So no line can be missing,
doubled, moved or changed unseen, and memory is that of one line.
"""

import hashlib
from itertools import combinations, product

from .dumped import DumpedVersion, DumpedVolume, DumpEnd, DumpHeader, DumpRecord, content_prefix
from .entities import chain
from .errors import IntegrityError
from .keys import encode


class Ledger:
    """Takes the records of a dump, in order, and the lines that they are kept in."""

    def __init__(self) -> None:
        self._volumes: dict[str, DumpedVolume] | None = None
        self._left: list[str] = []
        self._volume = ""
        self._path, self._key = "", ""
        self._version, self._chain = 0, ""
        self._paths = self._versions = 0
        self._hash = hashlib.sha256()
        self._ended = False

    def __repr__(self) -> str:
        return f"<Ledger of {self._versions:,} versions{', ended' if self._ended else ''}>"

    @property
    def begun(self) -> bool:
        """Whether the header was taken."""
        return self._volumes is not None

    @property
    def ended(self) -> bool:
        """Whether the last line was taken."""
        return self._ended

    def take(self, record: DumpRecord, line: bytes) -> None:
        """The next record, and its line. Raises: IntegrityError where it cannot follow."""
        if self._ended:
            raise _wrong("it stands after the end")
        match record:
            case DumpHeader(volumes):
                self._open(list(volumes))
            case DumpedVersion():
                self._add(record)
            case DumpEnd():
                self._close(record)
        self._hash.update(line)

    def end(self) -> DumpEnd:
        """The last record, of what was taken so far."""
        return DumpEnd(len(self._volumes or ()), self._paths, self._versions, self._hash.hexdigest())

    def _open(self, volumes: list[DumpedVolume]) -> None:
        if self._volumes is not None:
            raise _wrong("it is a second header")
        self._volumes = {each.name: each for each in volumes}
        self._left = [each.name for each in volumes]
        if len(self._volumes) != len(volumes):
            raise _wrong("a volume stands in the header twice")
        for one, other in combinations(volumes, 2):
            if one.root.startswith(other.root) or other.root.startswith(one.root):
                raise _wrong(f"roots {one.root!a} and {other.root!a} overlap")
            for ours, theirs in product(one.adopted, other.adopted):
                if ours.startswith(theirs) or theirs.startswith(ours):
                    raise _wrong(
                        f"volume {one.name!a} adopts {ours!a}, and volume {other.name!a} {theirs!a}: they overlap"
                    )

    def _add(self, record: DumpedVersion) -> None:
        file = record.file
        if self._volumes is None:
            raise _wrong("it stands before the header")
        if file.volume != self._volume:
            self._turn_to(file.volume)
        if file.path != self._path:
            key = encode(file.path)
            if key <= self._key:
                raise _wrong(f"path {file.path!a} is out of order, or there twice")
            self._path, self._key, self._version, self._chain = file.path, key, 0, ""
            self._paths += 1
        if file.version != self._version + 1:
            raise _wrong(f"version {file.version} of {file.path!a} follows version {self._version}")
        if chain(self._chain, file) != file.chain:
            raise _wrong(f"version {file.version} of {file.path!a} is not what was written: its chain does not hold")
        self._check_blob(record)
        self._version, self._chain = file.version, file.chain
        self._versions += 1

    def _turn_to(self, name: str) -> None:
        while self._left and self._left[0] != name:
            self._left.pop(0)
        if not self._left:
            raise _wrong(f"volume {name!a} is not in the header, or out of order")
        self._volume, self._path, self._key = self._left.pop(0), "", ""

    def _check_blob(self, record: DumpedVersion) -> None:
        """What a volume wrote lies below its root; what it adopted, below nobody's."""
        file, volumes = record.file, self._volumes or {}
        if not file.blob or file.blob.startswith(content_prefix(volumes[file.volume].root)):
            return
        if file.kind == "put":
            raise _wrong(f"blob {file.blob[:80]!a} is not below the volume's root {volumes[file.volume].root!a}")
        if any(file.blob.startswith(each.root) for each in volumes.values() if each.name != file.volume):
            raise _wrong(f"blob {file.blob[:80]!a} is another volume's")

    def _close(self, end: DumpEnd) -> None:
        if self._volumes is None:
            raise _wrong("it stands before the header")
        if end != self.end():
            raise _wrong("counts or sha256 are not those of the lines before: a line is missing, or was changed")
        self._ended = True


def _wrong(message: str) -> IntegrityError:
    return IntegrityError(message, op="load", kind="integrity.dump")
