"""Eight processes change fifty paths, a ninth recovers without patience, and any of them is killed -9 now and then.

Each writes down what it is about to do and what it was told. Afterwards the rows are compared with that. The moments of
the kills and the choices of the processes come from a seed; what the machine makes of them is its own.
"""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from catalog import connect
from catalog.backends import backend
from catalog.locations import parse_location
from tests.faults.observer import State, look
from tests.harness.invariants import check_settled
from tests.harness.nightly import NIGHTLY
from tests.races.manifest import DEFINITE, Call, Manifest, calls
from tests.races.truth import check_told
from tests.races.truth_child import SETTINGS, Orders, change, fill, recover

ACTORS = 8
SHARDS = 4
RUN_S = 120.0 if NIGHTLY else 30.0
QUIET_S = 1.0
"""Nobody is killed at the end, so that no request of a dead process is still under way at the observer's look."""
WAIT_S = 60.0
SEED = 20261121

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["catalog.azure_table", "storage.azure_blob", "tests.races.truth_child"])


@dataclass(slots=True)
class Seat:
    """The place of a process, and of the next one once that is killed."""

    work: Callable[[Orders], None]
    orders: Orders
    process: "multiprocessing.context.ForkServerProcess | None" = None
    lives: int = 0

    def start(self) -> None:
        """Start a process that nobody else's name or choices are like."""
        self.lives += 1
        name, seed = f"{self.orders.actor}.{self.lives}", self.orders.seed + 1000 * self.lives
        orders = replace(self.orders, actor=name, seed=seed)
        self.process = FORK.Process(target=self.work, args=(orders,), daemon=True)
        self.process.start()

    def stop(self) -> None:
        """Kill it, wherever it is."""
        if self.process:
            self.process.kill()
            self.process.join()

    def end(self) -> int | None:
        """Wait until it ends by itself; its exit status."""
        assert self.process
        self.process.join(WAIT_S)
        return self.process.exitcode


@pytest.fixture(params=["local", "azurite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return f"local:{tmp_path / 'catalog'}"
    azurite: Azurite = request.getfixturevalue("azurite")
    name = f"t{uuid4().hex}"
    return f"{azurite.url}/{name}?table={name}"


@pytest.mark.timeout(2 * RUN_S + 3 * WAIT_S)
async def test_what_the_processes_were_told_is_true(url: str, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest"
    async with connect(url, writer="first") as catalog:
        await fill(await catalog.create_volume("v", shards=SHARDS), Manifest(manifest), "first")
    kills = race(url, manifest)
    said = calls(manifest)
    async with connect(url, settings=SETTINGS) as catalog:
        await catalog.recover(patience_s=0)
        for call in said:
            if call.outcome == "unknown":
                first = await catalog.resolve(call.token)
                assert await catalog.resolve(call.token) == first, "S3"
                call.outcome, call.ended = "made" if first else "unavailable", time.monotonic_ns()
                if first:
                    call.op, call.made, call.origin = first.etag, first.version, first.source or ""
    state = await observed(url)
    check_settled(state)
    check_told(state, said)
    check_worth(said, state, kills)


def race(url: str, manifest: Path) -> int:
    """Let all run for their time, and kill some; how many were killed."""
    choose, kills = Random(SEED), 0
    warm = FORK.Process(target=time.monotonic)  # the first one waits for all imports
    warm.start()
    warm.join()
    until = time.monotonic() + RUN_S
    seats = [Seat(change, Orders(url, manifest, f"w{number}", SEED + number, until)) for number in range(ACTORS)]
    seats.append(Seat(recover, Orders(url, manifest, "recover", SEED, until)))
    with ExitStack() as stack:
        for seat in seats:
            stack.callback(seat.stop)
            seat.start()
        while True:
            victim, pause = choose.choice(seats), choose.uniform(0.1, 0.5)
            if time.monotonic() + pause > until - QUIET_S:
                break
            assert victim.process
            victim.process.join(pause)
            assert victim.process.exitcode is None, "it ended before it was killed"
            victim.stop()
            victim.start()
            kills += 1
        assert [seat.end() for seat in seats] == [0] * len(seats), "one ended badly: its traceback is above"
    return kills


async def observed(url: str) -> State:
    """The raw rows and blobs."""
    ports = backend(parse_location(url), None, SETTINGS)
    try:
        return await look(ports.table, ports.content)
    finally:
        await ports.close()


def check_worth(said: list[Call], state: State, kills: int) -> None:
    """A run that proved nothing fails."""
    assert kills > RUN_S / 2
    assert [call for call in said if not call.outcome], "no kill hit a write in flight"
    made = [call for call in said if call.outcome == "made" and call.actor != "first"]
    assert len({call.verb for call in made}) > 1
    assert any(call.outcome in DEFINITE for call in said)
    assert len(made) > 2 * RUN_S
    assert any(row["state"] == "aborted" for row in state.of("i")), "recovery met nobody"
