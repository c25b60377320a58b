"""Schedules: all of them, or some that are spread over all, and none twice."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.races.gate import Schedule, all_schedules, some_schedules


def walked(schedules: Iterator[Schedule], steps: tuple[int, int]) -> list[tuple[int, ...]]:
    """The choices of schedules of two actors that make so many steps each."""
    found = []
    for schedule in schedules:
        left = list(steps)
        while waiting := [actor for actor in (0, 1) if left[actor]]:
            left[waiting[schedule.choose(len(waiting)) if len(waiting) > 1 else 0]] -= 1
        found.append(tuple(schedule.choices))
    return found


def test_two_actors_of_three_steps_have_twenty_schedules() -> None:
    assert len(set(walked(all_schedules(), (3, 3)))) == 20


@given(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 40))
def test_some_schedules_are_different_ones_of_all(steps: tuple[int, int], n: int) -> None:
    found, everything = walked(some_schedules(n), steps), walked(all_schedules(), steps)
    assert len(set(found)) == len(found) <= min(n, len(everything))
    assert set(found) <= set(everything)


@given(st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_some_schedules_are_all_where_they_are_few(steps: tuple[int, int]) -> None:
    assert set(walked(some_schedules(1000), steps)) == set(walked(all_schedules(), steps))


def test_some_schedules_begin_with_both_actors() -> None:
    assert {choices[0] for choices in walked(some_schedules(8), (8, 8))} == {0, 1}
