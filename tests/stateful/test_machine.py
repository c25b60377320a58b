"""The machine on every kind of back end; and on tables with a bug, which it must find.

An ordinary run takes the same examples every time. With BLOBCAT_NIGHTLY each takes others, and many more; a failure
prints the steps, and the blob for `@reproduce_failure` that runs them again.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from azurite.launch import Azurite
from catalog.backends import backend
from catalog.filters import Condition
from catalog.keys import RowRange
from catalog.locations import parse_location
from catalog.rows import Entity
from catalog.table import Delete, Insert, Operation, Replace, Written
from tests.faults.ports import Fault, FaultTable
from tests.faults.world import SETTINGS, World
from tests.harness.invariants import no_session_is_left, no_temporary_file_is_left
from tests.harness.nightly import NIGHTLY, TIMEOUT_S
from tests.stateful.machine import CatalogMachine

SLOW = replace(SETTINGS, request_timeout_s=20)
"""Where requests take their time, none is given up."""
NO_HANG = tuple(fault for fault in Fault if fault is not Fault.HANG_AFTER)


def examples(ordinary: int, nightly: int, steps: int = 20) -> settings:
    return settings(
        max_examples=nightly if NIGHTLY else ordinary,
        stateful_step_count=2 * steps if NIGHTLY else steps,
        derandomize=not NIGHTLY,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def machine(make: Callable[[], World], faults: Sequence[Fault]) -> type[CatalogMachine]:
    class Machine(CatalogMachine):
        world = staticmethod(make)

    Machine.faults = tuple(faults)
    return Machine


@pytest.mark.timeout(TIMEOUT_S)
def test_in_memory() -> None:
    run_state_machine_as_test(machine(World, tuple(Fault)), settings=examples(150, 5_000))


@pytest.mark.timeout(TIMEOUT_S)
def test_in_local_files(tmp_path: Path) -> None:
    def world() -> World:
        ports = backend(parse_location(f"local:{tmp_path / uuid4().hex}"), None, SLOW)
        return World(SLOW, table=ports.table, content=ports.content)

    run_state_machine_as_test(machine(world, NO_HANG), settings=examples(15, 500))
    no_temporary_file_is_left(tmp_path)


@pytest.mark.timeout(TIMEOUT_S)
def test_on_azurite(azurite: Azurite) -> None:
    def world() -> World:
        name = f"t{uuid4().hex}"
        ports = backend(parse_location(f"{azurite.url}/{name}?table={name}"), None, SLOW)
        return World(SLOW, table=ports.table, content=ports.content)

    run_state_machine_as_test(machine(world, NO_HANG), settings=examples(6, 100))
    no_session_is_left()


# --- Bugs that it must find ------------------------------------------------------------------------------------------


class DropsVersions(FaultTable):
    """A second version replaces the head, and leaves no row of its own."""

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        kept = [each for each in operations if not _is_version(each) or _number(each) == 1]
        written = iter(await super().submit(partition, kept))
        return [next(written) if each in kept else Written("e", 1) for each in operations]


class ForgetsDeletes(FaultTable):
    """A tombstone is acknowledged, and not written."""

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        if any(isinstance(each, Replace) and each.values.get("kind") == "delete" for each in operations):
            return [Written("e", 1) for _ in operations]
        return await super().submit(partition, operations)


class CommitsWithoutIntent(FaultTable):
    """A commit asks for no intent: so it can be applied when others have aborted it, or twice."""

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        kept = [each for each in operations if not (isinstance(each, Delete) and each.row[0] == "i")]
        if len(kept) == len(operations) or not kept:
            return await super().submit(partition, operations)
        await super().submit(partition, kept)
        return [Written("e", 1) for _ in operations]


class ReadsThePast(FaultTable):
    """Of each row, the first state that anyone read is read for ever."""

    _seen: dict[tuple[str, str], Entity]

    async def get(self, partition: str, row: str) -> Entity | None:
        self._seen = getattr(self, "_seen", {})
        if row[0] == "h" and (partition, row) in self._seen:
            return self._seen[partition, row]
        entity = await super().get(partition, row)
        if entity is not None:
            self._seen[partition, row] = entity
        return entity


class HidesTheLast(FaultTable):
    """The last row of a page is missing."""

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async for page in super().query(partition, rows, where=where, select=select):
            yield page[:-1] if page and page[0].row[0] == "h" else page


def _is_version(operation: Operation) -> bool:
    return isinstance(operation, Insert) and operation.row[0] == "v"


def _number(operation: Operation) -> object:
    return operation.values["version"] if isinstance(operation, Insert) else None


@pytest.mark.parametrize("bug", [DropsVersions, ForgetsDeletes, CommitsWithoutIntent, ReadsThePast, HidesTheLast])
def test_a_bug_is_found(bug: type[FaultTable]) -> None:
    class Buggy(CatalogMachine):
        world = staticmethod(World)
        table = bug

    found = settings(examples(200, 200), phases=[Phase.generate], report_multiple_bugs=False, print_blob=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Buggy, settings=found)
