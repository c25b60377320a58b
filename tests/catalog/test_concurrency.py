"""How many requests are under way: against a service that is made up, in virtual time, and against any history."""

import asyncio
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.budget import Places
from catalog.concurrency import FIRST, Concurrency, Share, is_busy
from catalog.errors import ConflictError, OutcomeUnknownError, UnavailableError
from tests.harness.virtual_time import leaping

THROTTLED = UnavailableError("too busy", kind="unavailable.throttled")


Varies = Callable[[], float]


class Service:
    """It answers so many at a time, each in so many seconds; others wait in line. It may refuse what is too much."""

    def __init__(
        self, at_a_time: int, took_s: float, *, refuses_from: int = 1_000_000, varies: Varies = lambda: 1.0
    ) -> None:
        self.servers = asyncio.Semaphore(at_a_time)
        self.took_s = took_s
        self.varies = varies
        self.refuses_from = refuses_from
        self.under_way = self.most = self.refused = 0

    async def answer(self) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.under_way >= self.refuses_from:
                self.refused += 1
                await asyncio.sleep(self.took_s)
                raise THROTTLED
            async with self.servers:
                await asyncio.sleep(self.took_s * self.varies())
        finally:
            self.under_way -= 1


async def send(service: Service, places: Places, requests: int, *, callers: int = 500) -> None:
    """So many requests, as fast as there are places, by callers who wait for them."""
    left, now = iter(range(requests)), asyncio.get_running_loop().time

    async def caller() -> None:
        for _ in left:
            await places.take(1)
            began = now()
            try:
                await service.answer()
            except UnavailableError as exc:
                places.failed(exc, began, now())
            else:
                places.answered(began, now())
            finally:
                places.give(1)

    await asyncio.gather(*(caller() for _ in range(callers)))


@pytest.mark.parametrize("at_a_time", [40, 60, 100])
def test_it_grows_until_more_is_no_faster(at_a_time: int) -> None:
    async def main() -> None:
        places = Places(256)
        await send(Service(at_a_time, 0.02), places, 20_000)
        assert places.size >= at_a_time * 0.65
        assert places.size <= max(FIRST * 1.5, at_a_time * 1.5 * 1.5)  # the second, where it is just trying

    leaping(main())


@pytest.mark.parametrize("at_a_time", [1, 8, 24, 100])
@pytest.mark.parametrize("spread", ["exponential", "uniform", "none"])
def test_answers_that_vary_do_not_make_it_grow_for_ever(at_a_time: int, spread: str) -> None:
    async def main() -> None:
        chance, sizes = random.Random(7), list[int]()
        varies: dict[str, Varies] = {
            "exponential": lambda: chance.expovariate(1.0),
            "uniform": lambda: chance.uniform(0.4, 1.6),
            "none": lambda: 1.0,
        }
        places, service = Places(512), Service(at_a_time, 0.02, varies=varies[spread])
        for _ in range(40):
            await send(service, places, 1_000)
            sizes.append(places.size)
        assert statistics.mean(sizes[20:]) < max(2 * FIRST, 2 * at_a_time)

    leaping(main())


def test_it_never_grows_beyond_what_was_asked_for() -> None:
    async def main() -> None:
        service = Service(1_000, 0.02)
        await send(service, Places(20), 3_000)
        assert service.most == 20

    leaping(main())


def test_it_does_not_grow_where_nobody_waits() -> None:
    async def main() -> None:
        places = Places(128)
        await send(Service(1_000, 0.02), places, 3_000, callers=FIRST)
        assert places.size == FIRST

    leaping(main())


def test_it_shrinks_where_the_service_says_that_it_is_too_busy_and_recovers() -> None:
    async def main() -> None:
        places, service = Places(128), Service(1_000, 0.02, refuses_from=6)
        await send(service, places, 300)
        assert places.size < FIRST
        refused = service.refused
        await send(service, places, 3_000)
        assert service.refused - refused < 100  # of 3,000: it tries again now and then
        service.refuses_from = 1_000_000
        await send(service, places, 20_000)
        assert places.size > 64

    leaping(main())


def test_many_refusals_at_once_count_once() -> None:
    concurrency = Concurrency(64)
    for _ in range(10):
        concurrency.failed(THROTTLED, began=1.0, now=2.0)
    assert concurrency.places == FIRST // 2
    concurrency.failed(THROTTLED, began=2.5, now=3.0)
    assert concurrency.places == FIRST // 4


def test_small_and_large_contents_in_turn_are_no_reason_to_shrink() -> None:
    """A link of 20 MB/s: what is large takes longer by as much as it is more work."""
    concurrency, now = Concurrency(64), 0.0
    for turn in range(60):
        size_bytes = 4 << 20 if turn % 2 else 2_000
        for _ in range(500):
            each_s = 0.001 + size_bytes / 20e6
            now += each_s
            concurrency.answered(now - each_s * concurrency.places, now, work=1 + size_bytes / (1 << 18))
    assert concurrency.places >= FIRST


def test_it_shrinks_where_answers_take_longer_and_fewer_come() -> None:
    async def main() -> None:
        places, service = Places(64), Service(40, 0.02)
        await send(service, places, 3_000)
        before = places.size
        service.took_s = 0.2
        await send(service, places, 1_200)
        assert places.size < before

    leaping(main())


def test_other_failures_say_nothing() -> None:
    concurrency = Concurrency(64)
    for error in (ConflictError("x"), UnavailableError("x", kind="unavailable.connect"), OSError("x")):
        concurrency.failed(error, began=1.0, now=2.0)
    assert concurrency.places == FIRST


def test_silence_is_as_good_as_a_word() -> None:
    assert is_busy(OutcomeUnknownError("x", kind="outcome-unknown.timeout"))
    assert is_busy(THROTTLED)
    assert not is_busy(UnavailableError("x", kind="unavailable.dns"))


@given(
    st.integers(1, 200),
    st.lists(
        st.tuples(st.booleans(), st.floats(0, 5), st.floats(0, 5), st.booleans(), st.floats(0.1, 1e6)), max_size=400
    ),
)
def test_whatever_happens_there_is_a_place_and_never_too_many(
    most: int, history: list[tuple[bool, float, float, bool, float]]
) -> None:
    concurrency, now = Concurrency(most), 0.0
    for answered, passed, took, waiting, work in history:
        now += passed
        if answered:
            concurrency.answered(now - took, now, work=work, waiting=waiting)
        else:
            concurrency.failed(THROTTLED, now - took, now)
        assert 1 <= concurrency.places <= most


def test_a_shard_is_sent_less_after_each_refusal_and_soon_all_again() -> None:
    share = Share(100)

    def told(*steps: Callable[[], None]) -> list[int]:
        return [(step(), share.operations)[1] for step in steps]

    def busy() -> None:
        share.failed(THROTTLED)

    def other() -> None:
        share.failed(ConflictError("x"))

    assert told(busy, busy, other) == [50, 25, 25]
    assert told(*[share.answered] * 5) == [37, 55, 82, 100, 100]
    assert told(*[busy] * 9)[-1] == 1
    assert told(share.answered) == [2]
