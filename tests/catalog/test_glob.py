"""Globs against a naive model, and what they refuse."""

import re
from collections.abc import Sequence
from time import monotonic

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.errors import InvalidError
from catalog.glob import parse_glob

SETS = {"[ab]": "ab", "[!a]": "", "[a-c]": "abc", "[]b]": "]b", "[*]": "*", "[-a]": "-a"}
NAMES = st.text(st.sampled_from("abc.*]-é"), min_size=1, max_size=4).filter(lambda name: not name.endswith("."))
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
TOKENS = st.sampled_from([*"abc.é]-", "*", "?", *SETS])
SEGMENTS = st.one_of(
    st.just(["**"]),
    st.lists(TOKENS, min_size=1, max_size=5).filter(
        lambda tokens: "**" not in "".join(tokens) and "".join(tokens) not in {".", ".."} and tokens[-1] != "."
    ),
)
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=5)


def stands_for(tokens: Sequence[str], name: str) -> bool:
    """Whether one segment's tokens stand for a name, tried in every way."""
    if not tokens:
        return not name
    first, rest = tokens[0], tokens[1:]
    if first == "*":
        return any(stands_for(rest, name[cut:]) for cut in range(len(name) + 1))
    if not name or not stands_for(rest, name[1:]):
        return False
    if first == "[!a]":
        return name[0] != "a"
    return first == "?" or name[0] in SETS.get(first, first)


def model(pattern: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Whether a pattern stands for a path, tried in every way."""
    if not pattern:
        return not names
    if pattern[0] == ["**"]:
        least = 1 if len(pattern) == 1 else 0
        return any(model(pattern[1:], names[cut:]) for cut in range(least, len(names) + 1))
    return bool(names) and stands_for(pattern[0], names[0]) and model(pattern[1:], names[1:])


@given(PATTERNS, PATHS)
@example([["a"], ["**"]], "a")
@example([["**"], ["**"]], "a")
@example([["**"], ["a"], ["**"], ["b"]], "a/a/b/b")
@example([["*", "a", "b"]], "aab")
def test_a_glob_matches_what_the_model_says(pattern: list[list[str]], path: str) -> None:
    glob = parse_glob("/".join(map("".join, pattern)))
    assert glob.matches(path) == model(pattern, path.split("/"))


@given(PATTERNS, PATHS)
def test_what_matches_begins_with_the_literal_and_is_in_no_barren_folder(pattern: list[list[str]], path: str) -> None:
    glob = parse_glob("/".join(map("".join, pattern)))
    if model(pattern, path.split("/")):
        assert path.startswith(glob.literal)
        assert glob.barren(path) is None


@given(PATTERNS, PATHS, PATHS)
def test_nothing_in_a_barren_folder_matches(pattern: list[list[str]], path: str, below: str) -> None:
    glob = parse_glob("/".join(map("".join, pattern)))
    if folder := glob.barren(path):
        assert path.startswith(folder)
        assert not glob.matches(folder + below)


@pytest.mark.parametrize(
    ("pattern", "literal", "exact"),
    [
        ("a/b.csv", "a/b.csv", True),
        ("a/b*", "a/b", False),
        ("2026/**/*.csv", "2026/", False),
        ("**", "", False),
        ("a[*]", "a", False),
    ],
)
def test_the_literal_part_ends_where_anything_stands_for_more(pattern: str, literal: str, exact: bool) -> None:
    glob = parse_glob(pattern)
    assert (glob.literal, glob.exact) == (literal, exact)


def test_a_glob_is_normalised_as_paths_are() -> None:
    assert parse_glob("cafe\u0301*").matches("caf\u00e9.txt")


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("", "empty segment"),
        ("/a*", "empty segment"),
        ("a*/", "empty segment"),
        ("a*//b", "empty segment"),
        ("a**", "not a whole segment"),
        ("**.csv", "not a whole segment"),
        ("[a", "without its ]"),
        ("[]", "without its ]"),
        ("[a/b]", "without its ]"),
        ("[z-a]", "runs backwards"),
        ("../*", "segment '..'"),
        ("a\\*", "backslash"),
        ("*" + "x" * 2000, "longer than"),
        (5, "is a str"),
    ],
)
def test_what_is_no_glob_is_refused_by_name(pattern: str, rule: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(rule)):
        parse_glob(pattern)


@pytest.mark.parametrize("pattern", ["*a" * 100 + "*b", "**/a/" * 50 + "b", "**/*a*a*/" * 40 + "b"])
def test_no_glob_takes_long(pattern: str) -> None:
    glob = parse_glob(pattern)
    began = monotonic()
    assert not glob.matches("a" * 500)
    assert not glob.matches("a/" * 250 + "a")
    assert monotonic() - began < 1
