"""The names of blobs: what they say by themselves. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from ..entities import VolumeInfo
from ..errors import CatalogError
from ..paths import RESERVED, check_path

QUARANTINE: Final = ".quarantine"
"""Below a volume's root: where what is deleted on somebody's word is kept."""

_OP: Final = re.compile("[0-9A-Za-z]{1,64}")
_OURS: Final = re.compile(r"(?P<path>.+)~(?P<op>[0-9A-Za-z]+)(?:\.[A-Za-z0-9]{1,16})?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Name:
    """What a blob's name says."""

    path: str
    """Of the file whose content it was made for, or would be as a file's; empty where it can be no file's."""
    op: str
    """Of the write that made it; empty where it is no name that we choose."""


def name_of(volume: VolumeInfo, blob: str) -> Name:
    """Take a name apart; also one of a blob that lies outside the volume's root, and was adopted."""
    rest = blob.removeprefix(volume.root)
    inner = rest.removeprefix(f"{RESERVED}/")
    if blob.startswith(volume.root) and inner != rest:
        found = _OURS.fullmatch(inner)
        return Name(found["path"], found["op"]) if found and _is_path(found["path"]) else Name("", "")
    return Name(rest if _is_path(rest) else "", "")


def is_aside(volume: VolumeInfo, blob: str) -> bool:
    """Whether a blob lies in the quarantine."""
    return blob.startswith(f"{volume.root}{QUARANTINE}/")


def may_be_of(path: str, op: str) -> bool:
    """Whether there can be rows of a write of this path: what is no blob of ours may say anything."""
    return _OP.fullmatch(op) is not None and _is_path(path)


def _is_path(text: str) -> bool:
    try:
        return check_path(text) == text
    except CatalogError:
        return False
