"""How long something is, as the command line says it: `30m`, `12h`, `90d`, `2w`."""

import re
from datetime import timedelta
from typing import Final

from .errors import UsageError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d{1,6})([smhdw])")


def span(text: str, example: str) -> timedelta:
    """A number and its unit. Raises: UsageError, which shows the option's `example`."""
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{text!r} is no time", f"a number and s, m, h, d or w, such as {example}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
