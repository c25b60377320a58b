"""How much each part of a volume had in the last complete run, and whether that has collapsed since (R1).

The two sides can agree with each other and be wrong together, or one can lose a part that is small beside the whole: a
table that was restored to yesterday, a shard that answers with half of its rows. Neither shows in one run. So a
complete run whose plan is not refused leaves a small file, in a folder that the next run is told: for each listing its
blobs, for each shard its heads and versions. Nothing but an undo ever removes one of these rows, so few may be gone;
blobs may be purged. What a refused run has read is not left behind: the next one is refused likewise, until somebody
has looked.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from ..arguments import is_whole
from ..entities import VolumeInfo
from ..errors import InvalidError
from .brake import COLLAPSED, FEW

FORMAT: Final = 1
NAMED_MAX: Final = 3
"""So many parts are named in a reason."""

Counts = Mapping[str, int]
"""By shard, or by the prefix of a listing."""


class LastRun:
    """The file of a volume's last complete run, below one prefix of paths."""

    def __init__(self, folder: Path, volume: VolumeInfo, prefix: str) -> None:
        scope = repr((volume.epoch, volume.root, volume.shards, prefix)).encode()
        self._says = {"blobcat": "counts", "format": FORMAT, "volume": volume.name, "prefix": prefix}
        self.path = folder / f"{volume.name}-{blake2b(scope, digest_size=6).hexdigest()}.counts.json"

    def __repr__(self) -> str:
        return f"<LastRun {self.path}>"

    def read(self) -> Counts | None:
        """What there was; None where there was no run. Raises: InvalidError for a file that is none, OSError."""
        try:
            values = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            values = None
        parts = values.get("parts") if isinstance(values, dict) else None
        if not isinstance(parts, dict) or not all(map(_is_count, parts.values())) or not self._is_ours(values):
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


def counts_of(certificates: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What these parts have: blobs, or heads and versions."""
    return {_name(each): _count(each) for each in certificates}


def compared(certificates: Sequence[Mapping[str, Any]], before: Counts | None) -> list[Mapping[str, Any]]:
    """Each certificate with what its part had `before`; None where no run has told."""
    return [{**each, "before": (before or {}).get(_name(each))} for each in certificates]


def fallen(certificates: Sequence[Mapping[str, Any]], file: str) -> list[str]:
    """Why parts that had more before are not believed. `file` is what to remove where that is meant."""
    shards = [each for each in certificates if "rows" in each]
    rows = [each for each in shards if _lost(each) > 0]
    blobs = [each for each in certificates if "blobs" in each and _lost(each) > FEW]
    blobs = [each for each in blobs if _count(each) <= COLLAPSED * each["before"]]
    why = list[str]()
    if sum(map(_lost, rows)) > FEW:
        what = f"{len(rows):,} of {len(shards):,} shards have fewer heads and versions than in the last complete run"
        why.append(f"{what} ({_named(rows)}; was the table restored? remove {file} if that is meant)")
    if blobs:
        what = "there are far fewer blobs than in the last complete run"
        why.append(f"{what} ({_named(blobs)}; another account or container? remove {file} if that is meant)")
    return why


def _is_count(value: object) -> bool:
    return is_whole(value) and value >= 0


def _named(parts: Sequence[Mapping[str, Any]]) -> str:
    named = [f"{_name(each)}: {_count(each):,} of {each['before']:,}" for each in parts[:NAMED_MAX]]
    return ", ".join([*named, "…"] if len(parts) > NAMED_MAX else named)


def _lost(part: Mapping[str, Any]) -> int:
    return 0 if part["before"] is None else int(part["before"]) - _count(part)


def _name(part: Mapping[str, Any]) -> str:
    """What it is called in each run: listings may be more or fewer by then."""
    return f"blobs {part['prefix']}" if "blobs" in part else str(part["part"])


def _count(part: Mapping[str, Any]) -> int:
    return int(part["blobs"] if "blobs" in part else part["rows"].get("h", 0) + part["rows"].get("v", 0))
