"""ObservedContent: a ContentStore that tells of each request. For those who listen; others have the store itself."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, cast

from .abilities import Keeps, Touches, unsupported
from .content import (
    WHOLE,
    Always,
    Blob,
    Blocks,
    Capabilities,
    ContentStore,
    Headers,
    IfMatch,
    Opened,
    Precondition,
    Span,
)
from .errors import CatalogError
from .events import Listen, RequestEvent

T = TypeVar("T")

STOPPED: Final = "cancelled"


class Observation:
    """One request under way. As a context manager it tells of its end, however it ends."""

    __slots__ = ("_key", "_listen", "_op", "_port", "_start", "count", "real")

    def __init__(self, listen: Listen, port: Literal["table", "content"], op: str, key: str, count: int = 0) -> None:
        self.count = count
        self.real = True  # False: no request was sent after all
        self._listen = listen
        self._port = port
        self._op = op
        self._key = key

    def __enter__(self) -> Self:
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.real:
            return
        spent = perf_counter() - self._start
        self._listen(
            RequestEvent(
                port=self._port,
                op=self._op,
                key=self._key,
                count=self.count,
                duration_s=spent,
                error=_word(exc),
            )
        )


def _word(exc: BaseException | None) -> str:
    if exc is None:
        return ""
    if isinstance(exc, CatalogError):
        return exc.kind
    return type(exc).__name__ if isinstance(exc, Exception) else STOPPED


class ObservedContent:
    """The port `storage.content.ContentStore` over another one."""

    def __init__(self, store: ContentStore, listen: Listen) -> None:
        self._store = store
        self._listen = listen

    def __repr__(self) -> str:
        return repr(self._store)

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    async def create(self) -> None:
        await self._told("create", "", self._store.create())

    async def stage(self, name: str, block: str, data: bytes) -> None:
        await self._told("stage", name, self._store.stage(name, block, data), len(data))

    async def put(self, name: str, content: bytes | Blocks, *, when: Precondition, headers: Headers) -> str:
        size = 0 if isinstance(content, Blocks) else len(content)
        return await self._told("put", name, self._store.put(name, content, when=when, headers=headers), size)

    @asynccontextmanager
    async def open(self, name: str, *, span: Span = WHOLE, when: Precondition = Always()) -> AsyncIterator[Opened]:
        with Observation(self._listen, "content", "open", name) as told:
            async with self._store.open(name, span=span, when=when) as opened:
                yield Opened(opened.blob, _counted(opened.chunks, told))

    async def stat(self, name: str) -> Blob:
        return await self._told("stat", name, self._store.stat(name))

    async def delete(self, name: str, *, when: Precondition) -> None:
        await self._told("delete", name, self._store.delete(name, when=when))

    async def keep(self, name: str, *, when: IfMatch) -> str:
        """See `abilities.Keeps`. Raises: InvalidError (the store beneath is none)."""
        if not isinstance(self._store, Keeps):
            raise unsupported(self._store, "keep", name)
        return await self._told("keep", name, self._store.keep(name, when=when))

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        """See `abilities.Touches`. Raises: InvalidError (the store beneath is none)."""
        if not isinstance(self._store, Touches):
            raise unsupported(self._store, "touch", name)
        return await self._told("touch", name, self._store.touch(name, headers=headers, when=when))

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        with Observation(self._listen, "content", "list", prefix) as told:
            async with aclosing(cast("Any", self._store.list(prefix))) as blobs:
                async for blob in blobs:
                    told.count += 1
                    yield blob

    async def close(self) -> None:
        await self._store.close()

    async def _told(self, op: str, key: str, request: Awaitable[T], count: int = 0) -> T:
        with Observation(self._listen, "content", op, key, count):
            return await request


async def _counted(chunks: AsyncIterator[bytes], told: Observation) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        told.count += len(chunk)
        yield chunk
