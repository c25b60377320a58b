"""What some stores can do beyond the port: small protocols of their own, and a Capabilities to ask first.

Nobody guesses: who wants a signed url looks at `Capabilities.signed_urls`; who examines a store, or wants what it is
made of, asks whether it is one that `Examined` or `Wrapping` describes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from .content import Headers, IfMatch
from .errors import InvalidError

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
    hierarchical: bool | None = None
    """Whether the account has a hierarchical namespace."""


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
class Keeps(Protocol):
    """A store whose blobs are files, which can be damaged so that they are not read, and are kept all the same."""

    async def keep(self, name: str, *, when: IfMatch) -> str:
        """Keep what is there of a blob, for a person to look at, whatever becomes of the blob. Returns where.

        Empty where nothing is there. It may be repeated. Raises: NotFoundError, ConflictError (another etag),
        InvalidError, AccessDeniedError, UnavailableError (also where this disk has no way to keep it).
        """


@runtime_checkable
class Touches(Protocol):
    """A store that changes what is kept with a blob's bytes, and leaves the bytes."""

    async def touch(self, name: str, *, headers: Headers, when: IfMatch) -> str:
        """Give a blob these headers if it carries this etag. Returns its new etag: always another one.

        Content type and metadata are replaced, and so is the MD5; where `headers` has none, the blob keeps its own,
        as its bytes are the same. Readers that are pinned to the old etag get a conflict.

        The metadata is what counts, and it changes last: as long as it is the old one, the touch has not happened.
        Azure sets content type and MD5 in a request of their own, before it, and only if they change; whoever dies in
        between leaves a blob with the new ones, the old metadata, and an etag that nobody was told. Then a repetition
        with the old etag is a conflict, and one with the etag that is there completes it.

        Raises: ConflictError (another etag), NotFoundError (no blob, no container), InvalidError, TooLargeError,
        AccessDeniedError, UnavailableError, OutcomeUnknownError (also where half of it was done).
        """


@runtime_checkable
class Wrapping(Protocol):
    """An adapter that hands out what it is made of."""

    def unwrap(self) -> object:
        """The client of an SDK, which stays the adapter's own, or a path; None where there is neither."""


def unsupported(store: object, op: str, name: str) -> InvalidError:
    """What to raise for whoever stands before a store, and is asked for what that cannot do."""
    message = f"{op} {name}: {store!r} has no way to {op}"
    return InvalidError(message, op=op, key=name, kind="invalid.unsupported")
