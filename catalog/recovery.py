"""Recovery: settle the intents that their writers left behind. Anyone may, at any time, from anywhere.

It reads intents only, so its cost follows the writes in flight and not the catalog. An open intent is aborted by
compare-and-swap, unless its op was committed; the content of an aborted op is deleted, if it carries the op's id and no
version refers to it. An aborted intent stays for a week, so that a put that arrives late is recognised and removed too.

In the background an intent is left alone until it is older than the patience its writer asked for, by the service's
clock: for liveness alone, as two who abort each other's work would never finish. With patience 0 nothing is waited for,
and a writer that is still alive starts over with a fresh op.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from .arguments import is_number
from .columns import parse_intent
from .commit import Unit
from .entities import IntentRow, VolumeInfo
from .errors import CatalogError, InvalidError
from .exchange import partition_of
from .flow import concurrently
from .keys import INTENTS, intent_row, partition
from .listing import Lister
from .marker import service_time
from .messages import (
    Committed,
    NotApplied,
    StartOver,
)
from .table import (
    Delete,
    RefusedError,
)
from .writer import Writer

KEPT_US: Final = 7 * 86_400 * 1_000_000
ROWS_AT_A_TIME: Final = 32

Action = Literal["aborted", "committed", "swept", "dropped", "waiting", "failed"]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found of one op, and done about it."""

    volume: str
    path: str
    op: str
    kind: str
    writer: str
    action: Action
    """`aborted`: it was open, and will never be applied · `committed`: it had been applied · `swept`: aborted before,
    looked at again · `dropped`: aborted over a week ago · `waiting`: its writer may be alive · `failed`: see error."""
    error: CatalogError | None = None


@dataclass(frozen=True, slots=True)
class RecoveredVolume:
    """What became of a volume that somebody had begun to delete or to alter; or that could not be recovered at all."""

    volume: str
    epoch: str
    action: Literal["deleted", "kept", "altered", "failed"]
    """`deleted`: it is gone · `kept`: it has a file, and is open again · `altered`: its new settings are in force ·
    `failed`: see error."""
    error: CatalogError | None = None


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """Every intent that recovery found, and what became of it; every volume that was half deleted, or that failed."""

    items: tuple[Recovered, ...] = ()
    volumes: tuple[RecoveredVolume, ...] = ()

    def count(self, action: Action) -> int:
        """How many items had this end."""
        return sum(item.action == action for item in self.items)

    @property
    def quiet(self) -> bool:
        """Whether there was nothing to settle: no write under way, waiting or failed."""
        return not self.volumes and all(item.action in ("swept", "dropped") for item in self.items)


def check_patience(patience_s: float | None) -> float | None:
    """Raises: InvalidError for what is no finite number of seconds from 0 up."""
    if patience_s is None:
        return None
    if not is_number(patience_s) or patience_s < 0:
        raise InvalidError(f"patience_s is a number of seconds from 0 up, not {patience_s!r}", op="recover")
    return patience_s


class Recovery:
    """Settles the intents of a volume."""

    def __init__(self, writer: Writer, lister: Lister) -> None:
        self._writer = writer
        self._lister = lister

    def __repr__(self) -> str:
        return f"<Recovery by {self._writer!r}>"

    def within(self, timeout_s: float | None) -> "Recovery":
        """It, with another time limit for each write."""
        return Recovery(self._writer.within(timeout_s), self._lister.within(timeout_s))

    async def run(
        self,
        volume: VolumeInfo,
        *,
        patience_s: float | None,
        shards: Iterable[int] | None = None,
        older_than: int | None = None,
    ) -> list[Recovered]:
        """Settle all intents that are older than `patience_s`, or than the patience each asks for; of some shards only.

        `older_than`: only those that were begun under settings of an older generation.

        Raises: UnavailableError, AccessDeniedError where the rows cannot be read; an op's own trouble is in its item.
        """
        check_patience(patience_s)

        async def settle(found: tuple[IntentRow, int]) -> Recovered:
            row, age_us = found
            return await self._settle(volume, row, age_us, patience_s)

        async with (
            aclosing(self._aged(volume, range(volume.shards) if shards is None else shards, older_than)) as aged,
            aclosing(concurrently(aged, settle, limit=ROWS_AT_A_TIME)) as settled,
        ):
            return [item async for item in settled]

    async def settle(self, volume: VolumeInfo, path: str, op: str, *, patience_s: float | None) -> Recovered | None:
        """Settle one intent, in the shard of this path, as `run` would; None where it is gone. Raises: as `run`."""
        key, deadline = partition_of(volume, path), self._writer.deadline()
        entity = await deadline.retried(lambda: self._lister.table.get(key, intent_row(op)))
        if entity is None:
            return None
        row = parse_intent(entity)
        age_us = 0
        if patience_s != 0:
            age_us = await service_time(volume, key, self._writer, self._lister) - row.timestamp
        return await self._settle(volume, row, age_us, patience_s)

    async def _aged(
        self, volume: VolumeInfo, shards: Iterable[int], older_than: int | None
    ) -> AsyncGenerator[tuple[IntentRow, int], None]:
        """Intents, and how old they are."""
        for shard in shards:
            key, now = partition(volume.epoch, shard), 0
            async with aclosing(self._lister.rows(key, INTENTS)) as rows:
                async for row in rows:
                    found = parse_intent(row)
                    if older_than is None or found.intent.generation < older_than:
                        now = now or await service_time(volume, key, self._writer, self._lister)
                        yield found, now - row.timestamp

    async def _settle(  # noqa: PLR0911 — one line per end
        self, volume: VolumeInfo, row: IntentRow, age_us: int, patience_s: float | None
    ) -> Recovered:
        intent = row.intent
        patience = intent.patience_s if patience_s is None else patience_s

        def item(action: Action, error: CatalogError | None = None) -> Recovered:
            return Recovered(volume.name, intent.path, intent.op, intent.kind, intent.writer, action, error)

        if intent.state == "open" and age_us < patience * 1_000_000:
            return item("waiting")
        try:
            match await self._writer.settle(volume, row):
                case Committed():
                    return item("committed")
                case NotApplied() | StartOver() if intent.state == "open":
                    return item("aborted")
                case NotApplied() | StartOver() if age_us > KEPT_US:
                    await self._drop(volume, row)
                    return item("dropped")
                case NotApplied() | StartOver():
                    return item("swept")
                case undecided:
                    return item("failed", undecided.error)
        except CatalogError as exc:
            return item("failed", exc)

    async def _drop(self, volume: VolumeInfo, row: IntentRow) -> None:
        unit = Unit((Delete(intent_row(row.intent.op), row.etag),))
        lane = self._writer.committer.lane(partition_of(volume, row.intent.path))
        try:
            await self._writer.deadline().retried(lambda: lane.commit(unit))
        except RefusedError:
            return  # another recover was faster
