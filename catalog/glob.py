"""Globs: patterns of file paths, taken apart and matched. Pure.

A pattern is matched against the whole path, segment by segment, case and all:

    *           any run of characters within a segment, also none
    ?           one character
    [a-z]       one character of a set; [!a-z] one that is not in it
    **          as a whole segment: any number of segments, also none; at the end, all that is below
    [*]         a star that means itself; so for ? and [

No name is hidden: a leading dot is a character like others. What comes before the first of these is literal, and bounds
what has to be read. A run is matched by its first fit (atomic groups), which is never worse than a later one, so no
pattern takes more than quadratic time.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .errors import InvalidError
from .paths import check_prefix, check_segment

ANY: Final = "**"
PATTERN_CHARACTERS_MAX: Final = 2000

_SPECIAL: Final = re.compile(r"[*?\[]")
_SET: Final = re.compile(r"\[([!^]?)(\][^\]]*|[^\]]+)\]")
_RANGE: Final = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_ONE: Final = "[^/]"


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern that was checked."""

    pattern: str
    literal: str
    """What every path that matches begins with."""
    _whole: re.Pattern[str]
    _leading: Sequence[re.Pattern[str]]
    """The segments before the first `**`."""
    _levels: int | None
    """How many segments every path that matches has; None where a `**` leaves it open."""

    @property
    def exact(self) -> bool:
        """Whether the pattern is a path, with nothing in it that stands for anything else."""
        return self.literal == self.pattern

    def matches(self, path: str) -> bool:
        """Whether the pattern stands for this path."""
        return self._whole.fullmatch(path) is not None

    def barren(self, path: str) -> str | None:
        """The outermost folder of a path under which nothing can match; None where there is none."""
        *folders, _ = path.split("/")
        for depth, (folder, pattern) in enumerate(zip(folders, self._leading, strict=False), 1):
            if depth == self._levels or not pattern.fullmatch(folder):
                return "/".join(folders[:depth]) + "/"
        return None


def parse_glob(pattern: str) -> Glob:
    """Take a pattern apart. Raises: InvalidError, naming what is wrong with it."""
    if not isinstance(pattern, str):
        raise InvalidError(f"a glob is a str, not {type(pattern).__name__}", op="glob")
    pattern = unicodedata.normalize("NFC", pattern)
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise _broken(pattern, f"is longer than {PATTERN_CHARACTERS_MAX:,} characters")
    found = _SPECIAL.search(pattern)
    literal = pattern[: found.start()] if found else pattern
    check_prefix(literal)
    if "\\" in pattern:
        raise _broken(pattern, "contains a backslash: use / between segments, and [*] for a star that means itself")
    segments = pattern.split("/")
    if "" in segments:
        raise _broken(pattern, "has an empty segment: a leading, trailing or double slash, or nothing at all")
    for segment in segments:
        if not _SPECIAL.search(segment):
            check_segment(pattern, segment)  # what no path has, nothing can match
    sources = [ANY if segment == ANY else _segment(pattern, segment) for segment in segments]
    leading = sources[: sources.index(ANY)] if ANY in sources else sources
    return Glob(
        pattern,
        literal,
        re.compile(_path(sources), re.DOTALL),
        [re.compile(source, re.DOTALL) for source in leading],
        None if ANY in sources else len(sources),
    )


def _path(segments: Sequence[str]) -> str:
    """Segments as one expression: each run of them behind a `**` by its first fit, the last one up to the end."""
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment == ANY:
            runs.append([])
        else:
            runs[-1].append(segment)
    first, *others = runs
    if not others:
        return "/".join(first)
    *middle, last = others
    begin = "".join(f"{segment}/" for segment in first)
    between = "".join(f"(?>(?:{_ONE}+/)*?{''.join(f'{segment}/' for segment in run)})" for run in middle if run)
    return begin + between + (f"(?:{_ONE}+/)*{'/'.join(last)}" if last else ".+")


def _segment(pattern: str, segment: str) -> str:
    """One segment as an expression: what is between stars by its first fit, the last of it up to the end."""
    if ANY in segment:
        raise _broken(pattern, f"has a ** that is not a whole segment, {segment!r}: write **/ before it, or one *")
    first, *others = _pieces(pattern, segment)
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>{_ONE}*?{piece})" for piece in middle) + f"{_ONE}*{last}"


def _pieces(pattern: str, segment: str) -> list[str]:
    """What stands between the stars."""
    pieces, at = [""], 0
    while at < len(segment):
        character = segment[at]
        if character == "[":
            found = _SET.match(segment, at)
            if not found:
                raise _broken(pattern, "has a [ without its ] in the same segment; [[] stands for a [ itself")
            pieces[-1] += _set(pattern, found[1], found[2])
            at = found.end()
            continue
        if character == "*":
            pieces.append("")
        else:
            pieces[-1] += _ONE if character == "?" else re.escape(character)
        at += 1
    return pieces


def _set(pattern: str, negated: str, members: str) -> str:
    parts = []
    for first, last, single in _RANGE.findall(members):
        if first > last:
            raise _broken(pattern, f"has a range that runs backwards, {first}-{last}")
        parts.append(re.escape(single) if single else f"{re.escape(first)}-{re.escape(last)}")
    return f"(?!/)[{'^' if negated else ''}{''.join(parts)}]"


def _broken(pattern: str, rule: str) -> InvalidError:
    return InvalidError(f"glob {pattern[:80]!a} {rule}", op="glob", key=pattern[:80], kind="invalid.glob")
