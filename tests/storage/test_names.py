"""Blob names, block ids and container names: the rules, and that each refusal names its rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidError
from storage.names import check_block, check_container, check_name, check_prefix

SEGMENT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\\ufffe\uffff"), min_size=1, max_size=20
).filter(lambda text: not text.endswith("."))


@given(st.lists(SEGMENT, min_size=1, max_size=20).map("/".join))
def test_what_is_made_of_good_segments_is_a_name(name: str) -> None:
    check_name(name)
    check_prefix(name)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "not empty"),
        ("/a", "empty segment"),
        ("a//b", "empty segment"),
        ("a/..", "'.' or '..'"),
        ("a./b", "ends with a dot"),
        ("a\\b", "backslash"),
        ("a\x00", "control"),
        ("a\x9f", "control"),
        ("\udc00", "surrogates"),
        ("a\ufffe", "U+FFFE"),
        ("a" * 1025, "1,024"),
        ("😀" * 513, "1,024"),
        ("/".join("a" * 255), "254"),
        (b"a", "not bytes"),
    ],
)
def test_a_refusal_names_its_rule_in_one_line(name: object, rule: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_name(name, op="put")
    assert rule in str(caught.value)
    assert (caught.value.op, caught.value.kind) == ("put", "invalid.name")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["a" * 1024, "😀" * 512, "/".join("a" * 254), "...a", " ", "a /b "])
def test_the_limits_themselves_are_within(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("prefix", ["", "a/", "a/.", "/"])
def test_a_prefix_may_end_anywhere(prefix: str) -> None:
    check_prefix(prefix)


@pytest.mark.parametrize("name", ["abc", "a-b-c", "0" * 63, "blobcat"])
def test_container_names(name: str) -> None:
    check_container(name)


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "Abc", "-abc", "abc-", "a--b", "a_b", "a.b", "äbc", "abc\n", None]
)
def test_what_is_no_container_name(name: object) -> None:
    with pytest.raises(InvalidError):
        check_container(name)


@pytest.mark.parametrize("block", ["a", "é" * 32, "0" * 64])
def test_block_ids(block: str) -> None:
    check_block(block, key="a")


@pytest.mark.parametrize("block", ["", "é" * 33, "0" * 65, "\ud800", 7])
def test_what_is_no_block_id(block: object) -> None:
    with pytest.raises(InvalidError):
        check_block(block, key="a")
