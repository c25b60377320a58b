"""Every call ends within its time limit, with an error that says what is known, whatever the services do meanwhile."""

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import pytest

from catalog import Catalog, CatalogError, F, InvalidError, Item, OutcomeUnknownError, UnavailableError, Volume
from catalog.reconciling import Plan as FoundPlan
from catalog.retry import SystemClock
from catalog.token import Token
from storage import Always, Headers
from tests.faults.plan import Plan
from tests.faults.ports import VirtualClock
from tests.faults.scenarios import FAR, SCENARIOS, Scenario, make_tree
from tests.faults.site import EVERY, SETTINGS, Opened, Site, Trial, new_name, try_all
from tests.faults.transport import Fault

LIMIT_S = 1.0
SLACK_S = 0.25
BUSY_S = 5.0
ENDS_S = 20.0
"""On a machine that has much else to do; without a limit of its own a call would take the settings' hour."""
HOUR = replace(SETTINGS, timeout_s=3600, request_timeout_s=LIMIT_S, silence_timeout_s=3600)
FROM_MAX = 4
"""From so many of its requests on a call meets two faults, or from each all where BLOBCAT_NIGHTLY is set."""
FAULTS = (Fault.HANG, Fault.RETRY_AFTER, Fault.REFUSED)
IN_TURN = ((Fault.HANG, Fault.RETRY_AFTER), (Fault.HANG, Fault.REFUSED))
NO_REQUEST = {"Catalog.close", "Catalog.plan", "Catalog.unwrap"}
NOT_NEEDED = {"Volume.move": 2}
"""The last requests that a call may do without: a move that is decided is one, whoever puts the tombstone."""

DUMP = Path(__file__).parents[1] / "data" / "dump-1.jsonl"

T = TypeVar("T")
Call = Callable[[Catalog, Path], Awaitable[object]]


def on(call: Callable[[Volume], Awaitable[object]]) -> Call:
    """A call of the volume, which is opened with the same limit."""

    async def act(catalog: Catalog, _: Path) -> object:
        return await timed(catalog, call(await catalog.volume("v", timeout_s=LIMIT_S)))

    return act


def index(call: Callable[[Volume], Awaitable[object]]) -> Call:
    """What turns gates, reads heads and turns the volume's row has its limit for each of these."""

    async def act(catalog: Catalog, _: Path) -> object:
        return await timed(catalog, call(await catalog.volume("v", timeout_s=LIMIT_S)), pieces=4)

    return act


async def timed(catalog: Catalog, call: Awaitable[T], *, pieces: int = 1) -> T:
    """A call, which may take no longer than its limit and a quarter of a second; by the clock that it goes by itself.

    Where a service hangs that is the machine's, which has much else to do: then what is real time gets more of it. A
    call of several `pieces` (checks, files, blocks that are staged) has its limit for each.
    """
    clock = catalog._clock
    slack = SLACK_S if isinstance(getattr(clock.now, "__self__", None), VirtualClock) else BUSY_S
    start = clock.now()
    try:
        return await call
    finally:
        took = clock.now() - start
        assert took <= LIMIT_S * pieces + slack, f"it took {took:.2f} s"


async def drained(items: AsyncIterable[object]) -> None:
    async for _ in items:
        pass


async def opened(volume: Volume) -> None:
    async with volume.open("a", timeout_s=LIMIT_S) as reader:
        await reader.read()


async def sought(volume: Volume) -> None:
    async with volume.open_seekable("a", timeout_s=LIMIT_S) as reader:
        await reader.read()


async def put_many(volume: Volume) -> None:
    async def items() -> AsyncIterator[Item]:
        yield Item("x", b"x")

    async for outcome in volume.put_many(items(), timeout_s=LIMIT_S):
        if outcome.error:
            raise outcome.error


