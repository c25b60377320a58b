"""What happens in a catalog, as values: given to `connect(…, on_event=…)`, and written to the log.

Events are told synchronously, on the catalog's event loop, as soon as this client knows: a callback counts, or puts
into a queue, and returns. One that raises is logged once, and hurts nobody. An event is what was *seen*: a commit of
which the answer was lost is a request with an error, and a retry.

The log: `logging.getLogger("catalog")`, and "storage" for requests to content. Requests, retries and commits are DEBUG,
aborts and recoveries INFO, throttling and lost answers to writes WARNING. What is below the level that the loggers have
when the catalog is opened is not even looked for.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from storage.events import LOG as STORAGE_LOG
from storage.events import Event, RequestEvent

from .arguments import check_callback
from .errors import CatalogError

LOG: Final = logging.getLogger("catalog")
LOG.addHandler(logging.NullHandler())

__all__ = [
    "AbortEvent",
    "CommitEvent",
    "Event",
    "Listener",
    "OnEvent",
    "RecoveredEvent",
    "RequestEvent",
    "RetryEvent",
    "ThrottledEvent",
]

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent(Event):
    """Something is about to be sent again, or looked up, after a pause of at most `duration_s`."""

    error: str
    """The kind of the error; empty where a write starts over because others aborted it."""
    failures: int
    """How many there were in this call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottledEvent(RetryEvent):
    """The same, because the service asks to slow down (429, or 503 ServerBusy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitEvent(Event):
    """A transaction has put new versions into the catalog. `key` is the partition: a volume's epoch, and a shard."""

    operations: int
    """Of the transaction."""
    versions: int
    """New ones; deletes too."""
    size: int
    """Bytes of content that they refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortEvent(Event):
    """An op was aborted: it is not applied, and never will be. `key` is its path, `op` what it was (`put` …)."""

    id: str
    """The op's id."""
    writer: str
    """Who had begun it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredEvent(Event):
    """`recover` has settled what somebody left half-done. `key` is its path, `op` what it was."""

    id: str
    volume: str
    action: str
    """See `Recovered.action`."""


class Listener:
    """Hands events to the log, and to a callback that cannot hurt. Raises: InvalidError for a callback that is none."""

    def __init__(self, callback: OnEvent | None = None) -> None:
        check_callback("connect", "on_event", callback)
        self._callback = callback
        self._failed = False
        logged = LOG.isEnabledFor(logging.INFO) or STORAGE_LOG.isEnabledFor(logging.DEBUG)
        self.requests = callback is not None or logged
        """Whether anybody wants to hear of requests, commits and aborts."""

    def __repr__(self) -> str:
        return f"<Listener {'with' if self._callback else 'without'} a callback>"

    def __call__(self, event: Event) -> None:
        """Tell of an event. Never raises what the callback raises, unless it is an interrupt."""
        log(event)
        if self._callback is None:
            return
        try:
            self._callback(event)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a CancelledError too: whoever tells of the event is not cancelled
            if not self._failed:
                self._failed = True
                LOG.exception("on_event raised at a %s; further errors of it are not logged", type(event).__name__)

    def paused(self, error: CatalogError | None, pause_s: float, failures: int) -> None:
        """Tell of a retry."""
        kind, op, key = (error.kind, error.op, error.key) if error else ("", "", "")
        event = ThrottledEvent if kind.endswith(".throttled") else RetryEvent
        self(event(op=op, key=key, duration_s=pause_s, error=kind, failures=failures))


def log(event: Event) -> None:
    """Write an event to the log of its package."""
    at = event.op, event.key
    match event:
        case RequestEvent(port=port, duration_s=spent, count=count, error=error):
            logger = STORAGE_LOG if port == "content" else LOG
            logger.debug("%s %s: %d in %.1f ms%s", *at, count, spent * 1e3, f", {error}" if error else "")
        case ThrottledEvent(failures=failures, duration_s=pause):
            LOG.warning("%s %s: the service asks to slow down; failure %d, pause %.3f s", *at, failures, pause)
        case RetryEvent(error=error, failures=failures, duration_s=pause):
            level = logging.WARNING if error.startswith("outcome-unknown") else logging.DEBUG
            LOG.log(level, "%s %s: %s; failure %d, pause %.3f s", *at, error or "starts over", failures, pause)
        case CommitEvent(versions=versions, operations=operations):
            LOG.debug("commit %s: %d versions, %d operations", event.key, versions, operations)
        case AbortEvent(id=op, writer=writer):
            LOG.info("%s %s was aborted: op %s of %s", *at, op, writer)
        case RecoveredEvent(id=op, volume=volume, action=action):
            LOG.info("recover %s: %s %s, op %s: %s", volume, *at, op, action)
