"""What a doctor tries with a content store: with real requests, below a prefix that holds nothing else.

Raises everywhere: BrokenPromiseError, and what the store raises.
"""

import time
from collections.abc import Callable
from typing import Final

from storage import Always, Blocks, ContentStore, Headers, IfAbsent, IfMatch, Precondition

from .diagnosis import BrokenPromiseError, Scratch, answered, promise
from .errors import ConflictError, NotFoundError
from .retry import Deadline

PREFIX: Final = ".doctor/"


class ContentChecks:
    """The checks of one store. Each returns what it found."""

    def __init__(self, content: ContentStore, deadline: Callable[[], Deadline], scratch: Scratch) -> None:
        self._content = content
        self._deadline = deadline
        self._scratch = scratch

    async def reach(self) -> str:
        """Whether it answers at all."""
        start = time.perf_counter()
        try:
            await self._deadline().retried(lambda: self._content.stat(self._blob("none")))
        except NotFoundError as exc:
            if exc.kind == "not-found.container":
                raise
        listed = aiter(self._content.list(self._blob("")))  # HEAD has no words for a missing container
        await self._deadline().wait(lambda: anext(listed, None))
        return answered(self._content, start)

    async def writes(self) -> str:
        """What is written is read again."""
        name, data = self._blob("a"), b"blobcat doctor\n"
        await self._deadline().write(lambda: self._content.put(name, data, when=IfAbsent(), headers=Headers()))
        promise(await self._read(name) == data, "a blob is not read as it was written")
        return "a blob is read as it was written"

    async def conditions(self) -> str:
        """Preconditions are heeded."""
        name = self._blob("b")
        first = await self._content.put(name, b"1", when=IfAbsent(), headers=Headers())
        await self._conflict(name, IfAbsent(), "a second put with If-None-Match is not refused")
        second = await self._content.put(name, b"2", when=IfMatch(first), headers=Headers())
        promise(first != second, "a changed blob keeps its etag")
        await self._conflict(name, IfMatch(first), "a put with an old etag in If-Match is not refused")
        try:
            await self._content.delete(name, when=IfMatch(first))
        except ConflictError:
            return "If-None-Match and If-Match are heeded"
        raise BrokenPromiseError("a delete with an old etag in If-Match is not refused")

    async def blocks(self) -> str:
        """Staged blocks become one blob."""
        name = self._blob("c")
        for block, data in (("1", b"one "), ("2", b"two")):
            await self._content.stage(name, block, data)
        await self._content.put(name, Blocks(("1", "2")), when=IfAbsent(), headers=Headers())
        promise(await self._read(name) == b"one two", "blocks are not put together as they were staged")
        return "staged blocks become one blob"

    async def listings(self) -> str:
        """What is there is listed, in order."""
        names = [self._blob(f"l{number}") for number in range(3)]
        for name in reversed(names):
            await self._content.put(name, b"x", when=IfAbsent(), headers=Headers())
        listed = [blob.name async for blob in self._content.list(self._blob("l"))]
        promise(listed == names, "a listing misses blobs, or has them in another order than that of their names")
        return "blobs are there at once, in order"

    async def _conflict(self, name: str, when: Precondition, broken: str) -> None:
        try:
            await self._content.put(name, b"x", when=when, headers=Headers())
        except ConflictError:
            return
        raise BrokenPromiseError(broken)

    async def _read(self, name: str) -> bytes:
        async with self._content.open(name, when=Always()) as opened:
            return b"".join([chunk async for chunk in opened.chunks])

    async def clean(self) -> str:
        """Remove what is ours, and what is nobody's."""
        for name in [blob.name async for blob in self._content.list(PREFIX)]:
            if self._scratch.is_rubbish(name.removeprefix(PREFIX).partition("/")[0]):
                await self._content.delete(name, when=Always())
        return ""

    def _blob(self, name: str) -> str:
        return f"{PREFIX}{self._scratch.id}/{name}"