async def downloaded(catalog: Catalog, folder: Path) -> None:
    volume = await catalog.volume("v", timeout_s=LIMIT_S)
    await timed(catalog, volume.download("a", folder / "x", overwrite=True, timeout_s=LIMIT_S))


async def tree(catalog: Catalog, folder: Path) -> None:
    volume = await catalog.volume("v", timeout_s=LIMIT_S)
    written = volume.download_tree("", folder / "t", existing="overwrite", timeout_s=LIMIT_S)
    for failure in (await timed(catalog, written)).failed:
        raise failure.error


async def ingest(catalog: Catalog, folder: Path) -> None:
    volume = await catalog.volume("v", timeout_s=LIMIT_S)
    written = volume.ingest(make_tree(folder / "in"), timeout_s=LIMIT_S)
    for failure in (await timed(catalog, written, pieces=6)).failed:
        raise failure.error


async def adopt(catalog: Catalog, _: Path) -> None:
    volume = await catalog.volume("v", timeout_s=LIMIT_S)
    put = partial(catalog._content.put, "theirs", b"", when=Always(), headers=Headers())
    await catalog._deadline(LIMIT_S).retried(put)
    report = await timed(catalog, volume.adopt(timeout_s=LIMIT_S), pieces=4)
    for finding in report.findings:
        if finding.error:
            raise finding.error


async def rebuild(catalog: Catalog, _: Path) -> None:
    """Of a root under which there is a blob of a volume that nobody knows."""
    op = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    said = {"op": op, "path": "a", "sha256": "0" * 64, "md5": "0" * 32, "size": "0"}
    put = partial(catalog._content.put, f"lost/.versions/a~{op}", b"", when=Always(), headers=Headers(metadata=said))
    await catalog._deadline(LIMIT_S).retried(put)
    await timed(catalog, catalog.rebuild("lost", shards=1, timeout_s=LIMIT_S), pieces=6)


async def verify(volume: Volume) -> None:
    for finding in (await volume.verify(timeout_s=LIMIT_S)).findings:
        raise finding.error


async def purge(volume: Volume) -> None:
    report = await volume.purge(older_than=timedelta(), timeout_s=LIMIT_S)
    for item in report.items:
        assert item.error
        raise item.error


async def reconciled(catalog: Catalog, _: Path) -> FoundPlan:
    """A side that cannot be read in time is said in the plan."""
    plan = await timed(catalog, catalog.reconcile("v", timeout_s=LIMIT_S), pieces=4)
    if not plan.complete:
        raise UnavailableError(plan.header.incomplete[0])
    return plan


async def applied(catalog: Catalog, folder: Path) -> Path:
    """There is nothing to do; but the volume is asked for."""
    plan, journal = await reconciled(catalog, folder), folder / "journal"
    await timed(catalog, catalog.apply(plan.save(folder / "plan"), journal=journal, timeout_s=LIMIT_S))
    return journal


async def undone(catalog: Catalog, folder: Path) -> None:
    await timed(catalog, catalog.undo(await applied(catalog, folder), timeout_s=LIMIT_S))


async def recover(catalog: Catalog, _: Path) -> None:
    for item in (await timed(catalog, catalog.recover(patience_s=0, timeout_s=LIMIT_S), pieces=3)).items:
        if item.error:
            raise item.error


async def doctor(catalog: Catalog, _: Path) -> None:
    report = await timed(catalog, catalog.doctor(timeout_s=LIMIT_S), pieces=3)
    for item in report.items:
        if item.status == "fail" or item.name.endswith("clean-up") or "cannot tell" in item.detail:
            raise UnavailableError(item.detail)


async def resolve(catalog: Catalog, _: Path) -> None:
    """Of an op that nobody knows."""
    async with aclosing(catalog.volumes(timeout_s=LIMIT_S)) as volumes:
        info = await anext(volumes)
    token = Token(info.name, info.epoch, "a", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, "put")
    await timed(catalog, catalog.resolve(str(token), timeout_s=LIMIT_S))


