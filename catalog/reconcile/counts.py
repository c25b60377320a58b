"""How much each part of a volume had in the last run, and whether that has collapsed since (R1).

The two sides can agree with each other and be wrong together, or one can lose a part that is small beside the whole: a
table that was restored to yesterday, a shard that answers with half of its rows. Neither shows in one run. So a run
leaves a small file, in a folder that the next run is told:

- For each shard a watermark (see `watermark`), and how many versions there were until then. The next run counts those
  until the same time, whatever was written since: new rows hide no lost ones. Nothing but an undo removes a version.
- For each listing how many blobs there were, and how many of them versions wanted. A purge takes as many of both; what
  is gone beyond that is missed.

A plan that deletes anything is refused then. One that deletes nothing is only told of it: there is nothing to refuse.
A run in which nothing has fallen, or that finds nothing wrong, is what the next one compares with. Another one leaves
the file as it is: the next is refused likewise, until what it found is settled, or somebody has looked.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from ..arguments import is_whole
from ..entities import VolumeInfo
from ..errors import InvalidError
from .brake import COLLAPSED, FEW
from .workspace import Workspace, versions_until

FORMAT: Final = 2
NAMED_MAX: Final = 3
"""So many parts are named in a reason."""
VERSIONS_FEW: Final = 1
"""So many may be gone: an undo removes what a repair has inserted."""
KINDS: Final = ({"blobs", "wanted"}, {"versions", "until"})
"""What is counted of a listing, and of a shard."""

Counts = Mapping[str, Mapping[str, int]]
"""By shard, or by the prefix of a listing, with one of KINDS."""
NOTHING: Final[Counts] = {}


class LastRun:
    """The file of a volume's last run, below one prefix of paths."""

    def __init__(self, folder: Path, volume: VolumeInfo, prefix: str) -> None:
        scope = repr((volume.epoch, volume.root, volume.shards, prefix)).encode()
        self._says = {"blobcat": "counts", "format": FORMAT, "volume": volume.name, "prefix": prefix}
        self.path = folder / f"{volume.name}-{blake2b(scope, digest_size=6).hexdigest()}.counts.json"

    def __repr__(self) -> str:
        return f"<LastRun {self.path}>"

    def read(self) -> Counts:
        """What there was; nothing where there was no run. Raises: InvalidError for a file that is none, OSError."""
        try:
            values = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return NOTHING
        except ValueError:
            values = None
        parts = values.get("parts") if isinstance(values, dict) else None
        if not isinstance(parts, dict) or not all(map(_is_part, parts.values())) or not self._is_ours(values):
            message = f"{str(self.path)!r} does not say what the last run has read: remove it, and there was none"
            raise InvalidError(message, op="reconcile", key=str(self.path), kind="invalid.counts")
        return parts

    def _is_ours(self, values: Mapping[str, object]) -> bool:
        return {name: value for name, value in values.items() if name != "parts"} == self._says

    def write(self, counts: Counts) -> None:
        """Leave this for the next run: whole, or not at all. Raises: OSError."""
        making = self.path.with_suffix(f".{uuid4().hex}.making")
        try:
            making.write_text(json.dumps({**self._says, "parts": counts}, sort_keys=True) + "\n", encoding="utf-8")
            making.replace(self.path)
        finally:
            making.unlink(missing_ok=True)


def counted_parts(
    workspace: Workspace, certificates: Sequence[Mapping[str, Any]], part: Callable[[str], Path], before: Counts
) -> Counts:
    """How much there is of each part: of a shard until the watermark of the run `before`, or else until its own."""
    counts = dict[str, Mapping[str, int]]()
    for each in certificates:
        name = each["part"]
        if "blobs" in each:
            prefix = each["prefix"]
            counts[f"blobs {prefix}"] = {"blobs": each["blobs"], "wanted": workspace.wanted(prefix)}
        else:
            until = before.get(name, each)["until"]
            counts[name] = {"versions": versions_until(part(name), until), "until": until}
    return counts


def fallen(before: Counts, now: Counts, file: str) -> list[str]:
    """Why parts that had more before are not believed; `file` is what to remove where that is meant.

    `now` has how much there is of each: of a shard, until the watermark of then.
    """
    same = {name: (before[name], part) for name, part in now.items() if before.get(name, {}).keys() == part.keys()}
    shards = {name: (was["versions"], part["versions"]) for name, (was, part) in same.items() if "versions" in part}
    rows = {name: (was, is_) for name, (was, is_) in shards.items() if is_ < was}
    blobs = {name: (_expected(was, part), part["blobs"]) for name, (was, part) in same.items() if "blobs" in part}
    blobs = {name: (was, is_) for name, (was, is_) in blobs.items() if was - is_ > FEW and is_ <= COLLAPSED * was}
    why = list[str]()
    if sum(was - is_ for was, is_ in rows.values()) > VERSIONS_FEW:
        what = f"{len(rows):,} of {len(shards):,} shards lack versions that were there in the last run"
        why.append(f"{what} ({_named(rows)}; was the table restored? remove {file} if that is meant)")
    if blobs:
        what = "there are far fewer blobs than in the last run, beyond what was purged"
        why.append(f"{what} ({_named(blobs)}; another account or container? remove {file} if that is meant)")
    return why


def _expected(was: Mapping[str, int], now: Mapping[str, int]) -> int:
    """How many blobs there would be, had only those gone that no version wants any more."""
    return was["blobs"] - max(0, was["wanted"] - now["wanted"])


def _is_part(value: object) -> bool:
    return isinstance(value, dict) and value.keys() in KINDS and all(map(_is_count, value.values()))


def _is_count(value: object) -> bool:
    return is_whole(value) and value >= 0


def _named(parts: Mapping[str, tuple[int, int]]) -> str:
    named = [f"{name}: {is_:,} of {was:,}" for name, (was, is_) in [*parts.items()][:NAMED_MAX]]
    return ", ".join([*named, "…"] if len(parts) > NAMED_MAX else named)
