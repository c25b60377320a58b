"""How the volumes of a dump come to be: unseen until all of them are whole.

A load has a row of its own in the registry, `l<sha256 of the dump>`: it says under which fresh epochs its volumes are
loaded, so who starts the same load again goes on with them, and two who load the same dump work for each other. Gates
and rows are put into the partitions of those epochs, which nobody reads. In the end one transaction makes all volumes:
their rows, the load's row (If-Match, and now done), and the catalog's own, so names, roots and
adopted prefixes are checked against what is really there. A load that is done is found done, for as long as its volumes
are there.
"""

from collections.abc import Awaitable, Callable, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from .adoption import check_unclaimed
from .columns import SCHEMA, volume_values
from .dumped import DumpedVolume
from .entities import Index, Registry, VolumeInfo
from .errors import ConflictError, OutcomeUnknownError, UnavailableError
from .flow import for_each
from .keys import GATES, REGISTRY, gate_row, load_row, partition, volume_row
from .registry import GATES_AT_A_TIME, Finish, Volumes, registry_row
from .retry import Deadline
from .rows import Entity
from .table import OPERATIONS_MAX, Delete, Insert, Operation, RefusedError, Replace, Table
from .wanted import Wanted, existing

VOLUMES_MAX: Final = OPERATIONS_MAX - 2
"""Of one load: one transaction makes all of them."""


@dataclass(frozen=True, slots=True)
class LoadUnderWay:
    """A load: its volumes, under the epochs that they have or will have."""

    row: str
    volumes: Sequence[VolumeInfo]
    done: bool
    etag: str


CheckOutside = Callable[[Sequence[VolumeInfo]], Awaitable[None]]
"""Told the volumes that are there. Raises: ConflictError where one has content that the load's volumes refer to."""