async def loaded(catalog: Catalog, _: Path) -> None:
    """Of volumes that are not there, without their content."""
    await timed(catalog, catalog.load(DUMP, allow_missing=True, timeout_s=LIMIT_S), pieces=2)


CALLS: dict[str, Call] = {
    "Catalog.apply": applied,
    "Catalog.create_volume": lambda catalog, _: timed(catalog, catalog.create_volume("w", shards=1, timeout_s=LIMIT_S)),
    "Catalog.delete_volume": lambda catalog, _: timed(catalog, catalog.delete_volume("u", timeout_s=LIMIT_S)),
    "Catalog.doctor": doctor,
    "Catalog.rebuild": rebuild,
    "Catalog.dump": lambda catalog, _: timed(catalog, drained(catalog.dump("v", timeout_s=LIMIT_S)), pieces=2),
    "Catalog.load": loaded,
    "Catalog.reconcile": reconciled,
    "Catalog.recover": recover,
    "Catalog.resolve": resolve,
    "Catalog.set_default_volume": lambda catalog, _: timed(catalog, catalog.set_default_volume("u", timeout_s=LIMIT_S)),
    "Catalog.sql": lambda catalog, _: timed(catalog, catalog.sql("from files", volume="v", timeout_s=LIMIT_S)),
    "Catalog.undo": undone,
    "Catalog.volume": lambda catalog, _: timed(catalog, catalog.volume("v", timeout_s=LIMIT_S)),
    "Catalog.volumes": lambda catalog, _: timed(catalog, drained(catalog.volumes(timeout_s=LIMIT_S))),
    "Volume.adopt": adopt,
    "Volume.changes": on(lambda volume: drained(aiter(volume.changes(timeout_s=LIMIT_S)))),
    "Volume.copy": on(lambda volume: volume.copy("a", FAR, timeout_s=LIMIT_S)),
    "Volume.create_index": index(lambda volume: volume.create_index("kind", timeout_s=LIMIT_S)),
    "Volume.delete": on(lambda volume: volume.delete("a", timeout_s=LIMIT_S)),
    "Volume.download": downloaded,
    "Volume.download_tree": tree,
    "Volume.drop_index": index(lambda volume: volume.drop_index("size", timeout_s=LIMIT_S)),
    "Volume.folders": on(lambda volume: drained(volume.folders(timeout_s=LIMIT_S))),
    "Volume.glob": on(lambda volume: drained(volume.glob("*", timeout_s=LIMIT_S))),
    "Volume.history": on(lambda volume: drained(volume.history("a", timeout_s=LIMIT_S))),
    "Volume.indexes": on(lambda volume: volume.indexes(timeout_s=LIMIT_S)),
    "Volume.ingest": ingest,
    "Volume.list": on(lambda volume: drained(volume.list(timeout_s=LIMIT_S))),
    "Volume.move": on(lambda volume: volume.move("a", FAR, timeout_s=LIMIT_S)),
    "Volume.open": on(opened),
    "Volume.open_seekable": on(sought),
    "Volume.count": on(lambda volume: volume.count(timeout_s=LIMIT_S)),
    "Volume.purge": on(purge),
    "Volume.put": on(lambda volume: volume.put("a", b"0123456789", timeout_s=LIMIT_S)),
    "Volume.put_many": on(put_many),
    "Volume.query": on(lambda volume: drained(volume.query(F.size > 0, timeout_s=LIMIT_S))),
    "Volume.read": on(lambda volume: volume.read("a", timeout_s=LIMIT_S)),
    "Volume.restore": on(lambda volume: volume.restore("a", version=1, timeout_s=LIMIT_S)),
    "Volume.set_change_log": index(lambda volume: volume.set_change_log(True, timeout_s=LIMIT_S)),
    "Volume.set_metadata": on(lambda volume: volume.set_metadata("a", {"n": 1}, timeout_s=LIMIT_S)),
    "Volume.sign": on(lambda volume: volume.sign("a", expires_in=60, timeout_s=LIMIT_S)),
    "Volume.stat": on(lambda volume: volume.stat("a", timeout_s=LIMIT_S)),
    "Volume.verify": on(verify),
}


