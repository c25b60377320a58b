"""What a path may be, and what is refused: the list of 04-testing, one by one."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InvalidError, TooLargeError
from catalog.paths import check_path, check_prefix

REFUSED = {
    "empty": "",
    "dot": ".",
    "dot dot": "..",
    "dot inside": "a/./b",
    "dot dot inside": "a/../b",
    "trailing dot": "a.",
    "trailing dot inside": "a./b",
    "leading slash": "/a",
    "trailing slash": "a/",
    "double slash": "a//b",
    "backslash": "a\\b",
    "drive": "C:/a",
    "drive alone": "c:",
    "unc": "//server/share",
    "unc backslash": "\\\\server\\share",
    "nul": "a\0b",
    "newline": "a\nb",
    "del": "a\x7fb",
    "c1": "a\x9fb",
    "lone surrogate": "a\ud800b",
    "bidi override": "a\u202eb",
    "bidi isolate": "a\u2066b",
    "noncharacter": "a\uffffb",
    "reserved": ".versions/x",
    "the reserved folder": ".versions",
}
KEPT = [
    "a",
    "A",
    "a/b",
    ".hidden",
    "..a",
    "a..b",
    "a.b.c",
    "%2F",
    "%2e%2e",
    "%2e%2e/x",
    " a",
    "a b",
    "a ",
    "emoji \U0001f600",
    "中文/文件.txt",
    "שלום",
    "h",
    "v1",
    "i01ABC",
    "g1",
    "x.versions/y",
    ".versionsx",
    "a:b:c",
    "ab:c",
    "-",
    "~",
    "a~b",
    "CON",
]


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED.keys())
def test_what_reads_as_another_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidError):
        check_path(path)


@pytest.mark.parametrize("path", KEPT)
def test_what_is_merely_unusual_is_kept(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize("mark", sorted(set(string.punctuation) - {"/", "\\"}))
def test_every_printable_mark_is_kept(mark: str) -> None:
    assert check_path(f"a{mark}b") == f"a{mark}b"


@pytest.mark.parametrize("path", [None, 1, b"a", ["a"]])
def test_what_is_no_str_is_refused(path: str) -> None:
    with pytest.raises(InvalidError, match="is a str"):
        check_path(path)
    with pytest.raises(InvalidError, match="is a str"):
        check_prefix(path)


def test_the_error_is_one_line_that_names_path_and_rule() -> None:
    with pytest.raises(InvalidError) as caught:
        check_path("a\n\u202eb/../c")
    assert str(caught.value) == r"path 'a\n\u202eb/../c' contains a control character"


def test_a_segment_holds_255_bytes() -> None:
    assert check_path("é" * 127 + "a")
    with pytest.raises(TooLargeError, match="255 bytes"):
        check_path("x/" + "é" * 128)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"], exclude_characters="/\\\ufffe\uffff"), min_size=1))
def test_paths_come_out_in_nfc(text: str) -> None:
    path = f"x{text[:40]}x"
    assert check_path(unicodedata.normalize("NFD", path)) == unicodedata.normalize("NFC", path)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/.", ".", "a/b.", ".version"])
def test_a_prefix_may_be_cut_anywhere(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "a//", "../", "a/./", "a\\", ".versions/", "\ud800"])
def test_a_prefix_that_no_path_has_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidError):
        check_prefix(prefix)
