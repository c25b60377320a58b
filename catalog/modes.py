"""Write modes: what must be true of a path for a write to happen. Closed types, never pairs of optional keywords."""

from dataclasses import dataclass

from .arguments import is_whole
from .errors import InvalidError


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Whatever is there, put this in its place.

    Content and metadata that are there already make no new version, unless `force` is set.
    """

    force: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """Only where no live file is; a deleted one may be made again."""


@dataclass(frozen=True, slots=True)
class IfVersion:
    """Only on this version of a live file."""

    version: int


@dataclass(frozen=True, slots=True)
class IfMatch:
    """Only on the version of a live file that carries this etag (`FileVersion.etag`)."""

    etag: str


Mode = Overwrite | Create | IfVersion | IfMatch


def check_mode(mode: Mode) -> Mode:
    """Raises: InvalidError for what is no mode."""
    match mode:
        case Overwrite(force) if not isinstance(force, bool):
            raise InvalidError(f"force is True or False, not {force!r}", op="mode")
        case IfVersion(version) if not is_whole(version) or version < 1:
            raise InvalidError(f"IfVersion takes a version from 1 up, not {version!r}", op="mode")
        case IfMatch(etag) if not isinstance(etag, str) or not etag:
            raise InvalidError(f"IfMatch takes the etag of a FileVersion, not {etag!r}", op="mode")
        case Overwrite() | Create() | IfVersion() | IfMatch():
            return mode
    raise InvalidError(f"a mode is Overwrite(), Create(), IfVersion(n) or IfMatch(etag), not {mode!r}", op="mode")
