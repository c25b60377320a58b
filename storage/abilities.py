"""What some stores can do beyond the port: small protocols of their own, and a Capabilities to ask first.

Nobody guesses: who wants a signed url looks at `Capabilities.signed_urls`; who examines a store, or wants what it is
made of, asks whether it is one that `Examined` or `Wrapping` describes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

CredentialKind = Literal["account key", "SAS", "token", "none"]


@runtime_checkable
class Signing(Protocol):
    """A store that lets others read a blob by a url, for a while."""

    async def sign(self, name: str, *, expires: datetime, filename: str = "") -> str:
        """A url that reads one blob until `expires`, and does nothing else. `filename`: as what browsers save it.

        It may ask the service for a key to sign with; a repetition harms nothing.
        Raises: InvalidError (this credential cannot sign, or not for so long), AccessDeniedError, UnavailableError.
        """


@dataclass(frozen=True, slots=True)
class Examination:
    """What a store knows of itself and its account. None is for what it may not know."""

    endpoint: str
    encrypted: bool
    """Whether what is sent to it is."""
    loopback: bool
    credential: CredentialKind
    soft_delete_days: int | None
    """For how many days a deleted blob can be brought back; 0 where it cannot."""


@runtime_checkable
class Examined(Protocol):
    """A store that can be looked over."""

    async def examine(self) -> Examination:
        """Ask the service what it tells of itself. Raises: UnavailableError."""


@runtime_checkable
class Sweeps(Protocol):
    """A store in which processes that were killed leave files, which nobody but itself can know to be dead."""

    async def sweep(self) -> None:
        """Remove what processes that are no more have left. Raises: UnavailableError, NotFoundError (no store)."""


@runtime_checkable
class Wrapping(Protocol):
    """An adapter that hands out what it is made of."""

    def unwrap(self) -> object:
        """The client of an SDK, which stays the adapter's own, or a path; None where there is neither."""
