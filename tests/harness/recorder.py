"""A thin wrapper of volumes, that notes each call with its start, end and outcome: material for `history`."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count

from catalog import (
    Catalog,
    CatalogError,
    Create,
    FileVersion,
    Metadata,
    Mode,
    NotFoundError,
    OutcomeUnknownError,
    Overwrite,
    UnavailableError,
    Volume,
)
from catalog.entities import Kind
from tests.harness.history import NEVER, Call, Change, Look


def digest_of(content: bytes) -> str:
    """As versions have it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


Moment = Callable[[], Awaitable[None]]
"""What is awaited where it is noted that a call begins or ends."""


async def _at_once() -> None:
    return


@dataclass(slots=True)
class Recorder:
    """The calls of all actors, under one count of time."""

    calls: list[Call] = field(default_factory=list)
    tick: Callable[[], int] = field(default_factory=lambda: count(1).__next__)
    _tokens: dict[str, int] = field(default_factory=dict)

    def volume(
        self, actor: str, volume: Volume, *, begin: "Moment | None" = None, end: "Moment | None" = None
    ) -> "Recorded":
        """A volume as one actor sees it. `begin` is awaited before each look begins, `end` before each change ends."""
        return Recorded(self, actor, volume, begin or _at_once, end or _at_once)

    async def change(self, change: Change, call: Awaitable[FileVersion | None]) -> FileVersion:
        """Note a change; it stays unknown where its caller never learns what became of it."""
        at = len(self.calls)
        self.calls.append(change)
        try:
            outcome = await call
        except OutcomeUnknownError as error:
            self._tokens[error.token] = at
            raise
        except CatalogError as error:
            self.calls[at] = replace(change, end=self.tick(), outcome=error)
            raise
        assert outcome
        self.calls[at] = replace(change, end=self.tick(), outcome=outcome)
        return outcome

    async def resolve(self, catalog: Catalog, token: str) -> FileVersion | None:
        """Ask what became of a change, and note the answer as its outcome."""
        file = await catalog.resolve(token)
        at = self._tokens[token]
        change = self.calls[at]
        assert isinstance(change, Change)
        self.calls[at] = replace(change, end=self.tick(), outcome=file or UnavailableError("it was not applied"))
        return file


async def _stream(content: bytes) -> AsyncIterator[bytes]:
    """Content that can be read once, and whose size is not known before."""
    yield content


@dataclass(frozen=True, slots=True)
class Recorded:
    """The verbs of a volume that tests with several actors use."""

    recorder: Recorder
    actor: str
    volume: Volume
    begin: Moment = _at_once
    end: Moment = _at_once

    async def put(
        self,
        path: str,
        content: bytes,
        *,
        mode: Mode = Overwrite(),
        metadata: Metadata | None = None,
        request_id: str | None = None,
        streamed: bool = False,
    ) -> FileVersion:
        change = self._change("put", path, mode, digest=digest_of(content))
        given = _stream(content) if streamed else content
        call = self.volume.put(path, given, mode=mode, metadata=metadata, request_id=request_id)
        return await self._changed(change, call)

    async def delete(self, path: str, *, mode: Mode = Overwrite()) -> FileVersion:
        return await self._changed(self._change("delete", path, mode), self.volume.delete(path, mode=mode))

    async def set_metadata(self, path: str, metadata: Metadata, *, mode: Mode = Overwrite()) -> FileVersion:
        change = self._change("metadata", path, mode)
        return await self._changed(change, self.volume.set_metadata(path, metadata, mode=mode))

    async def restore(self, path: str, version: int, *, mode: Mode = Overwrite()) -> FileVersion:
        change = self._change("restore", path, mode)
        return await self._changed(change, self.volume.restore(path, version=version, mode=mode))

    async def copy(self, source: str, target: str, *, mode: Mode = Create()) -> FileVersion:
        change = self._change("copy", target, mode, source=source)
        return await self._changed(change, self.volume.copy(source, target, mode=mode))

    async def move(self, source: str, target: str, *, mode: Mode = Create()) -> FileVersion:
        change = self._change("move", target, mode, source=source)
        return await self._changed(change, self.volume.move(source, target, mode=mode))

    async def read(self, path: str) -> bytes:
        start = await self._begun()
        try:
            content = await self.volume.read(path)
        except NotFoundError:
            self._look(path, start)
            raise
        self._look(path, start, digest=digest_of(content))
        return content

    async def stat(self, path: str) -> FileVersion:
        start = await self._begun()
        try:
            file = await self.volume.stat(path)
        except NotFoundError:
            self._look(path, start)
            raise
        self._look(path, start, version=file.version)
        return file

    async def files(self, *paths: str) -> list[FileVersion]:
        """All files; of the given paths it is noted, too, where they are not there."""
        start = await self._begun()
        files = [file async for file in self.volume.list(recursive=True) if isinstance(file, FileVersion)]
        for file in files:
            self._look(file.path, start, version=file.version)
        for path in set(paths) - {file.path for file in files}:
            self._look(path, start)
        return files

    async def history(self, path: str) -> list[FileVersion]:
        start = await self._begun()
        files = [file async for file in self.volume.history(path)]
        self._look(path, start, version=files[0].version)
        return files

    async def _begun(self) -> int:
        await self.begin()
        return self.recorder.tick()

    async def _changed(self, change: Change, call: Awaitable[FileVersion | None]) -> FileVersion:
        return await self.recorder.change(change, self._ended(call))

    async def _ended(self, call: Awaitable[FileVersion | None]) -> FileVersion | None:
        try:
            return await call
        finally:
            await self.end()

    def _change(self, kind: Kind, path: str, mode: Mode, *, digest: str = "", source: str = "") -> Change:
        return Change(self.actor, kind, path, self.recorder.tick(), NEVER, None, mode, digest, source)

    def _look(self, path: str, start: int, *, version: int | None = None, digest: str | None = None) -> None:
        self.recorder.calls.append(Look(self.actor, path, start, self.recorder.tick(), version, digest))
