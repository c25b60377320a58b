"""What a run of the tests went through, counted: a suite that stopped trying things is noticed in the closing lines.

Counts are kept per process. `tests/conftest.py` brings those of xdist's workers home and prints the sums.
"""

from collections import Counter
from collections.abc import Mapping

_counts: Counter[str] = Counter()


def count(name: str, n: int = 1) -> None:
    """So many more of a thing. Counting none makes the thing known."""
    _counts[name] += n


def totals() -> dict[str, int]:
    """All that was counted in this process, and what was added to it."""
    return dict(_counts)


def add(counts: Mapping[str, int]) -> None:
    """What another process counted."""
    for name, n in counts.items():
        count(name, n)


def lines(counts: Mapping[str, int]) -> list[str]:
    """Counts as people read them, in order of name."""
    return [f"{name}: {n:,}" for name, n in sorted(counts.items())]
