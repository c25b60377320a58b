"""Dumping: the rows of volumes, read in order and given out as lines.

Versions are read as one merged walk over all shards, newest first within a path; those of one path are held until the
last is there, and given out oldest first. A writer adds a version *before* the rows of its path that were there, so a
walk that has met the path misses it, and the dump has the path as it was a moment ago, without a gap: the ledger checks
that of what is read too, and a history that does not hold is not dumped. Paths are not read at the same moment (N1).

Intents are not dumped. A move that was decided and stopped before its source's tombstone is brought to its end first:
claims stand in heads, which a dump has none of. Who moves files meanwhile may see one at both of its paths, or its
tombstone and not yet its target; its content is there in each case (N2).
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from .columns import parse_intent, parse_version
from .dumped import DumpedVersion, DumpedVolume, DumpHeader, DumpRecord, dump_line
from .entities import Claim, VersionRow, VolumeInfo
from .errors import IntegrityError
from .keys import INTENTS, partition, versions_under
from .ledger import Ledger
from .listing import Lister
from .writer import Writer


async def dump(volumes: Sequence[VolumeInfo], lister: Lister, writer: Writer) -> AsyncGenerator[str, None]:
    """All lines of a dump of these volumes.

    Raises: IntegrityError (a history that does not hold), as `Lister.pages`.
    """
    ledger = Ledger()
    yield _written(ledger, DumpHeader(tuple(_dumped(info) for info in volumes)))
    for info in volumes:
        await _end_moves(info, lister, writer)
        async with aclosing(_versions(info, lister)) as versions:
            async for row in versions:
                yield _written(ledger, DumpedVersion(row.file, row.purging, row.purged))
    yield dump_line(ledger.end())


def _dumped(info: VolumeInfo) -> DumpedVolume:
    indexes = tuple(index.on for index in info.indexes if index.state != "dropping")
    shape = (info.name, info.layout, info.shards, info.root, info.created)
    return DumpedVolume(*shape, info.default, info.adopted, indexes)


def _written(ledger: Ledger, record: DumpRecord) -> str:
    line = dump_line(record)
    try:
        ledger.take(record, line.encode())
    except IntegrityError as exc:
        message = f"this cannot be dumped: {exc.message}"
        raise IntegrityError(message, op="dump", kind="integrity.history") from exc
    return line


async def _end_moves(info: VolumeInfo, lister: Lister, writer: Writer) -> None:
    """Bring moves to their end that are decided; the others are their movers' still."""
    for shard in range(info.shards):
        async with aclosing(lister.rows(partition(info.epoch, shard), INTENTS)) as rows:
            async for row in rows:
                intent = parse_intent(row).intent
                if intent.target:
                    claim, deadline = Claim(intent.op, intent.target, intent.generation), lister.deadline()
                    await writer.settle_claim(info, intent.path, claim, gentle=True, deadline=deadline)


async def _versions(info: VolumeInfo, lister: Lister) -> AsyncGenerator[VersionRow, None]:
    """The versions of each path, oldest first. What is held is the history of one path."""
    newest_first: list[VersionRow] = []
    async with aclosing(lister.shards(info, versions_under(""))) as rows:
        async for row in rows:
            version = parse_version(info.name, row)
            if newest_first and newest_first[0].file.path != version.file.path:
                for each in reversed(newest_first):
                    yield each
                newest_first.clear()
            newest_first.append(version)
    for each in reversed(newest_first):
        yield each
