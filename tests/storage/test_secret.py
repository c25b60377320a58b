"""A Secret gives its text to `reveal` alone."""

import copy
import json
import pickle
import pprint
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pytest

from storage import Secret, sealed

CANARY = "canary-5f1c"


@dataclass(frozen=True)
class Holder:
    secret: Secret


@pytest.fixture
def secret() -> Secret:
    return Secret(CANARY)


def test_reveal_gives_the_text(secret: Secret) -> None:
    assert secret.reveal() == CANARY
    assert secret
    assert not Secret("")


def test_whatever_shows_it_shows_a_mask(secret: Secret) -> None:
    shown = [
        str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", f"{secret}", pprint.pformat([secret]),
        repr(Holder(secret)), str(asdict(Holder(secret))), str(vars(Holder(secret))), str(KeyError(secret)),
    ]  # fmt: skip
    assert all("***" in text and CANARY not in text for text in shown)


def test_copies_are_the_secret_itself(secret: Secret) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret
    assert asdict(Holder(secret))["secret"] is secret


WRITERS: dict[str, Any] = {
    "json": json.dumps,
    "vars": vars,
    "bytes": bytes,
    **{f"pickle {protocol}": partial(pickle.dumps, protocol=protocol) for protocol in range(6)},
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_what_would_write_it_down_is_refused(secret: Secret, write: Any) -> None:
    with pytest.raises(TypeError) as caught:
        write(secret)
    assert CANARY not in str(caught.value)
    with pytest.raises(TypeError):
        pickle.dumps(Holder(secret))


def test_it_equals_its_like_and_no_str(secret: Secret) -> None:
    assert secret == Secret(CANARY)
    assert hash(secret) == hash(Secret(CANARY))
    assert secret != Secret("other")
    assert secret != CANARY


def test_only_text_is_sealed() -> None:
    assert sealed(CANARY) == Secret(CANARY)
    assert sealed(None) is None
