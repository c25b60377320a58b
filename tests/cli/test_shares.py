"""Parts of a whole, as people write them."""

import pytest

from catalog.cli.errors import UsageError
from catalog.cli.shares import parsed_share


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("1%", 0.01),
        ("0.01", 0.01),
        (".5", 0.5),
        ("100%", 1.0),
        ("12.5 %", 0.125),
        ("0", 0.0),
        ("0%", 0.0),
        (" 2% ", 0.02),
    ],
)
def test_a_percentage_or_a_fraction(text: str, fraction: float) -> None:
    assert parsed_share("--share", text) == pytest.approx(fraction)


@pytest.mark.parametrize("text", ["1", "1.0", "50", "2."])
def test_what_could_be_either_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="could be a percentage or a fraction"):
        parsed_share("--share", text)


@pytest.mark.parametrize("text", ["", "%", "-1%", "nan", "inf", "1e-2", "1 of 2", "1%%"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a whole"):
        parsed_share("--share", text)


@pytest.mark.parametrize(("text", "least"), [("100.1%", 0.0), ("150%", 0.0), ("0%", 0.001), ("0", 0.001)])
def test_what_is_out_of_range_is_refused(text: str, least: float) -> None:
    with pytest.raises(UsageError, match="100%, not"):
        parsed_share("--share", text, least=least)
