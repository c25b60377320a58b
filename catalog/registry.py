"""The volumes of a catalog: their rows, and how they come to be.

All of them are in one partition, beside the catalog's own row. Whatever makes or ends a name rewrites that row If-Match
in the same transaction, so such changes happen one after the other, and names and roots are checked against what is
really there.

A volume's gates are made before its row. They stand in partitions of a fresh epoch, so whoever stops in between leaves
a few rows that nothing will ever read. The first gate that is inserted, of generation 0, lets nobody in; that of
generation 1 takes its place, by its etag. So a late copy of either transaction brings no gate back that counts.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from .adoption import Enrolled, enrolled, overlaps
from .blob_listing import FirstForeign
from .columns import SCHEMA, parse_registry, parse_volume, registry_values, volume_values
from .entities import Registry, VolumeInfo, VolumeRow
from .errors import ConflictError, InvalidError, NotFoundError, OutcomeUnknownError, UnavailableError
from .filters import Comparison
from .flow import for_each
from .keys import CATALOG, DELETED, REGISTRY, VOLUMES, deleted_row, gate_row, partition, volume_row
from .listing import Lister
from .retry import Deadline
from .settings import check_timeout
from .table import (
    Delete,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
)
from .times import EPOCH
from .wanted import Wanted, check_volume_name, existing, is_there

GATES_AT_A_TIME = 16
_UNSWEPT = Comparison("swept", "==", literal=False)

Finish = Callable[[VolumeInfo, Deadline], Awaitable[object]]
"""Brings the deletion of a volume to its end that somebody began."""

T = TypeVar("T")


class Volumes:
    """The registry of one catalog."""

    def __init__(
        self,
        lister: Lister,
        deadline: Callable[[float | None], Deadline],
        new_id: Callable[[], str],
        timeout_s: float | None = None,
        *,
        first_foreign: FirstForeign,
    ) -> None:
        self.table = self._table = lister.table
        self._lister = lister
        self._first_foreign = first_foreign
        self._deadline_of = deadline
        self._deadline: Callable[[], Deadline] = partial(deadline, timeout_s)
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"<Volumes of {self._table!r}>"

    def within(self, timeout_s: float | None) -> "Volumes":
        """It, for a call with a time limit of its own. Raises: InvalidError."""
        check_timeout(timeout_s)
        lister = self._lister.within(timeout_s)
        return Volumes(lister, self._deadline_of, self._new_id, timeout_s, first_foreign=self._first_foreign)

    async def get(self, name: str | None, deadline: Deadline | None = None, *, op: str = "volume") -> VolumeInfo:
        """A volume by its name, or the default one. Raises: NotFoundError, UnavailableError."""
        if name is not None:
            check_volume_name(name)
        deadline = deadline or self._deadline()
        registry = await self.catalog_row(deadline)
        name = registry.default if name is None else name
        if name is None:
            message = "this catalog has no default volume: make one, or name one"
            raise NotFoundError(message, op=op, kind="not-found.volume")
        row = await deadline.retried(lambda: self._table.get(REGISTRY, volume_row(name)))
        if row is None:
            raise NotFoundError(f"there is no volume {name!r}", op=op, key=name, kind="not-found.volume")
        return parse_volume(row, registry.default)

    async def all(self) -> AsyncGenerator[VolumeInfo, None]:
        """All volumes, in order of name."""
        registry = await self.catalog_row()
        async with aclosing(self._lister.rows(REGISTRY, VOLUMES)) as rows:
            async for row in rows:
                yield parse_volume(row, registry.default)

    async def deleted(self) -> AsyncGenerator[VolumeInfo, None]:
        """All volumes that were deleted: what is left of their blobs is still theirs."""
        async with aclosing(self._lister.rows(REGISTRY, DELETED)) as rows:
            async for row in rows:
                yield parse_volume(row, None)

    async def reload(self, info: VolumeInfo, deadline: Deadline) -> VolumeInfo:
        """A volume as it is now. Raises: NotFoundError where it is gone, or another one by now."""
        row = await deadline.retried(lambda: self._row(info))
        if row is None:
            message = f"volume {info.name!r} was deleted: where one has its name again, open it anew"
            raise NotFoundError(message, op="volume", key=info.name, kind="not-found.volume")
        return replace(row.info, default=info.default)

    async def row(self, info: VolumeInfo, deadline: Deadline) -> VolumeRow | None:
        """A volume's row as it is now, read once; None where it is gone, or another volume has its name."""
        return await deadline.read(lambda: self._row(info))

    async def _row(self, info: VolumeInfo) -> VolumeRow | None:
        row = await self._table.get(REGISTRY, volume_row(info.name))
        if row is None or (now := parse_volume(row, None)).epoch != info.epoch:
            return None
        return VolumeRow(now, row.etag)

    async def turn(self, row: VolumeRow, to: VolumeInfo, deadline: Deadline) -> None:
        """Replace a volume's row, once. Raises: RefusedError where it is another one by now, and as `submit`."""
        change = Replace(volume_row(row.info.name), volume_values(to), row.etag)
        await deadline.write(lambda: self._table.submit(REGISTRY, [change]))

    async def remove(self, row: VolumeRow, deadline: Deadline) -> None:
        """Put the record of a deleted volume in the place of its row, once. Raises: as `turn`."""
        registry = parse_registry(await deadline.read(lambda: self._table.get(REGISTRY, CATALOG)))
        default = None if registry.default == row.info.name else registry.default
        changes: list[Operation] = [
            Delete(volume_row(row.info.name), row.etag),
            Insert(deleted_row(row.info.epoch), volume_values(_without_settings(row.info)) | {"swept": False}),
            registry_row(registry, Registry(default)),
        ]
        await deadline.write(lambda: self._table.submit(REGISTRY, changes))

    async def of_epoch(self, name: str, epoch: str) -> VolumeInfo:
        """A volume by its epoch, also one that was deleted. Raises: InvalidError where there was none."""
        rows, deadline = (volume_row(check_volume_name(name)), deleted_row(epoch)), self._deadline()
        for key in rows:
            row = await deadline.retried(lambda key=key: self._table.get(REGISTRY, key))  # type: ignore[misc]
            if row is not None and (info := parse_volume(row, None)).epoch == epoch:
                return info
        message = f"the token belongs to another catalog: this one never had that volume {name!r}"
        raise InvalidError(message, op="resolve", key=name, kind="invalid.token")

    async def unswept(self) -> AsyncGenerator[VolumeRow, None]:
        """Deleted volumes of which something late may still have to be removed."""
        async with aclosing(self._lister.rows(REGISTRY, DELETED, where=_UNSWEPT)) as rows:
            async for row in rows:
                yield VolumeRow(parse_volume(row, None), row.etag)

    async def swept(self, row: VolumeRow) -> None:
        """Note that nothing is left to remove of a deleted volume."""
        change = Merge(deleted_row(row.info.epoch), {"swept": True}, row.etag)
        with suppress(RefusedError):  # others were faster
            await self._deadline().retried(lambda: self._table.submit(REGISTRY, [change]))

    async def create(self, wanted: Wanted, *, exist_ok: bool, finish: Finish) -> VolumeInfo:
        """Make a volume. The first one becomes the default.

        Raises: InvalidError, ConflictError (it is there already, its root overlaps another's, or `check_root_is_free`),
        UnavailableError, OutcomeUnknownError.
        """
        tried: set[str] = set()

        async def attempt(deadline: Deadline) -> VolumeInfo | None:
            while True:
                registry = await self.catalog_row(deadline)
                there = await self.there(registry, deadline)
                met = existing(wanted, there, exist_ok=exist_ok, ours=tried)
                if met is None:
                    await self.check_root_is_free(wanted, there, deadline, op="create_volume")
                    break
                if met.state == "open" or met.epoch in tried:
                    return met
                await finish(met, deadline)
            epoch = self._new_id()
            tried.add(epoch)
            shape = (wanted.layout, wanted.shards, wanted.root)
            info = VolumeInfo(wanted.name, epoch, *shape, 1, created=EPOCH, default=False)
            await self._make(replace(info, changes_since=EPOCH if wanted.change_log else None), registry, deadline)
            return None

        return await self.settled(attempt, "create_volume", wanted.name)

    async def there(self, registry: Registry, deadline: Deadline) -> list[VolumeInfo]:
        """All volumes, each page read once."""
        there = list[VolumeInfo]()
        async with aclosing(self._table.query(REGISTRY, VOLUMES)) as pages:
            while (page := await deadline.read(lambda: anext(pages, None))) is not None:
                there += [parse_volume(row, registry.default) for row in page]
        return there

    async def check_root_is_free(
        self, wanted: Wanted, there: Sequence[VolumeInfo], deadline: Deadline, *, op: str
    ) -> None:
        """Look for blobs of others under a root that reaches into what a volume adopts: they would be two volumes'.

        The volume is then to be made under the catalog's row as it was read before: who adopts more rewrites it.
        Raises: ConflictError, UnavailableError.
        """
        if not (shared := overlaps(wanted.root, there)):
            return
        roots = [each.root for each in await self.gone(deadline)]
        for prefix, other in shared:
            if prefix.startswith(tuple(roots)):  # what lies there is adopted by nobody
                continue
            if blob := await self._first_foreign(prefix, roots, deadline):
                message = (
                    f"root {wanted.root!r} would hold {blob.name!r}, a blob of others that volume {other.name!r} adopts"
                    " or may adopt: choose a root without blobs of others"
                )
                raise ConflictError(message, found=blob.name, op=op, key=wanted.name, kind="conflict.adopted-root")

    async def prepare(self, wanted: Wanted, *, op: str) -> VolumeInfo:
        """A volume of a fresh epoch, with gates, that nobody can see yet: its rows come first, then `register`.

        Raises: ConflictError (it is there already, or its root overlaps another's), UnavailableError.
        """

        async def attempt(deadline: Deadline) -> VolumeInfo | None:
            registry = await self.catalog_row(deadline)
            if met := existing(wanted, await self.there(registry, deadline), exist_ok=False, ours=()):
                raise is_there(wanted, met, exist_ok=False)
            shape = (wanted.layout, wanted.shards, wanted.root)
            info = VolumeInfo(wanted.name, self._new_id(), *shape, 1, created=EPOCH, default=False)
            await self._make_gates(info, deadline)
            return info

        return await self.settled(attempt, op, wanted.name)

    async def register(self, info: VolumeInfo, wanted: Wanted, *, op: str) -> VolumeInfo:
        """Make a prepared volume one that all can see. The first one becomes the default.

        Raises: as `prepare`, and OutcomeUnknownError.
        """

        async def attempt(deadline: Deadline) -> VolumeInfo | None:
            registry = await self.catalog_row(deadline)
            met = existing(wanted, await self.there(registry, deadline), exist_ok=False, ours=(info.epoch,))
            if met and met.epoch != info.epoch:
                raise is_there(wanted, met, exist_ok=False)
            if met is None:
                await self._add(info, registry, deadline)
            return met

        return await self.settled(attempt, op, wanted.name)

    async def _make(self, info: VolumeInfo, registry: Registry, deadline: Deadline) -> None:
        await self._make_gates(info, deadline)
        await self._add(info, registry, deadline)

    async def _make_gates(self, info: VolumeInfo, deadline: Deadline) -> None:
        keys = (partition(info.epoch, shard) for shard in range(info.shards))
        try:
            await for_each(keys, lambda key: self._open(key, info, deadline), limit=GATES_AT_A_TIME)
        except OutcomeUnknownError as exc:  # whatever became of it: nothing will ever read a gate of this epoch
            raise UnavailableError(exc.message, op="create_volume", key=info.name) from exc

    async def _add(self, info: VolumeInfo, registry: Registry, deadline: Deadline) -> None:
        row = Insert(volume_row(info.name), volume_values(info))
        changed = Registry(registry.default or info.name)
        await deadline.write(lambda: self._table.submit(REGISTRY, [row, registry_row(registry, changed)]))

    async def _open(self, key: str, info: VolumeInfo, deadline: Deadline) -> None:
        """Make the gate of a shard."""
        values = {"schema": SCHEMA}
        first = (await deadline.write(lambda: self._table.submit(key, [Insert(gate_row(0), values)])))[0]
        if first.etag is None:
            raise UnavailableError("no answer tells the gate's etag", op="create_volume", key=info.name)
        chained: list[Operation] = [Delete(gate_row(0), first.etag), Insert(gate_row(info.generation), values)]
        await deadline.write(lambda: self._table.submit(key, chained))

    async def enrol(self, info: VolumeInfo, prefix: str, deadline: Deadline, record: bool) -> Enrolled:  # noqa: FBT001 — `adoption.Enrol`
        """Note that a volume adopts the blobs with a prefix; without `record`, only look whether it may.

        The note rewrites the catalog's own row, also where the prefix was noted before: whoever makes a volume looks
        after it for blobs that are adopted. The roots are those as of the note.
        Raises: ConflictError (another volume adopts some of them), InvalidError (they lie in a root, or the volume has
        too many prefixes), NotFoundError, UnavailableError, OutcomeUnknownError.
        """

        async def attempt(deadline: Deadline) -> Enrolled | None:
            registry = await self.catalog_row(deadline)
            there, gone = await self.there(registry, deadline), await self.gone(deadline)
            row = await self.row(info, deadline)
            if row is None:
                message = f"volume {info.name!r} was deleted: where one has its name again, open it anew"
                raise NotFoundError(message, op="adopt", key=info.name, kind="not-found.volume")
            adopted = enrolled(row.info, prefix, there, gone)
            roots = tuple(sorted({each.root for each in (*there, *gone)}))
            if not record:
                return Enrolled(replace(row.info, default=info.default), roots)
            changes = [registry_row(registry, registry)]
            if adopted != row.info.adopted:
                values = volume_values(replace(row.info, adopted=adopted))
                changes.append(Replace(volume_row(info.name), values, row.etag))
            await deadline.write(lambda: self._table.submit(REGISTRY, changes))
            return Enrolled(replace(row.info, adopted=adopted, default=info.default), roots)

        return await self.settled(attempt, "adopt", info.name, deadline)

    async def gone(self, deadline: Deadline) -> list[VolumeInfo]:
        """As `deleted`, each page read once: for attempts that are made again as a whole. Raises: UnavailableError."""
        gone = list[VolumeInfo]()
        async with aclosing(self._table.query(REGISTRY, DELETED)) as pages:
            while (page := await deadline.read(lambda: anext(pages, None))) is not None:
                gone += [parse_volume(row, None) for row in page]
        return gone

    async def set_default(self, name: str) -> None:
        """Make a volume the default one. Raises: NotFoundError, UnavailableError, OutcomeUnknownError."""
        check_volume_name(name)

        async def attempt(deadline: Deadline) -> str | None:
            registry = await self.catalog_row(deadline)
            await self.get(name, deadline)  # after the registry: who removes it meanwhile rewrites that
            if registry.default != name:
                change = registry_row(registry, Registry(name))
                await deadline.write(lambda: self._table.submit(REGISTRY, [change]))
            return name

        await self.settled(attempt, "set_default_volume", name)

    async def settled(
        self,
        attempt: Callable[[Deadline], Awaitable[T | None]],
        op: str,
        key: str,
        deadline: Deadline | None = None,
    ) -> T:
        """Repeat an attempt, which begins with a look at what is there, until it answers. None: applied, look again.

        Once a change may have been applied, running out of time does not make it "not applied" (S2).
        Raises: UnavailableError, OutcomeUnknownError (without a token: a look at the volumes tells).
        """
        deadline, doubt = deadline or self._deadline(), False
        while True:
            try:
                if (found := await attempt(deadline)) is not None:
                    return found
                doubt = True
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                doubt = doubt or isinstance(exc, OutcomeUnknownError)
                await deadline.pause(exc)
                if not deadline.passed:
                    continue
                if doubt:
                    message = f"{op} {key!r} may or may not be applied ({exc}): look at the volumes, or do it again"
                    raise OutcomeUnknownError(message, op=op, key=key) from exc
                raise deadline.expired(exc) from exc

    async def catalog_row(self, deadline: Deadline | None = None) -> Registry:
        """The catalog's own row: empty where there is none yet. Raises: NotFoundError (no table), UnavailableError."""
        deadline = deadline or self._deadline()
        return parse_registry(await deadline.retried(lambda: self._table.get(REGISTRY, CATALOG)))


def _without_settings(info: VolumeInfo) -> VolumeInfo:
    """A volume as nobody writes to it any more: who knows of no index, or of no change log, may read that it was."""
    return replace(info, indexes=(), indexes_made=0, changes_since=None)


def registry_row(before: Registry, after: Registry) -> Operation:
    """The catalog's own row rewritten, if it is still as it was read."""
    values = registry_values(after)
    return Insert(CATALOG, values) if before.etag is None else Replace(CATALOG, values, before.etag)
