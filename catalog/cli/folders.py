"""Where a command wants a file and was given a folder: nothing is stored for one, so what to do instead is said."""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from .. import Volume


def check_file(path: str, instead: str) -> None:
    """Raises: UsageError for a path that ends in `/`, with the command line that does what was meant."""
    if path.endswith("/"):
        raise UsageError(f"{path} is a folder, and this takes a file's path", instead)


@asynccontextmanager
async def known_folder(volume: "Volume", path: str, as_of: "datetime | None" = None) -> AsyncIterator[None]:
    """Where there is no file, look once for a folder of that name: its slash may have been forgotten.

    Raises: what is raised inside; NotFoundError of the kind "not-found.folder" instead, where there is one.
    """
    from ..errors import NotFoundError

    try:
        yield
    except NotFoundError as exc:
        if exc.kind != "not-found" or not await _holds(volume, path + "/", as_of):
            raise
        raise NotFoundError(
            f"{exc.message}: {path}/ is a folder", op=exc.op, key=path, kind="not-found.folder"
        ) from exc


async def _holds(volume: "Volume", prefix: str, as_of: "datetime | None") -> bool:
    async for _ in volume.list(prefix, as_of=as_of):  # nothing else holds on to the walk: to stop reading ends it
        return True
    return False


def check_transfer(verb: str, source: str, target: str) -> None:
    """The same for `cp` and `mv`. Raises: UsageError."""
    if source.endswith("/"):
        each = f'"{_bare(target)}${{f#{_bare(source)}}}"'
        line = f'blobcat ls -r {shlex.quote(source)} | while IFS= read -r f; do blobcat {verb} "$f" {each}; done'
        raise UsageError(f"{source} is a folder, and {verb} takes one file", line)
    check_file(target, f"blobcat {verb} {shlex.quote(source)} {shlex.quote(target + source.rpartition('/')[2])}")


def _bare(folder: str) -> str:
    """A folder as it stands between double quotes of a shell."""
    return "".join("\\" + each if each in '\\"$`' else each for each in folder.rstrip("/") + "/")
