"""Tokens: what `resolve` may be asked with, and that no damaged one gets an answer."""

import base64
import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import CatalogError, InvalidError
from catalog.keys import VERSION_MAX
from catalog.paths import check_path
from catalog.token import Token

ULID = "01M7XQF19PM1HFNJACZWJHWGBN"
TOKEN = Token("raw", ULID, "2026/é x.csv", ULID, 7, "move")
CHARACTERS = "ABCXYZabcxyz0189-_+/=. \n\u00e9"


def forged(**fields: Any) -> str:
    """A token that says what it likes, with the right checksum."""
    return written(json.dumps(asdict(TOKEN) | fields, separators=(",", ":")))


def written(body: str) -> str:
    data = body.encode()
    check = hashlib.sha256(data).hexdigest()[:8].encode()
    return "blobcat1." + base64.urlsafe_b64encode(check + data).decode().rstrip("=")


def check_refused(text: Any) -> None:
    with pytest.raises(InvalidError, match="this is no token") as caught:
        Token.parse(text)
    assert caught.value.kind == "invalid.token"


@st.composite
def tokens(draw: st.DrawFn) -> Token:
    def valid(path: str) -> bool:
        try:
            return check_path(path) == path
        except CatalogError:
            return False

    path = draw(st.text(min_size=1, max_size=40).filter(valid))
    return replace(TOKEN, path=path, floor=draw(st.integers(0, VERSION_MAX)))


@given(tokens())
def test_a_token_says_what_it_was_made_of(token: Token) -> None:
    assert Token.parse(str(token)) == token


def test_a_forged_token_is_written_like_a_token() -> None:
    assert forged() == str(TOKEN)


def test_every_changed_character_is_noticed() -> None:
    text = str(TOKEN)
    for at in range(len(text)):
        for character in CHARACTERS:
            if character != text[at]:
                check_refused(text[:at] + character + text[at + 1 :])


def test_every_missing_and_every_further_character_is_noticed() -> None:
    text = str(TOKEN)
    for at in range(len(text)):
        check_refused(text[:at])
        check_refused(text[:at] + text[at + 1 :])
    for more in CHARACTERS:
        check_refused(text + more)
        check_refused(more + text)


@pytest.mark.parametrize(
    "fields",
    [
        {"floor": -5},
        {"floor": 10**12},
        {"floor": True},
        {"floor": 1.0},
        {"floor": "1"},
        {"path": "\ud800"},
        {"path": "a\0"},
        {"path": "../x"},
        {"path": "e\u0301"},
        {"path": "/".join(["x" * 200] * 9)},
        {"path": 5},
        {"op": "x/y#?"},
        {"op": ""},
        {"op": ULID.lower()},
        {"op": ULID + "0"},
        {"epoch": "zz"},
        {"epoch": None},
        {"volume": 5},
        {"kind": "nonsense"},
        {"kind": ["put"]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_forged_token_is_refused(fields: dict[str, Any]) -> None:
    check_refused(forged(**fields))


@pytest.mark.parametrize("body", ["[" * 100_000, "{}", "null", "5", "[]", "", "nonsense", "1" * 5000])
def test_what_holds_no_fields_is_refused(body: str) -> None:
    check_refused(written(body))


@pytest.mark.parametrize("text", ["", "x", "blobcat1.", "blobcat2.x", "blobcat1.\ud800", 5, None, b"bytes"])
def test_what_is_no_token_at_all_is_refused(text: object) -> None:
    check_refused(text)
