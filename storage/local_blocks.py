"""Blocks that were staged in a local store, on their way to becoming a blob. They live and die with this process.

Blocks of one name are written into one file, each at its own offset, in the order in which they were asked for, several
at once. If a put then names exactly these blocks in this order, as an upload does, that file is the blob and no byte is
copied. Otherwise the blocks are copied into a new file, by the kernel where it can.

A part is such a file. Writers and copies use it at the same time, and the last of them closes it, so that nobody writes
to a descriptor that is another file's by now. `Staged` keeps the books under one lock, held for no I/O; a put holds
the lock of its assembly from its choice of blocks to its outcome, so that of two puts of the same blocks the second
finds them gone.
"""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from .errors import InvalidError
from .local_files import Files

COPY_BYTES: Final = 1 << 20


class Part:
    """A file in staging that blocks are written into. `size` is what was promised to them."""

    def __init__(self, files: Files) -> None:
        self.token = ""
        self.size = 0
        self._files = files
        self._descriptor: int | None = None
        self._users = 0
        self._dropped = False
        self._lock = threading.Lock()

    @contextmanager
    def used(self) -> Iterator[int | None]:
        """The descriptor, open until the end of this; None if the part was dropped. Raises: OSError."""
        with self._lock:
            if self._descriptor is None and not self._dropped:
                self.token, self._descriptor = self._files.create()
            self._users += 1
            descriptor = None if self._dropped else self._descriptor
        try:
            yield descriptor
        finally:
            with self._lock:
                self._users -= 1
                self._close_after_last()

    def drop(self, *, keep: bool) -> None:
        """No new users. The file is removed, unless it is to be kept: it is a blob's now, or may be."""
        with self._lock:
            self._dropped = True
            self._close_after_last()
        if self.token and not keep:
            self._files.remove(self.token)

    def _close_after_last(self) -> None:
        if self._dropped and not self._users and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class MissingBlockError(InvalidError):
    """A put names a block that is not staged: it never was, or another put has used it up."""

    default_kind = "invalid.block"


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a block is, or will be."""

    part: Part
    offset: int
    size: int


@dataclass(slots=True)
class Assembly:
    """The staged blocks of one name."""

    blocks: dict[str, Extent] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    growing: Part | None = None
    """The one that takes the next block. None once a put has looked at it."""
    id_bytes: int = 0
    dropped: bool = False
    putting: threading.Lock = field(default_factory=threading.Lock)


class Staged:
    """All staged blocks of one store. Any thread may call its methods."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._assemblies: dict[str, Assembly] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Staged blocks of {len(self._assemblies)} blobs>"

    def promise(self, name: str, block: str, size: int) -> tuple[Assembly, Extent]:
        """A place for a block. Does no I/O. Raises: InvalidError (the length of its id)."""
        id_bytes = len(block.encode())
        with self._lock:
            assembly = self._assemblies.setdefault(name, Assembly(id_bytes=id_bytes))
            if assembly.id_bytes != id_bytes:
                message = f"stage {name}: all block ids of a blob have the same length, unlike {block!r}"
                raise InvalidError(message, op="stage", key=name, kind="invalid.block")
            if assembly.growing is None:
                assembly.growing = Part(self._files)
                assembly.parts.append(assembly.growing)
            extent = Extent(assembly.growing, assembly.growing.size, size)
            assembly.growing.size += size
            return assembly, extent

    def write(self, assembly: Assembly, block: str, extent: Extent, data: bytes) -> None:
        """Write a block to its place. A put that committed meanwhile has dropped it. Raises: OSError."""
        with extent.part.used() as descriptor:
            if descriptor is None:
                return
            write_at(descriptor, data, extent.offset)
        with self._lock:
            if not assembly.dropped:
                assembly.blocks[block] = extent

    @contextmanager
    def chosen(self, name: str, ids: Sequence[str]) -> Iterator[tuple[Assembly, list[Extent]]]:
        """The blocks of a put, in its order, for it alone. Raises: MissingBlockError."""
        with self._lock:
            assembly = self._assemblies.get(name) or Assembly()
        with assembly.putting:
            with self._lock:
                assembly.growing = None  # what is staged from now on is not written behind these
                missing = [block for block in ids if block not in assembly.blocks]
                extents = [] if missing else [assembly.blocks[block] for block in ids]
            if missing:
                message = f"put {name}: the block {missing[0]!r} was never staged"
                raise MissingBlockError(message, op="put", key=name)
            yield assembly, extents

    def drop(self, name: str) -> None:
        """Forget the blocks of a name that was written without them."""
        with self._lock:
            assembly = self._assemblies.get(name)
        if assembly is not None:
            with assembly.putting:
                self.drop_chosen(name, assembly)

    def drop_chosen(self, name: str, assembly: Assembly, *, keep: Part | None = None) -> None:
        """Forget blocks that a put has chosen and used. What cannot be removed keeps no other. Raises: OSError."""
        with self._lock:
            assembly.dropped = True
            assembly.blocks.clear()
            if self._assemblies.get(name) is assembly:
                del self._assemblies[name]
        with ExitStack() as dropping:
            for part in assembly.parts:
                dropping.callback(part.drop, keep=part is keep)

    def close(self) -> None:
        """Forget all blocks. What cannot be removed is not held open: the next sweep looks at it again."""
        for name in list(self._assemblies):
            with suppress(OSError):
                self.drop(name)


def whole(extents: Sequence[Extent]) -> Part | None:
    """The part that is the blob already: it holds these blocks in this order, and nothing else was promised room."""
    end = 0
    for extent in extents:
        if extent.part is not extents[0].part or extent.offset != end:
            return None
        end += extent.size
    return extents[0].part if extents and end == extents[0].part.size else None


def append(extent: Extent, target: int) -> None:
    """Copy a block to the end of a file. Raises: OSError."""
    offset, end = extent.offset, extent.offset + extent.size
    with extent.part.used() as source:
        while offset < end:
            offset += _copied(source, offset, end - offset, target)


def _copied(source: int | None, offset: int, size: int, target: int) -> int:
    """Copy some bytes, at least one."""
    if source is None:
        raise OSError(errno.EIO, "a staged block was dropped")
    try:
        copied = os.copy_file_range(source, target, size, offset)
    except (AttributeError, OSError):  # not this system, or not these disks; a full disk says so once more
        copied = os.write(target, os.pread(source, min(size, COPY_BYTES), offset))
    if not copied:
        raise OSError(errno.EIO, "a staged block is cut")
    return copied


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it. Raises: OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
