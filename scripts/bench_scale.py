"""How much is measured: a smoke run of seconds, a short one of minutes, a long one for a night."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of items and of rounds, given as those of a short run."""

    mode: Literal["smoke", "short", "long"] = "short"
    files: int = 10_000
    """The largest catalog of those that show growth."""

    def count(self, short: int, *, least: int = 1) -> int:
        """So many items: a hundredth in a smoke run, three times as many in a long one."""
        match self.mode:
            case "smoke":
                return max(least, short // 100)
            case "long":
                return 3 * short
        return short

    def rounds(self, short: int) -> int:
        """So many rounds: one in a smoke run, two thirds more in a long one."""
        match self.mode:
            case "smoke":
                return 1
            case "long":
                return short + -(-2 * short // 3)
        return short

    @property
    def smoke(self) -> bool:
        """Whether only that it runs matters, and no number."""
        return self.mode == "smoke"
