"""Which paths of a catalog can be files of a disk, any disk, and which two of them would be one file there. Pure.

A tree that is downloaded here may be copied elsewhere tomorrow, so every system's rules hold on every system: a name
that Windows reads as a device, cuts or refuses is refused here too, and so are two paths of one run that a disk without
regard to case or normal form takes for one. A catalog is not trusted: rows may have been planted, so a path is checked
again, whatever was checked when it was written.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from .errors import InvalidError
from .paths import check_path

_DEVICES: Final = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_REFUSED: Final = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def check_name(name: str) -> str:
    """A name that is a file's on every system. Raises: InvalidError, naming the rule that it breaks."""
    if found := _REFUSED.search(name):
        raise _broken(name, f"{found[0]!a} cannot stand in a name on every system")
    if not name or name.endswith((" ", ".")):
        raise _broken(name, "a name that ends in a space or a dot loses it on some systems")
    if name.partition(".")[0].rstrip().casefold() in _DEVICES:
        raise _broken(name, "it is a device on some systems")
    return name


def parts_of(path: str, prefix: str) -> Sequence[str]:
    """The folders and the name of a path below a prefix. Raises: InvalidError where it is none, or no disk's path."""
    if check_path(path) != path or not path.startswith(prefix):
        message = f"path {path!a} is not what a catalog says: not in its normal form, or not below {prefix!a}"
        raise InvalidError(message, op="download", key=path, kind="invalid.name")
    return [check_name(part) for part in path[len(prefix) :].split("/")]


class Places:
    """The files of one run, and their folders, as a disk sees them that ignores case and normal form."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: set[str] = set()

    def __repr__(self) -> str:
        return f"<Places: {len(self._files)} files, {len(self._folders)} folders>"

    def take(self, path: str, parts: Sequence[str]) -> None:
        """Take a file's place. Raises: InvalidError where another path of this run has it, or needs a folder there."""
        *folders, place = _grown(_folded("/".join(parts)))
        taken = next((self._files[each] for each in (*folders, place) if each in self._files), None)
        if taken is not None or place in self._folders:
            other = f"{taken!a}" if taken is not None else "the folder of another file"
            message = f"{path!a} and {other} are one name on a disk that ignores case, or a file and a folder"
            raise InvalidError(message, op="download", key=path, kind="invalid.collision")
        self._files[place] = path
        self._folders.update(folders)


def _folded(text: str) -> str:
    """Equal for texts that some disk takes for equal: Unicode's canonical caseless matching, and upper case as well."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).upper().casefold())


def _grown(place: str) -> Sequence[str]:
    ends = [index for index, character in enumerate(place) if character == "/"]
    return [*(place[:end] for end in ends), place]


def _broken(name: str, rule: str) -> InvalidError:
    return InvalidError(
        f"{name!a} is no file's name on every system: {rule}", op="download", key=name, kind="invalid.name"
    )
