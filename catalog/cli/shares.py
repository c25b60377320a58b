"""Parts of a whole as people write them: `1%` or `0.01`. Never a bare 1, which could be either (R7)."""

import re
from typing import Final

from .errors import UsageError

_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?) ?%")
_NUMBER: Final = re.compile(r"\d+(?:\.\d*)?")
_FRACTION: Final = re.compile(r"0?\.\d+|0")


def parsed_share(option: str, text: str, *, least: float = 0.0) -> float:
    """The fraction, from `least` up to 1. Raises: UsageError."""
    said = text.strip()
    if percent := _PERCENT.fullmatch(said):
        found = float(percent[1]) / 100
    elif _FRACTION.fullmatch(said):
        found = float(said)
    else:
        why = "could be a percentage or a fraction" if _NUMBER.fullmatch(said) else "is no part of a whole"
        raise UsageError(f"{option} {text!r} {why}", f"{option} 1% or {option} 0.01")
    if not least <= found <= 1:
        span = "above 0%, up to 100%" if least else "from 0% to 100%"
        raise UsageError(f"{option} is {span}, not {text}", f"{option} 1% or {option} 100%")
    return found
