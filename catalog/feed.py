"""A caller's iterable or file object, asked for bytes in threads: it may take its time, and holds up nobody else.

One step at a time, each perhaps in another thread, all in the context of the call that began it. Small chunks of an
iterable are gathered, as many as fit into a batch and into what is wanted, so that a thread is asked less often than
the iterable. Whatever a step raises is handed over as a value: an executor's future would change a `TimeoutError`,
and stumble over a `StopIteration`.

Who stops early, or is cancelled, waits for nothing: a step that is under way is the last one, and a generator is
closed behind it. A file object is not closed; it is its owner's.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import IO, Final, cast

from .errors import InvalidError

BATCH_BYTES: Final = 64 << 10

_END: Final = object()


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a step came to. A chunk that is no bytes is for the reader to refuse."""

    chunk: object
    ended: bool = False
    error: BaseException | None = None


class Feed:
    """What a caller's own code gives, step by step."""

    def __init__(self, content: IO[bytes] | Iterable[bytes], threads: Executor, *, read_bytes: int) -> None:
        self._content = content
        self._threads = threads
        self._read_bytes = read_bytes
        self._context = copy_context()
        self._next: Callable[[], object] | None = None
        self._iterator: object = None
        self._stopped = False

    def __repr__(self) -> str:
        return f"<Feed of {type(self._content).__name__}, {'stopped' if self._stopped else 'open'}>"

    async def chunks(self, most: Callable[[], int]) -> AsyncGenerator[bytes, None]:
        """All chunks; of small ones, batches of `most()` bytes, asked each time.

        Raises: what the content does; InvalidError for a cancellation of its own.
        """
        step: Future[_Batch] | None = None
        batch = _Batch(b"")
        try:
            while not batch.ended:
                step = self._threads.submit(self._context.run, self._batch, min(most(), BATCH_BYTES))
                batch = await asyncio.wrap_future(step)
                if isinstance(batch.error, asyncio.CancelledError):  # of the content, not of whoever awaits it here
                    raise cancelled_itself() from batch.error
                if batch.error is not None:
                    raise batch.error
                yield cast("bytes", batch.chunk)
        finally:
            self._stopped = True
            if step is not None and not batch.ended:
                step.add_done_callback(lambda _: self._close_soon())
            del batch, step  # an error's traceback holds this frame

    def _batch(self, limit: int) -> _Batch:
        """Runs in a thread."""
        gathered = bytearray()
        try:
            take = self._next = self._next or self._begun()
            while len(gathered) < limit and not self._stopped:
                if (chunk := take()) is _END:
                    return _Batch(bytes(gathered), ended=True)
                if not isinstance(chunk, bytes | bytearray | memoryview) or (not gathered and len(chunk) >= limit):
                    return _Batch(chunk)
                gathered += chunk  # at once: it may be a buffer that is filled again
        except BaseException as exc:  # noqa: BLE001 — whatever it is, it is for the caller
            return _Batch(b"", ended=True, error=exc)
        return _Batch(bytes(gathered))

    def _begun(self) -> Callable[[], object]:
        read = getattr(self._content, "read", None)
        if callable(read):
            return lambda: read(self._read_bytes) or _END
        iterator = self._iterator = iter(self._content)
        return lambda: next(iterator, _END)

    def _close_soon(self) -> None:
        """In a thread, if there still is one: closing may take its time as well."""
        if not isinstance(self._iterator, Generator):
            return
        try:
            closing = self._threads.submit(self._context.run, self._close)
        except (InvalidError, RuntimeError):  # the catalog is closed, and its threads are no more; or all is at its end
            self._close_apart()
        else:
            closing.add_done_callback(
                lambda done: self._close_apart() if done.cancelled() or done.exception() else None
            )

    def _close_apart(self) -> None:
        """In a thread of its own, where there is no other: the loop, and whoever ends the others, have no time."""
        try:
            Thread(target=self._context.run, args=(self._close,), daemon=True).start()
        except RuntimeError:  # the interpreter is at its end
            self._close()

    def _close(self) -> None:
        assert isinstance(self._iterator, Generator)  # noqa: S101 — only generators are closed
        with suppress(Exception):  # nobody is left to be told
            self._iterator.close()


def cancelled_itself() -> InvalidError:
    """What is said of content that raises CancelledError though nobody cancelled its reader, who would take it so."""
    message = "content cannot be read: it raised CancelledError, though nobody cancelled the write"
    return InvalidError(message, op="put", kind="invalid.source")
