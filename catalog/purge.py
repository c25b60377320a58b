"""Purge: the content of versions that nobody is to read any more goes, and stays gone; their rows stay.

Three stages, none of which holds more than some thousand versions in memory. *Select*: the version rows of each shard
are judged as they come (`retention`), and what is to go is gathered by content in a temporary file (`candidates`).
What is seen to be needed by a version that stays is not even flagged. *Purge*: so many contents at a time (`purger`).
*Tell* (`purge_report`).

A run that was killed has flagged rows, and no run takes a flag back: so the next one goes on with them, whatever its
rule is. That its candidates are not current was seen when they were selected, and no version becomes current again.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .columns import IN_PART, parse_in_part
from .entities import VolumeInfo
from .errors import AccessDeniedError, CatalogError, NotFoundError, UnavailableError
from .flow import for_each
from .keys import partition, versions_under
from .listing import Lister
from .marker import service_time
from .purge_report import PurgeReport, Tally
from .purger import Purger
from .purging import Held, Purged, PurgeResult, Unfinished
from .retention import Judge, Retention, Sharing
from .writer import Writer

if TYPE_CHECKING:
    from .candidates import Candidates

SHARDS_AT_A_TIME: Final = 8
VERSIONS_AT_A_TIME: Final = 5_000
"""Purged together, by one reading of the volume: more of them make fewer readings."""
ENDING: Final = (AccessDeniedError, NotFoundError, UnavailableError)
"""What would meet all others, too, once it has met all of so many."""


@dataclass(frozen=True, slots=True)
class Purging:
    """One purge of a volume."""

    volume: VolumeInfo
    retention: Retention
    prefix: str
    writer: Writer
    lister: Lister
    purger: Purger
    tally: Tally

    async def run(self, candidates: "Candidates", *, dry_run: bool) -> PurgeReport:
        """Select, purge and tell. Raises: as `Volume.purge`."""
        run = self.writer.new_id()
        await self._select(candidates)
        async with aclosing(candidates.sharing(VERSIONS_AT_A_TIME)) as batches:
            async for batch in batches:
                for sharing in batch:
                    if sharing.kept_by:
                        self.tally.ended(sharing, "held", sharing.kept_by)
                going = [sharing for sharing in batch if not sharing.kept_by]
                self._tell(going, await (self.purger.foresee if dry_run else self.purger.purge)(run, going))
        return self.tally.report(dry_run=dry_run)

    async def _select(self, candidates: "Candidates") -> None:
        """Judge all versions under the prefix."""
        first = partition(self.volume.epoch, 0)
        aged = self.retention.older_than is not None
        now_us = await service_time(self.volume, first, self.writer, self.lister) if aged else 0

        async def select(shard: int) -> None:
            judge, key = Judge(self.retention, now_us), partition(self.volume.epoch, shard)
            pages = self.lister.pages(key, versions_under(self.prefix), select=IN_PART)
            async with aclosing(pages):
                async for page in pages:
                    verdicts = [judge.judge(parse_in_part(self.volume.name, row)) for row in page]
                    self.tally.saw(len(verdicts), sum(verdict.row.purged for verdict in verdicts))
                    await candidates.add(verdicts)

        await for_each(range(self.volume.shards), select, limit=SHARDS_AT_A_TIME)

    def _tell(self, contents: Sequence[Sharing], results: Sequence[PurgeResult]) -> None:
        """Count how they ended. Raises: what ended all of them, and would end all others."""
        for sharing, result in zip(contents, results, strict=True):
            match result:
                case Purged():
                    self.tally.ended(sharing, "purged")
                case Held(by, why):
                    self.tally.ended(sharing, "held", by, why)
                case Unfinished(error):
                    self.tally.ended(sharing, "unfinished", error=error)
        if ending := _common(results):
            raise ending


def _common(results: Sequence[PurgeResult]) -> CatalogError | None:
    """The error that all of them have met, where it is one that will meet others too."""
    errors = [result.error for result in results if isinstance(result, Unfinished)]
    return errors[0] if errors and len(errors) == len(results) and isinstance(errors[0], ENDING) else None
