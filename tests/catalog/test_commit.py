"""Group commit: who shares a transaction with whom, and who hears what."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence

import pytest

from catalog.commit import LANES_KEPT, UNITS_MAX, Committer, Lane, Seat, Ticket, Unit, pack
from catalog.errors import CatalogError, InvalidError, OutcomeUnknownError, TooLargeError, UnavailableError
from catalog.sqlite_table import SqliteTable
from catalog.table import (
    OPERATIONS_MAX,
    Delete,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
    Written,
)


class Recording(SqliteTable):
    """A table that keeps what it was asked, and answers when `gate` is open."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.transactions: list[Sequence[Operation]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.blame: int | str | None = "right"
        self.lose_answers = False
        self.too_busy = 0
        self.answers_lost = 0

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        self.transactions.append(operations)
        await self.gate.wait()
        if self.too_busy:
            self.too_busy -= 1
            raise UnavailableError("too busy", kind="unavailable.throttled")
        try:
            written = await super().submit(partition, operations)
        except RefusedError as exc:
            if self.blame == "right":
                raise
            raise RefusedError(str(exc), index=self.blame) from exc  # type: ignore[arg-type]
        if self.lose_answers:
            raise OutcomeUnknownError("the answer was lost")
        return written[self.answers_lost :]


@pytest.fixture
async def table() -> AsyncIterator[Recording]:
    made = Recording()
    await made.create()
    yield made
    await made.close()


def unit(*names: str, shared: tuple[Operation, ...] = ()) -> Unit:
    return Unit(tuple(Insert(name, {"v": name}) for name in names), shared)


def lane(table: Recording) -> Lane:
    return Committer(table, 5).lane("p")


def settled(*tasks: "asyncio.Task[object]") -> bool:
    return all(task.done() for task in tasks)


def rows(operations: Sequence[Operation]) -> list[str]:
    return [operation.row for operation in operations]


async def spin() -> None:
    """Let everything run that can run without an answer from outside."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_lone_caller_waits_for_nobody(table: Recording) -> None:
    written = await lane(table).commit(unit("a", "b"))
    assert len(written) == 2
    assert [len(operations) for operations in table.transactions] == [2]


async def test_the_next_gathers_while_one_is_under_way(table: Recording) -> None:
    queue = lane(table)
    table.gate.clear()
    tasks = [asyncio.create_task(queue.commit(unit("first")))]
    await spin()
    tasks += [asyncio.create_task(queue.commit(unit(f"{number:03}"))) for number in range(250)]
    await spin()
    assert [len(operations) for operations in table.transactions] == [1]
    table.gate.set()
    await asyncio.gather(*tasks)
    assert [len(operations) for operations in table.transactions] == [1, 100, 100, 50]


async def test_units_are_never_split(table: Recording) -> None:
    queue = lane(table)
    tasks = [queue.commit(unit(*(f"{number}-{part}" for part in range(3)))) for number in range(40)]
    await asyncio.gather(*tasks)
    assert [len(operations) for operations in table.transactions] == [99, 21]


async def test_what_is_shared_stands_in_a_transaction_once(table: Recording) -> None:
    queue = lane(table)
    await queue.commit(unit("gate"))
    gate = Merge("gate", {"n": 1})
    await asyncio.gather(*(queue.commit(unit(f"{number}", shared=(gate,))) for number in range(99)))
    assert [len(operations) for operations in table.transactions] == [1, OPERATIONS_MAX]


async def test_two_units_of_one_row_go_one_after_the_other(table: Recording) -> None:
    queue = lane(table)
    outcomes = await asyncio.gather(
        queue.commit(unit("x")), queue.commit(unit("x")), queue.commit(unit("y")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [list, RefusedError, list]
    assert len(table.transactions) == 3


@pytest.mark.parametrize("blame", ["right", None, 0])
async def test_a_refused_unit_is_alone_with_its_refusal(table: Recording, blame: int | str | None) -> None:
    """Whatever the service says of the index: right, nothing, or the SDK's zero."""
    queue = lane(table)
    await queue.commit(unit("taken"))
    table.blame = blame
    names = [*"abcdefg", "taken", *"hij"]
    outcomes = await asyncio.gather(*(queue.commit(unit(name)) for name in names), return_exceptions=True)
    refused = {name for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, RefusedError)}
    assert "taken" in refused
    if blame != 0:
        assert refused == {"taken"}
    applied = set(names) - refused
    for name in names:
        assert (await table.get("p", name) is not None) == (name in applied | {"taken"})


