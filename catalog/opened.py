"""What an open catalog is made of: put together around its two ports, and closed."""

import getpass
import os
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from ulid import ULID

from storage import ContentStore
from storage.observed import ObservedContent

from .altering import Altering
from .backends import Backend
from .blob_listing import first_foreign
from .entities import VolumeInfo
from .errors import InvalidError
from .events import Listener, OnEvent
from .indexing import Indexing
from .listing import Lister
from .load import Loading
from .log_switch import LogSwitch
from .observed import ObservedTable
from .origin import Origin
from .readable import Tools
from .reader import Readers
from .reconciling import Reconciling
from .recovery import Recovery
from .registry import Volumes
from .removal import Removal
from .retry import Clock, Deadline, SystemClock, ToldClock
from .settings import Settings
from .table import Table
from .threads import Threads, end
from .tracing import traced
from .uploads import Uploads
from .volume import Volume
from .writer import Writer

THREADS: Final = 8  # for digests and the caller's files; adapters bring their own
WRITER_CHARACTERS_MAX: Final = 200


class OpenedCatalog:
    """The parts of a catalog, and how they end. Sends nothing until it is asked."""

    def __init__(
        self,
        table: Table,
        content: ContentStore,
        *,
        settings: Settings = Settings(),
        writer: str | None = None,
        clock: Clock = SystemClock(),
        new_id: Callable[[], str] = lambda: str(ULID()),
        credential: Any = None,
        on_event: OnEvent | None = None,
        origin: Origin | None = None,
        threads: Executor | None = None,
    ) -> None:
        self._table = table
        self._content = content
        self._credential = credential
        self._settings = settings
        self._listener = Listener(on_event)
        self._clock = clock = ToldClock(clock, self._listener)
        if self._listener.requests:  # nobody else pays for what nobody hears
            table, content = ObservedTable(table, self._listener), ObservedContent(content, self._listener)
        self._owns_threads = threads is None
        self._threads = threads or Threads(THREADS, thread_name_prefix="blobcat")
        lister = Lister(table, settings, clock)
        self._volumes = Volumes(lister, self._deadline, new_id, first_foreign=partial(first_foreign, content))
        self._writer = Writer(
            table=table,
            content=content,
            uploads=Uploads(content, self._threads, settings),
            settings=settings,
            clock=clock,
            new_id=new_id,
            name=check_writer(writer) if writer is not None else f"{_user()}@{socket.gethostname()}:{os.getpid()}",
            reload=self._reloaded,
        )
        self._recovery = Recovery(self._writer, lister)
        self._removal = Removal(self._volumes, self._recovery, lister)
        self._loading = Loading(
            self._writer,
            self._volumes,
            self._removal,
            threads=self._threads,
            settings=settings,
            clock=clock,
            new_id=new_id,
        )
        altering = Altering(self._volumes, self._removal, self._writer, lister)
        self._readers = readers = Readers(content, self._threads, settings, clock)
        self._tools = Tools(
            self._writer,
            readers,
            lister,
            self._threads,
            settings,
            content,
            self._content,
            self._volumes.enrol,
            Indexing(altering),
            LogSwitch(altering),
        )
        self._reconciling = Reconciling(
            self._volumes, self._writer, self._recovery, lister, content, self._threads, settings, clock, origin
        )
        self._create_table, self._create_container = table.create, content.create
        self._volume_type = traced(Volume)

    def __repr__(self) -> str:
        return f"<Catalog of {self._table!r} and {self._content!r}>"

    async def close(self) -> None:
        """Close connections, threads and files. May be called twice; `async with connect(…)` does it.

        One that cannot be closed keeps no other open. Afterwards no thread is left, except one that a file object of
        the caller's holds for more than a second. Raises: whatever the last one that could not be closed raises.
        """
        async with AsyncExitStack() as closing:
            if self._owns_threads:
                closing.push_async_callback(end, self._threads)
            closing.push_async_callback(Backend(self._table, self._content, self._credential).close)
            closing.push_async_callback(self._writer.close)
            closing.push_async_callback(self._readers.close)

    async def _reloaded(self, info: VolumeInfo, deadline: Deadline) -> VolumeInfo:
        """A volume as it is by now, open for writes. Raises: NotFoundError, UnavailableError."""
        now = await self._volumes.reload(info, deadline)
        if now.state == "open":
            return now
        await self._removal.help_along(now, deadline)
        return await self._volumes.reload(info, deadline)

    def _deadline(self, timeout_s: float | None = None) -> Deadline:
        return Deadline(self._clock, self._settings, timeout_s)


def check_writer(writer: str) -> str:
    """Raises: InvalidError for what is no name."""
    if not isinstance(writer, str) or not writer.isprintable() or not 0 < len(writer) <= WRITER_CHARACTERS_MAX:
        rule = f"1 to {WRITER_CHARACTERS_MAX} printable characters"
        raise InvalidError(f"a writer's name is {rule}, not {writer!r}", op="connect")
    return writer


def _user(asked: Callable[[], str] = getpass.getuser) -> str:
    try:
        return asked()
    except (KeyError, OSError):  # no entry for this uid, as in many containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