async def staged(catalog: Catalog, _: Path) -> object:
    volume = await catalog.volume("v", timeout_s=LIMIT_S)
    return await timed(catalog, volume.put("a", b"0123456789" * 3, timeout_s=LIMIT_S), pieces=4)


def offered() -> dict[str, Any]:
    return {
        f"{kind.__name__}.{name}": method
        for kind in (Catalog, Volume)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and f"{kind.__name__}.{name}" not in NO_REQUEST
    }


def test_whatever_sends_a_request_takes_a_time_limit_and_is_tried_here() -> None:
    assert CALLS.keys() == offered().keys()
    assert [name for name, method in offered().items() if "timeout_s" not in inspect.signature(method).parameters] == []


@pytest.mark.parametrize("name", [*CALLS, "staged"])
async def test_a_call_ends_in_time(site: Site, name: str, tmp_path: Path) -> None:
    call = CALLS.get(name, staged)
    folders = (make(tmp_path, number) for number in range(1000))

    async def act(catalog: Catalog) -> tuple[()]:
        await call(catalog, next(folders))
        return ()

    trial = await site.trial(scenario(name, act), site.behind_transports)
    step = 1 if EVERY else 1 + len(trial.requests) // FROM_MAX
    numbers = sorted({*range(1, len(trial.requests), step), len(trial.requests)})
    faults = [FAULTS] if EVERY else IN_TURN
    plans = [Plan(at, fault, on=True) for at, those in zip(numbers, cycle(faults), strict=False) for fault in those]
    clocks = {Fault.HANG: SystemClock}

    def opened(catalog: str, plan: Plan[Fault], settings: Any) -> Any:
        clock = clocks.get(plan.fault) if plan.fault else None
        return site.behind_transports(catalog, plan, HOUR, **({"clock": clock} if clock else {}))

    await try_all(run_limited, site, trial, plans, opened)


def make(folder: Path, number: int) -> Path:
    (folder / str(number)).mkdir()
    return folder / str(number)


def scenario(name: str, act: Any) -> Scenario:
    """Without what there must be afterwards: that is another test's business."""
    like = next(each for each in SCENARIOS if each.name == "logged-move-apart")
    indexes = [["size"]] if name == "Volume.drop_index" else []
    return replace(like, name=name, act=act, beside=["u"], then=None, indexes=indexes)  # type: ignore[arg-type]


async def run_limited(site: Site, trial: Trial, plan: Plan[Any], opened: Opened) -> None:
    name = new_name()
    await site.begin(name, trial)
    async with opened(name, plan, HOUR) as client:
        async with asyncio.timeout(ENDS_S):
            try:
                await trial.scenario.act(client)
            except CatalogError as error:
                assert isinstance(error, UnavailableError | OutcomeUnknownError), plan  # noqa: PT017 — it may go well
            else:
                decided = len(trial.requests) - NOT_NEEDED.get(trial.scenario.name, 0)
                assert plan.at > decided, f"it was answered, and nothing answers: {plan}"
                assert trial.scenario.name in NOT_NEEDED, plan


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), True, "1"])
async def test_a_limit_that_is_none_is_refused_and_nothing_is_sent(site: Site, timeout_s: Any) -> None:
    plan = Plan[Fault]()
    async with site.behind_transports(new_name(), plan) as catalog:
        for call in (catalog.volume, catalog.recover, catalog.doctor, partial(catalog.set_default_volume, "v")):
            with pytest.raises(InvalidError):
                await call(timeout_s=timeout_s)
        with pytest.raises(InvalidError):
            await drained(catalog.volumes(timeout_s=timeout_s))
    assert plan.requests == []
