"""Fields in an order, as the command line says them: `created:desc` has its highest values first."""

from collections.abc import Sequence
from typing import Final

DESCENDING: Final = ":desc"


def parsed_field(given: str) -> str:
    """As the library says it, with a `-` before one that descends: which would be an option here."""
    return f"-{given.removesuffix(DESCENDING)}" if given.endswith(DESCENDING) else given


def shown_fields(on: Sequence[str]) -> str:
    """Fields as one types them."""
    return " ".join(f"{each[1:]}{DESCENDING}" if each.startswith("-") else each for each in on)
