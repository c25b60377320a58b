"""The brake: what a plan may delete before somebody has to say that this is meant. Pure.

One brake, on the whole plan, before anything is applied, in one unit: blobs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Final

from ..arguments import is_number, is_whole
from ..errors import InvalidError, NotFoundError
from .difference import Difference
from .plan import Header

COLLAPSED = 0.5
FEW = 3
"""A side on which so large a part of the other is missing, and more than a few, is not believed."""

_COUNTS: Final = re.compile(r"\S+\.counts\.json")


@dataclass(frozen=True, slots=True)
class Brake:
    """How many blobs a plan may delete: at most `fraction` of those that were listed, and at most `number`."""

    fraction: float = 0.01
    number: int = 1_000

    def check(self) -> "Brake":
        """Raises: InvalidError."""
        if not is_number(self.fraction) or not isfinite(self.fraction) or not 0 <= self.fraction <= 1:
            raise InvalidError(f"the brake's fraction is from 0 to 1, not {self.fraction!r}", op="apply")
        if not is_whole(self.number) or self.number < 0:
            raise InvalidError(f"the brake's number is a whole number from 0 up, not {self.number!r}", op="apply")
        return self

    def refuses(self, header: Header) -> list[str]:
        """Why this plan is not to be applied; nothing where it may be."""
        if header.incomplete:
            return [f"the plan is incomplete: {one}" for one in header.incomplete]
        deletions, why = header.deletions, list[str]()
        if not deletions:
            return why
        why += header.refused
        bound = Fraction(str(self.fraction)) * header.blobs  # 0.29 of 100 is 29, and not a little less
        if deletions > bound:
            why.append(f"it deletes {deletions:,} of {header.blobs:,} blobs, more than {self.fraction:.2%}")
        if deletions > self.number:
            why.append(f"it deletes {deletions:,} blobs, more than {self.number:,}")
        return why


def collapsed(*, blobs: int, wanted: int, missing: int, orphans: int) -> list[str]:
    """Why a side's silence is not believed: `wanted` blobs are referred to, and so many of either stand alone."""
    why = list[str]()
    if wanted and not blobs:
        why.append(
            f"the listing is empty, and versions refer to {wanted:,} blobs (another account, container or prefix?)"
        )
    elif missing > FEW and missing >= COLLAPSED * wanted:
        why.append(f"{missing:,} of {wanted:,} blobs are missing (another account, container or prefix?)")
    if orphans > FEW and orphans >= COLLAPSED * blobs:
        why.append(
            f"{orphans:,} of {blobs:,} blobs have no version (were rows of the table lost? see `blobcat rebuild`)"
        )
    return why


def check_not_mistyped(header: Header, found: Iterable[Difference]) -> None:
    """Raises: NotFoundError where neither side has anything below the prefix, so that nothing is wrong there either."""
    prefix = header.prefix
    if not prefix or header.incomplete or header.blobs:
        return
    if any(each.get("rows", {}).keys() & {"h", "v"} for each in header.certificates):
        return
    if any(path.startswith(prefix) for each in found for path in (each.path, *each.intents)):  # a first write, perhaps
        return
    message = f"volume {header.volume!r} has no file below {prefix!r}, and no blob: nothing to compare"
    raise NotFoundError(message, op="reconcile", key=prefix, kind="not-found.prefix")


def located(reason: str, folder: Path) -> str:
    """A reason with the whole path of the file of counts that it names, where that is in this folder.

    A plan itself says the name alone: it is the same wherever it is made.
    """

    def found(name: re.Match[str]) -> str:
        path = (folder / name[0]).absolute()
        return str(path) if path.exists() else name[0]

    return _COUNTS.sub(found, reason)


def halted(reasons: Sequence[str], sha256: str) -> str:
    """What is said where a plan is refused."""
    return f"{'; '.join(reasons)}. If that is meant, force it by its hash: {sha256[:16]}"
