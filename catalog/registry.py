"""The volumes of a catalog: their rows, and how they come to be.

All of them are in one partition, beside the catalog's own row. Every change rewrites that row If-Match in the same
transaction, so changes happen one after the other, and names and roots are checked against what is really there.

A volume's gates are made before its row. They stand in partitions of a fresh epoch, so whoever stops in between leaves
a few rows that nothing will ever read; and a gate whose insertion was not answered is never trusted: a late copy of it
could bring a gate back after the settings have changed. The volume starts over with another epoch.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from .entities import (
    SCHEMA,
    Registry,
    VolumeInfo,
    parse_registry,
    parse_volume,
    registry_values,
    volume_values,
)
from .errors import ConflictError, InvalidError, NotFoundError, OutcomeUnknownError, UnavailableError
from .keys import CATALOG, REGISTRY, VOLUMES, check_shards, gate_row, partition, volume_row
from .listing import Lister
from .paths import check_path
from .retry import Deadline
from .rows import (
    Entity,
)
from .settings import check_timeout
from .table import (
    Insert,
    Operation,
    RefusedError,
    Replace,
)
from .times import EPOCH

ROOT_CHARACTERS_MAX = 200
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")

T = TypeVar("T")


def check_volume_name(name: str) -> str:
    """Raises: InvalidError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        rule = "a lower-case letter, then up to 30 lower-case letters, digits and hyphens"
        raise InvalidError(f"a volume's name is {rule}, not {name!r}", op="volume")
    return name


def check_root(root: str) -> str:
    """Raises: InvalidError for what is no prefix of blobs."""
    if not isinstance(root, str) or not root.endswith("/") or len(root) > ROOT_CHARACTERS_MAX:
        rule = f"ends in / and has at most {ROOT_CHARACTERS_MAX} characters"
        raise InvalidError(f"a volume's root {rule}; {root!r} does not", op="create_volume")
    check_path(root[:-1])
    return root


