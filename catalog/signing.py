"""Signed urls: how long they may be good for, and who can make them. The store signs; nothing here is ever logged."""

from datetime import UTC, datetime, timedelta

from storage import ContentStore, Signing

from .arguments import is_number
from .entities import FileVersion
from .errors import InvalidError, NotFoundError

SHORTEST = timedelta(seconds=1)  # what a signature counts in


def expiry(expires_in: timedelta | float) -> datetime:
    """The moment that is so long from now. Raises: InvalidError for what is no time from one second up."""
    try:
        span = (
            expires_in
            if isinstance(expires_in, timedelta)
            else timedelta(seconds=expires_in if is_number(expires_in) else 0)
        )
        if span >= SHORTEST:
            return datetime.now(UTC) + span
    except OverflowError:
        pass
    message = f"expires_in is a timedelta, or seconds, from 1 s up to what a calendar holds, not {expires_in!r}"
    raise InvalidError(message, op="sign", kind="invalid.expires")


async def signed_url(store: ContentStore, file: FileVersion, expires: datetime) -> str:
    """A url that reads the content of a version until then. Raises: as `Volume.sign`."""
    if file.kind == "delete":
        message = f"version {file.version} of {file.path!r} is a delete: it has no content"
        raise NotFoundError(message, op="sign", key=file.path, kind="not-found.deleted")
    if not isinstance(store, Signing):
        message = "only a catalog on Azure signs urls: what is on this machine is read, or downloaded"
        raise InvalidError(message, op="sign", key=file.path, kind="invalid.unsupported")
    return await store.sign(file.blob, expires=expires, filename=file.path.rpartition("/")[2])
