"""What the system's number of a failure means, in the terms of the one error tree, for all who use a disk.

`place` says what the path is to the caller: a "folder" of a store, the "target" or the "source" of a copy. It ends the
kinds of what is wrong with the path itself. What only one caller can know, he says instead: why nothing is there, or
something.
"""

import errno
from collections.abc import Mapping
from typing import Final

from .errors import AccessDeniedError, CatalogError, InvalidError, NotFoundError, UnavailableError

Meaning = tuple[type[CatalogError], str, str]
"""The error of ours, its kind, and what to say."""

DISK: Final[Meaning] = (UnavailableError, "unavailable.disk", "the disk fails")
FULL: Final[Meaning] = (UnavailableError, "unavailable.disk-full", "the disk is full")
DENIED: Final[Meaning] = (AccessDeniedError, "access-denied.disk", "no permission")

_BY_ERRNO: Final[Mapping[int | None, Meaning]] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: (UnavailableError, "unavailable.disk-full", "the disk quota is used up"),
    errno.EFBIG: (UnavailableError, "unavailable.disk-full", "the file would be larger than is allowed here"),
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EROFS: (AccessDeniedError, "access-denied.read-only", "the disk is read-only"),
    errno.EMFILE: (UnavailableError, "unavailable.too-many-files", "this process has too many open files"),
    errno.ENFILE: (UnavailableError, "unavailable.too-many-files", "this machine has too many open files"),
}
_OF_PATHS: Final[Mapping[int | None, tuple[type[CatalogError], str]]] = {
    errno.ENOENT: (NotFoundError, "there is no such file or folder"),
    errno.EEXIST: (InvalidError, "a file is where a folder must be"),
    errno.ENOTDIR: (InvalidError, "a file is where a folder must be"),
    errno.EISDIR: (InvalidError, "a folder is there"),
    errno.ELOOP: (InvalidError, "a link is in the way, and is not followed"),
    errno.ENAMETOOLONG: (InvalidError, "the name is too long for this disk"),
}


def meaning(number: int | None, place: str, own: Mapping[int | None, Meaning] | None = None) -> Meaning:
    """What a failure means; `own` says it for the caller alone, `DISK` is all that is left to say."""
    if own and number in own:
        return own[number]
    if number in _OF_PATHS:
        error, text = _OF_PATHS[number]
        return error, f"{error.default_kind}.{place}", text
    return _BY_ERRNO.get(number, DISK)