class LoadRegistry:
    """The registry, for one load."""

    def __init__(
        self,
        volumes: Volumes,
        table: Table,
        deadline: Callable[[], Deadline],
        new_id: Callable[[], str],
        *,
        check_outside: CheckOutside,
    ) -> None:
        self._check_outside = check_outside
        self._volumes = volumes
        self._table = table
        self._deadline = deadline
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"<LoadRegistry of {self._table!r}>"

    async def begin(self, dump: str, wanted: Sequence[DumpedVolume], finish: Finish) -> LoadUnderWay:
        """Begin a load, or go on with the one that was begun: by its dump's sha256.

        Raises: ConflictError (a volume or its root is there already, or another volume has its content),
        UnavailableError, OutcomeUnknownError.
        """

        async def attempt(deadline: Deadline) -> LoadUnderWay | None:
            load = await self._load(dump, wanted, deadline)
            there = await self._there(load, wanted, finish, deadline)
            if load is not None and (there or not load.done):
                return load
            await self._write(dump, wanted, load, deadline)
            return None

        return await self._volumes.settled(attempt, "load", ", ".join(each.name for each in wanted))

    async def publish(self, load: LoadUnderWay, default: str, finish: Finish) -> None:
        """Make the volumes, all at once. Raises: as `begin`."""
        wanted = [_dumped(v) for v in load.volumes]

        async def attempt(deadline: Deadline) -> bool | None:
            registry = await self._volumes.catalog_row(deadline)
            now = await self._load(load.row, wanted, deadline)
            if now is None or [v.epoch for v in now.volumes] != [v.epoch for v in load.volumes]:
                message = "the load was begun anew by somebody else"
                raise ConflictError(message, op="load", kind="conflict.load")
            if now.done:
                return True
            await self._there(now, wanted, finish, deadline)
            changes: list[Operation] = [Insert(volume_row(v.name), volume_values(v)) for v in load.volumes]
            changes.append(Replace(load_row(load.row), _values(load.volumes, done=True), now.etag))
            changes.append(registry_row(registry, Registry(registry.default or default)))
            await deadline.write(lambda: self._table.submit(REGISTRY, changes))
            return None

        await self._volumes.settled(attempt, "load", ", ".join(v.name for v in load.volumes))

    async def open_gates(self, info: VolumeInfo) -> None:
        """Make the gates of a volume, where they are not there yet. Raises: UnavailableError."""
        keys = (partition(info.epoch, shard) for shard in range(info.shards))
        await for_each(keys, lambda key: self._open(key, info), limit=GATES_AT_A_TIME)

    async def _open(self, key: str, info: VolumeInfo) -> None:
        """As `registry` makes a gate; by whoever comes, in whatever state."""
        deadline = self._deadline()
        gate = Insert(gate_row(info.generation), {"schema": SCHEMA})
        while True:
            try:
                gates = {row.row: row for row in await deadline.read(lambda: self._gates(key))}
                if gate.row in gates:
                    return
                first = gates.get(gate_row(0))
                steps: list[Operation] = [Insert(gate_row(0), {"schema": SCHEMA})]
                if first is not None:
                    steps = [Delete(first.row, first.etag), gate]
                await deadline.write(lambda steps=steps: self._table.submit(key, steps))  # type: ignore[misc]
            except (RefusedError, OutcomeUnknownError, UnavailableError) as exc:
                await deadline.pause(exc)
                if deadline.passed:
                    raise deadline.expired(exc) from exc

    async def _gates(self, key: str) -> list[Entity]:
        async with aclosing(self._table.query(key, GATES)) as pages:
            return [row async for page in pages for row in page]

    async def _load(self, dump: str, wanted: Sequence[DumpedVolume], deadline: Deadline) -> LoadUnderWay | None:
        row = await deadline.retried(lambda: self._table.get(REGISTRY, load_row(dump)))
        if row is None:
            return None
        epochs = str(row.values["epochs"]).split(",")
        volumes = [_info(each, epoch) for each, epoch in zip(wanted, epochs, strict=True)]
        return LoadUnderWay(dump, volumes, bool(row.values["done"]), row.etag)

    async def _there(
        self, load: LoadUnderWay | None, wanted: Sequence[DumpedVolume], finish: Finish, deadline: Deadline
    ) -> bool:
        """Whether all volumes of the load are there. Raises: ConflictError where another is in the way of one."""
        wants = [Wanted(each.name, each.layout, each.shards, each.root) for each in wanted]
        ours = [{info.epoch} for info in load.volumes] if load else [set[str]()] * len(wants)
        while True:
            there = await self._volumes.there(await self._volumes.catalog_row(deadline), deadline)
            met = [_met(want, there, own) for want, own in zip(wants, ours, strict=True)]
            ending = [each for each, own in zip(met, ours, strict=True) if each and each.epoch not in own]
            if not ending:
                if not all(met):
                    epochs = set[str]().union(*ours)
                    others = [each for each in there if each.epoch not in epochs]
                    await self._check_blobs(wanted, wants, others, deadline)
                return all(met)
            await finish(ending[0], deadline)

    async def _check_blobs(
        self,
        wanted: Sequence[DumpedVolume],
        wants: Sequence[Wanted],
        others: Sequence[VolumeInfo],
        deadline: Deadline,
    ) -> None:
        """Look whether a blob would be two volumes': by what was adopted, is to be, or lies in a root.

        Of two volumes of the dump none is. Raises: ConflictError, UnavailableError.
        """
        with deadline.stopped():  # it reads the dump
            await self._check_outside(others)
        gone = await self._volumes.gone(deadline) if any(volume.adopted for volume in wanted) else []
        for volume in wanted:
            check_unclaimed(volume.name, volume.adopted, others, gone)
        for want in wants:
            await self._volumes.check_root_is_free(want, others, deadline, op="load")

    async def _write(
        self, dump: str, wanted: Sequence[DumpedVolume], before: LoadUnderWay | None, deadline: Deadline
    ) -> None:
        fresh = _values([_info(each, self._new_id()) for each in wanted], done=False)
        change = Insert(load_row(dump), fresh) if before is None else Replace(load_row(dump), fresh, before.etag)
        await deadline.write(lambda: self._table.submit(REGISTRY, [change]))


def _met(want: Wanted, there: Sequence[VolumeInfo], ours: Container[str]) -> VolumeInfo | None:
    try:
        return existing(want, there, exist_ok=False, ours=ours)
    except ConflictError as exc:
        message = f"{exc.message}: a load makes volumes, and changes none"
        raise ConflictError(
            message, expected=exc.expected, found=exc.found, op="load", key=exc.key, kind=exc.kind
        ) from None


def _info(wanted: DumpedVolume, epoch: str) -> VolumeInfo:
    shape = (wanted.layout, wanted.shards, wanted.root)
    indexes = tuple(Index(f"{number}", on, "ready") for number, on in enumerate(wanted.indexes, 1))
    return VolumeInfo(
        wanted.name,
        epoch,
        *shape,
        1,
        created=wanted.created,
        default=False,
        adopted=wanted.adopted,
        indexes=indexes,
        indexes_made=len(indexes),
    )


def _dumped(info: VolumeInfo) -> DumpedVolume:
    """What it was made of, but for whether it was the default one."""
    return DumpedVolume(
        info.name,
        info.layout,
        info.shards,
        info.root,
        info.created,
        default=False,
        adopted=info.adopted,
        indexes=tuple(index.on for index in info.indexes),
    )


def _values(volumes: Sequence[VolumeInfo], *, done: bool) -> dict[str, str | int | float | bool]:
    names, epochs = (",".join(each) for each in zip(*((v.name, v.epoch) for v in volumes), strict=True))
    return {"schema": SCHEMA, "names": names, "epochs": epochs, "done": done}