async def test_where_nobody_is_blamed_halves_are_tried_and_not_each_alone(table: Recording) -> None:
    queue = lane(table)
    await queue.commit(unit("taken"))
    table.blame = None
    table.transactions.clear()
    names = [f"{number:02}" for number in range(64)]
    names[40] = "taken"
    outcomes = await asyncio.gather(*(queue.commit(unit(name)) for name in names), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(RefusedError) == 1
    assert isinstance(outcomes[40], RefusedError)
    sizes = [len(operations) for operations in table.transactions]
    assert sizes == [64, 32, 32, 16, 8, 8, 4, 2, 1, 1, 2, 4, 16]


async def test_all_hear_of_a_refusal_of_what_they_share(table: Recording) -> None:
    queue = lane(table)
    gone = Merge("gone", {"n": 1})
    outcomes = await asyncio.gather(
        *(queue.commit(unit(f"{number}", shared=(gone,))) for number in range(5)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {RefusedError}
    assert len(table.transactions) == 1


async def test_all_hear_of_an_unknown_outcome(table: Recording) -> None:
    queue = lane(table)
    table.lose_answers = True
    outcomes = await asyncio.gather(*(queue.commit(unit(name)) for name in "abc"), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OutcomeUnknownError}


async def test_an_answer_that_does_not_come_is_an_unknown_outcome(table: Recording) -> None:
    queue = Lane(table, "p", request_timeout_s=0.01)
    table.gate.clear()
    with pytest.raises(OutcomeUnknownError, match=r"no answer within 0\.01 s"):
        await queue.commit(unit("a"))


async def test_a_unit_that_breaks_a_rule_fails_alone(table: Recording) -> None:
    queue = lane(table)
    wrong = Unit((Insert("bad/key", {}),))
    large = Unit((Insert("large", {"v": "x" * 32_769}),))
    outcomes = await asyncio.gather(
        queue.commit(unit("a")),
        queue.commit(wrong),
        queue.commit(large),
        queue.commit(unit("b")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [list, InvalidError, TooLargeError, list]


async def test_a_caller_that_is_cancelled_hurts_nobody(table: Recording) -> None:
    queue = lane(table)
    table.gate.clear()
    under_way = asyncio.create_task(queue.commit(unit("under way")))
    await spin()
    waiting = [asyncio.create_task(queue.commit(unit(name))) for name in "abc"]
    await spin()
    under_way.cancel()
    waiting[1].cancel()
    await spin()
    table.gate.set()
    outcomes = await asyncio.gather(under_way, *waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, list, asyncio.CancelledError, list]
    assert await table.get("p", "b") is None
    assert await table.get("p", "under way") is not None


async def test_no_more_wait_than_there_are_places(table: Recording) -> None:
    queue = lane(table)
    table.gate.clear()
    tasks = [asyncio.create_task(queue.commit(unit(f"{number}"))) for number in range(UNITS_MAX + 50)]
    await spin()
    assert f"{UNITS_MAX - OPERATIONS_MAX} waiting" in repr(queue)  # the others of its places are under way
    table.gate.set()
    await asyncio.gather(*tasks)
    assert repr(queue) == "<Lane p: 0 waiting, 0 expected>"


async def test_patient_units_wait_for_a_full_transaction(table: Recording) -> None:
    queue = lane(table)
    seats = [Seat(queue) for _ in range(40)]
    triples = [unit(*(f"{number}-{part}" for part in range(3))) for number in range(40)]
    tasks = [asyncio.create_task(seat.commit(triple)) for seat, triple in zip(seats[:33], triples, strict=False)]
    await spin()
    assert table.transactions == []
    tasks.append(asyncio.create_task(seats[33].commit(triples[33])))
    await asyncio.gather(*tasks[:33])
    assert [len(operations) for operations in table.transactions] == [99]
    assert not tasks[33].done()
    for seat in seats[34:]:
        seat.leave()
    await tasks[33]
    assert [len(operations) for operations in table.transactions] == [99, 3]


async def test_a_prompt_unit_takes_patient_ones_along(table: Recording) -> None:
    queue = lane(table)
    seat, other = Seat(queue), Seat(queue)
    patient = asyncio.create_task(seat.commit(unit("patient")))
    await spin()
    assert not patient.done()
    await queue.commit(unit("prompt"))
    await patient
    assert [len(operations) for operations in table.transactions] == [2]
    other.leave()
    other.leave()
    assert repr(queue) == "<Lane p: 0 waiting, 0 expected>"


async def test_a_seat_is_patient_once(table: Recording) -> None:
    queue = lane(table)
    seat, other = Seat(queue), Seat(queue)
    first = asyncio.create_task(seat.commit(unit("a")))
    await queue.commit(unit("b"))
    await first
    async with asyncio.timeout(5):
        await seat.commit(unit("c"))
    assert [len(operations) for operations in table.transactions] == [2, 1]
    other.leave()


async def test_closing_tells_who_waits_what_became_of_it(table: Recording) -> None:
    committer = Committer(table, 5)
    table.gate.clear()
    tasks = [asyncio.create_task(committer.lane("p").commit(unit(name))) for name in "ab"]
    await spin()
    tasks.append(asyncio.create_task(committer.lane("p").commit(unit("c"))))
    await spin()
    await committer.close()
    await committer.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    told = [(type(outcome), outcome.kind) for outcome in outcomes if isinstance(outcome, CatalogError)]
    unknown, waited = (OutcomeUnknownError, "outcome-unknown.closed"), (InvalidError, "invalid.closed")
    assert told == [unknown, unknown, waited]
    with pytest.raises(InvalidError, match="closed"):
        committer.lane("p")


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
async def test_closing_that_is_cancelled_tells_all_nevertheless(table: Recording, turns: int) -> None:
    committer = Committer(table, 5)
    table.gate.clear()
    tasks = [asyncio.create_task(committer.lane(key).commit(unit("a"))) for key in "pqr"]
    await spin()
    tasks += [asyncio.create_task(committer.lane(key).commit(unit("b"))) for key in "pqr"]
    await spin()
    closing = asyncio.create_task(committer.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    told = [outcome.kind for outcome in outcomes if isinstance(outcome, CatalogError)]
    assert told == ["outcome-unknown.closed"] * 3 + ["invalid.closed"] * 3
    await asyncio.wait([closing])


async def test_closing_tells_those_who_have_no_place_yet(table: Recording) -> None:
    committer = Committer(table, 5)
    table.gate.clear()
    lane = committer.lane("p")
    tasks = [asyncio.create_task(lane.commit(unit(f"{number}"))) for number in range(UNITS_MAX + 50)]
    await spin()
    await committer.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, CatalogError)]
    assert kinds == ["outcome-unknown.closed"] * OPERATIONS_MAX + ["invalid.closed"] * (UNITS_MAX + 50 - OPERATIONS_MAX)


def use_others(committer: Committer) -> None:
    """So many partitions that an idle lane is forgotten for them."""
    for number in range(LANES_KEPT):
        committer.lane(f"other {number}")
    gc.collect()


async def test_no_more_idle_lanes_are_kept_than_may_be(table: Recording) -> None:
    committer = Committer(table, 5)
    for number in range(10):
        await committer.lane(f"p{number}").commit(unit("a"))
    use_others(committer)
    assert repr(committer) == f"<Committer of {LANES_KEPT} lanes>"
    await committer.lane("p0").commit(unit("b"))
    await committer.close()
    assert repr(committer) == "<Committer of 0 lanes>"


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_lane_that_has_work_is_the_only_one_of_its_partition(table: Recording, cancelled: bool) -> None:
    committer = Committer(table, 5)
    table.gate.clear()
    first = asyncio.create_task(committer.lane("p").commit(unit("a")))
    await spin()
    if cancelled:
        first.cancel()
        await asyncio.wait([first])
    use_others(committer)
    second = asyncio.create_task(committer.lane("p").commit(unit("b")))
    await spin()
    assert [rows(operations) for operations in table.transactions] == [["a"]]
    table.gate.set()
    await second
    assert [rows(operations) for operations in table.transactions] == [["a"], ["b"]]
    await committer.close()


async def test_a_lane_that_somebody_holds_is_the_only_one_of_its_partition(table: Recording) -> None:
    committer = Committer(table, 5)
    seat, held = Seat(committer.lane("p")), committer.lane("q")
    use_others(committer)
    assert committer.lane("q") is held
    patient = asyncio.create_task(Seat(committer.lane("p")).commit(unit("a")))
    await spin()
    assert not patient.done()
    seat.leave()
    await patient
    use_others(committer)
    await committer.close()
    with pytest.raises(InvalidError, match="closed"):
        await held.commit(unit("b"))


async def test_each_hears_of_a_shared_trouble_by_an_error_of_its_own(table: Recording) -> None:
    queue = lane(table)
    gone = Merge("gone", {"n": 1})
    table.lose_answers = True
    lost = await asyncio.gather(*(queue.commit(unit(name)) for name in "abc"), return_exceptions=True)
    table.lose_answers = False
    refused = await asyncio.gather(*(queue.commit(unit(n, shared=(gone,))) for n in "def"), return_exceptions=True)
    for errors, kind in ((lost, OutcomeUnknownError), (refused, RefusedError)):
        assert {type(error) for error in errors} == {kind}
        assert len({id(error) for error in errors}) == len(errors)
        assert len({str(error) for error in errors}) == 1
        assert {vars(error).get("op") for error in errors if isinstance(error, CatalogError)} <= {"", "submit"}


async def test_an_answer_that_lacks_some_operations_is_an_unknown_outcome_and_the_lane_goes_on(
    table: Recording,
) -> None:
    queue = lane(table)
    table.answers_lost = 1
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*(queue.commit(unit(name)) for name in "abc"), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OutcomeUnknownError}
    table.answers_lost = 0
    assert len(await queue.commit(unit("d"))) == 1


def tickets(*units: Unit) -> list[Ticket]:
    loop = asyncio.new_event_loop()
    try:
        return [Ticket("p", unit, loop.create_future()) for unit in units]
    finally:
        loop.close()


def test_a_batch_keeps_within_the_bytes_of_a_request() -> None:
    large = [Unit((Replace(f"{number}", {f"v{part}": "x" * 30_000 for part in range(30)}),)) for number in range(8)]
    sizes = []
    waiting = tickets(*large)
    while waiting:
        batch = pack(waiting)
        sizes.append(len(batch))
        waiting = waiting[len(batch) :]
    assert sizes == [3, 3, 2]


def test_a_unit_that_is_too_large_goes_alone_and_is_refused_there() -> None:
    over = Unit(tuple(Delete(f"{number}") for number in range(OPERATIONS_MAX + 1)))
    assert [len(pack(tickets(over, unit("a")))), len(pack(tickets(unit("a"), over)))] == [1, 1]


async def test_a_shard_that_is_too_busy_is_sent_less_and_soon_all_again(table: Recording) -> None:
    table.too_busy = 2
    queue = lane(table)
    outcomes = await asyncio.gather(*(queue.commit(unit(f"{n:03}")) for n in range(500)), return_exceptions=True)
    assert [len(operations) for operations in table.transactions] == [100, 50, 25, 37, 55, 82, 100, 51]
    assert sum(isinstance(outcome, UnavailableError) for outcome in outcomes) == 150
