"""A volume that is to be made: what it may be called, and which volumes are in its way. Pure."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from .arguments import check_flags
from .entities import VolumeInfo
from .errors import ConflictError, InvalidError
from .keys import check_shards
from .paths import check_path

ROOT_CHARACTERS_MAX: Final = 200
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")


def check_volume_name(name: str) -> str:
    """Raises: InvalidError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        rule = "a lower-case letter, then up to 30 lower-case letters, digits and hyphens"
        raise InvalidError(f"a volume's name is {rule}, not {name!r}", op="volume")
    return name


def check_root(root: str) -> str:
    """Raises: InvalidError for what is no prefix of blobs."""
    if not isinstance(root, str) or not root.endswith("/") or len(root) > ROOT_CHARACTERS_MAX:
        rule = f"ends in / and has at most {ROOT_CHARACTERS_MAX} characters"
        raise InvalidError(f"a volume's root {rule}; {root!r} does not", op="create_volume")
    check_path(root[:-1])
    return root


@dataclass(frozen=True, slots=True)
class Wanted:
    """A volume that is to be made."""

    name: str
    layout: str
    shards: int
    root: str
    change_log: bool = False


def check_new(name: str, layout: str, shards: int, root: str | None, *, change_log: bool = False) -> Wanted:
    """Raises: InvalidError."""
    check_flags("create_volume", change_log=change_log)
    check_volume_name(name)
    check_shards(shards)
    if layout != "immutable":
        raise InvalidError(f"layout is 'immutable', not {layout!r}", op="create_volume", key=name)
    return Wanted(name, layout, shards, check_root(f"{name}/" if root is None else root), change_log)


def existing(wanted: Wanted, there: Iterable[VolumeInfo], *, exist_ok: bool, ours: Container[str]) -> VolumeInfo | None:
    """The volume of that name: as wanted, or made by this very call, or one whose deletion has to be ended first.

    Raises: ConflictError.
    """
    for other in there:
        if other.epoch in ours:
            return other
        if other.name == wanted.name:
            if other.state != "open":
                return other
            if exist_ok and wanted == _as_wanted(other):
                return other
            raise is_there(wanted, other, exist_ok=exist_ok)
        if other.root.startswith(wanted.root) or wanted.root.startswith(other.root):
            message = f"root {wanted.root!r} overlaps with root {other.root!r} of volume {other.name!r}"
            raise ConflictError(message, found=other.root, op="create_volume", key=wanted.name, kind="conflict.root")
    return None


def _as_wanted(there: VolumeInfo) -> Wanted:
    return Wanted(there.name, there.layout, there.shards, there.root, there.changes_since is not None)


def is_there(wanted: Wanted, other: VolumeInfo, *, exist_ok: bool) -> ConflictError:
    """What is said where another volume has that name: where it might have been as wanted, what differs."""
    pairs = list(zip(_settings(wanted), _settings(_as_wanted(other)), strict=True))
    differing = [pair for pair in pairs if pair[0] != pair[1]] if exist_ok else pairs
    expected, found = (" and ".join(each) for each in zip(*differing, strict=True))
    message = f"volume {wanted.name!r} is there already"
    if exist_ok:
        message += f", with other settings: wanted {expected}, found {found}"
    return ConflictError(
        message, expected=expected, found=found, op="create_volume", key=wanted.name, kind="conflict.exists"
    )


def _settings(each: Wanted) -> tuple[str, ...]:
    shards = f"{each.shards} shard{'s' if each.shards > 1 else ''}"
    return f"layout {each.layout}", shards, f"root {each.root}", "a change log" if each.change_log else "no change log"
