"""The blobs of a container as a listing tells of them, to its end; and whether others have any where a volume is to be.

A listing that breaks is begun again, and goes on behind the last name that was seen. So all rests on the order of
names: in another one, blobs would be skipped silently. Hence the order is checked.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import cast

from storage import Blob, ContentStore

from .adoption import is_ours
from .errors import InvalidError, UnavailableError
from .retry import Deadline

FirstForeign = Callable[[str, Sequence[str], Deadline], Awaitable[Blob | None]]
"""As `first_foreign`, of some store."""


async def listed(store: ContentStore, prefix: str, begin: Callable[[], Deadline]) -> AsyncGenerator[Blob, None]:
    """The blobs with a prefix, in order of name. The time limit begins anew with each.

    Raises: UnavailableError, NotFoundError (no container), AccessDeniedError, InvalidError (the store lists in another
    order, or is one of a hierarchical account).
    """
    last: str | None = None
    deadline = begin()
    while True:
        before = ""
        listing = cast("AsyncGenerator[Blob, None]", store.list(prefix))  # it is one
        try:
            async with aclosing(listing) as blobs:
                while (blob := await deadline.read(lambda blobs=blobs: anext(blobs, None))) is not None:  # type: ignore[misc]
                    deadline = begin()
                    if blob.name < before:
                        raise _unordered(blob.name, before)
                    before = blob.name
                    if last is None or blob.name > last:
                        last = blob.name
                        yield blob
            return
        except UnavailableError as exc:
            await deadline.pause(exc)
            if deadline.passed:
                raise deadline.expired(exc) from exc


async def first_foreign(store: ContentStore, prefix: str, roots: Sequence[str], deadline: Deadline) -> Blob | None:
    """The first blob with a prefix that `adopt` would take for another's; None where there is none.

    One request, unless blobs of catalogs come first. Raises: as `listed`.
    """
    async with aclosing(listed(store, prefix, lambda: deadline)) as blobs:
        async for blob in blobs:
            if not is_ours(blob, roots):
                return blob
    return None


def _unordered(name: str, before: str) -> InvalidError:
    message = f"the store lists {name!r} behind {before!r}: that is not the order of names, so nothing rests on it"
    return InvalidError(message, op="list", key=name, kind="invalid.unordered")
