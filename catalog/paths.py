"""File paths: what a path may be, checked before any request.

A path is a sequence of segments joined by `/`, in Unicode's NFC form, without a leading or trailing slash. Everything
that a disk, Azure or a person could read as another path is refused, never repaired: the only change ever made is NFC.
A prefix is the beginning of a path, cut anywhere, or empty.
"""

import re
import unicodedata

from storage.names import LONE_SURROGATE

from .errors import InvalidError, NotFoundError, TooLargeError

RESERVED = ".versions"  # where immutable volumes keep their content
SEGMENT_BYTES_MAX = 255  # what the file systems of Linux, macOS and Windows take

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NONCHARACTERS = re.compile("[\ufffe\uffff]")  # a listing of blobs is XML, which cannot say them
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_DRIVE = re.compile(r"[A-Za-z]:(?:/|$)")
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.\-]{0,99}(?<!\.)(?:/[A-Za-z0-9_-][A-Za-z0-9_.\-]{0,99}(?<!\.))*")


def check_path(path: str) -> str:
    """The path in NFC. Raises: InvalidError or TooLargeError, naming the rule that it breaks."""
    if isinstance(path, str) and _PLAIN.fullmatch(path):  # most of them, a few times faster
        return path
    path = _checked_text(path, "path")
    if not path:
        raise InvalidError("a path may not be empty", op="path")
    for segment in path.split("/"):
        check_segment(path, segment)
    return path


def check_prefix(prefix: str) -> str:
    """The prefix in NFC. Raises: InvalidError or TooLargeError, naming the rule that it breaks."""
    prefix = _checked_text(prefix, "prefix")
    *whole, _ = prefix.split("/")  # the last segment may go on
    for segment in whole:
        check_segment(prefix, segment)
    return prefix


def nothing_below(prefix: str, volume: str, *, op: str) -> NotFoundError:
    """What is raised where a prefix was named, and no file's path begins with it. An empty volume is no error."""
    return NotFoundError(f"there is nothing below {prefix!r} in volume {volume!r}", op=op, key=prefix)


def check_folder(prefix: str) -> str:
    """The prefix of what is below a folder, named with its slash or without; empty is all. Raises: InvalidError."""
    if not isinstance(prefix, str) or not prefix or prefix.endswith("/"):
        return check_prefix(prefix)
    return check_prefix(prefix + "/")


def _checked_text(path: str, what: str) -> str:
    if not isinstance(path, str):
        raise InvalidError(f"a {what} is a str, not {type(path).__name__}", op="path")
    if LONE_SURROGATE.search(path):
        raise _broken(path, "contains a lone surrogate, which is no character")
    path = unicodedata.normalize("NFC", path)
    if "\\" in path:
        raise _broken(path, "contains a backslash; use / between segments")
    if _CONTROLS.search(path):
        raise _broken(path, "contains a control character")
    if _NONCHARACTERS.search(path):
        raise _broken(path, "contains U+FFFE or U+FFFF, which are no characters")
    if _BIDI.search(path):
        raise _broken(path, "contains a bidirectional override, which makes it read as another path")
    if _DRIVE.match(path):
        raise _broken(path, "begins with a drive letter")
    if path == RESERVED or path.startswith(RESERVED + "/"):
        raise _broken(path, f"lies in {RESERVED}/, where volumes keep their content")
    return path


def check_segment(path: str, segment: str) -> None:
    """Raises: InvalidError or TooLargeError for what is no segment of any path; the path is for the message."""
    if not segment:
        raise _broken(path, "has an empty segment: a leading, trailing or double slash")
    if segment in (".", ".."):
        raise _broken(path, f"has a segment {segment!r}")
    if segment.endswith("."):
        raise _broken(path, f"has a segment that ends in a dot, {segment!r}, and Azure would strip the dot")
    if len(segment) > SEGMENT_BYTES_MAX // 4 and len(segment.encode()) > SEGMENT_BYTES_MAX:
        message = f"path {_short(path)} has a segment over {SEGMENT_BYTES_MAX} bytes"
        raise TooLargeError(message, op="path", key=path)


def _broken(path: str, rule: str) -> InvalidError:
    return InvalidError(f"path {_short(path)} {rule}", op="path", key=path)


def _short(path: str) -> str:
    return ascii(path) if len(path) <= 80 else ascii(path[:77]) + "…"  # noqa: PLR2004 — a line of a terminal
