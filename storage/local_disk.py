"""The blocking half of a local store: the order in which files and index change, and what a kill in between costs.

    put      file complete in staging   | commit the row   | move the file   | remove the one it replaces
    delete                              | commit           |                 | remove the file
    a kill   leaves a staged file:      | leaves it to be moved, or removed:
             removed by the next sweep  | done by the next sweep

Writes that come together take each of these steps for all of them before the next one, with one commit. What fails for
one of them fails for that one alone; a commit that fails, for all.

What fails before the commit raises and leaves nothing; what fails after it is put off, since the blob is there, and a
reader finds its file in staging too. A commit of unknown outcome leaves its file to the sweep, which asks the index.

A sweep runs before a store's first write: it settles the sessions of dead processes, and removes what is garbage.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from pathlib import Path

from .content import Always, Blob, Blocks, Headers, Precondition, Span
from .errors import IntegrityError
from .local_blocks import Assembly, Extent, MissingBlockError, Part, Staged, append, whole
from .local_errors import leaves_unknown
from .local_files import Files, place_of, token_of
from .local_index import Index, Outcome
from .local_reading import Reading
from .local_rows import Kept
from .local_writes import Begun, Put, Write


class Disk:
    """A store in a directory. All methods block, and any thread may call them. Constructing does no I/O.

    Raises: beside our own tree OSError, sqlite3.Error and CommitError, for `local_errors.explaining`.
    """

    def __init__(self, directory: Path, *, full: bool, busy_timeout_s: float, flushing: Executor | None = None) -> None:
        """`flushing`: the threads that wait for the disk, for several files of a transaction side by side."""
        synchronous = "FULL" if full else "NORMAL"
        self.files = Files(directory, full=full)
        self.index = Index(directory / "content.db", busy_timeout_s=busy_timeout_s, synchronous=synchronous)
        self.staged = Staged(self.files)
        self._side_by_side = map if flushing is None else flushing.map
        self._unmoved: list[str] = []
        self._swept = False
        self._sweeping = threading.Lock()

    def create(self) -> None:
        """Make the store where it is not; sweep it where it is."""
        with self.files.creating():
            self.index.create()
        self._begin()

    def stage(self, assembly: Assembly, block: str, extent: Extent, data: bytes) -> None:
        """Write a block to the place that `staged.promise` gave it."""
        self._begin()
        self.staged.write(assembly, block, extent, data)

    def write(self, writes: Sequence[Write]) -> Sequence[str | Exception]:
        """Several writes by one transaction, as if one after the other. What became of each: its etag, or its error."""
        self._begin()
        each_by = self._side_by_side if len(writes) > 1 else map  # one that is alone may be on one of those threads
        begun = list(each_by(self._begun, writes))
        ready = [each for each in begun if isinstance(each, Begun)]
        outcomes = iter(self._committed(ready) if ready else ())
        return [
            self._ended(write.name, each, next(outcomes)) if isinstance(each, Begun) else each
            for write, each in zip(writes, begun, strict=True)
        ]

    def put_bytes(self, name: str, data: bytes, when: Precondition, headers: Headers) -> str:
        """Write a blob of bytes that are all here. Returns its etag."""
        (outcome,) = self.write([Put(name, data, when, headers)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def put_blocks(self, name: str, blocks: Blocks, when: Precondition, headers: Headers) -> str:
        """Write a blob of staged blocks. Returns its etag. Its condition comes before its blocks, as on Azure."""
        self._begin()
        try:
            return self._put_chosen(name, blocks, when, headers)
        except MissingBlockError:
            self.index.check_put(name, when)  # another copy of this put may have used them up
            raise

    def _put_chosen(self, name: str, blocks: Blocks, when: Precondition, headers: Headers) -> str:
        with self.staged.chosen(name, blocks.ids) as (assembly, extents):
            size = sum(extent.size for extent in extents)
            part = whole(extents)
            token = self._flushed(part) if part else self._joined(extents)
            kept = Kept(Blob(name, size, token, headers), place_of(name, token))
            try:
                replaced = self.index.put(kept, when)
            except BaseException as exc:
                if part is None:
                    self._undo(token, exc)
                elif leaves_unknown(exc):
                    self.staged.drop_chosen(name, assembly, keep=part)
                raise
            self._tidy(kept.file, replaced)
            with suppress(OSError):  # what is left the next sweep removes
                self.staged.drop_chosen(name, assembly, keep=part)
            return token

    def open(self, name: str, span: Span, when: Precondition) -> Reading:
        """A blob and its bytes, pinned: whatever happens to the name, the open file stays."""
        looked_for = ""
        while True:
            kept = self.index.get(name, when, op="open")
            descriptor = self.files.opened(kept.file)
            if descriptor is not None:
                return Reading(kept, descriptor, span)
            if kept.file == looked_for:  # not replaced, not moved: somebody else removed it
                message = f"open {name}: its file is missing: {kept.file}"
                raise IntegrityError(message, op="open", key=name, kind="integrity.missing")
            looked_for = kept.file

    def stat(self, name: str) -> Blob:
        """A blob without its bytes."""
        return self.index.get(name, Always(), op="stat").blob

    def file_of(self, name: str) -> Path:
        """Where a blob's bytes are."""
        return self.files.path_of(self.index.get(name, Always(), op="stat").file)

    def keep(self, name: str, when: Precondition) -> Path | None:
        """Keep a blob's file, however damaged."""
        return self.files.keep(self.index.get(name, when, op="keep").file)

    def close(self) -> None:
        """Remove what is staged, and let go of everything, whatever fails. No other thread may be at work."""
        with ExitStack() as closing:
            closing.callback(self.index.close)
            closing.callback(self.files.close)
            self.staged.close()
            with suppress(Exception):  # put off once more: the next sweep does it
                for file in self._unmoved:
                    self.files.settle(file)
                self.index.forget((), now=True)

    def sweep(self) -> None:
        """Settle the sessions of processes that died since this one began, and remove what is garbage."""
        self._begin()
        with self._sweeping:
            self._sweep()

    def _begin(self) -> None:
        """Before the first write: see that there is a store, begin a session, and sweep."""
        if self._swept:
            return
        with self._sweeping:
            if not self._swept:
                self.index.check()
                self.files.begin()
                self._sweep()
                self._swept = True

    def _sweep(self) -> None:
        for session in self.files.dead_sessions():
            try:
                left = session.tokens()
                files = {token_of(file): file for file in self.index.files_made_by(session.path.name)} if left else {}
                for token in left:
                    if token in files:
                        self._settle(files[token])
                    else:
                        self.files.remove(token)
            finally:
                session.end()
        for file in self.index.garbage():
            self._discard(file)

    def _begun(self, write: Write) -> Begun | Exception:
        try:
            return write.begin(self.files)
        except Exception as exc:  # noqa: BLE001 — whatever it is, it is this one's
            return exc

    def _committed(self, begun: Sequence[Begun]) -> Sequence[Outcome]:
        try:
            self.files.flush()
        except OSError as exc:
            return [exc] * len(begun)
        return self.index.commit([each.change for each in begun])

    def _ended(self, name: str, begun: Begun, outcome: Outcome) -> str | Exception:
        """After the commit, or the failure."""
        if isinstance(outcome, Exception):
            if begun.file:
                self._undo(begun.etag, outcome)
            return outcome
        self._tidy(begun.file, outcome)
        if begun.file:
            with suppress(OSError):  # blocks that nobody can use are removed with the session
                self.staged.drop(name)
        return begun.etag

    def _tidy(self, file: str | None, garbage: str | None) -> None:
        """After the commit."""
        if file is not None:
            self._settle(file)
        if garbage is not None:
            self._discard(garbage)

    def _settle(self, file: str) -> None:
        try:
            self.files.settle(file)
        except OSError:
            self._unmoved.append(file)

    def _discard(self, file: str) -> None:
        try:
            self.files.discard(file)
        except OSError:
            return  # it stays noted as garbage
        self.index.forget([file])

    def _undo(self, token: str, exc: BaseException) -> None:
        """Remove the file of a put that failed; not of one that may be committed."""
        if not leaves_unknown(exc):
            with suppress(OSError):  # what is left the next sweep removes
                self.files.remove(token)

    def _flushed(self, part: Part) -> str:
        with part.used() as descriptor:
            if descriptor is not None:
                self.files.finish(descriptor)
                self.files.flush()
        return part.token

    def _joined(self, extents: list[Extent]) -> str:
        """A new file of blocks that are not one already."""
        token, descriptor = self.files.create()
        try:
            for extent in extents:
                append(extent, descriptor)
            self.files.finish(descriptor)
            self.files.flush()
        except BaseException:
            self.files.remove(token)
            raise
        finally:
            os.close(descriptor)
        return token
