"""How a catalog behaves: frozen values, few, given to `connect`. Units and bounds are in the names."""

from dataclasses import dataclass
from typing import Final

from .arguments import check_whole, is_number
from .errors import InvalidError

SECONDS_MAX: Final = 10**9
"""Thirty years: what is longer was meant in other units, and some operating system cannot count it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it has a default that is right for most."""

    timeout_s: float = 60
    """How long a call may wait for the services, all attempts together. Reading your content does not count.

    Where content is staged in blocks, each block that gets through begins it anew: it is how long nothing may move.
    """
    request_timeout_s: float = 20
    """How long one request may take before it is given up, and its outcome looked up."""
    connect_timeout_s: float = 10
    """How long it may take to open a connection, TLS included."""
    silence_timeout_s: float = 5
    """How long to go on where nothing answers at all: a wrong address, or a service that is being restarted."""
    transfers_max: int = 64
    """Contents on their way at the same time, at most: as many of them as make it faster, and fewer where the service
    is too busy.
    """
    buffer_bytes: int = 64 << 20
    """Content held in memory at the same time, beyond what callers hold themselves."""
    one_shot_bytes: int = 8 << 20
    """Content up to this size is one put; larger content is staged in blocks first."""
    block_bytes: int = 8 << 20
    """The size of a staged block."""
    concurrency_max: int = 256
    """Items of `put_many` under way at the same time. `ingest` has its own measure: what fills transactions."""
    hosts_allowed: tuple[str, ...] = ()
    """Host suffixes to trust beside Azure's own, such as `blob.example.com`."""

    def __post_init__(self) -> None:
        """Raises: InvalidError for a time or number that cannot be meant."""
        for name in ("timeout_s", "request_timeout_s", "connect_timeout_s", "silence_timeout_s"):
            _check_seconds(name, getattr(self, name))
        for name in ("transfers_max", "buffer_bytes", "one_shot_bytes", "block_bytes", "concurrency_max"):
            check_whole("settings", name, getattr(self, name), least=1)


def check_timeout(timeout_s: float | None) -> None:
    """Raises: InvalidError for a call's own time-out that is no positive, finite number of seconds."""
    if timeout_s is not None:
        _check_seconds("timeout_s", timeout_s)


def _check_seconds(name: str, value: object) -> None:
    if not is_number(value) or not 0 < value <= SECONDS_MAX:
        rule = f"a positive number of seconds, finite and up to {SECONDS_MAX:,}"
        raise InvalidError(f"{name} is {rule}, not {value!r}", op="settings")
