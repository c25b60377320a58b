"""How metadata travels: exact for any text, readable where it can be, and never over the service's limit."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.content import Headers
from storage.errors import TooLargeError
from storage.metadata import (
    METADATA_BYTES_MAX,
    check_headers,
    decoded,
    decoded_metadata,
    encoded,
    encoded_metadata,
)

ANY_TEXT = st.text(st.characters(codec=None))
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)


@given(ANY_TEXT)
@example("")
@example("%")
@example("\ud800\udfff")
def test_every_value_comes_back(value: str) -> None:
    assert decoded(encoded(value)) == value


@given(ANY_TEXT)
def test_an_encoded_value_is_visible_ascii_that_no_header_strips(value: str) -> None:
    text = encoded(value)
    assert text
    assert all("!" <= character <= "~" for character in text)


@given(st.dictionaries(KEYS, ANY_TEXT, max_size=5))
def test_metadata_comes_back_as_a_whole(metadata: dict[str, str]) -> None:
    assert decoded_metadata(encoded_metadata(metadata)) == metadata


@pytest.mark.parametrize("value", ["2026-11-20T10:00:00Z", "a,b;c=d", "https://example.org/x?y=z#w", "(1+1)*2"])
def test_what_is_plain_stays_readable(value: str) -> None:
    assert encoded(value) == value


@pytest.mark.parametrize("value", ["100%", "%zz", "%ff", "50% off"])
def test_what_others_wrote_without_encoding_comes_back_as_it_is(value: str) -> None:
    assert decoded(value) == value


def test_the_limit_counts_keys_and_encoded_values() -> None:
    check_headers(Headers(metadata={"key": "x" * (METADATA_BYTES_MAX - 3)}), key="a")
    with pytest.raises(TooLargeError, match="8,192"):
        check_headers(Headers(metadata={"key": "x" * (METADATA_BYTES_MAX - 2)}), key="a")
    with pytest.raises(TooLargeError):
        check_headers(Headers(metadata={"key": " " * (METADATA_BYTES_MAX // 3)}), key="a")