class Volumes:
    """The registry of one catalog."""

    def __init__(
        self,
        lister: Lister,
        deadline: Callable[[float | None], Deadline],
        new_id: Callable[[], str],
        timeout_s: float | None = None,
    ) -> None:
        self._table = lister.table
        self._lister = lister
        self._deadline_of = deadline
        self._deadline: Callable[[], Deadline] = partial(deadline, timeout_s)
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"<Volumes of {self._table!r}>"

    def within(self, timeout_s: float | None) -> "Volumes":
        """It, for a call with a time limit of its own. Raises: InvalidError."""
        check_timeout(timeout_s)
        return Volumes(self._lister.within(timeout_s), self._deadline_of, self._new_id, timeout_s)

    async def get(self, name: str | None) -> VolumeInfo:
        """A volume by its name, or the default one. Raises: NotFoundError."""
        if name is not None:
            check_volume_name(name)
        registry = await self._registry()
        name = registry.default if name is None else name
        if name is None:
            raise NotFoundError("this catalog has no volume yet", op="volume", kind="not-found.volume")
        row = await self._deadline().retried(lambda: self._table.get(REGISTRY, volume_row(name)))
        if row is None:
            raise NotFoundError(f"there is no volume {name!r}", op="volume", key=name, kind="not-found.volume")
        return parse_volume(row, registry.default)

    async def all(self) -> AsyncGenerator[VolumeInfo, None]:
        """All volumes, in order of name."""
        registry = await self._registry()
        async with aclosing(self._lister.pages(REGISTRY, VOLUMES)) as pages:
            async for page in pages:
                for row in page:
                    yield parse_volume(row, registry.default)

    async def reload(self, info: VolumeInfo) -> VolumeInfo:
        """A volume as it is now. Raises: NotFoundError where it is another one by now."""
        now = await self.get(info.name)
        if now.epoch != info.epoch:
            message = f"volume {info.name!r} was deleted and made again: open it anew"
            raise NotFoundError(message, op="volume", key=info.name, kind="not-found.volume")
        return now

    async def create(self, name: str, *, layout: str, shards: int, root: str | None, exist_ok: bool) -> VolumeInfo:
        """Make a volume. The first one becomes the default.

        Raises: InvalidError, ConflictError (it is there already, or its root overlaps another's), UnavailableError,
        OutcomeUnknownError.
        """
        check_volume_name(name)
        check_shards(shards)
        if layout != "immutable":
            raise InvalidError(f"layout is 'immutable', not {layout!r}", op="create_volume", key=name)
        root = check_root(f"{name}/" if root is None else root)
        tried: set[str] = set()

        async def attempt(deadline: Deadline) -> VolumeInfo | None:
            registry = await self._registry(deadline)
            if existing := await self._existing(
                name, layout, shards, root, exist_ok=exist_ok, ours=tried, registry=registry, deadline=deadline
            ):
                return existing
            epoch = self._new_id()
            tried.add(epoch)
            info = VolumeInfo(name, epoch, layout, shards, root, 1, created=EPOCH, default=False)
            await self._make(info, registry, deadline)
            return None

        return await self._settled(attempt, "create_volume", name)

    async def _existing(
        self,
        name: str,
        layout: str,
        shards: int,
        root: str,
        *,
        exist_ok: bool,
        ours: set[str],
        registry: Registry,
        deadline: Deadline,
    ) -> VolumeInfo | None:
        """The volume, where it is there as wanted, or was made by this very call. Raises: ConflictError."""

        async def rows() -> list[Entity]:
            return [row async for page in self._table.query(REGISTRY, VOLUMES) for row in page]

        for row in await deadline.read(rows):
            other = parse_volume(row, registry.default)
            if other.epoch in ours:
                return other
            if other.name == name:
                wanted, found = (layout, shards, root), (other.layout, other.shards, other.root)
                if exist_ok and wanted == found:
                    return other
                if not exist_ok:
                    message = f"volume {name!r} is there already"
                else:
                    message = f"volume {name!r} is there already, with other settings: wanted {wanted}, found {found}"
                raise ConflictError(
                    message, expected=wanted, found=found, op="create_volume", key=name, kind="conflict.exists"
                )
            if other.root.startswith(root) or root.startswith(other.root):
                message = f"root {root!r} overlaps with root {other.root!r} of volume {other.name!r}"
                raise ConflictError(message, found=other.root, op="create_volume", key=name, kind="conflict.root")
        return None

    async def _make(self, info: VolumeInfo, registry: Registry, deadline: Deadline) -> None:
        for shard in range(info.shards):
            key, gate = partition(info.epoch, shard), Insert(gate_row(info.generation), {"schema": SCHEMA})
            try:
                await deadline.write(lambda key=key, gate=gate: self._table.submit(key, [gate]))  # type: ignore[misc]
            except OutcomeUnknownError as exc:  # whatever became of it: nothing will ever read a gate of this epoch
                raise UnavailableError(exc.message, op="create_volume", key=info.name) from exc
        row = Insert(volume_row(info.name), volume_values(info))
        changed = Registry(registry.default or info.name)
        await deadline.write(lambda: self._table.submit(REGISTRY, [row, _registry_row(registry, changed)]))

    async def set_default(self, name: str) -> None:
        """Make a volume the default one. Raises: NotFoundError, UnavailableError, OutcomeUnknownError."""
        await self.get(check_volume_name(name))

        async def attempt(deadline: Deadline) -> str | None:
            registry = await self._registry(deadline)
            if registry.default != name:
                change = _registry_row(registry, Registry(name))
                await deadline.write(lambda: self._table.submit(REGISTRY, [change]))
            return name

        await self._settled(attempt, "set_default_volume", name)

    async def _settled(self, attempt: Callable[[Deadline], Awaitable[T | None]], op: str, key: str) -> T:
        """Repeat an attempt, which begins with a look at what is there, until it answers. None: applied, look again.

        Once a change may have been applied, running out of time does not make it "not applied" (S2).
        Raises: UnavailableError, OutcomeUnknownError (without a token: a look at the volumes tells).
        """
        deadline, doubt = self._deadline(), False
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

    async def _registry(self, deadline: Deadline | None = None) -> Registry:
        deadline = deadline or self._deadline()
        return parse_registry(await deadline.retried(lambda: self._table.get(REGISTRY, CATALOG)))


def _registry_row(before: Registry, after: Registry) -> Operation:
    values = registry_values(after)
    return Insert(CATALOG, values) if before.etag is None else Replace(CATALOG, values, before.etag)
