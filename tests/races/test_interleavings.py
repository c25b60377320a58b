"""All interleavings of two clients on one path. A failure names the choices that lead to it: its replay key."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from catalog import Catalog, ConflictError, Create, FileVersion, IfVersion, NotFoundError, Overwrite
from catalog.entities import VolumeInfo
from tests.faults.observer import State, check, check_settled
from tests.faults.ports import Fault
from tests.faults.world import World
from tests.races.gate import Actor, Gate, all_schedules, interleave

Call = Callable[[Catalog, VolumeInfo], Awaitable[object]]

SCHEDULES_MAX = 5_000


def put(content: bytes, mode: Create | IfVersion | Overwrite) -> Call:
    async def call(catalog: Catalog, info: VolumeInfo) -> object:
        return await (await catalog.volume(info.name)).put("a", content, mode=mode)

    return call
