"""A command's run: its options, its output, its catalog, and the one place that turns errors into exit codes."""

import gc
import inspect
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from .errors import INTERRUPTED, OK, UsageError, report
from .hints import hint_of_interruption
from .options import Common, with_common_options
from .output import Output, abandon_stdout

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from .. import Catalog, Volume

Body = Callable[..., Awaitable[int | None]]

SILENCE_S: Final = 2.0  # who mistyped an account, or has not started Azurite, should hear of it at once


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command."""

    options: Common
    output: Output

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator["Catalog"]:
        """The catalog that the options name."""
        from .. import Settings, connect
        from ..locations import AzureLocation, parse_location

        url = self.options.url
        if not url:
            raise UsageError(
                "where is the catalog? No url was given", "export BLOBCAT_URL=local:.blobcat, or pass --url"
            )
        if url.strip().lower() == "memory:":
            raise UsageError("a catalog in memory ends with its command", "keep it in a folder: --url local:FOLDER")
        check_folder(url)
        container, table = self.options.container, self.options.table
        remote = isinstance(parse_location(url, container=container, table=table), AzureLocation)
        async with connect(
            url,
            credential=(os.environ.get("BLOBCAT_CREDENTIAL") or None) if remote else None,
            container=container,
            table=table,
            settings=Settings(silence_timeout_s=SILENCE_S),
        ) as catalog:
            gc.enable()  # all is imported
            yield catalog

    @asynccontextmanager
    async def volume(self) -> AsyncIterator["Volume"]:
        """The volume that the options name, or the catalog's default one."""
        async with self.catalog() as catalog:
            yield await catalog.volume(self.options.volume)


def check_folder(url: str, option: str = "--url") -> None:
    """Raises: UsageError where the folder of a local catalog is a file, or lies in one."""
    from ..locations import LocalLocation, parse_location

    if not url.strip().lower().startswith("local:") or not isinstance(location := parse_location(url), LocalLocation):
        return
    there = next((place for place in (location.folder, *location.folder.parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        raise UsageError(f"{there} is a file, not a folder", f"give another folder: {option} local:FOLDER")


def command(body: Body) -> Callable[..., int]:
    """What typer runs for a coroutine that takes a session and its own parameters."""

    def run(ctx: typer.Context, **given: Any) -> int:
        options = Common.chosen(ctx)
        return _carried_out(body, Session(options, Output(json=options.json)), given)

    _, *own = inspect.signature(body).parameters.values()
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own)]
    run.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    run.__doc__ = body.__doc__
    return with_common_options(run)


@contextmanager
def _signals_wake(loop: "AbstractEventLoop") -> Iterator[None]:
    """A signal ends the loop's wait for events, even one that another thread got, or that came just before the wait.

    Python only notes a signal until its main thread runs again. asyncio wakes that thread for signals with handlers on
    the loop, and `asyncio.run` has Ctrl-C handled without.
    """
    import signal
    import socket
    import threading

    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield  # Windows wakes its loop; and another thread gets no signals
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        loop.add_reader(ours, ours.recv, 4096)
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(ours)


def _carried_out(body: Body, session: Session, given: dict[str, Any]) -> int:
    import asyncio

    async def whole() -> int:
        with _signals_wake(asyncio.get_running_loop()):
            return await body(session, **given) or OK

    try:
        code = asyncio.run(whole())
        session.output.flush()
    except KeyboardInterrupt:
        record = {"kind": "interrupted", "message": "interrupted", "op": "", "key": ""}
        session.output.fault("interrupted", hint_of_interruption(body.__name__), record=record)
        return INTERRUPTED
    except BrokenPipeError:
        abandon_stdout()
        return OK
    except Exception as exc:  # noqa: BLE001 — no traceback meets a person unasked
        return report(exc, session.output, debug=session.options.debug, options=session.options)
    return code
