"""What happened, as values: the base of all events, and the one that both ports share.

An event says what this client saw, and when it had seen it. It never holds content, a url or a secret. The events of
names are in `catalog.events`, which re-exports these.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

LOG: Final = logging.getLogger("storage")
LOG.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    op: str
    """What was done: `put`, `submit` …"""
    key: str
    """To what: a blob's name, a partition or a path."""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent(Event):
    """A request to a service was answered, or given up. One page of a query is one; so is a whole read or listing."""

    port: Literal["table", "content"]
    count: int = 0
    """Of `submit` its operations, of `query` the rows of the page, of content the bytes that moved, of `list` blobs."""
    error: str = ""
    """The kind of its error, `cancelled`, or empty. A precondition that does not hold is an error of a request."""


Listen = Callable[[Event], None]
